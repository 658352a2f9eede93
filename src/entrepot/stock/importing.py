"""Some rows of a stock file taken in: levels, a count, suppliers with what they sell, purchase orders.

Works in the caller's transaction; the rows that make no sense are reported, the others are all taken or none. A whole file is
taken in by such parts (`files.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.money import to_decimal, to_minor
from entrepot.stock import reading_papers, reading_queues, store, store_supply
from entrepot.stock.booking import open_books
from entrepot.stock.changes import StockChange, change_on_hand
from entrepot.stock.contracts import MAX_QUANTITY, InvalidQuantity
from entrepot.stock.counts import record_counts
from entrepot.stock.csv_in import Columns, Row, RowProblem, Sheet
from entrepot.stock.purchases import add_to_draft, draft_purchase
from entrepot.stock.suppliers import Offer, change_supplier, create_supplier, put_offers

CHUNK = 500


COLUMNS: Mapping[str, Columns] = {
    "stock": Columns(("sku",), ("on_hand", "delta")),
    "count": Columns(("sku", "counted")),
    "suppliers": Columns(("name",)),
    "purchase-orders": Columns(("supplier", "sku", "quantity")),
}
"""What each kind of file must have."""


@dataclass(slots=True)
class Report:
    """What some rows did. `done`: rows taken; `made`: documents and suppliers that came of it."""

    rows: int
    done: int = 0
    problems: list[RowProblem] = field(default_factory=list)
    made: list[UUID] = field(default_factory=list)


async def import_levels(tx: Tx, rows: Sequence[Row], *, actor: str, reason: str = "stock file") -> Report:
    """Set (`on_hand`) or adjust (`delta`) stock: columns sku, location (empty: the first), and one of both."""
    sheet = Sheet(list(rows))
    total = len(sheet.rows)
    places = {row.name: row.id for row in await reading_queues.location_rows(tx) if row.active}

    def check(row: Row) -> None:
        if (row.units("on_hand") is None) == (row.units("delta", least=-MAX_QUANTITY) is None):
            raise ValueError("Give one of on_hand and delta.")
        if row.text("location") and row.text("location") not in places:
            raise ValueError(f"There is no location in use called {row.text('location')[:100]!r}.")

    good = await _known(tx, sheet, sheet.checked(check))
    bundles = await catalog.parts_of(tx, [id for _, id in good])
    default = await store.default_location(tx)
    changes = []
    for row, id in good:
        if id in bundles:
            sheet.refuse(row, "The stock of a bundle follows its parts.")
        else:
            place = places.get(row.text("location"), default)
            units, delta = row.units("on_hand"), row.units("delta", least=-MAX_QUANTITY)
            changes.append((row, StockChange(id, reason, units, delta, place)))
    # All locks at once, in their order; what follows may then be tried and undone in any.
    await open_books(tx, [(each.variant_id, each.location_id or default) for _, each in changes], actor=actor)
    report = Report(total)
    for kind in ("count", "adjustment"):
        some = [pair for pair in changes if (pair[1].on_hand is not None) == (kind == "count")]
        for start in range(0, len(some), CHUNK):
            report.done += await _apply(tx, sheet, some[start : start + CHUNK], kind, actor)
    report.problems = sorted(sheet.problems, key=lambda problem: problem.row)
    return report


async def _apply(tx: Tx, sheet: Sheet, changes: Sequence[tuple[Row, StockChange]], kind: str, actor: str) -> int:
    """Make changes; where they are refused halve them until the row is found that is. Return how many were made."""
    await tx.execute("savepoint stock_rows")
    try:
        await change_on_hand(tx, [change for _, change in changes], kind=kind, actor=actor)
    except InvalidQuantity as error:
        await tx.execute("rollback to savepoint stock_rows")
        if len(changes) == 1:
            sheet.refuse(changes[0][0], error.detail)
            return 0
        half = len(changes) // 2
        first = await _apply(tx, sheet, changes[:half], kind, actor)
        return first + await _apply(tx, sheet, changes[half:], kind, actor)
    await tx.execute("release savepoint stock_rows")
    return len(changes)


async def import_counts(tx: Tx, count_id: UUID, rows: Sequence[Row], *, actor: str) -> Report:
    """Write what was counted on a sheet: columns sku and counted; an empty cell is not counted.

    Raises DocumentNotFound, WrongState, SheetTooLong.
    """
    sheet = Sheet(list(rows))
    total = len(sheet.rows)
    good = await _known(tx, sheet, sheet.checked(lambda row: _ignore(row.units("counted"))))
    bundles = await catalog.parts_of(tx, [id for _, id in good])
    for row, id in good:
        if id in bundles:
            sheet.refuse(row, "A bundle has no stock of its own: count its parts.")
    counted = {id: units for row, id in good if id not in bundles and (units := row.units("counted")) is not None}
    await record_counts(tx, count_id, counted, actor=actor)
    return Report(total, len(counted), sorted(sheet.problems, key=lambda problem: problem.row))


def _ignore(value: object) -> None:
    """Reading the value was the check."""


async def import_suppliers(tx: Tx, rows: Sequence[Row], *, currency: str) -> Report:
    """Make or change suppliers and what they sell: columns name, and any of email, currency, lead_time_days, note, sku,
    supplier_sku, cost, item_lead_time_days, pack_units, minimum_units, preferred.

    `currency`: of new suppliers whose row names none.
    """
    sheet = Sheet(list(rows))
    report = Report(len(sheet.rows))

    def check(row: Row) -> None:
        if not 1 <= len(row.text("name")) <= 200:
            raise ValueError("name must have 1 to 200 characters.")
        row.units("lead_time_days", most=730)
        row.units("item_lead_time_days", most=730)
        row.units("pack_units", least=1)
        row.units("minimum_units", least=1)
        row.amount("cost")
        row.switch("preferred")

    good = sheet.checked(check)
    by_name: dict[str, list[Row]] = {}
    for row in good:
        by_name.setdefault(row.text("name"), []).append(row)
    sold = dict(await _known(tx, sheet, [row for row in good if row.sku], keep_rows=True))
    for name in sorted(by_name):
        try:
            id = await _supplier(tx, name, by_name[name], currency, report)
            kept = await reading_papers.supplier(tx, id)
            offers = []
            for row in sheet.checked_of(by_name[name], partial(_check_cost, currency=kept.currency)):
                if row.number in sold:
                    offers.append(_offer(row, sold[row.number], kept.currency))
                report.done += not row.sku or row.number in sold
            await put_offers(tx, id, offers)
        except EntrepotError as error:
            for row in by_name[name]:
                sheet.refuse(row, error.detail)
    report.problems = sorted(sheet.problems, key=lambda problem: problem.row)
    return report


async def _supplier(tx: Tx, name: str, rows: Sequence[Row], currency: str, report: Report) -> UUID:
    """Make the supplier of these rows, or change it by what they say; return its id."""
    told: dict[str, Any] = {}
    for row in rows:
        for column in ("email", "note"):
            if row.text(column):
                told[column] = row.text(column)
        days = row.units("lead_time_days")
        if days is not None:
            told["lead_time_days"] = days
    id = await store_supply.supplier_named(tx, name)
    if id is None:
        named = next((row.text("currency") for row in rows if row.text("currency")), currency)
        id = await create_supplier(tx, name, named.upper(), **told)
        report.made.append(id)
    elif told:
        await change_supplier(tx, id, **told)
    return id


def _offer(row: Row, variant_id: UUID, currency: str) -> Offer:
    return Offer(
        variant_id, row.text("supplier_sku")[:200], _minor(row, currency),
        row.units("item_lead_time_days"), row.units("pack_units") or 1, row.units("minimum_units") or 1,
        row.switch("preferred"),
    )  # fmt: skip


def _minor(row: Row, currency: str) -> int | None:
    """Return what the row's cost is in minor units. Raises ValueError if it has more decimal places than the currency."""
    cost = row.amount("cost")
    if cost is None:
        return None
    value = to_minor(cost, currency)
    if to_decimal(value, currency) != cost:
        raise ValueError(f"cost {cost} has more decimal places than {currency} has.")
    return value


