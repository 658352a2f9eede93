"""What other rooms may ask of allocation. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from entrepot.allocation import store
from entrepot.allocation.contracts import Demand, Situation
from entrepot.allocation.forecasting import (
    FORECAST,
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
    Knowledge,
    Learning,
    count_lags,
    count_sales,
    forget,
    knowledge_of,
)
from entrepot.allocation.restocking import DemandRule
from entrepot.allocation.rules import STRATEGIES, InvalidPolicy, Outlet, Policy, Shown, allot, check_policy
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
from entrepot.stock import facade as stock

__all__ = [
    "FORECAST",
    "HEARD",
    "SHOWN",
    "SIMULATION",
    "STRATEGIES",
    "Choice",
    "DemandRule",
    "InvalidPolicy",
    "InvalidSimulation",
    "Learning",
    "Live",
    "NoForecast",
    "Outcome",
    "PastLine",
    "PastOrders",
    "Policy",
    "Share",
    "Shown",
    "SimulationNotFound",
    "SimulationSettings",
    "SimulationView",
    "VariantForecast",
    "allot_variants",
    "count_lags",
    "count_sales",
    "forecast",
    "forecast_of",
    "forget",
    "get_policy",
    "last_forecast",
    "order_forecast",
    "reallocate",
    "set_policy",
    "simulator",
]

DEFAULT = Policy("fixed_shares", {})


NEED_KNOWLEDGE = frozenset({"risk", "performance", "demand", "rules"})
"""Strategies that ask for sales and lags."""
NEED_FORECAST = frozenset({"demand", "rules"})
"""Those of them that may ask for what is expected."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a listing may show now, and why. `pool`: units available to sell that this was worked out from.

    `target`: what it shall show in the end, where that waits until other listings show less; else None.
    """

    listing_id: UUID
    connection_id: UUID
    variant_id: UUID
    quantity: int
    pool: int
    strategy: str
    steps: tuple[str, ...]
    target: int | None = None

    @property
    def waits(self) -> bool:
        """Whether it shall show more once other listings show less."""
        return self.target is not None and self.target > self.quantity


@dataclass(frozen=True, slots=True)
class Live:
    """What channels show now, by listing, and which connections only take absolute quantities."""

    shown: Mapping[UUID, Shown] = field(default_factory=dict)
    absolute: frozenset[UUID] = frozenset()


async def allot_variants(
    tx: Tx, variant_ids: Sequence[UUID], live: Live = Live(), learning: Learning = Learning()
) -> list[Share]:
    """Work out what every listing of these variants may show, from the stock as it is in this transaction."""
    pools = await stock.available_to_sell(tx, variant_ids)
    chosen = await _policies(tx)
    grouped: dict[UUID, list[Any]] = {}
    for row in await store.outlets(tx, variant_ids):
        grouped.setdefault(row["variant_id"], []).append(row)
    policies = {variant: chosen.of(rows[0]["product_id"]) for variant, rows in grouped.items()}
    asking = [variant for variant, policy in policies.items() if policy.strategy in NEED_KNOWLEDGE]
    expecting = [variant for variant in asking if policies[variant].strategy in NEED_FORECAST]
    known = await knowledge_of(tx, asking, utc_now(), learning, expecting) if asking else None
    shares: list[Share] = []
    for variant_id, rows in grouped.items():
        policy, pool = policies[variant_id], pools.get(variant_id, 0)
        asks = known is not None and policy.strategy in NEED_KNOWLEDGE
        demand = known.demand(variant_id, rows) if asks and known else {}
        outlets = [_outlet(row, live, demand) for row in rows]
        situation = _situation(rows[0], known if asks else None)
        connection = {o.listing_id: o.connection_id for o in outlets}
        shares += [
            Share(
                a.listing_id, connection[a.listing_id], variant_id, a.quantity, pool, policy.strategy, a.steps, a.target
            )
            for a in allot(policy, pool, outlets, situation)
        ]
    return shares


def _outlet(row: Any, live: Live, demand: Mapping[UUID, Demand]) -> Outlet:
    connection_id = row["connection_id"]
    return Outlet(
        row["listing_id"], connection_id, row["channel"], row["rank"], row["share"], row["buffer"], row["siblings"],
        absolute=connection_id in live.absolute, shown=live.shown.get(row["listing_id"]),
        demand=demand.get(connection_id, Demand()),
    )  # fmt: skip


def _situation(row: Any, known: Knowledge | None) -> Situation:
    if known is None:
        return Situation()
    return Situation(
        now=known.now, product_id=row["product_id"], sku=row["sku"], tags=frozenset(row["tags"]),
        sold=known.sold_a_day(row["variant_id"]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Policies:
    shop: Policy
    products: Mapping[UUID, Policy]

    def of(self, product_id: UUID | None) -> Policy:
        return self.products.get(product_id, self.shop) if product_id is not None else self.shop


async def _policies(tx: Tx) -> _Policies:
    shop, products = DEFAULT, {}
    for row in await store.policies(tx):
        policy = Policy(row["strategy"], row["parameters"])
        if row["scope"] == "shop":
            shop = policy
        else:
            products[row["scope_id"]] = policy
    return _Policies(shop, products)


async def get_policy(tx: Tx, product_id: UUID | None = None) -> Policy:
    """Return the policy of a product, or of the shop."""
    return (await _policies(tx)).of(product_id)


async def set_policy(tx: Tx, strategy: str, parameters: Mapping[str, Any], *, product_id: UUID | None = None) -> Policy:
    """Set the policy of the shop (or of one product) and have everything under it worked out anew.

    Raises InvalidPolicy.
    """
    policy = check_policy(strategy, parameters)
    scope = "shop" if product_id is None else "product"
    await store.put_policy(tx, scope, product_id, policy.strategy, policy.parameters)
    await reallocate(tx, product_id=product_id)
    return policy


async def reallocate(tx: Tx, *, product_id: UUID | None = None) -> int:
    """Have all listings (or those of a product) worked out anew; return how many variants that concerns."""
    variants = await store.variants_with_listings(tx, product_id)
    for start in range(0, len(variants), 500):
        chunk = variants[start : start + 500]
        await jobs.emit(tx, stock.STOCK_CHANGED, {"variant_ids": [str(v) for v in chunk]})
    return len(variants)
