"""What pages and the API read of allocation: policies, limits, what was learned. Select statements only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from entrepot.allocation import store_forecast
from entrepot.allocation.bunching import SCALES_S, read_plain
from entrepot.allocation.cases import Case, Live, load_cases
from entrepot.allocation.contracts import Outlet, Policy
from entrepot.allocation.learning import HABITS_KEPT, HEARD, LAGS_LEAST, SHOWN, Learning, lag_sketches
from entrepot.allocation.risk import chance_of_oversell, mode_of
from entrepot.allocation.strategies import DAY_S, exposure
from entrepot.database.pool import Tx
from entrepot.kernel.paging import Slice, bounded, decode_cursor, encode_cursor, slice_of

_PATHS = """
    with recursive path as (
        select id, name as path from category where organisation_id = $1 and parent_id is null
        union all
        select c.id, path.path || ' › ' || c.name
        from path join category c on c.organisation_id = $1 and c.parent_id = path.id
    )
"""


# ---- policies --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy that somebody set. `name`: of the category (with its parents) or product; empty for the shop."""

    id: UUID
    scope: str
    scope_id: UUID | None
    name: str
    strategy: str
    parameters: Mapping[str, Any]
    updated_at: datetime


async def list_policies(tx: Tx, cursor: str | None = None, limit: int = 50) -> Slice[PolicyRow]:
    """Return the policies: the shop's, those of categories, those of products, each by name. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, int, str, UUID)
    rows = await tx.fetch(
        f"""
        {_PATHS}, named as (
            select a.id, a.scope, a.scope_id, a.strategy, a.parameters, a.updated_at,
                   case a.scope when 'shop' then 0 when 'category' then 1 else 2 end as place,
                   coalesce(path.path, p.title, '') as name
            from allocation_policy a
            left join path on a.scope = 'category' and path.id = a.scope_id
            left join product p on a.scope = 'product' and p.organisation_id = $1 and p.id = a.scope_id
            where a.organisation_id = $1
        )
        select * from named where ($2::integer is null or (place, name, id) > ($2, $3::text, $4::uuid))
        order by place, name, id limit $5
        """,
        tx.organisation,
        *(after or (None, None, None)),
        limit + 1,
    )
    names = PolicyRow.__slots__
    items = [PolicyRow(**{name: row[name] for name in names}) for row in rows]
    last = rows[limit - 1] if len(rows) > limit else None
    return slice_of(items, limit, (last["place"], last["name"], last["id"]) if last else None)


async def category_paths(tx: Tx, limit: int = 500) -> list[tuple[UUID, str]]:
    """Return categories with their parents' names, by name."""
    rows = await tx.fetch(f"{_PATHS} select id, path from path order by path limit $2", tx.organisation, limit)
    return [(row["id"], row["path"]) for row in rows]


async def product_handles(tx: Tx, ids: Sequence[UUID]) -> dict[str, str]:
    """Return product id (as text) -> handle."""
    rows = await tx.fetch(
        "select id, handle from product where organisation_id = $1 and id = any($2::uuid[])", tx.organisation, list(ids)
    )
    return {str(row["id"]): row["handle"] for row in rows}


async def products_by_handle(tx: Tx, handles: Sequence[str]) -> dict[str, str]:
    """Return handle -> product id (as text) of those that exist."""
    rows = await tx.fetch(
        "select id, handle from product where organisation_id = $1 and handle = any($2::text[])",
        tx.organisation,
        list(handles),
    )
    return {row["handle"]: str(row["id"]) for row in rows}


async def product_by_sku(tx: Tx, sku: str) -> UUID | None:
    """Return the product of a SKU, or of a handle; None if there is neither."""
    found: UUID | None = await tx.fetch_value(
        """
        select coalesce((select product_id from variant where organisation_id = $1 and sku = $2),
                        (select id from product where organisation_id = $1 and handle = $2))
        """,
        tx.organisation,
        sku,
    )
    return found


async def channels_connected(tx: Tx) -> list[str]:
    """Return the channels that sell, in order of priority."""
    rows = await tx.fetch(
        "select channel from connection where organisation_id = $1 and state <> 'disconnected' and not fulfilment_only"
        " group by channel order by min(priority), min(created_at)",
        tx.organisation,
    )
    return [row["channel"] for row in rows]


async def name_of(tx: Tx, scope: str, scope_id: UUID | None) -> str:
    """Return the name of a category (with its parents), product or variant; empty if there is none."""
    statement = {
        "category": f"{_PATHS} select path from path where id = $2",
        "product": "select title from product where organisation_id = $1 and id = $2",
        "variant": "select sku from variant where organisation_id = $1 and id = $2",
    }.get(scope)
    return (await tx.fetch_value(statement, tx.organisation, scope_id) if statement else "") or ""


