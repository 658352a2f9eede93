"""Categories and collections."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import category_tree as tree
from entrepot.catalog import collections, reading
from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import ProductNotFound
from entrepot.catalog.editing import handle_of
from entrepot.catalog.search import products_by_code
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.stock import facade as stock
from entrepot.web.product_forms import id_typed
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, attempt, units_typed
from entrepot.web.visit import Handler, Visit, page, parse_id, whole_number


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes; they come before those of one product."""
    read, write = Scope.PRODUCTS_READ, Scope.PRODUCTS_WRITE
    return [
        Route("/products/categories", page(services, categories, read), methods=["GET"]),
        Route("/products/categories", page(services, create_category, write), methods=["POST"]),
        *(
            Route(f"/products/categories/{{id}}/{verb}", page(services, _category(verb), write), methods=["POST"])
            for verb in ("change", "merge", "delete")
        ),
        Route("/products/collections", page(services, all_collections, read), methods=["GET"]),
        Route("/products/collections", page(services, create_collection, write), methods=["POST"]),
        Route("/products/collections/{id}", page(services, one_collection, read), methods=["GET"]),
        *(
            Route(f"/products/collections/{{id}}/{verb}", page(services, _collecting(verb), write), methods=["POST"])
            for verb in ("change", "add", "order", "delete")
        ),
        Route("/products/bundles/{variant_id}", page(services, bundle, read), methods=["GET"]),
        Route("/products/bundles/{variant_id}", page(services, set_bundle, Scope.STOCK_WRITE), methods=["POST"]),
    ]


# ---- categories ------------------------------------------------------------------------------------------


async def categories(visit: Visit) -> Response:
    """The tree."""
    return await _categories(visit)


async def _categories(visit: Visit, error: str = "") -> Response:
    async with visit.transaction() as tx:
        rows = await tree.list_categories(tx)
    chosen = visit.parameter("edit")
    return await visit.page(
        "product_categories.html", status=422 if error else 200, tab="categories", rows=rows, error=error,
        editing=next((row for row in rows if str(row.id) == chosen), None),
    )  # fmt: skip


async def create_category(visit: Visit) -> Response:
    """Make a category."""
    form = await visit.form()

    async def work(tx: Tx) -> Done:
        name, parent_id = form.get("name", ""), id_typed(form.get("parent_id", ""))
        id = await tree.create_category(tx, name, parent_id)
        await identity.record(tx, visit.actor, "category.create", "category", id, None, {"name": name})
        return "/products/categories", "Made."

    return await attempt(visit, work, lambda error: _categories(visit, error))


