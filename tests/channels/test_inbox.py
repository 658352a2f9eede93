"""Deliveries are verified, stored once before they are answered, and handed out in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.channels.support import BazaarConnector, new_bazaar, served, sign

from entrepot.channels import facade, inbox_store
from entrepot.channels.contracts import Connection
from entrepot.channels.inbox import Inbox, InboxSettings
from entrepot.channels.inbox_store import Delivery
from entrepot.channels.vault import Vault, new_vault_key
from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id

VAULT = Vault({"a": new_vault_key()}, "a")
CONNECTOR = BazaarConnector()
BODY = b'{"order": 1}'


@dataclass
class Intake:
    """A served inbox with one connection."""

    database: Database
    client: httpx.AsyncClient
    connection: Connection
    inbox: Inbox
    woken: list[tuple[UUID, UUID]] = field(default_factory=list)

    async def deliver(
        self,
        event: str = "e1",
        *,
        body: bytes = BODY,
        secret: str = "hook-secret",
        path: str = "",
        headers: dict[str, str] | None = None,
    ) -> int:
        own = {"x-bazaar-signature": sign(body, secret), "x-bazaar-event": event, "content-type": "application/json"}
        path = path or f"/webhooks/{self.connection.id}"
        return (await self.client.post(path, content=body, headers={**own, **(headers or {})})).status_code

    async def take(self, limit: int = 100) -> list[str]:
        async with self.database.transaction(self.connection.organisation_id) as tx:
            return [each.event_id for each in await facade.take_pending(tx, self.connection.id, limit)]


@asynccontextmanager
async def intake(
    database: Database, organisation_id: UUID, settings: InboxSettings | None = None
) -> AsyncIterator[Intake]:
    async with database.transaction(organisation_id) as tx:
        connection = await facade.connect(tx, VAULT, CONNECTOR, new_bazaar(shop=f"s{organisation_id.hex}"))
    signals = facade.Signals(database)
    woken: list[tuple[UUID, UUID]] = []
    inbox = Inbox(
        database,
        VAULT,
        {"bazaar": CONNECTOR}.__getitem__,
        lambda: "https://hub.example",
        lambda organisation, connection: woken.append((organisation, connection)),
        settings=settings,
        signals=signals,
    )

    async def alias(request: Request) -> Response:
        return await inbox.alias_endpoint(request, request.path_params["channel"])

    app = Starlette(
        routes=[
            Route("/webhooks/{connection_id}", inbox.webhook_endpoint, methods=["POST"]),
            Route("/channel/{channel}", alias, methods=["POST"]),
        ]
    )
    await signals.start()
    async with served(app) as url, httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        yield Intake(database, client, connection, inbox, woken)
    await inbox.close()
    await signals.stop()


async def test_stores_before_it_answers_and_wakes(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id) as it:
        headers = {"x-bazaar-topic": "orders", "x-forwarded-for": "1.2.3.4", "cookie": "c=1"}
        assert await it.deliver(headers=headers) == 200
        async with database.transaction(organisation_id) as tx:
            (event,) = await facade.take_pending(tx, it.connection.id, 10)
        assert (event.event_id, event.topic, event.body, event.attempts) == ("e1", "orders", BODY, 0)
        assert set(event.headers) == {"x-bazaar-event", "x-bazaar-topic", "content-type"}
        assert it.woken == [(organisation_id, it.connection.id)]


async def test_a_repeated_event_is_stored_once(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id) as it:
        answers = await asyncio.gather(*(it.deliver(f"e{i % 7}") for i in range(40)))
        assert set(answers) == {200}
        assert sorted(await it.take()) == [f"e{i}" for i in range(7)]


async def test_refuses_what_is_not_signed_for_us(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id) as it:
        assert await it.deliver(secret="guess") == 401
        assert await it.deliver(secret="") == 401
        assert await it.deliver(path=f"/webhooks/{new_id()}") == 404
        assert await it.deliver(path="/webhooks/nonsense") == 404
        assert await it.take() == []


async def test_refuses_too_much(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id, InboxSettings(body_bytes_max=100)) as it:
        assert await it.deliver(body=b"x" * 101) == 413

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 50

        answer = await it.client.post(f"/webhooks/{it.connection.id}", content=chunks())
        assert answer.status_code == 413
        assert await it.deliver(body=b"x" * 100) == 200
    async with intake(database, (await _other(database)), InboxSettings(waiting_max=0)) as it:
        assert await it.deliver() == 503
        assert await it.take() == []


async def test_a_signed_delivery_that_names_no_event_is_kept(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id) as it:
        headers = {"x-bazaar-signature": sign(BODY, "hook-secret")}
        for _ in range(2):
            answer = await it.client.post(f"/webhooks/{it.connection.id}", content=BODY, headers=headers)
            assert answer.status_code == 200
        (event,) = await it.take()
        assert event.startswith("sha256:")


async def test_states_of_the_connection(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id) as it:
        assert await it.deliver("before") == 200
        async with database.transaction(organisation_id) as tx:
            await facade.pause(tx, it.connection.id)
        assert await it.deliver("paused") == 200
        async with database.transaction(organisation_id) as tx:
            await facade.disconnect(tx, it.connection.id)
        for _ in range(100):
            if await it.deliver("after") == 404:
                break
            await asyncio.sleep(0.02)
        assert await it.deliver("after") == 404
        assert (await it.take())[:2] == ["before", "paused"]


async def test_an_address_without_a_connection_finds_the_account(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id) as it:
        shop = it.connection.settings["shop"]
        assert await it.deliver("a", path="/channel/bazaar", headers={"x-bazaar-shop": f"{shop}.bazaar.example"}) == 200
        assert await it.deliver("b", path="/channel/bazaar", headers={"x-bazaar-shop": "nobody"}) == 404
        assert await it.deliver("c", path="/channel/unknown") == 404
        async with database.transaction(organisation_id) as tx:
            await facade.connect(tx, VAULT, CONNECTOR, new_bazaar("Twin", shop=shop))
        assert await it.deliver("d", path="/channel/bazaar", headers={"x-bazaar-shop": shop}) == 404
        assert await it.take() == ["a"]


async def test_two_readers_do_not_take_the_same(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id) as it:
        for i in range(4):
            await it.deliver(f"e{i}")
        async with database.transaction(organisation_id) as one, database.transaction(organisation_id) as two:
            first = await facade.take_pending(one, it.connection.id, 2)
            second = await facade.take_pending(two, it.connection.id, 10)
            assert [each.event_id for each in first] == ["e0", "e1"]
            assert [each.event_id for each in second] == ["e2", "e3"]
            await facade.mark_done(one, [each.id for each in first])
        assert await it.take() == ["e2", "e3"]


async def test_failures_are_tried_again_then_parked_and_can_be_replayed(
    database: Database, organisation_id: UUID
) -> None:
    async with intake(database, organisation_id) as it:
        await it.deliver("bad")
        now = datetime.now(UTC)
        async with database.transaction(organisation_id) as tx:
            (event,) = await facade.take_pending(tx, it.connection.id, 1)
            assert not await facade.mark_failed(tx, event.id, "odd", now + timedelta(hours=1))
        assert await it.take() == []
        async with database.transaction(organisation_id) as tx:
            (count,) = await facade.counts(tx)
            assert (count.pending, count.parked) == (1, 0)
            assert await facade.mark_failed(tx, event.id, "odd\x00", now, attempts_max=2)
            (count,) = await facade.counts(tx)
            assert (count.pending, count.parked, count.oldest_pending_at) == (0, 1, None)
            assert await facade.replay(tx, [event.id]) == 1
        assert await it.take() == ["bad"]


async def test_old_processed_deliveries_are_purged(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id) as it:
        for name in ("done", "parked", "pending"):
            await it.deliver(name)
        async with database.transaction(organisation_id) as tx:
            done, parked, _ = await facade.take_pending(tx, it.connection.id, 10)
            await facade.mark_done(tx, [done.id])
            await facade.mark_failed(tx, parked.id, "odd", datetime.now(UTC), attempts_max=1)
        now = datetime.now(UTC)
        assert await facade.purge_done(database, organisation_id, now, timedelta(days=1)) == 0
        assert await facade.purge_done(database, organisation_id, now + timedelta(days=2), timedelta(days=1)) == 1
        async with database.transaction(organisation_id) as tx:
            assert await tx.fetch_value("select count(*) from webhook_inbox") == 2


async def test_one_bad_delivery_does_not_fail_its_neighbours(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id) as it:
        now = datetime.now(UTC)

        def delivery(event: str, headers: str = "{}") -> Delivery:
            return Delivery(new_id(), it.connection.id, event, "orders", headers, BODY, now)

        results = await asyncio.gather(
            *(it.inbox._store(organisation_id, each) for each in (delivery("a"), delivery("b", "{"), delivery("c"))),
            return_exceptions=True,
        )
        assert [isinstance(each, ConnectionError) for each in results] == [False, True, False]
        assert await it.take() == ["a", "c"]


async def test_other_organisations_do_not_see_it(database: Database, organisation_id: UUID) -> None:
    async with intake(database, organisation_id) as it:
        await it.deliver()
        async with database.transaction(await _other(database)) as tx:
            assert await facade.take_pending(tx, it.connection.id, 10) == []
            assert await inbox_store.counts(tx) == []


async def _other(database: Database) -> UUID:
    identifier = new_id()
    async with database.transaction(None) as tx:
        await tx.execute("insert into organisation (id, name) values ($1, 'Other')", identifier)
    return identifier


@pytest.mark.parametrize("url", ["https://hub.example", "https://hub.example/"])
def test_the_address_to_deliver_to(url: str) -> None:
    id = new_id()
    assert facade.webhook_url(url, id) == f"https://hub.example/webhooks/{id}"
