"""The catalog: files taken in, the list and the search at a million variants."""

from __future__ import annotations

from benchmarks import catalog_imports, catalog_search
from benchmarks.hub import Bench
from benchmarks.report import Figures, Line

KEYS = (*catalog_imports.KEYS, *catalog_search.KEYS)
"""What this benchmark promises."""


async def measure(hub: Bench) -> tuple[Figures, list[Line]]:
    """Measure all figures of the catalog."""
    figures: Figures = {}
    lines: list[Line] = []
    for part in (catalog_imports.measure, catalog_search.measure):
        found, told = await part(hub)
        figures = {**figures, **found}
        lines += told
    return figures, lines
