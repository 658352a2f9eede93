"""When to buy and how much: the protocol that a rule answers, the simple rule by reorder point. Pure but for the protocol.

A rule that reckons with demand answers the same protocol and is given to `StockWatch` in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from entrepot.database.pool import Tx

Place = tuple[UUID, UUID]
"""(variant, location)"""


@dataclass(frozen=True, slots=True)
class Position:
    """The stock of a variant at a location as buying sees it, its rule and its best supplier, if there are any.

    `claimed`: reserved and held; `short`: sold without stock. `lead_time_days` is the supplier's for this variant. `first`: of
    the places of our own that have the variant, stock is taken from this one first.
    """

    variant_id: UUID
    location_id: UUID
    on_hand: int
    claimed: int
    unavailable: int
    incoming: int
    short: int
    reorder_point: int | None = None
    reorder_quantity: int | None = None
    max_level: int | None = None
    supplier: str | None = None
    lead_time_days: int | None = None
    pack_units: int = 1
    minimum_units: int = 1
    first: bool = True

    @property
    def units(self) -> int:
        """What will be there to sell if nothing more is bought: on hand and incoming, less claims and shortages."""
        return self.on_hand + self.incoming - self.claimed - self.unavailable - self.short


@dataclass(frozen=True, slots=True)
class Advice:
    """Buy so many units; `steps` say why, each a short sentence for people."""

    quantity: int
    steps: tuple[str, ...]


class ReorderRule(Protocol):
    """Decides what to buy. Reads in the caller's transaction, writes nothing."""

    @property
    def every_level(self) -> bool:
        """Whether it wants to see levels that have no reorder rule of their own."""

    async def advise(self, tx: Tx, positions: Sequence[Position]) -> Mapping[Place, Advice]:
        """Return what to buy, by (variant, location); what is left out needs nothing. Packs are rounded afterwards."""


class PointRule:
    """Buys at the reorder point: the reorder quantity (as often as it takes), or up to the highest level."""

    every_level = False

    async def advise(self, tx: Tx, positions: Sequence[Position]) -> Mapping[Place, Advice]:
        """Return what to buy."""
        found = {(p.variant_id, p.location_id): by_point(p) for p in positions}
        return {place: advice for place, advice in found.items() if advice is not None}


def by_point(position: Position) -> Advice | None:
    """Return what to buy by the level's own rule, or None if it has none or there is enough."""
    point, units = position.reorder_point, position.units
    if point is None or units > point:
        return None
    steps = [stock_words(position), f"That is at or below the reorder point of {point:,}."]
    if position.max_level is not None:
        quantity = position.max_level - units
        steps.append(f"{quantity:,} fill it up to the highest level of {position.max_level:,}.")
    else:
        step = position.reorder_quantity or 1
        times = max(1, -(-(point + 1 - units) // step))
        quantity = step * times
        steps.append(
            f"The reorder quantity is {step:,}" + (f", {times:,} times to get above the point." if times > 1 else ".")
        )
    return Advice(quantity, tuple(steps))


def stock_words(position: Position) -> str:
    """Return what is there to come by, in words."""
    less = [
        f"{value:,} {word}"
        for value, word in (
            (position.claimed, "reserved"), (position.unavailable, "damaged"), (position.short, "short"),
        )
        if value
    ]  # fmt: skip
    more = f", {position.incoming:,} incoming" if position.incoming else ""
    return f"{position.on_hand:,} on hand{more}{', less ' + ', '.join(less) if less else ''}: {position.units:,} to come by."


def rounded_up(advice: Advice, position: Position) -> tuple[int, tuple[str, ...]]:
    """Return the quantity as the supplier sells it (least order, whole packs), with the steps that say so."""
    quantity = max(advice.quantity, position.minimum_units)
    quantity = -(-quantity // position.pack_units) * position.pack_units
    steps = advice.steps
    if quantity != advice.quantity:
        packs = f"packs of {position.pack_units:,}" if position.pack_units > 1 else ""
        least = f"at least {position.minimum_units:,}" if position.minimum_units > advice.quantity else ""
        how = ", ".join(part for part in (least, packs) if part)
        steps = (*steps, f"{position.supplier} sells {how}: {quantity:,}.")
    if position.supplier is not None:
        steps = (*steps, f"{position.supplier} takes {position.lead_time_days} days.")
    else:
        steps = (*steps, "No supplier sells it yet: name one.")
    return quantity, steps
