"""Shoppers and the replay of a real order file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrepot_sandbox.books import World
from entrepot_sandbox.goods import default_products
from entrepot_sandbox.journal import Cancelled, Returned, SaleLost, Sold, WriteKind
from entrepot_sandbox.replay import (
    Entry,
    ReplayDemand,
    available,
    entry_of,
    product_code,
    read_invoices,
    replay_products,
)
from entrepot_sandbox.server import Config, Sandbox
from entrepot_sandbox.shoppers import ModelDemand, Regret, Shoppers, Visit, default_shares

SHARES = default_shares(("shopify", "amazon", "square"))


def stocked(**config: Any) -> Sandbox:
    """Return a sandbox whose Square offers everything."""
    sandbox = Sandbox(Config(channels=("square",), **config), "http://127.0.0.1:1")
    offer(sandbox.world)
    return sandbox


def offer(world: World) -> None:
    for shop in world.shops.values():
        for listing in shop.listings.values():
            shop.write_quantity(listing, listing.product.stock, kind=WriteKind.ABSOLUTE, request_id="r")


def visits(demand: ModelDemand, count: int) -> list[Visit]:
    return [next(demand) for _ in range(count)]


def test_the_model_is_the_same_for_the_same_seed() -> None:
    def of(seed: int) -> list[Visit]:
        return visits(ModelDemand(World(default_products(30, seed), seed=seed), SHARES), 200)

    assert of(1) == of(1) != of(2)


def test_the_model_wants_few_things_much_and_spreads_over_channels() -> None:
    seen = visits(ModelDemand(World(default_products(100, 1), seed=1), SHARES), 4000)
    channels = Counter(visit.channel for visit in seen)
    assert channels["shopify"] > channels["amazon"] > channels["square"] > 400
    units = Counter(sku for visit in seen for sku, _ in visit.sale.lines)
    assert sum(count for _, count in units.most_common(10)) > 0.3 * units.total()
    assert {len(visit.sale.lines) for visit in seen} == {1, 2, 3}
    assert {amount for visit in seen for _, amount in visit.sale.lines} == {1, 2, 3}
    assert 0.9 < sum(visit.gap for visit in seen) / len(seen) < 1.1


def test_shares_add_up_for_any_channels() -> None:
    assert sum(default_shares(("square", "shopify")).values()) == pytest.approx(1)
    assert default_shares(("shopify", "amazon", "square")) == pytest.approx(
        {"shopify": 0.5, "amazon": 0.3, "square": 0.2}
    )


async def test_shoppers_stop_at_their_target_and_things_sell_out() -> None:
    sandbox = stocked(seed=2, products=20)
    sandbox.shoppers.start(300, 100_000, 0)
    await sandbox.shoppers.wait()
    shop = sandbox.world.shops["square"]
    assert sandbox.shoppers.placed == len(shop.orders) == 300
    assert not sandbox.shoppers.running
    assert sum(1 for listing in shop.listings.values() if listing.quantity == 0) >= 3
    assert all(listing.quantity >= 0 for listing in shop.listings.values())
    assert any(sandbox.world.journal.of(SaleLost))
    await sandbox.close()


async def test_the_same_seed_sells_the_same() -> None:
    async def of(seed: int) -> list[tuple[str, str, int]]:
        sandbox = stocked(seed=seed, products=10)
        sandbox.shoppers.start(50, 100_000, 0)
        await sandbox.shoppers.wait()
        await sandbox.close()
        return [(event.order_id, event.sku, event.quantity) for event in sandbox.world.journal.of(Sold)]

    assert await of(3) == await of(3)
    assert await of(3) != await of(4)


async def test_shoppers_go_home_when_there_is_nothing_to_buy() -> None:
    sandbox = Sandbox(Config(channels=("square",), products=2), "http://127.0.0.1:1")
    sandbox.shoppers.start(5, 1_000_000)
    await sandbox.shoppers.wait()
    assert (sandbox.shoppers.placed, sandbox.shoppers.attempts) == (0, 1000)
    await sandbox.close()


async def test_a_second_run_adds_to_the_first_and_two_at_once_are_refused() -> None:
    sandbox = stocked(products=20)
    sandbox.shoppers.start(5, 100_000, 0)
    with pytest.raises(ValueError, match="running"):
        sandbox.shoppers.start(5, 10, 0)
    await sandbox.shoppers.wait()
    sandbox.shoppers.start(5, 100_000, 0)
    await sandbox.shoppers.wait()
    assert sandbox.shoppers.placed == sandbox.shoppers.target == 10
    await sandbox.close()


@pytest.mark.parametrize("wrong", [(0, 1, 0), (1, 0, 0), (1, float("nan"), 0), (1, 1, 1.5)])
async def test_numbers_that_make_no_sense_are_refused(wrong: tuple[int, float, float]) -> None:
    sandbox = stocked(products=1)
    with pytest.raises(ValueError, match="Tell"):
        sandbox.shoppers.start(*wrong)


# -- replay --


def row(**more: Any) -> list[Any]:
    told = {
        "InvoiceNo": "536365",
        "StockCode": "85123a",
        "Description": "WHITE  HEART ",
        "Quantity": 6,
        "InvoiceDate": 0,
        "UnitPrice": 2.55,
        "CustomerID": 17850,
        "Country": "EIRE",
    }
    return [*(told | more).values()]


def entry(invoice: str, sku: str, units: int, minute: int, customer: str = "c") -> Entry:
    made = entry_of(
        row(
            InvoiceNo=invoice,
            StockCode=sku,
            Quantity=units,
            InvoiceDate=minute * 60_000_000,
            CustomerID=customer or None,
        )
    )
    assert made is not None
    return made


def test_a_row_becomes_an_entry() -> None:
    made = entry_of(row())
    assert made is not None
    assert (made.sku, made.title, str(made.price), made.country) == ("85123A", "White heart", "2.55", "IE")


@pytest.mark.parametrize(
    "code",
    ["POST", "D", "M", "m", "BANK CHARGES", "AMAZONFEE", "DOT", "CRUK", "S", "PADS", "B", "C2", "gift_0001_20", ""],
)
def test_codes_that_are_no_products(code: str) -> None:
    assert product_code(code) is None


@pytest.mark.parametrize("wrong", [{"UnitPrice": 0.0}, {"UnitPrice": -5.0}, {"Quantity": -3}, {"InvoiceNo": "C1"}])
def test_rows_that_are_neither_sale_nor_cancellation(wrong: dict[str, Any]) -> None:
    assert entry_of(row(**wrong)) is None


def replayed(invoices: list[list[Entry]]) -> Iterator[Visit | Regret]:
    world = World(replay_products(invoices, 0, 1), seed=1)
    demand = ReplayDemand(world, invoices, SHARES)
    while True:
        try:
            yield next(demand)
        except StopIteration:
            return


def test_invoices_become_visits_and_cancellations_regrets() -> None:
    invoices = [
        [entry("1", "11111", 6, 0), entry("1", "22222", 1, 0)],
        [entry("C2", "11111", -2, 10)],
        [entry("3", "22222", 1, 40)],
    ]
    first, regret, second = replayed(invoices)
    assert isinstance(first, Visit)
    assert isinstance(second, Visit)
    assert first.sale.lines == (("11111", 6), ("22222", 1))
    assert first.sale.buyer == second.sale.buyer
    assert first.channel == second.channel
    assert regret == Regret("c", "11111", 2, 0.0)
    assert second.gap > first.gap


async def run(invoices: list[list[Entry]], ship: bool = False) -> World:
    """Replay on a Square that has plenty; ship what was sold before anyone regrets."""
    sandbox = Sandbox(Config(channels=("square",), products=1), "http://127.0.0.1:1")
    world, shop = sandbox.world, sandbox.world.shops["square"]
    for each in replay_products(invoices, 0, 1):
        world.products[each.sku] = each
        shop.write_quantity(
            shop.add_listing(each, each.sku, {"item_id": "i", "listed_at": "", "version": "1"}),
            10,
            kind=WriteKind.ABSOLUTE,
            request_id="r",
        )
    demand = ReplayDemand(world, invoices, {"square": 1.0})
    shoppers = Shoppers(world, sandbox.markets, demand)
    shoppers.start(99, 1000)
    await shoppers.wait()
    await sandbox.close()
    return world


async def test_a_regret_cancels_units_of_the_latest_order() -> None:
    world = await run([[entry("1", "11111", 3, 0)], [entry("2", "11111", 4, 1)], [entry("C3", "11111", -5, 2)]])
    orders = list(world.shops["square"].orders.values())
    assert [order.lines[0].cancelled for order in orders] == [1, 4]
    assert [event.quantity for event in world.journal.of(Cancelled)] == [4, 1]
    assert not list(world.journal.of(Returned))


async def test_a_shopper_of_the_file_takes_what_is_there() -> None:
    world = await run([[entry("1", "11111", 30, 0), entry("1", "22222", 2, 0)]])
    assert [(event.sku, event.quantity) for event in world.journal.of(Sold)] == [("22222", 2)]
    assert [(event.sku, event.wanted) for event in world.journal.of(SaleLost)] == [("11111", 30)]


async def test_a_regret_without_an_order_changes_nothing() -> None:
    world = await run([[entry("C1", "11111", -5, 2), entry("C1", "33333", -5, 2)], [entry("2", "11111", 1, 3)]])
    assert not list(world.journal.of(Cancelled))


@pytest.mark.slow
def test_the_real_file(data: Path) -> None:
    folder = data / "uci_online_retail"
    if not available(folder):
        pytest.skip(f"There is no order file at {folder}.")
    invoices = read_invoices(folder, 50_000)
    assert 1_500 < len(invoices) < 3_000
    products = replay_products(invoices, 500, 1)
    assert len(products) == 500
    assert "85123A" in {each.sku for each in products[:3]}
    assert all(each.price > 0 and each.stock > 0 for each in products)
    world = World(products, seed=1)
    demand = ReplayDemand(world, invoices, SHARES)
    happenings = [next(demand) for _ in range(1000)]
    assert {type(each) for each in happenings} == {Visit, Regret}
