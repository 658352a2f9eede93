"""What the simulated eBay knows beside its books: the seller, tokens, items, offers, groups, quotas."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from entrepot_sandbox.books import Listing, Product, Shop
from entrepot_sandbox.journal import LimitEmpty, WriteKind
from entrepot_sandbox.marketplace import Desk
from entrepot_sandbox.sheets import Sheet

Json = dict[str, Any]
TOKEN_S = 7_200
CODE_S = 300
DAY_S = 86_400.0
SELLER = "entrepot_demo"
LOCATION = "main-warehouse"
CATEGORY = "20685"
USER, APPLICATION = "user", "application"


@dataclass(frozen=True, slots=True)
class Place:
    """A marketplace of the channel."""

    id: str
    currency: str
    country: str
    locale: str


PLACES = {
    "EUR": Place("EBAY_DE", "EUR", "DE", "de_DE"),
    "GBP": Place("EBAY_GB", "GBP", "GB", "en_GB"),
    "USD": Place("EBAY_US", "USD", "US", "en_US"),
}
CALLS_PER_DAY: dict[str, tuple[str, int]] = {
    "inventory": ("sell", 2_000_000),
    "fulfillment": ("sell", 100_000),
    "finances": ("sell", 15_000),
    "account": ("sell", 25_000),
    "taxonomy": ("commerce", 5_000),
    "notification": ("commerce", 10_000),
}
"""API -> its context and the calls that an application has a day."""


@dataclass(slots=True)
class Units:
    """An item's total, and what its offer has of it on sale (None: all)."""

    total: int = 0
    available: int | None = None

    @property
    def shown(self) -> int:
        """What buyers can have: the offer's quantity goes before the item's, and there is no more than the item has."""
        return self.total if self.available is None else min(self.total, self.available)


@dataclass(slots=True)
class Quota:
    """The calls of a day."""

    limit: int
    used: int = 0
    resets_at: datetime | None = None


@dataclass(slots=True)
class Item:
    """An inventory item as it was put, and the groups that it is in."""

    sku: str
    body: Json
    groups: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Offer:
    """An offer as it was made. `listing_id` while it is published, and afterwards."""

    id: str
    sku: str
    body: Json
    published: bool = False
    listing_id: str = ""
    sold: int = 0


