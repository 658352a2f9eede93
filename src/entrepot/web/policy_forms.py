"""Allocation policies as forms: the fields of each strategy, what is typed there as parameters, and back. Pure.

A field's name is its path in the parameters (`p-shares-shopify`), so a refusal finds its field. Shares are typed in percent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from entrepot.allocation.facade import InvalidPolicy
from entrepot.kernel.errors import InvalidInput

PREFIX = "p"


@dataclass(frozen=True, slots=True)
class StrategyText:
    """A strategy for people: its name, what it does and when to take it."""

    title: str
    does: str
    when: str


_TEXTS = (
    (
        "risk",
        "Risk",
        "As much as possible while overselling stays rare.",
        "Most sellers, once sales and lags are known.",
    ),
    (
        "fixed_shares",
        "Fixed shares",
        "A set part for each channel, the rest in reserve.",
        "Channels were promised a part.",
    ),
    ("equal", "Equal parts", "The same for each, the remainder in reserve.", "Nothing is known."),
    ("pool_minus_buffer", "Pool less a buffer", "Everything everywhere, less a buffer.", "An oversell costs little."),
    ("priority", "Priority", "One channel after another, each up to its target.", "One channel is to be served first."),
    ("performance", "Performance", "By units sold in 30 days.", "Sales differ much by channel."),
    ("demand", "Demand", "By units expected in 30 days.", "The same, and a forecast is there."),
    ("rules", "Custom rules", "Your own, by product, tag, channel, stock, time and sales.", "You know better."),
)
STRATEGIES: Mapping[str, StrategyText] = {name: StrategyText(title, does, when) for name, title, does, when in _TEXTS}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form. `path`: where its value is in the parameters; `percent`: typed as percent, stored as a part."""

    path: tuple[str, ...]
    title: str
    hint: str = ""
    percent: bool = False
    whole: bool = False
    default: str = ""

    @property
    def name(self) -> str:
        """Its name in the form."""
        return name_of(self.path)


def name_of(path: Sequence[str | int]) -> str:
    """Return the name of the field for a place in the parameters."""
    return "-".join((PREFIX, *map(str, path)))


def fields_of(strategy: str, channels: Sequence[str]) -> tuple[Field, ...]:
    """Return the fields of a strategy; `channels`: those connected."""
    make = _FIELDS.get(strategy)
    return make(channels) if make else ()


def _shares(channels: Sequence[str]) -> tuple[Field, ...]:
    return (
        *(
            Field(("shares", c), f"{c.capitalize()}, percent", percent=True, hint="" if at else
                  "Empty: 40, 30 and 20 percent by priority. A share set for the connection itself goes before.")
            for at, c in enumerate(channels)
        ),
        Field(("reserve",), "Reserve, percent", "At least so much of the pool is shown nowhere.", percent=True, default="0"),
    )  # fmt: skip


def _targets(channels: Sequence[str]) -> tuple[Field, ...]:
    return (
        *(
            Field(("targets", c), f"{c.capitalize()}, units", "" if at else "Empty: as the others.", whole=True)
            for at, c in enumerate(channels)
        ),
        Field(("target",), "Others, units", "Empty: a channel takes all that is left when its turn comes.", whole=True),
    )  # fmt: skip


def _by_weight(prior: str) -> Callable[[Sequence[str]], tuple[Field, ...]]:
    return lambda _: (
        Field(("prior_units",), "Evened by, units", "So many sales weigh as much as equal parts.", default=prior),
        Field(("reserve",), "Reserve, percent", "At least so much of the pool is shown nowhere.", percent=True, default="0"),
    )  # fmt: skip


_FIELDS: Mapping[str, Callable[[Sequence[str]], tuple[Field, ...]]] = {
    "fixed_shares": _shares,
    "pool_minus_buffer": lambda _: (
        Field(("buffer",), "Buffer, units", "Shown on no channel.", whole=True, default="0"),
    ),
    "priority": _targets,
    "performance": _by_weight("10"),
    "demand": _by_weight("3"),
    "risk": lambda _: (
        Field(("risk",), "Accepted risk, percent", "How often a stock-out may oversell.", percent=True, default="0.5"),
        Field(("oversell_cost",), "What an oversell costs, in margins", "10: as much as ten sales earn.", default="10"),
        Field(("replenish_days",), "Days until more stock is there", default="14"),
        Field(("lag_s",), "Lag where none is measured, seconds", "From a sale until every channel shows it.", default="900"),
    ),
}  # fmt: skip


def values_of(fields: Sequence[Field], parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return what the fields show for these parameters."""
    shown = {}
    for field in fields:
        value: Any = parameters
        for part in field.path:
            value = value.get(part) if isinstance(value, Mapping) else None
        shown[field.name] = "" if value is None else _typed(value, percent=field.percent)
    return shown


def _typed(value: Any, *, percent: bool) -> str:
    try:
        number = Decimal(str(value)) * (100 if percent else 1)
    except InvalidOperation:
        return str(value)
    return f"{number.normalize():f}"


def parameters_of(fields: Sequence[Field], form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the parameters that are typed, and by field what is wrong. An empty field is not said: the default counts."""
    parameters: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for field in fields:
        text = form.get(field.name, "")
        if not text:
            continue
        try:
            value = number_typed(text, field.title.partition(",")[0], percent=field.percent, whole=field.whole)
        except InvalidInput as wrong:
            errors[field.name] = wrong.detail
            continue
        place = parameters
        for part in field.path[:-1]:
            place = place.setdefault(part, {})
        place[field.path[-1]] = value
    return parameters, errors


def number_typed(text: str, what: str, *, percent: bool = False, whole: bool = False) -> float | int:
    """Return the number that a person typed, a percentage as a part. Raises InvalidInput, naming `what`."""
    plain = text.replace(" ", "").replace("\u00a0", "").replace("%", "").replace("−", "-")
    try:
        number = Decimal(plain)
    except InvalidOperation:
        raise InvalidInput(f"{what} must be a number.") from None
    if not number.is_finite() or abs(number) > 10**12:
        raise InvalidInput(f"{what} is out of bounds.")
    if whole:
        if number != int(number):
            raise InvalidInput(f"{what} must be a whole number.")
        return int(number)
    return float(number / 100) if percent else float(number)


def error_of(wrong: InvalidPolicy, names: Sequence[str]) -> dict[str, str]:
    """Return the refusal by the field that it belongs to, the nearest that the form has; under "" if none."""
    path = tuple(wrong.path)
    while path:
        if name_of(path) in names:
            return {name_of(path): wrong.detail}
        path = path[:-1]
    return {"": wrong.detail}


def in_words(strategy: str, parameters: Mapping[str, Any]) -> str:
    """Return what is special about a policy, in a line."""
    if strategy == "rules":
        count = len(parameters.get("rules", ()))
        rest = parameters.get("otherwise", {}).get("strategy", "fixed_shares")
        title = STRATEGIES[rest].title.lower() if rest in STRATEGIES else rest
        return f"{count} rule{'' if count == 1 else 's'}, else {title}"
    channels = sorted({*parameters.get("shares", {}), *parameters.get("targets", {})})
    said = []
    for field in fields_of(strategy, channels):
        value = values_of([field], parameters)[field.name]
        if value:
            title, _, unit = field.title.partition(", ")
            said.append(f"{title.lower() if len(field.path) == 1 else field.path[-1]} {value}{_UNITS.get(unit, '')}")
    return ", ".join(said)


_UNITS = {"percent": "%", "seconds": " s", "units": " units"}
