"""What can be made: the products of the store, with their designs, and chosen blank products of Printful's catalog."""

from __future__ import annotations

from typing import Any

import msgspec

from entrepot.channels.contract import (
    Api,
    ChannelListing,
    ListingImage,
    ListingRef,
    ListingStatus,
    Page,
    Payload,
    RequestRejected,
    UnexpectedAnswer,
)
from entrepot.connectors.printful import calls
from entrepot.connectors.printful.calls import send
from entrepot.connectors.printful.reading import (
    body_of,
    data_list,
    data_of,
    inner,
    money,
    number_text,
    objects,
    optional_number_text,
    optional_text,
    result_list,
    result_of,
    text,
    whole,
)

STORE, PLATFORM, CATALOG = "store", "sync", "catalog"
"""Parts of a pull, in order: products of the store; else those of the shop platform behind it; then the catalog."""
_PAGES_MAX = 100


class _Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`part`: what is read; `at`: how many products of it have been."""

    part: str
    at: int


async def pull(api: Api, cursor: str | None) -> Page[ChannelListing]:
    """Return a page of what can be made."""
    here = _read_cursor(cursor)
    chosen = chosen_products(api.settings.get("catalog_products", ""))
    if here.part == CATALOG:
        return await _pull_catalog(api, here.at, chosen)
    try:
        page = await send(api, calls.store_products(here.part, here.at))
    except RequestRejected:
        if here.part == PLATFORM or here.at:
            raise
        # A store behind a shop platform has its products elsewhere.
        here = _Cursor(PLATFORM, 0)
        page = await send(api, calls.store_products(here.part, here.at))
    products = result_list(page)
    listings: list[ChannelListing] = []
    for product in products:
        listings += await _store_listings(api, here.part, number_text(product, "id"))
    total = whole(inner(body_of(page), "paging"), "total")
    at = here.at + len(products)
    if products and total is not None and at < total:
        return Page(tuple(listings), _write_cursor(here.part, at), more=True)
    if chosen:
        return Page(tuple(listings), _write_cursor(CATALOG, 0), more=True)
    return Page(tuple(listings), cursor=None, more=False)


async def _store_listings(api: Api, kind: str, product_id: str) -> tuple[ChannelListing, ...]:
    try:
        return store_listings(result_of(await send(api, calls.store_product(kind, product_id))))
    except RequestRejected as error:
        if error.code == "404":  # Deleted since the list was read.
            return ()
        raise


async def _pull_catalog(api: Api, at: int, chosen: tuple[str, ...]) -> Page[ChannelListing]:
    if at >= len(chosen):
        return Page((), cursor=None, more=False)
    listings = await _catalog_listings(api, chosen[at])
    more = at + 1 < len(chosen)
    return Page(listings, _write_cursor(CATALOG, at + 1) if more else None, more=more)


async def _catalog_listings(api: Api, product_id: str) -> tuple[ChannelListing, ...]:
    try:
        product = data_of(await send(api, calls.catalog_product(product_id)))
    except RequestRejected as error:
        if error.code == "404":
            detail = f"Printful's catalog has no product {product_id}: correct the setting Catalog products."
            raise RequestRejected(detail, code="catalog_products") from error
        raise
    call = first = calls.catalog_variants(product_id)
    variants: list[Payload] = []
    for _ in range(_PAGES_MAX):
        reply = await send(api, call)
        variants += data_list(reply)
        href = optional_text(inner(inner(body_of(reply), "_links"), "next"), "href")
        if not href:
            break
        call = calls.next_page(first, href)
    return tuple(catalog_listing(product, each) for each in variants)


def chosen_products(setting: str) -> tuple[str, ...]:
    """Return the numbers of catalog products that a person named, each once."""
    return tuple(dict.fromkeys(part.strip() for part in setting.split(",") if part.strip()))


# ---- mapping -----------------------------------------------------------------------------------------------------


def store_listings(payload: Payload) -> tuple[ChannelListing, ...]:
    """Return the variants of a product of the store."""
    product = inner(payload, "sync_product")
    return tuple(_store_listing(product, each) for each in objects(payload, "sync_variants"))


def _store_listing(product: Payload, variant: Payload) -> ChannelListing:
    id = number_text(variant, "id")
    blank = inner(variant, "product")
    told = {
        "sync_variant_id": id,
        "catalog_variant_id": optional_number_text(variant, "variant_id"),
        "catalog_product_id": optional_number_text(blank, "product_id"),
    }
    price = money(variant, "retail_price")
    word = optional_text(variant, "availability_status")
    usable = variant.get("synced") is not False and not _ignored(product) and not _ignored(variant)
    status = ListingStatus.ENDED if word == "discontinued" else ListingStatus.LIVE if usable else ListingStatus.DRAFT
    return ChannelListing(
        ref=ListingRef(f"sync-{id}", {name: value for name, value in told.items() if value}),
        sku=optional_text(variant, "sku") or None,
        title=optional_text(variant, "name") or optional_text(product, "name"),
        product_external_id=f"sync-{number_text(product, 'id')}",
        product_title=optional_text(product, "name"),
        price=price,
        currency=optional_text(variant, "currency") if price is not None else "",
        active=status is ListingStatus.LIVE,
        options=_options(variant),
        images=_pictures(optional_text(product, "thumbnail_url")),
        status=status,
        channel_status=word,
    )


def _ignored(payload: Payload) -> bool:
    return payload.get("is_ignored") is True


def catalog_listing(product: Payload, variant: Payload) -> ChannelListing:
    """Return a variant of a blank product: it has no SKU, and its price depends on the design."""
    id, product_id = number_text(variant, "id"), number_text(product, "id")
    gone = product.get("is_discontinued") is True
    return ChannelListing(
        ref=ListingRef(f"catalog-{id}", {"catalog_variant_id": id, "catalog_product_id": product_id}),
        sku=None,
        title=text(variant, "name"),
        product_external_id=f"catalog-{product_id}",
        product_title=text(product, "name"),
        active=not gone,
        options=_options(variant),
        vendor=optional_text(product, "brand"),
        product_type=optional_text(product, "type"),
        description=optional_text(product, "description"),
        images=_pictures(optional_text(variant, "image")),
        status=ListingStatus.ENDED if gone else ListingStatus.LIVE,
        channel_status="discontinued" if gone else "",
    )


def _options(variant: Payload) -> tuple[tuple[str, str], ...]:
    told = (("Color", optional_text(variant, "color")), ("Size", optional_text(variant, "size")))
    return tuple((name, value) for name, value in told if value)


def _pictures(url: str) -> tuple[ListingImage, ...] | None:
    return (ListingImage(url),) if url else None


# ---- the cursor --------------------------------------------------------------------------------------------------


def _read_cursor(cursor: str | None) -> _Cursor:
    if cursor is None:
        return _Cursor(STORE, 0)
    try:
        read: Any = msgspec.json.decode(cursor, type=_Cursor)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer("The stored place in Printful's products cannot be read: start over.") from error
    if read.part not in (STORE, PLATFORM, CATALOG) or read.at < 0:
        raise UnexpectedAnswer("The stored place in Printful's products cannot be read: start over.")
    return _Cursor(read.part, read.at)


def _write_cursor(part: str, at: int) -> str:
    return msgspec.json.encode(_Cursor(part, at)).decode()
