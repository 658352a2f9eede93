"""What is true (the world) and what each channel's own books say (the shops).

Everything here runs on one event loop and never awaits, so every operation is atomic.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from entrepot_sandbox.clock import Clock
from entrepot_sandbox.journal import (
    Cancelled,
    Journal,
    Placed,
    QuantityWritten,
    Returned,
    SaleLost,
    Shipped,
    Sold,
    WriteKind,
)

if TYPE_CHECKING:
    from entrepot_sandbox.sheets import Sheet


@dataclass(frozen=True, slots=True)
class Product:
    """One of the seller's goods. `stock` is the true opening stock in units."""

    sku: str
    title: str
    price: Decimal
    currency: str
    barcode: str
    stock: int


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys and where it goes. `country` is ISO 3166-1 alpha-2."""

    name: str
    email: str
    line1: str
    city: str
    postal_code: str
    country: str


@dataclass(frozen=True, slots=True)
class Sale:
    """What a shopper wants to buy in one order: (SKU, units), and who it is."""

    lines: tuple[tuple[str, int], ...]
    buyer: Buyer


@dataclass(slots=True)
class Listing:
    """A product as a channel has it, with its further ids in `keys`. `quantity`: what it shows and sells from."""

    id: str
    product: Product
    keys: Mapping[str, str]
    quantity: int
    updated_at: datetime
    sheet: Sheet | None = None
    """What the channel shows of its product, where the seller can write that."""
    options: tuple[str, ...] = ()
    compare_at: Decimal | None = None
    weight_g: int | None = None

    @property
    def sku(self) -> str:
        """The seller's SKU on this listing."""
        return self.product.sku

    @property
    def offered(self) -> int:
        """What a shopper can buy: nothing of a product that is not shown."""
        return self.quantity if self.sheet is None or self.sheet.shown else 0


@dataclass(slots=True)
class Line:
    """A line of an order: units ordered, cancelled before shipping, and shipped."""

    id: str
    listing: Listing
    quantity: int
    unit_price: Decimal
    cancelled: int = 0
    shipped: int = 0

    @property
    def open(self) -> int:
        """The units still to be shipped."""
        return self.quantity - self.cancelled - self.shipped


@dataclass(frozen=True, slots=True)
class Parcel:
    """A shipment that the seller told the channel of: units by line id."""

    id: str
    carrier: str
    tracking_number: str
    tracking_url: str
    shipped_at: datetime
    lines: Mapping[str, int]


@dataclass(slots=True)
class Order:
    """An order as the channel has it now. `version` grows by one with every change; times are by the channel's clock.

    `serial` counts the channel's orders from 1. `extra` is the marketplace module's own (ids and the like).
    """

    id: str
    channel: str
    serial: int
    buyer: Buyer
    lines: list[Line]
    currency: str
    placed_at: datetime
    updated_at: datetime
    version: int = 1
    parcels: list[Parcel] = field(default_factory=list)
    cancelled_at: datetime | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        """The price of the units not cancelled."""
        return sum((line.unit_price * (line.quantity - line.cancelled) for line in self.lines), Decimal(0))

    @property
    def is_cancelled(self) -> bool:
        """Whether every unit was cancelled."""
        return all(line.cancelled == line.quantity for line in self.lines)

    @property
    def is_shipped(self) -> bool:
        """Whether every unit that was not cancelled has shipped, and there is one."""
        return not self.is_cancelled and all(line.open == 0 for line in self.lines)

    def line(self, line_id: str) -> Line | None:
        """Return a line by its id."""
        return next((line for line in self.lines if line.id == line_id), None)


