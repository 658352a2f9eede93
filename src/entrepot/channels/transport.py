"""The one way to a channel: signs, waits for rate limits, sends, retries what may be retried, and counts."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

import httpx
import structlog

from entrepot.channels import metrics, rules
from entrepot.channels.client import TransportSettings, host_of, make_client
from entrepot.channels.contract import (
    Call,
    Connector,
    ConnectorError,
    Credentials,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    RefreshesToken,
    Reply,
    TemporarilyUnavailable,
    Token,
    TooLate,
    UnexpectedAnswer,
)
from entrepot.channels.contracts import Connection, FindConnector
from entrepot.channels.pacing import RATE_REFUSED, LocalPacer, Pacer, SharedPacer
from entrepot.channels.signals import Signals
from entrepot.channels.store import CONNECTION_CHANGED
from entrepot.channels.tokens import CredentialSource, EnteredCredentials, StoredCredentials
from entrepot.channels.tries import CallOutcome, Failed, Lost, NotSent, Observe, Tries, harmless, perhaps_done
from entrepot.channels.vault import Secrets, Vault
from entrepot.database.pool import Database
from entrepot.kernel.clock import Clock, utc_now

_log = structlog.get_logger(__name__)
_HEADER = re.compile(r"[\t\x20-\x7e]*")
RETRY_AFTER_MAX_S = 24 * 3600.0
"""No answer stops a connection for longer, whatever it says."""


@dataclass(slots=True)
class _Line:
    """What all calls of one connection share in this process."""

    pacer: Pacer
    slots: asyncio.Semaphore
    clock_offset: timedelta = timedelta(0)
    source: CredentialSource | None = None
    apis: dict[tuple[str, tuple[tuple[str, str], ...]], ChannelApi] = field(default_factory=dict)


class ChannelTransport:
    """Makes an `Api` for a connection. One per process; `start` it, `close` it."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        find_connector: FindConnector,
        *,
        settings: TransportSettings | None = None,
        signals: Signals | None = None,
        observe: Observe | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.database = database
        self.vault = vault
        self.find_connector = find_connector
        self.settings = settings or TransportSettings()
        self.observe = observe
        self.clock = clock
        self._lines: dict[UUID, _Line] = {}
        self.client = make_client(self.settings)
        if signals is not None:
            signals.on(CONNECTION_CHANGED, self._connection_changed)
            signals.on(RATE_REFUSED, self._rate_refused)

    async def close(self) -> None:
        """Close the connections to channels, once tokens that are being fetched are stored."""
        for line in self._lines.values():
            if isinstance(line.source, StoredCredentials):
                await line.source.settle()
        await self.client.aclose()

    def api(self, connection: Connection) -> ChannelApi:
        """Return the API of a stored connection. Cheap: ask for it with the connection as it is now, at each use."""
        connector = self.find_connector(connection.channel)
        line = self._lines.get(connection.id)
        if line is None:
            limits = connector.manifest.rate_limits
            pacer = SharedPacer(self.database, connection.organisation_id, connection.id, limits)
            line = self._lines[connection.id] = _Line(pacer, asyncio.Semaphore(self.settings.in_flight_max))
        key = (connection.environment, tuple(sorted(connection.settings.items())))
        api = line.apis.get(key)
        if api is None:
            line.apis.clear()
            api = line.apis[key] = self._stored_api(connection, connector, line)
        return api

    def _stored_api(self, connection: Connection, connector: Connector, line: _Line) -> ChannelApi:
        urls = rules.base_urls(connector.manifest, connection.environment, connection.settings)
        settings = rules.with_defaults(connector.manifest, connection.settings)
        api = ChannelApi(self, connector, settings, urls, line, connection.id)
        line.source = StoredCredentials(
            self.database,
            self.vault,
            connection.organisation_id,
            connection.id,
            connector.manifest,
            api.fetch_token,
            api.channel_now,
        )
        return api

    def entered_api(
        self, connector: Connector, environment: str, entered: rules.Entered
    ) -> tuple[ChannelApi, EnteredCredentials]:
        """Return the API of a connection that is not stored, for a test, and its credentials."""
        urls = rules.base_urls(connector.manifest, environment, entered.settings)
        line = _Line(LocalPacer(connector.manifest.rate_limits), asyncio.Semaphore(self.settings.in_flight_max))
        settings = rules.with_defaults(connector.manifest, entered.settings)
        api = ChannelApi(self, connector, settings, urls, line, None)
        source = EnteredCredentials(connector.manifest, entered.secrets, api.fetch_token)
        line.source = source
        return api, source

    def clock_offset(self, connection_id: UUID) -> timedelta:
        """Return how far the channel's clock is ahead of ours, as last seen (whole seconds)."""
        line = self._lines.get(connection_id)
        return line.clock_offset if line is not None else timedelta(0)

    def _connection_changed(self, payload: str) -> None:
        for id, line in self._lines.items():
            if payload in ("", str(id)) and isinstance(line.source, StoredCredentials):
                line.source.forget()

    def _rate_refused(self, payload: str) -> None:
        for id, line in self._lines.items():
            if payload in ("", str(id)):
                line.pacer.forget_leases()


