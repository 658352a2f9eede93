"""Amazon (Selling Partner API): orders by polling, listings, quantities one by one or by feed. Quirks: README.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from entrepot.channels.contract import (
    Api,
    Call,
    ChannelListing,
    ChannelOrder,
    CheckReport,
    ConnectorError,
    Credentials,
    EndBatch,
    Fulfilment,
    LimitReading,
    ListingBatch,
    ListingReceipt,
    ListingRef,
    ListingResult,
    ListingRules,
    Manifest,
    Page,
    Payload,
    PriceBatch,
    PriceReceipt,
    PriceResult,
    PushReceipt,
    PushResult,
    QuantityBatch,
    Reply,
    ReportedQuantity,
    RequestRejected,
    Token,
    UnexpectedAnswer,
)
from entrepot.channels.replies import date_of, parse_time
from entrepot.connectors.amazon import calls, definitions, feeds, fulfilment, prices, products, stock
from entrepot.connectors.amazon.errors import AmazonRejected, error_of
from entrepot.connectors.amazon.listings import created_of, is_parent, listing_of
from entrepot.connectors.amazon.manifest import MANIFEST, RATE_OF
from entrepot.connectors.amazon.orders import marketplace_of, order_of
from entrepot.connectors.amazon.reading import body_of, inner, objects, optional_text, text, whole

ORDERS_OVERLAP = timedelta(seconds=30)
"""How far a pull reaches back before what Amazon says that it has covered."""
ORDERS_BEGINNING = datetime(2016, 1, 1, tzinfo=UTC)
"""Amazon tells of no older order anywhere."""
USER_AGENT = "Entrepot/1.0 (Language=Python)"
_LIMIT_HEADER = "x-amzn-ratelimit-limit"


class _OrderCursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the two searches are, which take turns: `by` creation finds every sale, `by` change what became of it.

    `created`, `changed`: where the next search of the kind starts; `page`: Amazon's token inside this one; `until`: what
    it has covered.
    """

    by: Literal["created", "changed"]
    created: str
    changed: str
    page: str | None = None
    until: str | None = None


