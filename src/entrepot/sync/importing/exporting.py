"""Products as a file, read page by page, so that a large catalog needs neither memory nor a long transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog.files.writing import FORMATS, Full, UnknownExport, Writer
from entrepot.catalog.filters import ProductFilter
from entrepot.catalog.search import list_products
from entrepot.database.pool import Database, Tx
from entrepot.stock import facade as stock

PAGE = 250
ATTRIBUTES_MAX = 300

__all__ = ["FORMATS", "ProductFilter", "UnknownExport", "export_products", "file_name"]


def file_name(format: str) -> str:
    """Return what a file of this format is called. Raises UnknownExport."""
    if format not in FORMATS:
        raise UnknownExport
    return f"products-{format}.{FORMATS[format][1]}"


async def export_products(
    database: Database, organisation_id: UUID, format: str, chosen: ProductFilter
) -> AsyncIterator[bytes]:
    """Yield the products that match as a file, by title. Raises UnknownExport."""
    async with database.transaction(organisation_id) as tx:
        attributes = await catalog.attribute_names(tx, ATTRIBUTES_MAX)
    writer = Writer(format, attributes)
    yield writer.begin()
    cursor: str | None = None
    while True:
        async with database.transaction(organisation_id) as tx:
            found = await list_products(tx, chosen, cursor, PAGE)
            products = await _full(tx, [row.id for row in found])
        if products:
            yield await asyncio.to_thread(writer.page, products)
        cursor = found.next_cursor
        if cursor is None:
            break
    yield writer.end()


async def _full(tx: Tx, ids: list[UUID]) -> list[Full]:
    state = await catalog.read_full(tx, ids)
    units = await stock.on_hand_at_first(tx, [v.id for v in state.variants.values()])
    return [
        Full(
            state.by_id[id],
            sorted(state.of_product.get(id, ()), key=lambda v: (v.position, v.sku)),
            {v.sku: units[v.id] for v in state.of_product.get(id, ()) if v.id in units},
        )
        for id in ids
        if id in state.by_id
    ]
