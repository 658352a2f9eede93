"""Every list of allocation as CSV."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from entrepot.allocation import reading
from entrepot.allocation import simulations as past
from entrepot.allocation.learning import Learning
from entrepot.allocation.preview import Difference, Preview
from entrepot.database.csv_lists import Export, fields
from entrepot.database.pool import Tx
from entrepot.kernel.clock import utc_now
from entrepot.kernel.paging import LIMIT_MAX, Slice


def policies() -> Export:
    """The policies that somebody set."""
    columns = fields(
        "scope",
        "name",
        "strategy",
        "updated_at",
        parameters=lambda row: json.dumps(dict(row.parameters), sort_keys=True),
    )
    return Export("allocation-policies", columns, lambda tx, cursor: reading.list_policies(tx, cursor, LIMIT_MAX))


def limits(search: str = "") -> Export:
    """Buffers, caps and least quantities of products and SKUs."""
    columns = fields("scope", "name", "connection", "buffer", "cap", "least", "updated_at")
    return Export("allocation-limits", columns, lambda tx, cursor: reading.list_limits(tx, cursor, LIMIT_MAX, search))


def lags(learning: Learning) -> Export:
    """How long channels take."""
    columns = fields("connection", "channel", "kind", "count", "p50_s", "p99_s", "known")

    async def fetch(tx: Tx, cursor: str | None) -> Slice[Any]:
        return Slice(await reading.list_lags(tx, utc_now(), learning))

    return Export("channel-lags", columns, fetch)


def rates(learning: Learning, search: str = "") -> Export:
    """How fast SKUs sell on each channel, in units a day, and what risk concludes."""
    columns: dict[str, Callable[[Any], Any]] = {
        "sku": lambda row: row[0].sku,
        "title": lambda row: row[0].title,
        "channel": lambda row: row[1].channel,
        "connection": lambda row: row[2],
        "sold_30_days": lambda row: row[1].sold_30_days,
        "counted_units": lambda row: round(row[1].counted, 3),
        "own_units_day": lambda row: round(row[1].own, 4),
        "used_units_day": lambda row: round(row[1].used, 4),
        "units_bought_at_once": lambda row: round(row[0].lot, 2),
        "units_in_lag": lambda row: round(row[0].in_lag, 4),
        "units_in_lag_at_mean": lambda row: round(row[0].in_lag_at_mean, 4),
        "risk_mode": lambda row: row[0].mode,
    }

    async def fetch(tx: Tx, cursor: str | None) -> Slice[Any]:
        found = await reading.list_rates(tx, learning, cursor, LIMIT_MAX, search)
        names: Mapping[Any, str] = await reading.connection_names(tx)
        rows = tuple((sku, rate, names.get(rate.connection_id, "")) for sku in found for rate in sku.rates)
        return Slice(rows, found.next_cursor)

    return Export("sales-rates", columns, fetch)


def simulations() -> Export:
    """Simulations, newest first, with the policy that came out best at the first lag."""
    columns = fields("title", "state", "file_name", "actor", "created_at", "finished_at")
    columns["lines"] = lambda row: (row.found or {}).get("lines")
    columns["best"] = lambda row: next((each.policy for each in row.outcomes if each.best), "")
    columns["best_locations"] = lambda row: next((each.locations for each in row.outcomes if each.best), "")
    return Export("simulations", columns, lambda tx, cursor: past.listing(tx, cursor, LIMIT_MAX))


def preview(found: Preview, names: Mapping[Any, tuple[str, str]]) -> Export:
    """What a draft would change; `names`: listing -> (SKU, connection)."""
    columns: dict[str, Callable[[Difference], Any]] = {
        "sku": lambda d: names.get(d.today.listing_id, ("", ""))[0],
        "connection": lambda d: names.get(d.today.listing_id, ("", ""))[1],
        "pool": lambda d: d.draft.pool,
        "today": lambda d: d.today.final,
        "draft": lambda d: d.draft.final,
        "change": lambda d: d.change,
        "why": lambda d: "; ".join(d.draft.steps),
    }

    async def fetch(tx: Tx, cursor: str | None) -> Slice[Any]:
        return Slice(found.differences)

    return Export("allocation-preview", columns, fetch)


LISTS: Mapping[str, Callable[[Learning, str], Export]] = {
    "allocation-policies": lambda learning, search: policies(),
    "allocation-limits": lambda learning, search: limits(search),
    "channel-lags": lambda learning, search: lags(learning),
    "sales-rates": rates,
    "simulations": lambda learning, search: simulations(),
}
"""Every list of allocation that is a file, by its name; the search narrows it."""
