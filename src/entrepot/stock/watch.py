"""What follows from a change of stock inside this room: alerts for what is low, suggestions for what to buy.

Both are worked out in the reaction to a change, so a sale is looked at as soon as it is published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from entrepot.catalog.contracts import ProductNotFound, VariantNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.errors import NotFound
from entrepot.stock import store_supply, store_watch
from entrepot.stock.booking import use_locations
from entrepot.stock.claims import tell_changed
from entrepot.stock.contracts import MAX_QUANTITY, InvalidQuantity
from entrepot.stock.reordering import PointRule, Position, ReorderRule, rounded_up

LOW_AT = 10


class AlertNotFound(NotFound):
    """There is no such alert, or it is closed."""


class StockWatch:
    """Watches levels. `low_at`: at how many units to sell a variant is low if nothing else is said."""

    def __init__(self, low_at: int = LOW_AT, rule: ReorderRule | None = None) -> None:
        self._low_at = low_at
        self._rule = rule or PointRule()

    async def stock_changed(self, tx: Tx, events: Sequence[Mapping[str, Any]]) -> None:
        """React to `stock.changed`."""
        await self.look(tx, list({UUID(v) for event in events for v in event["variant_ids"]}))

    async def look(self, tx: Tx, variant_ids: Sequence[UUID]) -> list[UUID]:
        """Bring alerts and suggestions of these variants up to date; return those that have become low."""
        low = await store_watch.watch_levels(tx, variant_ids, self._low_at)
        rows = await store_watch.positions(tx, variant_ids, every_level=self._rule.every_level)
        if rows:
            await self._suggest(tx, rows)
        return low

    async def _suggest(self, tx: Tx, rows: Sequence[Any]) -> None:
        suppliers = await store_supply.best_suppliers(tx, list({row["variant_id"] for row in rows}))
        places = [_position(row, suppliers.get(row["variant_id"])) for row in rows]
        advice = await self._rule.advise(tx, places)
        wanted: list[store_watch.SuggestionRow] = []
        met = []
        for row, place in zip(rows, places, strict=True):
            given = advice.get((place.variant_id, place.location_id))
            if given is None:
                if row["has_need"]:
                    met.append((place.variant_id, place.location_id))
                continue
            quantity, steps = rounded_up(given, place)
            supplier = suppliers.get(place.variant_id)
            supplier_id = supplier["supplier_id"] if supplier else None
            wanted.append((place.variant_id, place.location_id, supplier_id, quantity, place.units, "\n".join(steps)))
        await store_watch.meet(tx, met)
        await store_watch.put_suggestions(tx, wanted)


def _position(row: Any, supplier: Any) -> Position:
    return Position(
        row["variant_id"], row["location_id"], row["on_hand"], row["claimed"], row["unavailable"], row["incoming"],
        row["short"], row["reorder_point"], row["reorder_quantity"], row["max_level"],
        supplier["name"] if supplier else None, supplier["lead_time_days"] if supplier else None,
        supplier["pack_units"] if supplier else 1, supplier["minimum_units"] if supplier else 1, row["is_first"],
    )  # fmt: skip


async def set_threshold(tx: Tx, scope: str, scope_id: UUID, low_at: int | None) -> None:
    """Say at how many units the stock of a `product` or `variant` is low; None: what the product or the shop says.

    Raises ProductNotFound, VariantNotFound, InvalidQuantity.
    """
    if low_at is not None and not 0 <= low_at <= MAX_QUANTITY:
        raise InvalidQuantity(f"A threshold is between 0 and {MAX_QUANTITY}.")
    variants = await store_watch.variants_of(tx, scope, scope_id)
    if not variants:
        raise ProductNotFound if scope == "product" else VariantNotFound
    await store_watch.put_threshold(tx, scope, scope_id, low_at)
    await tell_changed(tx, variants)


async def set_reorder_rule(
    tx: Tx, variant_id: UUID, location_id: UUID, *, point: int | None, quantity: int | None, max_level: int | None
) -> None:
    """Say when to buy a variant for a location (at `point` units) and how many (`quantity`, or up to `max_level`).

    A point of None takes the rule away. Raises InvalidQuantity, VariantNotFound, LocationNotFound, LocationRests.
    """
    if point is not None:
        if not 0 <= point <= MAX_QUANTITY or (quantity is None and max_level is None):
            raise InvalidQuantity("A rule needs a reorder point, and a reorder quantity or a highest level.")
        if quantity is not None and not 1 <= quantity <= MAX_QUANTITY:
            raise InvalidQuantity(f"A reorder quantity is between 1 and {MAX_QUANTITY}.")
        if max_level is not None and not point < max_level <= MAX_QUANTITY:
            raise InvalidQuantity("The highest level is above the reorder point.")
    await use_locations(tx, [location_id])
    if not await store_watch.variants_of(tx, "variant", variant_id):
        raise VariantNotFound(variant_id=str(variant_id))
    await store_watch.put_rule(tx, variant_id, location_id, point, quantity, max_level)
    await tell_changed(tx, [variant_id])


async def see_alert(tx: Tx, id: UUID, *, actor: str) -> None:
    """Note that somebody has seen an alert; it stays open until the stock is back. Raises AlertNotFound."""
    if not await store_watch.see_alert(tx, id, actor):
        raise AlertNotFound
