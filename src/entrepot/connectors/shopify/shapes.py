"""Shopify's GraphQL answers (camelCase) as typed values.

Unknown fields are passed over; what the documentation allows to be absent has a default.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Camel(Struct, rename="camel", frozen=True, gc=False):
    """Base of GraphQL shapes."""


class PageInfo(Camel, frozen=True):
    """Where a connection goes on."""

    has_next_page: bool
    end_cursor: str | None = None


class Node(Camel, frozen=True):
    """An object of which only the id matters."""

    id: str


class Money(Camel, frozen=True):
    """An amount in the shop's currency."""

    amount: Decimal


class MoneyBag(Camel, frozen=True):
    """An amount in two currencies; we read the shop's."""

    shop_money: Money


class Connection(Camel, Generic[T], frozen=True):
    """A page of a list."""

    nodes: list[T]
    page_info: PageInfo = PageInfo(has_next_page=False)


class LineItem(Camel, frozen=True):
    """A line of an order."""

    id: str
    name: str
    quantity: int
    current_quantity: int
    unfulfilled_quantity: int
    original_unit_price_set: MoneyBag
    sku: str | None = None
    variant: Node | None = None


class MailingAddress(Camel, frozen=True):
    """A postal address."""

    name: str | None = None
    company: str | None = None
    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    province_code: str | None = None
    zip: str | None = None
    country_code_v2: str | None = None
    phone: str | None = None


class Customer(Camel, frozen=True):
    """Who bought."""

    first_name: str | None = None
    last_name: str | None = None


class Order(Camel, frozen=True):
    """An order with the first of its lines."""

    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    currency_code: str
    display_fulfillment_status: str
    current_total_price_set: MoneyBag
    current_total_tax_set: MoneyBag
    current_total_discounts_set: MoneyBag
    total_shipping_price_set: MoneyBag
    line_items: Connection[LineItem]
    display_financial_status: str | None = None
    cancelled_at: datetime | None = None
    email: str | None = None
    source_identifier: str | None = None
    shipping_address: MailingAddress | None = None
    customer: Customer | None = None


class OrdersPage(Camel, frozen=True):
    """Answer to ORDERS_PAGE."""

    orders: Connection[Order]


class OrderNodes(Camel, frozen=True):
    """Answer to ORDERS_BY_ID: an unknown id is null, another kind of object is empty."""

    nodes: list[Order | None]


class OrderWhole(Camel, frozen=True):
    """Answer to ORDER_WHOLE."""

    order: Order | None = None


class Tracking(Camel, frozen=True):
    """A tracking number."""

    number: str | None = None


class ShippedLine(Camel, frozen=True):
    """Units of a line in a parcel."""

    line_item: Node
    quantity: int | None = None


class Parcel(Camel, frozen=True):
    """A fulfilment: a parcel that left."""

    id: str
    status: str
    tracking_info: list[Tracking] = []
    fulfillment_line_items: Connection[ShippedLine] | None = None


class RefundedLine(Camel, frozen=True):
    """Units of a line that were refunded or removed."""

    quantity: int
    restock_type: str
    line_item: Node


class Refund(Camel, frozen=True):
    """A refund or removal."""

    refund_line_items: Connection[RefundedLine]


class OrderMovesNode(Camel, frozen=True):
    """What was shipped and refunded of an order."""

    updated_at: datetime
    fulfillments: list[Parcel] = []
    refunds: list[Refund] = []


class OrderMoves(Camel, frozen=True):
    """Answer to ORDER_MOVES."""

    order: OrderMovesNode | None = None


class Quantity(Camel, frozen=True):
    """A named quantity."""

    name: str
    quantity: int


class Level(Camel, frozen=True):
    """Quantities of an inventory item at our location."""

    quantities: list[Quantity]


class Weight(Camel, frozen=True):
    """A weight in GRAMS, KILOGRAMS, OUNCES or POUNDS."""

    unit: str
    value: Decimal


class Measurement(Camel, frozen=True):
    """The measures of an inventory item."""

    weight: Weight | None = None


class InventoryItem(Camel, frozen=True):
    """What stock is counted of."""

    id: str
    tracked: bool = True
    inventory_level: Level | None = None
    measurement: Measurement | None = None


class Option(Camel, frozen=True):
    """A selected option of a variant."""

    name: str
    value: str


