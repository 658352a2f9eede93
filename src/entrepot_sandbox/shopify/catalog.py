"""Products, variants, inventory items and levels as GraphQL values; further objects are made when asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from entrepot_sandbox.books import Listing
from entrepot_sandbox.sheets import Sheet
from entrepot_sandbox.shopify import ids, products
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.paging import connection
from entrepot_sandbox.shopify.products import sheet_of
from entrepot_sandbox.shopify.state import DOMAIN, State
from entrepot_sandbox.shopify.words import amount, stamp

Node = dict[str, Any]
QUANTITY_NAMES = (
    "available",
    "on_hand",
    "committed",
    "incoming",
    "reserved",
    "damaged",
    "safety_stock",
    "quality_control",
)


def shop_node(state: State) -> Node:
    """The shop itself."""
    opened = stamp(state.opened_at)
    return {
        "__typename": "Shop",
        "id": gid("Shop", ids.SHOP),
        "name": "Entrepot Demo",
        "email": "owner@example.com",
        "contactEmail": "hello@example.com",
        "currencyCode": state.currency,
        "createdAt": opened,
        "updatedAt": opened,
        "ianaTimezone": "Etc/UTC",
        "timezoneOffset": "+0000",
        "timezoneOffsetMinutes": 0,
        "timezoneAbbreviation": "UTC",
        "taxesIncluded": True,
        "taxShipping": False,
        "myshopifyDomain": DOMAIN,
        "primaryDomain": {
            "id": gid("Domain", ids.SHOP),
            "host": DOMAIN,
            "sslEnabled": True,
            "url": f"https://{DOMAIN}",
        },
        "plan": {
            "displayName": "Basic",
            "publicDisplayName": "Basic",
            "partnerDevelopment": False,
            "shopifyPlus": False,
        },
        "shopOwnerName": "Demo Owner",
        "url": f"https://{DOMAIN}",
        "unitSystem": "METRIC_SYSTEM",
        "weightUnit": "KILOGRAMS",
        "enabledPresentmentCurrencies": [state.currency],
        "checkoutApiSupported": True,
        "setupRequired": False,
        "orderNumberFormatPrefix": "#",
        "orderNumberFormatSuffix": "",
    }


def location_node(state: State) -> Node:
    """The one location."""
    opened = stamp(state.opened_at)
    address = {
        "address1": "Lagerstrasse 1",
        "city": "Berlin",
        "country": "Germany",
        "countryCode": "DE",
        "formatted": ["Lagerstrasse 1", "10115 Berlin", "Germany"],
        "zip": "10115",
    }

    def levels(_info: Any, first: int | None = None, after: str | None = None, **other: Any) -> Node:
        return connection(
            state.by_item.values(),
            key=lambda listing: [int(listing.keys["item"])],
            node=lambda listing: level_node(state, listing),
            first=first,
            after=after,
            reverse=other.get("reverse"),
        )

    def one_level(_info: Any, inventoryItemId: str) -> Node | None:  # noqa: N803 - the channel's name
        listing = state.by_item.get(ids.number_of(inventoryItemId, "InventoryItem") or "")
        return level_node(state, listing) if listing else None

    return {
        "__typename": "Location",
        "id": gid("Location", ids.LOCATION),
        "legacyResourceId": str(ids.LOCATION),
        "name": "Main warehouse",
        "address": address,
        "isActive": True,
        "isFulfillmentService": False,
        "fulfillsOnlineOrders": True,
        "shipsInventory": True,
        "hasActiveInventory": True,
        "hasUnfulfilledOrders": any(state.committed.values()),
        "activatable": True,
        "deactivatable": False,
        "deletable": False,
        "addressVerified": True,
        "createdAt": opened,
        "updatedAt": opened,
        "inventoryLevel": one_level,
        "inventoryLevels": levels,
    }


def product_node(state: State, sheet: Sheet) -> Node:
    """A product with its variants."""

    def variants(_info: Any, first: int | None = None, after: str | None = None, **other: Any) -> Node:
        return connection(
            list(enumerate(sheet.listings)),
            key=lambda each: [each[0]],
            node=lambda each: variant_node(state, each[1]),
            first=first,
            after=after,
            reverse=other.get("reverse"),
        )

    return products.product_node(sheet, variants)


def variant_node(state: State, listing: Listing) -> Node:
    """A variant."""
    product, sheet = listing.product, sheet_of(listing)
    title = products.variant_title(listing)
    return {
        "__typename": "ProductVariant",
        "id": gid("ProductVariant", listing.id),
        "legacyResourceId": listing.id,
        "title": title,
        "displayName": f"{sheet.title} - {title}",
        "sku": product.sku,
        "barcode": product.barcode or None,
        "price": amount(product.price),
        "compareAtPrice": amount(listing.compare_at) if listing.compare_at is not None else None,
        "position": next((place for place, each in enumerate(sheet.listings, 1) if each is listing), 1),
        "availableForSale": listing.offered > 0,
        "taxable": True,
        "inventoryPolicy": "DENY",
        "inventoryQuantity": listing.quantity,
        "sellableOnlineQuantity": listing.quantity,
        "inventoryItem": lambda _info: item_node(state, listing),
        "product": lambda _info: product_node(state, sheet),
        "selectedOptions": products.selected_options(listing),
        "createdAt": stamp(sheet.created_at),
        "updatedAt": stamp(listing.updated_at),
        "defaultCursor": listing.id,
        "requiresComponents": False,
    }


def item_node(state: State, listing: Listing) -> Node:
    """An inventory item."""
    number = listing.keys["item"]

    def one_level(_info: Any, locationId: str) -> Node | None:  # noqa: N803 - the channel's name
        here = ids.number_of(locationId, "Location") == str(ids.LOCATION)
        return level_node(state, listing) if here else None

    def levels(_info: Any, first: int | None = None, after: str | None = None, **other: Any) -> Node:
        return connection(
            [listing],
            key=lambda one: [int(one.keys["item"])],
            node=lambda one: level_node(state, one),
            first=first,
            after=after,
            reverse=other.get("reverse"),
        )

    def variants(_info: Any, first: int | None = None, after: str | None = None) -> Node:
        return connection(
            [listing],
            key=lambda one: [int(one.id)],
            node=lambda one: variant_node(state, one),
            first=first,
            after=after,
        )

    return {
        "__typename": "InventoryItem",
        "id": gid("InventoryItem", number),
        "legacyResourceId": number,
        "sku": listing.product.sku,
        "tracked": True,
        "requiresShipping": True,
        "measurement": {
            "id": gid("InventoryItemMeasurement", number),
            "weight": {"unit": "GRAMS", "value": float(listing.weight_g or 0)},
        },
        "createdAt": stamp(state.opened_at),
        "updatedAt": stamp(listing.updated_at),
        "duplicateSkuCount": 0,
        "inventoryLevel": one_level,
        "inventoryLevels": levels,
        "locationsCount": {"count": 1, "precision": "EXACT"},
        "variant": lambda _info: variant_node(state, listing),
        "variants": variants,
    }


def quantity_of(state: State, listing: Listing, name: str) -> int:
    """Return a named quantity of a listing: what is sold stays on hand, committed, until it ships."""
    committed = state.committed[listing.id]
    return {"available": listing.quantity, "committed": committed, "on_hand": listing.quantity + committed}.get(name, 0)


def level_id(listing: Listing) -> str:
    """Return the global id of a listing's inventory level."""
    return f"{gid('InventoryLevel', ids.LOCATION)}?inventory_item_id={listing.keys['item']}"


def level_node(state: State, listing: Listing) -> Node:
    """The stock of an inventory item at the location."""
    changed = stamp(listing.updated_at)

    def quantities(_info: Any, names: list[str]) -> list[Node]:
        return [_quantity_node(state, listing, name, changed) for name in names if name in QUANTITY_NAMES]

    return {
        "__typename": "InventoryLevel",
        "id": level_id(listing),
        "item": lambda _info: item_node(state, listing),
        "location": lambda _info: location_node(state),
        "quantities": quantities,
        "isActive": True,
        "canDeactivate": False,
        "createdAt": stamp(state.opened_at),
        "updatedAt": changed,
    }


def _quantity_node(state: State, listing: Listing, name: str, changed: str) -> Node:
    item = listing.keys["item"]
    return {
        "__typename": "InventoryQuantity",
        "id": f"{gid('InventoryQuantity', f'{ids.LOCATION}-{item}')}?inventory_item_id={item}&name={name}",
        "name": name,
        "quantity": quantity_of(state, listing, name),
        "updatedAt": changed,
    }


def changed_key(moment: datetime) -> str:
    """Return a time as a sortable cursor part, exact to the microsecond."""
    return moment.isoformat(timespec="microseconds")
