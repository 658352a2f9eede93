"""What people read of matching: candidates with both records, listings that nothing is like, counts. Select only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from entrepot.catalog.match_contracts import PPM, CandidateNotFound, ListingNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of

STATES = ("open", "accepted", "rejected")
COUNT_MOST = 999
FOUND_MOST = 8


class UnknownState(InvalidInput):
    """There is no such list of match candidates: open, accepted or rejected."""


@dataclass(frozen=True, slots=True)
class ListingSays:
    """What a channel says of a listing. Price in minor units of its currency."""

    listing_id: UUID
    variant_id: UUID | None
    connection_id: UUID
    connection_name: str
    channel: str
    external_id: str
    title: str
    brand: str
    sku: str
    barcode: str
    description: str
    price_minor: int | None
    currency: str | None
    looked_at: datetime | None


@dataclass(frozen=True, slots=True)
class OurVariant:
    """A variant of ours. Price in minor units of its currency."""

    variant_id: UUID
    product_id: UUID
    title: str
    brand: str
    sku: str
    barcode: str
    description: str
    price_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A listing and a variant that it may be. `score`: how likely, 0 to 1 (0: a person chose it by hand)."""

    id: UUID
    score: float
    state: str
    reasons: tuple[str, ...]
    decided_by: str
    decided_at: datetime | None
    created_at: datetime
    listing: ListingSays
    variant: OurVariant


@dataclass(frozen=True, slots=True)
class MatchCounts:
    """How many listings wait with a proposal and without one; each counted to COUNT_MOST."""

    proposed: int
    unlike: int


_LISTING = """
    l.id as listing_id, l.variant_id as listing_variant_id, l.connection_id, n.name as connection_name, n.channel,
    l.external_id, coalesce(m.title, l.title) as listing_title, coalesce(m.brand, '') as listing_brand,
    coalesce(l.sku, '') as listing_sku, coalesce(m.barcode, '') as listing_barcode,
    coalesce(m.description, '') as listing_description, l.price_minor as listing_price_minor,
    l.currency as listing_currency, m.looked_at
"""
_LISTING_FROM = """
    join connection n on n.organisation_id = l.organisation_id and n.id = l.connection_id
    left join match_listing m on m.organisation_id = l.organisation_id and m.listing_id = l.id
"""
_CANDIDATE = f"""
    select c.id, c.score_ppm, c.state, c.reasons, c.decided_by, c.decided_at, c.created_at, {_LISTING},
           v.id as variant_id, v.product_id, p.title as product_title, v.title as variant_title, v.option_values,
           p.vendor, v.sku, v.barcode, left(p.description, 1000) as description, v.price_minor, v.currency
    from match_candidate c
    join listing l on l.organisation_id = c.organisation_id and l.id = c.listing_id
    {_LISTING_FROM}
    join variant v on v.organisation_id = c.organisation_id and v.id = c.variant_id
    join product p on p.organisation_id = v.organisation_id and p.id = v.product_id
    where c.organisation_id = $1
"""
_BEST = """
    and l.variant_id is null and l.active and not exists (
        select 1 from match_candidate b where b.organisation_id = c.organisation_id and b.listing_id = c.listing_id
          and b.state = 'open' and (b.score_ppm, b.id) > (c.score_ppm, c.id))
"""