class Seo(Camel, frozen=True):
    """What search engines are told; null where it is the product's own."""

    title: str | None = None
    description: str | None = None


class Metafield(Camel, frozen=True):
    """A field of an app's own."""

    value: str


class Product(Camel, frozen=True):
    """A product."""

    id: str
    title: str
    status: str
    vendor: str | None = None
    product_type: str | None = None
    description: str | None = None
    description_html: str | None = None
    tags: list[str] = []
    updated_at: datetime | None = None
    seo: Seo | None = None
    category: Node | None = None
    metafield: Metafield | None = None


class Variant(Camel, frozen=True):
    """A product variant: what we call a listing. `product` is absent where the variant is inside of it."""

    id: str
    title: str
    inventory_item: InventoryItem
    product: Product | None = None
    price: Decimal | None = None
    compare_at_price: Decimal | None = None
    sku: str | None = None
    barcode: str | None = None
    selected_options: list[Option] = []


class Shop(Camel, frozen=True):
    """The shop."""

    name: str = ""
    myshopify_domain: str = ""
    currency_code: str = ""


class ListingsPage(Camel, frozen=True):
    """Answer to LISTINGS_PAGE."""

    shop: Shop
    product_variants: Connection[Variant]


class QuantityNode(Camel, frozen=True):
    """An inventory item; another kind of object is empty."""

    id: str | None = None
    tracked: bool = True
    inventory_level: Level | None = None


class Quantities(Camel, frozen=True):
    """Answer to QUANTITIES."""

    nodes: list[QuantityNode | None]


class UserError(Camel, frozen=True):
    """Why a mutation was refused. `field` is the path of the input that it is about."""

    message: str
    field: list[str] | None = None
    code: str | None = None


class Outcome(Camel, frozen=True):
    """What every mutation answers; each has one of the objects."""

    user_errors: list[UserError] = []
    fulfillment: Node | None = None


class SetQuantities(Camel, frozen=True):
    """Answer to SET_QUANTITIES."""

    inventory_set_quantities: Outcome


class FulfillmentCreate(Camel, frozen=True):
    """Answer to FULFIL."""

    fulfillment_create: Outcome


class SubscriptionCreate(Camel, frozen=True):
    """Answer to SUBSCRIBE."""

    webhook_subscription_create: Outcome


class SubscriptionDelete(Camel, frozen=True):
    """Answer to UNSUBSCRIBE."""

    webhook_subscription_delete: Outcome


class Assigned(Camel, frozen=True):
    """Where a fulfilment order is to be shipped from."""

    location: Node | None = None


class OpenLine(Camel, frozen=True):
    """Units of a line still to ship."""

    id: str
    remaining_quantity: int
    line_item: Node


class FulfillmentOrder(Camel, frozen=True):
    """The work for one location."""

    id: str
    status: str
    line_items: Connection[OpenLine]
    assigned_location: Assigned = Assigned()


class ParcelsNode(Camel, frozen=True):
    """An order's parcels and open work."""

    fulfillments: list[Parcel]
    fulfillment_orders: Connection[FulfillmentOrder]


class Parcels(Camel, frozen=True):
    """Answer to PARCELS."""

    order: ParcelsNode | None = None


class OpenLines(Camel, frozen=True):
    """The lines of a fulfilment order."""

    line_items: Connection[OpenLine]


class ParcelLines(Camel, frozen=True):
    """Answer to PARCEL_LINES."""

    fulfillment_order: OpenLines | None = None


class Subscription(Camel, frozen=True):
    """A webhook subscription."""

    id: str
    topic: str
    uri: str
    format: str = "JSON"
    include_fields: list[str] = []
    filter: str | None = None


class Subscriptions(Camel, frozen=True):
    """Answer to SUBSCRIPTIONS."""

    webhook_subscriptions: Connection[Subscription]


class Scope(Camel, frozen=True):
    """A permission."""

    handle: str


class Installation(Camel, frozen=True):
    """Our app in this shop."""

    access_scopes: list[Scope] = []


class Location(Camel, frozen=True):
    """A place of stock."""

    name: str
    is_active: bool


class Check(Camel, frozen=True):
    """Answer to CHECK."""

    shop: Shop
    current_app_installation: Installation
    location: Location | None = None
