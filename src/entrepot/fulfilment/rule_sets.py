"""Versions of the routing rules, what places are like, and trying rules out on orders that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.fulfilment import rules, store
from entrepot.fulfilment.contracts import InvalidRouting, Place, Routing, RulesNotFound
from entrepot.fulfilment.facts import Facts, gather, rules_in_force
from entrepot.fulfilment.planning import take
from entrepot.fulfilment.reading import orders_to_try
from entrepot.fulfilment.rule_data import RuleSet, read, write
from entrepot.fulfilment.working import ROUTE
from entrepot.orders.contracts import OrderToRoute
from entrepot.stock import facade as stock

START: Mapping[str, Any] = {"rules": [], "otherwise": {"split": "units"}}
"""The rules that every hub starts with: the fewest parcels, from the nearest place, then by priority."""
MINOR_MOST = 1_000_000_000
CAPACITY_MOST = 1_000_000
GROUPS_MOST = 20


async def save_rules(tx: Tx, told: Mapping[str, Any], note: str, *, actor: str) -> int:
    """Keep routing rules as a new version, not in force yet; return its number. Raises InvalidRouting."""
    rule_set = await check_rules(tx, told)
    if len(note) > 200:
        raise InvalidRouting("A note has at most 200 characters.")
    number = await store.lock_rules(tx) + 1
    await store.insert_rules(tx, number, write(rule_set), note, actor)
    return number


async def check_rules(tx: Tx, told: Mapping[str, Any]) -> RuleSet:
    """Return rules as typed values. Raises InvalidRouting, also for a location that is not there."""
    rule_set = read(told)
    known = {location.id for location in await stock.locations(tx)}
    sources = [(f"Rule {rule.name!r} at then.from.places", rule.then.source) for rule in rule_set.rules]
    if rule_set.otherwise is not None:
        sources.append(("otherwise.from.places", rule_set.otherwise.source))
    for where, source in sources:
        if missing := next((place for place in source.places or () if place not in known), None):
            raise InvalidRouting(f"{where}: there is no location {missing}")
    return rule_set


async def put_in_force(tx: Tx, number: int, now: datetime) -> None:
    """Route by this version from now on; what waits is looked at again. Raises RulesNotFound."""
    await store.lock_rules(tx)
    if not await store.put_in_force(tx, number):
        raise RulesNotFound()
    await store.ask(tx, await store.all_parked(tx), "stock", now)
    tx.hint(ROUTE)


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """What routing knows of a location. `cost_minor`: of a parcel; `daily_capacity`: orders a day, None: no limit."""

    country: str = ""
    region: str = ""
    cost_minor: int = 0
    daily_capacity: int | None = None
    groups: tuple[str, ...] = ()


async def describe_place(tx: Tx, location_id: UUID, facts: PlaceFacts) -> None:
    """Keep what routing is to know of a location. Raises LocationNotFound, InvalidRouting."""
    country = facts.country.strip().upper()
    groups = tuple(dict.fromkeys(word.strip() for word in facts.groups if word.strip()))
    if country and (len(country) != 2 or not country.isalpha()):
        raise InvalidRouting(f"{facts.country!r} is not a country's two letters, such as PT.")
    if not 0 <= facts.cost_minor <= MINOR_MOST:
        raise InvalidRouting("What a parcel costs is not less than nothing, nor more than 10,000,000.00.")
    if facts.daily_capacity is not None and not 0 <= facts.daily_capacity <= CAPACITY_MOST:
        raise InvalidRouting(f"A location sends 0 to {CAPACITY_MOST:,} orders a day.")
    if len(facts.region) > 100 or len(groups) > GROUPS_MOST or any(len(word) > 100 for word in groups):
        raise InvalidRouting(
            f"A region and a group have at most 100 characters; there are at most {GROUPS_MOST} groups."
        )
    if all(location.id != location_id for location in await stock.locations(tx)):
        raise stock.LocationNotFound(location_id=str(location_id))
    await store.put_place(
        tx, location_id, country, facts.region.strip(), facts.cost_minor, facts.daily_capacity, groups
    )


# ---- trying out ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Trial:
    """What rules would do: orders by place and by rule, orders in several parcels, what waits, what parcels cost."""

    orders: int = 0
    parcels: int = 0
    split: int = 0
    waiting_orders: int = 0
    waiting_units: int = 0
    cost_minor: int = 0
    by_place: Counter[str] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)
    found: dict[UUID, Routing] = field(default_factory=dict, repr=False)


async def try_rules(tx: Tx, rule_set: RuleSet, order_ids: Sequence[UUID], now: datetime, *, past: bool) -> Trial:
    """Return what these rules would do with these orders, one after another; nothing is written.

    `past`: with all that was ordered, from the stock of today; else with what is reserved now. Capacity is that of today.
    """
    return trial(await gather(tx, order_ids, now, lock=False), rule_set, now, past=past)


def trial(facts: Facts, rule_set: RuleSet, now: datetime, *, past: bool) -> Trial:
    """The same, of facts. Pure."""
    told = Trial()
    free = dict(facts.free)
    places = dict(facts.places)
    if not past:
        _give_back(facts, free)
    for order in sorted(facts.orders, key=lambda each: (each.placed_at, each.id)):
        units = _units(facts, order, past)
        if not units or order.fulfilled_by_channel:
            continue
        found = rules.route(facts.route_order(order, units), rule_set, list(places.values()), free, now)
        _count(told, facts, order, found)
        for each in found.assignments:
            if each.place_id is not None:
                take(free, facts.parts[each.line_id], each.place_id, each.quantity)
        _use_day(places, found)
    return told


def _units(facts: Facts, order: OrderToRoute, past: bool) -> dict[UUID, int]:
    told = {line.id: line.ordered if past else line.reserved for line in order.lines}
    return {line: units for line, units in told.items() if units > 0 and line in facts.parts}


def _give_back(facts: Facts, free: dict[tuple[UUID, UUID], int]) -> None:
    """Let all of these orders take what is reserved for any of them."""
    for own in facts.reserved.values():
        for key, units in own.items():
            free[key] = free.get(key, 0) + units


def _use_day(places: dict[UUID, Place], found: Routing) -> None:
    for id in {each.place_id for each in found.assignments if each.place_id is not None}:
        place = places[id]
        if place.capacity_left is not None:
            places[id] = replace(place, capacity_left=place.capacity_left - 1)


def _count(told: Trial, facts: Facts, order: OrderToRoute, found: Routing) -> None:
    used = {each.place_id for each in found.assignments if each.place_id is not None}
    told.orders += 1
    told.parcels += len(used)
    told.split += len(used) > 1
    told.waiting_orders += bool(found.parked)
    told.waiting_units += sum(each.quantity for each in found.parked)
    told.cost_minor += sum(facts.places[id].cost_minor for id in used)
    told.by_place.update(facts.places[id].name for id in used)
    if used:
        told.by_rule[found.rule or ""] += 1
    told.found[order.id] = found


def differences(now: Trial, then: Trial) -> list[UUID]:
    """Return the orders that two trials send from other places or let wait otherwise."""
    return [
        order
        for order, found in then.found.items()
        if order not in now.found
        or (set(found.assignments), _waits(found)) != (set(now.found[order].assignments), _waits(now.found[order]))
    ]


def _waits(found: Routing) -> set[tuple[UUID, int]]:
    return {(each.line_id, each.quantity) for each in found.parked}


@dataclass(frozen=True, slots=True)
class Compared:
    """Rules tried out beside those in force, on the same orders; `differ`: orders that would go otherwise."""

    past: bool
    force: Trial
    tried: Trial
    differ: tuple[UUID, ...]


async def compare(tx: Tx, told: Mapping[str, Any], now: datetime, *, past: bool) -> Compared:
    """Try rules and those in force out on the newest orders, `past` or open ones. Raises InvalidRouting."""
    rule_set = await check_rules(tx, told)
    _, in_force = await rules_in_force(tx)
    facts = await gather(tx, await orders_to_try(tx, past=past), now, lock=False)
    force, tried = (trial(facts, each, now, past=past) for each in (in_force, rule_set))
    return Compared(past, force, tried, tuple(differences(force, tried)))
