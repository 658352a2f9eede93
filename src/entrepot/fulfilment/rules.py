"""From which place each line of an order goes. Pure: rules, places, stock and the time are arguments.

Made to order, sent by the channel and sent by a supplier are set apart first. What is left goes through the rules from the
first on; the first that holds and finds places decides. Fewest places first, and of as few the best by the rule's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from uuid import UUID

from entrepot.fulfilment.contracts import Assignment, Parked, Place, RouteLine, RouteOrder, Routing, Stock
from entrepot.fulfilment.placing import Wanted, place_lines
from entrepot.fulfilment.rule_data import Amount, Else, From, Rule, RuleSet, Sort, Then, When

EARTH_KM = 6371.0088
"""Mean radius: https://en.wikipedia.org/wiki/Earth_radius#Arithmetic_mean_radius."""


def route(order: RouteOrder, rules: RuleSet, places: Sequence[Place], stock: Stock, now: datetime) -> Routing:
    """Return where each open unit of the order goes or why it waits, and the steps that led there."""
    done, steps = _apart(order)
    left = {place.id: place for place in places}
    free = dict(stock)
    parked: list[Parked] = []
    for supplier, lines in _by_supplier(order).items():
        found, waiting = _from_supplier(left.get(supplier), lines, free)
        done += found
        parked += waiting
        _use(free, lines, found)
        steps += [
            f"{line.sku}: sent by {left[supplier].name if supplier in left else 'its supplier'} only" for line in lines
        ]
    wanted = [line for line in order.lines if not (line.by_channel or line.maker or line.sent_by)]
    if not wanted:
        return Routing(tuple(done), tuple(parked), None, tuple(steps))
    placed, waiting, rule = _by_rules(replace(order, lines=tuple(wanted)), rules, places, free, now, steps)
    return Routing((*done, *placed), (*parked, *waiting), rule, tuple(steps))


def _apart(order: RouteOrder) -> tuple[list[Assignment], list[str]]:
    done, steps = [], []
    for line in order.lines:
        if line.by_channel:
            done.append(Assignment(line.id, line.quantity))
            steps.append(f"{line.sku}: the channel sends it")
        elif line.maker is not None:
            done.append(Assignment(line.id, line.quantity, maker=line.maker))
            steps.append(f"{line.sku}: made to order")
    return done, steps


def _by_supplier(order: RouteOrder) -> dict[UUID, list[RouteLine]]:
    lines: dict[UUID, list[RouteLine]] = {}
    for line in order.lines:
        if line.sent_by is not None and not line.by_channel and line.maker is None:
            lines.setdefault(line.sent_by, []).append(line)
    return lines


def _from_supplier(
    place: Place | None, lines: Sequence[RouteLine], free: dict[tuple[UUID, UUID], int]
) -> tuple[list[Assignment], list[Parked]]:
    if place is None:
        return [], [Parked(line.id, line.quantity, "The location that sends it is out of use.") for line in lines]
    placed = place_lines([Wanted.of(line) for line in lines], [place.id], free, units=True, partly=True)
    return _told(placed.taken), [
        Parked(line.id, placed.missing[line.id], f"{place.name} has too few.")
        for line in lines
        if placed.missing.get(line.id)
    ]


def _use(free: dict[tuple[UUID, UUID], int], lines: Sequence[RouteLine], taken: Sequence[Assignment]) -> None:
    parts = {line.id: line.parts for line in lines}
    for assignment in taken:
        for variant, units in parts[assignment.line_id].items():
            key = (variant, assignment.place_id)
            free[key] = free.get(key, 0) - units * assignment.quantity  # type: ignore[index, arg-type]


