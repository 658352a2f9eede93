"""What crosses the wall of the allocation room: what a strategy is told, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from entrepot.allocation.bunching import STEADY, Bunching
from entrepot.kernel.errors import InvalidInput


class InvalidPolicy(InvalidInput):
    """The allocation policy is not valid."""

    def __init__(self, detail: str | None = None, *path: str | int) -> None:
        """`path`: where in the parameters, such as ("rules", 0, "if", "stock")."""
        self.path = path
        pointer = "#/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in ("parameters", *path))
        super().__init__(detail)
        if path:
            self.context["errors"] = [{"pointer": pointer, "detail": self.detail}]


@dataclass(frozen=True, slots=True)
class Demand:
    """What is known about the sales of a listing and about its channel's lag. None: not known, which is not zero.

    `rate_s`: units sold a second. `forecast`: units expected in the next 30 days, from `history_days` of history (where that is
    known and there is no forecast: too few for one). `lag_p50_s` and `lag_p99_s`: seconds
    from a sale there until all channels show it. `margin_minor`: what a unit sold there earns, in minor units.
    `lot`: units that are bought at once, large orders weighing by their units (mean of squares over mean); 1 where all buy one.
    `counted_units`, `counted_s`: the sales behind `rate_s`, the older the less they count, and the time that they stand for.
    """

    rate_s: float | None = None
    sold_30d: int | None = None
    forecast: float | None = None
    lag_p50_s: float | None = None
    lag_p99_s: float | None = None
    margin_minor: float | None = None
    lot: float = 1.0
    counted_units: float = 0.0
    counted_s: float = 0.0
    history_days: int | None = None
    bunching: Bunching = STEADY
    """How sales of the variant come; the same for all its listings."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a listing shows, as far as the hub can know. None in `Outlet.shown`: it never showed anything.

    `most`: units that may still be sold there before the hub hears of it: the last acknowledged quantity less the known
    sales, plus raises on their way; a lowering does not count until it is acknowledged (and, where the channel only
    overwrites, until the orders are read up to then). `heading`: what it will show once all that is under way is done.
    """

    most: int
    heading: int


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
    cap: int | None = None
    """It never shows more."""
    least: int = 0
    """If it may show less than that, it shows none."""
    fulfilment_only: bool = False
    """It ships and never sells: it shows none."""
    absolute: bool = False
    """Its channel only takes absolute quantities, so a write forgets a sale that the hub has not seen."""
    shown: Shown | None = None
    demand: Demand = Demand()


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known about the variant at this moment, for the strategies that ask. None: not known.

    `replenish_s`: seconds until more stock is there. `oversell_cost_minor`: what one unit sold and not had costs, its lost
    margin not counted. `sold`: units sold a day, latest last. `now`: an aware time.
    """

    now: datetime | None = None
    product_id: UUID | None = None
    sku: str = ""
    tags: frozenset[str] = frozenset()
    sold: tuple[int, ...] = ()
    replenish_s: float | None = None
    oversell_cost_minor: float | None = None
    buffer: int = 0
    """Units of the product that are kept back from all listings."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A strategy and its parameters."""

    strategy: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Allotment:
    """How many units a listing may show, and the steps that led there.

    `target`: what it shall show in the end, where that has to wait for another listing to show less.
    """

    listing_id: UUID
    quantity: int
    steps: tuple[str, ...]
    target: int | None = None