@dataclass(slots=True)
class State:
    """All of it, for one seller."""

    desk: Desk
    shop: Shop = field(init=False)
    place: Place = field(init=False)
    client_id: str = field(init=False)
    client_secret: str = field(init=False)
    refresh_token: str = field(init=False)
    opened_at: datetime = field(init=False)
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Access token -> (user or application, when it ends by the sandbox's clock)."""
    codes: dict[str, float] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    offer_of: dict[str, str] = field(default_factory=dict)
    """SKU -> its offer."""
    groups: dict[str, Json] = field(default_factory=dict)
    units: dict[str, Units] = field(default_factory=dict)
    quotas: dict[str, Quota] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.opened_at = self.desk.now()
        chance = self.desk.random("credentials")
        self.client_id = f"Entrepot-Demo-PRD-{chance.getrandbits(64):016x}-{chance.getrandbits(32):08x}"
        self.client_secret = f"PRD-{chance.getrandbits(48):012x}-{chance.getrandbits(128):032x}"
        self.refresh_token = f"v^1.1#i^1#r^1#{chance.getrandbits(512):0128x}"
        self.shop = self.desk.world.open_shop(self.desk.channel)
        self.quotas = {name: Quota(limit) for name, (_, limit) in CALLS_PER_DAY.items()}
        currency = next((each.currency for each in self.desk.world.products.values()), "EUR")
        self.place = PLACES.get(currency, PLACES["EUR"])
        for product in self.desk.world.products.values():
            self._open(product)

    def _open(self, product: Product) -> None:
        aspects = {"Brand": ["Entrepot Demo"]}
        body: Json = {
            "availability": {"shipToLocationAvailability": {"quantity": 0}},
            "condition": "NEW",
            "product": {"title": product.title, "brand": "Entrepot Demo", "aspects": aspects},
        }
        if product.barcode:
            body["product"]["ean"] = [product.barcode]
        self.items[product.sku] = Item(product.sku, body)
        self.units[product.sku] = Units(0, 0)
        offer = self.add_offer(
            product.sku,
            {
                "sku": product.sku,
                "marketplaceId": self.place.id,
                "format": "FIXED_PRICE",
                "categoryId": CATEGORY,
                "listingDescription": f"<p>{product.title}</p>",
                "listingDuration": "GTC",
                "merchantLocationKey": LOCATION,
                "listingPolicies": {
                    "fulfillmentPolicyId": "6001",
                    "paymentPolicyId": "6002",
                    "returnPolicyId": "6003",
                },
                "pricingSummary": {"price": money(product.price, product.currency)},
            },
        )
        self.publish(offer)

    # ---- offers and what is on sale ------------------------------------------------------------------------

    def add_offer(self, sku: str, body: Json) -> Offer:
        """Keep a new offer and open its listing in the books, hidden."""
        offer = Offer(str(7_000_000_000 + self.next_id("offer")), sku, body)
        self.offers[offer.id], self.offer_of[sku] = offer, offer.id
        truth, now = self.desk.world.products.get(sku), self.desk.now()
        product = Product(sku, sku, Decimal(0), self.place.currency, "", truth.stock if truth else 0)
        listing = self.shop.add_listing(product, sku, {"offer_id": offer.id})
        listing.sheet = Sheet(sku, sku, "UNPUBLISHED", now, now, [listing], shown=False)
        listing.quantity = self.units[sku].shown
        self.refresh(sku)
        return offer

    def refresh(self, sku: str) -> None:
        """Carry what item and offer say over to the listing in the books (its quantity stays)."""
        listing = self.shop.by_sku.get(sku)
        offer = self.offers.get(self.offer_of.get(sku, ""))
        if listing is None or offer is None or listing.sheet is None:
            return
        product, priced = self.items[sku].body.get("product", {}), offer.body.get("pricingSummary", {})
        price = priced.get("price", {}).get("value", "0")
        barcode = next((codes[0] for name in ("ean", "upc", "isbn") if (codes := product.get(name))), "")
        changed = Product(
            sku,
            str(product.get("title") or sku),
            Decimal(str(price)),
            self.place.currency,
            barcode,
            listing.product.stock,
        )
        if changed != listing.product:
            self.shop.change_product(listing, changed)
        listing.sheet.title, listing.sheet.shown = changed.title, offer.published

    def publish(self, offer: Offer) -> None:
        """Show an offer to buyers."""
        if not offer.published:
            offer.listing_id = str(110_000_000_000 + self.next_id("listing"))
            offer.published = True
        self.refresh(offer.sku)

    def withdraw(self, offer: Offer) -> None:
        """End the listing of an offer."""
        offer.published = False
        self.refresh(offer.sku)

    def delete_offer(self, offer: Offer) -> None:
        """Forget an offer and its listing."""
        self.offers.pop(offer.id, None)
        self.offer_of.pop(offer.sku, None)
        listing = self.shop.by_sku.get(offer.sku)
        if listing is not None:
            self.shop.remove_listing(listing)

    def write_units(self, sku: str, units: Units, request_id: str, *, explicit: bool) -> None:
        """Set what an item and its offer have. `explicit`: the seller asked for a quantity, so it counts as a write."""
        self.units[sku] = units
        self.items[sku].body["availability"] = {"shipToLocationAvailability": {"quantity": units.total}}
        listing = self.shop.by_sku.get(sku)
        if listing is not None and (explicit or listing.quantity != units.shown):
            self.shop.write_quantity(listing, units.shown, kind=WriteKind.ABSOLUTE, request_id=request_id)

    def moved(self, listing: Listing, units: int) -> None:
        """Note that a sale took units (negative) or a cancellation put them back; the books know already."""
        held = self.units[listing.sku]
        held.total = max(0, held.total + units)
        if held.available is not None:
            held.available = max(0, held.available + units)
        item = self.items.get(listing.sku)
        if item is not None:
            item.body["availability"] = {"shipToLocationAvailability": {"quantity": held.total}}

    # ---- quotas --------------------------------------------------------------------------------------------

    def count_call(self, api: str) -> bool:
        """Count a call; return whether the day has one left."""
        quota = self.quotas[api]
        now = self.desk.now()
        if quota.resets_at is None or now >= quota.resets_at:
            quota.used = 0
            quota.resets_at = now + timedelta(seconds=self.desk.world.clock.scaled(DAY_S))
        if quota.used >= quota.limit:
            at = self.desk.world.clock.monotonic()
            until = at + max(0.0, (quota.resets_at - now).total_seconds())
            self.desk.world.journal.write(
                LimitEmpty(at=at, channel=self.desk.channel, until=until, limit=api, writes=api == "inventory")
            )
            return False
        quota.used += 1
        return True

    def next_id(self, kind: str) -> int:
        """Count the things of one kind, from 1."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind]


def stamp(moment: datetime) -> str:
    """Write a time as the channel does: UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def money(value: Decimal, currency: str) -> Json:
    """Write an amount as the channel does."""
    return {"value": f"{value:.2f}", "currency": currency}