class _ListingCursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`page`: Amazon's token; `after`: the window's start; `seen`, `last`: its listings, when the last was made."""

    page: str | None
    after: str | None
    seen: int
    last: str


class AmazonConnector:
    """Speaks Amazon's Selling Partner API."""

    @property
    def manifest(self) -> Manifest:
        """What Amazon is."""
        return MANIFEST

    def authorise(self, call: Call, credentials: Credentials, at: datetime) -> Call:
        """Add the access token for the API itself; the token service and document addresses get none."""
        if call.absolute_url is not None:
            return call
        signed = {"user-agent": USER_AGENT}
        if call.base == "api":
            signed["x-amz-access-token"] = credentials.get("access_token", "")
        return replace(call, headers={**call.headers, **signed})

    def classify(self, reply: Reply) -> ConnectorError | None:
        """Return the error in the answer, in plain words."""
        return error_of(reply)

    def read_limits(self, call: Call, reply: Reply) -> tuple[LimitReading, ...]:
        """Return the rate that Amazon grants this operation."""
        if call.operation not in RATE_OF:
            return ()
        try:
            rate = float(reply.headers.get(_LIMIT_HEADER, ""))
        except ValueError:
            return ()
        return (LimitReading(call.operation, refill_per_s=rate),) if 0 < rate < 1e6 else ()

    async def refresh_token(self, api: Api, credentials: Credentials) -> Token:
        """Exchange the refresh token; the hour of its life counts from Amazon's own clock."""
        reply = await api.send(calls.token(credentials))
        body, now = body_of(reply), date_of(reply)
        lifetime_s = whole(body, "expires_in")
        if now is None or lifetime_s is None:
            raise UnexpectedAnswer("Amazon does not say when the access token ends")
        rotated = optional_text(body, "refresh_token")
        changed = {"refresh_token": rotated} if rotated and rotated != credentials.get("refresh_token") else {}
        return Token(text(body, "access_token"), now + timedelta(seconds=lifetime_s), changed)

    async def check(self, api: Api) -> CheckReport:
        """Look at the seller's marketplaces and at one listing."""
        marketplace_id, seller_id = api.settings.get("marketplace_id", ""), api.settings.get("seller_id", "")
        try:
            found = objects(body_of(await api.send(calls.participations())), "payload")
            ours = next((each for each in found if inner(each, "marketplace").get("id") == marketplace_id), None)
            if ours is None:
                names = ", ".join(optional_text(inner(each, "marketplace"), "id") for each in found[:10]) or "none"
                summary = f"The seller does not sell in marketplace {marketplace_id}; those of the account: {names}."
                return CheckReport(False, summary)
            listed = body_of(await api.send(calls.search_listings(seller_id, marketplace_id, None, None, page_size=1)))
            count = whole(listed, "numberOfResults")
        except RequestRejected as error:
            return CheckReport(False, f"Amazon refuses the test: {error.detail}")
        except ConnectorError as error:
            return CheckReport(False, error.detail)
        place, part = inner(ours, "marketplace"), inner(ours, "participation")
        name = optional_text(place, "name") or marketplace_id
        if part.get("isParticipating") is not True:
            return CheckReport(False, f"The seller's account does not take part in {name}.", account=name)
        details = [f"{count or 0} listings", f"Currency {optional_text(place, 'defaultCurrencyCode')}"]
        if part.get("hasSuspendedListings") is True:
            details.append("Listings are suspended at the moment")
        store = optional_text(ours, "storeName") or seller_id
        return CheckReport(True, f"Connected to {store} on {name}.", account=store, details=tuple(details))

    async def pull_orders(self, api: Api, cursor: str | None) -> Page[ChannelOrder]:
        """Return a page of orders; the next pull starts where Amazon says that it has covered all.

        A search by change misses an order that changes again until it has come to that change, so only one by creation
        tells that every sale is known.
        """
        at = _order_cursor(cursor, api.settings.get("orders_since", ""))
        since = parse_time(at.created if at.by == "created" else at.changed)
        marketplace_id = api.settings["marketplace_id"]
        try:
            reply = await api.send(calls.search_orders(marketplace_id, at.by, since, at.page))
        except AmazonRejected as error:
            if at.page is None or error.status != 400:
                raise
            # A page token lives 24 hours: after a long stop the pull begins anew, nothing is left out.
            reply = await api.send(calls.search_orders(marketplace_id, at.by, since, None))
        body = body_of(reply)
        told = optional_text(body, "createdBefore" if at.by == "created" else "lastUpdatedBefore")
        until = min((parse_time(each) for each in (at.until, told) if each), default=None)
        page = optional_text(inner(body, "pagination"), "nextToken") or None
        return Page(
            items=tuple(order_of(each) for each in objects(body, "orders")),
            cursor=msgspec.json.encode(_after_orders(at, since, page, until)).decode(),
            more=page is not None,
            complete_until=until if page is None and at.by == "created" else None,
        )

    async def fetch_orders(self, api: Api, external_ids: Sequence[str]) -> tuple[ChannelOrder, ...]:
        """Return these orders, one call each; unknown ones and those of other marketplaces are left out."""
        found = []
        for order_id in external_ids:
            try:
                order = inner(body_of(await api.send(calls.get_order(order_id))), "order")
            except AmazonRejected as error:
                if error.status != stock.NOT_FOUND:
                    raise
                continue
            if marketplace_of(order) in ("", api.settings["marketplace_id"]):
                found.append(order_of(order))
        return tuple(found)

    async def pull_listings(self, api: Api, cursor: str | None) -> Page[ChannelListing]:
        """Return a page of listings. Amazon pages through 1,000 at most: then a window of later ones follows."""
        seller_id, marketplace_id = api.settings["seller_id"], api.settings["marketplace_id"]
        at = _listing_cursor(cursor)
        body = body_of(await api.send(calls.search_listings(seller_id, marketplace_id, at.page, at.after)))
        items = objects(body, "items")
        following = _after_page(at, body, created_of(items[-1], marketplace_id) if items else at.last)
        return Page(
            items=tuple(listing_of(each, marketplace_id) for each in items if not is_parent(each)),
            cursor=msgspec.json.encode(following).decode() if following else None,
            more=following is not None,
        )

    async def push_quantities(self, api: Api, batch: QuantityBatch) -> PushReceipt:
        """Write a few quantities at once, many by feed."""
        return await stock.push(api, batch)

    async def follow_push(self, api: Api, handle: str) -> tuple[PushResult, ...] | None:
        """Return the end of a feed."""
        return await feeds.follow(api, handle)

    async def read_quantities(self, api: Api, refs: Sequence[ListingRef]) -> tuple[ReportedQuantity, ...]:
        """Return what the listings show."""
        return await stock.read(api, refs)

    async def push_listings(self, api: Api, batch: ListingBatch) -> ListingReceipt:
        """Make or change listings, a few at once, many by feed."""
        return await products.push(api, batch)

    async def follow_listings(self, api: Api, handle: str) -> tuple[ListingResult, ...] | None:
        """Return the end of a feed of listings."""
        return await products.follow(api, handle)

    async def preview_listings(self, api: Api, batch: ListingBatch) -> tuple[ListingResult, ...]:
        """Ask Amazon what it would say."""
        return await products.preview(api, batch)

    async def push_prices(self, api: Api, batch: PriceBatch) -> PriceReceipt:
        """Write a few prices at once, many by feed."""
        return await prices.push(api, batch)

    async def follow_prices(self, api: Api, handle: str) -> tuple[PriceResult, ...] | None:
        """Return the end of a feed of prices."""
        return await prices.follow(api, handle)

    async def end_listings(self, api: Api, batch: EndBatch) -> ListingReceipt:
        """Close offers or delete listings."""
        return await products.end(api, batch)

    async def read_listings(self, api: Api, product_ids: Sequence[str]) -> tuple[ChannelListing, ...]:
        """Return listings whole."""
        return await products.read(api, product_ids)

    async def read_listing_rules(self, api: Api, category: str) -> ListingRules:
        """Return what a product type requires."""
        return await definitions.read(api, category)

    async def push_fulfilment(self, api: Api, fulfilment_: Fulfilment) -> str:
        """Confirm a parcel; return Amazon's package reference."""
        return await fulfilment.push(api, fulfilment_)


