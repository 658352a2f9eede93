"""Statements of the reconcilers. Lists for people are in reading.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx

STATE_NOW = """case
    when {q}.state in ('sending', 'parked') then {q}.state
    when {desired} is not distinct from {expected} and not {uncertain} then 'in_step'
    else 'pending' end"""


UPSERT_DESIRED = f"""
insert into listing_quantity as q (organisation_id, listing_id, connection_id, variant_id, desired, desired_reason, waits,
    desired_at, state, check_at)
select $1, i.*, now(), 'pending', now()
from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::jsonb[], $7::boolean[]) as i
order by 2
on conflict (organisation_id, listing_id) do update set
    desired = excluded.desired, desired_reason = excluded.desired_reason, waits = excluded.waits,
    desired_at = case when q.desired is distinct from excluded.desired then now() else q.desired_at end,
    variant_id = excluded.variant_id, next_attempt_at = null, updated_at = now(),
    raise_wanted_at = case when excluded.desired > q.expected then coalesce(q.raise_wanted_at, now()) end,
    state = {STATE_NOW.format(q="q", desired="excluded.desired", expected="q.expected", uncertain="q.uncertain")}
where q.desired is distinct from excluded.desired or q.variant_id <> excluded.variant_id or q.waits <> excluded.waits
returning q.connection_id
"""

Wanted = tuple[UUID, UUID, UUID, int, Mapping[str, Any], bool]


async def put_desired(tx: Tx, rows: Sequence[Wanted]) -> set[UUID]:
    """Set what listings shall show: (listing, connection, variant, quantity, reason, whether it waits for others to show less).

    Return the connections concerned.
    """
    if not rows:
        return set()
    found = await tx.fetch(UPSERT_DESIRED, tx.organisation, *map(list, zip(*rows, strict=True)))
    return {row[0] for row in found}


SOLD = f"""
with matched as (
    select coalesce(l.id, (select o.listing_id from listing_quantity o
                           where o.organisation_id = $1 and o.variant_id = i.variant_id and o.connection_id = $2
                           order by o.listing_id limit 1)) as listing_id, i.units, i.placed_at
    from unnest($3::text[], $4::uuid[], $5::bigint[], $6::timestamptz[]) as i(external_id, variant_id, units, placed_at)
    left join listing l on l.organisation_id = $1 and l.connection_id = $2 and l.external_id = i.external_id
), counted as (
    select m.listing_id, sum(m.units)::bigint as units,
           coalesce(sum(m.units) filter (where m.units > 0 and m.placed_at <= b.reported_at + make_interval(secs => $8)), 0)
               ::bigint as seen
    from matched m join listing_quantity b on b.organisation_id = $1 and b.listing_id = m.listing_id
    where m.units < 0 or b.believed_at is null or m.placed_at > b.believed_at + make_interval(secs => $8)
    group by 1
)
update listing_quantity q
set expected = q.expected - m.units, gap = q.gap + m.seen, uncertain = q.uncertain or $7, updated_at = now(),
    swing_at = case when m.units >= 0 or q.swing_to < q.swing_from then q.swing_at end,
    raise_wanted_at = case when q.desired > q.expected - m.units then coalesce(q.raise_wanted_at, now()) end,
    state = {STATE_NOW.format(q="q", desired="q.desired", expected="q.expected - m.units", uncertain="(q.uncertain or $7)")}
