"""On which days there was nothing to sell, as the ledger tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.stock import store_balances

Change = tuple[int, bool]
"""Of a day: by how many units what is there and not promised changed, and whether anything was added to it."""


async def days_without_stock(
    tx: Tx, variant_ids: Sequence[UUID], since: date, until: date
) -> dict[UUID, frozenset[date]]:
    """Return the days (UTC, from `since` to `until`) on which nothing of a variant could be sold from beginning to end.

    Variants without a level (bundles, goods that were never stocked) are left out: nobody knows.
    """
    now = {row["variant_id"]: row["units"] for row in await store_balances.unpromised(tx, variant_ids)}
    changes: dict[UUID, dict[date, Change]] = {}
    for row in await store_balances.changes_by_day(tx, list(now), since):
        changes.setdefault(row["variant_id"], {})[row["day"]] = (row["net"], row["gained"])
    found = {id: without_stock(units, changes.get(id, {}), since, until) for id, units in now.items()}
    return {id: days for id, days in found.items() if days}


def without_stock(units_now: int, changes: Mapping[date, Change], since: date, until: date) -> frozenset[date]:
    """Return the days that began and ended with nothing and on which nothing was added. Pure.

    `changes` has every day since `since` on which anything changed, those after `until` too.
    """
    end = units_now - sum(net for day, (net, _) in changes.items() if day > until)
    found = []
    for back in range((until - since).days + 1):
        day = until - timedelta(days=back)
        net, gained = changes.get(day, (0, False))
        if end <= 0 and end - net <= 0 and not gained:
            found.append(day)
        end -= net
    return frozenset(found)
