"""Change many products at once: choose, look, do, undo."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import bulk, bulk_rules, bulk_store, category_tree, collections
from entrepot.catalog.bulk_rules import Change
from entrepot.catalog.filters import STATUSES, parameters_of
from entrepot.database.pool import Tx
from entrepot.identity.facade import Scope
from entrepot.jobs import facade as jobs
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.kernel.money import to_decimal
from entrepot.web import product_forms as forms
from entrepot.web.services import PageServices
from entrepot.web.visit import Visit, page, parse_id

PAGE_SIZE = 50


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes; they come before those of one product."""
    read, write = Scope.PRODUCTS_READ, Scope.PRODUCTS_WRITE
    return [
        Route("/products/bulk", page(services, listing, read), methods=["GET"]),
        Route("/products/bulk", page(services, choose, write), methods=["POST"]),
        Route("/products/bulk/preview", page(services, look, write), methods=["POST"]),
        Route("/products/bulk/apply", page(services, apply, write), methods=["POST"]),
        Route("/products/bulk/job/{id}", page(services, of_job, read), methods=["GET"]),
        Route("/products/bulk/{id}", page(services, detail, read), methods=["GET"]),
        Route("/products/bulk/{id}/undo", page(services, undo, write), methods=["POST"]),
    ]


async def listing(visit: Visit) -> Response:
    """Bulk edits, newest first."""
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await bulk_store.list_bulk_edits(tx, cursor, PAGE_SIZE)
    words = {row.id: [Change(**change).words for change in row.changes] for row in rows}
    return await visit.page("product_bulk_edits.html", tab="bulk", rows=rows, words=words, cursor=cursor)


async def choose(visit: Visit) -> Response:
    """The form, for the products that were chosen in the grid."""
    form = await visit.form()
    ids = [str(value) for value in (await visit.files()).getlist("product")]
    told = parameters_of(form) if form.get("scope") == "matching" else None
    if told is None and not ids:
        raise InvalidInput("Choose products first: tick them, or take all that match.")
    return await _form(visit, {"products": "" if told is not None else ",".join(ids), **_kept(told)})


def _kept(told: dict[str, str] | None) -> dict[str, str]:
    return {} if told is None else {"matching": "1", **told}


async def _form(
    visit: Visit, chosen: dict[str, str], *, typed: dict[str, str] | None = None, error: str = "",
    preview: bulk.Preview | None = None,
) -> Response:  # fmt: skip
    async with visit.transaction() as tx:
        choices = await _choices(tx)
        selection = _selection(visit, chosen)
        total = await bulk.count_selected(tx, selection)
    shown: list[dict[str, Any]] = []
    for row in () if preview is None else preview.rows:
        changes = [
            (
                c.field,
                _amounts(c.field, c.before, choices, row.currency),
                _amounts(c.field, c.after, choices, row.currency),
            )
            for c in row.changes
        ]
        shown.append({"id": row.product_id, "title": row.title, "problem": row.problem, "changes": changes})
    return await visit.page(
        "product_bulk.html", status=422 if error else 200, tab="bulk", chosen=chosen, typed=typed or {}, error=error,
        preview=preview, shown=shown, total=total, fields=bulk_rules.FIELDS, actions=bulk_rules.ACTIONS,
        rows=range(1, forms.CHANGE_ROWS + 1), statuses=STATUSES, **choices,
    )  # fmt: skip


async def _choices(tx: Tx) -> dict[str, Any]:
    return {
        "categories": await category_tree.list_categories(tx),
        "collections": await collections.list_collections(tx),
    }


def _plain(value: Any, choices: dict[str, Any], currency: str = "") -> str:
    """Return the value of a field as people read it: names in the place of ids."""
    names = {str(each.id): each.label for each in choices["categories"]}
    names |= {str(each.id): each.title for each in choices["collections"]}
    if value is None or value in ("", []):
        return "empty"
    if isinstance(value, list):
        return ", ".join(names.get(str(each), str(each)) for each in value)
    if isinstance(value, int):
        return str(to_decimal(value, currency)) if currency else str(value)
    return str(names.get(str(value), value))


def _amounts(field: str, value: Any, choices: dict[str, Any], currency: str) -> str:
    """Return a value of a preview; the weight is a number that is no amount."""
    return _plain(value, choices, "" if field.startswith(bulk_rules.FIELDS["weight_g"][0]) else currency)


