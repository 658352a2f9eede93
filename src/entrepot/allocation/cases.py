"""Everything that is known of some variants, read once, and what a policy makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from entrepot.allocation import store, store_policies
from entrepot.allocation.contracts import Demand, Outlet, Policy, Shown, Situation
from entrepot.allocation.learning import Knowledge, Learning, knowledge_of
from entrepot.allocation.rules import allot
from entrepot.allocation.scopes import InForce, Limits, Policies, Scope
from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.kernel.clock import utc_now
from entrepot.stock import facade as stock
from entrepot.stock.contracts import KeptBack, Pool

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

    @property
    def final(self) -> int:
        """What it shall show in the end."""
        return self.quantity if self.target is None else max(self.quantity, self.target)


@dataclass(frozen=True, slots=True)
class Live:
    """What channels show now, by listing, and which connections only take absolute quantities.

    `offered`: listings that the hub has had show stock. One on a connection that only fulfils shows none from then on;
    others there are left alone.
    """

    shown: Mapping[UUID, Shown] = field(default_factory=dict)
    offered: frozenset[UUID] = frozenset()
    absolute: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Case:
    """A variant, its listings and what is known of it."""

    variant_id: UUID
    product_id: UUID
    pool: int
    kept: tuple[str, ...]
    outlets: tuple[Outlet, ...]
    situation: Situation
    in_force: InForce


async def load_policies(tx: Tx) -> Policies:
    """Return the policies of the organisation."""
    return Policies(
        {
            Scope(row["scope"], row["scope_id"]): Policy(row["strategy"], row["parameters"])
            for row in await store_policies.policies(tx)
        }
    )


async def categories_of(tx: Tx, policies: Policies, product_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[UUID]]:
    """Return the categories of each product, nearest first; nothing where no category has a policy."""
    return await catalog.ancestors_of(tx, list(product_ids)) if policies.has_categories else {}


async def load_cases(
    tx: Tx, variant_ids: Sequence[UUID], live: Live, learning: Learning, draft: Policy | None = None
) -> list[Case]:
    """Return these variants with all that their policies, and `draft` if there is one, ask for."""
    pools = await stock.pools(tx, variant_ids)
    policies = await load_policies(tx)
    grouped: dict[UUID, list[Any]] = {}
    for row in await store.outlets(tx, variant_ids):
        if row["fulfilment_only"] and row["listing_id"] not in live.offered:
            continue
        grouped.setdefault(row["variant_id"], []).append(row)
    products = {variant: rows[0]["product_id"] for variant, rows in grouped.items()}
    filed = await categories_of(tx, policies, list({*products.values()}))
    in_force = {variant: policies.of(product, filed.get(product, ())) for variant, product in products.items()}
    limits = Limits.of_rows(await store_policies.limits_of(tx, list(grouped), list({*products.values()})))
    everybody = draft is not None and draft.strategy in NEED_KNOWLEDGE
    asking = [v for v, found in in_force.items() if everybody or found.policy.strategy in NEED_KNOWLEDGE]
    foreseeing = draft is not None and draft.strategy in NEED_FORECAST
    expecting = [v for v in asking if foreseeing or in_force[v].policy.strategy in NEED_FORECAST]
    known = await knowledge_of(tx, asking, utc_now(), learning, expecting) if asking else None
    asks = set(asking)
    return [
        _case(variant, rows, pools.get(variant, Pool(0)), limits, live, known if variant in asks else None, in_force)
        for variant, rows in grouped.items()
    ]


def _case(
    variant_id: UUID,
    rows: Sequence[Any],
    pool: Pool,
    limits: Limits,
    live: Live,
    known: Knowledge | None,
    in_force: Mapping[UUID, InForce],
) -> Case:
    selling = [row for row in rows if not row["fulfilment_only"]]
    demand = known.demand(variant_id, selling) if known and selling else {}
    product_id = rows[0]["product_id"]
    return Case(
        variant_id, product_id, pool.units, tuple(map(_in_words, pool.kept)),
        tuple(_outlet(row, limits, live, demand) for row in rows),
        replace(_situation(rows[0], known), buffer=limits.kept_of(product_id, variant_id)),
        in_force[variant_id],
    )  # fmt: skip


def _in_words(kept: KeptBack) -> str:
    part = f" of the part {kept.sku}" if kept.sku else ""
    return f"buffer of location {kept.location}: {kept.units}{part} kept back"


def _outlet(row: Any, limits: Limits, live: Live, demand: Mapping[UUID, Demand]) -> Outlet:
    connection_id = row["connection_id"]
    limit = limits.on(row["product_id"], row["variant_id"], connection_id)
    return Outlet(
        row["listing_id"], connection_id, row["channel"], row["rank"], row["share"],
        row["buffer"] if limit.buffer is None else limit.buffer, row["siblings"], limit.cap, limit.least or 0,
        row["fulfilment_only"], absolute=connection_id in live.absolute, shown=live.shown.get(row["listing_id"]),
        demand=demand.get(connection_id, Demand()),
    )  # fmt: skip


def _situation(row: Any, known: Knowledge | None) -> Situation:
    if known is None:
        return Situation()
    return Situation(
        now=known.now, product_id=row["product_id"], sku=row["sku"], tags=frozenset(row["tags"]),
        sold=known.sold_a_day(row["variant_id"]),
    )  # fmt: skip


def divide(case: Case, policy: Policy) -> list[Share]:
    """Return what each listing of a variant may show under a policy. Pure."""
    connection = {o.listing_id: o.connection_id for o in case.outlets}
    return [
        Share(
            a.listing_id, connection[a.listing_id], case.variant_id, a.quantity, case.pool, policy.strategy,
            (*case.kept, *a.steps), a.target,
        )
        for a in allot(policy, case.pool, case.outlets, case.situation)
    ]  # fmt: skip
