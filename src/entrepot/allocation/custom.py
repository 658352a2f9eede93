"""Rules that a person writes: conditions on a listing and its variant, and what follows. Pure; rules are data.

    {"rules": [{"name": "few left on Amazon", "if": {"channel": ["amazon"], "stock": {"below": 10}}, "then": {"cap": 3}}],
     "otherwise": {"strategy": "risk", "parameters": {}}, "zone": "Europe/Lisbon"}

All conditions of a rule must hold. Of the rules that hold for a listing, the first that names a quantity or a share decides
it and the first that names a strategy decides how the rest is divided; caps and buffers of all of them count (the lowest
cap, the largest buffer). A listing with a quantity or share of its own takes it first, in order of priority; the strategy
divides what is left over the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from entrepot.allocation.contracts import Allotment, InvalidPolicy, Outlet, Situation
from entrepot.allocation.policies import CHECKS, only, units
from entrepot.allocation.strategies import PLAIN

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CONDITIONS = ("product", "sku", "tag", "channel", "stock", "time", "sold")
EFFECTS = ("quantity", "share", "cap", "buffer", "strategy", "parameters")
OTHERWISE: Mapping[str, Any] = {"strategy": "fixed_shares"}
RULES_MOST = 50
SOLD_DAYS_MOST = 30
"""Sales are told for so many days."""
Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a rule holds for a listing (None: for the variant as a whole), and what does not if not."""

    rule: str
    listing_id: UUID | None
    holds: bool
    why: str


def preview(pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any], situation: Situation) -> list[Match]:
    """Return for every rule and listing whether the rule holds there, and which condition does not."""
    zone = zone_of(parameters)
    matches = []
    for place, rule in enumerate(parameters.get("rules", ())):
        name = _name(rule, place)
        listings: list[Outlet | None] = [*_in_order(outlets)]
        for outlet in listings or [None]:
            failed = _failed(rule.get("if", {}), pool, outlet, situation, zone)
            listing = outlet.listing_id if outlet else None
            matches.append(Match(name, listing, failed is None, failed or "all conditions hold"))
    return matches


def divide(
    pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any], situation: Situation
) -> list[Allotment]:
    """Return what each listing may show by the rules (as checked by `check`)."""
    rules, zone = list(parameters.get("rules", ())), zone_of(parameters)
    held = {
        o.listing_id: [
            (_name(rule, place), rule.get("then", {}))
            for place, rule in enumerate(rules)
            if _failed(rule.get("if", {}), pool, o, situation, zone) is None
        ]
        for o in outlets
    }
    base, base_name = _base(rules, parameters, pool, situation, zone)
    left = max(0, pool)
    own: dict[UUID, Allotment] = {}
    for outlet in _in_order(outlets):
        decided = next(((n, t) for n, t in held[outlet.listing_id] if "quantity" in t or "share" in t), None)
        if decided is None:
            continue
        name, then = decided
        if "quantity" in then:
            wanted, words = int(then["quantity"]), f"{then['quantity']} units"
        else:
            share = Decimal(str(then["share"]))
            wanted, words = int(max(0, pool) * share), f"{share.normalize():%} of {pool}"
        part = min(wanted, left)
        less = "" if part == wanted else f", but only {part} are left"
        own[outlet.listing_id] = Allotment(outlet.listing_id, part, (f"rule {name!r}: {words}{less}",))
        left -= part
    others = [o for o in outlets if o.listing_id not in own]
    divided = PLAIN[base["strategy"]](left, others, base.get("parameters", {}), situation)
    said = f"{base_name}: {base['strategy'].replace('_', ' ')}"
    found = {a.listing_id: Allotment(a.listing_id, a.quantity, (said, *a.steps), a.target) for a in divided} | own
    return [_limited(found[o.listing_id], held[o.listing_id]) for o in outlets]


def _in_order(outlets: Sequence[Outlet]) -> list[Outlet]:
    return sorted(outlets, key=lambda o: (o.rank, o.connection_id, o.listing_id))


def _base(
    rules: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any], pool: int, situation: Situation, zone: tzinfo
) -> tuple[Mapping[str, Any], str]:
    for place, rule in enumerate(rules):
        if "strategy" in rule.get("then", {}) and _failed(rule.get("if", {}), pool, None, situation, zone) is None:
            return rule["then"], f"rule {_name(rule, place)!r}"
    return parameters.get("otherwise", OTHERWISE), "no rule says how to divide"


