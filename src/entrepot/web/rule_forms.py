"""Custom rules as a form: a fieldset for each rule, and back to data. Pure.

Fields of rule 2 begin with `r2-`. Lists are typed with commas; a share in percent; settings of a strategy as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from entrepot.kernel.errors import InvalidInput
from entrepot.web.policy_forms import number_typed

DAYS = {"mon": "Mon", "tue": "Tue", "wed": "Wed", "thu": "Thu", "fri": "Fri", "sat": "Sat", "sun": "Sun"}
_LISTS = {"sku": "SKUs", "tag": "Tags", "product": "Products"}
_BOUNDS = (("stock", "at_least"), ("stock", "below"), ("sold", "days"), ("sold", "at_least"), ("sold", "below"))
_UNITS = (("quantity", "Show"), ("cap", "At most"), ("buffer", "Keep back"))


@dataclass(slots=True)
class Rules:
    """What the form shows: each rule's fields by name without prefix, the zone and what holds otherwise."""

    rules: list[dict[str, str]] = field(default_factory=list)
    zone: str = ""
    otherwise: str = "fixed_shares"
    otherwise_parameters: str = ""


# ---- data to form ----------------------------------------------------------------------------------------


def form_of(parameters: Mapping[str, Any], handles: Mapping[str, str]) -> Rules:
    """Return the form that shows these rules; `handles`: product id -> handle."""
    otherwise = parameters.get("otherwise", {})
    return Rules(
        [_rule_form(rule, handles) for rule in parameters.get("rules", ())],
        parameters.get("zone", "") or "",
        otherwise.get("strategy", "fixed_shares"),
        _json(otherwise.get("parameters")),
    )


def _rule_form(rule: Mapping[str, Any], handles: Mapping[str, str]) -> dict[str, str]:
    conditions, then = rule.get("if", {}), rule.get("then", {})
    shown = {"name": rule.get("name", "")}
    for name in _LISTS:
        values = conditions.get(name, ())
        shown[name] = ", ".join(handles.get(v, v) if name == "product" else v for v in values)
    shown |= {f"channel-{channel}": "1" for channel in conditions.get("channel", ())}
    for name, bound in _BOUNDS:
        shown[f"{name}-{bound}"] = str(conditions.get(name, {}).get(bound, ""))
    when = conditions.get("time", {})
    shown |= {f"day-{day}": "1" for day in when.get("days", ())}
    shown |= {"time-from": when.get("from", ""), "time-to": when.get("to", "")}
    for name, _ in _UNITS:
        shown[name] = str(then.get(name, ""))
    share = then.get("share")
    shown["share"] = "" if share is None else f"{float(share) * 100:g}"
    shown |= {"strategy": then.get("strategy", ""), "parameters": _json(then.get("parameters"))}
    return shown


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True) if value else ""


# ---- what is typed ---------------------------------------------------------------------------------------


def typed(form: Mapping[str, str]) -> Rules:
    """Return what a person typed, as it stands in the form."""
    found: dict[int, dict[str, str]] = {}
    for name, value in form.items():
        match = re.fullmatch(r"r(\d{1,3})-([\w.-]+)", name)
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = value
    return Rules(
        [found[number] for number in sorted(found)], form.get("zone", ""), form.get("otherwise", "fixed_shares"),
        form.get("otherwise-parameters", ""),
    )  # fmt: skip


def changed(rules: Rules, do: str) -> Rules:
    """Return the form after a button: `add`, `remove-2`, `up-2` (counted from 0)."""
    verb, _, number = do.partition("-")
    at = int(number) if number.isdigit() else -1
    listed = list(rules.rules)
    if verb == "add":
        listed.append({"name": ""})
    elif verb == "remove" and 0 <= at < len(listed):
        del listed[at]
    elif verb == "up" and 0 < at < len(listed):
        listed[at - 1], listed[at] = listed[at], listed[at - 1]
    return Rules(listed, rules.zone, rules.otherwise, rules.otherwise_parameters)


# ---- form to data ----------------------------------------------------------------------------------------


