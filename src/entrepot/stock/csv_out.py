"""Every list of stock as CSV, read slice by slice, so that a million rows need neither memory nor a long transaction."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from entrepot.database.pool import Database, Tx
from entrepot.kernel.errors import NotFound
from entrepot.kernel.money import to_decimal
from entrepot.kernel.paging import LIMIT_MAX, Slice
from entrepot.stock import reading_papers, reading_queues
from entrepot.stock.reading_levels import list_levels
from entrepot.stock.reading_queues import MovementFilter

Fetch = Callable[[Tx, "str | None"], Awaitable[Slice[Any]]]
_RISKY = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Export:
    """A list as a file: its columns (title -> what to write of a row) and how to read on from a cursor."""

    name: str
    columns: Mapping[str, Callable[[Any], Any]]
    fetch: Fetch


async def text_of(database: Database, organisation_id: UUID, export: Export) -> AsyncIterator[str]:
    """Yield the file in parts: the heads, then the rows of one slice at a time."""
    yield _lines([list(export.columns)])
    cursor: str | None = None
    while True:
        async with database.transaction(organisation_id) as tx:
            found = await export.fetch(tx, cursor)
        if len(found):
            yield _lines([[_cell(write(row)) for write in export.columns.values()] for row in found])
        cursor = found.next_cursor
        if cursor is None:
            return


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, str) and value.startswith(_RISKY):
        # A spreadsheet would take it for a formula. `csv_in` takes the quote off again.
        return f"'{value}"
    return value


def _fields(*names: str, **others: Callable[[Any], Any]) -> dict[str, Callable[[Any], Any]]:
    return {name: _reader(name) for name in names} | others


def _reader(name: str) -> Callable[[Any], Any]:
    return lambda row: getattr(row, name)


def _amount(minor: int | None, currency: str) -> Decimal | None:
    return None if minor is None else to_decimal(minor, currency)


def levels() -> Export:
    """The stock of every SKU at every location."""
    columns = _fields(
        "sku", "title", "location", "on_hand", "reserved", "held", "unavailable", "incoming", "safety_stock",
        available=lambda row: row.ats,
    )  # fmt: skip
    return Export("stock", columns, lambda tx, cursor: list_levels(tx, cursor, LIMIT_MAX))


def locations() -> Export:
    """The locations."""
    columns = _fields("name", "kind", "priority", "active", "buffer", "skus", "on_hand", "reserved", "incoming")

    async def fetch(tx: Tx, cursor: str | None) -> Slice[Any]:
        return Slice(await reading_queues.location_rows(tx))

    return Export("locations", columns, fetch)


def movements(chosen: MovementFilter) -> Export:
    """The ledger, newest first."""
    columns = _fields(
        "at", "kind", "sku", "location", "on_hand_before", "on_hand_delta", "on_hand_after", "reserved_delta",
        "held_delta", "unavailable_delta", "incoming_delta", "reference_kind", "reference_id", "reason", "actor",
    )  # fmt: skip
    fetch: Fetch = lambda tx, cursor: reading_queues.list_movements(tx, chosen, cursor, LIMIT_MAX)  # noqa: E731
    return Export("movements", columns, fetch)


def shortages(state: str) -> Export:
    """Shortages in a state."""
    columns = _fields(
        "sku", "title", "quantity", "reason", "state", "remedy", "remedy_by", "note", "created_at", "closed_at"
    )
    return Export("shortages", columns, lambda tx, cursor: reading_queues.list_shortages(tx, state, cursor, LIMIT_MAX))


def low_stock() -> Export:
    """What is low."""
    columns = _fields("sku", "title", "available", "low_at", "seen_by", "created_at")
    return Export("low-stock", columns, lambda tx, cursor: reading_queues.list_alerts(tx, cursor, LIMIT_MAX))


def suggestions(state: str) -> Export:
    """What to buy, and why."""
    columns = _fields(
        "sku", "title", "location", "supplier", "quantity", "position", "state", "created_at",
        why=lambda row: " ".join(row.steps),
    )  # fmt: skip
    return Export("reorder", columns, lambda tx, cursor: reading_queues.list_suggestions(tx, state, cursor, LIMIT_MAX))


def transfers(state: str) -> Export:
    """Transfers in a state, or all."""
    columns = _fields(
        "number", "state", "from_location", "to_location", "lines", "units", "received", "outstanding", "note",
        "actor", "created_at", "shipped_at", "closed_at",
    )  # fmt: skip
    return Export("transfers", columns, lambda tx, cursor: reading_papers.list_transfers(tx, state, cursor, LIMIT_MAX))


def counts(state: str) -> Export:
    """Count sheets in a state, or all."""
    columns = _fields(
        "number", "state", "location", "lines", "counted", "differences", "note", "actor", "created_at", "closed_at"
    )
    return Export("counts", columns, lambda tx, cursor: reading_papers.list_counts(tx, state, cursor, LIMIT_MAX))


def count_lines(id: UUID, only: str) -> Export:
    """The lines of a sheet; while it is open without what the books say, to be counted blind."""
    blind = _fields("sku", "title", "counted")
    whole = _fields("sku", "title", "expected", "counted", "difference", "applied", "counted_by", "counted_at")
    return Export(
        "count",
        blind if only == "blind" else whole,
        lambda tx, cursor: reading_papers.count_lines(tx, id, "all" if only == "blind" else only, cursor, LIMIT_MAX),
    )


def suppliers() -> Export:
    """The suppliers."""
    columns = _fields("name", "email", "currency", "lead_time_days", "note", "active", "skus", "open_orders")
    return Export("suppliers", columns, lambda tx, cursor: reading_papers.list_suppliers(tx, "", cursor, LIMIT_MAX))


def offers(supplier: reading_papers.SupplierRow) -> Export:
    """What a supplier sells."""
    columns = _fields("sku", "title", "supplier_sku")
    columns["name"] = lambda row: supplier.name
    columns["currency"] = lambda row: supplier.currency
    columns["cost"] = lambda row: _amount(row.cost_minor, supplier.currency)
    columns |= _fields("pack_units", "minimum_units", "preferred", item_lead_time_days=lambda row: row.lead_time_days)
    return Export("supplier", columns, lambda tx, cursor: reading_papers.offers(tx, supplier.id, cursor, LIMIT_MAX))


def purchases(state: str) -> Export:
    """Purchase orders in a state, or all."""
    columns = _fields("number", "state", "supplier", "location", "currency")
    columns["cost"] = lambda row: _amount(row.cost_minor, row.currency)
    columns |= _fields(
        "lines", "units", "received", "outstanding", "expected_on", "note", "actor", "created_at", "ordered_at",
        "closed_at",
    )  # fmt: skip
    return Export(
        "purchase-orders", columns,
        lambda tx, cursor: reading_papers.list_purchases(tx, state, None, cursor, LIMIT_MAX),
    )  # fmt: skip


async def purchase_lines(tx: Tx, id: UUID) -> Export:
    """The lines of one purchase order: what to send the supplier."""
    row, lines = await reading_papers.purchase(tx, id)
    columns = _fields("sku", "title", "quantity")
    columns["cost"] = lambda line: _amount(line.cost_minor, row.currency)
    columns |= _fields("received", "damaged", "outstanding")
    columns["supplier"] = lambda line: row.supplier
    columns["location"] = lambda line: row.location

    async def fetch(tx: Tx, cursor: str | None) -> Slice[Any]:
        return Slice(lines)

    return Export(f"purchase-order-{row.number}", columns, fetch)


LISTS: Mapping[str, Callable[[str], Export]] = {
    "stock": lambda state: levels(),
    "locations": lambda state: locations(),
    "movements": lambda state: movements(MovementFilter(state or "all")),
    "shortages": lambda state: shortages(state or "open"),
    "low-stock": lambda state: low_stock(),
    "reorder-suggestions": lambda state: suggestions(state or "open"),
    "transfers": transfers,
    "counts": counts,
    "suppliers": lambda state: suppliers(),
    "purchase-orders": purchases,
}
"""Every list that is a file, by its name; the state (of movements: the kind) narrows it."""


def named(name: str, state: str = "") -> Export:
    """Return the list of that name. Raises NotFound."""
    if name not in LISTS:
        raise NotFound(f"There is no list called {name!r}: there are {', '.join(LISTS)}.")
    return LISTS[name](state)
