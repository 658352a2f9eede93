"""The stored reason of a desired quantity as lines that a person reads. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrepot.web import formats

TITLES = {
    "strategy": "Strategy",
    "pool": "Pool to sell",
    "ats": "Available to sell",
    "share": "Share",
    "buffer": "Buffer",
    "reserve": "Kept back",
    "shares": "Shares",
    "weight": "Weight",
    "fulfilment_only": "Fulfilment only",
}


def explain_lines(reason: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (title, value) for each stored fact, in the order they were stored; texts without a title come first."""
    lines: list[tuple[str, str]] = []
    for key, value in reason.items():
        if key in ("text", "why", "summary"):
            lines.insert(0, ("", str(value)))
        elif isinstance(value, list):
            lines += [("", str(each)) for each in value if not isinstance(each, Mapping)]
        else:
            lines.append((TITLES.get(key) or formats.word(key), _value(key, value)))
    return lines


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return formats.number(value)
    if isinstance(value, float):
        return f"{value:.0%}" if "share" in key or "weight" in key else f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{formats.word(str(name))} {_value(str(name), each)}" for name, each in value.items())
    return formats.word(value) if key == "strategy" else str(value)
