"""What a replay learns of a SKU's sales on its way, as the hub would. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from entrepot.allocation.calibrate import lot
from entrepot.allocation.replay_terms import DAY_S

LEARNED_DAYS = 30.0
"""Sales weigh less the older they are: by 1/e in so many days."""


@dataclass(slots=True)
class Rates:
    """Sales by channel, older ones weighing less."""

    weights: list[float]
    since: float
    usual: float
    """Units a second that are assumed until its own sales say better."""
    squares: float = 0.0
    """Of units by sale."""

    def learn(self, place: int, units: int, at: float) -> None:
        self.fade(at)
        self.weights[place] += units
        self.squares += units * units

    def lot(self, usual: float | None) -> float:
        """Return the units that are bought at once; `usual`: in the shop, if that is known."""
        return lot(self.squares, sum(self.weights), usual or 1.0)

    def fade(self, at: float) -> None:
        keep = math.exp(-(at - self.since) / (LEARNED_DAYS * DAY_S))
        self.weights = [w * keep for w in self.weights]
        self.squares *= keep
        self.since = at

    def rates(self) -> list[float]:
        # Two sales at the usual rate are assumed, evenly over the channels.
        many, span = len(self.weights), LEARNED_DAYS * DAY_S
        assumed = 2.0
        whole = (sum(self.weights) + assumed) / (span + assumed / max(self.usual, 1e-12))
        return [whole * (w + assumed / many) / (sum(self.weights) + assumed) for w in self.weights]
