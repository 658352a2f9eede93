"""Deliveries that are verified with a key of the channel, and addresses that prove themselves: with eBay, simulated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from tests.channels.support import served

from entrepot.channels import facade
from entrepot.channels.contract import QuantityBatch, QuantityChange, RequestRejected, TemporarilyUnavailable
from entrepot.channels.contracts import Connection, NewConnection
from entrepot.channels.inbox import Inbox
from entrepot.channels.transport import ChannelTransport
from entrepot.channels.vault import Vault, new_vault_key
from entrepot.channels.webhook_keys import KEEP_S, KEEP_UNKNOWN_S, KeyUnavailable, WebhookKeys, key_fetcher
from entrepot.connectors import registry
from entrepot.connectors.ebay import CONNECTOR
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot_sandbox.books import Buyer, Sale
from entrepot_sandbox.ebay.market import Ebay
from entrepot_sandbox.server import Config, Running, running

VAULT = Vault({"a": new_vault_key()}, "a")
BUYER = Buyer("Ada Byron", "ada@example.com", "1 Mill Lane", "Leeds", "LS1 1AA", "GB")


@dataclass
class Hub:
    """A served inbox with a stored connection to the simulated eBay."""

    database: Database
    transport: ChannelTransport
    connection: Connection
    client: httpx.AsyncClient
    address: str
    sandbox: Running

    @property
    def url(self) -> str:
        return f"{self.address}/webhooks/{self.connection.id}"

    @property
    def market(self) -> Ebay:
        found = self.sandbox.sandbox.markets["ebay"]
        assert isinstance(found, Ebay)
        return found

    async def taken(self) -> list[str]:
        async with self.database.transaction(self.connection.organisation_id) as tx:
            return [each.topic for each in await facade.take_pending(tx, self.connection.id, 100)]


@asynccontextmanager
async def hub(database: Database, organisation_id: UUID) -> AsyncIterator[Hub]:
    addresses: list[str] = []
    transport = ChannelTransport(database, VAULT, registry.connector_of)
    inbox = Inbox(
        database,
        VAULT,
        registry.connector_of,
        lambda: addresses[0],
        lambda organisation, connection: None,
        fetch_key=key_fetcher(database, transport),
    )
    routes = [
        Route("/webhooks/{connection_id:uuid}", inbox.webhook_endpoint, methods=["POST"]),
        Route("/webhooks/{connection_id:uuid}", inbox.challenge_endpoint, methods=["GET"]),
    ]
    async with (
        running(Config(seed=3, products=5, channels=("ebay",), time_scale=200)) as sandbox,
        served(Starlette(routes=routes)) as address,
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
    ):
        addresses.append(address)
        account = sandbox.sandbox.markets["ebay"].accounts()[0]
        values = {**account.settings, **account.credentials, "simulator_url": sandbox.url}
        async with database.transaction(organisation_id) as tx:
            new = NewConnection("ebay", "eBay", "simulated", values)
            connection = await facade.connect(tx, VAULT, CONNECTOR, new)
        yield Hub(database, transport, connection, client, address, sandbox)
        await inbox.close()
        await transport.close()


async def test_an_order_is_told_signed_and_kept(database: Database, organisation_id: UUID) -> None:
    async with hub(database, organisation_id) as it:
        api = it.transport.api(it.connection)
        await CONNECTOR.subscribe_webhooks(api, it.url)
        listing = (await CONNECTOR.pull_listings(api, None)).items[0]
        change = QuantityChange(listing.ref, listing.sku or "", 5, 0)
        await CONNECTOR.push_quantities(api, QuantityBatch("b", (change,), utc_now()))
        order = it.market.place_order(Sale(((listing.sku or "", 2),), BUYER))
        assert order is not None
        for _ in range(300):
            if taken := await it.taken():
                break
            await asyncio.sleep(0.02)
        assert taken == ["ORDER_CONFIRMATION"]


async def test_only_what_ebay_signed_is_taken(database: Database, organisation_id: UUID) -> None:
    async with hub(database, organisation_id) as it:
        body = (
            b'{"metadata":{"topic":"ORDER_CONFIRMATION"},"notification":{"notificationId":"n1","data":{"orderId":"1"}}}'
        )
        signed = {"x-ebay-signature": it.market.notifications.signature(body)}

        async def deliver(content: bytes, headers: dict[str, str]) -> int:
            return (await it.client.post(it.url, content=content, headers=headers)).status_code

        assert await deliver(body, {}) == 401
        assert await deliver(body + b" ", signed) == 401
        assert await deliver(body, {"x-ebay-signature": "nonsense"}) == 401
        it.market.notifications.key_id, right = "another-key", it.market.notifications.key_id
        unknown = {"x-ebay-signature": it.market.notifications.signature(body)}
        it.market.notifications.key_id = right
        assert await deliver(body, unknown) == 401, "eBay has no such key"
        assert await it.taken() == []
        assert await deliver(body, signed) == 200
        assert await it.taken() == ["ORDER_CONFIRMATION"]


async def test_without_the_key_ebay_is_to_send_it_again(database: Database, organisation_id: UUID) -> None:
    async with hub(database, organisation_id) as it:
        body = b'{"metadata":{"topic":"ORDER_CONFIRMATION"},"notification":{"notificationId":"n1","data":{}}}'
        signed = {"x-ebay-signature": it.market.notifications.signature(body)}
        await CONNECTOR.check(it.transport.api(it.connection))
        quota = it.market.state.quotas["notification"]
        usual, quota.limit = quota.limit, 0
        assert (await it.client.post(it.url, content=body, headers=signed)).status_code == 503
        assert await it.taken() == []
        quota.limit = usual


async def test_the_challenge_is_for_the_connections_own_address(database: Database, organisation_id: UUID) -> None:
    async with hub(database, organisation_id) as it:
        answer = await it.client.get(it.url, params={"challenge_code": "abc"})
        secret = it.market.state.client_secret
        assert answer.content == CONNECTOR.webhook_challenge({"challenge_code": "abc"}, it.url, secret)
        assert answer.headers["content-type"] == "application/json"
        assert (await it.client.get(it.url)).status_code == 404
        elsewhere = f"{it.address}/webhooks/{new_id()}"
        assert (await it.client.get(elsewhere, params={"challenge_code": "abc"})).status_code == 404


async def test_a_connection_made_with_a_consent_code_goes_on_without_it(
    database: Database, organisation_id: UUID
) -> None:
    async with hub(database, organisation_id) as it:
        state = it.market.state
        state.codes["v^1.1#code"] = it.sandbox.sandbox.world.clock.monotonic() + 60
        account = it.market.accounts()[0]
        values = {**account.settings, **account.credentials, "simulator_url": it.sandbox.url, "refresh_token": ""}
        values |= {"authorization_code": "v%5E1.1%23code", "ru_name": "Kiln-Runame"}
        new = NewConnection("ebay", "eBay by code", "simulated", values)
        tested = await facade.check_new(it.transport, new)
        assert tested.report.ok, tested.report
        async with database.transaction(organisation_id) as tx:
            connection = await facade.connect(
                tx, VAULT, CONNECTOR, new, fetched=tested.fetched, token_expires_at=tested.token_expires_at
            )
        api = it.transport.api(connection)
        assert len((await CONNECTOR.pull_listings(api, None)).items) == 5
        state.tokens.clear()
        assert (await CONNECTOR.check(api)).ok, "the refresh token was kept, for the code is used up"


# ---- what is remembered --------------------------------------------------------------------------------


class Source:
    """Gives out keys and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    async def __call__(self, organisation_id: UUID, connection_id: UUID, key_id: str) -> str:
        self.asked += 1
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        return f"key of {key_id}"


