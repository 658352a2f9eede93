"""Matching: listings without a variant beside the variants that they may be; accept, reject, choose, make, undo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import match_queue, match_reading, reading
from entrepot.catalog.match_contracts import PPM
from entrepot.catalog.match_reading import CandidateRow, ListingSays
from entrepot.catalog.matching.reasons import marked
from entrepot.channels import facade as channels
from entrepot.database.pool import Tx
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput, NotFound
from entrepot.kernel.paging import Slice
from entrepot.sync import matching
from entrepot.web.routes.stock_places import send_file
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, attempt
from entrepot.web.visit import Handler, Visit, page, parse_id

PAGE_SIZE = 25
SHOWN = {"open": "Proposed", "unlike": "Like nothing", "accepted": "Accepted", "rejected": "Rejected"}


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of matching."""
    read, write = Scope.PRODUCTS_READ, Scope.PRODUCTS_WRITE
    return [
        Route("/matching", page(services, queue, read), methods=["GET"]),
        Route("/matching/candidates.csv", page(services, export, read), methods=["GET"]),
        Route("/matching/variants", page(services, variants, read), methods=["GET"]),
        Route("/matching/accept-above", page(services, _doing(_accept_above), write), methods=["POST"]),
        Route("/matching/settings", page(services, _doing(_settings), write), methods=["POST"]),
        *(
            Route(f"/matching/{{id}}/{verb}", page(services, _doing(work), write), methods=["POST"])
            for verb, work in VERBS.items()
        ),
    ]


async def queue(visit: Visit) -> Response:
    """The queue, and the evidence of one of its lines."""
    return await _queue(visit)