class ChannelApi:
    """A connection as a connector sees it: implements `contract.Api`."""

    def __init__(
        self,
        transport: ChannelTransport,
        connector: Connector,
        settings: Mapping[str, str],
        urls: Mapping[str, str],
        line: _Line,
        connection_id: UUID | None,
        *,
        credentials: Credentials | None = None,
    ) -> None:
        self._transport = transport
        self._connector = connector
        self._settings = settings
        self._urls = urls
        self._hosts = {host_of(httpx.URL(url)) for url in urls.values()}
        self._line = line
        self._connection_id = connection_id
        self._given = credentials
        self._channel = connector.manifest.key

    @property
    def settings(self) -> Mapping[str, str]:
        """The connection's settings by field name, defaults filled in."""
        return self._settings

    def channel_now(self) -> datetime:
        """Return the present time by the channel's clock."""
        return self._transport.clock() + self._line.clock_offset

    async def fetch_token(self, credentials: Credentials) -> Token:
        """Fetch an access token with these credentials as they are (no refresh within a refresh)."""
        if not isinstance(self._connector, RefreshesToken):
            raise CredentialsRejected("This channel gives out no access tokens")
        bare = ChannelApi(
            self._transport,
            self._connector,
            self._settings,
            self._urls,
            self._line,
            self._connection_id,
            credentials=credentials,
        )
        return await self._connector.refresh_token(bare, credentials)

    async def send(self, call: Call) -> Reply:
        """Send the call and return its answer; see `contract.Api.send` for the errors.

        Tried again: what certainly was not done (refused connection, 429), and for idempotent calls also a lost answer
        or a 5xx. After a try that may have been done, a failing write ends as OutcomeUnknown.
        """
        began = time.monotonic()
        state = Tries(deadline=began + self._transport.settings.call_total_max_s)
        ended: ConnectorError | None = None
        try:
            return await self._send(call, state)
        except ConnectorError as error:
            ended = error
            if state.perhaps_done and isinstance(error, TemporarilyUnavailable) and not harmless(call):
                ended = OutcomeUnknown(error.detail, code=error.code, retry_after_s=error.retry_after_s)
                raise ended from error
            raise
        finally:
            self._count(call, state, time.monotonic() - began, ended)

    async def _send(self, call: Call, state: Tries) -> Reply:
        limits = self._transport.settings
        while True:
            waited_s = await self._line.pacer.wait(
                call.operation, call.cost, min(limits.rate_wait_max_s, state.deadline - time.monotonic())
            )
            metrics.rate_waits.labels(self._channel).observe(waited_s)
            credentials = None if call.absolute_url else await self._credentials()
            if call.not_after is not None and self._transport.clock() > call.not_after:
                raise TooLate("It could not be sent in time")
            state.attempts += 1
            answer = await self._once(call, credentials)
            if isinstance(answer, Reply):
                return answer
            error = answer.error
            state.status = answer.reply.status if answer.reply else 0
            if isinstance(error, CredentialsRejected) and credentials is not None and not state.renewed:
                state.renewed = True
                if await self._renew(credentials):
                    continue
            if isinstance(error, Lost) or perhaps_done(error, answer.reply):
                state.perhaps_done = True
                if not call.idempotent:
                    raise error
            if not isinstance(error, TemporarilyUnavailable) or state.attempts >= limits.tries:
                raise error
            wait_s = self._wait_before_next(error, state)
            if wait_s > limits.rate_wait_max_s or time.monotonic() + wait_s > state.deadline:
                raise error
            await asyncio.sleep(wait_s)
            metrics.retries.labels(self._channel, call.operation).inc()

    def _wait_before_next(self, error: TemporarilyUnavailable, state: Tries) -> float:
        """Return the seconds to wait: what the channel says, else exponential with full jitter."""
        if isinstance(error, RateLimited):
            return error.retry_after_s or 0.0
        limits = self._transport.settings
        longest = min(limits.backoff_max_s, limits.backoff_first_s * 2 ** (state.attempts - 1))
        return max(error.retry_after_s or 0.0, random.uniform(0, longest))  # noqa: S311 - spreads callers, no secret

    async def _credentials(self) -> Credentials:
        if self._given is not None:
            return self._given
        if self._line.source is None:
            return Secrets({})
        return await self._line.source.current()

    async def _renew(self, refused: Credentials) -> bool:
        if self._given is not None or self._line.source is None:
            return False
        return await self._line.source.renewed(refused) is not None

    async def _once(self, call: Call, credentials: Credentials | None) -> Reply | Failed:
        """Send once; return the answer, or why it is none."""
        at = self.channel_now()
        signed = call if credentials is None else self._connector.authorise(call, credentials, at)
        if any(not _HEADER.fullmatch(value) for name, value in signed.headers.items() if name not in call.headers):
            # Told here, for what the HTTP library says about it repeats the secret.
            return Failed(CredentialsRejected("The credentials have characters that do not belong there"), None)
        request = self._request(signed)
        try:
            async with self._line.slots:
                reply = await self._exchange(request)
        except (NotSent, Lost, UnexpectedAnswer) as failure:
            return Failed(failure, None)
        self._read_clock(reply)
        error = self._connector.classify(reply)
        if isinstance(error, TemporarilyUnavailable) and error.retry_after_s is not None:
            error.retry_after_s = min(error.retry_after_s, RETRY_AFTER_MAX_S)
        if isinstance(error, RateLimited):
            error.retry_after_s = await self._line.pacer.refused(call.operation, error.retry_after_s)
        else:
            await self._line.pacer.answered(call.operation, self._connector.read_limits(call, reply))
        return reply if error is None else Failed(error, reply)

    def _request(self, call: Call) -> httpx.Request:
        if call.absolute_url is not None:
            url = httpx.URL(call.absolute_url)
            if url.scheme != "https" and host_of(url) not in self._hosts:
                raise UnexpectedAnswer(f"The channel gave an address that is not https: {url.scheme}://{url.host}")
        else:
            base = self._urls.get(call.base)
            if base is None:
                raise UnexpectedAnswer(f"{self._channel} has no address named {call.base!r}")
            url = httpx.URL(base + call.path)
        try:
            return self._transport.client.build_request(
                call.method, url, params=list(call.query) or None, headers=dict(call.headers), content=call.body
            )
        except UnicodeError:
            raise UnexpectedAnswer(
                "The call cannot be sent: a header has characters that do not belong there"
            ) from None

    async def _exchange(self, request: httpx.Request) -> Reply:
        limit = self._transport.settings.answer_bytes_max
        try:
            response = await self._transport.client.send(request, stream=True)
            try:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > limit:
                        raise UnexpectedAnswer(f"The channel's answer is longer than {limit} bytes")
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSent(f"The channel cannot be reached ({type(error).__name__})") from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            # Without its words: they repeat headers, which may hold secrets.
            raise UnexpectedAnswer(f"The call cannot be sent ({type(error).__name__})") from None
        except httpx.RequestError as error:
            raise Lost(f"The channel's answer was lost ({type(error).__name__})") from error
        return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(body))

    def _read_clock(self, reply: Reply) -> None:
        text = reply.headers.get("date")
        if not text:
            return
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return
        offset = (date if date.tzinfo else date.replace(tzinfo=UTC)) - self._transport.clock()
        # The header has whole seconds, so a small difference says nothing.
        self._line.clock_offset = offset if abs(offset) > timedelta(seconds=2) else timedelta(0)

    def _count(self, call: Call, state: Tries, seconds: float, error: ConnectorError | None) -> None:
        outcome = "ok" if error is None else type(error).__name__.lstrip("_")
        metrics.calls.labels(self._channel, call.operation, outcome).inc()
        metrics.call_seconds.labels(self._channel, call.operation).observe(seconds)
        if error is not None:
            _log.warning(
                "channel_call_failed",
                channel=self._channel,
                connection_id=str(self._connection_id),
                operation=call.operation,
                error=outcome,
                code=error.code,
                status=state.status,
                attempts=state.attempts,
                seconds=round(seconds, 3),
            )
        if self._transport.observe is not None and self._connection_id is not None:
            self._transport.observe(CallOutcome(self._connection_id, self._channel, call.operation, seconds, error))