def data_of(rules: Rules, ids: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the rules as data, and by field what is wrong with it; `ids`: handle -> product id."""
    errors: dict[str, str] = {}
    parameters: dict[str, Any] = {
        "rules": [_rule(number, shown, ids, errors) for number, shown in enumerate(rules.rules)],
        "otherwise": {"strategy": rules.otherwise},
    }
    settings = _settings(rules.otherwise_parameters, "otherwise-parameters", errors)
    if settings:
        parameters["otherwise"]["parameters"] = settings
    if rules.zone:
        parameters["zone"] = rules.zone
    return parameters, errors


def handles_in(rules: Rules) -> list[str]:
    """Return the handles of products that the rules name."""
    return [handle for shown in rules.rules for handle in listed(shown.get("product", ""))]


def listed(text: str) -> list[str]:
    """Return the parts of a text between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _rule(number: int, shown: Mapping[str, str], ids: Mapping[str, str], errors: dict[str, str]) -> dict[str, Any]:
    def say(name: str, text: str) -> None:
        errors[f"r{number}-{name}"] = text

    conditions, then = _conditions(shown, ids, say), _effects(number, shown, say, errors)
    rule: dict[str, Any] = {"if": conditions, "then": then}
    if shown.get("name"):
        rule["name"] = shown["name"]
    return rule


def _conditions(shown: Mapping[str, str], ids: Mapping[str, str], say: Any) -> dict[str, Any]:
    conditions: dict[str, Any] = {}
    for name in _LISTS:
        values = listed(shown.get(name, ""))
        if name == "product":
            unknown = [handle for handle in values if handle not in ids]
            if unknown:
                say("product", f"There is no product with the handle {unknown[0]!r}.")
            values = [ids.get(handle, handle) for handle in values]
        if values:
            conditions[name] = values
    channels = sorted(name.removeprefix("channel-") for name, on in shown.items() if name.startswith("channel-") and on)
    if channels:
        conditions["channel"] = channels
    for name, bound in _BOUNDS:
        value = _whole(shown, f"{name}-{bound}", "This", say)
        if value is not None:
            conditions.setdefault(name, {})[bound] = value
    when = {end: shown[f"time-{end}"] for end in ("from", "to") if shown.get(f"time-{end}")}
    days = [day for day in DAYS if shown.get(f"day-{day}")]
    if when or days:
        conditions["time"] = {**when, **({"days": days} if days else {})}
    return conditions


def _effects(number: int, shown: Mapping[str, str], say: Any, errors: dict[str, str]) -> dict[str, Any]:
    then: dict[str, Any] = {}
    for name, what in _UNITS:
        value = _whole(shown, name, what, say)
        if value is not None:
            then[name] = value
    if shown.get("share"):
        try:
            then["share"] = number_typed(shown["share"], "The share", percent=True)
        except InvalidInput as wrong:
            say("share", wrong.detail)
    if shown.get("strategy"):
        then["strategy"] = shown["strategy"]
    settings = _settings(shown.get("parameters", ""), f"r{number}-parameters", errors)
    if settings:
        then["parameters"] = settings
    return then


def _whole(shown: Mapping[str, str], name: str, what: str, say: Any) -> int | None:
    if not shown.get(name):
        return None
    try:
        return int(number_typed(shown[name], what, whole=True))
    except InvalidInput as wrong:
        say(name, wrong.detail)
        return None


def _settings(text: str, name: str, errors: dict[str, str]) -> dict[str, Any]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        errors[name] = 'Write settings as {"buffer": 2}.'
        return {}
    return found


def field_of(path: Sequence[str | int], names: Sequence[str]) -> str:
    """Return the form's field for a place in the data; empty if it has none."""
    match list(path):
        case ["rules", int(number), "if", "time", "days", *_]:
            wanted = f"r{number}-time-days"
        case ["rules", int(number), "if", name, bound, *_]:
            wanted = f"r{number}-{name}-{bound}"
        case ["rules", int(number), "if", "stock" | "sold" as name]:
            wanted = f"r{number}-{name}-below"
        case ["rules", int(number), "then"]:
            wanted = f"r{number}-then"
        case ["rules", int(number), "if" | "then", name, *_]:
            wanted = f"r{number}-{name}"
        case ["otherwise", "parameters", *_]:
            wanted = "otherwise-parameters"
        case [str(name), *_]:
            wanted = name
        case _:
            wanted = ""
    return wanted if wanted in names else ""


def error_names(rules: Rules) -> list[str]:
    """Return the fields that can show what is wrong."""
    own = (
        "name", "channel", "sku", "tag", "product", "stock-at_least", "stock-below", "sold-days", "sold-at_least",
        "sold-below", "time-from", "time-to", "time-days", "quantity", "share", "cap", "buffer", "strategy", "parameters",
        "then",
    )  # fmt: skip
    return [
        "zone",
        "otherwise",
        "otherwise-parameters",
        *(f"r{n}-{name}" for n in range(len(rules.rules)) for name in own),
    ]
