"""Changes of many products at once: looked at, done, undone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import Query
from pydantic import Field, model_validator
from starlette.responses import Response

from entrepot.api.answers import Input, Resource, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.paging import PagingDep
from entrepot.catalog import bulk, bulk_store
from entrepot.catalog.bulk_rules import Change
from entrepot.identity import facade as identity


class ChangeInput(Input):
    """One change, such as `{"field": "price", "action": "percent", "value": "-10"}`; several tags or ids by commas."""

    field: Annotated[str, Field(max_length=50)]
    action: Annotated[str, Field(max_length=50)]
    value: Annotated[str, Field(max_length=5000, pattern=r"^[^\x00]*$")] = ""


class BulkInput(Input):
    """Which products, and what to change. `filter`: the parameters of the page of products; `{}` means all.

    `endListings`: products that this archives end on their channels as well, as gently as each can.
    """

    product_ids: Annotated[list[UUID] | None, Field(min_length=1, max_length=bulk.NAMED_MAX)] = None
    filter: Annotated[dict[str, Annotated[str, Field(max_length=200)]] | None, Field(max_length=20)] = None
    changes: Annotated[list[ChangeInput], Field(min_length=1, max_length=20)]
    end_listings: bool = True

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.product_ids is None) == (self.filter is None):
            raise ValueError("Send either `productIds` or `filter`.")
        return self

    def changes_given(self) -> list[Change]:
        """Return the changes."""
        return [Change(each.field, each.action, each.value) for each in self.changes]


class FieldView(Resource):
    """A field before and after. Amounts in minor units."""

    field: str
    before: Any
    after: Any


class LookedView(Resource):
    """What would become of a product."""

    product_id: UUID
    title: str
    changes: list[FieldView]
    problem: str


class PreviewView(Resource):
    """What a bulk edit would do. `total` products are meant; the counts are of the first `looked`."""

    total: int
    looked: int
    changed: int
    unchanged: int
    problems: int
    rows: list[LookedView]


class BulkEditView(Resource):
    """A bulk edit: running, done, undoing or undone. Counts of products; `leftAlone`: changed since, so not undone.

    `endListings`: the listings of products that it archived end as well.
    """

    id: UUID
    actor: str
    state: str
    changes: list[str]
    changed: int
    unchanged: int
    problems: int
    undone: int
    left_alone: int
    job_id: UUID | None
    undo_job_id: UUID | None
    end_listings: bool
    created_at: datetime


class BulkEdits(Resource):
    """Bulk edits, newest first."""

    bulk_edits: list[BulkEditView]
    next_cursor: str | None


class OneBulkEdit(Resource):
    """A bulk edit."""

    bulk_edit: BulkEditView


class ItemView(Resource):
    """What became of a product: changed, problem, undone or left."""

    product_id: UUID
    title: str
    state: str
    before: dict[str, Any]
    after: dict[str, Any]
    note: str


class BulkItems(Resource):
    """What became of each product."""

    items: list[ItemView]
    next_cursor: str | None


async def look(body: BulkInput, call: CallDep) -> Response:
    """Return what a bulk edit would do; nothing is changed."""
    chosen = await _chosen(body, call)
    async with call.transaction() as tx:
        found = await bulk.preview(tx, chosen, body.changes_given())
    rows = [LookedView.model_validate(row) for row in found.rows]
    return respond(
        PreviewView(
            total=found.total.count, looked=found.looked, changed=found.changed, unchanged=found.unchanged,
            problems=found.problems, rows=rows,
        )
    )  # fmt: skip


async def start(body: BulkInput, call: CallDep) -> Response:
    """Change products: a few at once, many as a background job."""
    chosen = await _chosen(body, call)

    id = await bulk.take_on(
        call.services.database, call.actor, chosen, body.changes_given(), end_listings=body.end_listings
    )
    found = await _one(call, id)
    return respond(found, 201 if found.bulk_edit.state == "done" else 202)


async def undo(bulk_edit_id: UUID, call: CallDep) -> Response:
    """Set back what nobody changed since; what somebody did change is left alone and named.

    Nothing is published by that: publish products whose listings have ended again.
    """
    await bulk.undo(call.services.database, call.actor, bulk_edit_id)
    found = await _one(call, bulk_edit_id)
    return respond(found, 200 if found.bulk_edit.state == "undone" else 202)


async def list_bulk_edits(call: CallDep, paging: PagingDep) -> Response:
    """Return bulk edits, newest first."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: bulk_store.list_bulk_edits(tx, cursor, limit))
    return respond(BulkEdits(bulk_edits=[_view(row) for row in found], next_cursor=found.next_cursor))


async def get_bulk_edit(bulk_edit_id: UUID, call: CallDep) -> Response:
    """Return a bulk edit."""
    return respond(await _one(call, bulk_edit_id))


async def list_items(
    bulk_edit_id: UUID,
    call: CallDep,
    paging: PagingDep,
    state: Annotated[Literal["changed", "problem", "undone", "left"] | None, Query()] = None,
) -> Response:
    """Return what became of each product that was changed or could not be."""
    async with call.transaction() as tx:
        await bulk_store.get(tx, bulk_edit_id)
        found = await paging.read(lambda cursor, limit: bulk_store.list_items(tx, bulk_edit_id, state, cursor, limit))
    return respond(BulkItems(items=[ItemView.model_validate(i) for i in found], next_cursor=found.next_cursor))


async def _chosen(body: BulkInput, call: Call) -> bulk.Selection:
    currency = (await identity.get_organisation(call.services.database, call.actor.organisation_id)).currency
    return bulk.selection(body.product_ids or (), body.filter, currency=currency)


async def _one(call: Call, id: UUID) -> OneBulkEdit:
    async with call.transaction() as tx:
        return OneBulkEdit(bulk_edit=_view(await bulk_store.get(tx, id)))


def _view(row: bulk_store.BulkEdit) -> BulkEditView:
    names = [name for name in BulkEditView.model_fields if name != "changes"]
    words = [Change(**change).words for change in row.changes]
    return BulkEditView(**{name: getattr(row, name) for name in names}, changes=words)
