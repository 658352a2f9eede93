"""`python -m benchmarks core|all|NAME [--seconds S]`: prints a table, then one JSON object as the last line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

import uvloop

from benchmarks import (
    allocation,
    catalog,
    drift,
    http_reserve,
    matching,
    publish,
    reorder,
    reservations,
    routing,
    webhooks,
)  # fmt: skip
from benchmarks.hub import Bench, bench, server
from benchmarks.report import KEYS, Figure, Figures, Line, as_json, table

Measure = Callable[[Bench], Awaitable[tuple[Figures, list[Line]]]]

PARTS: Mapping[str, Measure] = {
    "reservations": reservations.measure,
    "http": http_reserve.measure,
    "webhooks": webhooks.measure,
    "publish": publish.measure,
    "drift": drift.measure,
    "catalog": catalog.measure,
}
CORE = ("reservations", "http", "webhooks", "publish", "drift")
PURE: Mapping[str, Callable[[float], tuple[Figures, list[Line]]]] = {
    "allocation": allocation.measure,
    "reorder": reorder.measure,
    "matching": matching.measure,
    "orders": routing.measure,
}
"""What needs no database; `KEYS_OF` says which figures it promises."""
KEYS_OF: Mapping[str, Sequence[str]] = {
    "allocation": allocation.KEYS,
    "reorder": reorder.KEYS,
    "catalog": catalog.KEYS,
    "matching": matching.KEYS,
    "orders": routing.KEYS,
}
GROUPS: Mapping[str, Sequence[str]] = {
    "core": tuple(part for part in PARTS if part not in KEYS_OF),
    "all": (*PARTS, *PURE),
}


async def run(parts: Sequence[str], seconds: float) -> tuple[Figures, list[Line]]:
    """Measure these parts, each on a database of its own."""
    figures: dict[str, Figure] = {}
    lines: list[Line] = []
    for part in (part for part in parts if part in PURE):
        _say(part)
        found, told = PURE[part](seconds)
        figures |= found
        lines += told
    based = [part for part in parts if part in PARTS]
    if not based:
        return figures, lines
    with server() as url:
        for part in based:
            async with bench(url, seconds, _say) as hub:
                found, told = await PARTS[part](hub)
            figures |= found
            lines += told
    return figures, lines


def _say(words: str) -> None:
    print(f"{words} ...", file=sys.stderr, flush=True)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*GROUPS, *PARTS, *PURE])
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each figure is measured")
    told = parser.parse_args(argv)
    parts = GROUPS.get(told.name, (told.name,))
    figures, lines = uvloop.run(run(parts, told.seconds))
    print(table(lines))
    print(as_json(figures, KEYS_OF.get(told.name, KEYS if told.name in GROUPS else ())))


if __name__ == "__main__":
    main(sys.argv[1:])
