"""Listings: products on channels by state, what is missing, why a channel refused them; publish, end, try again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import bulk
from entrepot.catalog import reading as catalog
from entrepot.catalog.filters import parameters_of
from entrepot.channels import facade as channels
from entrepot.channels.contract import Capability, ListingField
from entrepot.channels.contracts import ConnectionState
from entrepot.database.pool import Tx
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.sync.publishing import asking, reading
from entrepot.sync.publishing.contracts import Ask, State, Wanted
from entrepot.sync.publishing.reading import IntentFilter
from entrepot.web.routes.stock_places import send_file
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, attempt
from entrepot.web.visit import Visit, page, parse_id

PAGE_SIZE = 50
UNDER_WAY = (State.PUBLISHING, State.ENDING)
WANTED = {
    Wanted.PUBLISH: "Publish", Wanted.UNPUBLISH: "Unpublish", Wanted.ARCHIVE: "Archive there", Wanted.DELETE: "Delete there",
}  # fmt: skip


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of listings."""
    read, write = Scope.PRODUCTS_READ, Scope.PRODUCTS_WRITE
    return [
        Route("/listings", page(services, grid, read), methods=["GET"]),
        Route("/listings.csv", page(services, export, read), methods=["GET"]),
        Route("/listings/publish", page(services, form, write), methods=["GET"]),
        Route("/listings/publish", page(services, publish, write), methods=["POST"]),
        Route("/listings/change", page(services, change, write), methods=["POST"]),
    ]


async def grid(visit: Visit) -> Response:
    """What was asked, by channel and state."""
    return await _grid(visit)


async def _grid(visit: Visit, error: str = "") -> Response:
    chosen, cursor = _filter(visit), visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await reading.list_intents(tx, chosen, cursor, PAGE_SIZE)
        counts = await reading.state_counts(tx)
        any_products = await catalog.has_products(tx)
    parameters = {
        "channel": visit.parameter("channel"), "state": chosen.state or "", "q": chosen.search,
        "missing": "yes" if chosen.incomplete else "",
    }  # fmt: skip
    context: dict[str, Any] = {
        "rows": rows, "counts": counts, "states": reading.STATES, "cursor": cursor, "parameters": parameters,
        "wanted": WANTED, "any_products": any_products,
        "on_their_way": sum(each.counts.get(state, 0) for each in counts for state in UNDER_WAY),
        "moving": sum(each.moving for each in rows),
    }  # fmt: skip
    if visit.is_partial and not error:
        return visit.part("listings_table.html", **context)
    return await visit.page("listings.html", status=409 if error else 200, error=error, **context)


def _filter(visit: Visit) -> IntentFilter:
    channel = visit.parameter("channel")
    return IntentFilter(
        parse_id(channel) if channel else None,
        visit.parameter("state") or None,
        visit.parameter("q")[:200],
        visit.parameter("missing") == "yes",
    )


async def export(visit: Visit) -> Response:
    """The list as CSV."""
    return await send_file(visit, reading.intents_file(_filter(visit)))


async def form(visit: Visit) -> Response:
    """Choose channels for the products that were chosen, or that a filter finds, and see what they would meet."""
    return await _form(visit, dict(visit.request.query_params))


async def _form(visit: Visit, typed: Mapping[str, str], error: str = "") -> Response:
    connections = [each for each in await _connections(visit) if each["able"]]
    named = [str(each["id"]) for each in connections if f"to_{each['id']}" in typed]
    looked: tuple[Any, ...] = ()
    async with visit.transaction() as tx:
        chosen = _selection(visit, typed)
        total = await bulk.count_selected(tx, chosen)
        if named and not error:
            try:
                for asked in _asked(typed, named):
                    total, met = await asking.preview(tx, visit.services.find_connector, chosen, asked)
                    looked += met
            except InvalidInput as refusal:
                error = refusal.detail
    first = sorted(looked, key=lambda each: (not each.problems, each.completeness))
    return await visit.page(
        "listings_publish.html", status=422 if error else 200, total=total, connections=connections, named=named,
        looked=first, names={each["id"]: each["name"] for each in connections}, error=error, typed=typed,
        kept=_kept(typed), blocked=sum(1 for each in looked if each.problems),
    )  # fmt: skip


