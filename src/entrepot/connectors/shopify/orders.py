"""Reading orders: page by page as they change, or by id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from entrepot.channels.contract import (
    Api,
    ChannelOrder,
    Page,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.channels.replies import date_of
from entrepot.connectors.shopify import mapping, queries, shapes
from entrepot.connectors.shopify.calls import ask

OVERLAP = timedelta(seconds=60)
"""How far each pull reaches back behind the last: the search index may show orders late and out of order."""

MARGIN = timedelta(seconds=10)
"""What lies less than this before the shop's own time may not be in the search index yet."""

DEPTH_MAX = 20_000
"""Orders after which a sweep starts anew from the latest: Shopify pages 25,000 objects deep at most."""

RESTARTS_MAX = 3


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the pull got.

    `since`: where the present sweep starts. `latest`: the latest updated_at seen. `after`, `depth`, `begun`: the
    page, the orders read and the shop's time at the first page of a sweep that is not at its end.
    """

    since: datetime | None = None
    latest: datetime | None = None
    after: str | None = None
    depth: int = 0
    begun: datetime | None = None


_cursors = msgspec.json.Decoder(Cursor)


async def pull(api: Api, cursor: str | None) -> Page[ChannelOrder]:
    """Return the next page of orders by time of change."""
    at = _read_cursor(cursor) if cursor is not None else Cursor(since=_since_setting(api.settings.get("orders_since")))
    variables = {"after": at.after, "query": _query(at.since)}
    data, reply = await ask(api, queries.ORDERS_PAGE, shapes.OrdersPage, variables)
    nodes, page_info = data.orders.nodes, data.orders.page_info
    orders = tuple([await _complete(api, node) for node in nodes])
    seen = [mapping.utc_of(node.updated_at) for node in nodes]
    latest = max(filter(None, [at.latest, at.since, *seen]), default=None)
    begun = at.begun or date_of(reply)
    if page_info.has_next_page and page_info.end_cursor and page_info.end_cursor != at.after:
        depth = at.depth + len(nodes)
        onwards = Cursor(at.since, latest, page_info.end_cursor, depth, begun)
        if depth >= DEPTH_MAX and latest is not None and (at.since is None or latest > at.since):
            onwards = Cursor(since=latest, latest=latest, begun=begun)
        return Page(orders, _write_cursor(onwards), more=True)
    # A cursor never goes back: the overlap reaches behind the latest order, but not behind the last sweep's start.
    reach = latest - OVERLAP if latest else None
    end = Cursor(since=max(filter(None, [at.since, reach]), default=None), latest=latest)
    return Page(orders, _write_cursor(end), more=False, complete_until=begun - MARGIN if begun else None)


async def fetch(api: Api, external_ids: Sequence[str]) -> tuple[ChannelOrder, ...]:
    """Return these orders as they are now; unknown ones are left out."""
    orders: list[ChannelOrder] = []
    ids = [mapping.gid_of("Order", each) for each in dict.fromkeys(external_ids) if each]
    for start in range(0, len(ids), queries.ORDERS_A_PAGE):
        some = ids[start : start + queries.ORDERS_A_PAGE]
        data, _ = await ask(api, queries.ORDERS_BY_ID, shapes.OrderNodes, {"ids": some})
        orders.extend([await _complete(api, node) for node in data.nodes if node is not None])
    return tuple(orders)


async def _complete(api: Api, order: shapes.Order) -> ChannelOrder:
    """Map an order, after reading what did not come with it; all parts are of one and the same state of the order."""
    whole: shapes.Order | None = order
    for _ in range(RESTARTS_MAX):
        if whole is None or mapping.lacks_lines(whole):
            whole = await _whole(api, order.id)
        if whole is None:
            continue
        if not mapping.lacks_moves(whole):
            return mapping.order_of_graphql(whole)
        moves, _ = await ask(api, queries.ORDER_MOVES, shapes.OrderMoves, {"id": order.id})
        if moves.order is not None and moves.order.updated_at == whole.updated_at:
            return mapping.order_of_graphql(whole, moves.order)
        whole = await _whole(api, order.id)
    raise TemporarilyUnavailable(f"Order {order.name} kept changing while it was read")


async def _whole(api: Api, gid: str) -> shapes.Order | None:
    """Return the order with all its lines, or None if it changed between the pages (or is gone)."""
    first, after, lines = None, None, list[shapes.LineItem]()
    while True:
        data, _ = await ask(api, queries.ORDER_WHOLE, shapes.OrderWhole, {"id": gid, "after": after})
        order = data.order
        if order is None or (first is not None and order.updated_at != first.updated_at):
            return None
        first = first or order
        lines.extend(order.line_items.nodes)
        info = order.line_items.page_info
        if not info.has_next_page or info.end_cursor is None or info.end_cursor == after:
            return msgspec.structs.replace(first, line_items=shapes.Connection(nodes=lines))
        after = info.end_cursor


def _query(since: datetime | None) -> str | None:
    return f"updated_at:>='{since.strftime('%Y-%m-%dT%H:%M:%SZ')}'" if since else None


def _since_setting(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise RequestRejected(f"The setting 'orders_since' is not a time such as 2026-01-31: {text!r}") from error
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _read_cursor(text: str) -> Cursor:
    try:
        cursor = _cursors.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnexpectedAnswer("The stored position in Shopify's orders cannot be read") from error
    if any(time is not None and time.tzinfo is None for time in (cursor.since, cursor.latest, cursor.begun)):
        raise UnexpectedAnswer("The stored position in Shopify's orders has a time without an offset")
    return cursor


def _write_cursor(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()
