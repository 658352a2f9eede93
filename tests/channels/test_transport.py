"""The transport against a server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from tests.channels.support import MANIFEST, BazaarConnector, TokenBazaarConnector, new_bazaar, served

from entrepot.channels import facade
from entrepot.channels.client import TransportSettings
from entrepot.channels.connections import add_credentials, read_credentials
from entrepot.channels.contract import (
    Call,
    CredentialsRejected,
    LimitKind,
    OutcomeUnknown,
    RateLimit,
    RateLimited,
    RequestRejected,
    TemporarilyUnavailable,
    TooLate,
    UnexpectedAnswer,
)
from entrepot.channels.contracts import Connection, NewConnection
from entrepot.channels.transport import ChannelApi, ChannelTransport
from entrepot.channels.tries import CallOutcome
from entrepot.channels.vault import Vault, new_vault_key
from entrepot.database.pool import Database

VAULT = Vault({"a": new_vault_key()}, "a")
QUICK = TransportSettings(backoff_first_s=0.001)
READ = Call("read", "GET", "/thing", idempotent=True)
WRITE = Call("write", "POST", "/thing", body=b"{}")
KEYED_WRITE = replace(WRITE, idempotent=True)


@dataclass
class Bazaar:
    """A server whose next answers are set; after them it answers 200. None: it drops the line after the work."""

    answers: list[int | None] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    done: int = 0
    seen: list[Request] = field(default_factory=list)
    tokens: Counter[str] = field(default_factory=Counter)
    valid_token: str = "right"
    refresh_token: str = "r0"
    expires_in: int = 3600
    token_delay_s: float = 0.0
    token_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await request.body()
        self.seen.append(request)
        response: Response | None
        if scope["path"] == "/auth/token":
            response = await self._token(request)
        elif scope["path"] == "/slow":
            await asyncio.sleep(1)
            response = Response()
        else:
            response = self._answer(request)
        if response is None:
            send.__self__.transport.abort()  # the line is cut after the work was done
        else:
            await response(scope, receive, send)

    def _answer(self, request: Request) -> Response | None:
        status = self.answers.pop(0) if self.answers else 200
        if status is None or status < 300:
            self.done += 1
        if status is None:
            return None
        if status == 200 and request.headers.get("authorization") != f"Bearer {self.valid_token}":
            status = 401
        headers = self.headers if status != 200 else {}
        return JSONResponse({"account": "tea", "path": request.url.path}, status, headers=headers)

    async def _token(self, request: Request) -> Response:
        given = json.loads(await request.body())["refresh_token"]
        self.tokens[given] += 1
        self.token_asked.set()
        await asyncio.sleep(self.token_delay_s)
        if given != self.refresh_token:
            return Response(status_code=401)
        number = sum(self.tokens.values())
        self.refresh_token, self.valid_token = f"r{number}", f"t{number}"
        body = {
            "access_token": self.valid_token,
            "refresh_token": self.refresh_token,
            "expires_in": self.expires_in,
        }
        return JSONResponse(body)


class Ready:
    """A stored connection to a served Bazaar."""

    def __init__(self, bazaar: Bazaar, transport: ChannelTransport, connection: Connection) -> None:
        self.bazaar, self.transport, self.connection = bazaar, transport, connection
        self.outcomes: list[CallOutcome] = []
        transport.observe = self.outcomes.append

    @property
    def api(self) -> ChannelApi:
        return self.transport.api(self.connection)


@asynccontextmanager
async def ready(
    database: Database,
    organisation_id: UUID,
    connector: BazaarConnector | None = None,
    settings: TransportSettings = QUICK,
    bazaar: Bazaar | None = None,
) -> AsyncIterator[Ready]:
    bazaar, connector = bazaar or Bazaar(), connector or BazaarConnector()
    async with served(bazaar) as url:
        new = new_bazaar(url=url)
        if isinstance(connector, TokenBazaarConnector):
            new = NewConnection(
                "bazaar", "Bazaar", "simulated", {"shop": "tea", "simulator_url": url, "refresh_token": "r0"}
            )
        async with database.transaction(organisation_id) as tx:
            connection = await facade.connect(tx, VAULT, connector, new)
        transport = ChannelTransport(database, VAULT, lambda _: connector, settings=settings)
        try:
            yield Ready(bazaar, transport, connection)
        finally:
            await transport.close()


async def test_signs_and_answers(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id) as it:
        reply = await it.api.send(replace(READ, query=(("a", "1"), ("a", "2 3"))))
        assert json.loads(reply.body)["path"] == "/bazaar/thing"
        request = it.bazaar.seen[0]
        assert request.headers["authorization"] == "Bearer right"
        assert request.query_params.getlist("a") == ["1", "2 3"]
        assert it.api.settings["region"] == "eu"
        assert [each.error for each in it.outcomes] == [None]


@pytest.mark.parametrize("token", ["se\u2019cret", "se\ncret", "se\x00cret"])
async def test_a_token_that_no_header_takes_is_refused_without_being_repeated(
    database: Database, organisation_id: UUID, token: str
) -> None:
    async with ready(database, organisation_id) as it:
        async with database.transaction(organisation_id) as tx:
            await add_credentials(tx, VAULT, it.connection.id, {"access_token": token})
        with pytest.raises(CredentialsRejected) as caught:
            await it.api.send(READ)
        shown: BaseException | None = caught.value
        while shown is not None:
            assert "cret" not in str(shown)
            shown = shown.__cause__
        assert not it.bazaar.seen


async def test_an_absurd_retry_after_does_not_stop_a_connection_for_ever(
    database: Database, organisation_id: UUID
) -> None:
    async with ready(database, organisation_id) as it:
        it.bazaar.answers, it.bazaar.headers = [429], {"retry-after": "1e15"}
        with pytest.raises(RateLimited) as caught:
            await it.api.send(READ)
        assert caught.value.retry_after_s is not None
        assert caught.value.retry_after_s <= 24 * 3600


async def test_retries_reads_and_keyed_writes(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id) as it:
        for call in (READ, KEYED_WRITE):
            it.bazaar.answers = [500, 502]
            assert (await it.api.send(call)).status == 200
        assert len(it.bazaar.seen) == 6


async def test_what_rests_on_an_old_reading_is_not_sent(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id) as it:
        now = it.transport.clock()
        assert (await it.api.send(replace(KEYED_WRITE, not_after=now + timedelta(seconds=60)))).status == 200
        with pytest.raises(TooLate):
            await it.api.send(replace(KEYED_WRITE, not_after=now - timedelta(seconds=1)))
        assert len(it.bazaar.seen) == 1


async def test_gives_up_after_three_tries(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id) as it:
        it.bazaar.answers = [500] * 9
        with pytest.raises(TemporarilyUnavailable) as caught:
            await it.api.send(READ)
        assert not isinstance(caught.value, OutcomeUnknown)
        assert len(it.bazaar.seen) == 3
        with pytest.raises(OutcomeUnknown):
            await it.api.send(KEYED_WRITE)


async def test_a_write_is_never_sent_twice_unless_it_certainly_was_not_done(
    database: Database, organisation_id: UUID
) -> None:
    async with ready(database, organisation_id) as it:
        for lost in (500, 503, None):
            it.bazaar.seen.clear()
            it.bazaar.answers = [lost]
            with pytest.raises(OutcomeUnknown):
                await it.api.send(WRITE)
            assert len(it.bazaar.seen) == 1
        it.bazaar.seen.clear()
        it.bazaar.answers = [429]
        it.bazaar.headers = {"retry-after": "0.05"}
        assert (await it.api.send(WRITE)).status == 200
        assert len(it.bazaar.seen) == 2


async def test_a_lost_answer_then_a_refusal_to_work_is_still_unknown(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id) as it:
        it.bazaar.answers = [None, 429, 429]
        it.bazaar.headers = {"retry-after": "0.01"}
        with pytest.raises(OutcomeUnknown):
            await it.api.send(KEYED_WRITE)
        assert it.bazaar.done == 1


async def test_timeouts(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id, settings=replace(QUICK, tries=2, read_timeout_s=0.3)) as it:
        slow = Call("slow", "POST", "", absolute_url=f"{it.connection.settings['simulator_url']}/slow")
        with pytest.raises(OutcomeUnknown):
            await it.api.send(slow)
        assert "authorization" not in it.bazaar.seen[0].headers
        with pytest.raises(TemporarilyUnavailable) as caught:
            await it.api.send(replace(slow, method="GET", idempotent=True))
        assert not isinstance(caught.value, OutcomeUnknown)


async def test_an_unreachable_channel_was_certainly_not_told(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id) as it:
        settings = {**it.connection.settings, "simulator_url": "http://127.0.0.1:1"}
        api = it.transport.api(replace(it.connection, settings=settings))
        with pytest.raises(TemporarilyUnavailable) as caught:
            await api.send(WRITE)
        assert not isinstance(caught.value, OutcomeUnknown)


async def test_refusals_are_not_repeated(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id) as it:
        it.bazaar.answers = [422]
        with pytest.raises(RequestRejected):
            await it.api.send(READ)
        it.bazaar.valid_token = "other"
        with pytest.raises(CredentialsRejected):
            await it.api.send(READ)
        assert len(it.bazaar.seen) == 2
        with pytest.raises(UnexpectedAnswer):
            await it.api.send(replace(READ, base="moon"))
        with pytest.raises(UnexpectedAnswer):
            await it.api.send(replace(READ, absolute_url="http://elsewhere.example/feed"))
        assert len(it.bazaar.seen) == 2


async def test_new_credentials_are_used_at_once_after_a_401(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id) as it:
        await it.api.send(READ)
        it.bazaar.valid_token = "newer"
        async with database.transaction(organisation_id) as tx:
            await facade.replace_credentials(tx, VAULT, BazaarConnector(), it.connection.id, {"access_token": "newer"})
        assert (await it.api.send(WRITE)).status == 200


async def test_a_long_retry_after_is_told_and_holds_back_everyone(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id) as it:
        it.bazaar.answers = [429]
        it.bazaar.headers = {"retry-after": "60"}
        with pytest.raises(RateLimited) as caught:
            await it.api.send(READ)
        assert caught.value.retry_after_s == 60
        other = ChannelTransport(database, VAULT, it.transport.find_connector, settings=QUICK)
        try:
            for transport in (it.transport, other):
                with pytest.raises(RateLimited) as caught:
                    await transport.api(it.connection).send(READ)
                assert caught.value.retry_after_s == pytest.approx(60, abs=20)
        finally:
            await other.close()
        assert len(it.bazaar.seen) == 1


async def test_the_limit_holds_over_processes(database: Database, organisation_id: UUID) -> None:
    limits = (RateLimit("writes", LimitKind.TOKEN_BUCKET, 5, 0.001, ("write",)),)
    connector = BazaarConnector(replace(MANIFEST, rate_limits=limits))
    async with ready(database, organisation_id, connector) as it:
        other = ChannelTransport(database, VAULT, lambda _: connector, settings=QUICK)
        apis = (it.api, other.api(it.connection))
        try:
            results = await asyncio.gather(*(apis[i % 2].send(WRITE) for i in range(12)), return_exceptions=True)
        finally:
            await other.close()
        assert sum(isinstance(each, RateLimited) for each in results) == 7
        assert len(it.bazaar.seen) == 5
        assert (await it.api.send(READ)).status == 200


async def test_many_processes_share_fast_limits_in_blocks(database: Database, organisation_id: UUID) -> None:
    limits = (RateLimit("calls", LimitKind.COST_BUCKET, 1000, 50),)
    connector = BazaarConnector(replace(MANIFEST, rate_limits=limits))
    async with ready(database, organisation_id, connector) as it:
        for _ in range(10):
            await it.api.send(replace(READ, cost=2))
        async with database.transaction(organisation_id) as tx:
            available = await tx.fetch_value(
                "select available from rate_bucket where connection_id = $1", it.connection.id
            )
    assert available <= 900  # of 1000: 50 kept back for late use of blocks, 50 taken as one block, not 2


async def test_a_reading_corrects_what_other_processes_may_take(database: Database, organisation_id: UUID) -> None:
    limits = (RateLimit("calls", LimitKind.COST_BUCKET, 100, 0.001),)
    connector = BazaarConnector(replace(MANIFEST, rate_limits=limits))
    async with ready(database, organisation_id, connector) as it:
        it.bazaar.answers = [404]
        it.bazaar.headers = {"x-left": "3"}
        with pytest.raises(RequestRejected):
            await it.api.send(READ)
        other = ChannelTransport(database, VAULT, lambda _: connector, settings=QUICK)
        try:
            with pytest.raises(RateLimited):
                await other.api(it.connection).send(replace(READ, cost=5))
            assert (await other.api(it.connection).send(replace(READ, cost=2))).status == 200
        finally:
            await other.close()


async def test_many_callers_in_two_processes_refresh_once(database: Database, organisation_id: UUID) -> None:
    connector = TokenBazaarConnector()
    async with ready(database, organisation_id, connector) as it:
        it.bazaar.token_delay_s = 0.1
        other = ChannelTransport(database, VAULT, lambda _: connector, settings=QUICK)
        apis = (it.api, other.api(it.connection))
        try:
            replies = await asyncio.gather(*(apis[i % 2].send(READ) for i in range(10)))
        finally:
            await other.close()
        assert {reply.status for reply in replies} == {200}
        assert it.bazaar.tokens == {"r0": 1}
        async with database.transaction(organisation_id) as tx:
            assert (await read_credentials(tx, VAULT, it.connection.id))["refresh_token"] == "r1"


async def test_a_401_forces_one_refresh(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id, TokenBazaarConnector()) as it:
        await it.api.send(READ)
        it.bazaar.valid_token = "revoked"
        assert (await it.api.send(WRITE)).status == 200
        assert it.bazaar.tokens == {"r0": 1, "r1": 1}
        it.bazaar.answers = [401, 401]
        with pytest.raises(CredentialsRejected):
            await it.api.send(READ)
        assert it.bazaar.tokens == {"r0": 1, "r1": 1, "r2": 1}


async def test_a_token_is_replaced_ahead_of_its_end(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id, TokenBazaarConnector()) as it:
        await it.api.send(READ)
        it.transport.clock = lambda clock=it.transport.clock: clock() + timedelta(minutes=59)  # type: ignore[misc]
        assert (await it.api.send(READ)).status == 200
        assert sum(it.bazaar.tokens.values()) == 2


async def test_a_cancelled_call_does_not_lose_the_new_refresh_token(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id, TokenBazaarConnector()) as it:
        it.bazaar.token_delay_s = 0.2
        task = asyncio.create_task(it.api.send(READ))
        await it.bazaar.token_asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await it.api.send(READ)).status == 200
        assert it.bazaar.tokens == {"r0": 1}


async def test_a_refused_refresh_token_is_said(database: Database, organisation_id: UUID) -> None:
    async with ready(database, organisation_id, TokenBazaarConnector(), bazaar=Bazaar(refresh_token="x")) as it:
        for _ in range(2):
            with pytest.raises(CredentialsRejected):
                await it.api.send(READ)


async def test_checking_before_and_after_storing(database: Database, organisation_id: UUID) -> None:
    connector = TokenBazaarConnector()
    bazaar = Bazaar()
    async with served(bazaar) as url:
        new = NewConnection(
            "bazaar", "Bazaar", "simulated", {"shop": "tea", "simulator_url": url, "refresh_token": "r0"}
        )
        transport = ChannelTransport(database, VAULT, lambda _: connector, settings=QUICK)
        try:
            checked = await facade.check_new(transport, new)
            assert (checked.report.ok, checked.report.account) == (True, "tea")
            assert "r1" not in repr(checked)
            async with database.transaction(organisation_id) as tx:
                connection = await facade.connect(
                    tx, VAULT, connector, new, fetched=checked.fetched, token_expires_at=checked.token_expires_at
                )
            assert (await facade.check_connection(transport, connection)).ok
            assert bazaar.tokens == {"r0": 1}
            wrong = replace(new, values={**new.values, "refresh_token": "no"})
            assert not (await facade.check_new(transport, wrong)).report.ok
        finally:
            await transport.close()
