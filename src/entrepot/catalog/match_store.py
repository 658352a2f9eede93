"""Statements of matching: what is due, the catalog as the matcher reads it, candidates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id

NO_ID = UUID(int=0)

# ---- listings that wait ------------------------------------------------------------------------------------------


async def note_listings(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> int:
    """Keep what waiting listings say; return how many are new or changed.

    Rows: listing_id, title, brand, sku, description, barcode, gtin, price_minor, currency.
    """
    return await tx.execute(
        """
        insert into match_listing as m (organisation_id, listing_id, title, brand, sku, description, barcode, gtin,
            price_minor, currency)
        select $1, i.* from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::bigint[], $10::text[]) as i(listing_id, title, brand, sku, description, barcode, gtin, price_minor, currency)
        order by i.listing_id
        on conflict (organisation_id, listing_id) do update set
            title = excluded.title, brand = excluded.brand, sku = excluded.sku, description = excluded.description,
            barcode = excluded.barcode, gtin = excluded.gtin, price_minor = excluded.price_minor,
            currency = excluded.currency, version = m.version + 1, due = true
        where (m.title, m.brand, m.sku, m.description, m.barcode, m.price_minor, m.currency) is distinct from
            (excluded.title, excluded.brand, excluded.sku, excluded.description, excluded.barcode, excluded.price_minor,
             excluded.currency)
        """,
        tx.organisation,
        *map(list, zip(*rows, strict=True)),
    )


async def note_again(tx: Tx, listing_id: UUID) -> None:
    """Let a listing that lost its variant wait, with what is known of it until the channel is read again."""
    await tx.execute(
        """
        insert into match_listing as m (organisation_id, listing_id, title, brand, sku, description, barcode, gtin,
            price_minor, currency)
        select organisation_id, id, title, '', coalesce(sku, ''), '', '', '', price_minor, currency
        from listing where organisation_id = $1 and id = $2
        on conflict (organisation_id, listing_id) do update set due = true, version = m.version + 1
        """,
        tx.organisation,
        listing_id,
    )


async def any_waiting(tx: Tx) -> bool:
    """Return whether some listing waits for a variant."""
    return bool(
        await tx.fetch_value("select exists (select 1 from match_listing where organisation_id = $1)", tx.organisation)
    )


async def forget_settled(tx: Tx) -> None:
    """Delete what is kept for listings that have a variant by now (by their SKU, say), but the decisions."""
    await tx.execute(
        """
        delete from match_candidate c using listing l
        where c.organisation_id = $1 and c.state = 'open' and l.organisation_id = $1 and l.id = c.listing_id
          and l.variant_id is not null
        """,
        tx.organisation,
    )
    await tx.execute(
        """
        delete from match_listing m using listing l
        where m.organisation_id = $1 and l.organisation_id = $1 and l.id = m.listing_id and l.variant_id is not null
        """,
        tx.organisation,
    )


_SAYS = """m.listing_id, m.version, l.connection_id, m.title, m.brand, m.sku, m.description, m.barcode, m.gtin,
    m.price_minor, m.currency"""


async def due_listings(tx: Tx, limit: int) -> list[asyncpg.Record]:
    """Return waiting listings that are to be compared."""
    return await tx.fetch(
        f"""
        select {_SAYS} from match_listing m
        join listing l on l.organisation_id = m.organisation_id and l.id = m.listing_id
        where m.organisation_id = $1 and m.due and l.variant_id is null and l.active order by m.listing_id limit $2
        """,
        tx.organisation,
        limit,
    )


async def count_due(tx: Tx) -> int:
    """Return how many listings are to be compared."""
    found: int = await tx.fetch_value(
        """
        select count(*) from match_listing m join listing l on l.organisation_id = m.organisation_id and l.id = m.listing_id
        where m.organisation_id = $1 and m.due and l.variant_id is null and l.active
        """,
        tx.organisation,
    )
    return found


async def waiting_page(tx: Tx, after: UUID, limit: int) -> list[asyncpg.Record]:
    """Return waiting listings by id."""
    return await tx.fetch(
        f"""
        select {_SAYS} from match_listing m
        join listing l on l.organisation_id = m.organisation_id and l.id = m.listing_id
        where m.organisation_id = $1 and l.variant_id is null and m.listing_id > $2 order by m.listing_id limit $3
        """,
        tx.organisation,
        after,
        limit,
    )


async def mark_due(tx: Tx, listing_ids: Sequence[UUID], variant_ids: Sequence[UUID], gtins: Sequence[str]) -> None:
    """Let these listings be compared again, those with candidates among these variants, and those of these barcodes."""
    await tx.execute(
        """
        update match_listing m set due = true, version = version + 1
        where m.organisation_id = $1 and not m.due and (m.listing_id = any($2::uuid[])
            or m.listing_id in (select listing_id from match_candidate c where c.organisation_id = $1
                                and c.variant_id = any($3::uuid[]) and c.state = 'open')
            or (m.gtin <> '' and m.gtin = any($4::text[])))
        """,
        tx.organisation,
        listing_ids,
        variant_ids,
        gtins,
    )


async def mark_all_due(tx: Tx) -> int:
    """Let every waiting listing be compared again; return how many."""
    return await tx.execute(
        "update match_listing set due = true, version = version + 1 where organisation_id = $1 and not due",
        tx.organisation,
    )


# ---- the catalog -------------------------------------------------------------------------------------------------

_VARIANT = "v.id, p.title, v.title as variant_title, v.option_values, v.sku"
_FROM = "from variant v join product p on p.organisation_id = v.organisation_id and p.id = v.product_id"


async def catalog_page(tx: Tx, after: UUID, limit: int) -> list[asyncpg.Record]:
    """Return variants that are not archived by id, with what they are found by."""
    return await tx.fetch(
        f"""select {_VARIANT} {_FROM}
            where v.organisation_id = $1 and v.id > $2 and p.status <> 'archived' order by v.id limit $3""",
        tx.organisation,
        after,
        limit,
    )


async def changed_page(tx: Tx, since: datetime, until: datetime, after: UUID, limit: int) -> list[asyncpg.Record]:
    """Return variants that changed in that time, themselves or by their product."""
    return await tx.fetch(
        f"""select {_VARIANT}, v.barcode {_FROM}
            where v.organisation_id = $1 and v.id > $4 and greatest(v.updated_at, p.updated_at) between $2 and $3
            order by v.id limit $5""",
        tx.organisation,
        since,
        until,
        after,
        limit,
    )


async def count_changed(tx: Tx, since: datetime, until: datetime) -> int:
    """Return how many variants changed in that time, themselves or by their product."""
    found: int = await tx.fetch_value(
        f"select count(*) {_FROM} where v.organisation_id = $1 and greatest(v.updated_at, p.updated_at) between $2 and $3",
        tx.organisation,
        since,
        until,
    )
    return found


async def sample(tx: Tx, most: int) -> list[asyncpg.Record]:
    """Return variants spread over the whole catalog, about so many at most, with their descriptions."""
    every = await tx.fetch_value("select count(*) from variant where organisation_id = $1", tx.organisation)
    return await tx.fetch(
        f"""select {_VARIANT}, left(p.description, 1000) as description {_FROM}
            where v.organisation_id = $1 and hashtext(v.id::text) % $2 = 0""",
        tx.organisation,
        max(1, -(-every // most)),
    )


async def records(tx: Tx, variant_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Return everything that the matcher compares of these variants."""
    return await tx.fetch(
        f"""select {_VARIANT}, p.vendor, left(p.description, 1000) as description, v.barcode, v.price_minor, v.currency
            {_FROM} where v.organisation_id = $1 and v.id = any($2::uuid[]) and p.status <> 'archived'""",
        tx.organisation,
        variant_ids,
    )


