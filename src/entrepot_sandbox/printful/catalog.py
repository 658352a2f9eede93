"""The catalog of blank products, the products of the store, and whether they can be made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.books import Product
from entrepot_sandbox.printful.answers import Json, amount, data, not_found, paged, result
from entrepot_sandbox.printful.books import Blank, StoreProduct, StoreVariant, Variant

PRINTED = frozenset({"LSH", "TEE", "MUG", "CSH", "NTB", "BAG", "APR"})
"""Kinds of the seller's goods that can be printed on demand."""
_MANY = 40
"""How many of the goods are printed where no kind is known."""
_SHARE = Decimal("0.45")
_REGIONS = ("worldwide", "north_america", "europe", "uk")
_IMAGE = "https://files.cdn.printful.example"


class Catalog:
    """What can be ordered. `changed` is told of variants that run out of stock or come back."""

    def __init__(self, goods: Iterable[Product], first_id: int, changed: Callable[[Variant], None]) -> None:
        self.blanks: dict[int, Blank] = {}
        self.variants: dict[int, Variant] = {}
        self.products: dict[int, StoreProduct] = {}
        self.store_variants: dict[int, StoreVariant] = {}
        self.currency = "EUR"
        self._changed = changed
        self._next_id = first_id
        goods = list(goods)
        printed = [each for each in goods if each.sku.partition("-")[0] in PRINTED] or goods[:_MANY]
        families: dict[str, list[Product]] = {}
        for each in printed:
            families.setdefault(each.title.partition(",")[0], []).append(each)
            self.currency = each.currency
        for number, (name, members) in enumerate(families.items()):
            self._add_family(71 + number, name, members)

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _add_family(self, blank_id: int, name: str, members: list[Product]) -> None:
        blank = self.blanks[blank_id] = Blank(blank_id, name, ("dtg", "embroidery"))
        product = StoreProduct(self._new_id(), name)
        self.products[product.id] = product
        for place, each in enumerate(members):
            color, _, size = each.title.partition(", ")[2].partition(", ")
            variant_id = 4000 + blank_id * 1000 + place
            price = (each.price * _SHARE).quantize(Decimal("0.01"))
            variant = Variant(variant_id, blank_id, f"Blank {each.title}", color, size, price)
            self.variants[variant.id] = variant
            blank.variants.append(variant)
            own = StoreVariant(self._new_id(), each.sku, each.title, each.price, variant)
            self.store_variants[own.id] = own
            product.variants.append(own)

    def by_sku(self, sku: str) -> Variant | None:
        """Return the blank behind a SKU of the store."""
        return next((each.variant for each in self.store_variants.values() if each.sku == sku), None)

    def set_stock(self, variant: Variant, *, out_of_stock: bool) -> None:
        """Have a variant run out of stock, or come back."""
        if variant.out_of_stock != out_of_stock:
            variant.out_of_stock = out_of_stock
            self._changed(variant)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v2/catalog-products", self.list_products, methods=["GET"]),
            Route("/v2/catalog-products/{id:int}", self.get_product, methods=["GET"]),
            Route("/v2/catalog-products/{id:int}/catalog-variants", self.list_variants, methods=["GET"]),
            Route("/v2/catalog-products/{id:int}/availability", self.product_availability, methods=["GET"]),
            Route("/v2/catalog-variants/{id:int}", self.get_variant, methods=["GET"]),
            Route("/v2/catalog-variants/{id:int}/availability", self.variant_availability, methods=["GET"]),
            Route("/store/products", self.list_store_products, methods=["GET"]),
            Route("/store/products/{id:int}", self.get_store_product, methods=["GET"]),
        ]

    # -- second version --

    async def list_products(self, request: Request) -> Response:
        """Return the blank products."""
        return paged(request, [_blank(each) for each in self.blanks.values()])

    async def get_product(self, request: Request) -> Response:
        """Return a blank product."""
        return data(_blank(self._of(request)))

    async def list_variants(self, request: Request) -> Response:
        """Return a blank product's variants."""
        return paged(request, [_variant(each) for each in self._of(request).variants])

    async def get_variant(self, request: Request) -> Response:
        """Return a variant."""
        return data(_variant(self._variant_of(request)))

    async def product_availability(self, request: Request) -> Response:
        """Return whether the variants of a product can be made."""
        blank = self._of(request)
        region = request.query_params.get("selling_region_name", "worldwide")
        return paged(request, [_availability(each, blank, region) for each in blank.variants])

    async def variant_availability(self, request: Request) -> Response:
        """Return whether a variant can be made."""
        variant = self._variant_of(request)
        region = request.query_params.get("selling_region_name", "worldwide")
        return data(_availability(variant, self.blanks[variant.product_id], region))

    def _of(self, request: Request) -> Blank:
        blank = self.blanks.get(request.path_params["id"])
        if blank is None:
            raise not_found("Product not found.")
        return blank

    def _variant_of(self, request: Request) -> Variant:
        variant = self.variants.get(request.path_params["id"])
        if variant is None:
            raise not_found("Variant not found.")
        return variant

    # -- first version --

    async def list_store_products(self, request: Request) -> Response:
        """Return the store's products."""
        return paged(request, [_store_product(each) for each in self.products.values()], old=True)

    async def get_store_product(self, request: Request) -> Response:
        """Return one of them with its variants."""
        product = self.products.get(request.path_params["id"])
        if product is None:
            raise not_found("Sync product not found.")
        variants = [self._store_variant(product, each) for each in product.variants]
        return result({"sync_product": _store_product(product), "sync_variants": variants})

    def _store_variant(self, product: StoreProduct, own: StoreVariant) -> Json:
        variant = own.variant
        return {
            "id": own.id,
            "external_id": own.sku,
            "sync_product_id": product.id,
            "name": own.name,
            "synced": True,
            "variant_id": variant.id,
            "retail_price": amount(own.retail_price),
            "currency": self.currency,
            "is_ignored": False,
            "sku": own.sku,
            "product": {
                "variant_id": variant.id,
                "product_id": variant.product_id,
                "image": f"{_IMAGE}/{variant.id}.jpg",
                "name": variant.name,
            },
            "files": [{"id": own.id, "type": "default", "url": f"{_IMAGE}/designs/{own.id}.png", "status": "ok"}],
            "size": variant.size or None,
            "color": variant.color or None,
            "availability_status": "temporary_out_of_stock" if variant.out_of_stock else "active",
        }