async def test_a_key_is_asked_for_once_and_again_after_an_hour() -> None:
    source, now, connection = Source(), [0.0], new_id()
    keys = WebhookKeys(source, clock=lambda: now[0])
    told = await asyncio.gather(*(keys.key(new_id(), connection, "k") for _ in range(20)))
    assert set(told) == {"key of k"}
    assert source.asked == 1
    now[0] = KEEP_S - 1
    await keys.key(new_id(), connection, "k")
    assert source.asked == 1
    now[0] = KEEP_S
    await keys.key(new_id(), connection, "k")
    assert source.asked == 2
    assert await keys.key(new_id(), new_id(), "k") == "key of k"
    assert source.asked == 3, "another connection is another account"


async def test_an_unknown_key_is_refused_for_a_minute_and_silence_is_no_refusal() -> None:
    source, now, connection = Source(), [0.0], new_id()
    keys = WebhookKeys(source, clock=lambda: now[0])
    source.error = RequestRejected("no such key")
    assert [await keys.key(new_id(), connection, "k") for _ in range(3)] == ["", "", ""]
    assert source.asked == 1
    now[0] = KEEP_UNKNOWN_S
    source.error = TemporarilyUnavailable("busy")
    for _ in range(2):
        with pytest.raises(KeyUnavailable):
            await keys.key(new_id(), connection, "k")
    assert source.asked == 3
    source.error = None
    assert await keys.key(new_id(), connection, "k") == "key of k"
    for nothing in ("", "x" * 201):
        assert await keys.key(new_id(), connection, nothing) == ""
    assert source.asked == 4