from counted m
where q.organisation_id = $1 and q.listing_id = m.listing_id and q.expected is not null
"""

Sale = tuple[str, UUID, int, datetime]
"""(external id, variant, units, when it was placed by our clock)"""


async def count_sold(
    tx: Tx, connection_id: UUID, sold: Sequence[Sale], *, absolute: bool, clock_error_s: float
) -> None:
    """Take known sales off what the listings of a connection are expected to show (negative units: cancelled ones back).

    A sale from before a reading that was believed may be in what was read: taking it off again could offer a unit twice,
    not taking it off offers one too few until the next comparison. What explains a difference that was read makes it smaller
    by that. `clock_error_s`: how far the channel's times may be off.
    `absolute`: the channel overwrites, so a sale may have been before or after the last write there.
    """
    if sold:
        rows = map(list, zip(*sold, strict=True))
        await tx.execute(SOLD, tx.organisation, connection_id, *rows, absolute, clock_error_s)


FEW = 10
"""Up to so many units left, a listing that shows too much is the more urgent the fewer they are."""

DUE = f"""
with due as (
    select w.listing_id from listing_quantity w
    join listing a on a.organisation_id = $1 and a.id = w.listing_id and a.active
    where w.organisation_id = $1 and w.connection_id = $2 and w.state in ('pending', 'waiting') and w.desired is not null
      and (w.next_attempt_at is null or w.next_attempt_at <= $3)
    order by w.desired > w.expected, case when w.desired <= w.expected then least(w.desired, {FEW}) end,
             w.published_at nulls first
    limit $4
)
select q.listing_id, q.variant_id, q.desired, q.expected, q.published_at, q.uncertain, q.raise_wanted_at, q.attempts, q.gap,
       q.believed_at, l.external_id, l.keys, l.sku
