"""eBay's requests, built from values. Pure: each function returns the Call, nothing is sent here."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote, unquote, urlencode

import msgspec

from entrepot.channels.contract import Call, Credentials
from entrepot.connectors.ebay.manifest import APPLICATION_SCOPE, MARKETPLACES, SCOPES

ORDERS_PAGE = 100
ORDERS_BY_ID = 50
"""Most orders that can be asked for by id in one call."""
ITEMS_PAGE = 50
TRANSACTIONS_PAGE = 200
PAYOUTS_PAGE = 20
NOTIFICATIONS_PAGE = 100

_INVENTORY = "/sell/inventory/v1"
_FULFILMENT = "/sell/fulfillment/v1"
_FINANCES = "/sell/finances/v1"
_NOTIFICATION = "/commerce/notification/v1"
_TAXONOMY = "/commerce/taxonomy/v1"
_JSON = {"content-type": "application/json"}


# ---- tokens --------------------------------------------------------------------------------------------


def user_token(credentials: Credentials, ru_name: str) -> Call:
    """Exchange the refresh token, or a consent code where there is none yet, for an access token of the seller."""
    refresh = credentials.get("refresh_token", "")
    if refresh:
        form = {"grant_type": "refresh_token", "refresh_token": refresh, "scope": " ".join(SCOPES)}
        return _token("getUserToken", form, idempotent=True)
    code = unquote(credentials.get("authorization_code", ""))
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": ru_name}
    return _token("exchangeCode", form, idempotent=False)


def application_token() -> Call:
    """Get an access token of the application itself: for public keys, quotas, destinations and categories."""
    form = {"grant_type": "client_credentials", "scope": APPLICATION_SCOPE}
    return _token("getApplicationToken", form, idempotent=True)


def basic(credentials: Credentials) -> str:
    """Return what the token service wants to see of the application."""
    pair = f"{credentials.get('client_id', '')}:{credentials.get('client_secret', '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _token(operation: str, form: Mapping[str, str], *, idempotent: bool) -> Call:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = urlencode(form).encode()
    path = "/identity/v1/oauth2/token"
    return Call(operation, "POST", path, headers=headers, body=body, base="auth", idempotent=idempotent)


# ---- orders --------------------------------------------------------------------------------------------


def search_orders(
    by: Literal["creationdate", "lastmodifieddate"], since: datetime | None, until: datetime | None, offset: int
) -> Call:
    """Orders that were placed, or that changed, in an interval (both ends inclusive; no end: until now)."""
    query = [("limit", str(ORDERS_PAGE)), ("offset", str(offset))]
    if since is not None:
        end = iso8601(until) if until is not None else ""
        query.insert(0, ("filter", f"{by}:[{iso8601(since)}..{end}]"))
    return _get("getOrders", f"{_FULFILMENT}/order", *query)


def orders_by_id(order_ids: Sequence[str]) -> Call:
    """Up to ORDERS_BY_ID orders; unknown ones are left out."""
    return _get("getOrders", f"{_FULFILMENT}/order", ("orderIds", ",".join(order_ids)))


def newest_order() -> Call:
    """One order, to see whether they may be read."""
    return _get("getOrders", f"{_FULFILMENT}/order", ("limit", "1"))


def parcels(order_id: str) -> Call:
    """The parcels that were told of an order."""
    return _get("getShippingFulfillments", f"{_FULFILMENT}/order/{_part(order_id)}/shipping_fulfillment")


def create_parcel(order_id: str, body: Mapping[str, Any]) -> Call:
    """Tell of a parcel; sent twice it would be two."""
    return _send(
        "createShippingFulfillment", "POST", f"{_FULFILMENT}/order/{_part(order_id)}/shipping_fulfillment", body
    )


def issue_refund(order_id: str, body: Mapping[str, Any]) -> Call:
    """Give money back; sent twice it would be given twice."""
    return _send("issueRefund", "POST", f"{_FULFILMENT}/order/{_part(order_id)}/issue_refund", body)


# ---- inventory -----------------------------------------------------------------------------------------


def inventory_items(page: int, limit: int = ITEMS_PAGE) -> Call:
    """A page of inventory items; eBay's offset counts pages here."""
    query = (("limit", str(limit)), ("offset", str(page)))
    return _get("getInventoryItems", f"{_INVENTORY}/inventory_item", *query)


def items_by_sku(skus: Sequence[str]) -> Call:
    """Up to 25 inventory items, each with its own answer."""
    body = {"requests": [{"sku": sku} for sku in skus]}
    return _send("bulkGetInventoryItem", "POST", f"{_INVENTORY}/bulk_get_inventory_item", body, idempotent=True)


def inventory_item(sku: str) -> Call:
    """One inventory item."""
    return _get("getInventoryItem", _item_path(sku))


