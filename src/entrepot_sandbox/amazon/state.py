"""What the simulated marketplace knows beside its books: the seller, tokens, feeds and limits."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from entrepot_sandbox.books import Shop
from entrepot_sandbox.limits import Bucket
from entrepot_sandbox.marketplace import Desk

STORE_NAME = "Entrepot Demo"
TOKEN_S = 3_600
FEED_LAG_S = 120.0
"""The order search shows nothing that changed within the last two minutes."""
CHANNEL_CODE = "DEFAULT"
"""Fulfilment by the seller."""
PRODUCT_TYPE = "PRODUCT"


@dataclass(frozen=True, slots=True)
class Place:
    """A marketplace of the channel."""

    id: str
    name: str
    country: str
    currency: str
    language: str
    domain: str


PLACES = {
    "EUR": Place("A1PA6795UKMFR9", "Amazon.de", "DE", "EUR", "de_DE", "www.amazon.de"),
    "GBP": Place("A1F83G8C2ARO7P", "Amazon.co.uk", "GB", "GBP", "en_GB", "www.amazon.co.uk"),
    "USD": Place("ATVPDKIKX0DER", "Amazon.com", "US", "USD", "en_US", "www.amazon.com"),
}

RATES = {
    "searchOrders": (0.0056, 20),
    "getOrder": (0.5, 30),
    "confirmShipment": (2, 10),
    "searchListingsItems": (5, 5),
    "getListingsItem": (5, 10),
    "patchListingsItem": (5, 5),
    "putListingsItem": (5, 10),
    "deleteListingsItem": (5, 10),
    "getDefinitionsProductType": (5, 10),
    "createFeedDocument": (0.5, 15),
    "createFeed": (0.0083, 15),
    "getFeed": (2, 15),
    "getFeedDocument": (0.0222, 10),
    "getMarketplaceParticipations": (0.016, 15),
}
"""Operation -> calls a second, burst."""
WRITES = frozenset({"patchListingsItem", "putListingsItem", "createFeed", "createFeedDocument"})


@dataclass(slots=True)
class Document:
    """A feed or report document. `body` is None until it was uploaded."""

    id: str
    content_type: str
    body: bytes | None = None
    is_gzip: bool = False


@dataclass(slots=True)
class Feed:
    """A submitted feed and how far it got. Times by the channel's clock; `requested_at` by the sandbox's."""

    id: str
    feed_type: str
    document: Document
    created_at: datetime
    requested_at: float
    status: str = "IN_QUEUE"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result_id: str | None = None


@dataclass(slots=True)
class State:
    """All of it, for one seller."""

    desk: Desk
    shop: Shop = field(init=False)
    place: Place = field(init=False)
    buckets: dict[str, Bucket] = field(init=False)
    seller_id: str = field(init=False)
    client_id: str = field(init=False)
    client_secret: str = field(init=False)
    refresh_token: str = field(init=False)
    opened_at: datetime = field(init=False)
    effect_chance: random.Random = field(init=False)
    tokens: dict[str, float] = field(default_factory=dict)
    """Access token -> when it ends (the sandbox's clock)."""
    documents: dict[str, Document] = field(default_factory=dict)
    feeds: dict[str, Feed] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    """SKU -> when what was last submitted takes effect, so that none overtakes another."""
    counts: dict[str, int] = field(default_factory=dict)
    families: dict[str, dict[str, None]] = field(default_factory=dict)
    """SKU of a parent -> the SKUs that name it, or did: whoever asks looks whether they still do."""

    def __post_init__(self) -> None:
        self.opened_at = self.desk.now()
        self.effect_chance = self.desk.random("effects")
        chance = self.desk.random("credentials")
        self.seller_id = "A" + "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=13))
        self.client_id = f"amzn1.application-oa2-client.{chance.getrandbits(128):032x}"
        self.client_secret = f"amzn1.oa2-cs.v1.{chance.getrandbits(256):064x}"
        self.refresh_token = f"Atzr|{chance.getrandbits(512):0128x}"
        self.shop = self.desk.world.open_shop(self.desk.channel)
        currency = "EUR"
        for index, product in enumerate(self.desk.world.products.values(), start=1):
            self.shop.add_listing(product, product.sku, {"asin": f"B0{index:08d}"})
            currency = product.currency
        self.place = PLACES.get(currency, PLACES["EUR"])
        self.buckets = {
            name: self.desk.bucket(name, capacity=burst, refill_per_s=rate, writes=name in WRITES)
            for name, (rate, burst) in RATES.items()
        }

    def next_id(self, kind: str) -> int:
        """Count the things of one kind, from 1."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind]


def stamp(moment: datetime) -> str:
    """Write a time as the channel does: UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def money(value: Decimal, currency: str) -> dict[str, Any]:
    """Write an amount as the channel does."""
    return {"amount": f"{value:.2f}", "currencyCode": currency}
