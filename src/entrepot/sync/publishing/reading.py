"""What pages and the API read of publishing. Select statements only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.csv_lists import Export
from entrepot.database.pool import Tx
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.paging import LIMIT_MAX, Slice, bounded, decode_cursor, slice_of
from entrepot.sync.publishing.contracts import IntentNotFound, IntentView, State, problem_of

STATES = tuple(State)
COUNT_MOST = 100_000


@dataclass(frozen=True, slots=True)
class IntentFilter:
    """Which intents: every field narrows. `search`: part of a product's title, or the start of its handle or of a SKU.

    `incomplete`: only those of which something is missing.
    """

    connection_id: UUID | None = None
    state: str | None = None
    search: str = ""
    incomplete: bool = False
    product_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many products are in a state on a connection, as far as the hub was asked to publish them.

    `matched`, `unmapped`: listings there with and without a variant, counted up to COUNT_MOST.
    """

    connection_id: UUID
    connection: str
    channel: str
    counts: Mapping[str, int]
    unmapped: int
    matched: int


_SELECT = """
select i.id, i.connection_id, c.name as connection, c.channel, i.product_id, p.title, p.handle, i.wanted, i.state,
       i.external_id, i.category, i.attributes, i.completeness, i.missing, i.problems, i.detail, i.attempts,
       i.next_attempt_at, i.asked_by, i.asked_at, i.done_at,
       (select count(*) from listing l join variant v on v.organisation_id = $1 and v.id = l.variant_id
        where l.organisation_id = $1 and l.connection_id = i.connection_id and v.product_id = i.product_id and l.active)
           as listings, s.conflicts, s.moving, s.parked
from listing_intent i
join connection c on c.organisation_id = $1 and c.id = i.connection_id
join product p on p.organisation_id = $1 and p.id = i.product_id
cross join lateral (
    select count(*) filter (where f.state = 'conflict') as conflicts,
           count(*) filter (where f.state in ('out', 'sending', 'decided')) as moving,
           count(*) filter (where f.state = 'parked') as parked
    from variant v join listing l on l.organisation_id = $1 and l.variant_id = v.id and l.connection_id = i.connection_id
    join listing_field f on f.organisation_id = $1 and f.listing_id = l.id
    where v.organisation_id = $1 and v.product_id = i.product_id and l.active
) s
where i.organisation_id = $1
"""


def _view(row: Any) -> IntentView:
    told = dict(row)
    told["missing"] = tuple(told["missing"])
    told["problems"] = tuple(problem_of(each) for each in told["problems"])
    return IntentView(**told)


async def list_intents(tx: Tx, chosen: IntentFilter, cursor: str | None = None, limit: int = 50) -> Slice[IntentView]:
    """Return what was asked, the latest first. Raises InvalidInput, InvalidCursor."""
    limit = bounded(limit)
    if chosen.state and chosen.state not in STATES:
        raise InvalidInput(f"{chosen.state!r} is not a state. Known: {', '.join(STATES)}.")
    after = decode_cursor(cursor, datetime, UUID) or (None, None)
    rows = await tx.fetch(
        f"""{_SELECT}
          and ($2::uuid is null or i.connection_id = $2) and ($3::text is null or i.state = $3)
          and ($4 = '' or strpos(lower(p.title), lower($4)) > 0 or starts_with(p.handle, $4)
               or exists (select 1 from variant v where v.organisation_id = $1 and v.product_id = p.id
                          and starts_with(v.sku, $4)))
          and (not $5 or jsonb_array_length(i.missing) > 0) and ($6::uuid is null or i.product_id = $6)
          and ($7::timestamptz is null or (i.asked_at, i.id) < ($7, $8::uuid))
        order by i.asked_at desc, i.id desc limit $9""",
        tx.organisation,
        chosen.connection_id,
        chosen.state or None,
        chosen.search,
        chosen.incomplete,
        chosen.product_id,
        *after,
        limit + 1,
    )
    items = [_view(row) for row in rows]
    last = items[limit - 1] if len(items) > limit else None
    return slice_of(items, limit, (last.asked_at, last.id) if last else None)


async def intent(tx: Tx, intent_id: UUID) -> IntentView:
    """Return one. Raises IntentNotFound."""
    row = await tx.fetch_row(f"{_SELECT} and i.id = $2", tx.organisation, intent_id)
    if row is None:
        raise IntentNotFound
    return _view(row)


async def state_counts(tx: Tx) -> tuple[StateCount, ...]:
    """Return how many products are in which state on which connection, connections by name."""
    rows = await tx.fetch(
        """
        select c.id, c.name, c.channel, coalesce(n.counts, '{}') as counts,
               (select count(*) from (select 1 from listing l where l.organisation_id = $1 and l.connection_id = c.id
                   and l.active and l.variant_id is null limit $2) u) as unmapped,
               (select count(*) from (select 1 from listing l where l.organisation_id = $1 and l.connection_id = c.id
                   and l.active and l.variant_id is not null limit $2) m) as matched
        from connection c
        left join (select connection_id, jsonb_object_agg(state, count) as counts from (
                select connection_id, state, count(*) as count from listing_intent where organisation_id = $1 group by 1, 2
            ) by_state group by 1) n on n.connection_id = c.id
        where c.organisation_id = $1 and c.state <> 'disconnected' order by lower(c.name), c.id
        """,
        tx.organisation,
        COUNT_MOST,
    )
    return tuple(StateCount(r["id"], r["name"], r["channel"], r["counts"], r["unmapped"], r["matched"]) for r in rows)


async def of_product(tx: Tx, product_id: UUID) -> Sequence[IntentView]:
    """Return what was asked of a product, by connection."""
    rows = await tx.fetch(f"{_SELECT} and i.product_id = $2 order by lower(c.name), i.id", tx.organisation, product_id)
    return [_view(row) for row in rows]


_COLUMNS: Mapping[str, Callable[[IntentView], object]] = {
    "channel": lambda row: row.connection,
    "handle": lambda row: row.handle,
    "title": lambda row: row.title,
    "wanted": lambda row: row.wanted,
    "state": lambda row: row.state,
    "complete_percent": lambda row: "" if row.completeness is None else row.completeness,
    "missing": lambda row: ", ".join(row.missing),
    "why": lambda row: row.text,
    "conflicts": lambda row: row.conflicts,
    "on_their_way": lambda row: row.moving,
    "not_written": lambda row: row.parked,
    "id_there": lambda row: row.external_id,
    "asked_by": lambda row: row.asked_by,
    "asked_at": lambda row: row.asked_at,
}


def intents_file(chosen: IntentFilter) -> Export:
    """Return what was asked as a CSV file."""
    return Export("listings", _COLUMNS, lambda tx, cursor: list_intents(tx, chosen, cursor, LIMIT_MAX))
