"""Statements of comparing listings with their channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.sync.store import STATE_NOW


async def want_check(tx: Tx, listing_ids: Sequence[UUID], at: datetime) -> None:
    """Have these listings compared with the channel at a time, or before if that was wanted already."""
    if listing_ids:
        await tx.execute(
            "update listing_quantity set check_at = least(check_at, $3::timestamptz) where organisation_id = $1"
            " and listing_id = any($2::uuid[])",
            tx.organisation,
            listing_ids,
            at,
        )


async def due_checks(tx: Tx, connection_id: UUID, now: datetime, limit: int) -> list[Any]:
    """Return listings to compare with the channel that are not being written at the moment."""
    return await tx.fetch(
        """
        select q.listing_id, q.expected, q.published_at, l.external_id, l.keys, l.sku
        from listing_quantity q
        join listing l on l.organisation_id = $1 and l.id = q.listing_id
        where q.organisation_id = $1 and q.connection_id = $2 and q.check_at <= $3 and q.state <> 'sending'
        order by q.check_at limit $4
        """,
        tx.organisation,
        connection_id,
        now,
        limit,
    )


async def lock_checked(tx: Tx, listing_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Lock and return the figures of listings that have just been read from the channel."""
    rows = await tx.fetch(
        "select listing_id, variant_id, desired, expected, published, published_at, state, gap, gap_at, believed_at, reported,"
        " reported_at, swing_at is not null and swing_to < swing_from as held"
        " from listing_quantity"
        " where organisation_id = $1 and listing_id = any($2::uuid[]) order by listing_id for update",
        tx.organisation,
        listing_ids,
    )
    return {row["listing_id"]: row for row in rows}


OVER = "q.swing_to < q.swing_from and i.gap is distinct from q.gap"
"""What it fell by is something else now, so nobody needs to be asked. A rise was set back already: that stays a question."""
CHECKED = f"""
update listing_quantity q
set expected = i.expected, reported = i.reported, reported_at = $2::timestamptz, gap = i.gap,
    gap_at = case when i.gap = q.gap and i.reported = q.reported then q.gap_at
             when i.gap is not null then $2::timestamptz end,
    shown_before = case when $10 or i.believed_at is not null then q.shown_before end,
    believed_at = i.believed_at, check_at = i.check_at, updated_at = now(),
    next_attempt_at = case when i.check_at is null then null else q.next_attempt_at end,
    detail = case when q.state = 'parked' then q.detail else i.detail end,
    swing_from = case when i.swing_from is not null then i.swing_from when {OVER} then null else q.swing_from end,
    swing_to = case when i.swing_from is not null then i.swing_to when {OVER} then null else q.swing_to end,
    swing_at = case when i.swing_from is null then case when {OVER} then null else q.swing_at end
               when (i.swing_from, i.swing_to) = (q.swing_from, q.swing_to) then coalesce(q.swing_at, $2::timestamptz)
               else $2::timestamptz end,
    state = {STATE_NOW.format(q="q", desired="q.desired", expected="i.expected", uncertain="q.uncertain")}
from unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[], $8::timestamptz[],
            $9::text[], $11::bigint[], $12::bigint[])
     as i(listing_id, expected, reported, gap, believed_at, check_at, detail, swing_from, swing_to)
where q.organisation_id = $1 and q.listing_id = i.listing_id
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """A listing's figures after it was read; the names are those of its table. `check_at` None: nothing is left to compare.

    `swing_from`, `swing_to`: it changed from one to the other by more than the limit.
    """

    listing_id: UUID
    expected: int | None
    reported: int | None
    gap: int | None
    believed_at: datetime | None
    check_at: datetime | None
    detail: str = ""
    swing_from: int | None = None
    swing_to: int | None = None


async def put_checked(tx: Tx, read_at: datetime, rows: Sequence[Checked], *, absolute: bool) -> None:
    """Store comparisons. `absolute`: the channel overwrites, so a reading does not make sure what was shown before."""
    if rows:
        columns = [list(column) for column in zip(*map(astuple, rows), strict=True)]
        await tx.execute(CHECKED, tx.organisation, read_at, *columns[:7], absolute, *columns[7:])


async def swing_of(tx: Tx, listing_id: UUID, *, lock: bool = False) -> Any:
    """Return (variant_id, connection_id, swing_from, swing_to) of a listing whose quantity swung; None where it did not."""
    return await tx.fetch_row(
        "select variant_id, connection_id, swing_from, swing_to from listing_quantity"
        f" where organisation_id = $1 and listing_id = $2 and swing_at is not null{' for update' if lock else ''}",
        tx.organisation,
        listing_id,
    )


TAKE_UP = f"""
update listing_quantity q
set expected = q.expected + coalesce(q.gap, 0), gap = null, gap_at = null, detail = '', next_attempt_at = null,
    swing_from = null, swing_to = null, swing_at = null, check_at = $3, updated_at = now(),
    state = {STATE_NOW.format(q="q", desired="q.desired", expected="(q.expected + coalesce(q.gap, 0))", uncertain="q.uncertain")}
