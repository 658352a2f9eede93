"""The catalog: fields merged, files taken in, the list and the search at a million variants."""

from __future__ import annotations

from benchmarks import catalog_imports, catalog_search, merging
from benchmarks.hub import Bench
from benchmarks.report import Figures, Line

KEYS = (*catalog_imports.KEYS, *catalog_search.KEYS, *merging.KEYS)
"""What this benchmark promises."""


async def measure(hub: Bench) -> tuple[Figures, list[Line]]:
    """Measure all figures of the catalog."""
    figures, lines = merging.measure(hub.seconds)
    for part in (catalog_imports.measure, catalog_search.measure):
        found, told = await part(hub)
        figures = {**figures, **found}
        lines = [*lines, *told]
    return figures, lines
