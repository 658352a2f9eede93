"""Holds: units that are set aside for a while, for carts and proposals. Extend and release them, one or many."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.kernel.paging import Slice
from entrepot.stock import csv_out, reading_holds
from entrepot.stock import facade as stock
from entrepot.stock.reading_holds import HoldFilter, HoldRow
from entrepot.web.routes.stock_places import send_file
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, attempt
from entrepot.web.visit import Visit, page, parse_id, whole_number

PAGE_SIZE = 50
MINUTES_MOST = 30 * 24 * 60
FILTERS = ("state", "sku", "reference", "by")


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of holds; they come before those of one SKU."""
    read, write = Scope.STOCK_READ, Scope.STOCK_WRITE
    return [
        Route("/stock/holds", page(services, holds, read), methods=["GET"]),
        Route("/stock/holds", page(services, change, write), methods=["POST"]),
        Route("/stock/holds.csv", page(services, holds_file, read), methods=["GET"]),
    ]


async def holds(visit: Visit) -> Response:
    """The list, those that end soonest first."""
    return await _holds(visit)


async def _holds(visit: Visit, error: str = "") -> Response:
    cursor, given = visit.parameter("cursor"), _parameters(visit)
    rows: Slice[HoldRow] = Slice(())
    status = 409 if error else 200
    now = utc_now()
    async with visit.transaction() as tx:
        try:
            rows = await reading_holds.list_holds(tx, _filter(given), now, cursor, PAGE_SIZE)
        except EntrepotError as wrong:
            if wrong.status >= 500:
                raise
            error, status = error or wrong.detail, 422
        makers = await reading_holds.hold_makers(tx)
        names = await identity.names_of(tx, [*makers, *(row.actor for row in rows)])
    makers = sorted({*makers, *([given["by"]] if given["by"] else [])}, key=lambda maker: names.get(maker, maker))
    return await visit.page(
        "stock_holds.html", status=status, tab="holds", rows=rows, cursor=cursor, error=error, parameters=given,
        state=given["state"] or reading_holds.OPEN, makers=makers, names=names, seen_at=now, ended_days=reading_holds.ENDED_DAYS,
        usual_minutes=max(1, round(visit.services.reservation_timeout.total_seconds() / 60)),
    )  # fmt: skip


async def holds_file(visit: Visit) -> Response:
    """The same as CSV."""
    return await send_file(visit, csv_out.holds(_filter(_parameters(visit))))


def _parameters(visit: Visit) -> dict[str, str]:
    return {name: visit.parameter(name).strip() for name in FILTERS}


def _filter(given: dict[str, str]) -> HoldFilter:
    """Return what the parameters say. Raises InvalidInput."""
    reference: UUID | None = None
    if given["reference"]:
        try:
            reference = UUID(given["reference"])
        except ValueError:
            said = f"{given['reference'][:60]!r} is not the id of a hold, or of what it is for."
            raise InvalidInput(said, field="reference") from None
    return HoldFilter(given["state"] or reading_holds.OPEN, given["sku"], reference, given["by"])


async def change(visit: Visit) -> Response:
    """Release or extend: the one whose button was pressed (`one`), else the ticked ones."""
    form = await visit.files()
    ticked = [str(value) for name, value in form.multi_items() if name == "hold"]
    do, _, one = str(form.get("do", "")).partition(":")
    minutes = str(form.get("minutes", "")).strip()

    async def work(tx: Tx) -> Done:
        ids = sorted({parse_id(one)} if one else {parse_id(id) for id in ticked})
        if not ids:
            raise InvalidInput("Tick the holds that are meant.")
        back = f"/stock/holds?{visit.request.url.query}".rstrip("?")
        if do == "release":
            count = await stock.release_holds(tx, ids, actor=visit.actor.reference)
            said = "Released: the units can be sold again." if count else "They had ended already; nothing was changed."
        elif do == "extend":
            lasts = whole_number(minutes, "Minutes")
            if not 1 <= lasts <= MINUTES_MOST:
                raise InvalidInput(f"Minutes: from 1 to {MINUTES_MOST:,} (30 days).")
            now = utc_now()
            count = await stock.extend_holds(tx, ids, now + timedelta(minutes=lasts), now)
            said = (
                f"{_holds_in_words(count)} from now on {lasts:,} minutes."
                if count
                else "They had ended; nothing was changed."
            )
        else:
            raise InvalidInput("Choose what to do: extend or release.")
        for id in ids:
            await identity.record(tx, visit.actor, f"hold.{do}", "reservation", id)
        return back, said

    return await attempt(visit, work, lambda error: _holds(visit, error))


def _holds_in_words(count: int) -> str:
    return "It lasts" if count == 1 else f"{count:,} holds last"
