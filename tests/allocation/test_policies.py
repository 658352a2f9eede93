"""Policies by category, limits, location buffers, the preview and the clock on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.orders.support import make_connection, make_listing

from entrepot.allocation import facade as allocation
from entrepot.allocation import reading, store_policies
from entrepot.allocation.facade import CATEGORY, PRODUCT, VARIANT, WHOLE_SHOP, Limit, Scope
from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import NewProduct, NewVariant
from entrepot.database.pool import Database, Tx
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock

Learning = allocation.Learning


class Shop:
    """Products with one SKU each, filed by category, listed on two channels."""

    def __init__(self, database: Database, organisation_id: UUID) -> None:
        self.database, self.id = database, organisation_id
        self.variants: dict[str, UUID] = {}
        self.products: dict[str, UUID] = {}
        self.connections: dict[str, UUID] = {}
        self.listings: dict[tuple[str, str], UUID] = {}

    async def set_up(self, filed: Mapping[str, tuple[str, ...]], on_hand: int = 10) -> Shop:
        await self.save(filed)
        async with self.database.transaction(self.id) as tx:
            changes = [stock.StockChange(v, "opening", on_hand=on_hand) for v in self.variants.values()]
            await stock.change_on_hand(tx, changes, kind="count", actor="test")
            rows = await tx.fetch("select product_id, sku from variant where organisation_id = $1", self.id)
            self.products = {row["sku"]: row["product_id"] for row in rows}
        for place, channel in enumerate(("shopify", "amazon")):
            self.connections[channel] = await make_connection(self.database, self.id, channel, priority=place)
            for sku, variant in self.variants.items():
                self.listings[sku, channel] = await make_listing(
                    self.database, self.id, self.connections[channel], variant, f"{channel}-{sku}"
                )
        return self

    async def save(self, filed: Mapping[str, tuple[str, ...]], **more: Any) -> None:
        products = [
            NewProduct(sku.lower(), sku, (NewVariant(sku, 100, "EUR"),), category=c, **more) for sku, c in filed.items()
        ]
        async with self.database.transaction(self.id) as tx:
            self.variants |= await catalog.save_products(tx, products)

    async def category(self, *path: str) -> Scope:
        async with self.database.transaction(self.id) as tx:
            return Scope(CATEGORY, (await catalog.ensure_categories(tx, [path]))[path])

    def product(self, sku: str) -> Scope:
        return Scope(PRODUCT, self.products[sku])

    async def set(self, scope: Scope, strategy: str, parameters: Mapping[str, Any] | None = None) -> None:
        async with self.database.transaction(self.id) as tx:
            await allocation.set_policy(tx, strategy, parameters or {}, scope=scope)

    async def limit(self, scope: Scope, channel: str | None, limit: Limit) -> None:
        async with self.database.transaction(self.id) as tx:
            await allocation.set_limit(tx, scope, self.connections[channel] if channel else None, limit)

    async def shares(self, live: allocation.Live = allocation.Live()) -> dict[tuple[str, str], allocation.Share]:
        names = {listing: place for place, listing in self.listings.items()}
        async with self.database.transaction(self.id) as tx:
            found = await allocation.allot_variants(tx, list(self.variants.values()), live)
        return {names[share.listing_id]: share for share in found}

    async def shown(self) -> dict[tuple[str, str], int]:
        return {place: share.quantity for place, share in (await self.shares()).items()}

    async def told(self) -> set[str]:
        """Return the SKUs that were asked to be divided anew since the last call."""
        skus = {variant: sku for sku, variant in self.variants.items()}
        async with self.database.transaction(self.id) as tx:
            rows = await tx.fetch("select topic, payload from outbox where organisation_id = $1", self.id)
            await tx.execute("delete from outbox where organisation_id = $1", self.id)
        return {
            skus[UUID(v)] for row in rows if row["topic"] == stock.STOCK_CHANGED for v in row["payload"]["variant_ids"]
        }


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> Shop:
    filed = {"KNIFE": ("Home", "Kitchen", "Knives"), "CUP": ("Home", "Kitchen"), "SHIRT": ("Clothes",)}
    made = await Shop(database, organisation_id).set_up(filed)
    await made.told()
    return made


async def test_a_category_s_policy_counts_for_all_under_it_until_something_nearer(shop: Shop) -> None:
    home, kitchen, knives = [await shop.category("Home", *rest) for rest in ((), ("Kitchen",), ("Kitchen", "Knives"))]
    await shop.set(home, "equal")
    assert await shop.told() == {"KNIFE", "CUP"}
    shows = await shop.shown()
    assert [shows[sku, "shopify"] for sku in ("KNIFE", "CUP", "SHIRT")] == [5, 5, 4]
    await shop.set(knives, "pool_minus_buffer", {"buffer": 1})
    assert await shop.told() == {"KNIFE"}
    await shop.set(shop.product("CUP"), "pool_minus_buffer", {"buffer": 2})
    await shop.set(kitchen, "pool_minus_buffer", {"buffer": 3})
    shows = await shop.shown()
    assert [shows[sku, "shopify"] for sku in ("KNIFE", "CUP", "SHIRT")] == [9, 8, 4]
    async with shop.database.transaction(shop.id) as tx:
        assert (await allocation.in_force(tx, shop.product("KNIFE"))).scope == knives
        await allocation.drop_policy(tx, knives)
        assert (await allocation.in_force(tx, shop.product("KNIFE"))).scope == kitchen
        assert (await allocation.in_force(tx, knives)).scope == kitchen
        found = await allocation.in_force(tx, shop.product("SHIRT"))
        assert (found.scope, found.stored, found.policy.strategy) == (WHOLE_SHOP, False, "fixed_shares")
        with pytest.raises(allocation.NoSuchPolicy):
            await allocation.drop_policy(tx, knives)
    rows = await listed(shop)
    assert [(row.scope, row.name) for row in rows] == [
        ("category", "Home"),
        ("category", "Home › Kitchen"),
        ("product", "CUP"),
    ]


async def listed(shop: Shop) -> list[reading.PolicyRow]:
    """Return the list, read one by one."""
    rows: list[reading.PolicyRow] = []
    cursor = None
    async with shop.database.transaction(shop.id) as tx:
        while True:
            found = await reading.list_policies(tx, cursor, 1)
            rows += found
            cursor = found.next_cursor
            if cursor is None:
                return rows


async def test_a_product_that_is_filed_elsewhere_is_told_of(shop: Shop) -> None:
    await shop.save({"CUP": ("Clothes",)})
    async with shop.database.transaction(shop.id) as tx:
        rows = await tx.fetch(
            "select payload from outbox where organisation_id = $1 and topic = $2", shop.id, catalog.PRODUCTS_FILED
        )
    assert [row["payload"]["product_ids"] for row in rows] == [[str(shop.products["CUP"])]]
    await shop.told()
    await shop.save({"CUP": ("Clothes",)})
    await shop.save({"CUP": ("Clothes",)}, tags=("new",))
    async with shop.database.transaction(shop.id) as tx:
        told = "select count(*) from outbox where organisation_id = $1 and topic = $2"
        assert await tx.fetch_value(told, shop.id, catalog.PRODUCTS_FILED) == 1


async def test_what_does_not_exist_has_no_policy(shop: Shop) -> None:
    for kind in (PRODUCT, CATEGORY):
        with pytest.raises(allocation.NoSuchScope, match=f"no such {kind}"):
            await shop.set(Scope(kind, new_id()), "equal")
    with pytest.raises(allocation.NoSuchScope):
        await shop.limit(Scope(VARIANT, new_id()), None, Limit(cap=1))
    with pytest.raises(allocation.InvalidLimit):
        await shop.limit(WHOLE_SHOP, None, Limit(cap=1))
    async with shop.database.transaction(shop.id) as tx:
        with pytest.raises(allocation.NoSuchScope, match="connection"):
            await allocation.set_limit(tx, shop.product("CUP"), new_id(), Limit(cap=1))


# ---- limits ----------------------------------------------------------------------------------------------


async def test_limits_of_products_and_skus_are_fed_in_and_explained(shop: Shop) -> None:
    await shop.set(WHOLE_SHOP, "pool_minus_buffer")
    await shop.told()
    cup = Scope(VARIANT, shop.variants["CUP"])
    await shop.limit(shop.product("CUP"), None, Limit(buffer=3))
    assert await shop.told() == {"CUP"}
    await shop.limit(cup, "amazon", Limit(cap=4))
    await shop.limit(cup, "shopify", Limit(least=8))
    shares = await shop.shares()
    assert (shares["CUP", "amazon"].quantity, shares["CUP", "shopify"].quantity) == (4, 0)
    assert shares["CUP", "amazon"].steps == (
        "3 of 10 kept back for the product", "the pool of 7 less a buffer of 0", "at most 4"
    )  # fmt: skip
    assert shares["CUP", "shopify"].steps[-1] == "7 is less than the least it shows (8), so none"
    assert shares["KNIFE", "amazon"].quantity == 10
    await shop.limit(cup, "shopify", Limit(buffer=2))
    assert (await shop.shown())["CUP", "shopify"] == 5
    await shop.limit(cup, "shopify", Limit())
    await shop.told()
    await shop.limit(cup, "shopify", Limit())
    assert await shop.told() == set()
    async with shop.database.transaction(shop.id) as tx:
        rows = await reading.list_limits(tx)
        assert [(row.name, row.buffer, row.cap) for row in rows] == [("CUP", 3, None), ("CUP", None, 4)]
        assert len(await reading.list_limits(tx, search="KN")) == 0


async def test_a_location_s_buffer_stays_out_of_the_pool_of_skus_and_bundles(shop: Shop) -> None:
    await shop.set(WHOLE_SHOP, "pool_minus_buffer")
    async with shop.database.transaction(shop.id) as tx:
        depot = await stock.create_location(tx, "Depot")
        change = [stock.StockChange(shop.variants["CUP"], "count", on_hand=3, location_id=depot)]
        await stock.change_on_hand(tx, change, kind="count", actor="test")
        await catalog.put_parts(tx, shop.variants["SHIRT"], {shop.variants["KNIFE"]: 1, shop.variants["CUP"]: 2})
        main = await tx.fetch_value("select id from location where organisation_id = $1 and name = 'Main'", shop.id)
    await shop.told()
    assert (await shop.shown())["SHIRT", "shopify"] == 6
    async with shop.database.transaction(shop.id) as tx:
        await stock.change_location(tx, depot, buffer=5)
    assert await shop.told() == {"CUP"}
    async with shop.database.transaction(shop.id) as tx:
        await stock.change_location(tx, main, buffer=2)
        await stock.change_location(tx, main, buffer=2)
    assert await shop.told() == {"KNIFE", "CUP", "SHIRT"}
    shares = await shop.shares()
    assert shares["CUP", "shopify"].quantity == 8
    assert shares["CUP", "shopify"].steps[:2] == (
        "buffer of location Main: 2 kept back", "buffer of location Depot: 3 kept back"
    )  # fmt: skip
    assert shares["SHIRT", "shopify"].quantity == 4
    assert "buffer of location Depot: 3 of the part CUP kept back" in shares["SHIRT", "shopify"].steps
    async with shop.database.transaction(shop.id) as tx:
        # Orders may still take what is kept back from channels.
        assert (await stock.available_to_sell(tx, [shop.variants["CUP"]])) == {shop.variants["CUP"]: 13}


async def test_a_listing_that_only_ships_now_shows_none_and_others_there_are_left_alone(shop: Shop) -> None:
    async with shop.database.transaction(shop.id) as tx:
        await tx.execute(
            "update connection set fulfilment_only = true where organisation_id = $1 and id = $2",
            shop.id, shop.connections["shopify"],
        )  # fmt: skip
    live = allocation.Live(offered=frozenset({shop.listings["CUP", "shopify"]}))
    shares = await shop.shares(live)
    assert shares["CUP", "shopify"].quantity == 0
    assert shares["CUP", "shopify"].steps == ("it only fulfils, or is about to end",)
    assert ("KNIFE", "shopify") not in shares
    assert shares["CUP", "amazon"].quantity == shares["KNIFE", "amazon"].quantity == 4


# ---- preview ---------------------------------------------------------------------------------------------


async def previewed(
    shop: Shop, scope: Scope, strategy: str, parameters: Mapping[str, Any] | None = None
) -> allocation.Preview:
    draft = allocation.check_policy(strategy, parameters or {})
    async with shop.database.transaction(shop.id) as tx:
        before = await everything(tx)
        variants = await allocation.concerned_variants(tx, scope, draft)
        found = await allocation.preview(tx, draft, live=allocation.Live(), variants=variants, learning=Learning())
        assert await everything(tx) == before
    return found


async def everything(tx: Tx) -> list[Any]:
    return [
        await tx.fetch_value(f"select count(*) from {table} where organisation_id = $1", tx.organisation)
        for table in ("allocation_policy", "outbox", "listing_quantity", "allocation_limit")
    ]


async def test_a_preview_shows_what_changes_most_first_and_saves_nothing(shop: Shop) -> None:
    await shop.set(shop.product("SHIRT"), "equal")
    await shop.limit(Scope(VARIANT, shop.variants["CUP"]), None, Limit(cap=5))
    found = await previewed(shop, WHOLE_SHOP, "pool_minus_buffer")
    assert (found.concerned, found.examined, found.changed) == (2, 2, 2)
    shows = [(d.today.variant_id, d.today.quantity, d.draft.quantity) for d in found.differences]
    knife, cup = shop.variants["KNIFE"], shop.variants["CUP"]
    assert shows == [(knife, 4, 10), (knife, 3, 10), (cup, 4, 5), (cup, 3, 5)]
    none = await previewed(shop, await shop.category("Clothes"), "equal")
    assert (none.concerned, none.differences) == (0, ())
    same = await previewed(shop, shop.product("SHIRT"), "equal")
    assert (same.concerned, same.changed) == (1, 0)


@pytest.mark.parametrize("strategy", sorted(allocation.STRATEGIES))
async def test_every_strategy_can_be_previewed(shop: Shop, strategy: str) -> None:
    found = await previewed(shop, WHOLE_SHOP, strategy)
    assert len(found.differences) == 6
    assert all(d.draft.strategy == strategy and d.draft.steps for d in found.differences)
    # What is shown in a preview is what is shown once it is saved.
    await shop.set(WHOLE_SHOP, strategy)
    shows = {share.listing_id: share.quantity for share in (await shop.shares()).values()}
    assert {d.draft.listing_id: d.draft.quantity for d in found.differences} == shows


async def test_a_preview_of_rules_counts_where_each_holds(shop: Shop) -> None:
    rules = [
        {"name": "Amazon little", "if": {"channel": ["amazon"]}, "then": {"cap": 1}},
        {"name": "never", "if": {"stock": {"below": 3}}, "then": {"quantity": 0}},
    ]
    found = await previewed(shop, WHOLE_SHOP, "rules", {"rules": rules, "otherwise": {"strategy": "equal"}})
    assert [(r.name, r.holds, r.listings, r.why_not) for r in found.rules] == [
        ("Amazon little", 3, 6, "the channel is shopify"),
        ("never", 0, 6, "there are 10 units"),
    ]
    assert {d.draft.quantity for d in found.differences} == {1, 5}


# ---- the clock -------------------------------------------------------------------------------------------

SATURDAY = datetime(2026, 11, 21, 17, 59, 30, tzinfo=UTC)
NIGHT = {"rules": [{"if": {"time": {"days": ["sat"], "from": "18:00", "to": "20:00"}}, "then": {"cap": 1}}]}


async def follow(shop: Shop, now: datetime) -> int:
    async with shop.database.transaction(shop.id) as tx:
        return await allocation.follow_clock(tx, now)


async def test_rules_are_followed_at_their_hours_and_only_then(shop: Shop) -> None:
    await shop.set(await shop.category("Home"), "rules", NIGHT)
    await shop.set(shop.product("SHIRT"), "rules", {"rules": [{"then": {"cap": 1}}]})
    async with shop.database.transaction(shop.id) as tx:
        clocked = await store_policies.lock_clocked(tx)
        assert len(clocked) == 1
        assert abs(clocked[0]["clock_at"] - utc_now()) < timedelta(minutes=1)
        await store_policies.set_clock(tx, [clocked[0]["id"]], SATURDAY)
    await shop.told()
    assert await follow(shop, SATURDAY + timedelta(seconds=20)) == 0
    assert await shop.told() == set()
    assert await follow(shop, SATURDAY + timedelta(minutes=1)) == 2
    assert await shop.told() == {"KNIFE", "CUP"}
    assert await follow(shop, SATURDAY + timedelta(minutes=2)) == 0
    # After a pause over the end of the hours, once.
    assert await follow(shop, SATURDAY + timedelta(hours=5)) == 2
    assert await follow(shop, SATURDAY + timedelta(hours=4)) == 0
    assert await follow(shop, SATURDAY + timedelta(hours=6)) == 0


# ---- two at once -----------------------------------------------------------------------------------------


async def test_writers_of_policies_limits_and_locations_do_not_trip_over_each_other(shop: Shop) -> None:
    cup, variant = shop.product("CUP"), Scope(VARIANT, shop.variants["CUP"])
    await shop.set(WHOLE_SHOP, "rules", NIGHT)
    async with shop.database.transaction(shop.id) as tx:
        main = await tx.fetch_value("select id from location where organisation_id = $1", shop.id)

    async def drop() -> None:
        async with shop.database.transaction(shop.id) as tx:
            with contextlib.suppress(allocation.NoSuchPolicy):
                await allocation.drop_policy(tx, cup)

    async def keep_back(units: int) -> None:
        async with shop.database.transaction(shop.id) as tx:
            await stock.change_location(tx, main, buffer=units)

    async def sell(units: int) -> None:
        async with shop.database.transaction(shop.id) as tx:
            change = stock.StockChange(shop.variants["CUP"], "count", on_hand=units)
            await stock.change_on_hand(tx, [change], kind="count", actor="test")

    async with asyncio.timeout(60):
        for number in range(6):
            await asyncio.gather(
                shop.set(cup, "equal"), shop.set(cup, "pool_minus_buffer"), drop(),
                shop.limit(variant, "amazon", Limit(cap=number)), shop.limit(variant, "amazon", Limit(cap=number, least=0)),
                shop.limit(variant, "amazon", Limit()), keep_back(number), keep_back(0), sell(10 + number), sell(20),
                follow(shop, utc_now() + timedelta(days=number * 2)), follow(shop, utc_now() + timedelta(days=number * 2)),
            )  # fmt: skip
    async with shop.database.transaction(shop.id) as tx:
        assert await stock.verify(tx) == []
        count = "select count(*) from {} where organisation_id = $1"
        assert await tx.fetch_value(count.format("allocation_policy"), shop.id) in (1, 2)
        assert await tx.fetch_value(count.format("allocation_limit"), shop.id) in (0, 1)


# ---- what was learned ------------------------------------------------------------------------------------


async def test_lags_and_rates_are_told_with_what_is_behind_them(shop: Shop) -> None:
    now = utc_now()
    async with shop.database.transaction(shop.id) as tx:
        await tx.execute(
            "update connection set created_at = now() - interval '10 days' where organisation_id = $1", shop.id
        )
        await allocation.count_lags(tx, shop.connections["shopify"], allocation.HEARD, [2.0] * 30, now)
        await allocation.count_lags(tx, shop.connections["amazon"], allocation.SHOWN, [5.0] * 3, now)
        await allocation.count_sales(tx, shop.connections["shopify"], [(shop.variants["CUP"], 5)] * 4, now, Learning())
        lags = {(lag.channel, lag.kind): lag for lag in await reading.list_lags(tx, now, Learning())}
        rates = list(await reading.list_rates(tx, Learning()))
        [first] = await reading.list_rates(tx, Learning(), limit=1)
        [cup] = await reading.list_rates(tx, Learning(), search="CU")
    heard = lags["shopify", "heard"]
    assert (heard.count, heard.known, round(heard.p99_s or 0)) == (30, True, 2)
    assert (lags["amazon", "shown"].count, lags["amazon", "shown"].known) == (3, False)
    assert (lags["amazon", "heard"].count, lags["amazon", "heard"].p99_s) == (0, None)
    assert len(lags) == 4
    assert [sku.sku for sku in rates] == ["CUP", "KNIFE", "SHIRT"]
    assert first.sku == "CUP"
    sold, none = cup.rates
    assert (sold.sold_30_days, round(sold.counted), none.sold_30_days, none.counted) == (20, 20, None, 0)
    # Drawn towards what is usual: a channel without sales of it gets a little, the other gives it.
    assert 0 == none.own < none.used < sold.used < sold.own
    assert (cup.lag_known, cup.lag_p99_s, cup.mode) == (False, 900.0, "pool")
    # Five at once, drawn towards what is usual: that is five too.
    assert cup.lot == pytest.approx(5.0)
    assert cup.in_lag == pytest.approx(cup.used * 900 / 86_400)
