"""Match candidates: listings without a variant and the variants that they may be; deciding, undoing, settings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from entrepot.api.amounts import SkuText
from entrepot.api.answers import Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.items import Item, variants_of
from entrepot.api.paging import PagingDep
from entrepot.catalog import match_queue, match_reading
from entrepot.catalog.match_contracts import PPM, MatchSettings
from entrepot.database.pool import Tx
from entrepot.stock import csv_out
from entrepot.sync import matching

State = Annotated[Literal["open", "accepted", "rejected"], Query(description="Open: the best one of each listing")]


class ListingSays(Resource):
    """What a channel says of a listing. `priceMinor` in minor units of `currency`."""

    listing_id: UUID
    variant_id: UUID | None
    connection_id: UUID
    connection_name: str
    channel: str
    external_id: str
    title: str
    brand: str
    sku: str
    barcode: str
    price_minor: int | None
    currency: str | None


class OurVariant(Resource):
    """A variant of ours. `priceMinor` in minor units of `currency`."""

    variant_id: UUID
    product_id: UUID
    title: str
    brand: str
    sku: str
    barcode: str
    price_minor: int
    currency: str


class Candidate(Resource):
    """A listing and a variant that it may be. `score`: how likely that is, 0 to 1; 0 where a person chose it."""

    id: UUID
    score: float
    state: str
    reasons: list[str]
    decided_by: str
    decided_at: datetime | None
    created_at: datetime
    listing: ListingSays
    variant: OurVariant


class Candidates(Resource):
    """Match candidates: the open ones by score, decided ones latest first."""

    match_candidates: list[Candidate]
    next_cursor: str | None


class OneCandidate(Resource):
    """One match candidate."""

    match_candidate: Candidate


class Unlike(Resource):
    """Listings that were compared with every variant and are like none."""

    listings: list[ListingSays]
    next_cursor: str | None


class Matched(Resource):
    """A listing and the variant that it has now."""

    listing_id: UUID
    variant_id: UUID


class ManyMatched(Resource):
    """What was matched at once."""

    matched: list[Matched]


class Above(Input):
    """From which score on to accept, 0.5 to 1."""

    score: Annotated[float, Field(ge=0.5, le=1)]


class ForNew(Input):
    """`sku`: ours for the new product; the listing's own if it is left out."""

    sku: SkuText | None = None


class Ways(Input):
    """What the hub may match without asking: equal barcodes; what is as likely as what people nearly always accepted."""

    by_barcode: bool
    by_itself: bool


class Settings(Resource):
    """How listings are matched. `sureFrom`: from which score on people accepted at least 95 of 100; null: not known yet."""

    by_barcode: bool
    by_itself: bool
    sure_from: float | None
    learned_from: int


async def list_candidates(
    call: CallDep,
    paging: PagingDep,
    state: State = "open",
    connection_id: Annotated[UUID | None, Query(alias="connectionId")] = None,
) -> Response:
    """Return match candidates."""
    async with call.transaction() as tx:
        found = await paging.read(
            lambda cursor, limit: match_reading.list_candidates(tx, state, connection_id, cursor, limit)
        )
    rows = [Candidate.model_validate(row) for row in found]
    return respond(Candidates(match_candidates=rows, next_cursor=found.next_cursor))


async def get_candidate(candidate_id: UUID, call: CallDep) -> Response:
    """Return one match candidate."""
    async with call.transaction() as tx:
        return respond(await _candidate(tx, candidate_id))


async def export(call: CallDep, state: State = "open") -> Response:
    """Return match candidates as CSV."""
    text = csv_out.text_of(call.services.database, call.actor.organisation_id, matching.candidates_file(state))
    headers = {"Content-Disposition": 'attachment; filename="match-candidates.csv"'}
    return StreamingResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


async def accept(candidate_id: UUID, call: CallDep) -> Response:
    """Give the listing the variant that was proposed."""

    async def work(tx: Tx) -> Answer:
        await matching.accept(tx, call.actor, candidate_id)
        return answer(await _candidate(tx, candidate_id))

    return await once(call, work)


async def reject(candidate_id: UUID, call: CallDep) -> Response:
    """Say that the listing is not that variant; the pair never comes back."""

    async def work(tx: Tx) -> Answer:
        await match_queue.reject(tx, call.actor, candidate_id)
        return answer(await _candidate(tx, candidate_id))

    return await once(call, work)


async def reopen(candidate_id: UUID, call: CallDep) -> Response:
    """Take a rejection back."""

    async def work(tx: Tx) -> Answer:
        await match_queue.reopen(tx, call.actor, candidate_id)
        return answer(await _candidate(tx, candidate_id))

    return await once(call, work)


async def accept_above(body: Above, call: CallDep) -> Response:
    """Accept the best candidate of every listing from a score on, 200 at most."""

    async def work(tx: Tx) -> Answer:
        done = await matching.accept_above(tx, call.actor, body.score)
        return answer(ManyMatched(matched=[Matched.model_validate(each) for each in done]))

    return await once(call, work)


async def list_unlike(call: CallDep, paging: PagingDep) -> Response:
    """Return listings that were compared with every variant and are like none."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: match_reading.list_unlike(tx, None, cursor, limit))
    rows = [ListingSays.model_validate(row) for row in found]
    return respond(Unlike(listings=rows, next_cursor=found.next_cursor))


async def assign(listing_id: UUID, body: Item, call: CallDep) -> Response:
    """Give a listing the variant that you name."""

    async def work(tx: Tx) -> Answer:
        (variant_id,) = await variants_of(tx, [body])
        return answer(Matched.model_validate(await matching.assign(tx, call.actor, listing_id, variant_id)))

    return await once(call, work)


async def unmatch(listing_id: UUID, call: CallDep) -> Response:
    """Take a listing's variant from it; the hub writes nothing more there, and the pair never comes back by itself."""
    async with call.transaction() as tx:
        await match_queue.unmatch(tx, call.actor, listing_id)
    return empty()


async def make_product(listing_id: UUID, body: ForNew, call: CallDep) -> Response:
    """Make a new product of what a listing says, and match them."""

    async def work(tx: Tx) -> Answer:
        made = await matching.make_product(tx, call.actor, listing_id, body.sku or "")
        return answer(Matched.model_validate(made), 201)

    return await once(call, work)


async def get_settings(call: CallDep) -> Response:
    """Return how listings are matched."""
    async with call.transaction() as tx:
        return respond(_settings(await match_queue.read_settings(tx)))


async def set_settings(body: Ways, call: CallDep) -> Response:
    """Set what the hub may match without asking."""

    async def work(tx: Tx) -> Answer:
        done = await match_queue.change_settings(tx, call.actor, by_barcode=body.by_barcode, by_itself=body.by_itself)
        return answer(_settings(done))

    return await once(call, work)


def _settings(found: MatchSettings) -> Settings:
    sure = None if found.sure_from_ppm is None else found.sure_from_ppm / PPM
    return Settings(
        by_barcode=found.by_barcode, by_itself=found.by_itself, sure_from=sure, learned_from=found.learned_from
    )


async def _candidate(tx: Tx, candidate_id: UUID) -> OneCandidate:
    return OneCandidate(match_candidate=Candidate.model_validate(await match_reading.candidate(tx, candidate_id)))
