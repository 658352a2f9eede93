"""What a channel turns down, finishes later or cannot do at all: noted, tried again within bounds, never lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.orders.support import line, order
from tests.sync.channel import Channel
from tests.sync.hub import Hub
from tests.sync.kinds import ABSOLUTE, CAS

from entrepot.channels import inbox_store
from entrepot.channels.contract import (
    Api,
    Capability,
    ChannelOrder,
    ConnectorError,
    CredentialsRejected,
    Fulfilment,
    Manifest,
    Page,
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityBatch,
    RequestRejected,
    UnexpectedAnswer,
    WebhookEvent,
)
from entrepot.channels.inbox_store import Delivery
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot.sync import facade as sync
from entrepot.sync import fulfilment
from entrepot.sync.fulfilment import fulfilment_step
from entrepot.sync.pull import inbox_step, pull_step
from entrepot.sync.push import push_step


@dataclass
class Full(Channel):
    """A channel that takes parcels, sends webhooks and finishes writes later. Faults are taken in turn."""

    told: list[Fulfilment] = field(default_factory=list)
    parcel_faults: list[ConnectorError] = field(default_factory=list)
    events: dict[str, WebhookEvent | Exception] = field(default_factory=dict)
    later: bool = False
    ends: list[PushOutcome | ConnectorError | None] = field(default_factory=list)
    unable: frozenset[Capability] = frozenset()
    pages: int = 1

    @property
    def manifest(self) -> Manifest:
        known = super().manifest
        own = {Capability.PUSH_FULFILMENT, Capability.WEBHOOKS}
        return replace(known, capabilities=(known.capabilities | own) - self.unable)

    async def push_fulfilment(self, api: Api, fulfilment: Fulfilment) -> str:
        if self.parcel_faults:
            raise self.parcel_faults.pop(0)
        self.told.append(fulfilment)
        return f"F{len(self.told)}"

    async def push_quantities(self, api: Api, batch: QuantityBatch) -> PushReceipt:
        receipt = await super().push_quantities(api, batch)
        if not self.later:
            return receipt
        return PushReceipt(tuple(replace(each, outcome=PushOutcome.PENDING) for each in receipt.results), "h")

    async def follow_push(self, api: Api, handle: str) -> tuple[PushResult, ...] | None:
        end = self.ends.pop(0)
        if isinstance(end, ConnectorError):
            raise end
        return None if end is None else tuple(PushResult(c.ref.external_id, end) for c in self.pushes[-1].changes)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> WebhookEvent:
        found = self.events[body.decode()]
        if isinstance(found, Exception):
            raise found
        return found

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], url: str, secret: str) -> bool:
        return False

    def webhook_event_id(self, body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
        return body.decode(), "orders"

    async def subscribe_webhooks(self, api: Api, url: str) -> Mapping[str, str]:
        return {}

    async def unsubscribe_webhooks(self, api: Api, url: str) -> None:
        return None

    async def pull_orders(self, api: Api, cursor: str | None) -> Page[ChannelOrder]:
        page = await super().pull_orders(api, cursor)
        number = int(cursor[1:] or 0) + 1 if cursor and cursor[1:] else 1
        return replace(page, cursor=f"c{number}", more=number < self.pages)


async def make(database: Database, organisation_id: UUID, channel: Full) -> tuple[Hub, str]:
    return await Hub(database, organisation_id, channel).set_up({"A": 100, "B": 10}), str(channel.semantics)


async def rows(hub: Hub, statement: str) -> Sequence[Any]:
    async with hub.database.transaction(hub.id) as tx:
        return await tx.fetch(statement)


# ---- parcels


async def ship(hub: Hub, name: str, count: int = 1) -> None:
    """Take an order of so many lines' units over and send it in as many parcels."""
    await hub.take(name, order("1", 1, [line("A", count)]))
    [(order_id, line_id)] = await rows(hub, "select order_id, id from order_line")
    for _ in range(count):
        async with hub.database.transaction(hub.id) as tx:
            await orders.ship(tx, order_id, orders.Parcel("DHL", "T1", "", {line_id: 1}), actor="t", now=utc_now())


