"""What routing has to know, read for many orders at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.fulfilment import store
from entrepot.fulfilment.contracts import Place, RouteLine, RouteOrder, Sending
from entrepot.fulfilment.rule_data import RuleSet, read
from entrepot.orders import facade as orders
from entrepot.orders.contracts import LineToRoute, OrderToRoute
from entrepot.stock import facade as stock
from entrepot.stock.contracts import ClaimResult

NOT_MATCHED = "It could not be matched to a product."
SHORT = "Sold beyond stock."


@dataclass(slots=True)
class Facts:
    """What is known of some orders. `free`: units by (variant, place) that nobody has; `reserved`: by line, (variant, place)."""

    orders: list[OrderToRoute]
    places: dict[UUID, Place]
    free: dict[tuple[UUID, UUID], int]
    reserved: dict[UUID, dict[tuple[UUID, UUID], int]]
    parts: dict[UUID, Mapping[UUID, int]]
    tags: dict[UUID, frozenset[str]]
    sendings: dict[UUID, list[Sending]]

    def stock_of(self, order: OrderToRoute) -> dict[tuple[UUID, UUID], int]:
        """Return the units that an order may take: those that are free and its own."""
        units = dict(self.free)
        for line in order.lines:
            for key, own in self.reserved.get(line.id, {}).items():
                units[key] = units.get(key, 0) + own
        return units

    def there(self, line_id: UUID, place_id: UUID) -> int:
        """Return how many whole units of a line are reserved at a place."""
        own = self.reserved.get(line_id, {})
        return min((own.get((variant, place_id), 0) // n for variant, n in self.parts[line_id].items()), default=0)

    def route_order(self, order: OrderToRoute, left: Mapping[UUID, int]) -> RouteOrder:
        """Return an order as rules see it, with so many units of its lines."""
        lines = tuple(
            RouteLine(line.id, line.sku, left[line.id], self.parts[line.id], self._tags(line))
            for line in order.lines
            if left.get(line.id)
        )
        return RouteOrder(
            order.id, order.channel, order.connection_id, order.placed_at, lines, order.country, order.region,
            total_minor=order.total_minor, currency=order.currency,
        )  # fmt: skip

    def _tags(self, line: LineToRoute) -> frozenset[str]:
        return self.tags.get(line.variant_id, frozenset()) if line.variant_id is not None else frozenset()


async def gather(tx: Tx, order_ids: Sequence[UUID], now: datetime, *, lock: bool) -> Facts:
    """Read what routing has to know of these orders. `lock`: their stock is locked first (the orders are already)."""
    found = await orders.orders_to_route(tx, order_ids)
    lines = [line for order in found for line in order.lines]
    if lock:
        await stock.lock_for_sales(tx, [line.id for line in lines], [])
    # What the stock room says now: the orders' own copy follows a moment later.
    claims = await stock.claims_of_lines(tx, [line.id for line in lines])
    found = [replace(order, lines=tuple(_as_claimed(line, claims) for line in order.lines)) for order in found]
    reserved: dict[UUID, dict[tuple[UUID, UUID], int]] = defaultdict(dict)
    parts: dict[UUID, dict[UUID, int]] = defaultdict(dict)
    for row in await stock.reserved_places(tx, [line.id for line in lines]):
        reserved[row.order_line_id][row.variant_id, row.location_id] = row.units
        parts[row.order_line_id][row.variant_id] = row.per_bundle
    variants = list({line.variant_id for line in lines if line.variant_id is not None})
    made_of = await catalog.parts_of(tx, variants)
    for line in lines:
        if line.id not in parts and line.variant_id is not None:
            of = made_of.get(line.variant_id, ())
            parts[line.id] = {part.variant_id: part.quantity for part in of} or {line.variant_id: 1}
    free = await free_units(tx, {variant for of in parts.values() for variant in of})
    return Facts(
        found, await places(tx, now), free, dict(reserved), dict(parts), await catalog.tags_of(tx, variants),
        await store.sendings(tx, order_ids),
    )  # fmt: skip


def _as_claimed(line: LineToRoute, claims: Mapping[UUID, ClaimResult]) -> LineToRoute:
    return replace(line, reserved=claims[line.id].reserved, shortage=claims[line.id].shortage)


async def free_units(tx: Tx, variants: set[UUID]) -> dict[tuple[UUID, UUID], int]:
    """Return the units that are available to sell, by variant and place."""
    levels = await stock.levels(tx, list(variants))
    return {(v.variant_id, v.location_id): max(0, v.available_to_sell) for v in levels}


async def places(tx: Tx, now: datetime) -> dict[UUID, Place]:
    """Return the locations in use as routing sees them. Their capacity is by the day in UTC."""
    known = {row["location_id"]: row for row in await store.place_facts(tx)}
    limited = any(row["daily_capacity"] is not None for row in known.values())
    since = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begun = await store.begun_since(tx, since) if limited else {}
    found: dict[UUID, Place] = {}
    for location in await stock.locations(tx):
        if not location.active:
            continue
        place = Place(location.id, location.name, location.kind, priority=location.priority)
        if row := known.get(location.id):
            most = row["daily_capacity"]
            place = replace(
                place, country=row["country"], region=row["region"], cost_minor=row["cost_minor"],
                groups=frozenset(row["groups"]),
                capacity_left=None if most is None else max(0, most - begun.get(location.id, 0)),
            )  # fmt: skip
        found[place.id] = place
    return found


async def rules_in_force(tx: Tx) -> tuple[int, RuleSet]:
    """Return the number and the rules in force; 0 and those that every hub starts with where there are none."""
    row = await store.rules_in_force(tx)
    return (0, RuleSet()) if row is None else (row["number"], read(row["rules"]))