def _order_cursor(cursor: str | None, orders_since: str) -> _OrderCursor:
    if cursor is None:
        return _OrderCursor("created", orders_since or ORDERS_BEGINNING.isoformat(), orders_since)
    try:
        return msgspec.json.decode(cursor, type=_OrderCursor)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer("The stored place in Amazon's orders cannot be read: start the import over.") from error


def _after_orders(at: _OrderCursor, since: datetime, page: str | None, until: datetime | None) -> _OrderCursor:
    """Return where to go on: the next page, or else the other search's turn."""
    if page is not None:
        return msgspec.structs.replace(at, page=page, until=until.isoformat() if until else None)
    start = (since if until is None else max(until - ORDERS_OVERLAP, since)).isoformat()
    if at.by == "changed":
        return _OrderCursor("created", at.created, start)
    # With no time given, every order is found by its creation, and changes count from then on.
    return _OrderCursor("changed", start, at.changed or start)


def _listing_cursor(cursor: str | None) -> _ListingCursor:
    if cursor is None:
        return _ListingCursor(None, None, 0, "")
    try:
        return msgspec.json.decode(cursor, type=_ListingCursor)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer("The stored place in Amazon's listings cannot be read.") from error


def _after_page(at: _ListingCursor, body: Payload, last: str) -> _ListingCursor | None:
    """Return where to go on, or None at the end. Raises UnexpectedAnswer if a window cannot be left."""
    seen = at.seen + len(objects(body, "items"))
    page = optional_text(inner(body, "pagination"), "nextToken") or None
    if page is not None:
        return _ListingCursor(page, at.after, seen, last)
    if (whole(body, "numberOfResults") or 0) <= seen:
        return None
    if not last or last == at.after or not objects(body, "items"):
        raise UnexpectedAnswer("Amazon does not show all listings: too many were made in the same moment")
    return _ListingCursor(None, last, 0, last)


CONNECTOR = AmazonConnector()