def put_item(marketplace_id: str, sku: str, body: Mapping[str, Any]) -> Call:
    """Make or replace an inventory item whole; twice is harmless."""
    path = _item_path(sku)
    return _send("createOrReplaceInventoryItem", "PUT", path, body, headers=_language(marketplace_id), idempotent=True)


def delete_item(sku: str) -> Call:
    """Delete an inventory item with its offers and listings."""
    return Call("deleteInventoryItem", "DELETE", _item_path(sku), idempotent=True)


def offers(sku: str, marketplace_id: str) -> Call:
    """The offers of an item on a marketplace: at most one of fixed price."""
    query = (("sku", sku), ("marketplace_id", marketplace_id), ("format", "FIXED_PRICE"))
    return _get("getOffers", f"{_INVENTORY}/offer", *query)


def create_offer(marketplace_id: str, body: Mapping[str, Any]) -> Call:
    """Make an offer; a second one for the same SKU is refused, so twice is harmless but looks like a refusal."""
    return _send("createOffer", "POST", f"{_INVENTORY}/offer", body, headers=_language(marketplace_id))


def update_offer(marketplace_id: str, offer_id: str, body: Mapping[str, Any]) -> Call:
    """Replace an offer whole, quantity included: not repeated without a look."""
    path = f"{_INVENTORY}/offer/{_part(offer_id)}"
    return _send("updateOffer", "PUT", path, body, headers=_language(marketplace_id))


def publish_offer(offer_id: str) -> Call:
    """Show an offer; one that is shown stays so."""
    return Call("publishOffer", "POST", f"{_INVENTORY}/offer/{_part(offer_id)}/publish", headers=_JSON, idempotent=True)


def withdraw_offer(offer_id: str) -> Call:
    """End the listing of an offer; the offer stays."""
    path = f"{_INVENTORY}/offer/{_part(offer_id)}/withdraw"
    return Call("withdrawOffer", "POST", path, headers=_JSON, idempotent=True)


def delete_offer(offer_id: str) -> Call:
    """Delete an offer and end its listing."""
    return Call("deleteOffer", "DELETE", f"{_INVENTORY}/offer/{_part(offer_id)}", idempotent=True)


def group(key: str) -> Call:
    """A group of items that are one listing with variations."""
    return _get("getInventoryItemGroup", _group_path(key))


def put_group(marketplace_id: str, key: str, body: Mapping[str, Any]) -> Call:
    """Make or replace a group whole; twice is harmless."""
    path, headers = _group_path(key), _language(marketplace_id)
    return _send("createOrReplaceInventoryItemGroup", "PUT", path, body, headers=headers, idempotent=True)


def delete_group(key: str) -> Call:
    """Delete a group; its items stay."""
    return Call("deleteInventoryItemGroup", "DELETE", _group_path(key), idempotent=True)


def publish_group(marketplace_id: str, key: str) -> Call:
    """Show all offers of a group as one listing."""
    body = {"inventoryItemGroupKey": key, "marketplaceId": marketplace_id}
    path = f"{_INVENTORY}/offer/publish_by_inventory_item_group"
    return _send("publishOfferByInventoryItemGroup", "POST", path, body, idempotent=True)


def withdraw_group(marketplace_id: str, key: str) -> Call:
    """End the listing of a group; its offers stay."""
    body = {"inventoryItemGroupKey": key, "marketplaceId": marketplace_id}
    path = f"{_INVENTORY}/offer/withdraw_by_inventory_item_group"
    return _send("withdrawOfferByInventoryItemGroup", "POST", path, body, idempotent=True)


def bulk_update(requests: Sequence[Mapping[str, Any]], *, not_after: datetime | None, idempotent: bool) -> Call:
    """Write prices or quantities of up to 25 offers."""
    encoded = msgspec.json.encode({"requests": list(requests)})
    path = f"{_INVENTORY}/bulk_update_price_quantity"
    return Call(
        "bulkUpdatePriceQuantity", "POST", path, headers=_JSON, body=encoded, idempotent=idempotent, not_after=not_after
    )


def locations() -> Call:
    """The seller's inventory locations."""
    return _get("getInventoryLocations", f"{_INVENTORY}/location", ("limit", "100"))


def policies(kind: Literal["fulfillment", "payment", "return"], marketplace_id: str) -> Call:
    """The seller's business policies of a kind."""
    operation = f"get{kind.capitalize()}Policies"
    return _get(operation, f"/sell/account/v1/{kind}_policy", ("marketplace_id", marketplace_id))


# ---- money ---------------------------------------------------------------------------------------------


def transactions(filter_: str, offset: int) -> Call:
    """What was booked, by date or payout."""
    query = [("limit", str(TRANSACTIONS_PAGE)), ("offset", str(offset))]
    if filter_:
        query.insert(0, ("filter", filter_))
    return _get("getTransactions", f"{_FINANCES}/transaction", *query, base="apiz")


