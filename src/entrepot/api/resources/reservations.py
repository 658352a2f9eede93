"""Reservations: expiring holds on stock. The busiest path of the hub, so it goes round pydantic and dependencies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from entrepot.api.answers import IDEMPOTENCY_HEADER, Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import Call, CallDep, Services, authorise
from entrepot.api.paging import PagingDep
from entrepot.api.problems import InvalidBody
from entrepot.catalog import editing
from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import NotFound
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock import reading_holds, reading_queues
from entrepot.stock.contracts import ClaimLine, Hold, NotEnoughStock
from entrepot.stock.reading_holds import HoldFilter

LINES_MAX = 500
EXPIRES_IN_MAX_S = 30 * 24 * 3600
SKU_LIFE_S = 30.0
"""How long a SKU's variant is remembered; a SKU moved to another variant is followed within that time."""
_SKUS_MAX = 200_000
NO_CONNECTION = UUID(int=0)

Quantity = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Line(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """So many units of what one of `sku`, `variantId`, `productId` (a product with one variant) names."""

    quantity: Quantity
    sku: Sku | None = None
    variant_id: UUID | None = None
    product_id: UUID | None = None


class Reserve(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """One line (`sku` or another id, and `quantity`) or several (`lines`): all of them are reserved or none.

    `expiresIn`: seconds until what was not released or sold is given back.
    """

    quantity: Quantity | None = None
    sku: Sku | None = None
    variant_id: UUID | None = None
    product_id: UUID | None = None
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=LINES_MAX)] | None = None
    expires_in: Annotated[int, msgspec.Meta(ge=1, le=EXPIRES_IN_MAX_S)] | None = None


class ReservedLine(msgspec.Struct, rename="camel"):
    """A line of a reservation."""

    variant_id: UUID
    quantity: int
    sku: str | None = None


class Reservation(msgspec.Struct, rename="camel"):
    """Stock set aside until `expiresAt`."""

    id: UUID
    lines: list[ReservedLine]
    expires_at: datetime
    state: str = "active"


class Reserved(msgspec.Struct):
    """The answer to a reservation that was made."""

    reservation: Reservation


class UnknownSku(NotFound):
    """There is no variant with that SKU."""


_decoder = msgspec.json.Decoder(Reserve)
_encoder = msgspec.json.Encoder()


