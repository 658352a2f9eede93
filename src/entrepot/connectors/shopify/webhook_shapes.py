"""The bodies of Shopify's webhooks (snake_case) as typed values.

Unknown fields are passed over; what the documentation allows to be absent has a default.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct


class Rest(Struct, frozen=True, gc=False):
    """Base of webhook shapes."""


class RestMoney(Rest, frozen=True):
    """An amount."""

    amount: Decimal


class RestMoneySet(Rest, frozen=True):
    """An amount in two currencies."""

    shop_money: RestMoney | None = None


class RestLine(Rest, frozen=True):
    """A line of an order; in a fulfilment `quantity` is what that parcel holds."""

    id: int
    quantity: int
    name: str | None = None
    title: str | None = None
    sku: str | None = None
    variant_id: int | None = None
    price: Decimal | None = None
    current_quantity: int | None = None


class RestShippedLine(Rest, frozen=True):
    """Units of a line in a parcel."""

    id: int
    quantity: int | None = None


class RestFulfilment(Rest, frozen=True):
    """A parcel."""

    status: str | None = None
    line_items: list[RestShippedLine] = []


class RestRefundedLine(Rest, frozen=True):
    """Units of a line that were refunded or removed."""

    line_item_id: int
    quantity: int
    restock_type: str | None = None


class RestRefund(Rest, frozen=True):
    """A refund or removal."""

    refund_line_items: list[RestRefundedLine] = []


class RestAddress(Rest, frozen=True):
    """A postal address."""

    name: str | None = None
    company: str | None = None
    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    province_code: str | None = None
    zip: str | None = None
    country_code: str | None = None
    phone: str | None = None


class RestCustomer(Rest, frozen=True):
    """Who bought."""

    first_name: str | None = None
    last_name: str | None = None


class RestOrder(Rest, frozen=True):
    """The body of every orders/* webhook but orders/edited and orders/delete."""

    id: int
    created_at: datetime
    updated_at: datetime
    currency: str
    line_items: list[RestLine]
    name: str | None = None
    cancelled_at: datetime | None = None
    financial_status: str | None = None
    email: str | None = None
    source_identifier: str | None = None
    total_price: Decimal | None = None
    current_total_price: Decimal | None = None
    total_tax: Decimal | None = None
    current_total_tax: Decimal | None = None
    total_discounts: Decimal | None = None
    current_total_discounts: Decimal | None = None
    total_shipping_price_set: RestMoneySet | None = None
    shipping_address: RestAddress | None = None
    customer: RestCustomer | None = None
    fulfillments: list[RestFulfilment] | None = None
    refunds: list[RestRefund] | None = None


class RestLevel(Rest, frozen=True):
    """The body of inventory_levels/update. `available` null: not tracked there."""

    inventory_item_id: int
    location_id: int
    available: int | None = None


class RestProduct(Rest, frozen=True):
    """The body of products/...: only which product it is; what it says is read at the source."""

    id: int


class RestOrderEdit(Rest, frozen=True):
    """What an edit says of its order."""

    order_id: int


class RestOrderEdited(Rest, frozen=True):
    """The body of orders/edited."""

    order_edit: RestOrderEdit
