"""Listings without a variant: by barcode, by likeness, and what keeps the proposals up to date. Real PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from tests.catalog.match_support import DRILL, GOODS, MUG, SAW, Shop, connection, listing, product, shop
from tests.database.waiting import waiting_for

from entrepot.catalog import editing, match_queue, match_store
from entrepot.catalog import facade as catalog
from entrepot.catalog.editing import ProductEdit
from entrepot.catalog.match_work import Sizes
from entrepot.catalog.matching.features import NAMES
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now

DRILL_THERE = listing("9", "Makita DHP-453 18V combi drill, cordless", vendor="Makita")


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> Shop:
    return await shop(database, organisation_id)


async def test_a_listing_is_proposed_the_variant_that_it_reads_like(hub: Shop) -> None:
    found = await hub.show(DRILL_THERE)
    assert await hub.queued() == 1
    done = await hub.match()
    assert (done["listings"], done["matched"]) == (1, 0)
    best, *_ = await hub.candidates(found["9"])
    assert best["variant_id"] == hub.variants["D1"]
    assert best["score_ppm"] > 800_000
    assert "Both name dhp453." in best["reasons"]
    assert len(best["facts"]) == len(NAMES)
    assert await hub.variant_of(found["9"]) is None


async def test_what_is_like_nothing_is_proposed_nothing(hub: Shop) -> None:
    found = await hub.show(listing("1", "Organic lavender soap bar", price="4.00"), listing("2", "X" * 5000))
    await hub.match()
    assert not await hub.candidates(found["1"])
    assert not await hub.candidates(found["2"])


@pytest.mark.parametrize("written", ["3165140649186", "3165140649186 ", "03165140649186", "3-165140-649186"])
async def test_a_barcode_decides_however_it_is_written(hub: Shop, written: str) -> None:
    found = await hub.show(listing("7", "Pendelhubstichsäge", barcode=written))
    assert (await hub.match())["matched"] == 1
    assert await hub.variant_of(found["7"]) == hub.variants["S1"]
    async with hub.database.transaction(hub.id) as tx:
        topics = await tx.fetch(
            "select payload from outbox where organisation_id = $1 and topic = 'catalog.listings_matched'", hub.id
        )
        assert [row["payload"] for row in topics] == [{"listings": [str(found["7"])]}]
        audited = await tx.fetch_row("select actor_name, after from audit_log where action = 'match.by-hub'")
    assert audited is not None
    assert audited["after"] == {"variantId": str(hub.variants["S1"]), "by": "barcode"}


async def test_a_barcode_with_a_wrong_check_digit_decides_nothing(hub: Shop) -> None:
    found = await hub.show(listing("7", "Pendelhubstichsäge", barcode="3165140649187"))
    await hub.match()
    assert await hub.variant_of(found["7"]) is None


async def test_a_barcode_of_two_variants_or_two_listings_is_left_to_a_person(hub: Shop) -> None:
    await hub.save(product("S2", "Stichsäge im Koffer", "Bosch", 6900, SAW[4]))
    one = await hub.show(listing("7", "Pendelhubstichsäge", barcode=SAW[4]))
    two = await hub.show(listing("8", "Bohrer", barcode=DRILL[4]), listing("9", "Bohrer neu", barcode=DRILL[4]))
    await hub.match()
    assert [await hub.variant_of(each) for each in (one["7"], two["8"], two["9"])] == [None] * 3


async def test_a_second_listing_of_a_barcode_on_one_connection_is_left_to_a_person(hub: Shop) -> None:
    await hub.show(listing("1", "Stichsäge", sku="S1"))
    found = await hub.show(listing("7", "Pendelhubstichsäge", barcode=SAW[4]))
    await hub.match()
    assert await hub.variant_of(found["7"]) is None


async def test_another_barcode_is_never_the_same_product(hub: Shop) -> None:
    found = await hub.show(replace(DRILL_THERE, barcode="4006381333931"))
    await hub.match()
    assert hub.variants["D1"] not in {row["variant_id"] for row in await hub.candidates(found["9"])}


async def test_barcodes_can_be_switched_off(hub: Shop) -> None:
    async with hub.database.transaction(hub.id) as tx:
        await match_queue.change_settings(tx, hub.actor, by_barcode=False, by_itself=False)
    found = await hub.show(listing("7", "Pendelhubstichsäge", barcode=SAW[4]))
    await hub.match()
    assert await hub.variant_of(found["7"]) is None
    async with hub.database.transaction(hub.id) as tx:
        await match_queue.change_settings(tx, hub.actor, by_barcode=True, by_itself=False)
    assert (await hub.match())["matched"] == 1


async def test_a_listing_that_changes_is_compared_again_and_one_that_does_not_is_not(hub: Shop) -> None:
    found = await hub.show(listing("1", "Something else", price="4.00"))
    assert (await hub.match())["listings"] == 1
    await hub.show(listing("1", "Something else", price="4.00"))
    assert (await hub.match())["listings"] == 0
    await hub.show(replace(DRILL_THERE, ref=listing("1", "").ref))
    assert (await hub.match())["listings"] == 1
    assert [row["variant_id"] for row in await hub.candidates(found["1"])] == [hub.variants["D1"]]
    await hub.show(listing("1", "Something else", price="4.00"))
    await hub.match()
    assert not await hub.candidates(found["1"])


async def test_a_new_variant_is_proposed_to_a_listing_that_waits(hub: Shop) -> None:
    found = await hub.show(listing("1", "Stanley FatMax hammer 450 g", price="20.00"), listing("2", "Bamboo flute"))
    await hub.match()
    assert not await hub.candidates(found["1"])
    await hub.save(product("H1", "Stanley FatMax hammer 450 g", "Stanley", 2100, ""))
    assert await hub.queued() == 1
    assert (await hub.match())["listings"] == 1
    assert [row["variant_id"] for row in await hub.candidates(found["1"])] == [hub.variants["H1"]]


async def test_when_very_many_variants_change_every_waiting_listing_is_compared(hub: Shop) -> None:
    await hub.show(listing("1", "Bamboo flute"), listing("2", "Garden gnome"))
    await hub.match()
    await hub.save(product("H1", "Stanley FatMax hammer 450 g", "Stanley", 2100, ""))
    assert (await hub.match(Sizes(changed_most=0)))["listings"] == 2


async def test_a_variant_that_changes_changes_what_it_is_proposed_for(hub: Shop) -> None:
    found = await hub.show(DRILL_THERE)
    await hub.match()
    async with hub.database.transaction(hub.id) as tx:
        product_id = await tx.fetch_value("select product_id from variant where id = $1", hub.variants["D1"])
        await editing.save(tx, product_id, ProductEdit({"status": "archived"}))
    await hub.match()
    assert hub.variants["D1"] not in {row["variant_id"] for row in await hub.candidates(found["9"])}


async def test_a_new_barcode_matches_a_listing_that_waits(hub: Shop) -> None:
    found = await hub.show(listing("1", "Becher", barcode="4006381333931"))
    await hub.match()
    await hub.save(product(*MUG[:4], "4006381333931"))
    assert (await hub.match())["matched"] == 1
    assert await hub.variant_of(found["1"]) == hub.variants["M1"]


async def test_what_is_matched_by_sku_later_waits_no_more(hub: Shop) -> None:
    found = await hub.show(replace(DRILL_THERE, sku="ODD-1"))
    await hub.match()
    await hub.save(product("ODD-1", "Makita drill as they call it", "Makita", 8900, ""))
    assert await hub.variant_of(found["9"]) == hub.variants["ODD-1"]
    await hub.match()
    assert not await hub.candidates(found["9"])


async def test_the_variants_of_a_product_are_told_apart_by_their_options(
    database: Database, organisation_id: UUID
) -> None:
    hub = await shop(database, organisation_id, ())
    shirt = product("T", "Linen shirt", "Loom", 4000, "")
    sizes = tuple(
        replace(shirt.variants[0], sku=f"T-{c}-{s}", option_values=(c, s)) for c in ("Red", "Blue") for s in ("S", "XL")
    )
    await hub.save(replace(shirt, variants=sizes, option_names=("Colour", "Size")))
    found = await hub.show(
        listing("1", "Linen shirt", vendor="Loom", price="40.00", options=(("Colour", "Blue"), ("Size", "XL")))
    )
    await hub.match()
    assert (await hub.candidates(found["1"]))[0]["variant_id"] == hub.variants["T-Blue-XL"]


async def test_each_connection_may_list_a_variant(hub: Shop) -> None:
    async with hub.database.transaction(hub.id) as tx:
        other = await connection(tx, "amazon")
    here, there = await hub.show(DRILL_THERE), await hub.show(DRILL_THERE, connection_id=other)
    await hub.match()
    scores = [(await hub.candidates(each["9"]))[0]["score_ppm"] for each in (here, there)]
    assert scores[0] == scores[1] > 800_000


async def test_a_listing_whose_variant_another_one_has_there_is_less_likely(hub: Shop) -> None:
    first = await hub.show(DRILL_THERE)
    await hub.match()
    alone = (await hub.candidates(first["9"]))[0]["score_ppm"]
    await hub.show(listing("1", DRILL[1], sku="D1"))
    async with hub.database.transaction(hub.id) as tx:
        await match_store.mark_all_due(tx)
    await hub.match()
    assert (await hub.candidates(first["9"]))[0]["score_ppm"] < alone


async def test_rounds_are_bounded_and_all_are_done(hub: Shop) -> None:
    found = await hub.show(*(replace(DRILL_THERE, ref=listing(str(n), "").ref) for n in range(8)))
    done = await hub.match(Sizes(round=3, page=2))
    assert (done["listings"], done["proposed"]) == (8, 8)
    assert all([await hub.candidates(each) for each in found.values()])


async def test_a_listing_that_changes_while_it_is_compared_is_compared_again(hub: Shop) -> None:
    found = await hub.show(DRILL_THERE)
    async with hub.database.transaction(hub.id) as tx:
        # Not committed yet: the job compares what it was, and waits here when it is to say so.
        mug = listing("9", "Enamel camping mug white 350 ml", price="12.00")
        await catalog.save_listings(tx, hub.connection_id, [mug], utc_now())
        matching = asyncio.create_task(hub.match())
        await waiting_for(tx)
    await matching
    assert [row["variant_id"] for row in await hub.candidates(found["9"])] == [hub.variants["M1"]]


async def test_one_organisation_sees_nothing_of_another(database: Database, organisation_id: UUID, hub: Shop) -> None:
    await hub.show(DRILL_THERE)
    await hub.match()
    async with database.transaction(None) as tx:
        assert not await tx.fetch("select 1 from match_candidate")
        assert not await tx.fetch("select 1 from match_listing")


def test_the_goods_of_these_tests_have_valid_barcodes() -> None:
    from entrepot.catalog.matching import gtin

    assert [bool(gtin.normalised(each[4])) for each in GOODS] == [True, True, False]
