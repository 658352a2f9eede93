"""Orders: the list with its filters, and one order whole."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.fulfilment import reading as fulfilment
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.orders import reading as orders
from entrepot.orders.reading import OrderFilter
from entrepot.stock import reading as stock
from entrepot.sync import reading as sync
from entrepot.web import formats
from entrepot.web.services import PageServices
from entrepot.web.timeline import order_timeline
from entrepot.web.visit import Visit, page

PAGE_SIZE = 50


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of orders."""
    return [
        Route("/orders", page(services, listing, Scope.ORDERS_READ), methods=["GET"]),
        Route("/orders/{order_id}", page(services, detail, Scope.ORDERS_READ), methods=["GET"]),
    ]


async def listing(visit: Visit) -> Response:
    """The list."""
    chosen = _filter(visit)
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        found = await orders.list_orders(tx, chosen, cursor, PAGE_SIZE)
        count = await orders.count_orders(tx, chosen)
        trouble = await orders.count_orders(tx, OrderFilter(trouble=True))
        channels = await sync.connection_names(tx)
    parameters = {
        "status": chosen.status or "",
        "channel": visit.parameter("channel"),
        "trouble": "1" if chosen.trouble else "",
        "q": chosen.search,
        "from": visit.parameter("from"),
        "to": visit.parameter("to"),
    }
    return await visit.page(
        "orders.html",
        orders=found,
        count=count,
        trouble=trouble,
        channels=channels,
        statuses=orders.STATUSES,
        chosen=chosen,
        parameters=parameters,
        is_filtered=any(parameters.values()),
        cursor=cursor,
    )


async def detail(visit: Visit) -> Response:
    """One order."""
    async with visit.transaction() as tx:
        order = await orders.order_detail(tx, visit.id_of("order_id"))
        movements = await stock.movements_about(
            tx,
            [line.variant_id for line in order.lines if line.variant_id],
            [line.id for line in order.lines],
            [event.id for event in order.events],
        )
        sent = await fulfilment.of_order(tx, order.row.id)
    goods = sum(line.unit_price_minor * (line.quantity - line.cancelled) for line in order.lines)
    without_tax = goods + order.shipping_minor - order.discount_minor
    return await visit.page(
        "order.html",
        order=order,
        sent=sent,
        entries=order_timeline(order.events, movements),
        tax_included=without_tax == order.row.total_minor,
    )


def _filter(visit: Visit) -> OrderFilter:
    status = visit.parameter("status") or None
    if status is not None and status not in orders.STATUSES:
        raise InvalidInput(f"{status!r} is not a status of an order.")
    channel = visit.parameter("channel")
    try:
        connection_id = UUID(channel) if channel else None
    except ValueError:
        raise InvalidInput("There is no such channel.") from None
    until = _day(visit, "to")
    return OrderFilter(
        status=status,
        connection_id=connection_id,
        trouble=visit.parameter("trouble") == "1",
        search=visit.parameter("q"),
        placed_from=_day(visit, "from"),
        placed_to=until + timedelta(days=1) if until else None,
    )


def _day(visit: Visit, name: str) -> datetime | None:
    """Return the start of a day in the organisation's time zone."""
    text = visit.parameter(name)
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("A date is written as 2026-11-20.") from None
    return datetime.combine(day, time.min, formats.zone(visit.organisation.timezone))