def _selection(visit: Visit, form: dict[str, str]) -> bulk.Selection:
    currency = visit.organisation.currency
    if form.get("matching") == "1":
        return bulk.selection(parameters=parameters_of(form), currency=currency)
    return bulk.selection([parse_id(each) for each in form.get("products", "").split(",") if each], currency=currency)


async def _typed(visit: Visit) -> tuple[dict[str, str], dict[str, str]]:
    form = dict(await visit.form())
    told = parameters_of(form) if form.get("matching") == "1" else None
    return {"products": form.get("products", ""), **_kept(told)}, form


async def look(visit: Visit) -> Response:
    """What it would do."""
    chosen, form = await _typed(visit)
    try:
        async with visit.transaction() as tx:
            found = await bulk.preview(tx, _selection(visit, chosen), forms.changes_typed(form))
    except EntrepotError as error:
        return await _form(visit, chosen, typed=form, error=error.detail)
    return await _form(visit, chosen, typed=form, preview=found)


async def apply(visit: Visit) -> Response:
    """Do it."""
    chosen, form = await _typed(visit)
    try:
        id = await bulk.take_on(
            visit.services.database, visit.actor, _selection(visit, chosen), forms.changes_typed(form),
            end_listings=form.get("end_listings") == "yes",
        )  # fmt: skip
    except EntrepotError as error:
        return await _form(visit, chosen, typed=form, error=error.detail)
    return visit.go(f"/products/bulk/{id}")


async def of_job(visit: Visit) -> Response:
    """The bulk edit that a job does."""
    async with visit.transaction() as tx:
        id = await bulk_store.of_job(tx, visit.id_of("id"))
    return visit.go(f"/products/bulk/{id}")


async def detail(visit: Visit) -> Response:
    """How far it is, and what became of each product; the page asks again while it goes on."""
    return await _detail(visit, visit.id_of("id"))


async def _detail(visit: Visit, id: UUID, error: str = "") -> Response:
    state, cursor = visit.parameter("state") or None, visit.parameter("cursor")
    if state not in (None, "changed", "problem", "undone", "left"):
        raise InvalidInput(f"{state!r} is not a state of an item.")
    async with visit.transaction() as tx:
        row = await bulk_store.get(tx, id)
        items = await bulk_store.list_items(tx, id, state, cursor, PAGE_SIZE)
        job_id = row.undo_job_id or row.job_id
        job = None if job_id is None else await _job(tx, job_id)
        choices = await _choices(tx)
        told = {item.product_id: await _told(tx, item, choices) for item in items}
    archives = bulk_rules.archives([Change(**change) for change in row.changes])
    context: dict[str, Any] = {
        "ends": archives and row.end_listings, "stay": archives and not row.end_listings,
        "row": row, "items": items, "told": told, "job": job, "cursor": cursor, "state": state or "", "error": error,
        "words": [Change(**change).words for change in row.changes], "tab": "bulk",
    }  # fmt: skip
    if visit.is_partial:
        return visit.part("product_bulk_report.html", **context)
    return await visit.page("product_bulk_edit.html", status=422 if error else 200, **context)


async def _job(tx: Tx, id: UUID) -> jobs.JobView | None:
    """Return the job, if it is still kept."""
    try:
        return await jobs.detail(tx, id)
    except jobs.JobNotFound:
        return None


async def _told(tx: Tx, item: bulk_store.Item, choices: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what was changed of a product: field, before, after."""
    ids = {UUID(name.split(".")[1]) for name in item.before if name.startswith("variants.")}
    rows = await tx.fetch(
        "select id::text, sku, currency from variant where organisation_id = $1 and id = any($2::uuid[])",
        tx.organisation,
        list(ids),
    )
    skus, currencies = {row["id"]: row["sku"] for row in rows}, {row["id"]: row["currency"] for row in rows}
    found = []
    for name, before in item.before.items():
        currency = currencies.get(name.split(".")[1], "") if name.endswith("_minor") else ""
        values = (_plain(value, choices, currency) for value in (before, item.after[name]))
        found.append((bulk_rules.described(name, skus), *values))
    return found  # type: ignore[return-value]


async def undo(visit: Visit) -> Response:
    """Set back what nobody changed since."""
    id = visit.id_of("id")
    try:
        await bulk.undo(visit.services.database, visit.actor, id)
    except EntrepotError as error:
        return await _detail(visit, id, error.detail)
    return visit.go(f"/products/bulk/{id}")
