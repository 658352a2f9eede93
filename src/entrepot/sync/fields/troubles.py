"""Conflicts that are not of fields: stock that differs, units that are missing, sales that look like one told twice.

They follow what other tables say: opened while it is so, ended when it is not. Quantities are reconciled as ever, not here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from entrepot.database.pool import Tx
from entrepot.jobs.lanes import LaneKey
from entrepot.orders import facade as orders
from entrepot.sync.context import SyncContext
from entrepot.sync.fields import conflict_store
from entrepot.sync.fields.conflict_store import Found

EVERY_S = 60.0
STANDS_S = 60.0
"""A difference of stock that has stood for so long is shown; most are sales whose order is on its way."""
TWICE = timedelta(minutes=10)
"""Two orders so close together, of one buyer and of the same goods on two channels, may be one."""
LOOK_BACK = timedelta(days=1)
SETTLE_MOST = 500

_STOCK = """
select 'stock' as kind, q.listing_id as subject_id, 'quantity' as field, q.connection_id, q.variant_id, 'stock' as why,
       to_jsonb(coalesce(q.expected, q.published)::text) as base, to_jsonb(q.desired::text) as ours,
       to_jsonb(q.reported::text) as theirs, q.desired_at as ours_at, q.reported_at as theirs_at,
       least(90, 60 + abs(coalesce(q.reported - q.expected, 0)))::smallint as risk
from listing_quantity q
where q.organisation_id = $1 and q.swing_at is null
  and ((q.gap is not null and q.gap <> 0 and q.gap_at <= $2) or q.state in ('differs', 'parked'))
"""
_SWING = """
select 'stock', q.listing_id, 'quantity', q.connection_id, q.variant_id, 'stock_swing', to_jsonb(q.swing_from::text),
       to_jsonb(q.desired::text), to_jsonb(q.swing_to::text), q.desired_at, q.swing_at, 92::smallint
from listing_quantity q
where q.organisation_id = $1 and q.swing_at is not null and (q.swing_to < q.swing_from or q.swing_at <= $2)
"""
_OVERSELL = """
select 'oversell', s.id, 'units', null::uuid, s.variant_id, 'oversell', null::jsonb, to_jsonb('0'::text),
       to_jsonb(s.quantity::text), null::timestamptz, s.created_at, least(100, 90 + s.quantity)::smallint
from shortage s where s.organisation_id = $1 and s.state = 'open'
"""
_DUPLICATE = """
select 'duplicate_sale', b.id, 'order', b.connection_id, null::uuid, 'duplicate_sale', null::jsonb,
       to_jsonb(ca.name || ' ' || a.number), to_jsonb(cb.name || ' ' || b.number), a.placed_at, b.placed_at, 88::smallint
from sales_order b
join lateral (
    select o.* from sales_order o
    where o.organisation_id = $1 and o.connection_id <> b.connection_id and o.status <> 'cancelled'
      and (o.placed_at, o.id) < (b.placed_at, b.id) and o.currency = b.currency and o.total_minor = b.total_minor
      and o.buyer_email = b.buyer_email and o.buyer_email <> '' and o.placed_at >= b.placed_at - $4::interval
    order by o.placed_at desc, o.id desc limit 1
) a on true
join connection ca on ca.organisation_id = $1 and ca.id = a.connection_id
join connection cb on cb.organisation_id = $1 and cb.id = b.connection_id
where b.organisation_id = $1 and b.status in ('pending', 'open', 'partly_shipped') and b.placed_at >= $3 and b.buyer_email <> ''
  and (select array_agg(coalesce(variant_id::text, sku) || ' ' || quantity order by coalesce(variant_id::text, sku), quantity)
       from order_line where organisation_id = $1 and order_id = a.id)
    = (select array_agg(coalesce(variant_id::text, sku) || ' ' || quantity order by coalesce(variant_id::text, sku), quantity)
       from order_line where organisation_id = $1 and order_id = b.id)
"""
_ALL = f"{_STOCK} union all {_SWING} union all {_OVERSELL} union all {_DUPLICATE}"
END = f"""
with found as materialized ({_ALL})
update conflict c set state = 'gone', resolved_at = now(), updated_at = now(),
    history = c.history || jsonb_build_array(jsonb_build_object('at', now(), 'what', 'gone'))
where c.organisation_id = $1 and c.state = 'open' and c.kind in ('stock', 'oversell', 'duplicate_sale')
  and not exists (select 1 from found f where f.subject_id = c.subject_id and f.field = c.field)
"""
FIND = f"""
with found as materialized ({_ALL})
select f.* from found f
where not exists (
    -- What a person has said about this stays said, until it is something else.
    select 1 from conflict o where o.organisation_id = $1 and o.subject_id = f.subject_id and o.field = f.field
    and o.state = 'resolved' and o.ours is not distinct from f.ours and o.theirs is not distinct from f.theirs
    and (f.kind = 'duplicate_sale' or o.resolved_at > $2))
order by f.subject_id, f.field
"""


async def refresh(tx: Tx, now: datetime) -> None:
    """Open and end conflicts of stock, missing units and double sales as things stand now."""
    times = now - timedelta(seconds=STANDS_S), now - LOOK_BACK, TWICE
    await tx.execute(END, tx.organisation, *times)
    rows = await tx.fetch(FIND, tx.organisation, *times)
    await conflict_store.put(
        tx,
        [
            Found(
                kind=row["kind"], subject_id=row["subject_id"], field=row["field"], connection_id=row["connection_id"],
                variant_id=row["variant_id"], why=row["why"], base=row["base"], ours=row["ours"], theirs=row["theirs"],
                ours_by="", ours_at=row["ours_at"], theirs_at=row["theirs_at"], sources={}, suggestion=None,
                risk=row["risk"],
            )
            for row in rows
        ],
    )  # fmt: skip


async def troubles_step(context: SyncContext, key: LaneKey) -> float | None:
    """Look after an organisation's conflicts that are not of fields, and after lines that wait for what is known."""
    now = context.clock()
    async with context.database.transaction(key.organisation_id) as tx:
        settled = await orders.settle_known(tx, SETTLE_MOST)
    async with context.database.transaction(key.organisation_id) as tx:
        await refresh(tx, now)
    context.looked_at[key.organisation_id] = now
    return 0.0 if settled == SETTLE_MOST else EVERY_S