where q.organisation_id = $1 and q.listing_id = $2
"""


async def take_up(tx: Tx, listing_id: UUID, now: datetime) -> None:
    """A person has said what a swing was: what the channel shows is what we expect from now on."""
    await tx.execute(TAKE_UP, tx.organisation, listing_id, now)


async def known_listings(tx: Tx, listing_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these listings whose quantity we follow already."""
    rows = await tx.fetch(
        "select listing_id from listing_quantity where organisation_id = $1 and listing_id = any($2::uuid[])",
        tx.organisation,
        listing_ids,
    )
    return {row[0] for row in rows}


async def differing(
    tx: Tx, connection_id: UUID, rows: Sequence[tuple[str, int]], *, reported: bool = False
) -> list[UUID]:
    """Return the listings whose channel value (external id, quantity) is not what we expect or are writing.

    `reported`: the channel told of it by itself, so that it may be an echo of what we wrote last and means nothing. What
    was just read is no echo: it may be what we wrote last because a sale or cancellation that we count did not take place.
    """
    if not rows:
        return []
    found = await tx.fetch(
        """
        select q.listing_id
        from unnest($3::text[], $4::bigint[]) as i(external_id, quantity)
        join listing l on l.organisation_id = $1 and l.connection_id = $2 and l.external_id = i.external_id
        join listing_quantity q on q.organisation_id = $1 and q.listing_id = l.id
        where i.quantity is distinct from q.expected and i.quantity is distinct from q.sending_to
          and not ($5 and i.quantity is not distinct from q.published)
        """,
        tx.organisation,
        connection_id,
        *map(list, zip(*rows, strict=True)),
        reported,
    )
    return [row[0] for row in found]


async def differing_by_keys(tx: Tx, connection_id: UUID, rows: Sequence[tuple[Mapping[str, str], int]]) -> list[UUID]:
    """Like `differing`, for channels that name a listing by further ids: (keys that it has, quantity)."""
    found = await tx.fetch(
        """
        select q.listing_id
        from unnest($3::jsonb[], $4::bigint[]) as i(keys, quantity)
        join listing l on l.organisation_id = $1 and l.connection_id = $2 and l.keys @> i.keys
        join listing_quantity q on q.organisation_id = $1 and q.listing_id = l.id
        where i.quantity is distinct from q.expected and i.quantity is distinct from q.published
          and i.quantity is distinct from q.sending_to
        """,
        tx.organisation,
        connection_id,
        [dict(keys) for keys, _ in rows],
        [quantity for _, quantity in rows],
    )
    return [row[0] for row in found]


async def doubt(tx: Tx, rows: Sequence[tuple[UUID, int]], settled: datetime, *, absolute: bool) -> None:
    """These show so many units: where that is more than wanted, and no write of ours can be on its way, lower at once.

    `absolute`: the channel overwrites, so it is written again whatever we expect it to show.
    """
    if rows:
        await tx.execute(
            """
            update listing_quantity q set uncertain = q.uncertain or $5, state = 'pending', next_attempt_at = null,
                updated_at = now()
            from unnest($2::uuid[], $3::bigint[]) as i(listing_id, shows)
            where q.organisation_id = $1 and q.listing_id = i.listing_id and i.shows > q.desired
              and q.state in ('pending', 'waiting', 'in_step') and coalesce(q.published_at <= $4, true)
            """,
            tx.organisation,
            *map(list, zip(*rows, strict=True)),
            settled,
            absolute,
        )