def _by_rules(
    order: RouteOrder, rules: RuleSet, places: Sequence[Place], stock: Stock, now: datetime, steps: list[str]
) -> tuple[list[Assignment], list[Parked], str | None]:
    """Place what is left by the first rule that can; note each step."""
    chain: list[tuple[str, Then]] = []
    for rule in rules.rules:
        why_not = failed(rule.when, order, now)
        if why_not:
            steps.append(f"Rule {rule.name!r} does not hold: {why_not}")
        else:
            chain.append((rule.name, rule.then))
    if rules.otherwise is not None:
        chain.append(("", rules.otherwise))
    reason = "No rule says from where."
    for name, then in chain:
        label = f"Rule {name!r}" if name else "Otherwise"
        placed, missing, reason = _try(order, then, places, stock)
        if placed and (not missing or then.partly):
            steps.append(f"{label}: {reason}")
            return placed, _parked(order, missing, then, now, "Not enough in stock."), name or None
        steps.append(f"{label}: {reason}")
        if then.otherwise is Else.PARK:
            return [], _parked(order, {line.id: line.quantity for line in order.lines}, then, now, reason), name or None
    return [], _parked(order, {line.id: line.quantity for line in order.lines}, Then(), now, reason), None


def _try(
    order: RouteOrder, then: Then, places: Sequence[Place], stock: Stock
) -> tuple[list[Assignment], dict[UUID, int], str]:
    """Return what a rule places, the units by line that it does not, and in words what it did or why it could not."""
    allowed = [place for place in places if _allowed(place, then.source, order)]
    if not allowed:
        return [], {}, "none of the places that it names may send this order"
    able = [place for place in allowed if place.capacity_left is None or place.capacity_left > 0]
    if not able:
        return [], {}, "every place that it names has sent all it can today"
    wanted = [Wanted.of(line) for line in order.lines]
    ordered = sorted(able, key=lambda place: _rank(place, then.sort, order, wanted, stock))
    names = {place.id: place.name for place in ordered}
    kept = {key: max(0, units - then.safety) for key, units in stock.items()} if then.safety else stock
    most = 1 if then.split == "never" else then.parcels
    found = place_lines(
        wanted, [place.id for place in ordered], kept, most=most, units=then.split == "units", partly=then.partly
    )
    if not found.taken:
        less = f", of which {then.safety} of each stay" if then.safety else ""
        return [], found.missing, f"{', '.join(names[place.id] for place in ordered)}: not enough in stock{less}"
    used = list(dict.fromkeys(place for _, place, _ in found.taken))
    text = f"from {' and '.join(names[place] for place in used)}"
    return _told(found.taken), found.missing, text + (", the rest waits" if found.missing else "")


def _told(taken: Iterable[tuple[UUID, UUID, int]]) -> list[Assignment]:
    return [Assignment(line, units, place_id=place) for line, place, units in taken]


def _parked(order: RouteOrder, missing: Mapping[UUID, int], then: Then, now: datetime, reason: str) -> list[Parked]:
    until = None if then.park_hours is None else now + timedelta(hours=then.park_hours)
    cancel = None if then.cancel_after_hours is None else order.placed_at + timedelta(hours=then.cancel_after_hours)
    text = reason[:1].upper() + reason[1:].rstrip(".") + "."
    return [Parked(line.id, missing[line.id], text, until, cancel) for line in order.lines if missing.get(line.id)]


# ---- conditions ----------------------------------------------------------------------------------------------------


def failed(when: When, order: RouteOrder, now: datetime) -> str | None:
    """Return the first condition that does not hold, in words; None if all do."""
    checks = (
        _in("channel", when.channel, order.channel),
        _in("connection", tuple(map(str, when.connection)) if when.connection else None, str(order.connection_id)),
        _in("country", when.country, order.country.upper()),
        _not_in("country", when.not_country, order.country.upper()),
        _in("region", when.region, order.region),
        _part("method", when.method, order.method),
        _common("the order has none of the tags", when.tag, order.tags),
        _common("no product has one of the tags", when.product_tag, {tag for line in order.lines for tag in line.tags}),
        _begins(when.sku, order.lines),
        _in("risk", when.risk, order.risk),
        _amount(when.total, order.total_minor),
        _promised(when.promised_within_hours, order, now),
        _old(when.older_than_hours, order, now),
    )
    return next((why for why in checks if why), None)


