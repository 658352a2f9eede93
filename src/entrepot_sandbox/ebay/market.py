"""The simulated eBay as the sandbox sees it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot_sandbox.books import Order, Sale
from entrepot_sandbox.ebay import account, inventory, oauth, offers, orders
from entrepot_sandbox.ebay.answers import body_of, fault, guarded
from entrepot_sandbox.ebay.finances import Ledger
from entrepot_sandbox.ebay.notifications import Notifications
from entrepot_sandbox.ebay.state import APPLICATION, USER, State, money
from entrepot_sandbox.marketplace import Account, Desk, Operation
from entrepot_sandbox.sheets import Edit, apply

PAYING_S, PAYING_SHARE = 20.0, 0.1
"""How long the payment of some orders is outstanding."""
ALERT_EMAIL = "alerts@example.com"

_Answer = Callable[[State, Request], Awaitable[Response]]
_Row = tuple[str, str, str, str, str, _Answer]
_TREE_OF = "/get_default_category_tree_id"
_SELL, _FULFIL, _NOTE = "/sell/inventory/v1", "/sell/fulfillment/v1", "/commerce/notification/v1"


_SELL_ROWS = (
    ("GET", "/inventory_item", "getInventoryItems", inventory.get_items),
    ("POST", "/bulk_get_inventory_item", "bulkGetInventoryItem", inventory.bulk_get),
    ("GET", "/inventory_item/{sku:path}", "getInventoryItem", inventory.get_item),
    ("PUT", "/inventory_item/{sku:path}", "createOrReplaceInventoryItem", inventory.put_item),
    ("DELETE", "/inventory_item/{sku:path}", "deleteInventoryItem", inventory.delete_item),
    ("GET", "/inventory_item_group/{key}", "getInventoryItemGroup", inventory.get_group),
    ("PUT", "/inventory_item_group/{key}", "createOrReplaceInventoryItemGroup", inventory.put_group),
    ("DELETE", "/inventory_item_group/{key}", "deleteInventoryItemGroup", inventory.delete_group),
    ("POST", "/bulk_update_price_quantity", "bulkUpdatePriceQuantity", offers.bulk_update),
    ("POST", "/offer/publish_by_inventory_item_group", "publishOfferByInventoryItemGroup", offers.publish_group),
    ("POST", "/offer/withdraw_by_inventory_item_group", "withdrawOfferByInventoryItemGroup", offers.withdraw_group),
    ("GET", "/offer", "getOffers", offers.get_offers),
    ("POST", "/offer", "createOffer", offers.create_offer),
    ("PUT", "/offer/{offer_id}", "updateOffer", offers.update_offer),
    ("DELETE", "/offer/{offer_id}", "deleteOffer", offers.delete_offer),
    ("POST", "/offer/{offer_id}/publish", "publishOffer", offers.publish),
    ("POST", "/offer/{offer_id}/withdraw", "withdrawOffer", offers.withdraw),
    ("GET", "/location", "getInventoryLocations", account.get_locations),
)
"""Operations of the Inventory API: method, path, name, handler."""


class Ebay:
    """One seller on one marketplace."""

    key = "ebay"

    def __init__(self, desk: Desk) -> None:
        self.state = State(desk)
        self.ledger = Ledger(self.state)
        self.notifications = Notifications(self.state)
        self._chance = desk.random("payments")
        self._table = self._rows()
        self._patterns = [
            (method, re.compile(re.sub(r"\{\w+:path\}", ".+", re.sub(r"\{\w+\}", "[^/]+", path))), name)
            for method, path, name, *_ in self._table
        ]

    # ---- what the sandbox asks -----------------------------------------------------------------------------

    def routes(self) -> Sequence[BaseRoute]:
        """Return the token service and every operation behind its token and quota."""
        state = self.state
        return [
            Route("/oauth2/authorize", partial(oauth.consent, state), methods=["GET"]),
            Route("/identity/v1/oauth2/token", partial(oauth.token, state), methods=["POST"]),
            *(
                Route(path, guarded(state, api, audience, answer), methods=[method])
                for method, path, _, api, audience, answer in self._table
            ),
        ]

    def accounts(self) -> Sequence[Account]:
        """Return the seller with the application's keys."""
        state = self.state
        return [
            Account(
                channel=self.key,
                name="Simulated eBay",
                settings={"marketplace_id": state.place.id, "alert_email": ALERT_EMAIL},
                credentials={
                    "client_id": state.client_id,
                    "client_secret": state.client_secret,
                    "refresh_token": state.refresh_token,
                },
            )
        ]

    def operation(self, method: str, path: str) -> Operation:
        """Return the operation's name in eBay's documents."""
        for expected, pattern, name in self._patterns:
            if method == expected and pattern.fullmatch(path):
                return Operation(name, writes_quantity=name == "bulkUpdatePriceQuantity")
        return Operation("token" if path.endswith("/oauth2/token") else "unknown")

    def fault_answer(self, status: int, retry_after_s: float) -> Response:
        """Return an error as the channel words it; it never says how long to wait."""
        return fault(status)

    def place_order(self, sale: Sale) -> Order | None:
        """Sell if every listing shows enough; most orders are paid at once, and then subscribers are told."""
        state = self.state
        serial = len(state.shop.orders) + 1
        order_id = f"{serial % 90 + 10:02d}-{serial * 7_919 % 100_000:05d}-{serial:05d}"
        first = 10_000_000_000_000 + serial * 1_000
        order = state.shop.sell(sale, order_id, [str(first + index) for index in range(len(sale.lines))])
        if order is None:
            return None
        for line in order.lines:
            state.moved(line.listing, -line.quantity)
            offer = state.offers.get(state.offer_of.get(line.listing.sku, ""))
            if offer is not None:
                offer.sold += line.quantity
                order.extra[f"listing {line.id}"] = offer.listing_id
        if self._chance.random() < PAYING_SHARE:
            order.extra[orders.PAYING] = "yes"
            state.desk.spawn(self._pay(order))
        else:
            self._paid(order)
        return order

    async def _pay(self, order: Order) -> None:
        await self.state.desk.sleep(PAYING_S)
        if order.extra.pop(orders.PAYING, None) and not order.is_cancelled:
            self.state.shop.touch(order)
            self._paid(order)

    def _paid(self, order: Order) -> None:
        self.ledger.sale(order)
        for line in order.lines:
            data = {"orderId": order.id, "lineItems": [{"orderId": order.id, "lineItemId": line.id}]}
            self.notifications.publish("ORDER_CONFIRMATION", data, ((order.id, order.version),))

    def cancel_order(self, order_id: str, units: Mapping[str, int] | None = None) -> int:
        """Cancel the order whole, or not at all: the channel knows no other way. Its units are on offer again."""
        order = self.state.shop.orders.get(order_id)
        if order is None or any(line.shipped for line in order.lines):
            return 0
        if units is not None and any(units.get(line.id, 0) < line.open for line in order.lines):
            return 0
        was_paid = order.extra.pop(orders.PAYING, None) is None
        gone = {line.id: line.open for line in order.lines}
        total = self.state.shop.cancel(order, None, restock=True)
        for line in order.lines:
            self.state.moved(line.listing, gone[line.id])
        if total and was_paid:
            self.ledger.refund(order, sum((line.unit_price * line.quantity for line in order.lines), Decimal(0)))
        return total

    def edit_listing(self, edit: Edit) -> bool:
        """Change, withdraw or delete a listing in the Seller Hub; nobody is told."""
        state = self.state
        listing = state.shop.by_sku.get(edit.sku)
        offer = state.offers.get(state.offer_of.get(edit.sku, ""))
        if listing is None or offer is None or listing.sheet is None:
            return False
        if edit.deleted:
            state.delete_offer(offer)
            state.items.pop(edit.sku, None)
            return True
        apply(edit, listing, listing.sheet, state.desk.now())
        item = state.items[edit.sku]
        product = item.body.setdefault("product", {})
        if edit.title is not None:
            product["title"] = edit.title
            for key in item.groups:
                state.groups[key]["title"] = edit.title
        if edit.description_html is not None:
            offer.body["listingDescription"] = edit.description_html
        if edit.vendor is not None:
            product["brand"] = edit.vendor
        if edit.price is not None:
            offer.body.setdefault("pricingSummary", {})["price"] = money(edit.price, state.place.currency)
        if edit.barcode is not None:
            product["ean"] = [edit.barcode]
        if edit.shown is not None:
            state.publish(offer) if edit.shown else state.withdraw(offer)
        state.refresh(edit.sku)
        return True

    # ---- operations --------------------------------------------------------------------------------------

    async def _create_parcel(self, state: State, request: Request) -> Response:
        order = orders.order_of(state, request)
        parcel = orders.create_parcel(state, order, await body_of(request))
        data = {"orderId": order.id, "lineItems": [{"orderId": order.id, "lineItemId": each} for each in parcel.lines]}
        self.notifications.publish("ITEM_MARKED_SHIPPED", data, ((order.id, order.version),))
        return Response(b"{}", 201, {"location": f"{request.url.path}/{parcel.id}"}, "application/json")

    async def _search(self, state: State, request: Request) -> Response:
        return await orders.search(state, self.ledger, request)

    async def _refund(self, state: State, request: Request) -> Response:
        return await orders.issue_refund(state, self.ledger, request)

    def _rows(self) -> list[_Row]:
        """Return every operation: method, path, name, API (for the quota), whose token, handler."""
        notes, ledger = self.notifications, self.ledger
        fulfil = [
            ("GET", "/order", "getOrders", self._search),
            ("GET", "/order/{order_id}/shipping_fulfillment", "getShippingFulfillments", orders.get_parcels),
            ("POST", "/order/{order_id}/shipping_fulfillment", "createShippingFulfillment", self._create_parcel),
            ("POST", "/order/{order_id}/issue_refund", "issueRefund", self._refund),
        ]
        of_app = [
            ("GET", "/public_key/{key_id}", "getPublicKey", notes.get_public_key),
            ("PUT", "/config", "updateConfig", notes.put_config),
            ("GET", "/destination", "getDestinations", notes.get_destinations),
            ("POST", "/destination", "createDestination", notes.create_destination),
            ("PUT", "/destination/{destination_id}", "updateDestination", notes.update_destination),
            ("DELETE", "/destination/{destination_id}", "deleteDestination", notes.delete_destination),
        ]
        of_user = [
            ("GET", "/subscription", "getSubscriptions", notes.get_subscriptions),
            ("POST", "/subscription", "createSubscription", notes.create_subscription),
            ("PUT", "/subscription/{subscription_id}", "updateSubscription", notes.update_subscription),
            ("DELETE", "/subscription/{subscription_id}", "deleteSubscription", notes.delete_subscription),
        ]
        tree = "/commerce/taxonomy/v1"
        finances = "/sell/finances/v1"
        rows: list[_Row] = []
        rows += [(method, _SELL + path, name, "inventory", USER, answer) for method, path, name, answer in _SELL_ROWS]
        rows += [(method, _FULFIL + path, name, "fulfillment", USER, answer) for method, path, name, answer in fulfil]
        rows += [
            (method, _NOTE + path, name, "notification", APPLICATION, answer) for method, path, name, answer in of_app
        ]
        rows += [(method, _NOTE + path, name, "notification", USER, answer) for method, path, name, answer in of_user]
        rows += [
            ("GET", finances + "/transaction", "getTransactions", "finances", USER, ledger.get_transactions),
            ("GET", finances + "/payout", "getPayouts", "finances", USER, ledger.get_payouts),
            ("GET", "/sell/account/v1/{kind}_policy", "getPolicies", "account", USER, account.get_policies),
            (
                "GET",
                tree + "/get_default_category_tree_id",
                "getDefaultCategoryTreeId",
                "taxonomy",
                APPLICATION,
                account.get_tree,
            ),
            (
                "GET",
                tree + "/category_tree/{tree_id}/get_item_aspects_for_category",
                "getItemAspectsForCategory",
                "taxonomy",
                APPLICATION,
                account.get_aspects,
            ),
            ("GET", "/developer/analytics/v1_beta/user_rate_limit/", "getUserRateLimits", "", USER, account.get_quotas),
        ]
        return rows