from due
join listing_quantity q on q.organisation_id = $1 and q.listing_id = due.listing_id
join listing l on l.organisation_id = $1 and l.id = q.listing_id
where q.state in ('pending', 'waiting') and l.active
order by q.listing_id
for update of q
"""

LOCK_VARIANTS = """
select listing_id from listing_quantity where organisation_id = $1 and variant_id = any($2::uuid[])
order by listing_id for update
"""


async def forget_unmatched(tx: Tx, listing_ids: Sequence[UUID]) -> None:
    """Delete the quantities of these listings, those that have no variant now."""
    await tx.execute(
        """
        delete from listing_quantity q using listing l
        where q.organisation_id = $1 and q.listing_id = any($2::uuid[]) and l.organisation_id = $1
          and l.id = q.listing_id and l.variant_id is null
        """,
        tx.organisation,
        listing_ids,
    )


async def lock_variants(tx: Tx, variant_ids: Sequence[UUID]) -> None:
    """Lock all listings of these variants in the one order, before anything of them is changed."""
    if variant_ids:
        await tx.execute(LOCK_VARIANTS, tx.organisation, variant_ids)


async def due_quantities(tx: Tx, connection_id: UUID, now: datetime, limit: int) -> list[Any]:
    """Lock and return listings that differ from what we want and may be worked on, the most urgent first.

    That is lowering before raising; of lowering what has few units left; then what was written longest ago.
    """
    rows = await tx.fetch(DUE, tx.organisation, connection_id, now, limit)
    return sorted(rows, key=_urgency)


def _urgency(row: Any) -> tuple[Any, ...]:
    desired, raising = row["desired"] or 0, (row["desired"] or 0) > (row["expected"] or 0)
    return raising, 0 if raising else min(desired, FEW), row["published_at"] is not None, row["published_at"]


async def lock_stale(tx: Tx, listing_ids: Sequence[UUID]) -> list[Any]:
    """Lock and return these listings where nothing is being written, like `due_quantities`."""
    return await tx.fetch(
        """
        select q.listing_id, q.variant_id, q.desired, q.expected, q.published_at, q.uncertain, q.raise_wanted_at,
               q.gap, q.believed_at, q.attempts, l.external_id, l.keys, l.sku
        from listing_quantity q
        join listing l on l.organisation_id = $1 and l.id = q.listing_id
        where q.organisation_id = $1 and q.listing_id = any($2::uuid[]) and q.state in ('pending', 'waiting')
        order by q.listing_id for update of q
        """,
        tx.organisation,
        listing_ids,
    )


async def postpone(tx: Tx, rows: Sequence[tuple[UUID, str]], until: datetime, *, state: str = "waiting") -> None:
    """Leave listings alone until a time: (listing, why)."""
    if rows:
        await tx.execute(
            """
            update listing_quantity q
            set state = $3, next_attempt_at = $2, detail = i.detail, updated_at = now(),
                raise_wanted_at = case when q.desired > q.expected then coalesce(q.raise_wanted_at, now())
                                  else q.raise_wanted_at end
            from unnest($4::uuid[], $5::text[]) as i(listing_id, detail)
            where q.organisation_id = $1 and q.listing_id = i.listing_id and q.state in ('pending', 'waiting')
            """,
            tx.organisation,
            until,
            state,
            *map(list, zip(*rows, strict=True)),
        )


async def lock_listings(tx: Tx, listing_ids: Sequence[UUID]) -> None:
    """Lock these listings in the one order, before anything of them is changed."""
    await tx.execute(
        "select listing_id from listing_quantity where organisation_id = $1 and listing_id = any($2::uuid[])"
        " order by listing_id for update",
        tx.organisation,
        listing_ids,
    )


async def make_certain(tx: Tx, listing_ids: Sequence[UUID]) -> None:
    """These show what we expect: nothing of them is in doubt any more.

    Where they may have shown more before, unknown sales may have brought them down to that until now.
    """
    if listing_ids:
        await tx.execute(
            "update listing_quantity set uncertain = false, updated_at = now(),"
            " published_at = case when shown_before is null then published_at else now() end,"
            " state = case when desired is not distinct from expected then 'in_step' else 'pending' end"
            " where organisation_id = $1 and listing_id = any($2::uuid[]) and state in ('pending', 'waiting')",
            tx.organisation,
            listing_ids,
        )


async def settle(tx: Tx, listing_ids: Sequence[UUID]) -> None:
    """These need nothing: note that they are in step."""
    if listing_ids:
        await tx.execute(
            "update listing_quantity set state = 'in_step', detail = '', next_attempt_at = null, raise_wanted_at = null,"
            " updated_at = now() where organisation_id = $1 and listing_id = any($2::uuid[])"
            " and state in ('pending', 'waiting') and desired is not distinct from expected and not uncertain",
            tx.organisation,
            listing_ids,
        )


async def put_imported(tx: Tx, connection_id: UUID, rows: Sequence[tuple[UUID, UUID, int]], read_at: datetime) -> None:
    """Take over what a channel shows for listings that are new to us: (listing, variant, quantity).

    For listings that we know already a difference is looked into.
    """
    if rows:
        await tx.execute(
            """
            insert into listing_quantity as q (organisation_id, listing_id, connection_id, variant_id, expected, reported,
                reported_at, state)
            select $1, i.listing_id, $2, i.variant_id, i.quantity, i.quantity, $3::timestamptz, 'pending'
            from unnest($4::uuid[], $5::uuid[], $6::bigint[]) as i(listing_id, variant_id, quantity)
            order by i.listing_id
            on conflict (organisation_id, listing_id) do update set check_at = least(q.check_at, $3::timestamptz)
            where q.expected is distinct from excluded.expected and q.sending_to is distinct from excluded.expected
            """,
            tx.organisation,
            connection_id,
            read_at,
            *map(list, zip(*rows, strict=True)),
        )


async def park(tx: Tx, listing_ids: Sequence[UUID], detail: str) -> None:
    """Put listings aside with a reason until a person acts."""
    await tx.execute(
        "update listing_quantity set state = 'parked', detail = $3, check_at = null, updated_at = now()"
        " where organisation_id = $1 and listing_id = any($2::uuid[])",
        tx.organisation,
        listing_ids,
        detail,
    )


async def unpark(tx: Tx, *, connection_id: UUID | None, listing_id: UUID | None) -> int:
    """Try parked listings again; return how many."""
    return await tx.execute(
        "update listing_quantity set state = 'pending', attempts = 0, next_attempt_at = null, detail = '', check_at = now()"
        " where organisation_id = $1 and state = 'parked' and ($2::uuid is null or connection_id = $2)"
        " and ($3::uuid is null or listing_id = $3)",
        tx.organisation,
        connection_id,
        listing_id,
    )


DUE_WORK = """
with active as (
    select c.id, c.sync_interval_s, p.pull_started_at, p.pulled_at, p.pull_wanted_at, p.listings_pulled_at,
           p.drift_checked_at, p.listings_wanted_at
    from connection c
    left join connection_progress p on p.organisation_id = $1 and p.connection_id = c.id
    where c.organisation_id = $1 and c.state = 'active'
)
select
    exists (select 1 from outbox where organisation_id = $1) as react,
    exists (select 1 from reservation where organisation_id = $1 and state = 'active' and expires_at <= $2) as expire,
    exists (select 1 from routing_request where organisation_id = $1 and due_at <= $2) as route,
    array(select id from active a where exists (
        select 1 from webhook_inbox w where w.organisation_id = $1 and w.connection_id = a.id and w.state = 'pending'
        and w.next_attempt_at <= $2)) as inbox,
    array(select id from active where pull_started_at is null
        or coalesce(pulled_at, pull_started_at) + make_interval(secs => sync_interval_s) <= $2
        or ((pull_wanted_at > pull_started_at or pulled_at is null or pulled_at < pull_started_at)
            and pull_started_at + make_interval(secs => $4::float8) <= $2)) as pull,
    array(select id from active a where exists (
        select 1 from listing_quantity q where q.organisation_id = $1 and q.connection_id = a.id
        and q.state in ('pending', 'waiting') and (q.next_attempt_at is null or q.next_attempt_at <= $2))
        or exists (select 1 from push_batch b where b.organisation_id = $1 and b.connection_id = a.id
        and b.state <> 'done' and (b.next_attempt_at is null or b.next_attempt_at <= $2))) as push,
    array(select id from active a where exists (
        select 1 from listing_quantity q where q.organisation_id = $1 and q.connection_id = a.id
        and q.check_at <= $2)) as check,
    array(select id from active where greatest(listings_pulled_at, drift_checked_at) is null
        or greatest(listings_pulled_at, drift_checked_at) <= $3
        or greatest(listings_pulled_at, drift_checked_at) + make_interval(secs => $5::float8) <= $2
           and listings_wanted_at is not null) as listings,
    array(select id from active a where exists (
        select 1 from listing_reading r where r.organisation_id = $1 and r.connection_id = a.id
        and r.merge_wanted_at is not null)) as merge,
    array(select id from active a where exists (
        select 1 from listing_reading r where r.organisation_id = $1 and r.connection_id = a.id
        and r.read_wanted_at <= $2)) as read,
    array(select id from active a where exists (
        select 1 from listing_field f where f.organisation_id = $1 and f.connection_id = a.id
        and f.state = 'out' and (f.next_attempt_at is null or f.next_attempt_at <= $2))
        or exists (select 1 from field_batch b where b.organisation_id = $1 and b.connection_id = a.id
        and b.state <> 'done' and (b.next_attempt_at is null or b.next_attempt_at <= $2))) as fields,
    array(select id from active a where exists (
        select 1 from listing_intent i where i.organisation_id = $1 and i.connection_id = a.id
        and i.state in ('publishing', 'ending') and i.batch_id is null
        and (i.next_attempt_at is null or i.next_attempt_at <= $2))
        or exists (select 1 from publish_batch b where b.organisation_id = $1 and b.connection_id = a.id
        and b.state <> 'done' and (b.next_attempt_at is null or b.next_attempt_at <= $2))) as publish,
    array(select distinct o.connection_id from shipment s
        join sales_order o on o.organisation_id = $1 and o.id = s.order_id
        where s.organisation_id = $1 and s.push_state = 'pending'
          and (s.next_attempt_at is null or s.next_attempt_at <= $2)) as ship
"""


async def due_work(
    tx: Tx, now: datetime, drift_before: datetime, pull_spacing_s: float, listings_spacing_s: float
) -> Any:
    """Return which lanes have work: booleans for the organisation's, connection ids for the others."""
    return await tx.fetch_row(DUE_WORK, tx.organisation, now, drift_before, pull_spacing_s, listings_spacing_s)
