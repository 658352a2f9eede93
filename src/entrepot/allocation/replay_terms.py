"""What a replay of past orders is about: lines, the plan that they run under, and the tally. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from entrepot.allocation.contracts import Policy
from entrepot.allocation.replay_locations import NOWHERE, Arrangement, Destination, Sent

DAY_S = 86_400.0


class OrderLine(NamedTuple):
    """Units of a SKU asked for on a channel: `at_s` in seconds from any start, `price_minor` of one unit.

    `margin_minor` of one unit: its price less its cost; None where no cost is known. `order`: a number that the lines of an
    order share; below 0 the line is an order of its own.
    """

    at_s: float
    sku: str
    units: int
    channel: str
    price_minor: float = 0.0
    margin_minor: float | None = None
    order: int = -1
    to: Destination = NOWHERE


@dataclass(frozen=True, slots=True)
class Stocking:
    """What a SKU starts with and what it is filled up to: its usual sales of `cover_days`, every `every_days`."""

    cover_days: float = 28.0
    every_days: float = 42.0


@dataclass(frozen=True, slots=True)
class Selling:
    """What is set for a channel: its share of the stock, if one is set, and the units kept back from it."""

    share: Decimal | None = None
    buffer: int = 0


UNSET = Selling()


@dataclass(frozen=True, slots=True)
class Goods:
    """What a SKU is: its product, and the product's tags."""

    product_id: UUID | None = None
    tags: frozenset[str] = frozenset()


NOT_KNOWN = Goods()


@dataclass(frozen=True, slots=True)
class Plan:
    """Under what a replay runs. `margin`: part of the price, where no cost is known; `oversell_cost`: of a unit, in margins.

    `kept`: the part of its stock that a SKU has, where that is not all of it (a location is left out).
    """

    policy: Policy
    lag_s: float = 60.0
    stocking: Stocking = Stocking()
    margin: float = 0.3
    oversell_cost: float = 10.0
    selling: Mapping[str, Selling] = field(default_factory=dict)
    kept: Mapping[str, float] = field(default_factory=dict)
    goods: Mapping[str, Goods] = field(default_factory=dict)
    """What rules about products and tags may ask, by SKU."""
    arrangement: Arrangement | None = None
    """Which units are where; None: at one place. With it `kept` says nothing."""

    def margin_of(self, line: OrderLine) -> float:
        """Return what a unit of the line earns, in minor units."""
        return line.price_minor * self.margin if line.margin_minor is None else line.margin_minor


@dataclass(slots=True)
class Tally:
    """What came of a replay, in units; revenue, and the margin less what oversells cost, in minor units.

    `lost`: sales that the clairvoyant makes and the policy does not. `stranded`: units that were there, on another listing or in
    reserve, when a customer was turned away and that were left at the next delivery. `oversold_lines`: lines with one.
    `stock_outs`: deliveries of a SKU before which more was asked for than was there; `stock_outs_oversold`: with an oversell.
    `asked_with_cost`: units asked for whose cost is known. Where locations are told: `orders_sent`, `orders_split` (sent from
    several locations), `parcels`, `parcels_told` (both countries are known), `parcels_abroad`; the same of the clairvoyant.
    """

    asked: int = 0
    sold: int = 0
    oversold: int = 0
    oversold_lines: int = 0
    lost: int = 0
    stranded: int = 0
    margin_minor: float = 0.0
    stock_outs: int = 0
    stock_outs_oversold: int = 0
    clairvoyant_sold: int = 0
    clairvoyant_margin_minor: float = 0.0
    revenue_minor: float = 0.0
    clairvoyant_revenue_minor: float = 0.0
    asked_with_cost: int = 0
    orders_sent: int = 0
    orders_split: int = 0
    parcels: int = 0
    parcels_told: int = 0
    parcels_abroad: int = 0
    clairvoyant_orders_sent: int = 0
    clairvoyant_orders_split: int = 0
    clairvoyant_parcels: int = 0
    clairvoyant_parcels_told: int = 0
    clairvoyant_parcels_abroad: int = 0

    def add(self, other: Tally) -> None:
        """Add what came of another SKU."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def note(self, ours: Sent, clairvoyants: Sent) -> None:
        """Write down what became of all orders."""
        self.orders_sent, self.orders_split, self.parcels, self.parcels_told, self.parcels_abroad = ours
        self.clairvoyant_orders_sent, self.clairvoyant_orders_split, self.clairvoyant_parcels = clairvoyants[:3]
        self.clairvoyant_parcels_told, self.clairvoyant_parcels_abroad = clairvoyants[3:]


class Asks(NamedTuple):
    """What the rules of a policy ask for: anything at all, and sales of so many past days."""

    anything: bool
    sold: int


def asks_of(policy: Policy) -> Asks:
    """Return what the rules of a policy ask for."""
    if policy.strategy != "rules":
        return Asks(False, 0)
    days = [rule["if"]["sold"]["days"] for rule in policy.parameters.get("rules", ()) if "sold" in rule.get("if", {})]
    return Asks(True, max(days, default=0))


def divides_by_risk(policy: Policy) -> bool:
    """Return whether a policy divides by risk, always or (custom rules) at times."""
    if policy.strategy != "rules":
        return policy.strategy == "risk"
    said = [policy.parameters.get("otherwise", {}), *(rule["then"] for rule in policy.parameters.get("rules", ()))]
    return any(each.get("strategy") == "risk" for each in said)


NAMED: Mapping[str, Policy] = {
    "fixed_shares": Policy("fixed_shares"),
    "equal": Policy("equal"),
    "pool": Policy("pool_minus_buffer"),
    "priority": Policy("priority"),
    "performance": Policy("performance"),
    "demand": Policy("demand"),
    "risk": Policy("risk"),
}
"""Policies by the names that a replay is asked for."""