def _check_cost(row: Row, *, currency: str) -> None:
    _minor(row, currency)


async def import_purchases(tx: Tx, rows: Sequence[Row], drafts: dict[str, str], *, actor: str) -> Report:
    """Draft purchase orders, one for each supplier and location: columns supplier, sku, quantity, and any of location
    (empty: the first), cost.

    `drafts`: the drafts of the rows before, by supplier and location; these rows are added to them as long as they fit.
    """
    sheet = Sheet(list(rows))
    report = Report(len(sheet.rows))
    places = {row.name: row.id for row in await reading_queues.location_rows(tx) if row.active}

    def check(row: Row) -> None:
        if row.units("quantity", least=1) is None:
            raise ValueError("quantity is missing.")
        row.amount("cost")
        if row.text("location") and row.text("location") not in places:
            raise ValueError(f"There is no location in use called {row.text('location')[:100]!r}.")

    good = await _known(tx, sheet, sheet.checked(check))
    default = await store.default_location(tx)
    grouped: dict[tuple[str, UUID], list[tuple[Row, UUID]]] = {}
    for row, id in good:
        place = places.get(row.text("location"), default)
        grouped.setdefault((row.text("supplier"), place), []).append((row, id))
    for (name, place), some in sorted(grouped.items(), key=lambda pair: pair[0]):
        await _purchase(tx, sheet, report, name, place, some, actor, drafts)
    report.problems = sorted(sheet.problems, key=lambda problem: problem.row)
    return report


