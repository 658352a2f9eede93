"""What pages and the API read of channels at work: quantities per listing, runs, what needs a person.

Select statements only, and they may join the tables of earlier rooms; lists are paged by key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.errors import NotFound
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of

COUNT_LIMIT = 999
"""Counts for people stop here."""


@dataclass(frozen=True, slots=True)
class ListingCell:
    """A listing's quantities: what we want, what was acknowledged, what the channel said. None: unknown."""

    listing_id: UUID
    variant_id: UUID
    connection_id: UUID
    desired: int | None
    expected: int | None
    published: int | None
    reported: int | None
    state: str
    detail: str
    published_at: datetime | None
    reported_at: datetime | None
    next_attempt_at: datetime | None

    @property
    def badge(self) -> str:
        """One of in_step, pending, differs, error: what a person needs to know."""
        if self.state == "parked":
            return "error"
        if self.state in ("in_step", "differs"):
            return self.state
        return "pending"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a listing shows what it shows, from stored facts."""

    cell: ListingCell
    sku: str
    connection_name: str
    external_id: str
    reason: dict[str, Any]
    desired_at: datetime | None
    attempts: int


@dataclass(frozen=True, slots=True)
class ChannelOverview:
    """A connection as people see it: state, health, last pull, work waiting."""

    id: UUID
    channel: str
    name: str
    environment: str
    state: str
    state_reason: str
    health: str | None
    health_reason: str
    latency_ms: int | None
    pulled_at: datetime | None
    complete_until: datetime | None
    listings: int
    matched: int
    waiting: int
    """Quantities to send, counted to COUNT_LIMIT."""
    trouble: int
    """Quantities that differ or are parked, counted to COUNT_LIMIT."""
    inbox: int
    """Webhooks to process, counted to COUNT_LIMIT."""
    created_at: datetime

    @property
    def queue(self) -> int:
        """Everything that waits, in and out."""
        return self.waiting + self.inbox

    @property
    def condition(self) -> str:
        """One of healthy, degraded, down, paused, needs_attention, disconnected, new."""
        return self.state if self.state != "active" else (self.health or "new")


@dataclass(frozen=True, slots=True)
class HealthView:
    """One health reading."""

    at: datetime
    status: str
    reason: str
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class RunView:
    """A sync run and how far it is. `expected_total` None: unknown."""

    id: UUID
    connection_id: UUID | None
    connection_name: str | None
    kind: str
    trigger: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    done: int
    expected_total: int | None
    counts: dict[str, Any]
    error: str
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class Attention:
    """What needs a person; each count stops at COUNT_LIMIT."""

    orders: int
    shortages: int
    listings: int
    connections: int
    inbox: int
    shipments: int
    jobs: int
    conflicts: int
    matching: int
    first: int

    @property
    def total(self) -> int:
        """All of it."""
        channels = self.listings + self.connections + self.inbox + self.conflicts + self.matching + self.first
        return self.orders + self.shortages + self.shipments + self.jobs + channels


@dataclass(frozen=True, slots=True)
class TroubleView:
    """A listing whose quantity differs or is parked."""

    cell: ListingCell
    sku: str
    connection_name: str


@dataclass(frozen=True, slots=True)
class InboxView:
    """A webhook delivery that waits or was parked."""

    id: UUID
    topic: str
    state: str
    detail: str
    attempts: int
    received_at: datetime


_CELL = """q.listing_id, q.variant_id, q.connection_id, q.desired, q.expected, q.published, q.reported, q.state,
           q.detail, q.published_at, q.reported_at, q.next_attempt_at"""


def _cell(row: Any) -> ListingCell:
    return ListingCell(**{name: row[name] for name in ListingCell.__slots__})


async def listing_cells(tx: Tx, variant_ids: Sequence[UUID]) -> tuple[ListingCell, ...]:
    """Return the quantities of all active listings of these variants."""
    rows = await tx.fetch(
        f"""select {_CELL} from listing_quantity q
            join listing l on l.organisation_id = q.organisation_id and l.id = q.listing_id and l.active
            where q.organisation_id = $1 and q.variant_id = any($2)
            order by q.variant_id, q.connection_id, q.listing_id""",
        tx.organisation,
        list(variant_ids),
    )
    return tuple(_cell(row) for row in rows)


async def waiting_variants(tx: Tx, limit: int = 300) -> list[UUID]:
    """Return some variants with a quantity to send."""
    rows = await tx.fetch(
        """select distinct variant_id from (select variant_id from listing_quantity
           where organisation_id = $1 and state in ('pending', 'waiting') limit $2) s""",
        tx.organisation,
        limit,
    )
    return [row["variant_id"] for row in rows]


async def explain(tx: Tx, listing_id: UUID) -> Explanation:
    """Return why the listing shows its quantity. Raises NotFound."""
    row = await tx.fetch_row(
        f"""select {_CELL}, coalesce(v.sku, l.sku, '') as sku, c.name as connection_name, l.external_id,
                   q.desired_reason, q.desired_at, q.attempts
            from listing_quantity q
            join listing l on l.organisation_id = q.organisation_id and l.id = q.listing_id
            join connection c on c.organisation_id = q.organisation_id and c.id = q.connection_id
            left join variant v on v.organisation_id = q.organisation_id and v.id = q.variant_id
            where q.organisation_id = $1 and q.listing_id = $2""",
        tx.organisation,
        listing_id,
    )
    if row is None:
        raise NotFound("There is no such listing, or its quantity is not worked out yet.")
    return Explanation(
        cell=_cell(row),
        sku=row["sku"],
        connection_name=row["connection_name"],
        external_id=row["external_id"],
        reason=row["desired_reason"] or {},
        desired_at=row["desired_at"],
        attempts=row["attempts"],
    )


async def channel_overview(tx: Tx, connection_id: UUID | None = None) -> tuple[ChannelOverview, ...]:
    """Return the connections (or one) with state, health, last pull and queues, by name; disconnected ones last."""
    rows = await tx.fetch(
        """
        select c.id, c.channel, c.name, c.environment, c.state, c.state_reason, c.created_at,
               h.status as health, coalesce(h.reason, '') as health_reason, h.latency_ms,
               k.pulled_at, k.complete_until,
               (select count(*) from listing l where l.organisation_id = c.organisation_id
                and l.connection_id = c.id and l.active) as listings,
               (select count(*) from listing l where l.organisation_id = c.organisation_id
                and l.connection_id = c.id and l.active and l.variant_id is not null) as matched,
               (select count(*) from (select 1 from listing_quantity q where q.organisation_id = c.organisation_id
                and q.connection_id = c.id and q.state in ('pending', 'waiting') limit $3) s) as waiting,
               (select count(*) from (select 1 from listing_quantity q where q.organisation_id = c.organisation_id
                and q.connection_id = c.id and q.state in ('differs', 'parked') limit $3) s) as trouble,
               (select count(*) from (select 1 from webhook_inbox w where w.organisation_id = c.organisation_id
                and w.connection_id = c.id and w.state = 'pending' limit $3) s) as inbox
        from connection c
        left join lateral (select status, reason, latency_ms from connection_health h
                           where h.organisation_id = c.organisation_id and h.connection_id = c.id
                           order by h.at desc limit 1) h on true
        left join lateral (select max(k.pulled_at) as pulled_at, max(k.complete_until) as complete_until
                           from pull_cursor k where k.organisation_id = c.organisation_id
                           and k.connection_id = c.id) k on true
        where c.organisation_id = $1 and ($2::uuid is null or c.id = $2)
        order by c.state = 'disconnected', c.name""",
        tx.organisation,
        connection_id,
        COUNT_LIMIT,
    )
    return tuple(ChannelOverview(**dict(row)) for row in rows)


async def listing_names(tx: Tx, listing_ids: Sequence[UUID]) -> dict[UUID, tuple[str, str]]:
    """Return (SKU, connection's name) of these listings."""
    rows = await tx.fetch(
        """select l.id, v.sku, c.name from listing l
           join connection c on c.organisation_id = l.organisation_id and c.id = l.connection_id
           join variant v on v.organisation_id = l.organisation_id and v.id = l.variant_id
           where l.organisation_id = $1 and l.id = any($2::uuid[])""",
        tx.organisation,
        list(listing_ids),
    )
    return {row["id"]: (row["sku"], row["name"]) for row in rows}


async def connection_names(tx: Tx) -> dict[UUID, str]:
    """Return the names of the connections that are not disconnected, by name."""
    rows = await tx.fetch(
        "select id, name from connection where organisation_id = $1 and state <> 'disconnected' order by name",
        tx.organisation,
    )
    return {row["id"]: row["name"] for row in rows}


async def health_history(tx: Tx, connection_id: UUID, limit: int = 50) -> tuple[HealthView, ...]:
    """Return the newest health readings of a connection, newest first."""
    rows = await tx.fetch(
        """select at, status, reason, latency_ms from connection_health
           where organisation_id = $1 and connection_id = $2 order by at desc limit $3""",
        tx.organisation,
        connection_id,
        limit,
    )
    return tuple(HealthView(**dict(row)) for row in rows)


async def attention(tx: Tx) -> Attention:
    """Return what needs a person."""
    row = await tx.fetch_row(
        """select
        (select count(*) from (select 1 from sales_order where organisation_id = $1
           and (has_exception or has_shortage) and status in ('pending', 'open', 'partly_shipped')
           limit $2) s) as orders,
        (select count(*) from (select distinct variant_id from shortage where organisation_id = $1 and state = 'open'
           limit $2) s) as shortages,
        (select count(*) from (select 1 from listing_quantity where organisation_id = $1
           and state in ('differs', 'parked') limit $2) s) as listings,
        (select count(*) from connection where organisation_id = $1 and state = 'needs_attention') as connections,
        (select count(*) from (select 1 from connection c join webhook_inbox w on w.organisation_id = c.organisation_id
           and w.connection_id = c.id and w.state = 'parked' where c.organisation_id = $1 limit $2) s) as inbox,
        (select count(*) from (select 1 from shipment where organisation_id = $1 and push_state = 'parked'
           limit $2) s) as shipments,
        (select count(*) from (select 1 from job where organisation_id = $1 and state = 'held' limit $2) s) as jobs,
        (select count(*) from (select 1 from conflict where organisation_id = $1 and state = 'open'
           and (kind in ('price', 'content', 'duplicate_sale') or why = 'stock_swing') limit $2) s) as conflicts,
        (select count(*) from (select distinct c.listing_id from match_candidate c
           join listing l on l.organisation_id = $1 and l.id = c.listing_id and l.variant_id is null and l.active
           where c.organisation_id = $1 and c.state = 'open' limit $2) s) as matching,
        (select count(*) from first_contact f join connection c on c.organisation_id = $1 and c.id = f.connection_id
           and c.state <> 'disconnected' where f.organisation_id = $1 and f.decided_at is null
           and exists (select 1 from listing_field w where w.organisation_id = $1 and w.connection_id = f.connection_id
                       and w.state = 'first')) as first""",
        tx.organisation,
        COUNT_LIMIT,
    )
    if row is None:
        raise LookupError("a select without a from clause has one row")
    return Attention(**dict(row))


async def troubled_listings(tx: Tx, connection_id: UUID | None = None, limit: int = 50) -> tuple[TroubleView, ...]:
    """Return listings whose quantity differs or is parked."""
    rows = await tx.fetch(
        f"""select {_CELL}, v.sku, c.name as connection_name from listing_quantity q
            join variant v on v.organisation_id = q.organisation_id and v.id = q.variant_id
            join connection c on c.organisation_id = q.organisation_id and c.id = q.connection_id
            where q.organisation_id = $1 and q.state in ('differs', 'parked')
              and ($2::uuid is null or q.connection_id = $2)
            order by q.updated_at desc limit $3""",
        tx.organisation,
        connection_id,
        limit,
    )
    return tuple(TroubleView(_cell(row), row["sku"], row["connection_name"]) for row in rows)


async def inbox_trouble(tx: Tx, connection_id: UUID, limit: int = 20) -> tuple[InboxView, ...]:
    """Return the deliveries of a connection that are parked or were tried before, newest first."""
    rows = await tx.fetch(
        """select id, topic, state, detail, attempts, received_at from webhook_inbox
           where organisation_id = $1 and connection_id = $2
             and (state = 'parked' or (state = 'pending' and attempts > 0)) order by id desc limit $3""",
        tx.organisation,
        connection_id,
        limit,
    )
    return tuple(InboxView(**dict(row)) for row in rows)


_RUN = """
    select r.id, r.connection_id, c.name as connection_name, r.kind, r.trigger, r.state, r.started_at, r.finished_at,
           r.done, r.expected_total, r.counts, r.error, r.cancel_requested
    from sync_run r left join connection c on c.organisation_id = r.organisation_id and c.id = r.connection_id
    where r.organisation_id = $1
"""


async def list_runs(
    tx: Tx, connection_id: UUID | None = None, state: str | None = None, cursor: str | None = None, limit: int = 50
) -> Slice[RunView]:
    """Return sync runs, newest first. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, datetime, UUID)
    rows = await tx.fetch(
        f"""{_RUN} and ($2::uuid is null or r.connection_id = $2) and ($3::text is null or r.state = $3)
            and ($4::timestamptz is null or (r.started_at, r.id) < ($4, $5::uuid))
            order by r.started_at desc, r.id desc limit $6""",
        tx.organisation,
        connection_id,
        state,
        after[0] if after else None,
        after[1] if after else None,
        limit + 1,
    )
    items = [RunView(**dict(row)) for row in rows]
    last = items[limit - 1] if len(items) > limit else None
    return slice_of(items, limit, (last.started_at, last.id) if last else None)


async def running_runs(tx: Tx, limit: int = 20) -> tuple[RunView, ...]:
    """Return the runs that go on or are queued, newest first."""
    rows = await tx.fetch(
        f"{_RUN} and r.state in ('queued', 'running') order by r.started_at desc limit $2", tx.organisation, limit
    )
    return tuple(RunView(**dict(row)) for row in rows)


async def run_detail(tx: Tx, run_id: UUID) -> RunView:
    """Return one run. Raises NotFound."""
    row = await tx.fetch_row(f"{_RUN} and r.id = $2", tx.organisation, run_id)
    if row is None:
        raise NotFound("There is no such sync run.")
    return RunView(**dict(row))
