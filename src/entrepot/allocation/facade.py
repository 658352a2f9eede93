"""What other rooms may ask of allocation. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from entrepot.allocation import store
from entrepot.allocation.rules import STRATEGIES, InvalidPolicy, Outlet, Policy, allot, check_policy
from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.stock import facade as stock

__all__ = [
    "STRATEGIES",
    "InvalidPolicy",
    "Policy",
    "Share",
    "allot_variants",
    "get_policy",
    "reallocate",
    "set_policy",
]

DEFAULT = Policy("fixed_shares", {})


@dataclass(frozen=True, slots=True)
class Share:
    """What a listing may show now, and why. `pool`: units available to sell that this was worked out from."""

    listing_id: UUID
    connection_id: UUID
    variant_id: UUID
    quantity: int
    pool: int
    strategy: str
    steps: tuple[str, ...]


async def allot_variants(tx: Tx, variant_ids: Sequence[UUID]) -> list[Share]:
    """Work out what every listing of these variants may show, from the stock as it is in this transaction."""
    pools = await stock.available_to_sell(tx, variant_ids)
    chosen = {
        (row["scope"], row["scope_id"]): Policy(row["strategy"], row["parameters"]) for row in await store.policies(tx)
    }
    grouped: dict[UUID, list[Any]] = {}
    for row in await store.outlets(tx, variant_ids):
        grouped.setdefault(row["variant_id"], []).append(row)
    shares: list[Share] = []
    for variant_id, rows in grouped.items():
        policy = chosen.get(("product", rows[0]["product_id"])) or chosen.get(("shop", None)) or DEFAULT
        pool = pools.get(variant_id, 0)
        outlets = [
            Outlet(r["listing_id"], r["connection_id"], r["channel"], r["rank"], r["share"], r["buffer"], r["siblings"])
            for r in rows
        ]
        connection = {o.listing_id: o.connection_id for o in outlets}
        shares += [
            Share(a.listing_id, connection[a.listing_id], variant_id, a.quantity, pool, policy.strategy, a.steps)
            for a in allot(policy, pool, outlets)
        ]
    return shares


async def get_policy(tx: Tx, product_id: UUID | None = None) -> Policy:
    """Return the policy of a product, or of the shop."""
    chosen = {(r["scope"], r["scope_id"]): Policy(r["strategy"], r["parameters"]) for r in await store.policies(tx)}
    return chosen.get(("product", product_id)) or chosen.get(("shop", None)) or DEFAULT


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
