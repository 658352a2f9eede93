"""Reading orders page by page: by creation, which finds every sale, and by change, which finds what became of it, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from entrepot.channels.contract import Api, ChannelOrder, Page, Payload, UnexpectedAnswer
from entrepot.channels.replies import date_of, parse_time
from entrepot.connectors.ebay import calls, quota
from entrepot.connectors.ebay.orders import order_of, parcels_needed, shipped_of
from entrepot.connectors.ebay.reading import body_of, objects, text, whole

ORDERS_OVERLAP = timedelta(seconds=30)
"""How far a pull reaches back before what it has covered: eBay's search may show an order a little late."""
ORDERS_SETTLE = timedelta(seconds=10)
"""How old an order must be for the search to be trusted to show it."""
ORDERS_BACK = timedelta(days=90)
"""How far back eBay tells of orders where no time is given."""


class _Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the two searches are, which take turns.

    `created`, `changed`: where the next search of the kind starts; `until`: the end of this one; `offset`: its next page;
    `total`: how many it had at the last page.
    """

    by: Literal["created", "changed"]
    created: str
    changed: str
    until: str | None = None
    offset: int = 0
    total: int | None = None


async def pull(api: Api, cursor: str | None) -> Page[ChannelOrder]:
    """Return a page of orders. Only a search by creation tells that every sale is known.

    A search begins without an end. If one page does not hold all, it goes on with an end, so that what changes meanwhile can
    only leave the interval, to be found by the next search.
    """
    at = _cursor(cursor, api.settings.get("orders_since", ""))
    start = at.created if at.by == "created" else at.changed
    since = parse_time(start) if start else None
    until = parse_time(at.until) if at.until else None
    field: Literal["creationdate", "lastmodifieddate"] = "creationdate" if at.by == "created" else "lastmodifieddate"
    reply = await quota.send(api, calls.search_orders(field, since, until, at.offset))
    body = body_of(reply)
    payloads = objects(body, "orders")
    now = date_of(reply)
    if until is None and now is None:
        raise UnexpectedAnswer("eBay's answer does not tell the time")
    covered = until or (now or datetime.now(UTC)) - ORDERS_SETTLE
    following = _after(at, body, len(payloads), since or covered - ORDERS_BACK, covered)
    is_last = following.by != at.by
    return Page(
        items=await _mapped(api, payloads),
        cursor=msgspec.json.encode(following).decode(),
        more=not is_last,
        complete_until=covered if is_last and at.by == "created" else None,
    )


async def fetch(api: Api, external_ids: Sequence[str]) -> tuple[ChannelOrder, ...]:
    """Return these orders; unknown ones and those without a line of our marketplace are left out."""
    found: list[ChannelOrder] = []
    for start in range(0, len(external_ids), calls.ORDERS_BY_ID):
        part = external_ids[start : start + calls.ORDERS_BY_ID]
        body = body_of(await quota.send(api, calls.orders_by_id(part)))
        found += await _mapped(api, objects(body, "orders"))
    return tuple(found)


async def _mapped(api: Api, payloads: Sequence[Payload]) -> tuple[ChannelOrder, ...]:
    marketplace_id = api.settings["marketplace_id"]
    found = []
    for each in payloads:
        shipped = None
        if parcels_needed(each):
            told = body_of(await quota.send(api, calls.parcels(text(each, "orderId"))))
            shipped = shipped_of(objects(told, "fulfillments"))
        order = order_of(each, marketplace_id, shipped)
        if order is not None:
            found.append(order)
    return tuple(found)


def _after(at: _Cursor, body: Payload, count: int, since: datetime, covered: datetime) -> _Cursor:
    """Return where to go on: the next page, the same again where orders left the interval, or the other search."""
    total = whole(body, "total") or 0
    if at.until is None and count < total:
        return _paged(at, since, covered, 0, None)
    gone = max(0, (at.total or 0) - total) if at.offset else 0
    if gone:
        # As many may have moved up past this page's beginning, unseen.
        return _paged(at, since, covered, max(0, at.offset - gone), total)
    if count and at.offset + count < total:
        return _paged(at, since, covered, at.offset + count, total)
    start = max(covered - ORDERS_OVERLAP, since).isoformat()
    if at.by == "changed":
        return _Cursor("created", at.created, start)
    # The first pull finds every order by its creation, and changes count from then on.
    return _Cursor("changed", start, at.changed or start)


def _paged(at: _Cursor, since: datetime, until: datetime, offset: int, total: int | None) -> _Cursor:
    start = {"created" if at.by == "created" else "changed": since.isoformat()}
    return msgspec.structs.replace(at, **start, until=until.isoformat(), offset=offset, total=total)


def _cursor(cursor: str | None, orders_since: str) -> _Cursor:
    if cursor is None:
        return _Cursor("created", orders_since, orders_since)
    try:
        return msgspec.json.decode(cursor, type=_Cursor)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer("The stored place in eBay's orders cannot be read: start the import over.") from error
