"""A connection to a fulfiller: found under Connect, tested, connected; it sells nothing and has no orders to fetch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from tests.api.support import serve
from tests.orders.support import make_variants

from entrepot.app import connection_defaults
from entrepot.channels import facade as channels
from entrepot.channels.contract import (
    Address,
    Capability,
    ListingRef,
    MakingConfirmation,
    MakingDraft,
    MakingLine,
    MakingOutcome,
)
from entrepot.channels.contracts import NewConnection
from entrepot.channels.facade import ChannelTransport, Vault, new_vault_key
from entrepot.channels.inbox import Inbox
from entrepot.connectors import registry
from entrepot.database.pool import Database
from entrepot.identity.facade import Actor, system_actor
from entrepot.jobs.lanes import LaneKey
from entrepot.jobs.reactions import react
from entrepot.kernel.clock import utc_now
from entrepot.settings import Settings
from entrepot.sync import facade as sync
from entrepot.sync import progress, reading
from entrepot.sync.check import listings_step
from entrepot.sync.desk import ChannelDesk, ConnectionTestFailed
from entrepot.sync.pull import inbox_step, pull_step
from entrepot.sync.push import push_step
from entrepot_sandbox.server import Config, Running, running


@dataclass
class Office:
    """A hub with a desk, and a simulated Printful."""

    database: Database
    organisation_id: UUID
    actor: Actor
    desk: ChannelDesk
    context: sync.SyncContext
    sandbox: Running
    transport: ChannelTransport
    vault: Vault

    @property
    def market(self) -> Any:
        return self.sandbox.sandbox.markets["printful"]

    def new(self, **changes: str) -> NewConnection:
        (account,) = self.market.accounts()
        told = {**account.settings, **account.credentials, "simulator_url": self.sandbox.url, "catalog_products": ""}
        return NewConnection("printful", "Poppy prints", "simulated", {**told, **changes})

    async def fetch(self, query: str) -> Any:
        async with self.database.transaction(self.organisation_id) as tx:
            return await tx.fetch(query, self.organisation_id)


@pytest.fixture
async def office(database: Database, organisation_id: UUID) -> AsyncIterator[Office]:
    vault = Vault({"k": new_vault_key()}, "k")
    transport = ChannelTransport(database, vault, registry.connector_of)
    async with running(Config(seed=2, products=12, channels=("printful",))) as sandbox:
        try:
            desk = ChannelDesk(
                database,
                vault,
                transport,
                registry.connector_of,
                public_url="http://127.0.0.1:1",
                defaults=partial(connection_defaults, Settings()),
            )
            context = sync.SyncContext(database, transport, registry.connector_of, sync.SyncSettings())
            actor = system_actor(organisation_id, "Ada")
            yield Office(database, organisation_id, actor, desk, context, sandbox, transport, vault)
        finally:
            await transport.close()


async def test_a_fulfiller_is_connected_listed_and_sells_nothing(office: Office) -> None:
    skus = [each.sku for each in office.market.catalog.store_variants.values()]
    await make_variants(office.database, office.organisation_id, dict.fromkeys(skus, 5))
    id = await office.desk.connect(office.actor, office.new())
    async with office.database.transaction(office.organisation_id) as tx:
        connection = await channels.get(tx, id)
        assert connection.fulfilment_only
    assert await pull_step(office.context, LaneKey("pull", office.organisation_id, id)) is None
    await listings_step(office.context, LaneKey("listings", office.organisation_id, id))
    runs = await office.fetch("select kind, state from sync_run where organisation_id = $1 order by kind")
    assert [(row["kind"], row["state"]) for row in runs] == [("listings", "done"), ("orders", "done")]
    rows = await office.fetch("select variant_id, external_id from listing where organisation_id = $1")
    assert len(rows) == len(skus)
    assert all(row["variant_id"] is not None and row["external_id"].startswith("sync-") for row in rows)
    assert await push_step(office.context, LaneKey("push", office.organisation_id, id)) is None
    while await react(
        office.database, office.organisation_id, sync.reaction_table(registry.connector_of, clock_error_s=0.0)
    ):
        pass
    async with office.database.transaction(office.organisation_id) as tx:
        assert await reading.troubled_listings(tx, limit=50) == ()
    assert await office.fetch("select state from listing_quantity where organisation_id = $1") == []
    async with office.database.transaction(office.organisation_id) as tx:
        run = (await sync.trigger(tx, None, ["orders"], utc_now()))[0]
    await pull_step(office.context, LaneKey("pull", office.organisation_id, id))
    async with office.database.transaction(office.organisation_id) as tx:
        assert await progress.waiting_run(tx, id, "orders") is None
        assert run is not None


async def test_what_is_wrong_is_told_and_nothing_is_saved(office: Office) -> None:
    for wrong, word in (({"access_token": "no"}, "token"), ({"store_id": "7"}, "no store 7")):
        with pytest.raises(ConnectionTestFailed, match=word):
            await office.desk.connect(office.actor, office.new(**wrong))
    assert await office.fetch("select id from connection where organisation_id = $1") == []


async def test_deliveries_of_a_fulfiller_are_checked_kept_once_and_done(office: Office) -> None:
    id = await office.desk.connect(office.actor, office.new())
    async with office.database.transaction(office.organisation_id) as tx:
        api = office.transport.api(await channels.get(tx, id))
    connector: Any = registry.connector_of("printful")
    inbox = Inbox(office.database, office.vault, registry.connector_of, lambda: "http://127.0.0.1:1", lambda *_: None)
    routes = [Route("/webhooks/{connection_id}", inbox.webhook_endpoint, methods=["POST"])]
    async with serve(Starlette(routes=routes)) as url:
        learned = await connector.subscribe_webhooks(api, f"{url}/webhooks/{id}")
        async with office.database.transaction(office.organisation_id) as tx:
            await channels.add_credentials(tx, office.vault, id, learned)
        variant = next(iter(office.market.catalog.store_variants.values()))
        keys = {"catalog_variant_id": str(variant.variant.id), "sync_variant_id": str(variant.id)}
        line = MakingLine("sale-1", ListingRef(f"sync-{variant.id}", keys), 1)
        to = Address("Ada", "", "1 Mill Lane", "", "Lisbon", "", "1100", "PT")
        made = await connector.make_draft(api, MakingDraft("order-1", to, (line,)))
        assert made.outcome is MakingOutcome.DONE
        office.market.orders.find("@order-1").costs_ready_at = 0.0
        for _ in range(2):
            done = await connector.confirm_making(api, MakingConfirmation("order-1"))
            assert done.outcome is MakingOutcome.DONE
        async with asyncio.timeout(10):
            while not await office.fetch("select id from webhook_inbox where organisation_id = $1"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        forged = {"x-pf-webhook-signature": "0" * 64}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{url}/webhooks/{id}", content=b'{"type":"order_updated"}', headers=forged)
        assert answer.status_code == 401
    await inbox.close()
    while await inbox_step(office.context, LaneKey("inbox", office.organisation_id, id)) == 0.0:
        pass
    rows = await office.fetch("select state, detail, topic from webhook_inbox where organisation_id = $1")
    assert {(row["state"], row["detail"]) for row in rows} == {("done", "")}


def test_it_is_among_the_channels_that_can_be_connected() -> None:
    (manifest,) = [each for each in registry.manifests() if each.key == "printful"]
    assert Capability.MAKE_ORDERS in manifest.capabilities
    assert not manifest.sells
    assert connection_defaults(Settings(), "printful").fulfilment_only
    assert not connection_defaults(Settings(), "shopify").fulfilment_only