def _limited(allotment: Allotment, held: Sequence[tuple[str, Mapping[str, Any]]]) -> Allotment:
    caps = [(int(then["cap"]), name) for name, then in held if "cap" in then]
    buffers = [(int(then["buffer"]), name) for name, then in held if "buffer" in then]
    if not caps and not buffers:
        return allotment
    quantity, steps, target = allotment.quantity, list(allotment.steps), allotment.target
    if buffers:
        buffer, name = max(buffers, key=lambda found: found[0])
        quantity = max(0, quantity - buffer)
        target = None if target is None else max(0, target - buffer)
        steps.append(f"rule {name!r}: less a buffer of {buffer}")
    if caps:
        cap, name = min(caps, key=lambda found: found[0])
        if quantity > cap:
            steps.append(f"rule {name!r}: at most {cap}")
        quantity = min(quantity, cap)
        target = None if target is None else min(target, cap)
    return Allotment(allotment.listing_id, quantity, tuple(steps), target)


def _name(rule: Mapping[str, Any], place: int) -> str:
    return str(rule.get("name") or f"number {place + 1}")


def zone_of(parameters: Mapping[str, Any]) -> tzinfo:
    """Return the time zone that times of rules are meant in: UTC unless they name one."""
    return ZoneInfo(parameters["zone"]) if parameters.get("zone") else UTC


def _failed(
    conditions: Mapping[str, Any], pool: int, outlet: Outlet | None, situation: Situation, zone: tzinfo
) -> str | None:
    """Return the first condition that does not hold, in words; None if all do."""
    if "product" in conditions and str(situation.product_id) not in conditions["product"]:
        return "another product"
    if "sku" in conditions and situation.sku not in conditions["sku"]:
        return f"the SKU is {situation.sku or 'not known'}"
    if "tag" in conditions and not situation.tags.intersection(conditions["tag"]):
        return f"it has none of the tags {', '.join(conditions['tag'])}"
    if "channel" in conditions and (outlet is None or outlet.channel not in conditions["channel"]):
        return f"the channel is {outlet.channel if outlet else 'not one of those named'}"
    if "stock" in conditions and not _within(pool, conditions["stock"]):
        return f"there are {pool} units"
    if "time" in conditions:
        if situation.now is None:
            return "the time is not known"
        if not in_time(situation.now.astimezone(zone), conditions["time"]):
            return f"it is {situation.now.astimezone(zone):%a %H:%M}"
    if "sold" in conditions:
        days = int(conditions["sold"]["days"])
        if len(situation.sold) < days:
            return f"sales are known for {len(situation.sold)} days only"
        sold = sum(situation.sold[-days:])
        if not _within(sold, conditions["sold"]):
            return f"{sold} were sold in {days} days"
    return None


def _within(value: int, limits: Mapping[str, Any]) -> bool:
    return limits.get("at_least", value) <= value and ("below" not in limits or value < limits["below"])


def in_time(now: datetime, when: Mapping[str, Any]) -> bool:
    """Return whether a local time lies in a condition's days and hours."""
    start, end = _minutes(when.get("from", "00:00")), _minutes(when.get("to", "24:00"))
    minute = now.hour * 60 + now.minute
    day = now.weekday()
    if start < end:
        inside = start <= minute < end
    else:  # over midnight: the early hours belong to the day before
        inside = minute >= start or minute < end
        if minute < end:
            day = (day - 1) % 7
    return inside and DAYS[day] in when.get("days", DAYS)


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def check(parameters: Mapping[str, Any]) -> None:
    """Raise InvalidPolicy saying which rule and which field is wrong, and what it should be."""
    only(parameters, ("rules", "otherwise", "zone"), "A set of rules")
    if parameters.get("zone"):
        try:
            ZoneInfo(str(parameters["zone"]))
        except (KeyError, ValueError, OSError):
            raise InvalidPolicy(
                f"The zone {parameters['zone']!r} is not known: use a name such as Europe/Lisbon.", "zone"
            ) from None
    rules = parameters.get("rules", [])
    if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
        raise InvalidPolicy(
            'Rules are a list of objects, such as {"if": {"channel": ["amazon"]}, "then": {"cap": 3}}.', "rules"
        )
    if len(rules) > RULES_MOST:
        raise InvalidPolicy(f"There are {len(rules)} rules: {RULES_MOST} at most.", "rules")
    for place, rule in enumerate(rules):
        where, path = f"Rule {_name(rule, place)!r}" if rule.get("name") else f"Rule {place + 1}", ("rules", place)
        only(rule, ("name", "if", "then"), where, *path)
        for part in ("if", "then"):
            if not isinstance(rule.get(part, {}), Mapping):
                raise InvalidPolicy(f"{where}, {part}: must be an object.", *path, part)
        if not rule.get("then"):
            raise InvalidPolicy(
                f"{where} does nothing: give it a 'then' with one of {', '.join(EFFECTS[:-1])}.", *path, "then"
            )
        _check_conditions(rule.get("if", {}), where, (*path, "if"))
        _check_effects(rule["then"], rule.get("if", {}), where, (*path, "then"))
    _check_strategy(parameters.get("otherwise", OTHERWISE), "Otherwise", ("otherwise",))


