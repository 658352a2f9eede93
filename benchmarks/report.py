"""What a run prints: a table, then one JSON object as the last line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KEYS = (
    "reserve_single_vs_pgbench", "reserve_batch_vs_pgbench", "reserve_hot_vs_pgbench", "http_reserve_s",
    "http_reserve_p99_ms", "webhook_accepted_s", "webhook_reserved_s", "webhook_reserved_p99_ms", "publish_p99_ms",
    "drift_100k_cpu_s", "drift_1000_changes_cpu_s",
)  # fmt: skip
"""The figures of `core`, in this order."""

Figure = float | None | Mapping[str, float | None]
"""One figure, None if it could not be measured, or one for each of several data sets."""
Figures = Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: what was measured, the figure, what it is to be held against."""

    name: str
    figure: str
    beside: str = ""


def table(lines: Sequence[Line]) -> str:
    """Return the lines as a Markdown table."""
    rows = [("Measured", "Figure", "Beside it"), *((v.name, v.figure, v.beside) for v in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def as_json(figures: Figures, keys: Sequence[str]) -> str:
    """Return the figures of these keys, null where one could not be measured, then what else was measured."""
    whole = {key: figures.get(key) for key in keys} | {k: v for k, v in figures.items() if k not in keys}
    return json.dumps({key: _rounded(value) for key, value in whole.items()})


def _rounded(value: Figure) -> Any:
    """Return three decimals, or three digits of what is below one (a chance)."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return round(value, 3) if abs(value) >= 1 else float(f"{value:.3g}")


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
