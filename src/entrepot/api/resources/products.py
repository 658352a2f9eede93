"""Products with their variants."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import Query
from pydantic import Field, model_validator
from starlette.responses import Response

from entrepot.api.amounts import Amount, Currency, SkuText, Text10k, Text255, minor, optional_minor, text
from entrepot.api.answers import Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.paging import PagingDep
from entrepot.catalog import editing
from entrepot.catalog import reading as catalog
from entrepot.catalog.contracts import Image, NewProduct, NewVariant
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock
from entrepot.stock import reading as stock_reading
from entrepot.stock.facade import StockChange

Status = Literal["active", "draft", "archived"]
Units = Annotated[int, Field(ge=0, le=1_000_000_000)]


class ProductView(Resource):
    """A product in a list."""

    id: UUID
    handle: str
    title: str
    vendor: str
    product_type: str
    status: str
    image_url: str
    variant_count: int
    listing_count: int
    sku: str | None
    price_min: str | None
    price_max: str | None
    currency: str | None
    created_at: datetime
    updated_at: datetime


class VariantStock(Resource):
    """Units over all locations."""

    on_hand: int
    reserved: int
    held: int
    available: int
    shortage: int


class VariantView(Resource):
    """A sellable form of a product."""

    id: UUID
    sku: str
    barcode: str
    title: str
    option_values: list[str]
    price: str | None
    compare_at_price: str | None
    cost: str | None
    currency: str
    weight_g: int | None
    stock: VariantStock | None


class ListingView(Resource):
    """Where a variant is for sale."""

    id: UUID
    variant_id: UUID | None
    connection_id: UUID
    channel: str
    connection: str
    external_id: str
    active: bool


class ProductWhole(ProductView):
    """A product with its variants and listings."""

    description: str
    tags: list[str]
    option_names: list[str]
    variants: list[VariantView]
    listings: list[ListingView]


class Products(Resource):
    """Products by title."""

    products: list[ProductView]
    next_cursor: str | None


class OneProduct(Resource):
    """A product."""

    product: ProductWhole


class VariantInput(Input):
    """A variant to make."""

    sku: SkuText
    price: Amount
    title: Text255 = ""
    barcode: Text255 = ""
    option_values: Annotated[tuple[Text255, ...], Field(max_length=3)] = ()
    compare_at_price: Amount | None = None
    cost: Amount | None = None
    weight_g: Annotated[int | None, Field(ge=0, le=10_000_000)] = None
    stock: Annotated[Units | None, Field(description="Opening stock at the first location")] = None


class ProductInput(Input):
    """A product to make: with one variant (`sku`, `price`, `stock`), or with `variants`."""

    title: Annotated[Text255, Field(min_length=1)]
    sku: SkuText | None = None
    price: Amount | None = None
    stock: Annotated[Units | None, Field(description="Opening stock at the first location")] = None
    barcode: Text255 = ""
    variants: Annotated[list[VariantInput] | None, Field(min_length=1, max_length=500)] = None
    option_names: Annotated[tuple[Text255, ...], Field(max_length=3)] = ()
    currency: Annotated[Currency | None, Field(description="The organisation's, if absent")] = None
    handle: Annotated[str, Field(max_length=255, pattern="^[a-z0-9-]*$")] = ""
    description: Text10k = ""
    vendor: Text255 = ""
    product_type: Text255 = ""
    tags: Annotated[tuple[Text255, ...], Field(max_length=100)] = ()
    image_url: Annotated[Text255, Field(max_length=2000)] = ""
    status: Status = "active"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.variants is None) == (self.sku is None):
            raise ValueError("Send either `sku` and `price`, or `variants`.")
        if self.variants is None and self.price is None:
            raise ValueError("A product needs a `price`.")
        if self.variants is not None and (self.price is not None or self.stock is not None):
            raise ValueError("`price` and `stock` belong into `variants`.")
        return self

    def all_variants(self) -> list[VariantInput]:
        """Return the variants, the single one among them."""
        if self.variants is not None:
            return self.variants
        assert self.sku is not None
        assert self.price is not None
        return [VariantInput(sku=self.sku, price=self.price, barcode=self.barcode, stock=self.stock)]


class VariantPatch(Input):
    """What to change of the variant with this SKU; what is absent stays."""

    sku: SkuText
    title: Text255 | None = None
    barcode: Text255 | None = None
    price: Amount | None = None
    compare_at_price: Amount | None = None
    cost: Amount | None = None
    weight_g: Annotated[int | None, Field(ge=0, le=10_000_000)] = None


class ProductPatch(Input):
    """What to change of a product; what is absent stays. `price` is that of a product with one variant."""

    title: Annotated[Text255 | None, Field(min_length=1)] = None
    description: Text10k | None = None
    vendor: Text255 | None = None
    product_type: Text255 | None = None
    tags: Annotated[list[Text255] | None, Field(max_length=100)] = None
    image_url: Annotated[Text255 | None, Field(max_length=2000)] = None
    status: Status | None = None
    price: Amount | None = None
    variants: Annotated[tuple[VariantPatch, ...], Field(max_length=500)] = ()


async def list_products(
    call: CallDep,
    paging: PagingDep,
    status: Annotated[Status | None, Query()] = None,
    category: Annotated[str | None, Query(max_length=255, description="Product type")] = None,
    search: Annotated[str, Query(max_length=200, description="Start of a SKU, or part of the title")] = "",
) -> Response:
    """Return products by title."""
    chosen = catalog.ProductFilter(search.replace("\x00", ""), status, _no_nul(category))
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: catalog.list_products(tx, chosen, cursor, limit))
    return respond(Products(products=[ProductView(**_row(row)) for row in found], next_cursor=found.next_cursor))


async def get_product(product_id: UUID, call: CallDep) -> Response:
    """Return a product with its variants, their stock and listings."""
    async with call.transaction() as tx:
        return respond(await _whole(tx, product_id))


async def create_product(body: ProductInput, call: CallDep) -> Response:
    """Make a product. Its opening stock, if any, is booked at the first location."""

    async def work(tx: Tx) -> Answer:
        product_id = await create(tx, call.actor, body)
        return answer(await _whole(tx, product_id), 201)

    if any(variant.stock is not None for variant in body.all_variants()):
        call.actor.require(Scope.STOCK_WRITE)
    return await once(call, work)


async def update_product(product_id: UUID, body: ProductPatch, call: CallDep) -> Response:
    """Change a product in part."""
    async with call.transaction() as tx:
        before = await catalog.product_detail(tx, product_id)
        await editing.update(tx, product_id, _changes(before, body))
        shown = body.model_dump(mode="json", by_alias=True, exclude_unset=True)
        earlier = {"title": before.row.title, "status": before.row.status}
        await identity.record(tx, call.actor, "product.update", "product", product_id, earlier, shown)
        return respond(await _whole(tx, product_id))


async def archive_product(product_id: UUID, call: CallDep) -> Response:
    """Archive a product: it leaves the lists of active ones; stock, orders and history stay."""
    async with call.transaction() as tx:
        before = await catalog.product_detail(tx, product_id)
        await editing.archive(tx, product_id)
        await identity.record(
            tx, call.actor, "product.archive", "product", product_id, {"status": before.row.status},
            {"status": "archived"},
        )  # fmt: skip
    return empty()


async def create(tx: Tx, actor: Actor, body: ProductInput) -> UUID:
    """Make a product with its opening stock; return its id."""
    currency = body.currency or (await identity.organisation_of(tx)).currency
    inputs = body.all_variants()
    product_id, variants = await editing.create(tx, _new_product(body, inputs, currency))
    openings = [
        StockChange(variants[each.sku], "Opening stock", on_hand=each.stock)
        for each in inputs
        if each.stock is not None
    ]
    if openings:
        await stock.change_on_hand(tx, openings, kind="count", actor=actor.reference)
    await orders.settle_exceptions(tx, variants)
    after = {"title": body.title, "skus": [each.sku for each in inputs]}
    await identity.record(tx, actor, "product.create", "product", product_id, after=after)
    return product_id


def _new_product(body: ProductInput, inputs: list[VariantInput], currency: str) -> NewProduct:
    return NewProduct(
        handle=body.handle,
        title=body.title,
        variants=tuple(
            NewVariant(
                sku=each.sku,
                price_minor=minor(each.price, currency),
                currency=currency,
                title=each.title,
                barcode=each.barcode,
                option_values=tuple(each.option_values),
                compare_at_minor=optional_minor(each.compare_at_price, currency),
                cost_minor=optional_minor(each.cost, currency),
                weight_g=each.weight_g,
            )
            for each in inputs
        ),
        description=body.description,
        vendor=body.vendor,
        product_type=body.product_type,
        tags=tuple(body.tags),
        option_names=tuple(body.option_names),
        images=(Image(body.image_url),) if body.image_url else (),
        status=body.status,
    )


def _changes(before: catalog.ProductDetail, body: ProductPatch) -> editing.ProductChanges:
    patches = list(body.variants)
    if body.price is not None:
        if len(before.variants) != 1:
            raise InvalidInput("This product has several variants: send their prices in `variants`.")
        patches.append(VariantPatch(sku=before.variants[0].sku, price=body.price))
    currency_of = {variant.sku: variant.currency for variant in before.variants}
    variants = []
    for each in patches:
        currency = currency_of.get(each.sku, "EUR")
        variants.append(
            editing.VariantChanges(
                each.sku, each.title, each.barcode, optional_minor(each.price, currency),
                optional_minor(each.compare_at_price, currency), optional_minor(each.cost, currency), each.weight_g,
            )
        )  # fmt: skip
    return editing.ProductChanges(
        title=body.title, description=body.description, vendor=body.vendor, product_type=body.product_type,
        tags=None if body.tags is None else tuple(body.tags), status=body.status,
        images=None if body.image_url is None else (Image(body.image_url),) if body.image_url else (),
        variants=tuple(variants),
    )  # fmt: skip


async def _whole(tx: Tx, product_id: UUID) -> OneProduct:
    detail = await catalog.product_detail(tx, product_id)
    rows = await stock_reading.stock_rows(tx, [variant.id for variant in detail.variants])
    stock_of = {row.variant_id: row for row in rows}
    whole = ProductWhole(
        **_row(detail.row),
        description=detail.description,
        tags=list(detail.tags),
        option_names=list(detail.option_names),
        variants=[_variant(variant, stock_of.get(variant.id)) for variant in detail.variants],
        listings=[
            ListingView(
                id=each.id, variant_id=each.variant_id, connection_id=each.connection_id, channel=each.channel,
                connection=each.connection_name, external_id=each.external_id, active=each.active,
            )
            for each in detail.listings
        ],
    )  # fmt: skip
    return OneProduct(product=whole)


def _row(row: catalog.ProductRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "handle": row.handle,
        "title": row.title,
        "vendor": row.vendor,
        "product_type": row.product_type,
        "status": row.status,
        "image_url": row.image_url,
        "variant_count": row.variants,
        "listing_count": row.listings,
        "sku": row.first_sku,
        "price_min": text(row.price_min_minor, row.currency),
        "price_max": text(row.price_max_minor, row.currency),
        "currency": row.currency,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _variant(variant: catalog.VariantView, row: stock_reading.StockRow | None) -> VariantView:
    return VariantView(
        id=variant.id,
        sku=variant.sku,
        barcode=variant.barcode,
        title=variant.title,
        option_values=list(variant.option_values),
        price=text(variant.price_minor, variant.currency),
        compare_at_price=text(variant.compare_at_minor, variant.currency),
        cost=text(variant.cost_minor, variant.currency),
        currency=variant.currency,
        weight_g=variant.weight_g,
        stock=None
        if row is None
        else VariantStock(
            on_hand=row.on_hand, reserved=row.reserved, held=row.held, available=row.ats, shortage=row.shortage
        ),
    )


def _no_nul(value: str | None) -> str | None:
    return None if value is None else value.replace("\x00", "")
