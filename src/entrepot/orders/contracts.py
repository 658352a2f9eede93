"""Values that cross the wall of the orders room."""

from __future__ import annotations

from dataclasses import dataclass

from entrepot.kernel.errors import Conflict, NotFound

ORDERS_SOLD = "orders.sold"
"""Event: {"connection_id", "sold": [[external variant id, variant id, units, placed_at ISO]]}.

Units that the channel took off its own listing; negative: cancelled ones, which some channels put back themselves.
"""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingestion did."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    exceptions: int = 0
    short: int = 0

    def __add__(self, other: Ingested) -> Ingested:
        return Ingested(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.exceptions + other.exceptions,
            self.short + other.short,
        )


class OrderNotFound(NotFound):
    """There is no such order."""


class NothingToShip(Conflict):
    """These units cannot be shipped."""
