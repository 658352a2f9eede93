"""What other rooms may ask of allocation. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.allocation import clock, store_policies
from entrepot.allocation.bunching import SCALES_S, WIDE_S, Counted, Pairs
from entrepot.allocation.cases import NEED_KNOWLEDGE, Live, Share, categories_of, divide, load_cases, load_policies
from entrepot.allocation.forecasting import (
    FORECAST,
    CountSales,
    NoForecast,
    VariantForecast,
    forecast,
    forecast_of,
    last_forecast,
    order_forecast,
)
from entrepot.allocation.learning import (
    HEARD,
    SHOWN,
    Learning,
    count_lags,
    count_sales,
    forget,
)
from entrepot.allocation.lots import SALES_LEAST, USUAL_PART
from entrepot.allocation.preview import SAMPLE_MOST, Difference, Preview, RuleCount, concerned_variants, preview
from entrepot.allocation.restocking import DemandRule
from entrepot.allocation.rules import STRATEGIES, InvalidPolicy, Policy, Shown, check_policy
from entrepot.allocation.scopes import (
    CATEGORY,
    PRODUCT,
    SHOP,
    VARIANT,
    WHOLE_SHOP,
    InForce,
    InvalidLimit,
    Limit,
    Scope,
    check_limit,
)
from entrepot.allocation.simulating import PastLine, PastOrders, simulator
from entrepot.allocation.simulations import (
    SIMULATION,
    Choice,
    InvalidSimulation,
    Outcome,
    SimulationNotFound,
    SimulationSettings,
    SimulationView,
)
from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import NotFound
from entrepot.stock import facade as stock

__all__ = [
    "CATEGORY",
    "FORECAST",
    "HEARD",
    "NEED_KNOWLEDGE",
    "PRODUCT",
    "SALES_LEAST",
    "SAMPLE_MOST",
    "SCALES_S",
    "SHOP",
    "SHOWN",
    "SIMULATION",
    "STRATEGIES",
    "USUAL_PART",
    "VARIANT",
    "WHOLE_SHOP",
    "WIDE_S",
    "Choice",
    "CountSales",
    "Counted",
    "DemandRule",
    "Difference",
    "InForce",
    "InvalidLimit",
    "InvalidPolicy",
    "InvalidSimulation",
    "Learning",
    "Limit",
    "Live",
    "NoForecast",
    "NoSuchPolicy",
    "NoSuchScope",
    "Outcome",
    "Pairs",
    "PastLine",
    "PastOrders",
    "Policy",
    "Preview",
    "RuleCount",
    "Scope",
    "Share",
    "Shown",
    "SimulationNotFound",
    "SimulationSettings",
    "SimulationView",
    "VariantForecast",
    "allot_variants",
    "check_policy",
    "concerned_variants",
    "count_lags",
    "count_sales",
    "drop_policy",
    "follow_clock",
    "forecast",
    "forecast_of",
    "forget",
    "get_limit",
    "get_policy",
    "in_force",
    "last_forecast",
    "order_forecast",
    "preview",
    "reallocate",
    "reallocate_products",
    "set_limit",
    "set_policy",
    "simulator",
]  # fmt: skip

TOLD_TOGETHER = 500
"""Variants in one event."""


class NoSuchScope(NotFound):
    """There is no such category, product or variant."""


class NoSuchPolicy(NotFound):
    """It has no policy of its own."""


async def allot_variants(
    tx: Tx, variant_ids: Sequence[UUID], live: Live = Live(), learning: Learning = Learning()
) -> list[Share]:
    """Work out what every listing of these variants may show, from the stock as it is in this transaction."""
    cases = await load_cases(tx, variant_ids, live, learning)
    return [share for case in cases for share in divide(case, case.in_force.policy)]


# ---- policies --------------------------------------------------------------------------------------------


async def get_policy(tx: Tx, product_id: UUID | None = None) -> Policy:
    """Return the policy in force for a product, or the shop's."""
    return (await in_force(tx, Scope(PRODUCT, product_id) if product_id else WHOLE_SHOP)).policy


async def in_force(tx: Tx, scope: Scope) -> InForce:
    """Return the policy in force in a scope and whose it is. Raises NoSuchScope."""
    await _check_scope(tx, scope)
    policies = await load_policies(tx)
    if scope.kind == PRODUCT and scope.id is not None:
        filed = await categories_of(tx, policies, [scope.id])
        return policies.of(scope.id, filed.get(scope.id, ()))
    if scope.kind == CATEGORY and scope.id is not None:
        return policies.of(None, await store_policies.category_and_parents(tx, scope.id))
    return policies.of()


