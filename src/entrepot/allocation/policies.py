"""Whether a strategy's parameters are valid, in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from entrepot.allocation.contracts import InvalidPolicy
from entrepot.allocation.strategies import RISK_DEFAULTS

Check = Callable[[Mapping[str, Any]], None]


def units(value: Any, what: str) -> int:
    """Return a whole number of units, 0 or more, or raise InvalidPolicy."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidPolicy(f"{what} must be a whole number, 0 or more.")
    return value


def number(value: Any, what: str, least: float, most: float = math.inf) -> float:
    """Return a number within bounds, or raise InvalidPolicy."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidPolicy(f"{what} must be a number.")
    try:
        found = float(value)
    except ValueError:
        raise InvalidPolicy(f"{what} must be a number, not {value!r}.") from None
    if not least <= found <= most or math.isinf(found):
        bounds = f"{least:g} or more" if math.isinf(most) else f"between {least:g} and {most:g}"
        raise InvalidPolicy(f"{what} must be {bounds}.")
    return found


def only(found: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    """Raise InvalidPolicy if there is a name that nobody reads."""
    for name in found:
        if name not in names:
            raise InvalidPolicy(f"{where} has no {name!r}: it takes {', '.join(names) or 'nothing'}.")


def _pool_minus_buffer(parameters: Mapping[str, Any]) -> None:
    units(parameters.get("buffer", 0), "The buffer")


def _fixed_shares(parameters: Mapping[str, Any]) -> None:
    shares = parameters.get("shares", {})
    try:
        values = [Decimal(str(v)) for v in dict(shares).values()]
    except (ArithmeticError, TypeError, ValueError):
        raise InvalidPolicy('Shares are numbers by channel, such as {"shopify": 0.4}.') from None
    if any(v.is_nan() or not 0 <= v <= 1 for v in values):
        raise InvalidPolicy("Each share lies between 0 and 1.")


def _priority(parameters: Mapping[str, Any]) -> None:
    only(parameters, ("targets", "target"), "Priority")
    targets = parameters.get("targets", {})
    if not isinstance(targets, Mapping):
        raise InvalidPolicy('Targets are units by channel, such as {"shopify": 20}.')
    for channel, target in targets.items():
        units(target, f"The target of {channel}")
    if parameters.get("target") is not None:
        units(parameters["target"], "The target")


def _by_weight(parameters: Mapping[str, Any]) -> None:
    only(parameters, ("prior_units", "reserve"), "This strategy")
    number(parameters.get("prior_units", 0), "The units that sales are evened by (prior_units)", 0, 1e6)
    number(parameters.get("reserve", 0), "The reserve", 0, 1)


_RISK_BOUNDS: Mapping[str, tuple[float, float]] = {
    "risk": (1e-6, 0.5),
    "oversell_cost": (0, 1e6),
    "replenish_days": (0, 3650),
    "lag_s": (0, 1e6),
}


def _risk(parameters: Mapping[str, Any]) -> None:
    only(parameters, tuple(RISK_DEFAULTS), "The risk strategy")
    for name, value in parameters.items():
        number(value, name, *_RISK_BOUNDS[name])


def _nothing(_: Mapping[str, Any]) -> None:
    pass


CHECKS: Mapping[str, Check] = {
    "fixed_shares": _fixed_shares,
    "equal": _nothing,
    "pool_minus_buffer": _pool_minus_buffer,
    "priority": _priority,
    "performance": _by_weight,
    "demand": _by_weight,
    "risk": _risk,
}
