"""Square: sales in shops and online, catalog, stock by adjustment, webhooks. Quirks: README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

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
    Manifest,
    Page,
    PriceBatch,
    PriceReceipt,
    PushReceipt,
    QuantityBatch,
    Reply,
    ReportedQuantity,
    RequestRejected,
    UnexpectedAnswer,
    WebhookEvent,
)
from entrepot.channels.replies import date_of, parse_time
from entrepot.connectors.square import calls, fulfilment, prices, products, stock, webhooks
from entrepot.connectors.square.errors import error_of
from entrepot.connectors.square.listings import listings_of, with_quantities
from entrepot.connectors.square.manifest import API_VERSION, MANIFEST
from entrepot.connectors.square.orders import order_of
from entrepot.connectors.square.reading import body_of, inner, objects, optional_text, text

ORDERS_OVERLAP = timedelta(seconds=30)
"""How far a pull reaches back before the last change seen: Square's search may show a change a little late."""
ORDERS_SETTLE = timedelta(seconds=5)
"""How old a change must be for a search to be trusted to show it."""


class _Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`since`: where this pull starts; `seen`: the latest change seen; `page`: Square's cursor inside the pull."""

    since: str | None
    seen: str | None
    page: str | None


class SquareConnector:
    """Speaks Square's API."""

    @property
    def manifest(self) -> Manifest:
        """What Square is."""
        return MANIFEST

    def authorise(self, call: Call, credentials: Credentials, at: datetime) -> Call:
        """Add the bearer token and the API version; never to another host."""
        if call.absolute_url is not None:
            return call
        signed = {"authorization": f"Bearer {credentials.get('access_token', '')}", "square-version": API_VERSION}
        return replace(call, headers={**call.headers, **signed})

    def classify(self, reply: Reply) -> ConnectorError | None:
        """Return the error in the answer, in plain words."""
        return error_of(reply)

    def read_limits(self, call: Call, reply: Reply) -> tuple[LimitReading, ...]:
        """Square says nothing of its limits."""
        return ()

    async def check(self, api: Api) -> CheckReport:
        """Look at the location, an order and a count: the token must be allowed all three."""
        location_id = api.settings.get("location_id", "")
        try:
            found = inner(body_of(await api.send(calls.retrieve_location(location_id))), "location")
            name, status = text(found, "name"), text(found, "status")
            await api.send(calls.search_orders(location_id, None, None, limit=1))
            await api.send(calls.retrieve_counts(location_id, None, None, limit=1))
        except RequestRejected as error:
            if error.code in ("NOT_FOUND", "404"):
                return CheckReport(False, f"The token works, but Square knows no location {location_id} for it.")
            return CheckReport(False, f"Square refuses the test: {error.detail}")
        except ConnectorError as error:
            return CheckReport(False, error.detail)
        if status != "ACTIVE":
            return CheckReport(False, f"The location {name} is switched off at Square.", account=name)
        business = optional_text(found, "business_name")
        details = [f"Location {name}"] + ([f"Currency {found['currency']}"] if found.get("currency") else [])
        return CheckReport(True, f"Connected to {business or name}.", account=business or name, details=tuple(details))

    async def pull_orders(self, api: Api, cursor: str | None) -> Page[ChannelOrder]:
        """Return a page of orders of the location, by time of change."""
        at = _cursor(cursor, api.settings.get("orders_since", ""))
        location_id = api.settings["location_id"]
        since = None if at.since is None else parse_time(at.since)
        reply = await api.send(calls.search_orders(location_id, since, at.page))
        body = body_of(reply)
        payloads = objects(body, "orders")
        changed = [parse_time(text(each, "updated_at")) for each in payloads]
        seen = max([*changed, *([parse_time(at.seen)] if at.seen else [])], default=None)
        page = optional_text(body, "cursor") or None
        following = _Cursor(at.since, _iso(seen), page)
        if page is None:
            start = since if seen is None else max(seen - ORDERS_OVERLAP, since or seen - ORDERS_OVERLAP)
            following = _Cursor(_iso(start), _iso(seen), None)
        now = date_of(reply)
        return Page(
            items=tuple(order for each in payloads if (order := order_of(each, location_id)) is not None),
            cursor=msgspec.json.encode(following).decode(),
            more=page is not None,
            complete_until=now - ORDERS_SETTLE if page is None and now is not None else None,
        )

    async def fetch_orders(self, api: Api, external_ids: Sequence[str]) -> tuple[ChannelOrder, ...]:
        """Return these orders; unknown ones, drafts and those of other locations are left out."""
        location_id = api.settings["location_id"]
        found: list[ChannelOrder] = []
        for start in range(0, len(external_ids), calls.ORDERS_MAX):
            part = external_ids[start : start + calls.ORDERS_MAX]
            body = body_of(await api.send(calls.retrieve_orders(location_id, part)))
            found += [order for each in objects(body, "orders") if (order := order_of(each, location_id)) is not None]
        return tuple(found)

    async def pull_listings(self, api: Api, cursor: str | None) -> Page[ChannelListing]:
        """Return the variations of a page of items, with their counts."""
        body = body_of(await api.send(calls.list_items(cursor)))
        listings = listings_of(objects(body, "objects"), api.settings["location_id"])
        counts = await stock.counts_at(api, [each.ref.keys["variation_id"] for each in listings])
        page = optional_text(body, "cursor") or None
        return Page(with_quantities(listings, counts), cursor=page, more=page is not None)

    async def push_quantities(self, api: Api, batch: QuantityBatch) -> PushReceipt:
        """Write the differences as stock adjustments."""
        return await stock.push(api, batch)

    async def read_quantities(self, api: Api, refs: Sequence[ListingRef]) -> tuple[ReportedQuantity, ...]:
        """Return the counts."""
        return await stock.read(api, refs)

    async def push_fulfilment(self, api: Api, fulfilment_: Fulfilment) -> str:
        """Tell of a parcel; return the uid of Square's fulfilment."""
        return await fulfilment.push(api, fulfilment_)

    async def push_listings(self, api: Api, batch: ListingBatch) -> ListingReceipt:
        """Make or change items."""
        return await products.push(api, batch)

    async def push_prices(self, api: Api, batch: PriceBatch) -> PriceReceipt:
        """Write prices where they still are what we believe."""
        return await prices.push(api, batch)

    async def end_listings(self, api: Api, batch: EndBatch) -> ListingReceipt:
        """Take items off the location, archive or delete them."""
        return await products.end(api, batch)

    async def read_listings(self, api: Api, product_ids: Sequence[str]) -> tuple[ChannelListing, ...]:
        """Return the items' variations."""
        return await products.read(api, product_ids)

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], url: str, secret: str) -> bool:
        """Return whether Square signed the delivery with our key."""
        return webhooks.signed(body, headers, url, secret)

    def webhook_event_id(self, body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
        """Return (event id, topic)."""
        return webhooks.event_id_of(body)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> WebhookEvent:
        """Return the event."""
        return webhooks.event_of(body)

    async def subscribe_webhooks(self, api: Api, url: str) -> Mapping[str, str]:
        """Subscribe; return the signature key."""
        return await webhooks.subscribe(api, url)

    async def unsubscribe_webhooks(self, api: Api, url: str) -> None:
        """Unsubscribe."""
        await webhooks.unsubscribe(api, url)


def _cursor(cursor: str | None, orders_since: str) -> _Cursor:
    if cursor is None:
        return _Cursor(orders_since or None, None, None)
    try:
        return msgspec.json.decode(cursor, type=_Cursor)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer("The stored place in Square's orders cannot be read: start the import over.") from error


def _iso(time: Any) -> str | None:
    return time.isoformat() if isinstance(time, datetime) else None


CONNECTOR = SquareConnector()