def payouts(since: datetime, until: datetime, offset: int) -> Call:
    """Transfers to the bank that began in an interval, oldest first."""
    span = f"payoutDate:[{iso8601(since)}..{iso8601(until)}]"
    query = (("filter", span), ("sort", "payoutDate"), ("limit", str(PAYOUTS_PAGE)), ("offset", str(offset)))
    return _get("getPayouts", f"{_FINANCES}/payout", *query, base="apiz")


# ---- notifications, categories, quotas -------------------------------------------------------------------


def public_key(key_id: str) -> Call:
    """A key with which eBay signs."""
    return _get("getPublicKey", f"{_NOTIFICATION}/public_key/{_part(key_id)}", base="application")


def update_config(email: str) -> Call:
    """Say where eBay may write when notifications fail."""
    return _send(
        "updateConfig", "PUT", f"{_NOTIFICATION}/config", {"alertEmail": email}, base="application", idempotent=True
    )


def destinations(token: str | None) -> Call:
    """Addresses that the application has told eBay."""
    return _get("getDestinations", f"{_NOTIFICATION}/destination", *_listing(token), base="application")


def create_destination(body: Mapping[str, Any]) -> Call:
    """Tell eBay an address; it asks that for a proof before it answers. A second time is refused."""
    return _send("createDestination", "POST", f"{_NOTIFICATION}/destination", body, base="application")


def update_destination(id: str, body: Mapping[str, Any]) -> Call:
    """Switch an address on again."""
    path = f"{_NOTIFICATION}/destination/{_part(id)}"
    return _send("updateDestination", "PUT", path, body, base="application", idempotent=True)


def delete_destination(id: str) -> Call:
    """Forget an address."""
    path = f"{_NOTIFICATION}/destination/{_part(id)}"
    return Call("deleteDestination", "DELETE", path, base="application", idempotent=True)


def subscriptions(token: str | None) -> Call:
    """The seller's subscriptions."""
    return _get("getSubscriptions", f"{_NOTIFICATION}/subscription", *_listing(token))


def create_subscription(body: Mapping[str, Any]) -> Call:
    """Subscribe a topic; a second time is refused."""
    return _send("createSubscription", "POST", f"{_NOTIFICATION}/subscription", body)


def update_subscription(id: str, body: Mapping[str, Any]) -> Call:
    """Lead a subscription to our address and switch it on."""
    return _send("updateSubscription", "PUT", f"{_NOTIFICATION}/subscription/{_part(id)}", body, idempotent=True)


def delete_subscription(id: str) -> Call:
    """End a subscription."""
    return Call("deleteSubscription", "DELETE", f"{_NOTIFICATION}/subscription/{_part(id)}", idempotent=True)


def category_tree(marketplace_id: str) -> Call:
    """Which tree of categories a marketplace has."""
    query = ("marketplace_id", marketplace_id)
    return _get("getDefaultCategoryTreeId", f"{_TAXONOMY}/get_default_category_tree_id", query, base="application")


def category_aspects(tree_id: str, category_id: str) -> Call:
    """What a category asks of an item."""
    path = f"{_TAXONOMY}/category_tree/{_part(tree_id)}/get_item_aspects_for_category"
    return _get("getItemAspectsForCategory", path, ("category_id", category_id), base="application")


def rate_limits(context: str, api: str) -> Call:
    """How many calls of an API the seller has left today."""
    query = (("api_context", context), ("api_name", api))
    return _get("getUserRateLimits", "/developer/analytics/v1_beta/user_rate_limit/", *query)


def iso8601(time: datetime) -> str:
    """Return the time as eBay writes it: UTC, milliseconds, Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _listing(token: str | None) -> tuple[tuple[str, str], ...]:
    limit = ("limit", str(NOTIFICATIONS_PAGE))
    return (limit,) if token is None else (limit, ("continuation_token", token))


def _language(marketplace_id: str) -> Mapping[str, str]:
    place = MARKETPLACES.get(marketplace_id)
    return {"content-language": place.language if place else "en-US"}


def _part(id: str) -> str:
    return quote(id, safe="")


def _item_path(sku: str) -> str:
    return f"{_INVENTORY}/inventory_item/{_part(sku)}"


def _group_path(key: str) -> str:
    return f"{_INVENTORY}/inventory_item_group/{_part(key)}"


def _get(
    operation: str, path: str, *query: tuple[str, str], base: str = "api", headers: Mapping[str, str] | None = None
) -> Call:
    accepts = {"accept": "application/json", **(headers or {})}
    return Call(operation, "GET", path, query=query, headers=accepts, base=base, idempotent=True)


def _send(
    operation: str,
    method: str,
    path: str,
    body: Mapping[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    base: str = "api",
    idempotent: bool = False,
) -> Call:
    told = {**_JSON, **(headers or {})}
    return Call(operation, method, path, headers=told, body=msgspec.json.encode(body), base=base, idempotent=idempotent)
