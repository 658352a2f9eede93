"""Publishing: products are made, shown, hidden and ended on channels; what became of each, by channel."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import Query
from pydantic import Field, model_validator
from starlette.responses import Response, StreamingResponse

from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.paging import PagingDep
from entrepot.catalog import bulk
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.stock import csv_out
from entrepot.sync.publishing import asking, reading
from entrepot.sync.publishing.contracts import Ask, Wanted
from entrepot.sync.publishing.reading import IntentFilter

Words = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]


class PublicationInput(Input):
    """Which products, what with them, and where. `filter`: the parameters of the page of products; `{}` means all.

    `action`: publish, unpublish (hidden, but there), archive or delete. `category` and `attributes`: the channel's own, as
    text, several values with `|` between them; left out, what was said before stays. `dryRun`: only checked.
    """

    product_ids: Annotated[list[UUID] | None, Field(min_length=1, max_length=bulk.NAMED_MAX)] = None
    filter: Annotated[dict[str, Annotated[str, Field(max_length=200)]] | None, Field(max_length=20)] = None
    connection_ids: Annotated[list[UUID], Field(min_length=1, max_length=50)]
    action: Wanted = Wanted.PUBLISH
    category: Annotated[str | None, Field(max_length=200, pattern=r"^[^\x00]*$")] = None
    attributes: Annotated[dict[Annotated[str, Field(max_length=200)], Words] | None, Field(max_length=200)] = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.product_ids is None) == (self.filter is None):
            raise ValueError("Send either `productIds` or `filter`.")
        return self


class ProblemView(Resource):
    """What keeps a product from a channel. `where`: empty for the product, else the SKU or the image."""

    field: str
    what: str
    where: str
    how: str


class LookedAt(Resource):
    """What publishing a product to a connection would meet. `done`: it is there already, nothing would be sent."""

    product_id: UUID
    title: str
    connection_id: UUID
    completeness: int
    missing: list[str]
    problems: list[ProblemView]
    done: bool


class Published(Resource):
    """How many products were asked for. In a dry run: how many are meant, and the first of them looked at."""

    products: int
    dry_run: bool
    looked: list[LookedAt]


class ListingView(Resource):
    """A product on a connection: what was asked, how far that is, and why it is not further.

    `state`: draft (something is missing), publishing, live, error (the channel refused it), ending or ended. `completeness`:
    0 to 100, null: not looked at yet. `listings`: how many of its variants are on sale there.
    Of its fields there, `conflicts` wait for a person, `moving` are on their way, `parked` could not be written.
    """

    id: UUID
    connection_id: UUID
    connection: str
    channel: str
    product_id: UUID
    title: str
    handle: str
    wanted: str
    state: str
    external_id: str
    category: str
    attributes: dict[str, str]
    completeness: int | None
    missing: list[str]
    problems: list[ProblemView]
    text: str
    attempts: int
    next_attempt_at: datetime | None
    asked_by: str
    asked_at: datetime
    done_at: datetime | None
    listings: int
    conflicts: int
    moving: int
    parked: int


class Listings(Resource):
    """Products on connections, what was asked last first."""

    listings: list[ListingView]
    next_cursor: str | None


class OneListing(Resource):
    """A product on a connection."""

    listing: ListingView


class Retried(Resource):
    """How many are tried again."""

    retried: int


class RetryInput(Input):
    """Which to try again; left out: all of the connection, or all."""

    listing_ids: Annotated[list[UUID] | None, Field(min_length=1, max_length=1000)] = None
    connection_id: UUID | None = None


State = Annotated[Literal["draft", "publishing", "live", "error", "ending", "ended"] | None, Query()]


async def publish(body: PublicationInput, call: CallDep) -> Response:
    """Publish or end products on channels, in one action; what becomes of each is under `/listings`."""
    currency = (await identity.get_organisation(call.services.database, call.actor.organisation_id)).currency
    chosen = bulk.selection(body.product_ids or (), body.filter, currency=currency)
    asked = Ask(body.action, tuple(body.connection_ids), body.category, body.attributes)
    if body.dry_run:
        return respond(await _look(call, chosen, asked))

    async def work(tx: Tx) -> Answer:
        count = await asking.ask(tx, call.actor, call.services.find_connector, chosen, asked)
        return answer(Published(products=count, dry_run=False, looked=[]), 202)

    return await once(call, work)


async def _look(call: Call, chosen: bulk.Selection, asked: Ask) -> Published:
    async with call.transaction() as tx:
        total, found = await asking.preview(tx, call.services.find_connector, chosen, asked)
    looked = [LookedAt.model_validate(each) for each in found]
    return Published(products=total.count, dry_run=True, looked=looked)


def _filter(
    connection_id: Annotated[UUID | None, Query(alias="connectionId")] = None,
    product_id: Annotated[UUID | None, Query(alias="productId")] = None,
    state: State = None,
    q: Annotated[str, Query(max_length=200)] = "",
    incomplete: bool = False,
) -> IntentFilter:
    return IntentFilter(connection_id, state, q.replace("\x00", "").strip(), incomplete, product_id)


async def list_listings(
    call: CallDep,
    paging: PagingDep,
    connection_id: Annotated[UUID | None, Query(alias="connectionId")] = None,
    product_id: Annotated[UUID | None, Query(alias="productId")] = None,
    state: State = None,
    q: Annotated[str, Query(max_length=200)] = "",
    incomplete: bool = False,
) -> Response:
    """Return products on connections, what was asked last first."""
    chosen = _filter(connection_id, product_id, state, q, incomplete)
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_intents(tx, chosen, cursor, limit))
    return respond(
        Listings(listings=[ListingView.model_validate(each) for each in found], next_cursor=found.next_cursor)
    )


async def export(
    call: CallDep,
    connection_id: Annotated[UUID | None, Query(alias="connectionId")] = None,
    state: State = None,
) -> Response:
    """Return products on connections as CSV."""
    chosen = _filter(connection_id, None, state)
    text = csv_out.text_of(call.services.database, call.actor.organisation_id, reading.intents_file(chosen))
    headers = {"Content-Disposition": 'attachment; filename="listings.csv"'}
    return StreamingResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


async def get_listing(intent_id: UUID, call: CallDep) -> Response:
    """Return a product on a connection."""
    async with call.transaction() as tx:
        return respond(OneListing(listing=ListingView.model_validate(await reading.intent(tx, intent_id))))


async def retry(body: RetryInput, call: CallDep) -> Response:
    """Try what was refused or waits once more."""

    async def work(tx: Tx) -> Answer:
        count = await asking.try_again(tx, call.actor, body.listing_ids, body.connection_id)
        return answer(Retried(retried=count))

    return await once(call, work)