def _category(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        id, form = visit.id_of("id"), await visit.form()

        async def work(tx: Tx) -> Done:
            before = await tree.get_category(tx, id)
            after: dict[str, object] | None = None
            if verb == "change":
                parent_id = id_typed(form.get("parent_id", ""))
                await tree.change_category(tx, id, name=form.get("name", ""), parent_id=parent_id)
                after, said = {"path": list((await tree.get_category(tx, id)).path)}, "Saved."
            elif verb == "merge":
                into_id = parse_id(form.get("into_id", ""))
                moved = await tree.merge_category(tx, id, into_id)
                after, said = {"into": str(into_id), "moved": moved}, f"Merged: {moved:,} products moved."
            else:
                await tree.delete_category(tx, id)
                said = "Deleted."
            shown = {"path": list(before.path), "products": before.products}
            await identity.record(tx, visit.actor, f"category.{verb}", "category", id, shown, after)
            return "/products/categories", said

        return await attempt(visit, work, lambda error: _categories(visit, error))

    return do


# ---- collections -----------------------------------------------------------------------------------------


async def all_collections(visit: Visit) -> Response:
    """The list."""
    return await _collections(visit)


async def _collections(visit: Visit, error: str = "") -> Response:
    async with visit.transaction() as tx:
        rows = await collections.list_collections(tx)
    return await visit.page(
        "product_collections.html", status=422 if error else 200, tab="collections", rows=rows, error=error
    )


async def create_collection(visit: Visit) -> Response:
    """Make a collection."""
    form = await visit.form()

    async def work(tx: Tx) -> Done:
        title = form.get("title", "")
        id = await collections.create_collection(tx, title, form.get("handle") or handle_of(title))
        await identity.record(tx, visit.actor, "collection.create", "collection", id, None, {"title": title})
        return f"/products/collections/{id}", "Made. Say what is in it."

    return await attempt(visit, work, lambda error: _collections(visit, error))


async def one_collection(visit: Visit) -> Response:
    """One collection with its products."""
    return await _collection(visit)


async def _collection(visit: Visit, error: str = "") -> Response:
    async with visit.transaction() as tx:
        row = await collections.get_collection(tx, visit.id_of("id"))
        members = await collections.members(tx, row.id)
    return await visit.page(
        "product_collection.html",
        status=422 if error else 200,
        tab="collections",
        row=row,
        members=members,
        error=error,
    )


def _collecting(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        id, form = visit.id_of("id"), await visit.form()

        async def work(tx: Tx) -> Done:
            before = await collections.get_collection(tx, id)
            here = f"/products/collections/{id}"
            if verb == "change":
                await collections.change_collection(tx, id, form.get("title", ""), form.get("handle", ""))
            elif verb == "delete":
                await collections.delete_collection(tx, id)
                here = "/products/collections"
            else:
                await _put(tx, id, verb, form)
            shown = {"title": before.title, "products": before.products}
            after = {name: value for name, value in form.items() if name in ("title", "handle", "skus")}
            await identity.record(tx, visit.actor, f"collection.{verb}", "collection", id, shown, after)
            return here, "Deleted." if verb == "delete" else "Saved."

        return await attempt(visit, work, lambda error: _collection(visit, error))

    return do


async def _put(tx: Tx, id: UUID, verb: str, form: Mapping[str, str]) -> None:
    """Add products by SKU, or write the order that was typed (a place per product; an empty one takes it off)."""
    members = [member.id for member in await collections.members(tx, id, collections.PRODUCTS_MAX)]
    if verb == "add":
        skus = form.get("skus", "").replace(",", "\n").split("\n")
        for sku in (text for each in skus if (text := each.strip())):
            found = await products_by_code(tx, sku)
            if not found:
                raise ProductNotFound(f"There is no product with a SKU {sku[:60]!r}.")
            members += found[:1]
    else:
        places = {}
        for position, member in enumerate(members, start=1):
            text = form.get(f"place_{member}", str(position))
            if text:
                places[member] = whole_number(text, "The place", minimum=1)
        members = sorted(places, key=lambda member: places[member])
    await collections.set_members(tx, id, members)


# ---- bundles ---------------------------------------------------------------------------------------------


async def bundle(visit: Visit) -> Response:
    """What a variant is made of."""
    return await _bundle(visit)


async def _bundle(visit: Visit, error: str = "", typed: str | None = None) -> Response:
    id = visit.id_of("variant_id")
    async with visit.transaction() as tx:
        parts = await catalog.part_views(tx, id)
        inside = await catalog.bundles_with(tx, [id])
        variant = await reading.variant_hit(tx, id)
    lines = "\n".join(f"{part.sku}; {part.quantity}" for part in parts)
    return await visit.page(
        "product_bundle.html", status=422 if error else 200, tab="", variant=variant, parts=parts, inside=inside,
        lines=lines if typed is None else typed, error=error,
    )  # fmt: skip


async def set_bundle(visit: Visit) -> Response:
    """Say what a variant is made of; with nothing it is no bundle any more."""
    id, form = visit.id_of("variant_id"), await visit.form()
    text = form.get("lines", "")

    async def work(tx: Tx) -> Done:
        before = {part.sku: part.quantity for part in await catalog.part_views(tx, id)}
        parts = await units_typed(tx, text) if text.strip() else {}
        if len(parts) > catalog.PARTS_MAX:
            raise InvalidInput(f"A bundle has at most {catalog.PARTS_MAX} parts.")
        await stock.set_bundle(tx, id, parts)
        after = {part.sku: part.quantity for part in await catalog.part_views(tx, id)}
        await identity.record(tx, visit.actor, "bundle.set", "variant", id, before, after)
        return f"/products/bundles/{id}", "Saved."

    return await attempt(visit, work, lambda error: _bundle(visit, error, text))
