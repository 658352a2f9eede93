"""The answers to listing_queries.py as typed values. See shapes.py."""

from __future__ import annotations

from msgspec import field

from entrepot.connectors.shopify.shapes import (
    Camel,
    Connection,
    Metafield,
    Node,
    Option,
    Product,
    Shop,
    UserError,
    Variant,
)


class Image(Camel, frozen=True):
    """A picture on Shopify's own servers."""

    url: str
    width: int | None = None
    height: int | None = None


class Media(Camel, frozen=True):
    """A picture, film or model of a product; `image` is null until Shopify has made it."""

    id: str
    alt: str | None = None
    image: Image | None = None


class WholeProduct(Product, frozen=True):
    """A product with its pictures and variants."""

    media: Connection[Media] = field(default_factory=lambda: Connection[Media]([]))
    variants: Connection[Variant] = field(default_factory=lambda: Connection[Variant]([]))


class ProductWhole(Camel, frozen=True):
    """Answer to PRODUCT_WHOLE."""

    shop: Shop
    product: WholeProduct | None = None


class HeadVariant(Camel, frozen=True):
    """What is needed to know a variant again."""

    id: str
    inventory_item: Node
    sku: str | None = None
    selected_options: list[Option] = field(default_factory=list)


class Head(Camel, frozen=True):
    """What is needed to know a product again."""

    id: str
    variants: Connection[HeadVariant]
    handle: str = ""
    metafield: Metafield | None = None
    media: Connection[Media] = field(default_factory=lambda: Connection[Media]([]))


class ProductHead(Camel, frozen=True):
    """Answer to HEAD_BY_ID and HEAD_BY_HANDLE."""

    shop: Shop
    product: Head | None = None


class Operation(Camel, frozen=True):
    """Work that Shopify finishes later: CREATED, ACTIVE, COMPLETE."""

    status: str
    id: str = ""
    product: Node | None = None
    user_errors: list[UserError] = field(default_factory=list)


class Written(Camel, frozen=True):
    """What a mutation of products answers; each has some of these."""

    user_errors: list[UserError] = field(default_factory=list)
    product: Head | None = None
    product_set_operation: Operation | None = None


class SetProduct(Camel, frozen=True):
    """Answer to SET_PRODUCT."""

    product_set: Written


class SetOperation(Camel, frozen=True):
    """Answer to SET_OPERATION."""

    product_operation: Operation | None = None


class Changed(Camel, frozen=True):
    """What a mutation answers of which only the objections matter."""

    user_errors: list[UserError] = field(default_factory=list)
    product_variants: list[Node] | None = None


class SetPrices(Camel, frozen=True):
    """Answer to SET_PRICES."""

    product_variants_bulk_update: Changed


class SetStatus(Camel, frozen=True):
    """Answer to SET_STATUS."""

    product_update: Changed


class DeleteProduct(Camel, frozen=True):
    """Answer to DELETE_PRODUCT."""

    product_delete: Changed


class DeleteVariants(Camel, frozen=True):
    """Answer to DELETE_VARIANTS."""

    product_variants_bulk_delete: Changed
