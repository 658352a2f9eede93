"""Values that cross the wall of the stock room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.kernel.errors import Conflict, InvalidInput

MAX_QUANTITY = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """So many units of a variant."""

    variant_id: UUID
    quantity: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A request to set stock aside for a while, all lines or none. `expires_at` None: until released."""

    id: UUID
    lines: tuple[ClaimLine, ...]
    expires_at: datetime | None
    actor: str
    reference_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A line that could not be had."""

    variant_id: UUID
    asked: int
    available: int


@dataclass(frozen=True, slots=True)
class SaleClaim:
    """Units of an order line that a channel has sold: always recorded, what is not there becomes a shortage."""

    order_line_id: UUID
    variant_id: UUID
    quantity: int


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What became of a SaleClaim."""

    order_line_id: UUID
    reserved: int
    shortage: int


@dataclass(frozen=True, slots=True)
class Level:
    """Stock of a variant at a location, in units. See `available_to_sell`."""

    variant_id: UUID
    location_id: UUID
    on_hand: int
    reserved: int
    held: int
    unavailable: int
    incoming: int
    safety_stock: int

    @property
    def available_to_sell(self) -> int:
        """on_hand - reserved - held - unavailable - safety_stock; negative where a recount found too little."""
        return self.on_hand - self.reserved - self.held - self.unavailable - self.safety_stock


@dataclass(frozen=True, slots=True)
class KeptBack:
    """Units that a location keeps back; `sku`: of which part, for a bundle, else empty."""

    location: str
    units: int
    sku: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """What channels may show of a variant: what is available to sell, less what locations keep back."""

    units: int
    kept: tuple[KeptBack, ...] = ()


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A balance that is not the sum of its movements; `uncovered`: more reserved for orders than is on hand."""

    variant_id: UUID
    location_id: UUID
    column: str
    balance: int
    ledger: int


class NotEnoughStock(Conflict):
    """There is not enough stock."""

    def __init__(self, shortfalls: tuple[Shortfall, ...]) -> None:
        first = shortfalls[0]
        more = f" ({len(shortfalls)} lines)" if len(shortfalls) > 1 else ""
        super().__init__(f"Asked for {first.asked}, available {first.available}{more}.")
        self.shortfalls = shortfalls
        self.context: dict[str, Any] = {
            "lines": [{"variantId": str(s.variant_id), "asked": s.asked, "available": s.available} for s in shortfalls]
        }


class InvalidQuantity(InvalidInput):
    """A quantity must be a whole number within bounds."""
