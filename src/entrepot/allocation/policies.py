"""Whether a strategy's parameters are valid, in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from entrepot.allocation.contracts import InvalidPolicy
from entrepot.allocation.strategies import RISK_DEFAULTS

Check = Callable[[Mapping[str, Any]], None]

UNITS_MOST = 1_000_000_000


def units(value: Any, what: str, *path: str | int) -> int:
    """Return a whole number of units, 0 or more, or raise InvalidPolicy at `path`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= UNITS_MOST:
        raise InvalidPolicy(f"{what} must be a whole number, 0 or more.", *path)
    return value


def number(value: Any, what: str, least: float, most: float, *path: str | int) -> float:
    """Return a number within bounds, or raise InvalidPolicy at `path`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidPolicy(f"{what} must be a number.", *path)
    try:
        found = float(value)
    except ValueError:
        raise InvalidPolicy(f"{what} must be a number, not {value!r}.", *path) from None
    if not least <= found <= most or math.isinf(found):
        bounds = f"{least:g} or more" if math.isinf(most) else f"between {least:g} and {most:g}"
        raise InvalidPolicy(f"{what} must be {bounds}.", *path)
    return found


def only(found: Mapping[str, Any], names: tuple[str, ...], where: str, *path: str | int) -> None:
    """Raise InvalidPolicy at `path` if there is a name that nobody reads."""
    for name in found:
        if name not in names:
            raise InvalidPolicy(f"{where} has no {name!r}: it takes {', '.join(names) or 'nothing'}.", *path, name)


def _pool_minus_buffer(parameters: Mapping[str, Any]) -> None:
    only(parameters, ("buffer",), "The pool less a buffer")
    units(parameters.get("buffer", 0), "The buffer", "buffer")


def _fixed_shares(parameters: Mapping[str, Any]) -> None:
    only(parameters, ("shares", "reserve"), "Fixed shares")
    number(parameters.get("reserve", 0), "The reserve", 0, 1, "reserve")
    shares = parameters.get("shares", {})
    if not isinstance(shares, Mapping):
        raise InvalidPolicy('Shares are numbers by channel, such as {"shopify": 0.4}.', "shares")
    for channel, share in shares.items():
        number(share, f"The share of {channel}", 0, 1, "shares", channel)


def _priority(parameters: Mapping[str, Any]) -> None:
    only(parameters, ("targets", "target"), "Priority")
    targets = parameters.get("targets", {})
    if not isinstance(targets, Mapping):
        raise InvalidPolicy('Targets are units by channel, such as {"shopify": 20}.', "targets")
    for channel, target in targets.items():
        units(target, f"The target of {channel}", "targets", channel)
    if parameters.get("target") is not None:
        units(parameters["target"], "The target", "target")


def _by_weight(parameters: Mapping[str, Any]) -> None:
    only(parameters, ("prior_units", "reserve"), "This strategy")
    number(parameters.get("prior_units", 0), "The units that sales are evened by", 0, 1e6, "prior_units")
    number(parameters.get("reserve", 0), "The reserve", 0, 1, "reserve")


_RISK_BOUNDS: Mapping[str, tuple[str, float, float]] = {
    "risk": ("The accepted risk", 1e-6, 0.5),
    "oversell_cost": ("What an oversell costs", 0, 1e6),
    "replenish_days": ("The days until more stock is there", 0, 3650),
    "lag_s": ("The lag", 0, 1e6),
}


def _risk(parameters: Mapping[str, Any]) -> None:
    only(parameters, tuple(RISK_DEFAULTS), "The risk strategy")
    for name, value in parameters.items():
        what, least, most = _RISK_BOUNDS[name]
        number(value, f"{what} ({name})", least, most, name)


def _nothing(parameters: Mapping[str, Any]) -> None:
    only(parameters, (), "Equal parts")


CHECKS: Mapping[str, Check] = {
    "fixed_shares": _fixed_shares,
    "equal": _nothing,
    "pool_minus_buffer": _pool_minus_buffer,
    "priority": _priority,
    "performance": _by_weight,
    "demand": _by_weight,
    "risk": _risk,
}