async def set_policy(
    tx: Tx, strategy: str, parameters: Mapping[str, Any], *, product_id: UUID | None = None, scope: Scope = WHOLE_SHOP
) -> Policy:
    """Set the policy of a scope (or of one product) and have everything under it worked out anew.

    Raises InvalidPolicy, NoSuchScope.
    """
    policy = check_policy(strategy, parameters)
    if product_id is not None:
        scope = Scope(PRODUCT, product_id)
    await _check_scope(tx, scope)
    since = utc_now() if clock.asks_for_time(policy.strategy, policy.parameters) else None
    await store_policies.put_policy(tx, scope.kind, scope.id, policy.strategy, policy.parameters, since)
    await reallocate(tx, scope)
    return policy


async def drop_policy(tx: Tx, scope: Scope) -> None:
    """Take a scope's own policy away, so that the next one above counts. Raises NoSuchPolicy."""
    if not await store_policies.drop_policy(tx, scope.kind, scope.id):
        raise NoSuchPolicy
    await reallocate(tx, scope)


async def follow_clock(tx: Tx, now: datetime) -> int:
    """Have variants worked out anew whose rules say something else since they were last followed; return how many.

    Done again after a pause, or by two workers, it misses nothing: each policy keeps up to when it was followed.
    """
    policies = await store_policies.lock_clocked(tx)
    due = [row for row in policies if clock.changed_between(row["parameters"], row["clock_at"], now)]
    variants: set[UUID] = set()
    for row in due:
        variants.update(await store_policies.variants_with_listings(tx, row["scope"], row["scope_id"]))
    await _tell(tx, sorted(variants))
    await store_policies.set_clock(tx, [row["id"] for row in policies if row["clock_at"] < now], now)
    return len(variants)


async def reallocate(tx: Tx, scope: Scope = WHOLE_SHOP) -> int:
    """Have all listings in a scope worked out anew; return how many variants that concerns."""
    variants = await store_policies.variants_with_listings(tx, scope.kind, scope.id)
    await _tell(tx, variants)
    return len(variants)


async def reallocate_products(tx: Tx, product_ids: Sequence[UUID]) -> int:
    """Have all listings of these products worked out anew; return how many variants that concerns."""
    variants = await store_policies.variants_of_products(tx, product_ids)
    await _tell(tx, variants)
    return len(variants)


async def _tell(tx: Tx, variants: Sequence[UUID]) -> None:
    for start in range(0, len(variants), TOLD_TOGETHER):
        chunk = variants[start : start + TOLD_TOGETHER]
        await jobs.emit(tx, stock.STOCK_CHANGED, {"variant_ids": [str(v) for v in chunk]})


async def _check_scope(tx: Tx, scope: Scope) -> None:
    if scope.id is not None and not await store_policies.exists_in_scope(tx, scope.kind, scope.id):
        raise NoSuchScope(f"There is no such {scope.kind}.")


# ---- limits ----------------------------------------------------------------------------------------------


async def get_limit(tx: Tx, scope: Scope, connection_id: UUID | None) -> Limit:
    """Return what is set of a product or variant on a connection (None: on all) itself; nothing of what it takes over."""
    ids = [] if scope.id is None else [scope.id]
    variants, products = (ids, []) if scope.kind == VARIANT else ([], ids)
    for row in await store_policies.limits_of(tx, variants, products):
        if row["connection_id"] == connection_id:
            return Limit(row["buffer"], row["cap"], row["least"])
    return Limit()


async def set_limit(tx: Tx, scope: Scope, connection_id: UUID | None, limit: Limit) -> None:
    """Set buffer, cap and least of a product or variant on a connection (None: on all); nothing said removes it.

    A buffer on all connections is kept back from them together; on one it counts instead of the connection's own. What is
    under it is worked out anew. Raises InvalidLimit, NoSuchScope.
    """
    check_limit(limit)
    if scope.kind not in (PRODUCT, VARIANT) or scope.id is None:
        raise InvalidLimit("A limit is of a product or a variant.", field="scope")
    await _check_scope(tx, scope)
    if connection_id is not None and not await store_policies.connection_exists(tx, connection_id):
        raise NoSuchScope("There is no such connection.")
    if limit.says_nothing:
        changed = await store_policies.drop_limit(tx, scope.kind, scope.id, connection_id)
    else:
        units = (limit.buffer, limit.cap, limit.least)
        await store_policies.put_limit(tx, scope.kind, scope.id, connection_id, units)
        changed = True
    if changed:
        await reallocate(tx, scope)
