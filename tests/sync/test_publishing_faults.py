"""Publishing to a channel in memory that turns down, is away, loses answers, finishes later: made once, or said why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from tests.orders.support import make_connection
from tests.sync.channel import Channel, Wire
from tests.sync.kinds import CAS
from tests.sync.publish_hub import mug

from entrepot.catalog import bulk
from entrepot.catalog import facade as catalog
from entrepot.channels.contract import (
    Api,
    Capability,
    ChannelReason,
    EndBatch,
    EndKind,
    ListingBatch,
    ListingField,
    ListingReceipt,
    ListingRef,
    ListingResult,
    Manifest,
    OutcomeUnknown,
    PushOutcome,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.database.pool import Database, Tx
from entrepot.identity.facade import system_actor
from entrepot.jobs.lanes import LaneKey, Rest
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.sync import facade as sync
from entrepot.sync.publishing import asking, outcomes, reading
from entrepot.sync.publishing.contracts import Ask, IntentNotFound, IntentView, InvalidPublication, Wanted
from entrepot.sync.publishing.working import publish_step


@dataclass
class Shelf(Channel):
    """A channel that takes and ends products. `script`: what the next calls do, one each; then all goes well."""

    semantics: Any = CAS
    script: list[str] = field(default_factory=list)
    sent: list[ListingBatch | EndBatch] = field(default_factory=list)
    there: dict[str, str] = field(default_factory=dict)
    """Products by the key of their draft."""
    follows: int = 0
    able: frozenset[Capability] = frozenset(
        {Capability.PUSH_LISTINGS, Capability.END_LISTINGS, Capability.FOLLOW_LISTINGS}
    )

    @property
    def manifest(self) -> Manifest:
        known = super().manifest
        return replace(
            known, key="shelf", title="Shelf", capabilities=known.capabilities | self.able,
            listing_ends=frozenset({EndKind.DELETE}), listing_batch_max=10,
            listing_fields=frozenset({ListingField.TITLE}),
        )  # fmt: skip

    async def push_listings(self, api: Api, batch: ListingBatch) -> ListingReceipt:
        return await self._call(batch, [draft.key for draft in batch.drafts])

    async def end_listings(self, api: Api, batch: EndBatch) -> ListingReceipt:
        return await self._call(batch, [end.key for end in batch.ends])

    async def _call(self, batch: ListingBatch | EndBatch, keys: Sequence[str]) -> ListingReceipt:
        self.sent.append(batch)
        match self.script.pop(0) if self.script else "":
            case "refused":
                raise RequestRejected("no such shop")
            case "away":
                raise TemporarilyUnavailable("closed today")
            case "dropped":
                raise OutcomeUnknown("no answer")
            case "lost":
                self._do(batch)
                raise OutcomeUnknown("no answer")
            case "later":
                return ListingReceipt(tuple(ListingResult(key, PushOutcome.PENDING) for key in keys), "h")
            case "half":
                pending = [ListingResult(key, PushOutcome.PENDING) for key in keys[:1]]
                return ListingReceipt((*pending, *(ListingResult(key, PushOutcome.UNKNOWN) for key in keys[1:])), "h")
            case "silent":
                return ListingReceipt(())
            case "stale" | "failed" as said:
                why = (ChannelReason("It changed there."),)
                return ListingReceipt(tuple(ListingResult(key, PushOutcome(said), reasons=why) for key in keys))
        return ListingReceipt(self._do(batch))

    def _do(self, batch: ListingBatch | EndBatch) -> tuple[ListingResult, ...]:
        if isinstance(batch, EndBatch):
            for end in batch.ends:
                self.there.pop(end.key, None)
            return tuple(ListingResult(end.key, PushOutcome.APPLIED) for end in batch.ends)
        results = []
        for draft in batch.drafts:
            product = self.there.setdefault(draft.key, f"p{len(self.there)}")
            refs = {each.key: ListingRef(f"{product}/{each.sku}") for each in draft.variants}
            self.books |= {ref.external_id: self.books.get(ref.external_id, 0) for ref in refs.values()}
            results.append(ListingResult(draft.key, PushOutcome.APPLIED, product, refs))
        return tuple(results)

    async def follow_listings(self, api: Api, handle: str) -> tuple[ListingResult, ...] | None:
        self.follows += 1
        match self.script.pop(0) if self.script else "":
            case "still":
                return None
            case "forgotten":
                raise RequestRejected("no such task")
        return self._do(self.sent[-1])


@dataclass
class Shop:
    """An organisation that publishes two products on one such channel."""

    database: Database
    id: UUID
    shelf: Shelf
    connection_id: UUID
    context: sync.SyncContext

    async def ask(self, wanted: Wanted, **more: Any) -> int:
        async with self.database.transaction(self.id) as tx:
            rows = await tx.fetch("select id from product where organisation_id = $1 order by id", self.id)
            chosen = bulk.selection([row[0] for row in rows])
            asked = Ask(wanted, (self.connection_id,), **{"category": None, "attributes": None, **more})
            return await asking.ask(tx, system_actor(self.id, "Ada"), lambda _: self.shelf, chosen, asked)

    async def step(self) -> float | None:
        """Let the lane work once, whatever waits for a time."""
        async with self.database.transaction(self.id) as tx:
            for table in ("listing_intent", "publish_batch"):
                await tx.execute(f"update {table} set next_attempt_at = null where organisation_id = $1", self.id)
        return await self.again()

    async def again(self) -> float | None:
        """Let the lane work once."""
        return await publish_step(self.context, LaneKey("publish", self.id, self.connection_id))

    async def settle(self) -> None:
        for _ in range(12):
            await self.step()

    async def intents(self) -> dict[str, IntentView]:
        async with self.database.transaction(self.id) as tx:
            found = await reading.list_intents(tx, reading.IntentFilter(connection_id=self.connection_id), None, 50)
        return {each.handle: each for each in found}

    async def states(self) -> set[str]:
        return {each.state for each in (await self.intents()).values()}


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> Shop:
    shelf = Shelf()
    connection_id = await make_connection(database, organisation_id, "shelf")
    settings = sync.SyncSettings(field_settling_s=0.0, write_settling_s=0.0)
    context = sync.SyncContext(database, Wire(), lambda _: shelf, settings)
    async with database.transaction(organisation_id) as tx:
        await catalog.save_products(tx, [mug("A"), mug("B", ("Red",))])
    return Shop(database, organisation_id, shelf, connection_id, context)


@pytest.mark.parametrize("fault", ["lost", "dropped"])
async def test_an_answer_that_is_lost_is_asked_for_again_under_the_same_key(shop: Shop, fault: str) -> None:
    shop.shelf.script = [fault]
    await shop.ask(Wanted.PUBLISH)
    now = utc_now()
    shop.context.clock = lambda: now
    assert isinstance(await shop.step(), Rest)
    async with shop.database.transaction(shop.id) as tx:
        await catalog.save_products(tx, [replace(mug("A"), title="Another title")])
    await shop.again()
    assert len(shop.shelf.sent) == 1, "it rests for a moment"
    await shop.settle()
    first, second = shop.shelf.sent
    assert first == second, "what the catalog says meanwhile is not in what is sent again"
    assert (len(shop.shelf.there), await shop.states()) == (2, {"live"})


async def test_a_channel_that_is_away_has_taken_nothing_and_is_tried_later(shop: Shop) -> None:
    shop.shelf.script = ["away"]
    await shop.ask(Wanted.PUBLISH)
    assert isinstance(await shop.step(), Rest)
    assert {each.text for each in (await shop.intents()).values()} == {"closed today"}
    await shop.settle()
    first, second = shop.shelf.sent
    assert first.idempotency_key != second.idempotency_key
    assert (len(shop.shelf.there), await shop.states()) == (2, {"live"})


async def test_who_wants_something_else_while_it_is_away_gets_that(shop: Shop) -> None:
    shop.shelf.script = ["dropped"]
    await shop.ask(Wanted.PUBLISH)
    await shop.step()
    await shop.ask(Wanted.DELETE)
    shop.shelf.script = ["away"]
    await shop.step()
    await shop.settle()
    assert (shop.shelf.there, await shop.states()) == ({}, {"ended"})


async def test_what_is_turned_down_whole_says_why_and_is_tried_again_when_asked(shop: Shop) -> None:
    shop.shelf.script = ["refused"]
    await shop.ask(Wanted.PUBLISH)
    await shop.settle()
    assert len(shop.shelf.sent) == 1
    found = await shop.intents()
    assert {(each.state, each.text) for each in found.values()} == {("error", "no such shop")}
    actor = system_actor(shop.id, "Ada")
    async with shop.database.transaction(shop.id) as tx:
        with pytest.raises(IntentNotFound):
            await asking.try_again(tx, actor, [new_id()])
        assert await asking.try_again(tx, actor, [found["a"].id]) == 1
        assert await asking.try_again(tx, actor, None, shop.connection_id) == 2
    await shop.settle()
    assert (len(shop.shelf.there), await shop.states()) == (2, {"live"})


@pytest.mark.parametrize("fault", ["stale", "failed"])
async def test_what_fails_is_tried_so_many_times(shop: Shop, fault: str) -> None:
    shop.shelf.script = [fault] * 100
    await shop.ask(Wanted.PUBLISH)
    await shop.settle()
    assert len(shop.shelf.sent) == outcomes.TRIES
    assert {(each.state, each.text) for each in (await shop.intents()).values()} == {("error", "It changed there.")}
    shop.shelf.script = []
    await shop.ask(Wanted.PUBLISH)
    await shop.settle()
    assert await shop.states() == {"live"}


@pytest.mark.parametrize(
    ("script", "calls"),
    [(["later"], 1), (["later", "still", "still"], 1), (["later", "forgotten"], 2), (["half"], 1), (["silent"], 2)],
)
async def test_what_ends_later_is_followed_to_its_end(shop: Shop, script: list[str], calls: int) -> None:
    shop.shelf.script = list(script)
    await shop.ask(Wanted.PUBLISH)
    await shop.settle()
    assert len(shop.shelf.sent) == calls
    assert len({each.idempotency_key for each in shop.shelf.sent}) == 1
    assert (len(shop.shelf.there), await shop.states()) == (2, {"live"})
    before = shop.shelf.follows
    shop.shelf.script = ["later", "still"]
    await shop.ask(Wanted.DELETE)
    await shop.settle()
    assert (shop.shelf.there, await shop.states(), shop.shelf.follows) == ({}, {"ended"}, before + 2)


async def test_what_nobody_can_be_asked_about_is_sent_again(shop: Shop) -> None:
    shop.shelf.able -= {Capability.FOLLOW_LISTINGS}
    shop.shelf.script = ["later"]
    await shop.ask(Wanted.PUBLISH)
    await shop.settle()
    assert (len(shop.shelf.sent), shop.shelf.follows) == (2, 0)
    assert (len(shop.shelf.there), await shop.states()) == (2, {"live"})


async def test_a_channel_that_takes_no_products_any_more_says_so(shop: Shop) -> None:
    await shop.ask(Wanted.PUBLISH)
    shop.shelf.able = frozenset()
    await shop.settle()
    assert shop.shelf.sent == []
    assert {(each.state, each.text) for each in (await shop.intents()).values()} == {
        ("error", "The channel takes no products from the hub.")
    }


async def test_what_can_be_ended_no_more_says_what_can_be_done(shop: Shop) -> None:
    await shop.ask(Wanted.PUBLISH)
    await shop.settle()
    await shop.ask(Wanted.DELETE)
    shop.shelf.able -= {Capability.END_LISTINGS}
    await shop.settle()
    assert {(each.state, each.text) for each in (await shop.intents()).values()} == {
        ("error", "The channel cannot delete a product; it can: delete.")
    }


async def test_what_the_channel_calls_a_product_must_be_known_to_end_it(shop: Shop) -> None:
    await shop.ask(Wanted.PUBLISH)
    await shop.settle()

    async def forget(tx: Tx, product: str) -> None:
        await tx.execute("update listing_intent set external_id = '' where organisation_id = $1", shop.id)
        await tx.execute(
            "update listing_reading r set product_external_id = $2 from listing l"
            " where r.organisation_id = $1 and l.organisation_id = $1 and l.id = r.listing_id and l.sku = 'A-1'",
            shop.id,
            product,
        )

    async with shop.database.transaction(shop.id) as tx:
        await forget(tx, "another")
    await shop.ask(Wanted.DELETE)
    await shop.settle()
    found = await shop.intents()
    assert (found["a"].state, found["a"].text) == ("error", "It is 2 products there: end them on the channel.")
    assert found["b"].state == "ended"
    async with shop.database.transaction(shop.id) as tx:
        await tx.execute("delete from listing_reading where organisation_id = $1", shop.id)
    await shop.ask(Wanted.DELETE)
    await shop.settle()
    found = await shop.intents()
    assert found["a"].state == "error"
    assert "is not known yet: read its listings first" in found["a"].text


async def test_what_makes_no_sense_is_refused_with_words(shop: Shop) -> None:
    cases: list[tuple[str, Wanted, dict[str, Any]]] = [
        ("at least one channel", Wanted.PUBLISH, {"connection_ids": ()}),
        ("At most 200 attributes", Wanted.PUBLISH, {"attributes": {str(n): "x" for n in range(201)}}),
        ("At most 200 attributes", Wanted.PUBLISH, {"attributes": {"": "x"}}),
        ("at most 2,000 characters", Wanted.PUBLISH, {"attributes": {"a": "x" * 2001}}),
        ("category on the channel has at most", Wanted.PUBLISH, {"category": "x" * 201}),
        ("Shelf cannot archive products", Wanted.ARCHIVE, {}),
    ]
    chosen = bulk.selection([new_id()])
    for said, wanted, more in cases:
        asked = Ask(wanted, **{"connection_ids": (shop.connection_id,), "category": None, "attributes": None, **more})
        async with shop.database.transaction(shop.id) as tx:
            with pytest.raises(InvalidPublication, match=said):
                await asking.ask(tx, system_actor(shop.id, "Ada"), lambda _: shop.shelf, chosen, asked)
    async with shop.database.transaction(shop.id) as tx:
        await tx.execute("update connection set state = 'disconnected' where id = $1", shop.connection_id)
    with pytest.raises(InvalidPublication, match="is disconnected"):
        await shop.ask(Wanted.PUBLISH)
    assert await shop.intents() == {}


async def test_a_look_says_what_was_asked_before(shop: Shop) -> None:
    await shop.ask(Wanted.PUBLISH, category="CUPS", attributes={"glaze": "blue"})
    await shop.settle()
    async with shop.database.transaction(shop.id) as tx:
        rows = await tx.fetch("select id from product where organisation_id = $1 order by id", shop.id)
        asked = Ask(Wanted.PUBLISH, (shop.connection_id,), None, None)
        chosen = bulk.selection([row[0] for row in rows])
        total, found = await asking.preview(tx, lambda _: shop.shelf, chosen, asked)
    assert total.count == 2
    assert [each.done for each in found] == [True, True]
    assert len(shop.shelf.sent) == 1
