"""Orders from all channels."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from entrepot.api.amounts import Text255, text
from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.paging import PagingDep
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.kernel.errors import InvalidInput
from entrepot.orders import facade as orders
from entrepot.orders import reading

Status = Literal["pending", "open", "partly_shipped", "shipped", "cancelled"]


class OrderView(Resource):
    """An order in a list."""

    id: UUID
    number: str
    external_id: str
    channel: str
    connection_id: UUID
    connection: str
    status: str
    channel_status: str
    currency: str
    total: str | None
    units: int
    buyer_name: str
    has_exception: bool
    has_shortage: bool
    placed_at: datetime
    received_at: datetime


class OrderLine(Resource):
    """A line, and what the hub did about it. `exception`: why it could not be matched to a variant."""

    id: UUID
    sku: str | None
    variant_id: UUID | None
    title: str
    quantity: int
    cancelled: int
    shipped: int
    reserved: int
    shortage: int
    unit_price: str | None
    exception: str | None


class OrderEvent(Resource):
    """A step in an order's life."""

    id: UUID
    at: datetime
    kind: str
    summary: str
    detail: dict[str, Any]


class ShipmentView(Resource):
    """A parcel. `state`: whether the channel has been told (pending, done, parked)."""

    id: UUID
    carrier: str
    tracking_number: str
    tracking_url: str
    shipped_at: datetime
    state: str
    detail: str


class OrderWhole(OrderView):
    """An order with its lines, parcels and timeline."""

    tax: str | None
    shipping: str | None
    discount: str | None
    buyer_email: str
    ship_to: dict[str, str] | None
    fulfilled_by_channel: bool
    lines: list[OrderLine]
    shipments: list[ShipmentView]
    events: list[OrderEvent]


class Orders(Resource):
    """Orders, newest placed first."""

    orders: list[OrderView]
    next_cursor: str | None


class OneOrder(Resource):
    """An order."""

    order: OrderWhole


class ParcelLine(Input):
    """So many units of a line."""

    line_id: UUID
    quantity: Annotated[int, Field(ge=1, le=1_000_000_000)]


class Parcel(Input):
    """A parcel that leaves. Without `lines` it holds everything that is reserved for the order."""

    carrier: Text255 = ""
    tracking_number: Text255 = ""
    tracking_url: Annotated[Text255, Field(max_length=2000)] = ""
    lines: Annotated[list[ParcelLine] | None, Field(min_length=1, max_length=500)] = None


class Fulfilled(Resource):
    """The parcel and the order as it is now."""

    shipment_id: UUID
    order: OrderWhole


async def list_orders(
    call: CallDep,
    paging: PagingDep,
    status: Annotated[Status | None, Query()] = None,
    channel: Annotated[str | None, Query(max_length=80, description="Channel key, or id of a connection")] = None,
    date_from: Annotated[date | datetime | None, Query(description="Placed at or after; dates are UTC days")] = None,
    date_to: Annotated[date | datetime | None, Query(description="Placed before; a date includes its day")] = None,
    trouble: Annotated[bool, Query(description="Only with an exception or a shortage")] = False,
    search: Annotated[str, Query(max_length=200, description="Number, channel's id, e-mail, SKU, buyer")] = "",
) -> Response:
    """Return orders, newest placed first."""
    connection_id, channel_key = _channel(channel)
    chosen = reading.OrderFilter(
        status=status, connection_id=connection_id, trouble=trouble, search=search.replace("\x00", ""),
        placed_from=_moment(date_from), placed_to=_moment(date_to, after=True), channel=channel_key,
    )  # fmt: skip
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_orders(tx, chosen, cursor, limit))
    return respond(Orders(orders=[OrderView(**_row(row)) for row in found], next_cursor=found.next_cursor))


async def get_order(order_id: UUID, call: CallDep) -> Response:
    """Return an order with its lines, parcels and timeline."""
    async with call.transaction() as tx:
        return respond(OneOrder(order=await _whole(tx, order_id)))


async def fulfil(order_id: UUID, body: Parcel, call: CallDep) -> Response:
    """Record a parcel: stock goes down, and the channel is told of it soon after."""

    async def work(tx: Tx) -> Answer:
        units = None if body.lines is None else {line.line_id: line.quantity for line in body.lines}
        if body.lines is not None and units is not None and len(units) < len(body.lines):
            raise InvalidInput("A line is named twice.")
        parcel = orders.Parcel(body.carrier, body.tracking_number, body.tracking_url, units)
        now = call.services.clock()
        shipment_id = await orders.ship(tx, order_id, parcel, actor=call.actor.reference, now=now)
        shown = body.model_dump(mode="json", by_alias=True)
        await identity.record(tx, call.actor, "order.fulfil", "order", order_id, after=shown)
        return answer(Fulfilled(shipment_id=shipment_id, order=await _whole(tx, order_id)), 201)

    return await once(call, work)


def _channel(value: str | None) -> tuple[UUID | None, str | None]:
    """Return (connection id, None) or (None, channel key)."""
    if not value:
        return None, None
    try:
        return UUID(value), None
    except ValueError:
        return None, value.replace("\x00", "").lower()


def _moment(value: date | datetime | None, *, after: bool = False) -> datetime | None:
    """Return the moment that a date or time means, `after` it for an end that includes the day."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if after and value == date.max:
        return None
    day = value + timedelta(days=1) if after else value
    return datetime.combine(day, time(), UTC)


async def _whole(tx: Tx, order_id: UUID) -> OrderWhole:
    detail = await reading.order_detail(tx, order_id)
    currency = detail.row.currency
    return OrderWhole(
        **_row(detail.row),
        tax=text(detail.tax_minor, currency),
        shipping=text(detail.shipping_minor, currency),
        discount=text(detail.discount_minor, currency),
        buyer_email=detail.buyer_email,
        ship_to=detail.ship_to,
        fulfilled_by_channel=detail.fulfilled_by_channel,
        lines=[
            OrderLine(
                id=line.id, sku=line.sku, variant_id=line.variant_id, title=line.title, quantity=line.quantity,
                cancelled=line.cancelled, shipped=line.shipped, reserved=line.reserved, shortage=line.shortage,
                unit_price=text(line.unit_price_minor, currency), exception=line.exception,
            )
            for line in detail.lines
        ],
        shipments=[
            ShipmentView(
                id=each.id, carrier=each.carrier, tracking_number=each.tracking_number,
                tracking_url=each.tracking_url, shipped_at=each.shipped_at, state=each.push_state,
                detail=each.push_detail,
            )
            for each in detail.shipments
        ],
        events=[OrderEvent.model_validate(event) for event in detail.events],
    )  # fmt: skip


def _row(row: reading.OrderRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "number": row.number,
        "external_id": row.external_id,
        "channel": row.channel,
        "connection_id": row.connection_id,
        "connection": row.connection_name,
        "status": row.status,
        "channel_status": row.channel_status,
        "currency": row.currency,
        "total": text(row.total_minor, row.currency),
        "units": row.units,
        "buyer_name": row.buyer_name,
        "has_exception": row.has_exception,
        "has_shortage": row.has_shortage,
        "placed_at": row.placed_at,
        "received_at": row.received_at,
    }
