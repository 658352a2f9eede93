"""Every list of stock as CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from entrepot.database.csv_lists import Export as Export
from entrepot.database.csv_lists import Fetch, fields
from entrepot.database.csv_lists import text_of as text_of
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import NotFound
from entrepot.kernel.money import to_decimal
from entrepot.kernel.paging import LIMIT_MAX, Slice
from entrepot.stock import reading_papers, reading_queues
from entrepot.stock.reading_holds import HoldFilter, list_holds
from entrepot.stock.reading_levels import list_levels
from entrepot.stock.reading_queues import MovementFilter


def _amount(minor: int | None, currency: str) -> Decimal | None:
    return None if minor is None else to_decimal(minor, currency)


def levels() -> Export:
    """The stock of every SKU at every location."""
    columns = fields(
        "sku", "title", "location", "on_hand", "reserved", "held", "unavailable", "incoming", "safety_stock",
        available=lambda row: row.ats,
    )  # fmt: skip
    return Export("stock", columns, lambda tx, cursor: list_levels(tx, cursor, LIMIT_MAX))


def locations() -> Export:
    """The locations."""
    columns = fields("name", "kind", "priority", "active", "buffer", "skus", "on_hand", "reserved", "incoming")

    async def fetch(tx: Tx, cursor: str | None) -> Slice[Any]:
        return Slice(await reading_queues.location_rows(tx))

    return Export("locations", columns, fetch)


def movements(chosen: MovementFilter) -> Export:
    """The ledger, newest first."""
    columns = fields(
        "at", "kind", "sku", "location", "on_hand_before", "on_hand_delta", "on_hand_after", "reserved_delta",
        "held_delta", "unavailable_delta", "incoming_delta", "reference_kind", "reference_id", "reason", "actor",
    )  # fmt: skip
    fetch: Fetch = lambda tx, cursor: reading_queues.list_movements(tx, chosen, cursor, LIMIT_MAX)  # noqa: E731
    return Export("movements", columns, fetch)


def shortages(state: str) -> Export:
    """Shortages in a state."""
    columns = fields(
        "sku", "title", "quantity", "reason", "state", "remedy", "remedy_by", "note", "created_at", "closed_at"
    )
    return Export("shortages", columns, lambda tx, cursor: reading_queues.list_shortages(tx, state, cursor, LIMIT_MAX))


def holds(chosen: HoldFilter) -> Export:
    """Holds, one line for each variant and location that one has units of."""
    columns: dict[str, Any] = {
        "hold": lambda row: row[0].id,
        "state": lambda row: row[0].state,
        "sku": lambda row: row[1].sku,
        "location": lambda row: row[1].location,
        "quantity": lambda row: row[1].quantity,
        "made_at": lambda row: row[0].created_at,
        "ends_at": lambda row: row[0].expires_at,
        "ended_at": lambda row: row[0].ended_at,
        "reference": lambda row: row[0].reference_id,
        "made_by": lambda row: row[2],
    }

    async def fetch(tx: Tx, cursor: str | None) -> Slice[Any]:
        found = await list_holds(tx, chosen, utc_now(), cursor, LIMIT_MAX)
        names = await identity.names_of(tx, [row.actor for row in found])
        lines = tuple((row, part, names[row.actor]) for row in found for part in row.parts)
        return Slice(lines, found.next_cursor)

    return Export("holds", columns, fetch)


def low_stock() -> Export:
    """What is low."""
    columns = fields("sku", "title", "available", "low_at", "seen_by", "created_at")
    return Export("low-stock", columns, lambda tx, cursor: reading_queues.list_alerts(tx, cursor, LIMIT_MAX))


def suggestions(state: str) -> Export:
    """What to buy, and why."""
    columns = fields(
        "sku", "title", "location", "supplier", "quantity", "position", "state", "created_at",
        why=lambda row: " ".join(row.steps),
    )  # fmt: skip
    return Export("reorder", columns, lambda tx, cursor: reading_queues.list_suggestions(tx, state, cursor, LIMIT_MAX))


def transfers(state: str) -> Export:
    """Transfers in a state, or all."""
    columns = fields(
        "number", "state", "from_location", "to_location", "lines", "units", "received", "outstanding", "note",
        "actor", "created_at", "shipped_at", "closed_at",
    )  # fmt: skip
    return Export("transfers", columns, lambda tx, cursor: reading_papers.list_transfers(tx, state, cursor, LIMIT_MAX))


def counts(state: str) -> Export:
    """Count sheets in a state, or all."""
    columns = fields(
        "number", "state", "location", "lines", "counted", "differences", "note", "actor", "created_at", "closed_at"
    )
    return Export("counts", columns, lambda tx, cursor: reading_papers.list_counts(tx, state, cursor, LIMIT_MAX))


def count_lines(id: UUID, only: str) -> Export:
    """The lines of a sheet; while it is open without what the books say, to be counted blind."""
    blind = fields("sku", "title", "counted")
    whole = fields("sku", "title", "expected", "counted", "difference", "applied", "counted_by", "counted_at")
    return Export(
        "count",
        blind if only == "blind" else whole,
        lambda tx, cursor: reading_papers.count_lines(tx, id, "all" if only == "blind" else only, cursor, LIMIT_MAX),
    )


def suppliers() -> Export:
    """The suppliers."""
    columns = fields("name", "email", "currency", "lead_time_days", "note", "active", "skus", "open_orders")
    return Export("suppliers", columns, lambda tx, cursor: reading_papers.list_suppliers(tx, "", cursor, LIMIT_MAX))


def offers(supplier: reading_papers.SupplierRow) -> Export:
    """What a supplier sells."""
    columns = fields("sku", "title", "supplier_sku")
    columns["name"] = lambda row: supplier.name
    columns["currency"] = lambda row: supplier.currency
    columns["cost"] = lambda row: _amount(row.cost_minor, supplier.currency)
    columns |= fields("pack_units", "minimum_units", "preferred", item_lead_time_days=lambda row: row.lead_time_days)
    return Export("supplier", columns, lambda tx, cursor: reading_papers.offers(tx, supplier.id, cursor, LIMIT_MAX))


def purchases(state: str) -> Export:
    """Purchase orders in a state, or all."""
    columns = fields("number", "state", "supplier", "location", "currency")
    columns["cost"] = lambda row: _amount(row.cost_minor, row.currency)
    columns |= fields(
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
    columns = fields("sku", "title", "quantity")
    columns["cost"] = lambda line: _amount(line.cost_minor, row.currency)
    columns |= fields("received", "damaged", "outstanding")
    columns["supplier"] = lambda line: row.supplier
    columns["location"] = lambda line: row.location

    async def fetch(tx: Tx, cursor: str | None) -> Slice[Any]:
        return Slice(lines)

    return Export(f"purchase-order-{row.number}", columns, fetch)


async def transfer_lines(tx: Tx, id: UUID) -> Export:
    """The lines of one transfer: what to pack, or what to expect."""
    row, lines = await reading_papers.transfer(tx, id)
    columns = fields("sku", "title", "quantity", "received", "damaged", "outstanding")
    columns["from"] = lambda line: row.from_location
    columns["to"] = lambda line: row.to_location

    async def fetch(tx: Tx, cursor: str | None) -> Slice[Any]:
        return Slice(lines)

    return Export(f"transfer-{row.number}", columns, fetch)


LISTS: Mapping[str, Callable[[str], Export]] = {
    "stock": lambda state: levels(),
    "locations": lambda state: locations(),
    "movements": lambda state: movements(MovementFilter(state or "all")),
    "shortages": lambda state: shortages(state or "open"),
    "holds": lambda state: holds(HoldFilter(state or "open")),
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
