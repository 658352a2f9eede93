"""Square's requests, built from values. Pure: each function returns the Call, nothing is sent here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from entrepot.channels.contract import Call, QuantityChange
from entrepot.connectors.square.manifest import API_VERSION, TOPICS

ORDERS_PAGE = 500
COUNTS_MAX = 1000
"""Most variations asked for, and most counts given, in one call."""
OBJECTS_MAX = 1000
"""Most catalog objects fetched by id in one call."""
DELETES_MAX = 200
"""Most catalog objects deleted in one call."""
SKUS_MAX = 250
"""Most SKUs searched for in one call."""
ORDERS_MAX = 100
"""Most orders fetched by id in one call."""
SUBSCRIPTION_NAME = "Entrepot"


def search_orders(location_id: str, since: datetime | None, page: str | None, limit: int = ORDERS_PAGE) -> Call:
    """Orders of a location by time of change, oldest first. A page belongs to the query that began it."""
    query: dict[str, Any] = {
        "filter": {"state_filter": {"states": ["OPEN", "COMPLETED", "CANCELED"]}},
        "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
    }
    if since is not None:
        query["filter"]["date_time_filter"] = {"updated_at": {"start_at": rfc3339(since)}}
    body: dict[str, Any] = {"location_ids": [location_id], "query": query, "limit": limit, "return_entries": False}
    if page is not None:
        body["cursor"] = page
    return _post("searchOrders", "/v2/orders/search", body)


def retrieve_orders(location_id: str, order_ids: Sequence[str]) -> Call:
    """Up to ORDERS_MAX orders by id; unknown ones are left out by Square."""
    return _post(
        "batchRetrieveOrders", "/v2/orders/batch-retrieve", {"location_id": location_id, "order_ids": list(order_ids)}
    )


def update_order(order_id: str, order: dict[str, Any], idempotency_key: str) -> Call:
    """Change an open order; `order` is sparse and names the version that it changes."""
    body = {"order": order, "idempotency_key": idempotency_key}
    return _call("updateOrder", "PUT", f"/v2/orders/{quote(order_id, safe='')}", body)


def list_items(page: str | None) -> Call:
    """Items with their variations inside."""
    query = (("types", "ITEM"),) if page is None else (("types", "ITEM"), ("cursor", page))
    return Call("listCatalog", "GET", "/v2/catalog/list", query=query, idempotent=True)


def retrieve_objects(object_ids: Sequence[str]) -> Call:
    """Up to OBJECTS_MAX catalog objects as they are now; unknown ones are left out."""
    return _post("batchRetrieveCatalogObjects", "/v2/catalog/batch-retrieve", {"object_ids": list(object_ids)})


def search_skus(skus: Sequence[str], page: str | None) -> Call:
    """The variations with one of up to SKUS_MAX SKUs, and their items."""
    query = {"set_query": {"attribute_name": "sku", "attribute_values": list(skus)}}
    body: dict[str, Any] = {"object_types": ["ITEM_VARIATION"], "query": query, "include_related_objects": True}
    if page is not None:
        body["cursor"] = page
    return _post("searchCatalogObjects", "/v2/catalog/search", body)


def upsert_objects(key: str, batches: Sequence[Sequence[dict[str, Any]]]) -> Call:
    """Make or change catalog objects; each batch is taken whole or not at all."""
    body = {"idempotency_key": key, "batches": [{"objects": list(batch)} for batch in batches]}
    return _post("batchUpsertCatalogObjects", "/v2/catalog/batch-upsert", body)


def delete_objects(object_ids: Sequence[str]) -> Call:
    """Delete catalog objects and what is inside of them; those that are gone already do not matter."""
    return _post("batchDeleteCatalogObjects", "/v2/catalog/batch-delete", {"object_ids": list(object_ids)})


def retrieve_counts(
    location_id: str, variation_ids: Sequence[str] | None, page: str | None, limit: int = COUNTS_MAX
) -> Call:
    """Units in stock of up to COUNTS_MAX variations at a location (None: of any)."""
    body: dict[str, Any] = {"location_ids": [location_id], "states": ["IN_STOCK"], "limit": limit}
    if variation_ids is not None:
        body["catalog_object_ids"] = list(variation_ids)
    if page is not None:
        body["cursor"] = page
    return _post("batchRetrieveInventoryCounts", "/v2/inventory/counts/batch-retrieve", body)


def change_stock(location_id: str, key: str, at: datetime, changes: Sequence[tuple[str, QuantityChange]]) -> Call:
    """Move the difference of each (variation, change) into or out of stock, as one request with one key."""
    body = {
        "idempotency_key": key,
        "changes": [_adjustment(location_id, variation_id, change, at) for variation_id, change in changes],
        "ignore_unchanged_counts": False,
    }
    return _post("batchChangeInventory", "/v2/inventory/changes/batch-create", body)


def _adjustment(location_id: str, variation_id: str, change: QuantityChange, at: datetime) -> dict[str, Any]:
    units = change.to_quantity - (change.from_quantity or 0)
    # Raising brings stock in; lowering means that the units were sold elsewhere (README: why not WASTE).
    from_state, to_state = ("NONE", "IN_STOCK") if units > 0 else ("IN_STOCK", "SOLD")
    return {
        "type": "ADJUSTMENT",
        "adjustment": {
            "from_state": from_state,
            "to_state": to_state,
            "location_id": location_id,
            "catalog_object_id": variation_id,
            "quantity": str(abs(units)),
            "occurred_at": rfc3339(at),
        },
    }


def retrieve_location(location_id: str) -> Call:
    """One location of the seller."""
    return Call("retrieveLocation", "GET", f"/v2/locations/{quote(location_id, safe='')}", idempotent=True)


def list_subscriptions(page: str | None) -> Call:
    """The application's webhook subscriptions, disabled ones too."""
    query = (("include_disabled", "true"),) + ((("cursor", page),) if page is not None else ())
    return Call("listWebhookSubscriptions", "GET", "/v2/webhooks/subscriptions", query=query, idempotent=True)