async def by_barcode(tx: Tx, barcodes: Sequence[str]) -> list[asyncpg.Record]:
    """Return (id, barcode) of the variants with one of these barcodes, as they are written."""
    return await tx.fetch(
        f"select v.id, v.barcode {_FROM} where v.organisation_id = $1 and v.barcode <> '' and v.barcode = any($2::text[])"
        " and p.status <> 'archived'",
        tx.organisation,
        barcodes,
    )


async def open_rivals(
    tx: Tx, variant_ids: Sequence[UUID], connection_ids: Sequence[UUID], but: Sequence[UUID]
) -> list[asyncpg.Record]:
    """Return (variant_id, connection_id, near_ppm) of other waiting listings that these variants are proposed for."""
    return await tx.fetch(
        """
        select c.variant_id, l.connection_id, c.near_ppm from match_candidate c
        join listing l on l.organisation_id = c.organisation_id and l.id = c.listing_id
        where c.organisation_id = $1 and c.variant_id = any($2::uuid[]) and c.state = 'open' and l.variant_id is null
          and l.connection_id = any($3::uuid[]) and c.listing_id <> all($4::uuid[])
        """,
        tx.organisation,
        variant_ids,
        connection_ids,
        but,
    )


async def listed_already(tx: Tx, variant_ids: Sequence[UUID], connection_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Return (variant_id, connection_id, title, sku) of the active listings that these variants have there."""
    return await tx.fetch(
        "select variant_id, connection_id, title, sku from listing where organisation_id = $1"
        " and variant_id = any($2::uuid[]) and connection_id = any($3::uuid[]) and active",
        tx.organisation,
        variant_ids,
        connection_ids,
    )


# ---- candidates --------------------------------------------------------------------------------------------------


async def rejected_pairs(tx: Tx, listing_ids: Sequence[UUID]) -> set[tuple[UUID, UUID]]:
    """Return the (listing, variant) pairs of these listings that were rejected."""
    rows = await tx.fetch(
        "select listing_id, variant_id from match_candidate where organisation_id = $1 and listing_id = any($2::uuid[])"
        " and state = 'rejected'",
        tx.organisation,
        listing_ids,
    )
    return {(row[0], row[1]) for row in rows}


async def looked(tx: Tx, listings: Sequence[tuple[UUID, int]], now: datetime) -> set[UUID]:
    """Note that these listings (id, version) were compared; return those that did not change meanwhile."""
    rows = await tx.fetch(
        """
        update match_listing m set due = false, looked_at = $4
        from unnest($2::uuid[], $3::integer[]) as i(listing_id, version)
        where m.organisation_id = $1 and m.listing_id = i.listing_id and m.version = i.version
        returning m.listing_id
        """,
        tx.organisation,
        [listing for listing, _ in listings],
        [version for _, version in listings],
        now,
    )
    return {row[0] for row in rows}


async def put_candidates(tx: Tx, listing_ids: Sequence[UUID], rows: Sequence[tuple[Any, ...]]) -> int:
    """Replace the open candidates of these listings; decided ones stay as they are. Return how many are open.

    Rows: listing_id, variant_id, score_ppm, near_ppm, facts, reasons.
    """
    await tx.execute(
        """
        delete from match_candidate c where c.organisation_id = $1 and c.state = 'open' and c.listing_id = any($2::uuid[])
          and not exists (select 1 from unnest($3::uuid[], $4::uuid[]) as i(listing_id, variant_id)
                          where i.listing_id = c.listing_id and i.variant_id = c.variant_id)
        """,
        tx.organisation,
        listing_ids,
        [row[0] for row in rows],
        [row[1] for row in rows],
    )
    return await tx.execute(
        """
        insert into match_candidate as c (organisation_id, id, listing_id, variant_id, score_ppm, near_ppm, facts, reasons)
        select $1, (r->>0)::uuid, (r->>1)::uuid, (r->>2)::uuid, (r->>3)::integer, (r->>4)::integer,
               array(select f::float8 from jsonb_array_elements_text(r->5) f), array(select jsonb_array_elements_text(r->6))
        from jsonb_array_elements($2::jsonb) r order by r->>1, r->>2
        on conflict (organisation_id, listing_id, variant_id) do update set
            score_ppm = excluded.score_ppm, near_ppm = excluded.near_ppm, facts = excluded.facts,
            reasons = excluded.reasons, updated_at = now()
        where c.state = 'open'
        """,
        tx.organisation,
        [[str(new_id()), str(row[0]), str(row[1]), *row[2:]] for row in rows],
    )


async def lock_listings(tx: Tx, listing_ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """Lock these listings, by id; return them by id: first of all locks that a decision takes."""
    rows = await tx.fetch(
        "select id, variant_id, connection_id, coalesce(sku, '') as sku, title, active from listing"
        " where organisation_id = $1 and id = any($2::uuid[]) order by id for update",
        tx.organisation,
        listing_ids,
    )
    return {row["id"]: row for row in rows}


async def candidate(tx: Tx, candidate_id: UUID) -> asyncpg.Record | None:
    """Return (listing_id, variant_id, state, decided_by) of a candidate."""
    return await tx.fetch_row(
        "select listing_id, variant_id, state, decided_by from match_candidate where organisation_id = $1 and id = $2",
        tx.organisation,
        candidate_id,
    )


async def set_variants(tx: Tx, pairs: Sequence[tuple[UUID, UUID]]) -> None:
    """Give these listings these variants; what else was proposed for them is no question any more."""
    listings = [listing for listing, _ in pairs]
    await tx.execute(
        """
        update listing l set variant_id = i.variant_id, updated_at = now()
        from unnest($2::uuid[], $3::uuid[]) as i(id, variant_id) where l.organisation_id = $1 and l.id = i.id
        """,
        tx.organisation,
        listings,
        [variant for _, variant in pairs],
    )
    await tx.execute(
        "delete from match_listing where organisation_id = $1 and listing_id = any($2::uuid[])",
        tx.organisation,
        listings,
    )


async def decide(tx: Tx, pairs: Sequence[tuple[UUID, UUID]], state: str, decided_by: str, *, by_person: bool) -> None:
    """Note a decision on these (listing, variant) pairs, whether they were proposed or not."""
    await tx.execute(
        """
        insert into match_candidate as c (organisation_id, id, listing_id, variant_id, score_ppm, near_ppm, state,
            decided_by, by_person, decided_at)
        select $1, i.id, i.listing_id, i.variant_id, 0, 0, $5, $6, $7, clock_timestamp()
        from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as i(id, listing_id, variant_id) order by i.listing_id, i.variant_id
        on conflict (organisation_id, listing_id, variant_id) do update set
            state = excluded.state, decided_by = excluded.decided_by, by_person = excluded.by_person,
            decided_at = excluded.decided_at, updated_at = now()
        """,
        tx.organisation,
        [new_id() for _ in pairs],
        [listing for listing, _ in pairs],
        [variant for _, variant in pairs],
        state,
        decided_by,
        by_person,
    )


async def drop_open(tx: Tx, listing_ids: Sequence[UUID]) -> None:
    """Delete the open candidates of these listings."""
    await tx.execute(
        "delete from match_candidate where organisation_id = $1 and listing_id = any($2::uuid[]) and state = 'open'",
        tx.organisation,
        listing_ids,
    )


async def reopen(tx: Tx, candidate_id: UUID) -> None:
    """Take a rejection back."""
    await tx.execute(
        "update match_candidate set state = 'open', decided_by = '', by_person = false, decided_at = null, updated_at = now()"
        " where organisation_id = $1 and id = $2",
        tx.organisation,
        candidate_id,
    )


async def take_variant(tx: Tx, listing_id: UUID) -> None:
    """Take a listing's variant from it."""
    await tx.execute(
        "update listing set variant_id = null, updated_at = now() where organisation_id = $1 and id = $2",
        tx.organisation,
        listing_id,
    )


async def best_above(
    tx: Tx, score_ppm: int, *, listing_ids: Sequence[UUID] | None = None, limit: int | None = None
) -> list[asyncpg.Record]:
    """Return the best candidate of each waiting listing (of these) from a score on, one for each variant and connection.

    Variants that have a listing there already are left out: a second one is for a person to see.
    """
    return await tx.fetch(
        """
        select distinct on (b.variant_id, b.connection_id) b.* from (
            select distinct on (c.listing_id) c.id, c.listing_id, c.variant_id, c.score_ppm, l.connection_id
            from match_candidate c join listing l on l.organisation_id = c.organisation_id and l.id = c.listing_id
            where c.organisation_id = $1 and c.state = 'open' and c.score_ppm >= $2 and l.variant_id is null and l.active
              and ($3::uuid[] is null or c.listing_id = any($3::uuid[]))
            order by c.listing_id, c.score_ppm desc, c.id desc) b
        where not exists (select 1 from listing o where o.organisation_id = $1 and o.variant_id = b.variant_id
                          and o.connection_id = b.connection_id and o.active)
        order by b.variant_id, b.connection_id, b.score_ppm desc, b.id limit $4
        """,
        tx.organisation,
        score_ppm,
        listing_ids,
        limit,
    )
