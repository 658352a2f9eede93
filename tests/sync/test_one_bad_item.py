"""One item that cannot be dealt with holds up neither its neighbours nor its lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from tests.orders.support import line, lines_of, order
from tests.sync.channel import Channel, WorkerDied
from tests.sync.hub import Hub

from entrepot.channels import inbox_store
from entrepot.channels.contract import (
    Api,
    Capability,
    ChannelOrder,
    Fulfilment,
    Manifest,
    OutcomeUnknown,
    QuantitySemantics,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
    WebhookEvent,
)
from entrepot.channels.inbox_store import Delivery
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot.sync import progress
from entrepot.sync.check import listings_step
from entrepot.sync.engine import find_due
from entrepot.sync.fulfilment import fulfilment_step
from entrepot.sync.pull import inbox_step, pull_step

CAS = str(QuantitySemantics.COMPARE_AND_SET)
ABSOLUTE = str(QuantitySemantics.ABSOLUTE)


@dataclass
class Talking(Channel):
    """A channel that also sends webhooks, each naming one order, and takes shipments."""

    untold: set[str] = field(default_factory=set)
    """Orders that it refuses to give."""
    sulks: set[str] = field(default_factory=set)
    """Orders whose shipments it always answers with an error of its own."""
    told: list[str] = field(default_factory=list)

    @property
    def manifest(self) -> Manifest:
        more: Manifest = Channel.manifest.fget(self)  # type: ignore[attr-defined]
        kept = more.capabilities | {Capability.PUSH_FULFILMENT, Capability.WEBHOOKS}
        return replace(more, capabilities=kept)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> WebhookEvent:
        name = body.decode()
        if name.startswith("fetch "):
            return WebhookEvent(name, "orders", order_ids=(name.removeprefix("fetch "),))
        return WebhookEvent(name, "orders", order=self.feed[name])

    async def fetch_orders(self, api: Api, external_ids: Sequence[str]) -> tuple[ChannelOrder, ...]:
        if self.untold & set(external_ids):
            raise RequestRejected("no such order")
        return await Channel.fetch_orders(self, api, external_ids)

    async def push_fulfilment(self, api: Api, fulfilment: Fulfilment) -> str:
        if fulfilment.external_order_id in self.sulks:
            raise OutcomeUnknown("answered 500")
        self.told.append(fulfilment.external_order_id)
        return fulfilment.external_order_id


def unstorable(name: str) -> list[ChannelOrder]:
    """Orders as no database takes them."""
    good = order(name, 1, [line("A", 1)], placed_at=datetime.now(UTC))
    return [
        replace(good, lines=(line("A", 1, name="1"), line("A", 1, name="1"))),
        replace(good, buyer_name="a\x00b"),
        replace(good, lines=(line("A", 2**70),)),
        replace(good, currency=""),
    ]


async def deliver(hub: Hub, *bodies: str) -> None:
    async with hub.database.transaction(hub.id) as tx:
        await inbox_store.insert_deliveries(
            tx,
            [
                Delivery(new_id(), hub.connections[CAS], body, "orders", "{}", body.encode(), utc_now())
                for body in bodies
            ],
        )


async def inbox(hub: Hub) -> dict[str, str]:
    """Return the state of every delivery."""
    async with hub.database.transaction(hub.id) as tx:
        rows = await tx.fetch("select event_id, state, attempts from webhook_inbox where organisation_id = $1", hub.id)
    return {row[0]: f"{row[1]} {row[2]}" for row in rows}


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> Hub:
    return await Hub(database, organisation_id, Talking(QuantitySemantics.COMPARE_AND_SET)).set_up({"A": 50})


@pytest.mark.parametrize("which", range(4))
async def test_a_pulled_order_that_cannot_be_stored_does_not_hold_up_the_others(hub: Hub, which: int) -> None:
    channel: Any = hub.channels[CAS]
    async with hub.database.transaction(hub.id) as tx:
        before = (await progress.get_progress(tx, hub.connections[CAS])).drained_at
    channel.feed["bad"] = unstorable("bad")[which]
    channel.sell("A", 1)
    [good] = set(channel.feed) - {"bad"}
    await hub.pull(CAS)
    assert (await lines_of(hub.database, hub.id, good))["A"][3] == 1
    async with hub.database.transaction(hub.id) as tx:
        state = await progress.get_progress(tx, hub.connections[CAS])
        error = await tx.fetch_value("select error from connection_progress where organisation_id = $1", hub.id)
    # Not every sale is known: nothing may rest on that.
    assert state.drained_at == before
    assert "bad" in error
    channel.feed["bad"] = order("bad", 1, [line("A", 1)], placed_at=datetime.now(UTC))
    await hub.pull(CAS)
    assert (await lines_of(hub.database, hub.id, "bad"))["A"][3] == 1


@pytest.mark.parametrize("which", range(4))
async def test_a_delivered_order_that_cannot_be_stored_does_not_hold_up_the_others(hub: Hub, which: int) -> None:
    channel: Any = hub.channels[CAS]
    channel.feed["bad"] = unstorable("bad")[which]
    channel.feed["good"] = order("good", 1, [line("A", 1)], placed_at=datetime.now(UTC))
    await deliver(hub, "bad", "good")
    await inbox_step(hub.context, hub.key("inbox", CAS))
    assert await inbox(hub) == {"bad": "pending 1", "good": "done 0"}


async def test_an_order_that_the_channel_does_not_give_does_not_hold_up_the_others(hub: Hub) -> None:
    channel: Any = hub.channels[CAS]
    channel.feed["good"] = order("good", 1, [line("A", 1)], placed_at=datetime.now(UTC))
    channel.untold = {"bad"}
    await deliver(hub, "fetch bad", "fetch good")
    await inbox_step(hub.context, hub.key("inbox", CAS))
    assert await inbox(hub) == {"fetch bad": "pending 1", "fetch good": "done 0"}


async def test_a_shipment_that_fails_for_ever_does_not_hold_up_the_others(hub: Hub) -> None:
    channel: Any = hub.channels[CAS]
    channel.sulks = {"0"}
    for name in map(str, range(22)):
        await hub.take(CAS, order(name, 1, [line("A", 1)], placed_at=datetime.now(UTC)))
        async with hub.database.transaction(hub.id) as tx:
            [row] = await tx.fetch(
                "select id from sales_order where organisation_id = $1 and external_id = $2", hub.id, name
            )
            await orders.ship(tx, row["id"], orders.Parcel("UPS", name), actor="test", now=utc_now())
    for _ in range(4):
        await fulfilment_step(hub.context, hub.key("ship", CAS))
    assert set(channel.told) == {str(n) for n in range(1, 22)}
    assert len(channel.told) == 21


async def test_listings_that_are_not_there_any_more_do_not_keep_others_from_being_lowered(
    database: Database, organisation_id: UUID
) -> None:
    skus = {f"S{n:02}": 5 for n in range(11)}
    hub = await Hub(database, organisation_id, Talking(QuantitySemantics.COMPARE_AND_SET)).set_up({**skus, "Z": 9})
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "update listing set active = false where organisation_id = $1 and external_id like 'S%'", organisation_id
        )
        await tx.execute(
            "update listing_quantity q set state = 'pending', expected = 9 from listing l where q.organisation_id = $1"
            " and l.organisation_id = $1 and l.id = q.listing_id and not l.active",
            organisation_id,
        )
    await hub.set_stock("Z", 0)
    await hub.push(CAS)
    assert hub.channels[CAS].books["Z"] == 0


@dataclass
class Following(Channel):
    """A channel whose pushes are followed, and which says nothing that could be read."""

    async def follow_push(self, api: Api, handle: str) -> None:
        raise UnexpectedAnswer("not JSON")


async def test_a_batch_whose_end_cannot_be_read_does_not_hold_up_the_next(
    database: Database, organisation_id: UUID
) -> None:
    hub = await Hub(database, organisation_id, Following(QuantitySemantics.ABSOLUTE)).set_up({"A": 5, "B": 5})
    row = await hub.row(ABSOLUTE, "A")
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into push_batch (organisation_id, id, connection_id, idempotency_key, changes, state, handle)"
            " values ($1, $2, $3, 'k', $4, 'following', 'h')",
            organisation_id,
            new_id(),
            hub.connections[ABSOLUTE],
            [{"listing_id": str(row["listing_id"]), "external_id": "A", "keys": {}, "sku": "A", "from": 5, "to": 5}],
        )
    await hub.set_stock("B", 0)
    for _ in range(3):
        await hub.pass_time()
        await hub.push(ABSOLUTE)
    assert hub.channels[ABSOLUTE].books["B"] == 0


async def test_a_batch_whose_repeated_answer_cannot_be_read_does_not_hold_up_the_next(hub: Hub) -> None:
    channel: Any = hub.channels[CAS]
    await hub.set_stock("A", 0)
    really = channel.push_quantities

    async def unreadable(api: Api, batch: Any) -> Any:
        raise UnexpectedAnswer("not JSON")

    channel.push_quantities = unreadable
    await hub.push(CAS)
    await hub.push(CAS)
    row = await hub.row(CAS, "A")
    assert (row["expected"], row["batch_id"]) == (None, None), "read before it is written again"
    channel.push_quantities = really
    await hub.settle()
    assert channel.books["A"] == 0


async def test_a_wish_for_listings_outlives_a_reading_that_failed(hub: Hub) -> None:
    channel: Any = hub.channels[CAS]
    connection_id = hub.connections[CAS]

    async def wanted() -> bool:
        async with hub.database.transaction(hub.id) as tx:
            return (await progress.get_progress(tx, connection_id)).listings_wanted_at is not None

    async with hub.database.transaction(hub.id) as tx:
        await progress.want_listings(tx, connection_id, utc_now())
        await tx.execute(
            "update connection_progress set listings_pulled_at = now() - interval '1 minute', drift_checked_at = null"
            " where organisation_id = $1",
            hub.id,
        )
    really = channel.pull_listings

    async def down(api: Api, cursor: str | None) -> Any:
        raise TemporarilyUnavailable("busy")

    async def asked_meanwhile(api: Api, cursor: str | None) -> Any:
        async with hub.database.transaction(hub.id) as tx:
            await progress.want_listings(tx, connection_id, utc_now())
        return await really(api, cursor)

    channel.pull_listings = down
    await listings_step(hub.context, hub.key("listings", CAS))
    assert await wanted()
    channel.pull_listings = asked_meanwhile
    await listings_step(hub.context, hub.key("listings", CAS))
    assert await wanted(), "somebody asked while they were read"


async def test_a_pull_that_a_worker_died_in_is_taken_up_at_once(hub: Hub) -> None:
    """The wish that it answered was not answered."""
    channel: Any = hub.channels[CAS]
    really, asked = channel.pull_orders, []

    async def dies(api: Api, cursor: str | None) -> Any:
        asked.append(cursor)
        if len(asked) == 1:
            raise WorkerDied
        return await really(api, cursor)

    channel.pull_orders = dies
    async with hub.database.transaction(hub.id) as tx:
        await progress.want_pull(tx, hub.connections[CAS], utc_now())
    with pytest.raises(WorkerDied):
        await pull_step(hub.context, hub.key("pull", CAS))
    assert hub.key("pull", CAS) in await find_due(hub.context, hub.id)
    await pull_step(hub.context, hub.key("pull", CAS))
    assert len(asked) == 2
    assert hub.key("pull", CAS) not in await find_due(hub.context, hub.id)