async def list_candidates(
    tx: Tx,
    state: str = "open",
    connection_id: UUID | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Slice[CandidateRow]:
    """Return candidates: of what is open the best of each listing, likeliest first; of the others the latest first.

    Raises UnknownState, InvalidCursor.
    """
    if state not in STATES:
        raise UnknownState
    limit, is_open = bounded(limit), state == "open"
    after = decode_cursor(cursor, int if is_open else datetime, UUID)
    args: list[Any] = [tx.organisation, state]
    where = ["c.state = $2"]
    if connection_id is not None:
        args.append(connection_id)
        where.append(f"l.connection_id = ${len(args)}")
    key = "c.score_ppm" if is_open else "c.decided_at"
    if after:
        args += after
        where.append(f"({key}, c.id) < (${len(args) - 1}, ${len(args)})")
    args.append(limit + 1)
    rows = await tx.fetch(
        f"{_CANDIDATE} and {' and '.join(where)} {_BEST if is_open else ''} order by {key} desc, c.id desc"
        f" limit ${len(args)}",
        *args,
    )
    last = rows[limit - 1] if len(rows) > limit else None
    after_last = None if last is None else (last["score_ppm"] if is_open else last["decided_at"], last["id"])
    return slice_of([_candidate(row) for row in rows], limit, after_last)


async def candidate(tx: Tx, candidate_id: UUID) -> CandidateRow:
    """Return one candidate. Raises CandidateNotFound."""
    row = await tx.fetch_row(f"{_CANDIDATE} and c.id = $2", tx.organisation, candidate_id)
    if row is None:
        raise CandidateNotFound
    return _candidate(row)


async def candidates_of(tx: Tx, listing_id: UUID) -> tuple[CandidateRow, ...]:
    """Return the open candidates of a listing, the likeliest first."""
    rows = await tx.fetch(
        f"{_CANDIDATE} and c.listing_id = $2 and c.state = 'open' order by c.score_ppm desc, c.id desc",
        tx.organisation,
        listing_id,
    )
    return tuple(_candidate(row) for row in rows)


async def listing(tx: Tx, listing_id: UUID) -> ListingSays:
    """Return what is known of a listing. Raises ListingNotFound."""
    row = await tx.fetch_row(
        f"select {_LISTING} from listing l {_LISTING_FROM} where l.organisation_id = $1 and l.id = $2",
        tx.organisation,
        listing_id,
    )
    if row is None:
        raise ListingNotFound
    return _listing(row)


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A listing of a connection, with the variant that it is, if any."""

    listing_id: UUID
    external_id: str
    sku: str
    title: str
    active: bool
    variant_id: UUID | None
    product_id: UUID | None
    our_sku: str


async def listings_on(
    tx: Tx,
    connection_id: UUID,
    search: str = "",
    matched: bool | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Slice[ListedRow]:
    """Return the listings of a connection by their id there. `search`: the start of a SKU or id, or a part of the title.

    `matched` None: all. Raises InvalidCursor.
    """
    limit = bounded(limit)
    after = decode_cursor(cursor, str)
    rows = await tx.fetch(
        """
        select l.id as listing_id, l.external_id, coalesce(l.sku, '') as sku, l.title, l.active, l.variant_id,
               v.product_id, coalesce(v.sku, '') as our_sku
        from listing l left join variant v on v.organisation_id = $1 and v.id = l.variant_id
        where l.organisation_id = $1 and l.connection_id = $2 and ($3::boolean is null or (l.variant_id is not null) = $3)
          and ($4 = '' or l.external_id ^@ $4 or l.sku ^@ $4 or v.sku ^@ $4 or position(lower($4) in lower(l.title)) > 0)
          and ($5::text is null or l.external_id > $5)
        order by l.external_id limit $6
        """,
        tx.organisation,
        connection_id,
        matched,
        search,
        after[0] if after else None,
        limit + 1,
    )
    items = [ListedRow(**dict(row)) for row in rows]
    return slice_of(items, limit, (items[limit - 1].external_id,) if len(items) > limit else None)


async def waiting_called(tx: Tx, text: str) -> list[UUID]:
    """Return the listings on sale without a variant that have this SKU or id on their channel; two at most."""
    rows = await tx.fetch(
        "select id from listing where organisation_id = $1 and variant_id is null and active"
        " and (sku = $2 or external_id = $2) order by id limit 2",
        tx.organisation,
        text,
    )
    return [row[0] for row in rows]


_UNLIKE = """l.organisation_id = $1 and l.variant_id is null and l.active and not m.due
    and not exists (select 1 from match_candidate c where c.organisation_id = l.organisation_id and c.listing_id = l.id
                    and c.state = 'open')"""


async def list_unlike(
    tx: Tx, connection_id: UUID | None = None, cursor: str | None = None, limit: int = 50
) -> Slice[ListingSays]:
    """Return the waiting listings that were compared and are like nothing, by id. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    args: list[Any] = [tx.organisation, limit + 1]
    where = [_UNLIKE]
    for value, condition in ((connection_id, "l.connection_id ="), (after[0] if after else None, "l.id >")):
        if value is not None:
            args.append(value)
            where.append(f"{condition} ${len(args)}")
    rows = await tx.fetch(
        f"select {_LISTING} from listing l {_LISTING_FROM} where {' and '.join(where)} order by l.id limit $2", *args
    )
    last = rows[limit - 1] if len(rows) > limit else None
    return slice_of([_listing(row) for row in rows], limit, (last["listing_id"],) if last else None)


async def counts(tx: Tx) -> MatchCounts:
    """Return how many listings wait."""
    row = await tx.fetch_row(
        f"""select
            (select count(*) from (select distinct c.listing_id from match_candidate c
                join listing l on l.organisation_id = c.organisation_id and l.id = c.listing_id
                where c.organisation_id = $1 and c.state = 'open' and l.variant_id is null and l.active limit $2) s) as proposed,
            (select count(*) from (select 1 from listing l {_LISTING_FROM} where {_UNLIKE} limit $2) s) as unlike""",
        tx.organisation,
        COUNT_MOST,
    )
    assert row is not None
    return MatchCounts(row["proposed"], row["unlike"])


async def find_variants(tx: Tx, text: str) -> tuple[OurVariant, ...]:
    """Return variants by the start of their SKU, their barcode, or a part of their title; FOUND_MOST at most."""
    rows = await tx.fetch(
        """
        select v.id as variant_id, v.product_id, p.title as product_title, v.title as variant_title, v.option_values,
               p.vendor, v.sku, v.barcode, '' as description, v.price_minor, v.currency
        from variant v join product p on p.organisation_id = v.organisation_id and p.id = v.product_id
        where v.organisation_id = $1 and p.status <> 'archived'
          and (v.sku ^@ $2 or v.sku ^@ upper($2) or v.barcode = $2 or position(lower($2) in lower(p.title)) > 0)
        order by v.sku limit $3
        """,
        tx.organisation,
        text,
        FOUND_MOST,
    )
    return tuple(_variant(row) for row in rows)


def _candidate(row: asyncpg.Record) -> CandidateRow:
    return CandidateRow(
        row["id"], row["score_ppm"] / PPM, row["state"], tuple(row["reasons"]), row["decided_by"], row["decided_at"],
        row["created_at"], _listing(row), _variant(row),
    )  # fmt: skip


def _listing(row: asyncpg.Record) -> ListingSays:
    return ListingSays(
        row["listing_id"], row["listing_variant_id"], row["connection_id"], row["connection_name"], row["channel"],
        row["external_id"], row["listing_title"], row["listing_brand"], row["listing_sku"], row["listing_barcode"],
        row["listing_description"], row["listing_price_minor"], row["listing_currency"], row["looked_at"],
    )  # fmt: skip


def _variant(row: asyncpg.Record) -> OurVariant:
    values = [value for value in row["option_values"] if value != "Default Title"] or [
        title for title in [row["variant_title"]] if title not in ("", "Default Title", row["product_title"])
    ]
    return OurVariant(
        row["variant_id"], row["product_id"], " ".join([row["product_title"], *values]), row["vendor"], row["sku"],
        row["barcode"], row["description"], row["price_minor"], row["currency"],
    )  # fmt: skip