# ---- limits ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit of a product or variant (`name`: its title or SKU) on a connection (None: on all)."""

    id: UUID
    scope: str
    scope_id: UUID
    name: str
    connection_id: UUID | None
    connection: str
    buffer: int | None
    cap: int | None
    least: int | None
    updated_at: datetime


async def list_limits(tx: Tx, cursor: str | None = None, limit: int = 50, search: str = "") -> Slice[LimitRow]:
    """Return the limits by name; `search`: the beginning of a SKU or part of a title. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, str, UUID)
    rows = await tx.fetch(
        """
        select a.id, a.scope, a.scope_id, n.name, a.connection_id, coalesce(c.name, '') as connection, a.buffer, a.cap,
               a.least, a.updated_at
        from allocation_limit a
        left join connection c on c.organisation_id = $1 and c.id = a.connection_id
        left join product p on a.scope = 'product' and p.organisation_id = $1 and p.id = a.scope_id
        left join variant v on a.scope = 'variant' and v.organisation_id = $1 and v.id = a.scope_id
        cross join lateral (select coalesce(v.sku, p.title, '') as name) n
        where a.organisation_id = $1 and ($2::text is null or (n.name, a.id) > ($2, $3::uuid))
          and ($4 = '' or v.sku ^@ $4 or position(lower($4) in lower(coalesce(p.title, ''))) > 0)
        order by n.name, a.id limit $5
        """,
        tx.organisation,
        *(after or (None, None)),
        search,
        limit + 1,
    )
    items = [LimitRow(**dict(row)) for row in rows]
    last = items[limit - 1] if len(items) > limit else None
    return slice_of(items, limit, (last.name, last.id) if last else None)


# ---- what was learned ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LagRow:
    """How long a connection takes: until a sale there is heard of, or until it shows a lower number. Seconds.

    `count`: measurements behind it in the last `window_s`; below `least` the lag is not used, as chance would say most of it.
    """

    connection_id: UUID
    connection: str
    channel: str
    kind: str
    count: int
    p50_s: float | None
    p99_s: float | None
    least: int
    window_s: float

    @property
    def known(self) -> bool:
        """Whether it was measured often enough to be used."""
        return self.count >= self.least


async def list_lags(tx: Tx, now: datetime, learning: Learning) -> tuple[LagRow, ...]:
    """Return the lags of all connections that are not ended, by name: heard, then shown."""
    sketches = await lag_sketches(tx, now, learning)
    rows = await tx.fetch(
        "select id, name, channel from connection where organisation_id = $1 and state <> 'disconnected' order by name, id",
        tx.organisation,
    )
    return tuple(
        LagRow(
            row["id"], row["name"], row["channel"], kind, round(sketch.count) if sketch else 0,
            sketch.quantile(0.5) if sketch else None, sketch.quantile(0.99) if sketch else None, LAGS_LEAST,
            learning.lag_window_s,
        )
        for row in rows
        for kind in (HEARD, SHOWN)
        for sketch in (sketches.get((row["id"], kind)),)
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RateRow:
    """How fast a SKU sells on a connection, in units a day.

    `counted`: its own sales there, each counting half after a half-life; `own`: what they alone would say; `used`: what is
    reckoned with, drawn towards what is usual in the shop as far as its own sales are few.
    """

    connection_id: UUID
    channel: str
    sold_30_days: int | None
    counted: float
    own: float
    used: float


@dataclass(frozen=True, slots=True)
class SkuRates:
    """A SKU's rates, and what the risk strategy concludes from them.

    `lot`: units that are bought at once. `in_lag`: units that sell anywhere, after a sale, until every channel has heard of it
    (99 of 100 times), reckoned with how close together sales come; where a lag is not known, within `lag_s`. `mode`: how risk
    would show it; `chance`: of an oversell per stock-out if all were shown everywhere.
    """

    variant_id: UUID
    sku: str
    title: str
    strategy: str
    rates: tuple[RateRow, ...]
    used: float
    lot: float
    lag_p99_s: float
    lag_known: bool
    in_lag: float
    mode: str
    chance: float
    in_lag_at_mean: float
    """The same by the mean rate, as if sales came steadily."""


@dataclass(frozen=True, slots=True)
class HabitRow:
    """How customers buy, as the nightly job counted it; see `bunching.Habits`.

    `by_hour`: orders by hour of the week, Monday first, in the organisation's time zone. `followers`: (seconds, sales of a SKU
    that follow one of its sales within that time beyond what its rate and the hours say). `sales`: behind these figures.
    """

    hours: float
    by_hour: tuple[int, ...]
    followers: tuple[tuple[float, float], ...]
    lot: float | None
    sales: int
    made_on: date


async def habits(tx: Tx, now: datetime) -> HabitRow | None:
    """Return how customers buy, as far as the risk strategy reckons with it; None if that was not counted lately."""
    stored = await store_forecast.habits(tx, (now - HABITS_KEPT).date())
    if stored is None:
        return None
    found, made_on = stored
    known = read_plain(found)
    followers = tuple(zip(SCALES_S, known.bunching.followers, strict=True))
    return HabitRow(known.bunching.hours, tuple(found["by_hour"]), followers, known.lot, found["sales"], made_on)


async def list_rates(
    tx: Tx, learning: Learning, cursor: str | None = None, limit: int = 50, search: str = ""
) -> Slice[SkuRates]:
    """Return the rates of SKUs on sale, by SKU; `search`: the beginning of a SKU. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, str)
    rows = await tx.fetch(
        """
        select v.id, v.sku, p.title from variant v join product p on p.organisation_id = $1 and p.id = v.product_id
        where v.organisation_id = $1 and ($2::text is null or v.sku > $2) and ($3 = '' or v.sku ^@ $3)
          and exists (select 1 from listing l join connection c on c.organisation_id = $1 and c.id = l.connection_id
                      where l.organisation_id = $1 and l.variant_id = v.id and l.active and not c.fulfilment_only
                        and c.state <> 'disconnected')
        order by v.sku limit $4
        """,
        tx.organisation,
        after[0] if after else None,
        search,
        limit + 1,
    )
    shown = rows[:limit]
    cases = await load_cases(tx, [row["id"] for row in shown], Live(), learning, draft=Policy("risk"))
    by_variant = {case.variant_id: case for case in cases}
    items = tuple(_sku_rates(row, by_variant[row["id"]]) for row in shown if row["id"] in by_variant)
    return Slice(items, encode_cursor(shown[-1]["sku"]) if len(rows) > limit else None)