async def _queue(visit: Visit, error: str = "") -> Response:
    state, cursor, at = visit.parameter("state") or "open", visit.parameter("cursor"), visit.parameter("at")
    if state not in SHOWN:
        raise InvalidInput(f"{state!r} is not a list of this page.")
    connection = visit.parameter("connection")
    connection_id = parse_id(connection) if connection else None
    async with visit.transaction() as tx:
        rows = await _rows(tx, state, connection_id, cursor)
        settings = await match_queue.read_settings(tx)
        shown = await _chosen(tx, rows.items, state, at)
        others = await match_reading.candidates_of(tx, shown.listing.listing_id) if shown and shown.id else ()
        context: dict[str, Any] = {
            "counts": await match_reading.counts(tx),
            "connections": await channels.list_all(tx),
            "any_products": await reading.has_products(tx),
        }
    place = next((n for n, row in enumerate(rows.items) if shown and _key(row) == _key(shown)), -1)
    around = [_key(rows.items[n]) if 0 <= n < len(rows.items) else None for n in (place - 1, place + 1)]
    return await visit.page(
        "matching.html", status=409 if error else 200, rows=rows, state=state, states=SHOWN, cursor=cursor, error=error,
        at=shown, others=[each for each in others if shown and each.id != shown.id and state == "open"],
        marked=marked, previous=around[0], next=around[1], settings=settings, key=_key,
        sure_from=None if settings.sure_from_ppm is None else settings.sure_from_ppm / PPM,
        parameters={"state": state, "connection": connection, "cursor": cursor}, connection=connection, **context,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the queue: a candidate, or a listing alone."""

    listing: ListingSays
    candidate: CandidateRow | None = None

    @property
    def id(self) -> UUID | None:
        """The candidate's id."""
        return self.candidate.id if self.candidate else None


async def _rows(tx: Tx, state: str, connection_id: UUID | None, cursor: str) -> Slice[Line]:
    if state == "unlike":
        found = await match_reading.list_unlike(tx, connection_id, cursor, PAGE_SIZE)
        return Slice(tuple(Line(row) for row in found), found.next_cursor)
    listed = await match_reading.list_candidates(tx, state, connection_id, cursor, PAGE_SIZE)
    return Slice(tuple(Line(row.listing, row) for row in listed), listed.next_cursor)


def _key(line: Line) -> str:
    return str(line.id or line.listing.listing_id)


async def _chosen(tx: Tx, lines: tuple[Line, ...], state: str, at: str) -> Line | None:
    """Return the line that is asked for, even if it is not on this page of the list; else the first one."""
    first = lines[0] if lines else None
    if not at or any(_key(line) == at for line in lines):
        return next((line for line in lines if _key(line) == at), first)
    try:
        if state == "unlike":
            return Line(await match_reading.listing(tx, parse_id(at)))
        found = await match_reading.candidate(tx, parse_id(at))
    except NotFound:
        # Decided by somebody meanwhile, or the listing changed: the queue goes on.
        return first
    return Line(found.listing, found)


async def export(visit: Visit) -> Response:
    """The list as CSV."""
    state = visit.parameter("state") or "open"
    return await send_file(visit, matching.candidates_file(state if state != "unlike" else "open"))


async def variants(visit: Visit) -> Response:
    """What a search for another variant finds."""
    text, listing_id = visit.parameter("q"), parse_id(visit.parameter("listing"))
    async with visit.transaction() as tx:
        found = await match_reading.find_variants(tx, text) if len(text) >= 2 else ()
    return visit.part(
        "matching_found.html", found=found, text=text, listing_id=listing_id, back=visit.parameter("back")
    )


# ---- doing -------------------------------------------------------------------------------------------------------

Work = Callable[[Visit, Tx, "dict[str, str]"], Awaitable[str]]
"""Does it and returns what to say."""


def _doing(work: Work) -> Handler:
    async def do(visit: Visit) -> Response:
        form = dict(await visit.form())

        async def done(tx: Tx) -> Done:
            said = await work(visit, tx, form)
            back = form.get("back", "")
            return back if back.startswith("/matching") else "/matching", said

        return await attempt(visit, done, lambda error: _queue(visit, error))

    return do


async def _accept(visit: Visit, tx: Tx, form: dict[str, str]) -> str:
    await matching.accept(tx, visit.actor, visit.id_of("id"))
    return "Matched. The hub keeps its stock in step from now on."


async def _reject(visit: Visit, tx: Tx, form: dict[str, str]) -> str:
    await match_queue.reject(tx, visit.actor, visit.id_of("id"))
    return "Rejected. This pair is not proposed again."


async def _reopen(visit: Visit, tx: Tx, form: dict[str, str]) -> str:
    await match_queue.reopen(tx, visit.actor, visit.id_of("id"))
    return "Proposed again."


async def _assign(visit: Visit, tx: Tx, form: dict[str, str]) -> str:
    await matching.assign(tx, visit.actor, visit.id_of("id"), parse_id(form.get("variant", "")))
    return "Matched. The hub keeps its stock in step from now on."


async def _make(visit: Visit, tx: Tx, form: dict[str, str]) -> str:
    await matching.make_product(tx, visit.actor, visit.id_of("id"), form.get("sku", "")[:200])
    return "The product is made, and the listing is matched to it."


async def _unmatch(visit: Visit, tx: Tx, form: dict[str, str]) -> str:
    await match_queue.unmatch(tx, visit.actor, visit.id_of("id"))
    return "Not matched any more. What the channel shows stays as it is."


async def _accept_above(visit: Visit, tx: Tx, form: dict[str, str]) -> str:
    try:
        score = float(form.get("score", "").removesuffix("%").replace(",", ".")) / 100
    except ValueError:
        raise InvalidInput("The score must be a number from 50 to 100.") from None
    matched = await matching.accept_above(tx, visit.actor, score)
    return f"{len(matched):,} listings matched." if matched else "No listing is as likely as that."


async def _settings(visit: Visit, tx: Tx, form: dict[str, str]) -> str:
    await match_queue.change_settings(tx, visit.actor, by_barcode="by_barcode" in form, by_itself="by_itself" in form)
    return "Saved."


VERBS: dict[str, Work] = {
    "accept": _accept, "reject": _reject, "reopen": _reopen, "assign": _assign, "product": _make, "unmatch": _unmatch,
}  # fmt: skip
