"""Values that cross the wall of the orders room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from entrepot.kernel.errors import Conflict, NotFound

ORDERS_SOLD = "orders.sold"
"""Event: {"connection_id", "sold": [[external variant id, variant id, units, placed_at ISO]]}.

Units that the channel took off its own listing; negative: cancelled ones, which some channels put back themselves.
"""


ORDERS_CHANGED = "orders.changed"
"""Event: {"order_ids": [id]}: these orders came in, or what is open, reserved or short of them changed."""


@dataclass(frozen=True, slots=True)
class LineToRoute:
    """Units of a line: `ordered` and not cancelled; of the `open` ones `reserved` are in stock, `shortage` are not.

    No variant: it could not be matched.
    """

    id: UUID
    sku: str
    variant_id: UUID | None
    ordered: int
    open: int
    reserved: int
    shortage: int


@dataclass(frozen=True, slots=True)
class OrderToRoute:
    """What decides from where an order is sent. Country and region as its address tells them; amounts in minor units."""

    id: UUID
    connection_id: UUID
    channel: str
    status: str
    placed_at: datetime
    country: str
    region: str
    total_minor: int
    currency: str
    fulfilled_by_channel: bool
    lines: tuple[LineToRoute, ...]


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