async def _purchase(
    tx: Tx,
    sheet: Sheet,
    report: Report,
    name: str,
    place: UUID,
    rows: Sequence[tuple[Row, UUID]],
    actor: str,
    drafts: dict[str, str],
) -> None:
    supplier_id = await store_supply.supplier_named(tx, name)
    if supplier_id is None:
        for row, _ in rows:
            sheet.refuse(row, f"There is no supplier called {name[:100]!r}.")
        return
    currency = (await reading_papers.supplier(tx, supplier_id)).currency
    bundles = await catalog.parts_of(tx, [id for _, id in rows])
    units: dict[UUID, int] = {}
    costs: dict[UUID, int | None] = {}
    taken = 0
    for row, id in rows:
        try:
            cost = _minor(row, currency)
        except ValueError as error:
            sheet.refuse(row, str(error))
            continue
        if id in bundles:
            sheet.refuse(row, "A bundle has no stock of its own: buy its parts.")
            continue
        units[id] = units.get(id, 0) + (row.units("quantity") or 0)
        costs[id] = cost
        taken += 1
    if units:
        key = f"{supplier_id} {place}"
        try:
            if key not in drafts or not await add_to_draft(tx, UUID(drafts[key]), units, costs=costs):
                made = await draft_purchase(tx, supplier_id, place, units, costs=costs, actor=actor)
                drafts[key] = str(made)
                report.made.append(made)
            report.done += taken
        except EntrepotError as error:
            for row, _ in rows:
                sheet.refuse(row, error.detail)


async def _known(tx: Tx, sheet: Sheet, rows: Sequence[Row], *, keep_rows: bool = False) -> Any:
    """Return (row, variant) of the rows whose SKU exists, or (row number, variant); report the others."""
    found: Mapping[str, UUID] = await catalog.known_skus(tx, list({row.sku for row in rows if row.sku}))
    good = []
    for row in rows:
        if not row.sku:
            sheet.refuse(row, "The SKU is missing.")
        elif row.sku not in found:
            sheet.refuse(row, "There is no variant with this SKU.")
        else:
            good.append((row.number if keep_rows else row, found[row.sku]))
    return good