class Skus:
    """SKU -> variant, remembered for a little while, so that a busy SKU costs no statement per request."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[UUID, str], tuple[UUID, float]] = OrderedDict()

    def known(self, organisation_id: UUID, sku: str) -> UUID | None:
        """Return the variant, if it is remembered."""
        found = self._known.get((organisation_id, sku))
        return found[0] if found is not None and found[1] > monotonic() else None

    async def look_up(self, tx: Tx, skus: Sequence[str]) -> None:
        """Remember the variants of these SKUs."""
        found = (await catalog.resolve(tx, NO_CONNECTION, [], skus)).by_sku
        until = monotonic() + SKU_LIFE_S
        for sku, variant_id in found.items():
            self._known[tx.organisation, sku] = (variant_id, until)
        while len(self._known) > _SKUS_MAX:
            self._known.popitem(last=False)


_skus = Skus()


async def reserve(request: Request, services: Services) -> Response:
    """Set stock aside: 201 with the reservation, or 409 with what was asked and what is available."""
    actor = await authorise(services, request, Scope.STOCK_WRITE)
    call = Call(request, services, actor)
    wanted = _decode(await request.body())
    lines = await _resolve(call, wanted)
    life = services.reservation_timeout if wanted.expires_in is None else timedelta(seconds=wanted.expires_in)
    hold = Hold(
        id=new_id(),
        lines=tuple(ClaimLine(line.variant_id, line.quantity) for line in lines),
        expires_at=services.clock() + life,
        actor=actor.reference,
    )
    if IDEMPOTENCY_HEADER in request.headers:
        return await once(call, lambda tx: _place_in(tx, call, hold, lines))
    try:
        await services.gate.place(actor.organisation_id, hold)
    except NotEnoughStock as refusal:
        async with call.transaction() as tx:
            await _explain(tx, refusal, lines)
        raise
    return _made(hold, lines).response()


async def _place_in(tx: Tx, call: Call, hold: Hold, lines: list[ReservedLine]) -> Answer:
    """Place the hold in the transaction that keeps the answer too."""
    (refusal,) = await stock.place_holds(tx, [hold], safety_too=call.services.gate.safety_too)
    if refusal is not None:
        await _explain(tx, refusal, lines)
        raise refusal
    return _made(hold, lines)


def _made(hold: Hold, lines: list[ReservedLine]) -> Answer:
    assert hold.expires_at is not None
    return Answer(201, _encoder.encode(Reserved(Reservation(hold.id, lines, hold.expires_at))))


def _decode(body: bytes) -> Reserve:
    try:
        wanted = _decoder.decode(body)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise InvalidBody(text, "#" + path.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidBody(f"The body is not JSON: {error}") from None
    if (wanted.lines is None) == (wanted.quantity is None):
        raise InvalidBody("Send either `quantity` with one of sku, variantId, productId, or `lines`.")
    return wanted


async def _resolve(call: Call, wanted: Reserve) -> list[ReservedLine]:
    """Return the lines by variant. Raises UnknownSku, NotFound, InvalidBody."""
    asked: Sequence[Line | Reserve] = [wanted] if wanted.lines is None else wanted.lines
    for number, line in enumerate(asked):
        if sum(name is not None for name in (line.sku, line.variant_id, line.product_id)) != 1:
            pointer = "#" if wanted.lines is None else f"#/lines/{number}"
            raise InvalidBody("Name exactly one of sku, variantId, productId.", pointer)
    organisation_id = call.actor.organisation_id
    missing = [line.sku for line in asked if line.sku is not None and not _skus.known(organisation_id, line.sku)]
    products: dict[UUID, UUID] = {}
    if missing or any(line.product_id is not None for line in asked):
        async with call.transaction() as tx:
            await _skus.look_up(tx, missing)
            products = await _only_variants(tx, [line.product_id for line in asked if line.product_id is not None])
    lines: list[ReservedLine] = []
    for line in asked:
        variant_id = line.variant_id
        if line.sku is not None:
            variant_id = _skus.known(organisation_id, line.sku)
            if variant_id is None:
                raise UnknownSku(f"There is no variant with the SKU {line.sku!r}.", sku=line.sku)
        elif line.product_id is not None:
            variant_id = products[line.product_id]
        assert variant_id is not None
        assert line.quantity is not None
        lines.append(ReservedLine(variant_id, line.quantity, line.sku))
    return lines


async def _only_variants(tx: Tx, product_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return the variant of each of these products, which must have just one."""
    found = await editing.only_variants(tx, product_ids)
    for product_id in product_ids:
        if product_id not in found:
            raise NotFound("There is no such product.", product_id=str(product_id))
        if len(found[product_id]) > 1:
            raise InvalidBody(f"The product {product_id} has several variants: name one by sku or variantId.")
    return {product_id: ids[0] for product_id, ids in found.items()}


async def _explain(tx: Tx, refusal: NotEnoughStock, lines: list[ReservedLine]) -> None:
    """Say in the refusal which SKUs are short; raise NotFound instead if a variant does not exist."""
    ids = [line.variant_id for line in refusal.shortfalls]
    sku_of = await editing.skus_of(tx, ids)
    for variant_id in ids:
        if variant_id not in sku_of:
            raise NotFound("There is no such variant.", variant_id=str(variant_id))
    short: list[dict[str, Any]] = [
        {"variantId": s.variant_id, "sku": sku_of[s.variant_id], "asked": s.asked, "available": s.available}
        for s in refusal.shortfalls
    ]
    refusal.context = {"lines": short}
    if len(lines) == 1:
        refusal.context |= {"asked": short[0]["asked"], "available": short[0]["available"]}


class HeldLineView(Resource):
    """Units that a reservation has of a variant at a location; of a bundle its parts."""

    variant_id: UUID
    sku: str
    location: str
    quantity: int


