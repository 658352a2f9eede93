"""Make and edit a product. Two who edit at once are told what the other changed, and nothing is lost."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import category_tree, collections, editing
from entrepot.catalog import reading as catalog
from entrepot.catalog.contracts import NewProduct, NewVariant
from entrepot.catalog.editing import ProductChanged
from entrepot.catalog.filters import STATUSES
from entrepot.catalog.product_rules import InvalidFields
from entrepot.catalog.snapshot import FieldChange, Flat, changes_between, flat
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import EntrepotError
from entrepot.orders import facade as orders
from entrepot.sync.publishing import archiving
from entrepot.web import product_forms as forms
from entrepot.web.product_forms import ProductForm
from entrepot.web.routes.product_actions import told
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Typed, amount_typed
from entrepot.web.visit import Visit, page


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of the editor; they come before those of one product."""
    write = Scope.PRODUCTS_WRITE
    return [
        Route("/products/new", page(services, new, write), methods=["GET"]),
        Route("/products/new", page(services, create, write), methods=["POST"]),
        Route("/products/{product_id}/edit", page(services, edit, write), methods=["GET"]),
        Route("/products/{product_id}/edit", page(services, save, write), methods=["POST"]),
    ]


async def new(visit: Visit) -> Response:
    """The form of a new product: title, SKU, price; the rest is filled in after."""
    return await visit.page("product_new.html", typed=Typed(), error="")


async def create(visit: Visit) -> Response:
    """Make a product."""
    form = Typed(await visit.form())
    currency = visit.organisation.currency
    try:
        price = amount_typed(form["price"] or "", currency, "The price")
        given = NewProduct(
            "", form["title"], (NewVariant(form["sku"], price, currency, barcode=form["barcode"]),),
            vendor=form["vendor"], status="draft",
        )  # fmt: skip
        async with visit.transaction() as tx:
            id, variants = await editing.create(tx, given)
            await orders.settle_exceptions(tx, variants)
            after = {"title": given.title, "skus": list(variants)}
            await identity.record(tx, visit.actor, "product.create", "product", id, None, after)
    except EntrepotError as error:
        return await visit.page("product_new.html", status=422, typed=form, error=error.detail)
    return visit.go(f"/products/{id}/edit", "Made as a draft. Fill in what is missing.")


async def edit(visit: Visit) -> Response:
    """The form."""
    async with visit.transaction() as tx:
        product = await catalog.product_detail(tx, visit.id_of("product_id"))
    return await _form(visit, product, forms.shown(product, flat(product)))


async def save(visit: Visit) -> Response:
    """Write what the person changed, unless somebody else changed the same meanwhile."""
    id = visit.id_of("product_id")
    fields = await visit.form()
    lists = {"collections": [str(value) for value in (await visit.files()).getlist("collections")]}
    async with visit.transaction() as tx:
        product = await catalog.product_detail(tx, id)
    now = flat(product)
    form = forms.typed(fields, lists, product, now)
    base = forms.base_of(form)
    assert base is not None
    try:
        wanted = forms.edit_of(form, product, base)
        async with visit.transaction() as tx:
            saved = await editing.save(tx, id, wanted, base=base)
            await orders.settle_exceptions(tx, dict(saved.made))
            if saved.after:
                await identity.record(tx, visit.actor, "product.update", "product", id, saved.before, saved.after)
            ends = saved.after.get("status") == "archived" and fields.get("end_listings") == "yes"
            find = visit.services.find_connector
            endings = await archiving.end_everywhere(tx, visit.actor, find, [id]) if ends else ()
    except ProductChanged as changed:
        return await _changed(visit, form, base, changed)
    except InvalidFields as error:
        form.errors = error.faults
        return await _form(visit, product, form, error=error.detail)
    except EntrepotError as error:
        if error.status in (401, 403) or error.status >= 500:
            raise
        return await _form(visit, product, form, error=error.detail)
    theirs = [forms.label(each.field, now) for each in changes_between(base, now) if each.field not in saved.after]
    also = f" Meanwhile somebody else changed: {', '.join(theirs[:6])}." if theirs else ""
    became = told(endings)
    return visit.go(
        f"/products/{id}", f"Saved.{also} {became}".strip() if saved.after else f"Nothing was changed.{also}"
    )


async def _changed(visit: Visit, form: ProductForm, base: Flat, changed: ProductChanged) -> Response:
    """Show the form again with what was typed, and what somebody else made of the same fields."""
    async with visit.transaction() as tx:
        product = await catalog.product_detail(tx, visit.id_of("product_id"))
    now = flat(product)
    mine = {each.field for each in changed.changes}
    # What they alone changed is taken over; what both changed stays as typed, to be saved knowingly or typed anew.
    others = {each.field for each in changes_between(base, now)} - mine
    fresh = forms.shown(product, now, 0)
    for name in others & set(form.values):
        form.values[name] = fresh.values[name]
    form.base = fresh.base
    form.errors = {
        each.field: f"Meanwhile changed to: {forms.worded(each.field, each.after, now)}" for each in changed.changes
    }
    return await _form(visit, product, form, status=409, theirs=changed.changes, now=now)


async def _form(
    visit: Visit, product: catalog.ProductDetail, form: ProductForm, *, status: int = 200, error: str = "",
    theirs: tuple[FieldChange, ...] = (), now: Flat | None = None,
) -> Response:  # fmt: skip
    async with visit.transaction() as tx:
        categories = await category_tree.list_categories(tx)
        groups = await collections.list_collections(tx)
    told: list[dict[str, Any]] = [
        {
            "label": forms.label(each.field, now or {}),
            "before": forms.worded(each.field, each.before, now or {}),
            "after": forms.worded(each.field, each.after, now or {}),
        }
        for each in theirs
    ]
    return await visit.page(
        "product_edit.html", status=422 if error else status, product=product, form=form, categories=categories,
        collections=groups, statuses=STATUSES, error=error, theirs=told, labels=forms.LABELS,
    )  # fmt: skip
