"""A simulated marketplace: Selling Partner API with Login with Amazon.

Orders are polled and lag two minutes, quantities are absolute and come into effect a little later, singly or by feed,
and each operation has its own small token bucket. There are no signed webhooks.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot_sandbox.amazon import attributes, definitions, feeds, listings, orders, tokens, writing
from entrepot_sandbox.amazon.answers import FAULT_WORDS, error_answer, guarded, json_answer
from entrepot_sandbox.amazon.state import STORE_NAME, WRITES, State
from entrepot_sandbox.books import Order, Sale
from entrepot_sandbox.marketplace import Account, Desk, Operation
from entrepot_sandbox.sheets import Edit

PENDING_S, LONG_PENDING_S, LONG_PENDING_SHARE = 8.0, 240.0, 0.15
"""How long the payment of an order is outstanding, mostly and sometimes."""

_Answer = Callable[[State, Request], Awaitable[Response]]
_TABLE: tuple[tuple[str, str, str, _Answer], ...] = (
    ("GET", "/orders/2026-01-01/orders", "searchOrders", orders.search_orders),
    ("GET", "/orders/2026-01-01/orders/{order_id}", "getOrder", orders.get_order),
    ("POST", "/orders/v0/orders/{order_id}/shipmentConfirmation", "confirmShipment", orders.confirm_shipment),
    ("GET", "/listings/2021-08-01/items/{seller_id}", "searchListingsItems", listings.search_items),
    ("GET", "/listings/2021-08-01/items/{seller_id}/{sku:path}", "getListingsItem", listings.get_item),
    ("PATCH", "/listings/2021-08-01/items/{seller_id}/{sku:path}", "patchListingsItem", writing.patch_item),
    ("PUT", "/listings/2021-08-01/items/{seller_id}/{sku:path}", "putListingsItem", writing.put_item),
    ("DELETE", "/listings/2021-08-01/items/{seller_id}/{sku:path}", "deleteListingsItem", writing.delete_item),
    (
        "GET",
        "/definitions/2020-09-01/productTypes/{product_type}",
        "getDefinitionsProductType",
        definitions.get_definition,
    ),
    ("POST", "/feeds/2021-06-30/documents", "createFeedDocument", feeds.create_document),
    ("GET", "/feeds/2021-06-30/documents/{document_id}", "getFeedDocument", feeds.get_document),
    ("POST", "/feeds/2021-06-30/feeds", "createFeed", feeds.create_feed),
    ("GET", "/feeds/2021-06-30/feeds/{feed_id}", "getFeed", feeds.get_feed),
)
_PATTERNS = tuple(
    (method, re.compile(re.sub(r"\{\w+:path\}", ".+", re.sub(r"\{\w+\}", "[^/]+", path))), name)
    for method, path, name, _ in _TABLE
)


class Amazon:
    """The marketplace as the sandbox sees it."""

    key = "amazon"

    def __init__(self, desk: Desk) -> None:
        self.state = State(desk)
        for listing in self.state.shop.listings.values():
            listing.sheet = attributes.opening_sheet(self.state, listing)
        self._chance = desk.random("payments")

    def routes(self) -> Sequence[BaseRoute]:
        """Return the token endpoint, the operations, and where feed documents are put and fetched."""
        state = self.state
        place = guarded(state, "getMarketplaceParticipations", self._participations)
        return [
            Route("/auth/o2/token", partial(tokens.token, state), methods=["POST"]),
            Route("/sellers/v1/marketplaceParticipations", place, methods=["GET"]),
            Route("/schemas/{product_type}/{requirements}", partial(definitions.get_schema, state), methods=["GET"]),
            Route("/tortuga/{document_id}", partial(feeds.upload, state), methods=["PUT"]),
            Route("/tortuga/{document_id}", partial(feeds.download, state), methods=["GET"]),
            *(
                Route(path, guarded(state, name, partial(answer, state)), methods=[method])
                for method, path, name, answer in _TABLE
            ),
        ]

    def accounts(self) -> Sequence[Account]:
        """Return the seller with the application's credentials."""
        state = self.state
        return [
            Account(
                channel=self.key,
                name=STORE_NAME,
                settings={"seller_id": state.seller_id, "marketplace_id": state.place.id},
                credentials={
                    "client_id": state.client_id,
                    "client_secret": state.client_secret,
                    "refresh_token": state.refresh_token,
                },
            )
        ]

    def operation(self, method: str, path: str) -> Operation:
        """Return the operation's name in the official models."""
        for expected, pattern, name in _PATTERNS:
            if method == expected and pattern.fullmatch(path):
                return Operation(name, writes_quantity=name in WRITES)
        if path.startswith("/tortuga/"):
            return Operation("uploadFeedDocument" if method == "PUT" else "downloadFeedDocument", method == "PUT")
        return Operation("token" if path == "/auth/o2/token" else path.rpartition("/")[2] or "unknown")

    def fault_answer(self, status: int, retry_after_s: float) -> Response:
        """Return an error as the channel words it; it never says how long to wait."""
        code, message = FAULT_WORDS.get(status, FAULT_WORDS[500])
        return error_answer(status, code, message)

    def place_order(self, sale: Sale) -> Order | None:
        """Sell if every listing shows enough; the order is pending at first."""
        state = self.state
        serial = len(state.shop.orders) + 1
        order_id = f"302-{serial * 7_919 % 10_000_000:07d}-{serial:07d}"
        first_line = 10_000_000_000_000 + serial * 1_000
        order = state.shop.sell(sale, order_id, [str(first_line + index) for index in range(len(sale.lines))])
        if order is None:
            return None
        order.extra[orders.PENDING] = "yes"
        is_long = self._chance.random() < LONG_PENDING_SHARE
        state.desk.spawn(self._pay(order, LONG_PENDING_S if is_long else PENDING_S))
        return order

    async def _pay(self, order: Order, after_s: float) -> None:
        await self.state.desk.sleep(after_s)
        del order.extra[orders.PENDING]
        if not order.is_cancelled:
            self.state.shop.touch(order)

    def cancel_order(self, order_id: str, units: Mapping[str, int] | None = None) -> int:
        """Cancel open units for the buyer; they are on offer again at once."""
        order = self.state.shop.orders.get(order_id)
        return self.state.shop.cancel(order, units, restock=True) if order else 0

    def edit_listing(self, edit: Edit) -> bool:
        """Change, close or delete a listing in Seller Central; there are no webhooks."""
        listing = self.state.shop.by_sku.get(edit.sku)
        if listing is None:
            return False
        writing.edit(self.state, edit, listing)
        return True

    async def _participations(self, _request: Request) -> Response:
        place = self.state.place
        marketplace = {
            "id": place.id,
            "name": place.name,
            "countryCode": place.country,
            "defaultCurrencyCode": place.currency,
            "defaultLanguageCode": place.language,
            "domainName": place.domain,
        }
        participation = {"isParticipating": True, "hasSuspendedListings": False}
        entry = {"marketplace": marketplace, "participation": participation, "storeName": STORE_NAME}
        return json_answer({"payload": [entry]})


def create(desk: Desk) -> Amazon:
    """Open the marketplace."""
    return Amazon(desk)