class Shop:
    """One channel's own books: listings and orders. The only way that either changes."""

    def __init__(self, channel: str, clock: Clock, journal: Journal) -> None:
        self.channel = channel
        self.listings: dict[str, Listing] = {}
        self.by_sku: dict[str, Listing] = {}
        self.orders: dict[str, Order] = {}
        self._changed: dict[str, None] = {}
        self._clock = clock
        self._journal = journal

    def add_listing(self, product: Product, listing_id: str, keys: Mapping[str, str] | None = None) -> Listing:
        """List a product with nothing on offer yet."""
        listing = Listing(listing_id, product, dict(keys or {}), 0, self._clock.now(self.channel))
        self.listings[listing_id] = listing
        # Where a SKU is listed twice, shoppers find the first.
        self.by_sku.setdefault(product.sku, listing)
        return listing

    def change_product(self, listing: Listing, product: Product) -> None:
        """Make a listing another SKU, title or price."""
        if self.by_sku.get(listing.sku) is listing and product.sku != listing.sku:
            del self.by_sku[listing.sku]
        listing.product = product
        listing.updated_at = self._clock.now(self.channel)
        self.by_sku.setdefault(product.sku, listing)

    def remove_listing(self, listing: Listing) -> None:
        """Take a listing off the channel; its orders stay."""
        self.listings.pop(listing.id, None)
        if self.by_sku.get(listing.sku) is listing:
            del self.by_sku[listing.sku]

    # -- what shoppers do --

    def sell(self, sale: Sale, order_id: str, line_ids: Sequence[str]) -> Order | None:
        """Sell if every listing shows enough, else note the lost sale and return None. Books change at once."""
        wanted: dict[str, int] = {}
        for sku, units in sale.lines:
            wanted[sku] = wanted.get(sku, 0) + units
        lacking = [sku for sku, units in wanted.items() if sku not in self.by_sku or self.by_sku[sku].offered < units]
        at, now = self._clock.monotonic(), self._clock.now(self.channel)
        if lacking:
            for sku in lacking:
                shown = self.by_sku[sku].offered if sku in self.by_sku else 0
                self._journal.write(SaleLost(at=at, channel=self.channel, sku=sku, wanted=wanted[sku], shown=shown))
            return None
        lines = []
        for line_id, (sku, units) in zip(line_ids, sale.lines, strict=True):
            listing = self.by_sku[sku]
            listing.quantity -= units
            listing.updated_at = now
            lines.append(Line(line_id, listing, units, listing.product.price))
            self._journal.write(
                Sold(
                    at=at,
                    channel=self.channel,
                    order_id=order_id,
                    listing_id=listing.id,
                    sku=sku,
                    quantity=units,
                    shown=listing.quantity,
                )
            )
        currency = lines[0].listing.product.currency
        order = Order(order_id, self.channel, len(self.orders) + 1, sale.buyer, lines, currency, now, now)
        self.orders[order_id] = order
        self._changed[order_id] = None
        self._journal.write(Placed(at=at, channel=self.channel, order_id=order_id))
        return order

    def shown(self, sku: str) -> int:
        """Return what the channel shows for a SKU, 0 where it is not listed."""
        return self.by_sku[sku].offered if sku in self.by_sku else 0

    def turn_away(self, sku: str, wanted: int) -> None:
        """Note that a shopper did not get what they wanted."""
        self._journal.write(
            SaleLost(at=self._clock.monotonic(), channel=self.channel, sku=sku, wanted=wanted, shown=self.shown(sku))
        )

    def cancel(self, order: Order, units: Mapping[str, int] | None = None, *, restock: bool) -> int:
        """Cancel unshipped units by line id (None: all that are open) and return how many were cancelled.

        `restock` says whether the channel puts them back into its own listing. Units asked for that have already
        shipped are noted as returned.
        """
        wanted = {line.id: line.open if units is None else units.get(line.id, 0) for line in order.lines}
        if not any(wanted.values()):
            return 0
        self.touch(order)
        total = 0
        for line in order.lines:
            asked = wanted[line.id]
            taken = min(asked, line.open)
            line.cancelled += taken
            total += taken
            if restock:
                line.listing.quantity += taken
                line.listing.updated_at = order.updated_at
            if taken:
                self._journal.write(self._cancelled(order, line, taken))
            if asked > taken and line.shipped:
                self._journal.write(
                    Returned(
                        at=self._clock.monotonic(),
                        channel=self.channel,
                        order_id=order.id,
                        sku=line.listing.sku,
                        quantity=min(asked - taken, line.shipped),
                    )
                )
        if order.is_cancelled and order.cancelled_at is None:
            order.cancelled_at = order.updated_at
        return total

    def _cancelled(self, order: Order, line: Line, units: int) -> Cancelled:
        return Cancelled(
            at=self._clock.monotonic(),
            channel=self.channel,
            order_id=order.id,
            listing_id=line.listing.id,
            sku=line.listing.sku,
            quantity=units,
            version=order.version,
            shown=line.listing.quantity,
        )

    # -- what the seller does --

    def write_quantity(
        self, listing: Listing, after: int, *, kind: WriteKind, request_id: str, requested_at: float | None = None
    ) -> int:
        """Make a listing show `after` now, by the seller's wish, and return what it showed before.

        A delta is written as `listing.quantity + delta` with kind DELTA. `requested_at` (monotonic) is when the seller
        asked, where the channel took its time (a feed).
        """
        before = listing.quantity
        listing.quantity = after
        listing.updated_at = self._clock.now(self.channel)
        at = self._clock.monotonic()
        self._journal.write(
            QuantityWritten(
                at=at,
                channel=self.channel,
                listing_id=listing.id,
                sku=listing.sku,
                before=before,
                after=after,
                kind=kind,
                request_id=request_id,
                requested_at=at if requested_at is None else requested_at,
            )
        )
        return before

    def ship(self, order: Order, parcel: Parcel) -> None:
        """Book a parcel. Raises ValueError if a line has fewer open units than the parcel holds."""
        for line_id, units in parcel.lines.items():
            line = order.line(line_id)
            if line is None or units < 1 or units > line.open:
                raise ValueError(line_id)
        for line_id, units in parcel.lines.items():
            line = order.line(line_id)
            assert line is not None
            line.shipped += units
        order.parcels.append(parcel)
        self.touch(order)
        self._journal.write(
            Shipped(
                at=self._clock.monotonic(),
                channel=self.channel,
                order_id=order.id,
                quantity=sum(parcel.lines.values()),
            )
        )

    def touch(self, order: Order) -> None:
        """Note that something about an order changed: a new version, as of now."""
        order.version += 1
        order.updated_at = self._clock.now(self.channel)
        self._changed.pop(order.id, None)
        self._changed[order.id] = None

    def orders_by_change(self) -> Iterable[Order]:
        """Return all orders, the longest unchanged first (so `updated_at` ascends)."""
        return (self.orders[order_id] for order_id in tuple(self._changed))


class World:
    """The seller's goods, the truth about them, and the books of every channel."""

    def __init__(self, products: Iterable[Product], *, seed: int = 0, time_scale: float = 1.0) -> None:
        self.seed = seed
        self.clock = Clock(time_scale)
        self.journal = Journal()
        self.products: dict[str, Product] = {product.sku: product for product in products}
        self.shops: dict[str, Shop] = {}

    def open_shop(self, channel: str) -> Shop:
        """Start the books of a channel."""
        shop = self.shops[channel] = Shop(channel, self.clock, self.journal)
        return shop

    def random(self, name: str) -> random.Random:
        """Return a source of chance of its own for `name`, the same for the same seed."""
        return random.Random(f"{self.seed}/{name}")  # noqa: S311
