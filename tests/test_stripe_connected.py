"""Stripe connected to a whole hub: webhooks set up and taken in, old ones refused, refunds made once whatever is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.test_main_job import web, worker

from entrepot import demo
from entrepot.channels import facade as channels
from entrepot.channels.contract import ConnectorError, RefundRequest
from entrepot.channels.contracts import Connection, ConnectionChanges, NewConnection
from entrepot.connectors.stripe import CONNECTOR
from entrepot.connectors.stripe.webhooks import signature_of
from entrepot.database import migrate
from entrepot.processes import free_port
from entrepot.settings import load
from entrepot_sandbox.faults import Level, Profile
from entrepot_sandbox.server import Config, Running, running

WAIT_S = 60.0


@dataclass
class Paying:
    """A hub with a Stripe connection."""

    hub: Any
    sandbox: Running
    connection: Connection
    url: str

    async def rows(self, query: str) -> list[Any]:
        async with self.hub.database.transaction(self.hub.organisation_id) as tx:
            return list(await tx.fetch(query, tx.organisation, self.connection.id))

    async def until(self, query: str, what: str) -> list[Any]:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            if rows := await self.rows(query):
                return rows
            await asyncio.sleep(0.1)
        raise AssertionError(f"not in {WAIT_S:g} s: {what}")

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        return await self.hub.tell(method, f"/stripe{path}", body)


@pytest.fixture
async def paying(empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Paying]:
    await asyncio.to_thread(migrate.upgrade, empty_database_url)
    for name, value in {
        "DATABASE_URL": empty_database_url,
        "ENTREPOT_DATA_DIR": str(tmp_path / "hub"),
        "ENTREPOT_PORT": str(free_port()),
        "ENTREPOT_LOG_LEVEL": "error",
    }.items():
        monkeypatch.setenv(name, value)
    settings = load()
    async with running(Config(seed=5, products=3, channels=("stripe",))) as sandbox:
        with web(settings):
            async with worker(settings), demo._opened(settings, empty_database_url, sandbox.url) as hub:
                (account,) = sandbox.sandbox.markets["stripe"].accounts()
                values = {**account.settings, **account.credentials, "simulator_url": sandbox.url}
                id = await hub.desk.connect(hub.actor, NewConnection("stripe", "Payments", "simulated", values))
                async with hub.database.transaction(hub.organisation_id) as tx:
                    connection = await channels.get(tx, id)
                yield Paying(hub, sandbox, connection, f"http://127.0.0.1:{settings.port}/webhooks/{id}")


async def test_it_is_taken_for_no_shop_and_its_webhooks_come_in(paying: Paying) -> None:
    assert paying.connection.fulfilment_only
    async with paying.hub.database.transaction(paying.hub.organisation_id) as tx:
        changes = ConnectionChanges(fulfilment_only=False)
        assert (await channels.update(tx, CONNECTOR, paying.connection.id, changes)).fulfilment_only
    ended = "select 1 from sync_run where organisation_id = $1 and connection_id = $2 having bool_and(state = 'done')"
    await paying.until(ended, "the first runs end, though there is nothing to read")
    (endpoint,) = (await paying.control("GET", "/books"))["webhook_endpoints"]
    assert endpoint["url"] == paying.url

    await paying.control("POST", "/payments", {"order": "1001", "amount": 5000, "currency": "eur"})
    done = "select topic from webhook_inbox where organisation_id = $1 and connection_id = $2 and state = 'done'"
    assert [row["topic"] for row in await paying.until(done, "the event is taken in")] == ["payment_intent.succeeded"]
    assert (await paying.rows("select 1 from listing where organisation_id = $1 and connection_id = $2")) == []

    # Whoever recorded a delivery cannot send it again later, though its signature is right.
    (secret,) = paying.sandbox.sandbox.markets["stripe"]._webhooks._secrets[endpoint["id"]]  # type: ignore[attr-defined]
    body = b'{"id": "evt_9", "object": "event", "type": "payout.paid"}'
    async with httpx.AsyncClient(trust_env=False) as http:
        for age_s, status in ((0, 200), (290, 200), (400, 401), (-400, 401)):
            seconds = str(int(time.time()) - age_s)
            headers = {"stripe-signature": f"t={seconds},v1={signature_of(body, seconds, secret)}"}
            assert (await http.post(paying.url, content=body, headers=headers)).status_code == status, age_s


async def test_a_refund_is_made_once_through_faults_and_restarts(paying: Paying) -> None:
    faults, asked = paying.sandbox.sandbox.faults, dict[str, str]()
    for number in range(4):
        told = {"order": f"100{number}", "amount": 5000, "currency": "eur"}
        asked[f"r-{number}"] = (await paying.control("POST", "/payments", told))["id"]
    harsh = Profile(answer_lost=0.3, answer_lost_after_s=0.01, dropped=0.1, server_error=0.1, too_many=0.1)
    faults.level, faults.profile = Level.HARSH, harsh
    transport = paying.hub.desk._transport
    deadline = time.monotonic() + WAIT_S
    for key, payment in asked.items():
        wanted = RefundRequest(payment, key, Decimal("12.50"), "EUR")
        for attempt in range(100):
            assert time.monotonic() < deadline
            try:
                await CONNECTOR.refund(transport.api(paying.connection), wanted)
            except ConnectorError:
                continue
            if attempt:  # As after a crash that forgot that it was done.
                faults.use(Level.NONE)
                await CONNECTOR.refund(transport.api(paying.connection), wanted)
                faults.level, faults.profile = Level.HARSH, harsh
            break
    faults.use(Level.NONE)
    books = await paying.control("GET", "/books")
    assert books["refunds_twice"] == 0
    assert sorted(each["metadata"]["entrepot_refund"] for each in books["refunds"]) == sorted(asked)
