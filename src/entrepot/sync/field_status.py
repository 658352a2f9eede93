"""How far a field of our variants has come on the channels that list them, for whoever waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.kernel.errors import NotFound
from entrepot.sync.fields import own_store
from entrepot.sync.fields.ours import ours_of
from entrepot.sync.merge.fields import FIELDS, field_of
from entrepot.sync.merge.values import parse

PRICES = frozenset({"price", "compare_at"})
"""Fields that a price list may decide."""


class Shown(StrEnum):
    """What a channel shows of a field, as far as the hub knows."""

    AGREED = "agreed"
    """The channel shows what we want."""
    UNDER_WAY = "under_way"
    OPPOSED = "opposed"
    """The channel or somebody there says otherwise: a conflict, or it was refused."""
    APART = "apart"
    """The listing has a value of its own, or the hub does not write this field there."""


@dataclass(frozen=True, slots=True)
class FieldStatus:
    """One listing's field. `ours`: the value that the hub wants there now."""

    listing_id: UUID
    connection: str
    channel: str
    shown: Shown
    ours: Any
    detail: str


_STATUS = """
    select l.id as listing_id, l.variant_id, l.connection_id, c.name as connection, c.channel, f.state, f.ours, f.detail,
           r.merge_wanted_at,
           o.value is not null as has_own
    from listing l
    join connection c on c.organisation_id = $1 and c.id = l.connection_id and c.state = 'active'
    join listing_reading r on r.organisation_id = $1 and r.listing_id = l.id
    left join listing_field f on f.organisation_id = $1 and f.listing_id = l.id and f.field = $3
    left join listing_override o on o.organisation_id = $1 and o.listing_id = l.id and o.field = $3
    where l.organisation_id = $1 and {chosen} and l.active
    order by c.name, l.id
"""


async def of_variants(tx: Tx, variant_ids: Sequence[UUID], field: str, wanted: Any) -> list[FieldStatus]:
    """Return how far `wanted` has come as the value of a field on all listings of these variants. Raises UnknownField.

    Listings that the hub has never read, and of a product's own field all but the one that leads, are left out.
    """
    field_of(field)
    rows = await tx.fetch(_STATUS.format(chosen="l.variant_id = any($2::uuid[])"), tx.organisation, variant_ids, field)
    by_list = await _by_list(tx, rows) if field in PRICES else set[UUID]()
    return [_status(row, wanted, by_list=row["listing_id"] in by_list) for row in rows if row["state"] is not None]


async def _by_list(tx: Tx, rows: Sequence[Any]) -> set[UUID]:
    """Return the listings among these whose price a price list decides."""
    found: set[UUID] = set()
    for connection_id in {row["connection_id"] for row in rows}:
        there = [row for row in rows if row["connection_id"] == connection_id]
        prices = await catalog.channel_prices(tx, connection_id, [row["variant_id"] for row in there])
        listed = {variant_id for variant_id, price in prices.items() if price.price_list_id is not None}
        found |= {row["listing_id"] for row in there if row["variant_id"] in listed}
    return found


async def _ours(tx: Tx, offer: Mapping[str, Any]) -> dict[str, Any]:
    prices = await catalog.channel_prices(tx, offer["connection_id"], [offer["variant_id"]])
    return ours_of(offer, prices.get(offer["variant_id"]))


async def of_product(tx: Tx, product_id: UUID, fields: Sequence[str]) -> list[tuple[str, FieldStatus]]:
    """Return (title of the field, status) of what the catalog says of a product, for those fields that channels show."""
    found = []
    for offer in await catalog.offers(tx, await catalog.listings_of_products(tx, [product_id])):
        ours = await _ours(tx, offer)
        for name in fields:
            if name in FIELDS:
                all_of_it = await of_variants(tx, [offer["variant_id"]], name, ours[name])
                found += [(FIELDS[name].title, each) for each in all_of_it if each.listing_id == offer["listing_id"]]
    return found


@dataclass(frozen=True, slots=True)
class ListingValue:
    """A listing's field: the value that is wanted there now, its own one (None: it has none), the catalog's, and a new one."""

    title: str
    sku: str
    variant_id: UUID
    wanted: Any
    own: Any
    catalogs: Any
    new: Any


async def listing_value(tx: Tx, listing_id: UUID, field: str, given: Any) -> ListingValue:
    """Return a listing's field, and what `given` (None: the catalog's value) would make of it.

    Raises UnknownField, InvalidValue, NotFound.
    """
    found = field_of(field)
    [offer] = await catalog.offers(tx, [listing_id]) or [None]
    if offer is None:
        raise NotFound("There is no such listing, or it has no variant.")
    row = (await own_store.overrides_of(tx, [listing_id])).get((listing_id, field))
    own = None if row is None else row["value"]
    catalogs = (await _ours(tx, offer))[field]
    new = catalogs if given is None else parse(found.kind, given, offer["listing_currency"] or offer["currency"])
    wanted = catalogs if own is None else own
    return ListingValue(found.title, offer["sku"], offer["variant_id"], wanted, own, catalogs, new)


async def of_listing(tx: Tx, listing_id: UUID, field: str, wanted: Any) -> FieldStatus | None:
    """Return how far `wanted` has come as the value of a field of one listing, its own value or the catalog's."""
    field_of(field)
    row = await tx.fetch_row(_STATUS.format(chosen="l.id = $2"), tx.organisation, listing_id, field)
    return None if row is None or row["state"] is None else _status(row, wanted, apart_counts=True)


def _status(row: Any, wanted: Any, *, apart_counts: bool = False, by_list: bool = False) -> FieldStatus:
    state, detail = row["state"], row["detail"]
    if row["has_own"] and not apart_counts:
        shown, detail = Shown.APART, "It has a value of its own there."
    elif by_list:
        shown, detail = Shown.APART, "A price list says what it costs there."
    elif state == "ignored":
        shown, detail = Shown.APART, "The hub does not write it there."
    elif state in ("conflict", "parked"):
        shown = Shown.OPPOSED
        detail = detail or ("A conflict is open." if state == "conflict" else "The channel refused it.")
    elif state == "agreed" and row["ours"] == wanted:
        shown = Shown.AGREED
    else:
        shown = Shown.UNDER_WAY
    return FieldStatus(row["listing_id"], row["connection"], row["channel"], shown, row["ours"], detail)