def _in(what: str, wanted: Sequence[str] | None, value: str) -> str | None:
    if wanted is None or value in wanted:
        return None
    return f"{what} {value or 'unknown'} is not in {', '.join(wanted)}"


def _not_in(what: str, unwanted: Sequence[str] | None, value: str) -> str | None:
    return f"{what} {value} is in {', '.join(unwanted)}" if unwanted is not None and value in unwanted else None


def _part(what: str, wanted: Sequence[str] | None, value: str) -> str | None:
    if wanted is None or any(word.casefold() in value.casefold() for word in wanted):
        return None
    return f"{what} {value or 'unknown'} has none of {', '.join(wanted)}"


def _common(text: str, wanted: Sequence[str] | None, values: Iterable[str]) -> str | None:
    return None if wanted is None or set(wanted) & set(values) else f"{text} {', '.join(wanted)}"


def _begins(wanted: Sequence[str] | None, lines: Sequence[RouteLine]) -> str | None:
    if wanted is None or any(line.sku.startswith(tuple(wanted)) for line in lines):
        return None
    return f"no SKU begins with {', '.join(wanted)}"


def _amount(wanted: Amount | None, minor: int) -> str | None:
    if wanted is None:
        return None
    if wanted.at_least is not None and minor < wanted.at_least:
        return f"the total {minor} is less than {wanted.at_least}"
    return (
        f"the total {minor} is not below {wanted.below}" if wanted.below is not None and minor >= wanted.below else None
    )


def _promised(hours: int | None, order: RouteOrder, now: datetime) -> str | None:
    if hours is None or (order.promised_at is not None and order.promised_at - now <= timedelta(hours=hours)):
        return None
    return f"it is not promised within {hours} hours"


def _old(hours: int | None, order: RouteOrder, now: datetime) -> str | None:
    return (
        None
        if hours is None or now - order.placed_at > timedelta(hours=hours)
        else f"it is not older than {hours} hours"
    )


# ---- places --------------------------------------------------------------------------------------------------------


def _allowed(place: Place, source: From, order: RouteOrder) -> bool:
    if source.places is not None and place.id not in source.places:
        return False
    if source.groups is not None and not place.groups & set(source.groups):
        return False
    if source.kinds is not None and place.kind not in source.kinds:
        return False
    if source.within_km is None:
        return True
    km = distance_km(place, order)
    return km is not None and km <= source.within_km


def _rank(
    place: Place, sort: Sequence[Sort], order: RouteOrder, wanted: Sequence[Wanted], stock: Stock
) -> tuple[float, ...]:
    """Return what places are ordered by; the last two make the order a whole one."""
    keys: list[float] = []
    for by in sort:
        match by:
            case Sort.DISTANCE:
                keys += _nearness(place, order)
            case Sort.COST:
                keys.append(place.cost_minor)
            case Sort.STOCK:
                keys.append(-sum(min(line.quantity, line.whole_at(place.id, stock)) for line in wanted))
            case Sort.CAPACITY:
                keys.append(-(place.capacity_left if place.capacity_left is not None else 1_000_000_000))
            case Sort.PRIORITY:
                keys.append(place.priority)
    return (*keys, place.priority, place.id.int)


def _nearness(place: Place, order: RouteOrder) -> tuple[float, float]:
    same = order.country != "" and place.country.upper() == order.country.upper()
    near = 0 if same and order.region and place.region == order.region else 1 if same else 2
    km = distance_km(place, order)
    return (0, km) if km is not None else (near, float("inf"))


def distance_km(place: Place, order: RouteOrder) -> float | None:
    """Return the great-circle distance from a place to the order's address; None where either is not known."""
    if place.latitude is None or place.longitude is None or order.latitude is None or order.longitude is None:
        return None
    there, here = radians(order.latitude), radians(place.latitude)
    across = radians(order.longitude - place.longitude)
    chord = sin((there - here) / 2) ** 2 + cos(there) * cos(here) * sin(across / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(chord)))


__all__ = ["Rule", "RuleSet", "distance_km", "failed", "route"]
