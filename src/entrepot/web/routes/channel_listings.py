"""The listings of one connection: which variant each is, matching and unmatching them; and what counts at first contact."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import facade as catalog
from entrepot.catalog import match_queue, match_reading
from entrepot.catalog.contracts import VariantNotFound
from entrepot.channels import facade as channels
from entrepot.database.pool import Tx
from entrepot.identity.facade import Scope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import InvalidInput
from entrepot.sync import matching
from entrepot.sync import reading as sync
from entrepot.sync.fields import first_contact
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, attempt
from entrepot.web.visit import Visit, page, parse_id

PAGE_SIZE = 50
MATCHED = {"": None, "yes": True, "no": False}
NOT_MATCHED = "Not matched any more. What the channel shows stays as it is."


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes; they come before those of a connection's other tabs and of one product."""
    read, write = Scope.PRODUCTS_READ, Scope.PRODUCTS_WRITE
    return [
        Route("/channels/{connection_id}/listings", page(services, listings, read), methods=["GET"]),
        Route("/channels/{connection_id}/listings/match", page(services, match, write), methods=["POST"]),
        Route("/channels/{connection_id}/listings/unmatch", page(services, unmatch, write), methods=["POST"]),
        Route("/channels/{connection_id}/first", page(services, first, Scope.CHANNELS_WRITE), methods=["POST"]),
        Route("/products/{product_id}/match", page(services, match_to_product, write), methods=["POST"]),
        Route("/products/{product_id}/unmatch", page(services, unmatch_from_product, write), methods=["POST"]),
    ]


async def listings(visit: Visit) -> Response:
    """The tab Listings."""
    return await _listings(visit)


async def _listings(visit: Visit, error: str = "") -> Response:
    connection_id, cursor = visit.id_of("connection_id"), visit.parameter("cursor")
    parameters = {"q": visit.parameter("q")[:200], "matched": visit.parameter("matched")}
    chosen = MATCHED.get(parameters["matched"])
    async with visit.transaction() as tx:
        overview = await sync.channel_overview(tx, connection_id)
        if not overview:
            raise channels.ConnectionNotFound
        rows = await match_reading.listings_on(tx, connection_id, parameters["q"], chosen, cursor, PAGE_SIZE)
    return await visit.page(
        "channel_listings.html", status=409 if error else 200, row=overview[0], tab="listings", rows=rows, cursor=cursor,
        parameters=parameters, error=error,
    )  # fmt: skip


async def match(visit: Visit) -> Response:
    """Say which variant a listing is, by our SKU."""
    form = await visit.form()

    async def work(tx: Tx) -> Done:
        sku = form.get("sku", "").strip()
        variant_id = (await catalog.known_skus(tx, [sku])).get(sku)
        if variant_id is None:
            raise VariantNotFound(f"There is no variant with the SKU {sku[:100]!r}.")
        await matching.assign(tx, visit.actor, parse_id(form.get("listing", "")), variant_id)
        return _back(visit), "Matched. The hub keeps its stock in step from now on."

    return await attempt(visit, work, lambda error: _listings(visit, error))


async def unmatch(visit: Visit) -> Response:
    """Take a listing's variant from it."""
    form = await visit.form()

    async def work(tx: Tx) -> Done:
        await match_queue.unmatch(tx, visit.actor, parse_id(form.get("listing", "")))
        return _back(visit), NOT_MATCHED

    return await attempt(visit, work, lambda error: _listings(visit, error))


def _back(visit: Visit) -> str:
    return f"/channels/{visit.id_of('connection_id')}/listings"


async def first(visit: Visit) -> Response:
    """Say what counts where the channel and the catalog differ at first contact."""
    connection_id, form = visit.id_of("connection_id"), await visit.form()
    choices = {name.removeprefix("field_"): value for name, value in form.items() if name.startswith("field_")}
    async with visit.transaction() as tx:
        await first_contact.decide(tx, visit.actor, connection_id, choices, utc_now())
    return visit.go(f"/channels/{connection_id}", "Saved. The fields are brought together now.")


async def match_to_product(visit: Visit) -> Response:
    """Say which variant of this product a listing is, by the listing's SKU or id on its channel."""
    form, product = await visit.form(), f"/products/{visit.id_of('product_id')}"
    text = form.get("listing", "").strip()

    async def work(tx: Tx) -> Done:
        found = await match_reading.waiting_called(tx, text)
        if len(found) != 1:
            what = "No listing that waits" if not found else "More than one listing that waits"
            raise InvalidInput(
                f"{what} has the SKU or id {text[:100]!r}: look under Matching, or on the channel's listings."
            )
        await matching.assign(tx, visit.actor, found[0], parse_id(form.get("variant", "")))
        return product, "Matched. The hub keeps its stock in step from now on."

    return await attempt(visit, work, lambda error: _said(visit, product, error))


async def unmatch_from_product(visit: Visit) -> Response:
    """Take a listing from this product."""
    form, product = await visit.form(), f"/products/{visit.id_of('product_id')}"

    async def work(tx: Tx) -> Done:
        await match_queue.unmatch(tx, visit.actor, parse_id(form.get("listing", "")))
        return product, NOT_MATCHED

    return await attempt(visit, work, lambda error: _said(visit, product, error))


async def _said(visit: Visit, path: str, error: str) -> Response:
    return visit.go(path, f"Nothing was changed: {error}")