@pytest.mark.parametrize("error", [RequestRejected("no such order"), UnexpectedAnswer("what?")])
async def test_a_parcel_that_a_channel_turns_down_is_told_again_and_then_put_aside(
    database: Database, organisation_id: UUID, error: ConnectorError
) -> None:
    channel = Full(CAS)
    hub, name = await make(database, organisation_id, channel)
    await ship(hub, name, 2)
    channel.parcel_faults = [error]
    now = utc_now()
    hub.context.clock = lambda: now
    await fulfilment_step(hub.context, hub.key("ship", name))
    assert len(channel.told) == 1, "the other parcel does not wait for it"
    assert await fulfilment_step(hub.context, hub.key("ship", name)) is None
    assert len(channel.told) == 1, "it rests for a while"
    for attempt in (2, 3):
        channel.parcel_faults = [error]
        now += timedelta(hours=attempt)
        await fulfilment_step(hub.context, hub.key("ship", name))
    now += timedelta(days=9)
    await fulfilment_step(hub.context, hub.key("ship", name))
    found = await rows(hub, "select push_state, push_detail, attempts, external_id from shipment order by attempts")
    assert [tuple(row) for row in found] == [("done", "", 1, "F1"), ("parked", error.detail, 3, None)]
    assert {each.lines[0].quantity for each in channel.told} == {1}


async def test_many_parcels_go_in_turns_and_none_to_a_channel_that_takes_none(
    database: Database, organisation_id: UUID
) -> None:
    channel = Full(CAS, unable=frozenset({Capability.PUSH_FULFILMENT}))
    hub, name = await make(database, organisation_id, channel)
    await ship(hub, name, fulfilment.BATCH + 1)
    assert await fulfilment_step(hub.context, hub.key("ship", name)) is None
    assert channel.told == []
    channel.unable = frozenset()
    assert await fulfilment_step(hub.context, hub.key("ship", name)) == 0.0
    assert await fulfilment_step(hub.context, hub.key("ship", name)) is None
    assert len({each.idempotency_key for each in channel.told}) == fulfilment.BATCH + 1 == len(channel.told)


# ---- quantities that are written later


@pytest.mark.parametrize("semantics", [CAS, ABSOLUTE])
@pytest.mark.parametrize("end", [PushOutcome.APPLIED, PushOutcome.FAILED, RequestRejected("unknown handle")])
async def test_a_write_that_ends_later_is_followed(
    database: Database, organisation_id: UUID, semantics: Any, end: PushOutcome | ConnectorError
) -> None:
    channel = Full(semantics)
    hub, name = await make(database, organisation_id, channel)
    channel.later, channel.ends = True, [None, end]
    await hub.set_stock("A", 50)
    await hub.push(name)
    state = "select state from push_batch order by id desc limit 1"
    assert [row[0] for row in await rows(hub, state)] == ["following"]
    await hub.pass_time()
    wait = await hub.push(name)
    assert wait is not None
    assert wait > 0
    assert [row[0] for row in await rows(hub, state)] == ["following"], "it is still going on there"
    channel.later = False
    await hub.settle()
    assert channel.ends == []
    assert (channel.books["A"], (await hub.row(name, "A"))["state"]) == (20, "in_step")


async def test_a_write_of_which_nobody_can_ask_is_looked_into(database: Database, organisation_id: UUID) -> None:
    class Mute(Channel):
        """Says that it will finish later, and has no way to ask."""

        async def push_quantities(self, api: Api, batch: QuantityBatch) -> PushReceipt:
            receipt = await super().push_quantities(api, batch)
            return PushReceipt(tuple(replace(each, outcome=PushOutcome.PENDING) for each in receipt.results), "h")

    channel = Channel(CAS)
    hub = await Hub(database, organisation_id, channel).set_up({"A": 100})
    hub.channels["compare_and_set"] = mute = Mute(CAS, books=channel.books)
    await hub.set_stock("A", 50)
    await hub.push("compare_and_set")
    await hub.settle()
    assert (mute.books["A"], (await hub.row("compare_and_set", "A"))["expected"]) == (20, 20)


async def test_many_changes_go_in_one_call_where_the_channel_has_a_way_for_many(
    database: Database, organisation_id: UUID
) -> None:
    channel = Full(ABSOLUTE, bulk_from=5)
    skus = {f"S{n:02}": 100 for n in range(12)}
    hub = await Hub(database, organisation_id, channel).set_up(skus)
    hub.context.settings = replace(hub.context.settings, push_batch_max=6, patch_batch_max=2, lower_by_bulk_from=6)
    channel.pushes = []
    for sku in skus:
        await hub.set_stock(sku, 0)
    await hub.push("absolute")
    assert max(len(batch.changes) for batch in channel.pushes) > 6
    await hub.settle()
    assert set(channel.books.values()) == {0}


async def test_a_channel_that_cannot_is_asked_for_nothing(database: Database, organisation_id: UUID) -> None:
    channel = Full(CAS)
    hub, name = await make(database, organisation_id, channel)
    await hub.set_stock("A", 50)
    channel.sell("B", 1)
    channel.unable = frozenset({Capability.PUSH_QUANTITIES, Capability.PULL_ORDERS})
    channel.pushes = []
    assert await push_step(hub.context, hub.key("push", name)) is None
    assert await pull_step(hub.context, hub.key("pull", name)) is None
    assert channel.pushes == []
    assert await rows(hub, "select 1 from sales_order") == []