def _blank(blank: Blank) -> Json:
    return {
        "id": blank.id,
        "main_category_id": 24,
        "type": blank.name.upper().replace(" ", "-"),
        "name": blank.name,
        "brand": "Plain & Co",
        "model": f"P{blank.id}",
        "image": f"{_IMAGE}/products/{blank.id}.jpg",
        "variant_count": len(blank.variants),
        "is_discontinued": False,
        "description": f"A blank to print on: {blank.name.lower()}.",
        "sizes": list(dict.fromkeys(each.size for each in blank.variants if each.size)),
        "colors": [],
        "techniques": [
            {"key": key, "display_name": key.upper(), "is_default": place == 0}
            for place, key in enumerate(blank.techniques)
        ],
        "placements": [
            {
                "placement": "front",
                "technique": blank.techniques[0],
                "print_area_width": 12,
                "print_area_height": 16,
                "layers": [{"type": "file", "layer_options": []}],
                "placement_options": [],
                "conflicting_placements": [],
            }
        ],
        "product_options": [],
    }


def _variant(variant: Variant) -> Json:
    return {
        "id": variant.id,
        "catalog_product_id": variant.product_id,
        "name": variant.name,
        "size": variant.size,
        "color": variant.color or None,
        "color_code": None,
        "color_code2": None,
        "image": f"{_IMAGE}/{variant.id}.jpg",
        "_links": {"self": {"href": f"https://api.printful.com/v2/catalog-variants/{variant.id}"}},
    }


def _availability(variant: Variant, blank: Blank, region: str) -> Json:
    word = "out of stock" if variant.out_of_stock else "in stock"
    regions = [each for each in _REGIONS if region in ("worldwide", each)]
    return {
        "catalog_variant_id": variant.id,
        "techniques": [
            {
                "technique": technique,
                "selling_regions": [
                    {"name": each, "availability": word, "placement_option_availability": []} for each in regions
                ],
            }
            for technique in blank.techniques
        ],
    }


def _store_product(product: StoreProduct) -> Json:
    return {
        "id": product.id,
        "external_id": f"ext-{product.id}",
        "name": product.name,
        "variants": len(product.variants),
        "synced": len(product.variants),
        "thumbnail_url": f"{_IMAGE}/designs/{product.id}.jpg",
        "is_ignored": False,
    }