class HeldRow(Resource):
    """A reservation in a list. `madeBy`: who made it; `referenceId`: what it is for."""

    id: UUID
    state: str
    expires_at: datetime
    created_at: datetime
    ended_at: datetime | None
    reference_id: UUID | None
    made_by: str
    units: int
    lines: list[HeldLineView]


class Reservations(Resource):
    """Reservations: open ones by when they end; expired and released ones of the last 30 days, newest first."""

    reservations: list[HeldRow]
    next_cursor: str | None


async def list_all(
    call: CallDep,
    paging: PagingDep,
    state: Literal["open", "expired", "released"] = "open",
    sku: Annotated[str, Query(max_length=255)] = "",
    reference: UUID | None = None,
    made_by: Annotated[str, Query(alias="madeBy", max_length=200)] = "",
) -> Response:
    """Return reservations in a state: of a SKU, with an id or a reference (`reference`), made by somebody (`madeBy`)."""
    chosen = HoldFilter(state, sku.replace("\x00", ""), reference, made_by.replace("\x00", ""))
    now = call.services.clock()
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading_holds.list_holds(tx, chosen, now, cursor, limit))
    rows = [
        HeldRow(
            id=row.id, state=row.state, expires_at=row.expires_at, created_at=row.created_at, ended_at=row.ended_at,
            reference_id=row.reference_id, made_by=row.actor, units=row.units,
            lines=[HeldLineView.model_validate(part) for part in row.parts],
        )
        for row in found
    ]  # fmt: skip
    return respond(Reservations(reservations=rows, next_cursor=found.next_cursor))


class Release(Input):
    """A reservation to give back."""

    reservation_id: Annotated[UUID, Field(description="`reservation.id` of the answer that made it")]


class Released(Resource):
    """The reservation was given back."""

    reservation_id: UUID
    state: str = "released"


async def release(body: Release, call: CallDep) -> Response:
    """Give a reservation back before it expires."""

    async def work(tx: Tx) -> Answer:
        await stock.release_hold(tx, body.reservation_id, actor=call.actor.reference)
        text = Released(reservation_id=body.reservation_id).model_dump_json(by_alias=True)
        return Answer(200, text.encode())

    return await once(call, work)


async def delete(reservation_id: UUID, call: CallDep) -> Response:
    """Give a reservation back before it expires."""
    async with call.transaction() as tx:
        await stock.release_hold(tx, reservation_id, actor=call.actor.reference)
    return empty()


class Extension(Input):
    """From now on so many seconds; without it as long as a new reservation lasts."""

    expires_in: Annotated[int | None, Field(ge=1, le=EXPIRES_IN_MAX_S)] = None


class ReservationState(Resource):
    """A reservation: active, released or expired."""

    id: UUID
    state: str
    expires_at: datetime | None
    lines: list[HeldLineView]


class OneReservation(Resource):
    """A reservation with what it has."""

    reservation: ReservationState


async def get(reservation_id: UUID, call: CallDep) -> Response:
    """Return a reservation with what it has, and where."""
    async with call.transaction() as tx:
        return respond(await _state(tx, reservation_id))


async def extend(reservation_id: UUID, body: Extension, call: CallDep) -> Response:
    """Let a reservation last longer (or end sooner); 404 if it has ended."""
    services = call.services
    life = services.reservation_timeout if body.expires_in is None else timedelta(seconds=body.expires_in)
    now = services.clock()

    async def work(tx: Tx) -> Answer:
        await stock.extend_hold(tx, reservation_id, now + life, now)
        return answer(await _state(tx, reservation_id))

    return await once(call, work)


async def _state(tx: Tx, id: UUID) -> OneReservation:
    lines = await reading_queues.hold_lines(tx, id)
    return OneReservation(
        reservation=ReservationState(
            id=id, state=lines[0].state, expires_at=lines[0].expires_at,
            lines=[HeldLineView.model_validate(line) for line in lines],
        )
    )  # fmt: skip
