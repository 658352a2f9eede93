"""How the pool of a variant is divided over its listings. Pure.

A strategy answers, for what is available to sell and the listings of one variant, how many units each may show and why.
Its answer never depends on the order of the listings. Strategies are registered in STRATEGIES: `strategies.py` has the plain
ones, `custom.py` rules that a person writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from entrepot.allocation import custom
from entrepot.allocation.contracts import Allotment, Demand, InvalidPolicy, Outlet, Policy, Shown, Situation
from entrepot.allocation.policies import CHECKS
from entrepot.allocation.strategies import DEFAULT_SHARES, PLAIN, Strategy

__all__ = [
    "DEFAULT_SHARES",
    "STRATEGIES",
    "Allotment",
    "Demand",
    "InvalidPolicy",
    "Outlet",
    "Policy",
    "Shown",
    "Situation",
    "Strategy",
    "allot",
    "check_policy",
]

STRATEGIES: Mapping[str, Strategy] = {**PLAIN, "rules": custom.divide}

NOTHING_KNOWN = Situation()


def allot(
    policy: Policy, pool: int, outlets: Sequence[Outlet], situation: Situation = NOTHING_KNOWN
) -> list[Allotment]:
    """Return what each listing may show under a policy, less all buffers; never below 0 or above the pool.

    A listing that only fulfils shows nothing and takes no part. The product's buffer is taken off the pool, the channel's
    off what its listing gets; then come the listing's cap and the least it shows.
    """
    ordered = sorted(outlets, key=lambda o: (o.rank, o.connection_id, o.listing_id))
    selling = [o for o in ordered if not o.fulfilment_only]
    rest = max(0, pool - situation.buffer) if situation.buffer else pool
    found = STRATEGIES[policy.strategy](rest, selling, policy.parameters, situation)
    result = [
        allotment
        if not outlet.buffer and outlet.cap is None and not outlet.least and 0 <= allotment.quantity <= rest
        else _limited(allotment, outlet, rest)
        for outlet, allotment in zip(selling, found, strict=True)
    ]
    if situation.buffer:
        said = f"{situation.buffer} of {pool} kept back for the product"
        result = [Allotment(a.listing_id, a.quantity, (said, *a.steps), a.target) for a in result]
    result += [
        Allotment(o.listing_id, 0, ("it only fulfils, or is about to end",)) for o in ordered if o.fulfilment_only
    ]
    return result


def _limited(allotment: Allotment, outlet: Outlet, pool: int) -> Allotment:
    steps = list(allotment.steps)
    quantity = allotment.quantity
    if outlet.buffer:
        quantity -= outlet.buffer
        steps.append(f"less the channel's buffer of {outlet.buffer}")
    quantity = max(0, min(quantity, pool))
    if outlet.cap is not None and quantity > outlet.cap:
        quantity = outlet.cap
        steps.append(f"at most {outlet.cap}")
    if 0 < quantity < outlet.least:
        steps.append(f"{quantity} is less than the least it shows ({outlet.least}), so none")
        quantity = 0
    target = None if allotment.target is None else max(quantity, _within(allotment.target, outlet, pool))
    return Allotment(allotment.listing_id, quantity, tuple(steps), target)


def _within(units: int, outlet: Outlet, pool: int) -> int:
    """Return what a listing shows of so many units by its buffer, cap and least quantity."""
    shows = max(0, min(units - outlet.buffer, pool))
    shows = shows if outlet.cap is None else min(shows, outlet.cap)
    return 0 if shows < outlet.least else shows


def check_policy(strategy: str, parameters: Mapping[str, Any]) -> Policy:
    """Return the policy, or raise InvalidPolicy saying what is wrong and where."""
    if strategy not in STRATEGIES:
        raise InvalidPolicy(f"There is no strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}.")
    check = custom.check if strategy == "rules" else CHECKS[strategy]
    check(parameters)
    return Policy(strategy, dict(parameters))
