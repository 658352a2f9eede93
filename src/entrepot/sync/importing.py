"""Import a product file: catalog and opening stock together, in chunks, the same file twice changing nothing."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog.csv_format import RowProblem, read_products
from entrepot.database.pool import Database, Tx
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock

CHUNK = 500


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or (dry run) would do. `created` and `updated` count variants."""

    rows: int
    products: int
    created: int
    updated: int
    stock_set: int
    problems: tuple[RowProblem, ...]
    dry_run: bool


async def import_products(
    database: Database, organisation_id: UUID, text: str, *, currency: str, actor: str, dry_run: bool = False
) -> ImportReport:
    """Take over a product file (see catalog.csv_format); stock is set only for variants that had none before.

    So the same file twice changes nothing, and an old file never overwrites a count. Each chunk is one transaction. Raises
    UnknownFormat.
    """
    file = read_products(text, currency=currency)
    created = updated = stock_set = 0
    for start in range(0, len(file.products), CHUNK):
        chunk = file.products[start : start + CHUNK]
        skus = [v.sku for p in chunk for v in p.variants]
        async with database.transaction(organisation_id) as tx:
            known = await catalog.known_skus(tx, skus)
            new = [sku for sku in skus if sku not in known]
            created += len(new)
            updated += len(known)
            opening = {sku: file.stock[sku] for sku in new if sku in file.stock}
            stock_set += len(opening)
            if dry_run:
                continue
            variants = await catalog.save_products(tx, chunk)
            await _open_stock(tx, variants, opening, actor)
            await orders.settle_exceptions(tx, {sku: variants[sku] for sku in new})
    return ImportReport(file.rows, len(file.products), created, updated, stock_set, tuple(file.problems), dry_run)


async def _open_stock(tx: Tx, variants: dict[str, UUID], opening: dict[str, int], actor: str) -> None:
    changes = [stock.StockChange(variants[sku], "opening stock", on_hand=units) for sku, units in opening.items()]
    if changes:
        await stock.change_on_hand(tx, changes, kind="count", actor=actor)