def _kept(typed: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that say which products are meant."""
    if typed.get("products"):
        return {"products": typed["products"]}
    return {"all": "yes", **parameters_of(typed)}


async def _connections(visit: Visit) -> list[dict[str, Any]]:
    async with visit.transaction() as tx:
        found = await channels.list_all(tx)
    rows = []
    for each in found:
        manifest = visit.services.find_connector(each.channel).manifest
        able = Capability.PUSH_LISTINGS in manifest.capabilities and each.state is not ConnectionState.DISCONNECTED
        rows.append(
            {
                "id": each.id, "name": each.name, "able": able, "category_help": manifest.category_help,
                "category": ListingField.CATEGORY in manifest.listing_fields,
                "needs_category": any(ListingField.CATEGORY in rules.required for rules in manifest.listing_rules),
                "attributes": ListingField.ATTRIBUTES in manifest.listing_fields,
            }
        )  # fmt: skip
    return rows


def _selection(visit: Visit, typed: Mapping[str, str]) -> bulk.Selection:
    currency = visit.organisation.currency
    if typed.get("all") == "yes":
        return bulk.selection(parameters=parameters_of(typed), currency=currency)
    return bulk.selection([parse_id(each) for each in typed.get("products", "").split(",") if each], currency=currency)


def _asked(typed: Mapping[str, str], named: Sequence[str]) -> list[Ask]:
    """Return what is asked, by connection: a category and attributes are one channel's own."""
    return [
        Ask(
            Wanted.PUBLISH, (parse_id(each),), typed.get(f"category_{each}", "").strip() or None,
            _attributes(typed.get(f"attributes_{each}", "")) or None,
        )
        for each in named
    ]  # fmt: skip


def _attributes(lines: str) -> dict[str, str]:
    """Return attributes from lines of `name: value`. Raises InvalidInput."""
    attributes = {}
    for line in lines.replace("\r", "").split("\n"):
        name, mark, value = line.partition(":")
        if line.strip() and (not mark or not name.strip()):
            raise InvalidInput(f"Write an attribute as `name: value`, one on each line, not {line[:60]!r}.")
        if line.strip():
            attributes[name.strip()] = value.strip()
    return attributes


async def publish(visit: Visit) -> Response:
    """Publish the products that the form names; or show the form for those chosen in the grid of products, or check first."""
    typed = dict(await visit.form())
    if typed.get("do") != "publish":
        if "scope" in typed:
            ids = [str(each) for each in (await visit.files()).getlist("product")]
            typed = (
                {"products": ",".join(ids)} if typed["scope"] == "publish" else {"all": "yes", **parameters_of(typed)}
            )
        return await _form(visit, typed)

    async def work(tx: Tx) -> Done:
        named = sorted(name.removeprefix("to_") for name in typed if name.startswith("to_"))
        if not named:
            raise InvalidInput("Choose at least one channel.")
        chosen, count = _selection(visit, typed), 0
        for asked in _asked(typed, named):
            count = await asking.ask(tx, visit.actor, visit.services.find_connector, chosen, asked)
        are = "product is" if count == 1 else "products are"
        return "/listings", f"{count:,} {are} being published. What becomes of each is shown here."

    return await attempt(visit, work, lambda error: _form(visit, typed, error))


async def change(visit: Visit) -> Response:
    """Publish again, end or try again the lines that were chosen."""
    fields = await visit.files()
    verb, back = str(fields.get("do", "")), str(fields.get("back", ""))
    ids = [parse_id(str(each)) for each in fields.getlist("id")]

    async def work(tx: Tx) -> Done:
        if not ids:
            raise InvalidInput("Choose at least one line.")
        if verb == "retry":
            said = f"{await asking.try_again(tx, visit.actor, ids):,} are tried again."
        else:
            said = await _ask(visit, tx, verb, ids)
        return back if back.startswith(("/listings", "/products/")) else "/listings", said

    return await attempt(visit, work, lambda error: _grid(visit, error))


async def _ask(visit: Visit, tx: Tx, verb: str, ids: list[UUID]) -> str:
    if verb not in set(Wanted):
        raise InvalidInput("Choose what to do: publish, unpublish, archive, delete or try again.")
    by_connection: dict[UUID, list[UUID]] = {}
    for each in ids:
        found = await reading.intent(tx, each)
        by_connection.setdefault(found.connection_id, []).append(found.product_id)
    for connection_id in sorted(by_connection):
        asked = Ask(Wanted(verb), (connection_id,))
        chosen = bulk.selection(by_connection[connection_id])
        await asking.ask(tx, visit.actor, visit.services.find_connector, chosen, asked)
    doing = "published" if verb == Wanted.PUBLISH else "taken off: they show no stock first"
    return f"{len(ids):,} are being {doing}."
