"""From suggestions to purchase orders, by a person or automatically, never twice for the same need.

A need is one open suggestion per variant and location (a unique index). Whoever turns it into a purchase order has it
locked and finds it open, or leaves it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict, NotFound
from entrepot.stock import store_documents, store_watch
from entrepot.stock.documents import LINES_MAX
from entrepot.stock.purchases import draft_purchase
from entrepot.stock.store_documents import PURCHASES

AUTOMATIC = "automatic reorder"
"""The actor of purchase orders that nobody asked for."""
AT_ONCE = 500


class SuggestionNotOpen(NotFound):
    """There is no such suggestion, or it is closed or being bought."""


class NoSupplier(Conflict):
    """No supplier sells this SKU: name one first."""


async def buy_suggested(tx: Tx, ids: Sequence[UUID], *, actor: str) -> list[UUID]:
    """Draft purchase orders for these suggestions, one for each supplier and location; return them.

    Raises SuggestionNotOpen, NoSupplier, and what `draft_purchase` does.
    """
    wanted = list(dict.fromkeys(ids))
    rows = await store_watch.lock_open_suggestions(tx, wanted, len(wanted))
    if len(rows) < len(wanted):
        raise SuggestionNotOpen
    if any(row["supplier_id"] is None for row in rows):
        raise NoSupplier
    return await _draft(tx, rows, actor=actor, gather=False)


async def dismiss(tx: Tx, id: UUID, *, actor: str) -> None:
    """Do not suggest this again until its stock has been above the point once. Raises SuggestionNotOpen."""
    if not await store_watch.set_suggestions(tx, [id], "dismissed", None, actor):
        raise SuggestionNotOpen


async def buy_automatically(tx: Tx) -> list[UUID]:
    """Draft purchase orders for all open suggestions that have a supplier; return the orders that changed.

    They gather in one draft for each supplier and location until a person sends it. Two that do this at the same time
    share the work.
    """
    rows = await store_watch.lock_open_suggestions(tx, None, AT_ONCE, with_supplier=True)
    return await _draft(tx, rows, actor=AUTOMATIC, gather=True)


async def _draft(tx: Tx, rows: Sequence[Any], *, actor: str, gather: bool) -> list[UUID]:
    grouped: dict[tuple[UUID, UUID], list[Any]] = {}
    for row in rows:
        grouped.setdefault((row["supplier_id"], row["location_id"]), []).append(row)
    made = []
    for (supplier_id, location_id), needs in sorted(grouped.items()):
        units = {row["variant_id"]: row["quantity"] for row in needs}
        draft = await store_watch.lock_automatic_draft(tx, supplier_id, location_id, actor) if gather else None
        before = await store_documents.lines_of(tx, PURCHASES, draft) if draft else []
        if draft is not None and len(before) + len(units) <= LINES_MAX:
            await store_documents.add_lines(tx, PURCHASES, draft, units)
            there = {line.variant_id for line in before}
            await store_documents.put_costs(tx, draft, dict.fromkeys(set(units) - there))
        else:
            draft = await draft_purchase(tx, supplier_id, location_id, units, actor=actor)
        await store_watch.set_suggestions(tx, [row["id"] for row in needs], "drafted", draft, actor)
        made.append(draft)
    return made
