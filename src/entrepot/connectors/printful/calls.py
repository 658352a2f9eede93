"""Printful's requests, built from values. Pure: each function returns the Call, nothing is sent here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from entrepot.channels.contract import Api, Call, Reply
from entrepot.connectors.printful.manifest import ORDER_TOPICS, STOCK_TOPIC

PAGE = 100
STORE_PAGE = 20
"""Products of the store read at a time: each takes a call of its own."""
STORE_HEADER = "x-pf-store-id"


async def send(api: Api, call: Call) -> Reply:
    """Send a call for the store of the connection, where one is named."""
    store_id = api.settings.get("store_id", "")
    return await api.send(replace(call, headers={**call.headers, STORE_HEADER: store_id}) if store_id else call)


# ---- account -----------------------------------------------------------------------------------------------------


def scopes() -> Call:
    """What the token may do."""
    return _get("getOAuthScopes", "/v2/oauth-scopes")


def stores() -> Call:
    """The stores that the token is for (first version)."""
    return _get("getStores", "/stores")


# ---- orders ------------------------------------------------------------------------------------------------------


def list_orders(limit: int) -> Call:
    """The latest orders of the store."""
    return _get("getOrders", "/v2/orders", ("limit", str(limit)))


def get_order(external_id: str) -> Call:
    """An order by our id."""
    return _get("getOrder", f"/v2/orders/{_ours(external_id)}")


def create_order(body: Mapping[str, Any]) -> Call:
    """Make a draft. Not to be repeated blindly: it carries no key but the external id."""
    return _send("createOrder", "POST", "/v2/orders", body)


def create_old_order(body: Mapping[str, Any]) -> Call:
    """Make a draft by the first version, which alone takes variants of the store."""
    return _send("createOldOrder", "POST", "/orders", body)


def confirm_order(order_id: str) -> Call:
    """Have a draft made. Printful refuses it for one that is confirmed already."""
    return Call("confirmOrder", "POST", f"/v2/orders/{_plain(order_id)}/confirmation")


def cancel_order(order_id: str) -> Call:
    """Cancel an order by the first version: the second one has no such thing, it only deletes."""
    return Call("cancelOrder", "DELETE", f"/orders/{_plain(order_id)}")


def delete_order(order_id: str) -> Call:
    """Delete an order that was not charged."""
    return Call("deleteOrder", "DELETE", f"/v2/orders/{_plain(order_id)}")


def order_items(order_id: str, offset: int) -> Call:
    """The items of an order whole, with what is wrong with their designs."""
    path = f"/v2/orders/{_plain(order_id)}/order-items"
    return _get("getItemsByOrderId", path, ("limit", str(PAGE)), ("offset", str(offset)))


def shipments(external_id: str, offset: int) -> Call:
    """The parcels of an order by our id."""
    path = f"/v2/orders/{_ours(external_id)}/shipments"
    return _get("getShipments", path, ("limit", str(PAGE)), ("offset", str(offset)))


def get_old_order(order_id: str) -> Call:
    """An order by the first version, whose parcels have tracking numbers."""
    return _get("getOldOrder", f"/orders/{_plain(order_id)}")


def start_estimate(body: Mapping[str, Any]) -> Call:
    """Begin to work out what an order would cost. Nothing is ordered: repeating it is harmless."""
    return replace(
        _send("createOrderEstimationTask", "POST", "/v2/order-estimation-tasks", body),
        idempotent=True,
    )


def get_estimate(task_id: str) -> Call:
    """What came of an estimate."""
    return _get("getOrderEstimationTask", "/v2/order-estimation-tasks", ("id", task_id))


def old_estimate(body: Mapping[str, Any]) -> Call:
    """What an order with variants of the store would cost (first version, answered at once)."""
    return replace(_send("estimateOldOrder", "POST", "/orders/estimate-costs", body), idempotent=True)


# ---- catalog -----------------------------------------------------------------------------------------------------


def catalog_product(product_id: str) -> Call:
    """A product of Printful's catalog."""
    return _get("getProductById", f"/v2/catalog-products/{_plain(product_id)}")


def catalog_variants(product_id: str) -> Call:
    """Its variants, the first page."""
    return _get("getProductVariantsById", f"/v2/catalog-products/{_plain(product_id)}/catalog-variants")


def next_page(before: Call, href: str) -> Call:
    """The page that an answer's link names: the same path, so that a link can lead nowhere else."""
    return replace(before, query=tuple(parse_qsl(urlsplit(href).query)))


def product_availability(product_id: str, region: str, offset: int) -> Call:
    """Whether the variants of a catalog product can be made."""
    path = f"/v2/catalog-products/{_plain(product_id)}/availability"
    query = (("selling_region_name", region), ("limit", str(PAGE)), ("offset", str(offset)))
    return _get("getProductStockAvailabilityById", path, *query)


def variant_availability(variant_id: str, region: str) -> Call:
    """Whether one variant can be made."""
    path = f"/v2/catalog-variants/{_plain(variant_id)}/availability"
    return _get("getVariantStockAvailabilityById", path, ("selling_region_name", region))


def store_products(kind: str, offset: int) -> Call:
    """Products of the store (first version); `kind`: store, or sync where a shop platform is behind the store."""
    return _get("getStoreProducts", f"/{kind}/products", ("limit", str(STORE_PAGE)), ("offset", str(offset)))


def store_product(kind: str, product_id: str) -> Call:
    """One of them with its variants."""
    return _get("getStoreProduct", f"/{kind}/products/{_plain(product_id)}")


# ---- webhooks ----------------------------------------------------------------------------------------------------


def get_webhooks() -> Call:
    """The token's webhook configuration."""
    return _get("getWebhooks", "/v2/webhooks")


def set_webhooks(url: str, product_ids: Sequence[str]) -> Call:
    """Have every topic delivered to `url`, in place of what was configured; the answer holds a new secret.

    Not to be repeated blindly: each time the secret is another one.
    """
    events: list[dict[str, Any]] = [{"type": topic} for topic in ORDER_TOPICS]
    if product_ids:
        named = [{"id": int(each)} for each in product_ids]
        events.append({"type": STOCK_TOPIC, "params": [{"name": "products", "value": named}]})
    return _send("createWebhook", "POST", "/v2/webhooks", {"default_url": url, "events": events})


def delete_webhooks() -> Call:
    """End all deliveries."""
    return Call("disableWebhook", "DELETE", "/v2/webhooks", idempotent=True)


# ---- helpers -----------------------------------------------------------------------------------------------------


def _plain(id: str) -> str:
    return quote(id, safe="")


def _ours(external_id: str) -> str:
    return "@" + quote(external_id, safe="")


def _get(operation: str, path: str, *query: tuple[str, str]) -> Call:
    return Call(operation, "GET", path, query=query, idempotent=True)


def _send(operation: str, method: str, path: str, body: Mapping[str, Any]) -> Call:
    return Call(operation, method, path, headers={"content-type": "application/json"}, body=msgspec.json.encode(body))
