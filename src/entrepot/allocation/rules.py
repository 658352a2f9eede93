"""How the pool of a variant is divided over its listings. Pure.

A strategy answers, for what is available to sell and the listings of one variant, how many units each may show and why.
Its answer never depends on the order of the listings. Later strategies register in STRATEGIES the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from entrepot.kernel.errors import InvalidInput

DEFAULT_SHARES = (Decimal("0.4"), Decimal("0.3"), Decimal("0.2"))


class InvalidPolicy(InvalidInput):
    """The allocation policy is not valid."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """A listing that may show stock: its connection's rank (by priority), share if set, and buffer in units."""

    listing_id: UUID
    connection_id: UUID
    channel: str
    rank: int
    share: Decimal | None = None
    buffer: int = 0
    siblings: int = 1
    """Listings of the same variant on this connection, itself included: they divide the connection's share."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A strategy and its parameters."""

    strategy: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Allotment:
    """How many units a listing may show, and the steps that led there."""

    listing_id: UUID
    quantity: int
    steps: tuple[str, ...]


def fixed_shares(pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any]) -> list[Allotment]:
    """Give each connection its share of the pool, rounded down; the rest stays in reserve.

    A connection's share is its own setting, else `parameters["shares"][channel]`, else the default by rank (40, 30, 20
    percent, further ones nothing until they are given a share). Shares that sum to more than one are scaled down.
    """
    named = {str(k): Decimal(str(v)) for k, v in dict(parameters.get("shares", {})).items()}
    shares = []
    for outlet in outlets:
        default = DEFAULT_SHARES[outlet.rank] if outlet.rank < len(DEFAULT_SHARES) else Decimal(0)
        share = outlet.share if outlet.share is not None else named.get(outlet.channel, default)
        shares.append(share / outlet.siblings)
    total = sum(shares, Decimal(0))
    scale = Decimal(1) / total if total > 1 else Decimal(1)
    return [
        Allotment(
            o.listing_id,
            int(max(0, pool) * share * scale),
            (f"fixed share {(share * scale).normalize():%} of {pool}",),
        )
        for o, share in zip(outlets, shares, strict=True)
    ]


def equal(pool: int, outlets: Sequence[Outlet], _parameters: Mapping[str, Any]) -> list[Allotment]:
    """Divide the pool evenly, rounded down; the remainder stays in reserve."""
    part = max(0, pool) // len(outlets) if outlets else 0
    return [Allotment(o.listing_id, part, (f"an equal part of {pool} over {len(outlets)}",)) for o in outlets]


def pool_minus_buffer(pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any]) -> list[Allotment]:
    """Show the whole pool, less a buffer, on every listing."""
    buffer = int(parameters.get("buffer", 0))
    quantity = max(0, pool - buffer)
    return [Allotment(o.listing_id, quantity, (f"the pool of {pool} less a buffer of {buffer}",)) for o in outlets]


Strategy = Callable[[int, Sequence[Outlet], Mapping[str, Any]], list[Allotment]]

STRATEGIES: Mapping[str, Strategy] = {
    "fixed_shares": fixed_shares,
    "equal": equal,
    "pool_minus_buffer": pool_minus_buffer,
}


def allot(policy: Policy, pool: int, outlets: Sequence[Outlet]) -> list[Allotment]:
    """Return what each listing may show under a policy, less the buffer of its connection; never below 0 or above pool."""
    ordered = sorted(outlets, key=lambda o: (o.rank, o.connection_id, o.listing_id))
    result = []
    by_id = {o.listing_id: o for o in ordered}
    for allotment in STRATEGIES[policy.strategy](pool, ordered, policy.parameters):
        buffer = by_id[allotment.listing_id].buffer
        steps = (*allotment.steps, f"less the channel's buffer of {buffer}") if buffer else allotment.steps
        quantity = max(0, min(allotment.quantity - buffer, pool))
        result.append(Allotment(allotment.listing_id, quantity, steps))
    return result


def check_policy(strategy: str, parameters: Mapping[str, Any]) -> Policy:
    """Return the policy, or raise InvalidPolicy saying what is wrong."""
    if strategy not in STRATEGIES:
        raise InvalidPolicy(f"There is no strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}.")
    if strategy == "pool_minus_buffer":
        buffer = parameters.get("buffer", 0)
        if not isinstance(buffer, int) or isinstance(buffer, bool) or buffer < 0:
            raise InvalidPolicy("The buffer must be a whole number, 0 or more.")
    if strategy == "fixed_shares":
        shares = parameters.get("shares", {})
        try:
            values = [Decimal(str(v)) for v in dict(shares).values()]
        except (ArithmeticError, TypeError, ValueError):
            raise InvalidPolicy('Shares are numbers by channel, such as {"shopify": 0.4}.') from None
        if any(v.is_nan() or not 0 <= v <= 1 for v in values):
            raise InvalidPolicy("Each share lies between 0 and 1.")
    return Policy(strategy, dict(parameters))