def _sku_rates(row: Any, case: Case) -> SkuRates:
    own = case.in_force.policy
    parameters = own.parameters if own.strategy == "risk" else {}
    seen = exposure(case.pool, case.outlets, parameters, case.situation)
    near = seen.rates_near(seen.lag_p99_s)
    by_connection: dict[UUID, list[Outlet]] = {}
    for outlet in case.outlets:
        by_connection.setdefault(outlet.connection_id, []).append(outlet)
    rates = tuple(_rate(outlets) for outlets in by_connection.values())
    return SkuRates(
        row["id"], row["sku"], row["title"], own.strategy, rates, sum(seen.rates) * DAY_S, seen.lot, seen.lag_p99_s,
        all(o.demand.lag_p99_s is not None for o in case.outlets), sum(near) * seen.lag_p99_s,
        str(mode_of(near, seen.lag_p99_s, seen.risk)), chance_of_oversell(near, seen.lag_p99_s),
        sum(seen.rates) * seen.lag_p99_s,
    )  # fmt: skip


def _rate(outlets: Sequence[Outlet]) -> RateRow:
    first = outlets[0]
    figures = [o.demand for o in outlets]
    counted, seconds = first.demand.counted_units, first.demand.counted_s
    sold = [f.sold_30d for f in figures if f.sold_30d is not None]
    return RateRow(
        first.connection_id, first.channel, sum(sold) if sold else None, counted,
        counted / seconds * DAY_S if seconds > 0 else 0.0, sum(f.rate_s or 0.0 for f in figures) * DAY_S,
    )  # fmt: skip


async def connection_limits(tx: Tx) -> list[Any]:
    """Return (id, name, buffer, share, fulfilment_only) of the connections that are not ended, in order of priority."""
    return await tx.fetch(
        "select id, name, buffer, share, fulfilment_only from connection"
        " where organisation_id = $1 and state <> 'disconnected' order by priority, created_at, id",
        tx.organisation,
    )


async def connection_names(tx: Tx) -> dict[UUID, str]:
    """Return the names of the connections that are not ended."""
    rows = await tx.fetch(
        "select id, name from connection where organisation_id = $1 and state <> 'disconnected' order by name, id",
        tx.organisation,
    )
    return {row["id"]: row["name"] for row in rows}
