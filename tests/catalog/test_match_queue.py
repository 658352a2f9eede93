"""What people decide about match candidates: once, audited, for good, and undone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from tests.catalog.match_support import DRILL, MUG, Shop, connection, listing, product, shop

from entrepot.catalog import facade as catalog
from entrepot.catalog import match_learned_store, match_queue, match_store
from entrepot.catalog.contracts import InvalidProduct, SkuTaken, VariantNotFound
from entrepot.catalog.match_contracts import (
    AlreadyDecided,
    AlreadyMatched,
    CandidateNotFound,
    InvalidScore,
    ListingNotFound,
    Matched,
    NotMatched,
)
from entrepot.catalog.matching.features import NAMES
from entrepot.database.pool import Database, Tx
from entrepot.identity.contracts import system_actor
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_id

THERE = listing("9", "Makita DHP-453 18V combi drill, cordless", vendor="Makita", sku="MKT-9")


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> Shop:
    return await shop(database, organisation_id)


@pytest.fixture
async def waiting(hub: Shop) -> UUID:
    """A listing that is proposed the drill."""
    found = await hub.show(THERE)
    await hub.match()
    return found["9"]


async def candidate_of(hub: Shop, listing_id: UUID) -> UUID:
    candidate: UUID = (await hub.candidates(listing_id))[0]["id"]
    return candidate


async def test_accepting_gives_the_listing_its_variant_and_says_who_did(hub: Shop, waiting: UUID) -> None:
    async with hub.database.transaction(hub.id) as tx:
        matched = await match_queue.accept(tx, hub.actor, await candidate_of(hub, waiting))
    assert matched == Matched(waiting, hub.variants["D1"], "MKT-9")
    assert await hub.variant_of(waiting) == hub.variants["D1"]
    (row,) = await hub.candidates(waiting)
    assert (row["state"], row["decided_by"], row["by_person"]) == ("accepted", "Ada", True)
    async with hub.database.transaction(hub.id) as tx:
        audited = await tx.fetch_row("select * from audit_log where action = 'match.accept'")
        told = await tx.fetch_value(
            "select count(*) from outbox where organisation_id = $1 and topic = 'catalog.listings_matched'", hub.id
        )
    assert audited is not None
    assert (audited["actor_name"], audited["subject_id"]) == ("Ada", str(waiting))
    assert told == 1


async def test_what_is_rejected_never_comes_back(hub: Shop, waiting: UUID) -> None:
    candidate = await candidate_of(hub, waiting)
    async with hub.database.transaction(hub.id) as tx:
        await match_queue.reject(tx, hub.actor, candidate)
        await match_queue.reject(tx, hub.actor, candidate)  # Twice is once.
    await hub.show(replace(THERE, title="Makita DHP453 combi drill 18 V", barcode=DRILL[4]))
    await hub.match()
    assert [row["state"] for row in await hub.candidates(waiting)] == ["rejected"]
    # Not even by its SKU.
    await hub.show(replace(THERE, sku="D1"))
    assert await hub.variant_of(waiting) is None
    await hub.save(product(*DRILL))
    assert await hub.variant_of(waiting) is None
    with pytest.raises(EntrepotError):
        async with hub.database.transaction(hub.id) as tx:
            await match_queue.accept(tx, hub.actor, candidate)
    async with hub.database.transaction(hub.id) as tx:
        await match_queue.reopen(tx, hub.actor, candidate)
    async with hub.database.transaction(hub.id) as tx:
        await match_queue.accept(tx, hub.actor, candidate)
    assert await hub.variant_of(waiting) == hub.variants["D1"]


async def test_a_match_that_is_undone_does_not_come_back_either(hub: Shop) -> None:
    found = await hub.show(replace(THERE, sku="D1"))
    async with hub.database.transaction(hub.id) as tx:
        assert await match_queue.unmatch(tx, hub.actor, found["9"]) == hub.variants["D1"]
        with pytest.raises(NotMatched):
            await match_queue.unmatch(tx, hub.actor, found["9"])
    await hub.show(replace(THERE, sku="D1"))
    await hub.match()
    assert await hub.variant_of(found["9"]) is None
    assert {(row["variant_id"], row["state"]) for row in await hub.candidates(found["9"])} == {
        (hub.variants["D1"], "rejected")
    }
    async with hub.database.transaction(hub.id) as tx:
        told = await tx.fetch_value(
            "select payload from outbox where organisation_id = $1 and topic = 'catalog.listings_unmatched'", hub.id
        )
    assert told == {"listings": [str(found["9"])], "variant_ids": [str(hub.variants["D1"])]}


async def test_a_person_may_choose_any_variant(hub: Shop, waiting: UUID) -> None:
    async with hub.database.transaction(hub.id) as tx:
        with pytest.raises(VariantNotFound):
            await match_queue.assign(tx, hub.actor, waiting, new_id())
        with pytest.raises(ListingNotFound):
            await match_queue.assign(tx, hub.actor, new_id(), hub.variants["M1"])
        await match_queue.assign(tx, hub.actor, waiting, hub.variants["M1"])
        with pytest.raises(AlreadyMatched):
            await match_queue.assign(tx, hub.actor, waiting, hub.variants["S1"])
    assert await hub.variant_of(waiting) == hub.variants["M1"]
    assert [row["state"] for row in await hub.candidates(waiting)] == ["accepted"]


async def test_a_new_product_is_made_of_a_listing(hub: Shop) -> None:
    found = await hub.show(listing("1", "Stanley hammer", price="20.50", vendor="Stanley", barcode="4006381333931"))
    async with hub.database.transaction(hub.id) as tx:
        with pytest.raises(InvalidProduct, match="no SKU"):
            await match_queue.make_product(tx, hub.actor, found["1"])
        with pytest.raises(SkuTaken):
            await match_queue.make_product(tx, hub.actor, found["1"], "D1")
        made = await match_queue.make_product(tx, hub.actor, found["1"], "HAMMER")
        row = await tx.fetch_row(
            "select p.title as product_title, p.vendor, v.* from variant v join product p on p.id = v.product_id"
            " where v.sku = 'HAMMER'"
        )
    assert row is not None
    assert (row["product_title"], row["vendor"], row["barcode"]) == ("Stanley hammer", "Stanley", "4006381333931")
    assert (row["price_minor"], row["currency"]) == (2050, "EUR")
    assert await hub.variant_of(found["1"]) == made.variant_id == row["id"]


async def test_a_new_product_may_take_over_the_listing_s_own_sku(hub: Shop, waiting: UUID) -> None:
    async with hub.database.transaction(hub.id) as tx:
        made = await match_queue.make_product(tx, hub.actor, waiting)
    assert await hub.variant_of(waiting) == made.variant_id
    async with hub.database.transaction(hub.id) as tx:
        assert await tx.fetch_value("select sku from variant where id = $1", made.variant_id) == "MKT-9"


async def test_a_listing_without_a_price_makes_no_product(hub: Shop) -> None:
    found = await hub.show(replace(THERE, price=None))
    async with hub.database.transaction(hub.id) as tx:
        with pytest.raises(InvalidProduct, match="no price"):
            await match_queue.make_product(tx, hub.actor, found["9"])


async def test_many_are_accepted_from_a_score_on_but_no_variant_twice_on_a_connection(hub: Shop) -> None:
    twin = replace(THERE, ref=listing("8", "").ref)
    found = await hub.show(THERE, twin, listing("1", MUG[1], price="12.00", vendor="Falcon"))
    await hub.match()
    async with hub.database.transaction(hub.id) as tx:
        with pytest.raises(InvalidScore):
            await match_queue.accept_above(tx, hub.actor, 0.2)
        matched = await match_queue.accept_above(tx, hub.actor, 0.5)
    assert {each.variant_id for each in matched} == {hub.variants["D1"], hub.variants["M1"]}
    assert {await hub.variant_of(found[key]) for key in ("8", "9")} == {hub.variants["D1"], None}
    async with hub.database.transaction(hub.id) as tx:
        assert await match_queue.accept_above(tx, hub.actor, 0.5) == []
        assert await match_learned_store.count_decisions(tx) == 0, "nobody looked at each of them"


# ---- two at once -------------------------------------------------------------------------------------------------

Do = Callable[[Tx], Awaitable[Any]]


async def both(hub: Shop, one: Do, other: Do) -> list[BaseException | Any]:
    """Do two things at once, each in its transaction; return what became of them."""

    both_open = asyncio.Barrier(2)

    async def do(work: Do) -> Any:
        async with hub.database.transaction(hub.id) as tx:
            # A new connection takes longer than all the rest.
            await both_open.wait()
            done = await work(tx)
            await asyncio.sleep(0.01)
            return done

    return await asyncio.gather(do(one), do(other), return_exceptions=True)


def writers(hub: Shop, listing_id: UUID, candidate: UUID) -> dict[str, Do]:
    ada, bob = hub.actor, system_actor(hub.id, "Bob")
    return {
        "accept": lambda tx: match_queue.accept(tx, ada, candidate),
        "reject": lambda tx: match_queue.reject(tx, bob, candidate),
        "assign": lambda tx: match_queue.assign(tx, bob, listing_id, hub.variants["S1"]),
        "make": lambda tx: match_queue.make_product(tx, bob, listing_id, "NEW"),
        "many": lambda tx: match_queue.accept_above(tx, bob, 0.5),
        "sku": lambda tx: _rename(hub, tx),
        "job": lambda tx: _job(hub),
    }


async def _rename(hub: Shop, tx: Tx) -> None:
    """The channel shows the listing with a SKU of ours."""
    await catalog.save_listings(tx, hub.connection_id, [replace(THERE, sku="M1")], utc_now())


async def _job(hub: Shop) -> None:
    await hub.match()


NAMED = ("accept", "reject", "assign", "make", "many", "sku", "job")


@pytest.mark.parametrize("other", NAMED)
@pytest.mark.parametrize("one", NAMED)
async def test_of_two_decisions_one_wins_and_the_other_is_told(hub: Shop, waiting: UUID, one: str, other: str) -> None:
    candidate = await candidate_of(hub, waiting)
    do = writers(hub, waiting, candidate)
    outcomes = await both(hub, do[one], do[other])
    refused = [each for each in outcomes if isinstance(each, BaseException)]
    for each in refused:
        assert isinstance(each, AlreadyMatched | AlreadyDecided | CandidateNotFound | SkuTaken), each
    variant = await hub.variant_of(waiting)
    accepted = [row["variant_id"] for row in await hub.candidates(waiting) if row["state"] == "accepted"]
    assert len(accepted) <= 1
    if accepted:
        assert accepted == [variant]
    if variant is not None and variant != hub.variants["M1"]:
        assert accepted == [variant]
    if {one, other} <= {"accept", "assign", "make"} and one != "accept":
        assert len(refused) == 1
    if (one, other) == ("accept", "accept"):
        assert len(refused) == 1
        assert isinstance(refused[0], AlreadyDecided | AlreadyMatched)


async def test_two_who_accept_the_same_one_wins_with_a_clear_error(hub: Shop, waiting: UUID) -> None:
    candidate = await candidate_of(hub, waiting)
    bob = system_actor(hub.id, "Bob")
    outcomes = await both(
        hub,
        lambda tx: match_queue.accept(tx, hub.actor, candidate),
        lambda tx: match_queue.accept(tx, bob, candidate),
    )
    (error,) = [each for each in outcomes if isinstance(each, BaseException)]
    assert isinstance(error, AlreadyDecided)
    assert "accepted it already" in error.detail
    async with hub.database.transaction(hub.id) as tx:
        assert await tx.fetch_value("select count(*) from audit_log where action = 'match.accept'") == 1


# ---- learning ----------------------------------------------------------------------------------------------------


async def decided(hub: Shop, number: int, *, wrong_from: int) -> None:
    """People decided so many proposals: those of the lower half were accepted, scored higher, and some rejected."""
    async with hub.database.transaction(hub.id) as tx:
        for n in range(number):
            made = new_id()
            await tx.execute(
                "insert into listing (organisation_id, id, connection_id, external_id, title, seen_at)"
                " values ($1, $2, $3, $4, 'x', now())",
                hub.id, made, hub.connection_id, f"x{n}",
            )  # fmt: skip
            yes = n < wrong_from
            facts = [0.9 if yes else 0.1] * len(NAMES)
            await match_store.put_candidates(
                tx, [made], [(made, hub.variants["D1"], 900_000 if yes else 500_000, 0, facts, [])]
            )
            await match_store.decide(
                tx, [(made, hub.variants["D1"])], "accepted" if yes else "rejected", "Ada", by_person=True
            )


async def test_the_hub_matches_by_itself_only_what_people_nearly_always_accepted(
    hub: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hub.database.transaction(hub.id) as tx:
        await match_queue.change_settings(tx, hub.actor, by_barcode=True, by_itself=True)
    found = await hub.show(THERE)
    await hub.match()
    assert await hub.variant_of(found["9"]) is None, "nobody has decided anything yet"
    await decided(hub, 60, wrong_from=55)
    await hub.match()  # From now on it is known.
    async with hub.database.transaction(hub.id) as tx:
        assert (await match_queue.read_settings(tx)).sure_from_ppm == 900_000
        await match_store.mark_all_due(tx)
    await hub.match()
    assert await hub.variant_of(found["9"]) == hub.variants["D1"]
    row = next(row for row in await hub.candidates(found["9"]) if row["state"] == "accepted")
    assert (row["by_person"], row["decided_by"]) == (False, "Entrepot")


async def test_without_the_switch_nothing_is_matched_by_likeness(hub: Shop) -> None:
    await decided(hub, 60, wrong_from=55)
    await hub.match()
    found = await hub.show(THERE)
    await hub.match()
    assert await hub.variant_of(found["9"]) is None


async def test_a_variant_that_is_listed_there_is_not_matched_by_itself(hub: Shop) -> None:
    await decided(hub, 60, wrong_from=55)
    async with hub.database.transaction(hub.id) as tx:
        await match_queue.change_settings(tx, hub.actor, by_barcode=True, by_itself=True)
    await hub.match()
    await hub.show(listing("1", DRILL[1], sku="D1"))
    found = await hub.show(THERE)
    await hub.match()
    assert await hub.variant_of(found["9"]) is None


async def test_it_learns_from_decisions_and_scores_anew(hub: Shop) -> None:
    found = await hub.show(THERE)
    await hub.match()
    before = (await hub.candidates(found["9"]))[0]["score_ppm"]
    await decided(hub, 210, wrong_from=105)
    await hub.match()
    async with hub.database.transaction(hub.id) as tx:
        assert (await match_queue.read_settings(tx)).learned_from == 210
    assert await hub.queued() == 1
    assert (await hub.match())["listings"] == 1
    assert (await hub.candidates(found["9"]))[0]["score_ppm"] != before


async def test_connections_of_one_shop_do_not_disturb_a_bulk_accept(hub: Shop) -> None:
    async with hub.database.transaction(hub.id) as tx:
        other = await connection(tx, "amazon")
    here, there = await hub.show(THERE), await hub.show(THERE, connection_id=other)
    await hub.match()
    async with hub.database.transaction(hub.id) as tx:
        assert len(await match_queue.accept_above(tx, hub.actor, 0.5)) == 2
    assert await hub.variant_of(here["9"]) == await hub.variant_of(there["9"]) == hub.variants["D1"]
