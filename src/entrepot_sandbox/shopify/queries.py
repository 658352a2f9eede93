"""The query root: finding things, by id and page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from graphql import GraphQLError

from entrepot_sandbox.books import Listing, Order
from entrepot_sandbox.sheets import Sheet
from entrepot_sandbox.shopify import fulfilment, ids, inventory, webhooks, writing
from entrepot_sandbox.shopify.catalog import (
    Node,
    changed_key,
    item_node,
    level_node,
    location_node,
    product_node,
    shop_node,
    variant_node,
)
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.order_parts import financial_status, fulfillment_status, order_name
from entrepot_sandbox.shopify.orders import (
    fulfillment_node,
    fulfillment_order_node,
    fulfillment_order_status,
    line_node,
    order_node,
)
from entrepot_sandbox.shopify.paging import connection
from entrepot_sandbox.shopify.products import sheet_of
from entrepot_sandbox.shopify.search import Lookup, compile_query
from entrepot_sandbox.shopify.state import State, Subscription, fulfillment_order_number

SCOPES = (
    "read_products",
    "write_products",
    "read_inventory",
    "write_inventory",
    "read_locations",
    "read_orders",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
    "read_customers",
)

_LISTING_FIELDS: dict[str, Lookup] = {
    "": lambda listing: f"{listing.product.title} {listing.sku} {listing.product.barcode}",
    "sku": lambda listing: listing.sku,
    "barcode": lambda listing: listing.product.barcode,
    "title": lambda listing: sheet_of(listing).title,
    "status": lambda listing: (sheet_of(listing).status.lower(),),
    "updated_at": lambda listing: listing.updated_at,
    "inventory_quantity": lambda listing: listing.quantity,
}


def _order_states(order: Order) -> tuple[str, ...]:
    return ("any", "cancelled") if order.is_cancelled else ("any", "open", "not_closed")


_ORDER_FIELDS: dict[str, Lookup] = {
    "": order_name,
    "id": lambda order: int(order.id),
    "name": order_name,
    "email": lambda order: order.buyer.email,
    "status": _order_states,
    "financial_status": lambda order: (financial_status(order).lower(),),
    "fulfillment_status": lambda order: (
        fulfillment_status(order).lower(),
        *(("shipped",) if order.is_shipped else ()),
        *(("unshipped",) if fulfillment_status(order) == "UNFULFILLED" else ()),
        *(("partial",) if fulfillment_status(order) == "PARTIALLY_FULFILLED" else ()),
    ),
    "created_at": lambda order: order.placed_at,
    "processed_at": lambda order: order.placed_at,
    "updated_at": lambda order: order.updated_at,
    "sku": lambda order: tuple(line.listing.sku.lower() for line in order.lines),
    "test": lambda _order: ("false",),
}
_ORDER_KEYS: dict[str, Callable[[Order], Sequence[Any]]] = {
    "ID": lambda order: [int(order.id)],
    "CREATED_AT": lambda order: [changed_key(order.placed_at), int(order.id)],
    "PROCESSED_AT": lambda order: [changed_key(order.placed_at), int(order.id)],
    "UPDATED_AT": lambda order: [changed_key(order.updated_at), int(order.id)],
}


def root(state: State) -> dict[str, Any]:
    """Return the root value: a resolver for every field of the query and mutation roots."""
    return {
        "shop": lambda _info: shop_node(state),
        "currentAppInstallation": lambda _info: {
            "id": gid("AppInstallation", ids.SHOP),
            "accessScopes": [{"handle": scope, "description": scope.replace("_", " ")} for scope in SCOPES],
        },
        **_catalog(state),
        **_orders(state),
        **_subscriptions(state),
        "node": lambda _info, id: find(state, id),
        "nodes": lambda _info, ids: [find(state, one) for one in ids],
        "inventorySetQuantities": lambda info, input: inventory.set_quantities(state, info, input),
        "inventoryAdjustQuantities": lambda info, input: inventory.adjust_quantities(state, info, input),
        **_product_writes(state),
        "fulfillmentCreate": lambda _info, fulfillment: fulfilment.create_fulfillment(state, fulfillment),
    }


def _product_writes(state: State) -> dict[str, Any]:
    def product_set(
        _info: Any, input: Mapping[str, Any], identifier: Any = None, synchronous: bool | None = None
    ) -> Node:
        return writing.product_set(state, input, identifier, synchronous)

    def bulk_update(
        _info: Any,
        productId: str,  # noqa: N803 - the channel's names
        variants: list[Mapping[str, Any]],
        allowPartialUpdates: bool | None = None,  # noqa: N803
    ) -> Node:
        return writing.bulk_update(state, productId, variants, allowPartialUpdates)

    def bulk_delete(_info: Any, productId: str, variantsIds: list[str]) -> Node:  # noqa: N803
        return writing.bulk_delete(state, productId, variantsIds)

    def by_identifier(_info: Any, identifier: Mapping[str, Any]) -> Node | None:
        given = {name: value for name, value in identifier.items() if value is not None}
        if len(given) != 1:
            raise GraphQLError("Exactly one identifier is required", extensions={"code": "BAD_REQUEST"})
        if "id" in given:
            return _typed(state, given["id"], "Product")
        sheet = state.by_handle(given["handle"])
        return product_node(state, sheet) if sheet else None

    def operation(_info: Any, id: str) -> Node | None:
        found = state.operations.get(id)
        return writing.operation_node(state, found) if found else None

    return {
        "productSet": product_set,
        "productVariantsBulkUpdate": bulk_update,
        "productVariantsBulkDelete": bulk_delete,
        "productUpdate": lambda _info, product=None: writing.product_update(state, product),
        "productDelete": lambda _info, input, synchronous=None: writing.product_delete(state, input),
        "productByIdentifier": by_identifier,
        "productOperation": operation,
    }


def _catalog(state: State) -> dict[str, Any]:
    def locations(_info: Any, first: int | None = None, after: str | None = None, **other: Any) -> Node:
        matches = compile_query(other.get("query"), {"": lambda node: node["name"], "name": lambda node: node["name"]})
        found = [node for node in (location_node(state),) if matches(node)]
        return connection(
            found,
            key=lambda node: [node["name"]],
            node=lambda node: node,
            first=first,
            after=after,
            reverse=other.get("reverse"),
        )

    def location(_info: Any, id: str | None = None) -> Node | None:
        return location_node(state) if id is None else _typed(state, id, "Location")

    return {
        "location": location,
        "locations": locations,
        "product": lambda _info, id: _typed(state, id, "Product"),
        "productVariant": lambda _info, id: _typed(state, id, "ProductVariant"),
        "inventoryItem": lambda _info, id: _typed(state, id, "InventoryItem"),
        "inventoryLevel": lambda _info, id: _typed(state, id, "InventoryLevel"),
        "products": _products(state),
        "productVariants": _listings(state, "variant", variant_node),
        "inventoryItems": _listings(state, "item", item_node),
    }


def _products(state: State) -> Callable[..., Node]:
    """A page of products."""
    keys: dict[str, Callable[[Sheet], Sequence[Any]]] = {
        "ID": lambda sheet: [int(sheet.id)],
        "TITLE": lambda sheet: [sheet.title, int(sheet.id)],
        "CREATED_AT": lambda sheet: [changed_key(sheet.created_at), int(sheet.id)],
        "UPDATED_AT": lambda sheet: [changed_key(_changed_at(sheet)), int(sheet.id)],
    }
    fields: Mapping[str, Lookup] = {
        "": lambda sheet: " ".join([sheet.title, *(f"{one.sku} {one.product.barcode}" for one in sheet.listings)]),
        "id": lambda sheet: int(sheet.id),
        "handle": lambda sheet: sheet.handle,
        "sku": lambda sheet: tuple(one.sku for one in sheet.listings),
        "barcode": lambda sheet: tuple(one.product.barcode for one in sheet.listings),
        "title": lambda sheet: sheet.title,
        "vendor": lambda sheet: sheet.vendor,
        "product_type": lambda sheet: sheet.product_type,
        "status": lambda sheet: (sheet.status.lower(),),
        "updated_at": _changed_at,
        "created_at": lambda sheet: sheet.created_at,
    }

    def page(_info: Any, first: int | None = None, after: str | None = None, **other: Any) -> Node:
        matches = compile_query(other.get("query"), fields)
        return connection(
            filter(matches, state.sheets.values()),
            key=keys[other.get("sortKey") or "ID"],
            node=lambda sheet: product_node(state, sheet),
            first=first,
            after=after,
            reverse=other.get("reverse"),
        )

    return page


def _changed_at(sheet: Sheet) -> datetime:
    return max([sheet.updated_at, *(one.updated_at for one in sheet.listings)])


def _listings(state: State, kind: str, make: Callable[[State, Listing], Node]) -> Callable[..., Node]:
    """A page of variants or inventory items; each listing is one of each."""

    def number(listing: Listing) -> int:
        return int(listing.id if kind == "variant" else listing.keys[kind])

    keys: dict[str, Callable[[Listing], Sequence[Any]]] = {
        "ID": lambda listing: [number(listing)],
        "POSITION": lambda listing: [number(listing)],
        "SKU": lambda listing: [listing.sku, number(listing)],
        "TITLE": lambda listing: [listing.product.title, number(listing)],
        "CREATED_AT": lambda listing: [number(listing)],
        "UPDATED_AT": lambda listing: [changed_key(listing.updated_at), number(listing)],
    }
    fields: Mapping[str, Lookup] = {
        **_LISTING_FIELDS,
        "id": number,
        "status": lambda listing: (sheet_of(listing).status.lower(),),
    }

    def page(_info: Any, first: int | None = None, after: str | None = None, **other: Any) -> Node:
        matches = compile_query(other.get("query"), fields)
        return connection(
            filter(matches, state.by_variant.values()),
            key=keys[other.get("sortKey") or "ID"],
            node=lambda listing: make(state, listing),
            first=first,
            after=after,
            reverse=other.get("reverse"),
        )

    return page


def _orders(state: State) -> dict[str, Any]:
    def orders(_info: Any, first: int | None = None, after: str | None = None, **other: Any) -> Node:
        matches = compile_query(other.get("query"), _ORDER_FIELDS)
        return connection(
            filter(matches, state.shop.orders.values()),
            key=_ORDER_KEYS[other.get("sortKey") or "PROCESSED_AT"],
            node=lambda order: order_node(state, order),
            first=first,
            after=after,
            reverse=other.get("reverse"),
        )

    def fulfillment_orders(_info: Any, first: int | None = None, after: str | None = None, **other: Any) -> Node:
        fields: Mapping[str, Lookup] = {
            "id": fulfillment_order_number,
            "status": lambda order: (fulfillment_order_status(order).lower(),),
            "updated_at": lambda order: order.updated_at,
        }
        matches = compile_query(other.get("query"), fields)
        closed = other.get("includeClosed")
        wanted = (
            order
            for order in state.shop.orders.values()
            if (closed or fulfillment_order_status(order) in ("OPEN", "IN_PROGRESS")) and matches(order)
        )
        by_change = other.get("sortKey") == "UPDATED_AT"
        return connection(
            wanted,
            key=_ORDER_KEYS["UPDATED_AT" if by_change else "ID"],
            node=lambda order: fulfillment_order_node(state, order),
            first=first,
            after=after,
            reverse=other.get("reverse"),
        )

    return {
        "order": lambda _info, id: _typed(state, id, "Order"),
        "orders": orders,
        "fulfillmentOrder": lambda _info, id: _typed(state, id, "FulfillmentOrder"),
        "fulfillmentOrders": fulfillment_orders,
    }


def _subscriptions(state: State) -> dict[str, Any]:
    def page(_info: Any, first: int | None = None, after: str | None = None, **other: Any) -> Node:
        uri = other.get("uri") or other.get("callbackUrl")
        topics, form = other.get("topics"), other.get("format")
        matches = compile_query(other.get("query"), {"id": lambda one: one.number, "topic": lambda one: one.topic})

        def wanted(one: Subscription) -> bool:
            return (
                (uri is None or one.uri == uri)
                and (not topics or one.topic in topics)
                and (form is None or one.format == form)
                and matches(one)
            )

        return connection(
            filter(wanted, state.subscriptions.values()),
            key=lambda one: [one.number],
            node=webhooks.subscription_node,
            first=first,
            after=after,
            reverse=other.get("reverse"),
        )

    return {
        "webhookSubscription": lambda _info, id: _typed(state, id, "WebhookSubscription"),
        "webhookSubscriptions": page,
        "webhookSubscriptionCreate": lambda _info, topic, webhookSubscription: webhooks.subscribe(  # noqa: N803
            state, topic, webhookSubscription
        ),
        "webhookSubscriptionUpdate": lambda _info, id, webhookSubscription: webhooks.resubscribe(  # noqa: N803
            state, id, webhookSubscription
        ),
        "webhookSubscriptionDelete": lambda _info, id: webhooks.unsubscribe(state, id),
    }


def _typed(state: State, global_id: str, kind: str) -> Node | None:
    return find(state, global_id) if ids.number_of(global_id, kind) else None


def find(state: State, global_id: str) -> Node | None:
    """Return whatever has this global id."""
    kind = global_id.removeprefix("gid://shopify/").partition("/")[0]
    number = ids.number_of(global_id, kind) or ""
    finder = _FINDERS.get(kind)
    return finder(state, number, global_id) if finder else None


def _find_order(state: State, number: str, _global_id: str) -> Node | None:
    order = state.shop.orders.get(number)
    return order_node(state, order) if order else None


def _find_product(state: State, number: str, _global_id: str) -> Node | None:
    sheet = state.sheets.get(number)
    return product_node(state, sheet) if sheet else None


def _find_line(state: State, number: str, _global_id: str) -> Node | None:
    found = state.by_line.get(number)
    return line_node(state, *found) if found else None


def _find_fulfillment_order(state: State, _number: str, global_id: str) -> Node | None:
    order = fulfilment.order_of_fulfillment_order(state, global_id)
    return fulfillment_order_node(state, order) if order else None


def _find_fulfillment(state: State, number: str, _global_id: str) -> Node | None:
    for order in state.shop.orders.values():
        for parcel in order.parcels:
            if parcel.id == number:
                return fulfillment_node(state, order, parcel)
    return None


def _find_level(state: State, _number: str, global_id: str) -> Node | None:
    listing = state.by_item.get(global_id.partition("?inventory_item_id=")[2])
    return level_node(state, listing) if listing else None


def _find_subscription(state: State, _number: str, global_id: str) -> Node | None:
    subscription = webhooks.find(state, global_id)
    return webhooks.subscription_node(subscription) if subscription else None


def _of(index: str, make: Callable[[State, Listing], Node]) -> Callable[[State, str, str], Node | None]:
    def finder(state: State, number: str, _global_id: str) -> Node | None:
        listing: Listing | None = getattr(state, index).get(number)
        return make(state, listing) if listing else None

    return finder


_FINDERS: dict[str, Callable[[State, str, str], Node | None]] = {
    "Shop": lambda state, number, _global_id: shop_node(state) if number == str(ids.SHOP) else None,
    "Location": lambda state, number, _global_id: location_node(state) if number == str(ids.LOCATION) else None,
    "Product": _find_product,
    "ProductVariant": _of("by_variant", variant_node),
    "InventoryItem": _of("by_item", item_node),
    "InventoryLevel": _find_level,
    "Order": _find_order,
    "LineItem": _find_line,
    "FulfillmentOrder": _find_fulfillment_order,
    "Fulfillment": _find_fulfillment,
    "WebhookSubscription": _find_subscription,
}