# ---- runs


async def test_a_run_that_is_stopped_ends_after_its_page_and_what_it_read_stays(
    database: Database, organisation_id: UUID
) -> None:
    channel = Full(CAS)
    hub, name = await make(database, organisation_id, channel)
    channel.pages = 10_000
    channel.sell("A", 1)
    async with database.transaction(organisation_id) as tx:
        [run_id] = await sync.trigger(tx, [hub.connections[name]], ["orders"], utc_now())
        assert await sync.cancel(tx, run_id, utc_now())
    found = await rows(hub, f"select state from sync_run where id = '{run_id}'")
    assert [row[0] for row in found] == ["cancelled"], "one that has not begun is over at once"
    async with database.transaction(organisation_id) as tx:
        [run_id] = await sync.trigger(tx, [hub.connections[name]], ["orders"], utc_now())
    read: list[str | None] = []
    pull = channel.pull_orders

    class Stopped(Full):
        """As the first page is read, a person stops the run."""

        async def pull_orders(self, api: Api, cursor: str | None) -> Page[ChannelOrder]:
            read.append(cursor)
            if len(read) == 1:
                async with database.transaction(organisation_id) as tx:
                    assert await sync.cancel(tx, run_id, utc_now())
            return await pull(api, cursor)

    hub.channels[name] = Stopped(CAS)
    await pull_step(hub.context, hub.key("pull", name))
    found = await rows(hub, f"select state, done, finished_at from sync_run where id = '{run_id}'")
    assert [(row["state"], row["done"], row["finished_at"] is None) for row in found] == [("cancelled", 1, False)]
    assert len(read) == 1
    assert len(await rows(hub, "select 1 from sales_order")) == 1


async def test_a_run_that_fails_says_why(database: Database, organisation_id: UUID) -> None:
    channel = Full(CAS)
    hub, name = await make(database, organisation_id, channel)
    async with database.transaction(organisation_id) as tx:
        [run_id] = await sync.trigger(tx, [hub.connections[name]], ["orders"], utc_now())
    channel.pull_error = CredentialsRejected("token revoked")
    await pull_step(hub.context, hub.key("pull", name))
    found = await rows(hub, f"select state, error from sync_run where id = '{run_id}'")
    assert [tuple(row) for row in found] == [("failed", "token revoked")]


# ---- deliveries


class OddError(EntrepotError):
    """This cannot be."""


async def test_a_delivery_that_cannot_be_mapped_holds_up_no_other(database: Database, organisation_id: UUID) -> None:
    channel = Full(CAS)
    hub, name = await make(database, organisation_id, channel)
    connection_id, now = hub.connections[name], utc_now()
    sold, fetched = order("W1", 1, [line("A", 1)]), channel.sell("B", 1)
    assert fetched is not None
    channel.events = {
        "good": WebhookEvent("good", "orders", order=sold),
        "named": WebhookEvent("named", "orders", order_ids=(fetched.external_id,)),
        "odd": UnexpectedAnswer("no id in it"),
        "ours": OddError(),
        "broken": KeyError("line_items"),
    }
    assert await inbox_step(hub.context, hub.key("inbox", name)) is None
    async with database.transaction(organisation_id) as tx:
        deliveries = [
            Delivery(new_id(), connection_id, each, "orders", "{}", each.encode(), now) for each in channel.events
        ]
        assert await inbox_store.insert_deliveries(tx, deliveries) == 5
        assert await inbox_store.insert_deliveries(tx, deliveries) == 0
    later: datetime = now + timedelta(seconds=1)
    for _ in range(hub.context.settings.webhook_attempts):
        hub.context.clock = lambda at=later: at  # type: ignore[misc]
        await inbox_step(hub.context, hub.key("inbox", name))
        later += timedelta(hours=1)
        async with database.transaction(organisation_id) as tx:
            await tx.execute("update webhook_inbox set next_attempt_at = received_at")
    found = await rows(hub, "select event_id, state, attempts, detail from webhook_inbox order by event_id")
    assert {row["event_id"]: (row["state"], row["attempts"], row["detail"]) for row in found} == {
        "broken": ("parked", 5, "KeyError: 'line_items'"),
        "good": ("done", 0, ""),
        "named": ("done", 0, ""),
        "odd": ("parked", 5, "no id in it"),
        "ours": ("parked", 5, "This cannot be."),
    }
    found = await rows(hub, "select external_id from sales_order order by 1")
    assert [row[0] for row in found] == sorted(["W1", fetched.external_id])
