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
from entrepot.api.resources.product_edits import ProductPatch, Status, edit_of
from entrepot.catalog import editing
from entrepot.catalog import reading as catalog
from entrepot.catalog import search as finding
from entrepot.catalog.contracts import Image, NewProduct, NewVariant
from entrepot.catalog.filters import filter_of
from entrepot.catalog.snapshot import flat, version_of
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, Scope
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock
from entrepot.stock import reading as stock_reading
from entrepot.stock.facade import StockChange
from entrepot.sync.publishing import archiving

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
    """A sellable form of a product. `state`: active or archived; sizes in millimetres."""

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
    length_mm: int | None
    width_mm: int | None
    height_mm: int | None
    image_url: str
    position: int
    state: str
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


class ImageView(Resource):
    """A picture of a product."""

    url: str
    alt: str


class ProductWhole(ProductView):
    """A product with its variants (archived ones too) and listings. `version` is another one after every change."""

    description: str
    tags: list[str]
    option_names: list[str]
    images: list[ImageView]
    category_id: UUID | None
    collection_ids: list[UUID]
    seo_title: str
    seo_description: str
    attributes: dict[str, str]
    version: str
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


async def list_products(
    call: CallDep,
    paging: PagingDep,
    status: Annotated[Status | None, Query()] = None,
    category: Annotated[str | None, Query(max_length=255, description="Id of a category, or a product type")] = None,
    search: Annotated[
        str, Query(max_length=200, description="Starts of words, or the start of a SKU, or a barcode")
    ] = "",
    product_type: Annotated[str, Query(alias="type", max_length=255)] = "",
    vendor: Annotated[str, Query(max_length=255)] = "",
    tag: Annotated[str, Query(max_length=200)] = "",
    collection: Annotated[UUID | None, Query(description="Id of a collection")] = None,
    connection: Annotated[UUID | None, Query(description="Id of a connection: listed there, or not")] = None,
    listed: Annotated[bool | None, Query(description="Listed on the connection, or on any")] = None,
    price_min: Annotated[Amount | None, Query(alias="priceMin")] = None,
    price_max: Annotated[Amount | None, Query(alias="priceMax")] = None,
    image: Annotated[bool | None, Query(description="With or without an image")] = None,
    sort: Annotated[Literal["title", "-title", "updated", "created"], Query()] = "title",
) -> Response:
    """Return products, by title if not told otherwise. Prices are of the organisation's currency."""
    kind, category_id = category or product_type, _maybe_id(category)
    told: dict[str, Any] = {
        "q": search, "status": status, "type": "" if category_id else kind, "vendor": vendor, "tag": tag,
        "category": category_id, "collection": collection, "channel": connection, "listed": _yes_no(listed),
        "price_min": price_min, "price_max": price_max, "image": _yes_no(image), "sort": sort,
    }  # fmt: skip
    parameters = {name: str(value) for name, value in told.items() if value not in (None, "")}
    currency = (await identity.get_organisation(call.services.database, call.actor.organisation_id)).currency
    chosen = filter_of(parameters, currency)
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: finding.list_products(tx, chosen, cursor, limit))
    return respond(Products(products=[ProductView(**_row(row)) for row in found], next_cursor=found.next_cursor))


def _maybe_id(text_or_id: str | None) -> UUID | None:
    try:
        return UUID(text_or_id or "")
    except ValueError:
        return None


def _yes_no(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


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
    """Change a product in part; with `version`, only if it is still the one that was read."""
    async with call.transaction() as tx:
        before = await catalog.product_detail(tx, product_id)
        # First of all: what was renamed since could not be found any more.
        editing.require_version(before, body.version)
        saved = await editing.save(tx, product_id, edit_of(before, body), version=body.version)
        await orders.settle_exceptions(tx, dict(saved.made))
        if saved.after:
            await identity.record(tx, call.actor, "product.update", "product", product_id, saved.before, saved.after)
        if saved.after.get("status") == "archived" and body.end_listings:
            await archiving.end_everywhere(tx, call.actor, call.services.find_connector, [product_id])
        return respond(await _whole(tx, product_id))


async def archive_product(
    product_id: UUID, call: CallDep, end_listings: Annotated[bool, Query(alias="endListings")] = True
) -> Response:
    """Archive a product: it leaves the lists of active ones; stock, orders and history stay.

    Its listings end on every channel, unless `endListings` is false; how far that is, `GET /v1/listings?productId=` tells.
    """
    async with call.transaction() as tx:
        saved = await editing.archive(tx, product_id)
        await identity.record(tx, call.actor, "product.archive", "product", product_id, saved.before, saved.after)
        if end_listings:
            await archiving.end_everywhere(tx, call.actor, call.services.find_connector, [product_id])
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


async def _whole(tx: Tx, product_id: UUID) -> OneProduct:
    detail = await catalog.product_detail(tx, product_id)
    rows = await stock_reading.stock_rows(tx, [variant.id for variant in detail.variants])
    stock_of = {row.variant_id: row for row in rows}
    whole = ProductWhole(
        **_row(detail.row),
        description=detail.description,
        tags=list(detail.tags),
        option_names=list(detail.option_names),
        images=[ImageView.model_validate(image) for image in detail.images],
        category_id=detail.category_id,
        collection_ids=list(detail.collections),
        seo_title=detail.seo_title,
        seo_description=detail.seo_description,
        attributes=dict(detail.attributes),
        version=version_of(flat(detail)),
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
        length_mm=variant.length_mm,
        width_mm=variant.width_mm,
        height_mm=variant.height_mm,
        image_url=variant.image_url,
        position=variant.position,
        state=variant.state,
        stock=None
        if row is None
        else VariantStock(
            on_hand=row.on_hand, reserved=row.reserved, held=row.held, available=row.ats, shortage=row.shortage
        ),
    )