def create_subscription(url: str, idempotency_key: str) -> Call:
    """Subscribe `url` to every topic of the manifest."""
    subscription = {
        "name": SUBSCRIPTION_NAME,
        "enabled": True,
        "event_types": list(TOPICS),
        "notification_url": url,
        "api_version": API_VERSION,
    }
    body = {"idempotency_key": idempotency_key, "subscription": subscription}
    return _post("createWebhookSubscription", "/v2/webhooks/subscriptions", body)


def repair_subscription(subscription_id: str) -> Call:
    """Switch a subscription on, for every topic of the manifest."""
    body = {"subscription": {"enabled": True, "event_types": list(TOPICS)}}
    return _call("updateWebhookSubscription", "PUT", _subscription_path(subscription_id), body)


def retrieve_subscription(subscription_id: str) -> Call:
    """One subscription, with its signature key."""
    return Call("retrieveWebhookSubscription", "GET", _subscription_path(subscription_id), idempotent=True)


def delete_subscription(subscription_id: str) -> Call:
    """Remove a subscription."""
    return Call("deleteWebhookSubscription", "DELETE", _subscription_path(subscription_id), idempotent=True)


def rfc3339(time: datetime) -> str:
    """Return the time as Square writes it: UTC, milliseconds, Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _subscription_path(subscription_id: str) -> str:
    return f"/v2/webhooks/subscriptions/{quote(subscription_id, safe='')}"


def _post(operation: str, path: str, body: dict[str, Any]) -> Call:
    return _call(operation, "POST", path, body)


def _call(operation: str, method: str, path: str, body: dict[str, Any]) -> Call:
    # Every call with a body is a read, carries an idempotency key or sets a state: repeating it is harmless.
    headers = {"content-type": "application/json"}
    return Call(operation, method, path, headers=headers, body=msgspec.json.encode(body), idempotent=True)
