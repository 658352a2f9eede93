"""What the simulated shop knows beside its books: ids, webhook subscriptions, refunds, idempotency keys."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from entrepot_sandbox.books import Line, Listing, Order
from entrepot_sandbox.marketplace import Desk
from entrepot_sandbox.sheets import Sheet
from entrepot_sandbox.shopify import ids
from entrepot_sandbox.shopify.words import handle_of

API_VERSION = "2026-10"
DOMAIN = "entrepot-demo.myshopify.com"


@dataclass(slots=True)
class Subscription:
    """A webhook subscription. `topic` is the enum's name, such as ORDERS_CREATE."""

    number: int
    topic: str
    uri: str
    format: str
    include_fields: tuple[str, ...]
    name: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Refund:
    """Units of an order that were cancelled and put back at `at`, by line id."""

    number: int
    at: datetime
    units: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of the first request with an idempotency key; `payload` is None if it failed."""

    fingerprint: str
    payload: dict[str, Any] | None


@dataclass(slots=True)
class State:
    """All of it, for one shop."""

    desk: Desk
    access_token: str = ""
    client_secret: str = ""
    currency: str = "USD"
    opened_at: datetime = field(init=False)
    by_variant: dict[str, Listing] = field(default_factory=dict)
    sheets: dict[str, Sheet] = field(default_factory=dict)
    """The products by their numbers."""
    handles: dict[str, Sheet] = field(default_factory=dict)
    """The last product that took a handle."""
    operations: dict[str, Any] = field(default_factory=dict)
    """Products that are being written, by the operation's global id."""
    by_item: dict[str, Listing] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    """Units of a listing (by its id) that were sold and have not left."""
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    refunds: dict[str, list[Refund]] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    customers: dict[str, int] = field(default_factory=dict)
    by_line: dict[str, tuple[Order, Line]] = field(default_factory=dict)
    refund_count: int = 0
    fulfillment_count: int = 0
    subscription_count: int = 0
    adjustment_count: int = 0
    event_count: int = 0
    made: dict[str, int] = field(default_factory=dict)
    """How many things of a kind there are or were."""

    def __post_init__(self) -> None:
        self.opened_at = self.desk.now()
        chance = self.desk.random("credentials")
        self.access_token = f"shpat_{chance.getrandbits(128):032x}"
        self.client_secret = f"shpss_{chance.getrandbits(128):032x}"
        shop = self.desk.world.open_shop(self.desk.channel)
        for product in self.desk.world.products.values():
            sheet = Sheet(
                self.next_number("product"),
                product.title,
                "ACTIVE",
                self.opened_at,
                self.opened_at,
                handle=handle_of(f"{product.title} {product.sku}"),
                description_html=f"<p>{html.escape(product.title)}</p>",
                vendor="Entrepot Demo",
                product_type="Goods",
                option_names=["Title"],
            )
            numbers = {"product": sheet.id, "item": self.next_number("item")}
            listing = shop.add_listing(product, self.next_number("variant"), numbers)
            listing.sheet, listing.options, sheet.listings = sheet, ("Default Title",), [listing]
            self.sheets[sheet.id] = self.handles[sheet.handle] = sheet
            self.know(listing)
            self.currency = product.currency

    def next_number(self, kind: str) -> str:
        """Return the number of a new thing: a product, variant, item or picture."""
        self.made[kind] = self.made.get(kind, 0) + 1
        return str(ids.FIRST[kind] + self.made[kind] * ids.STEP)

    def know(self, listing: Listing) -> None:
        """Make a variant known by its ids."""
        self.by_variant[listing.id] = self.by_item[listing.keys["item"]] = listing
        self.committed.setdefault(listing.id, 0)

    def forget(self, listing: Listing) -> None:
        """Make a variant unknown: it was deleted."""
        self.by_variant.pop(listing.id, None)
        self.by_item.pop(listing.keys["item"], None)

    def by_handle(self, handle: str) -> Sheet | None:
        """Return the product with this address."""
        sheet = self.handles.get(handle)
        return sheet if sheet is not None and sheet.handle == handle and sheet.id in self.sheets else None

    @property
    def shop(self) -> Any:
        """The books."""
        return self.desk.world.shops[self.desk.channel]

    def commit(self, listing: Listing, units: int) -> None:
        """Add to the units that were sold and have not left."""
        self.committed[listing.id] += units

    def customer_number(self, email: str) -> int:
        """Return the number of the customer with this address, new if need be."""
        known = self.customers.setdefault(email, len(self.customers) + 1)
        return ids.CUSTOMER + known * ids.STEP

    def next_event(self) -> str:
        """Return a new webhook event id (a UUID, seeded by the count)."""
        self.event_count += 1
        return _uuid(self.desk.world.seed, self.event_count)


def _uuid(seed: int, count: int) -> str:
    bits = (count * 0x9E3779B97F4A7C15F39CC0605CEDC835 + seed * 0xD1B54A32D192ED03) % (1 << 128)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def line_index(line: Line) -> int:
    """Return a line's place in its order, from 0."""
    return (int(line.id) - ids.LINE) % ids.LINES_PER_ORDER_MAX


def fulfillment_order_number(order: Order) -> int:
    """Return the number of the order's one fulfilment order."""
    return ids.FULFILLMENT_ORDER + order.serial * ids.STEP


def fulfillment_order_line_number(line: Line) -> int:
    """Return the number of a line in the fulfilment order."""
    return ids.FULFILLMENT_ORDER_LINE + int(line.id) - ids.LINE