def _check_conditions(conditions: Mapping[str, Any], where: str, path: Where) -> None:
    only(conditions, CONDITIONS, f"{where}, if:", *path)
    for name in ("product", "sku", "tag", "channel"):
        value = conditions.get(name, [])
        if (
            not isinstance(value, list)
            or not all(isinstance(v, str) for v in value)
            or (name in conditions and not value)
        ):
            raise InvalidPolicy(f'{where}, {name}: must be a list of texts, such as ["{name}"].', *path, name)
    for name, names in (("stock", ("at_least", "below")), ("sold", ("days", "at_least", "below"))):
        if name in conditions:
            limits = conditions[name]
            if not isinstance(limits, Mapping) or not {"at_least", "below"} & set(limits):
                raise InvalidPolicy(f"{where}, {name}: must have at_least, below or both.", *path, name)
            only(limits, names, f"{where}, {name}:", *path, name)
            for each, value in limits.items():
                units(value, f"{where}, {name}, {each}:", *path, name, each)
    if "sold" in conditions and not 1 <= conditions["sold"].get("days", 0) <= SOLD_DAYS_MOST:
        raise InvalidPolicy(f"{where}, sold, days: must be 1 or more, {SOLD_DAYS_MOST} at most.", *path, "sold", "days")
    if "time" in conditions:
        _check_time(conditions["time"], where, (*path, "time"))


def _check_time(when: Any, where: str, path: Where) -> None:
    if not isinstance(when, Mapping):
        raise InvalidPolicy(
            f'{where}, time: must be an object such as {{"days": ["sat"], "from": "18:00", "to": "23:00"}}.', *path
        )
    only(when, ("days", "from", "to"), f"{where}, time:", *path)
    days = when.get("days", list(DAYS))
    if not isinstance(days, list) or not days or any(day not in DAYS for day in days):
        raise InvalidPolicy(f"{where}, time, days: must be some of {', '.join(DAYS)}.", *path, "days")
    for name in ("from", "to"):
        text = when.get(name, "00:00")
        hours, colon, minutes = text.partition(":") if isinstance(text, str) else ("", "", "")
        plain = hours.isdecimal() and minutes.isdecimal() and len(hours) <= 2 and len(minutes) == 2 and colon
        if not plain or int(minutes) > 59 or _minutes(text) > 24 * 60:
            raise InvalidPolicy(f"{where}, time, {name}: must be a time such as 18:00.", *path, name)


def _check_effects(then: Mapping[str, Any], conditions: Mapping[str, Any], where: str, path: Where) -> None:
    only(then, EFFECTS, f"{where}, then:", *path)
    for name in ("quantity", "cap", "buffer"):
        if name in then:
            units(then[name], f"{where}, {name}:", *path, name)
    if "share" in then:
        try:
            share = Decimal(str(then["share"]))
        except InvalidOperation:
            share = Decimal(-1)
        if isinstance(then["share"], bool) or share.is_nan() or not 0 <= share <= 1:
            raise InvalidPolicy(f"{where}, share: must lie between 0 and 1.", *path, "share")
    if "quantity" in then and "share" in then:
        raise InvalidPolicy(f"{where} names a quantity and a share: keep one.", *path, "share")
    if "strategy" in then:
        if "channel" in conditions:
            raise InvalidPolicy(
                f"{where}, strategy: divides all listings, so the rule cannot be about one channel.", *path, "strategy"
            )
        _check_strategy({k: then[k] for k in ("strategy", "parameters") if k in then}, where, path)
    elif "parameters" in then:
        raise InvalidPolicy(f"{where}, parameters: belong to a strategy, which is missing.", *path, "parameters")


def _check_strategy(found: Any, where: str, path: Where) -> None:
    if not isinstance(found, Mapping):
        raise InvalidPolicy(f'{where}: must be an object such as {{"strategy": "equal"}}.', *path)
    only(found, ("strategy", "parameters"), f"{where}:", *path)
    name = found.get("strategy")
    if not isinstance(name, str) or name not in PLAIN:
        raise InvalidPolicy(
            f"{where}, strategy: there is no {name!r}: choose one of {', '.join(PLAIN)}.", *path, "strategy"
        )
    parameters = found.get("parameters", {})
    if not isinstance(parameters, Mapping):
        raise InvalidPolicy(f"{where}, parameters: must be an object.", *path, "parameters")
    try:
        CHECKS[name](parameters)
    except InvalidPolicy as wrong:
        raise InvalidPolicy(f"{where}, parameters: {wrong.detail}", *path, "parameters", *wrong.path) from None
