"""Stock: the grid of SKUs and channels, editing what is on hand, why a channel shows a number."""

from __future__ import annotations

from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import facade as catalog_facade
from entrepot.catalog import reading as catalog
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.orders.reading import orders_of_lines
from entrepot.stock import facade as stock
from entrepot.stock import reading, reading_queues
from entrepot.stock.reading import LevelView, StockFilter
from entrepot.sync import reading as sync
from entrepot.web.explaining import explain_lines
from entrepot.web.live import patches
from entrepot.web.routes.stock_places import LINKS
from entrepot.web.services import PageServices
from entrepot.web.visit import Visit, page, parse_id, whole_number

PAGE_SIZE = 50
REASONS = {
    "count": "Counted",
    "purchase": "Goods came in",
    "return": "Returned by a buyer",
    "damage": "Damaged or lost",
    "adjustment": "Correction",
}


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of stock."""
    return [
        Route("/stock", page(services, grid, Scope.STOCK_READ), methods=["GET"]),
        Route("/stock/why/{listing_id}", page(services, why, Scope.STOCK_READ), methods=["GET"]),
        Route("/stock/{variant_id}", page(services, variant, Scope.STOCK_READ), methods=["GET"]),
        Route("/stock/{variant_id}/edit", page(services, edit, Scope.STOCK_WRITE), methods=["GET"]),
        Route("/stock/{variant_id}/on-hand", page(services, set_on_hand, Scope.STOCK_WRITE), methods=["POST"]),
    ]


async def grid(visit: Visit) -> Response:
    """The grid."""
    state = visit.parameter("state") or "all"
    if state not in reading.STATES:
        raise InvalidInput(f"{state!r} is not a filter of stock.")
    chosen = StockFilter(visit.parameter("q"), state, visit.services.low_stock_threshold)
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await reading.list_stock(tx, chosen, cursor, PAGE_SIZE)
        cells = await sync.listing_cells(tx, [row.variant_id for row in rows])
        channels = await sync.connection_names(tx)
        has_products = await catalog.has_products(tx)
    by_place: dict[tuple[UUID, UUID], list[sync.ListingCell]] = {}
    for cell in cells:
        by_place.setdefault((cell.variant_id, cell.connection_id), []).append(cell)
    return await visit.page(
        "stock.html",
        rows=rows,
        cells=by_place,
        cell_text=patches.cell_text,
        channels=channels,
        chosen=chosen,
        cursor=cursor,
        has_products=has_products,
        parameters={"q": chosen.search, "state": "" if state == "all" else state},
    )


async def variant(visit: Visit) -> Response:
    """One SKU: locations, channels, ledger."""
    variant_id = visit.id_of("variant_id")
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        row = await reading.stock_row(tx, variant_id)
        levels = await reading.levels_of(tx, [variant_id])
        cells = await sync.listing_cells(tx, [variant_id])
        ledger = await reading.movements_of(tx, variant_id, cursor, PAGE_SIZE)
        channels = await sync.connection_names(tx)
        places = await reading.locations(tx)
        rules = await reading_queues.rules_of(tx, variant_id)
        low_at = await reading_queues.thresholds_of(tx, variant_id)
        parts = await catalog_facade.part_views(tx, variant_id)
        names = await identity.names_of(tx, [move.actor for move in ledger])
        sold = await orders_of_lines(tx, [move.reference_id for move in ledger if move.reference_id])
    return await visit.page(
        "variant.html",
        names=names,
        sold=sold,
        links=LINKS,
        rules=rules,
        low_at=low_at,
        shop_low_at=visit.services.low_stock_threshold,
        parts=parts,
        row=row,
        levels=levels,
        cells=cells,
        ledger=ledger,
        cursor=cursor,
        channels=channels,
        reasons=REASONS,
        places=places,
        cell_text=patches.cell_text,
    )


async def edit(visit: Visit) -> Response:
    """The small form that sets what is on hand."""
    return await _edit_form(visit, visit.id_of("variant_id"))


async def _edit_form(visit: Visit, variant_id: UUID, error: str = "", typed: str | None = None) -> Response:
    async with visit.transaction() as tx:
        row = await reading.stock_row(tx, variant_id)
        levels = await reading.levels_of(tx, [variant_id])
        places = await reading.locations(tx)
    return visit.part(
        "stock_edit.html",
        row=row,
        levels=levels,
        places=places,
        reasons=REASONS,
        error=error,
        typed=typed,
    )


async def set_on_hand(visit: Visit) -> Response:
    """Set what is on hand at a location, if it is still what the person saw."""
    variant_id = visit.id_of("variant_id")
    form = await visit.form()
    typed = form.get("on_hand", "")
    try:
        await _set(visit, variant_id, form)
    except EntrepotError as error:
        if not visit.is_partial:
            raise
        return await _edit_form(visit, variant_id, error.detail, typed)
    async with visit.transaction() as tx:
        row = await reading.stock_row(tx, variant_id)
    return visit.done(f"{row.sku}: {row.on_hand:,} on hand.", patches=patches.stock_patch(row))


async def _set(visit: Visit, variant_id: UUID, form: object) -> None:
    fields: dict[str, str] = dict(form)  # type: ignore[call-overload]
    on_hand = whole_number(fields.get("on_hand", ""), "On hand")
    kind = fields.get("reason", "count")
    if kind not in REASONS:
        raise InvalidInput("Choose a reason.")
    location_id = parse_id(fields["location_id"]) if fields.get("location_id") else None
    note = fields.get("note", "")[:200]
    async with visit.transaction() as tx:
        _check_seen(await reading.levels_of(tx, [variant_id]), location_id, fields.get(f"seen_{location_id}", ""))
        change = stock.StockChange(variant_id, reason=note or REASONS[kind], on_hand=on_hand, location_id=location_id)
        await stock.change_on_hand(tx, [change], kind=kind, actor=visit.actor.reference)


def _check_seen(levels: tuple[LevelView, ...], location_id: UUID | None, seen: str) -> None:
    """Raise InvalidInput if the number that the person saw is not there any more."""
    if not seen:
        return
    present = next((level.on_hand for level in levels if level.location_id == location_id), 0)
    if str(present) != seen:
        raise InvalidInput(f"Meanwhile it became {present:,}: look again before you save.")


async def why(visit: Visit) -> Response:
    """Why a listing shows its number."""
    async with visit.transaction() as tx:
        explanation = await sync.explain(tx, visit.id_of("listing_id"))
    lines = explain_lines(explanation.reason)
    return visit.part("why.html", why=explanation, lines=lines)
