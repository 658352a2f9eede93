"""Books, limits and clocks: plain rules without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.sandbox.helpers import product, sale

from entrepot_sandbox.books import Parcel, Shop, World
from entrepot_sandbox.clock import Clock
from entrepot_sandbox.goods import default_products
from entrepot_sandbox.journal import Cancelled, Journal, LimitEmpty, Returned, SaleLost, Sold, WriteKind
from entrepot_sandbox.limits import Bucket


@pytest.fixture
def world() -> World:
    return World([product("A"), product("B")])


@pytest.fixture
def shop(world: World) -> Shop:
    shop = world.open_shop("x")
    for each in world.products.values():
        listing = shop.add_listing(each, f"l-{each.sku}")
        shop.write_quantity(listing, 3, kind=WriteKind.ABSOLUTE, request_id="r")
    return shop


def parcel(**lines: int) -> Parcel:
    return Parcel("p", "DHL", "T1", "", datetime.now(UTC), lines)


def test_a_sale_takes_from_the_channels_own_book_at_once(world: World, shop: Shop) -> None:
    order = shop.sell(sale(A=2, B=3), "o1", ["1", "2"])
    assert order is not None
    assert (shop.shown("A"), shop.shown("B")) == (1, 0)
    assert [(event.sku, event.quantity, event.shown) for event in world.journal.of(Sold)] == [("A", 2, 1), ("B", 3, 0)]


def test_a_sale_is_all_or_nothing(world: World, shop: Shop) -> None:
    assert shop.sell(sale(A=1, B=4), "o1", ["1", "2"]) is None
    assert (shop.shown("A"), shop.shown("B")) == (3, 3)
    assert [(event.sku, event.wanted, event.shown) for event in world.journal.of(SaleLost)] == [("B", 4, 3)]
    assert not shop.orders


def test_a_product_that_is_not_listed_cannot_be_sold(shop: Shop) -> None:
    assert shop.sell(sale(NOPE=1), "o1", ["1"]) is None


@pytest.mark.parametrize(("restock", "shown"), [(True, 3), (False, 1)])
def test_cancelling_puts_units_back_on_offer_only_where_the_channel_does(
    world: World, shop: Shop, restock: bool, shown: int
) -> None:
    order = shop.sell(sale(A=2), "o1", ["1"])
    assert order is not None
    assert shop.cancel(order, restock=restock) == 2
    assert shop.shown("A") == shown
    assert order.is_cancelled
    assert order.cancelled_at is not None
    (event,) = world.journal.of(Cancelled)
    assert (event.quantity, event.version, event.shown) == (2, 2, shown)


def test_shipped_units_come_back_as_a_return_only(world: World, shop: Shop) -> None:
    order = shop.sell(sale(A=2), "o1", ["1"])
    assert order is not None
    shop.ship(order, parcel(**{"1": 1}))
    assert shop.cancel(order, {"1": 2}, restock=True) == 1
    assert [event.quantity for event in world.journal.of(Cancelled)] == [1]
    assert [event.quantity for event in world.journal.of(Returned)] == [1]
    assert order.is_shipped
    assert not order.is_cancelled


def test_nothing_to_cancel_changes_nothing(shop: Shop) -> None:
    order = shop.sell(sale(A=2), "o1", ["1"])
    assert order is not None
    shop.ship(order, parcel(**{"1": 2}))
    assert (shop.cancel(order, restock=True), order.version) == (0, 2)


def test_no_more_can_ship_than_is_open(shop: Shop) -> None:
    order = shop.sell(sale(A=2), "o1", ["1"])
    assert order is not None
    with pytest.raises(ValueError, match="1"):
        shop.ship(order, parcel(**{"1": 3}))
    with pytest.raises(ValueError, match="9"):
        shop.ship(order, parcel(**{"1": 1, "9": 1}))
    assert order.lines[0].shipped == 0


def test_orders_by_change_put_the_latest_changed_last(shop: Shop) -> None:
    orders = [shop.sell(sale(A=1), f"o{n}", ["1"]) for n in range(3)]
    assert orders[0] is not None
    shop.touch(orders[0])
    assert [order.id for order in shop.orders_by_change()] == ["o1", "o2", "o0"]


class HandClock(Clock):
    """A clock moved by hand."""

    def __init__(self, time_scale: float = 1.0) -> None:
        super().__init__(time_scale)
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at


def test_a_bucket_refills_faster_by_the_time_scale_and_journals_when_it_was_empty() -> None:
    clock, journal = HandClock(10), Journal()
    bucket = Bucket(clock, journal, "x", "patch", capacity=2, refill_per_s=0.5, writes=True)
    assert bucket.refill_per_s == 5
    assert [bucket.take().ok, bucket.take().ok] == [True, True]
    refused = bucket.take()
    assert (refused.ok, refused.retry_after_s) == (False, 0.2)
    clock.at = 0.2
    assert bucket.take().ok
    empty = [(event.at, round(event.until, 6), event.writes) for event in journal.of(LimitEmpty)]
    assert empty == [(0.0, 0.2, True), (0.0, 0.2, True), (0.2, 0.4, True)]


def test_a_cost_bucket_takes_points_and_gives_back_what_was_not_used() -> None:
    clock = HandClock()
    bucket = Bucket(clock, Journal(), "x", "points", capacity=100, refill_per_s=50, unit=10)
    assert bucket.take(80).available == 20
    bucket.give_back(30)
    assert bucket.available == 50
    assert bucket.take(60).retry_after_s == pytest.approx(0.2)
    clock.at = 99.0
    assert bucket.available == 100


def test_a_skewed_clock_never_goes_back() -> None:
    clock = Clock()
    clock.skew("x", 3600)
    ahead = clock.now("x")
    assert ahead - datetime.now(UTC) > timedelta(minutes=59)
    clock.skew("x", -3600)
    assert clock.now("x") == ahead
    assert clock.now("y") < ahead


def test_a_time_scale_must_be_positive() -> None:
    with pytest.raises(ValueError, match="greater"):
        Clock(0)


def test_the_default_catalogue_is_the_same_for_the_same_seed() -> None:
    goods = default_products(400, 7)
    assert goods == default_products(400, 7)
    assert goods != default_products(400, 8)
    assert len({each.sku for each in goods}) == len({each.barcode for each in goods}) == 400
    stocks = [each.stock for each in goods]
    assert min(stocks) >= 5
    assert sum(1 for stock in stocks if stock <= 60) > 300
    assert any(stock >= 150 for stock in stocks)
    for each in goods:
        digits = [int(digit) for digit in each.barcode]
        assert sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10 == 0
