"""Webhooks in: verified, stored, answered. What they mean is somebody else's work, later."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

import asyncpg
import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from entrepot.channels import inbox_store, metrics, rules, store
from entrepot.channels.contract import DatesWebhooks, HandlesWebhooks, KeysWebhooks, UnexpectedAnswer
from entrepot.channels.contracts import FindConnector
from entrepot.channels.inbox_store import Delivery
from entrepot.channels.signals import Signals
from entrepot.channels.vault import Vault
from entrepot.channels.webhook_keys import FetchKey, KeyUnavailable, WebhookKeys
from entrepot.database.pool import Database, Tx
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import EntrepotError, NotFound
from entrepot.kernel.ids import new_id

Wake = Callable[[UUID, UUID], None]
"""Called with (organisation, connection) after deliveries were committed: a hint that there is work."""

ATTEMPTS_MAX = 8
ID_LENGTH_MAX = 200
_log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode
_DROPPED_HEADERS = ("x-forwarded-", "x-real-ip", "x-request-", "x-amzn-trace", "x-cloud-trace", "x-envoy-")
_SECRET_WORDS = ("token", "secret", "hmac", "signature", "auth", "key", "cookie")


@dataclass(frozen=True, slots=True)
class InboxSettings:
    """Limits of webhook intake; times in seconds."""

    body_bytes_max: int = 2 * 1024 * 1024
    route_cache_s: float = 30.0
    unknown_cache_s: float = 5.0
    routes_max: int = 10_000
    batch_max: int = 250
    gather_s: float = 0.002
    """How long the first of a batch waits for company: fewer, larger transactions."""
    waiting_max: int = 5_000
    """Deliveries that may wait for the database; more are answered 503, so that the channel sends them again."""
    waiting_bytes_max: int = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Route:
    """Where deliveries of a connection belong."""

    organisation_id: UUID
    channel: str
    connector: HandlesWebhooks
    secret: str = field(repr=False)
    dates: DatesWebhooks | None = None
    """The connector, where deliveries are signed with their time."""
    age_max_s: float | None = None
    keys: KeysWebhooks | None = None
    """The connector, where the channel signs with keys of its own."""

    def is_fresh(self, headers: Mapping[str, str], now: datetime) -> bool:
        """Return whether a verified delivery was signed lately; one that is old may be somebody's who recorded it."""
        if self.dates is None or self.age_max_s is None:
            return True
        at = self.dates.webhook_signed_at(headers)
        return at is not None and abs((now - at).total_seconds()) <= self.age_max_s


_Waiting = tuple[Delivery, asyncio.Future[None]]


@dataclass(slots=True)
class _Queue:
    """Deliveries of one organisation that wait for the next transaction."""

    waiting: list[_Waiting] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Inbox:
    """Takes deliveries: one per web process. `webhook_endpoint` and `alias_endpoint` are Starlette handlers."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        find_connector: FindConnector,
        public_url: Callable[[], str],
        wake: Wake,
        *,
        settings: InboxSettings | None = None,
        signals: Signals | None = None,
        fetch_key: FetchKey | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._vault = vault
        self._find = find_connector
        self._keys = WebhookKeys(fetch_key)
        self._public_url = public_url
        self._wake = wake
        self._settings = settings or InboxSettings()
        self._clock = clock
        self._routes: dict[UUID, tuple[float, _Route | None]] = {}
        self._queues: dict[UUID, _Queue] = {}
        self._waiting = 0
        self._waiting_bytes = 0
        if signals is not None:
            signals.on(store.CONNECTION_CHANGED, self._connection_changed)

    async def webhook_endpoint(self, request: Request) -> Response:
        """`POST /webhooks/{connection_id}`: 200 once stored (a repeated event too), 401 for a wrong or an old signature."""
        try:
            id = UUID(str(request.path_params["connection_id"]))
        except ValueError:
            return _answer("unknown", "not_found", 404)
        return await self._accept(request, id)

    async def alias_endpoint(self, request: Request, channel: str) -> Response:
        """A delivery to an address that names the channel only: goes to the one connection that it can be meant for."""
        id = await self._connection_of(channel, request)
        return _answer(channel, "not_found", 404) if id is None else await self._accept(request, id)

    async def challenge_endpoint(self, request: Request) -> Response:
        """`GET /webhooks/{connection_id}`: the proof that a channel asks an address for; 404 where none is asked for."""
        try:
            route = await self._route(request.path_params["connection_id"])
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, EntrepotError):
            return _answer("unknown", "unavailable", 503)
        if route is None or route.keys is None:
            return _answer("unknown", "not_found", 404)
        url = self._public_url().rstrip("/") + request.scope["path"]
        proof = route.keys.webhook_challenge(dict(request.query_params), url, route.secret)
        if proof is None:
            return _answer(route.channel, "not_found", 404)
        metrics.webhooks.labels(route.channel, "challenge").inc()
        return Response(proof, media_type="application/json")

    async def close(self) -> None:
        """Wait until everything that was taken is stored."""
        tasks = [queue.task for queue in self._queues.values() if queue.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, request: Request, id: UUID) -> Response:
        try:
            route = await self._route(id)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, EntrepotError) as error:
            _log.error("webhook_route_failed", connection_id=str(id), error=type(error).__name__)
            return _answer("unknown", "unavailable", 503)
        if route is None:
            return _answer("unknown", "not_found", 404)
        body = await self._body(request)
        if body is None:
            return _answer(route.channel, "too_large", 413)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
        url = self._public_url().rstrip("/") + request.scope["path"]
        try:
            secret = await self._secret(route, id, headers)
        except (KeyUnavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, EntrepotError):
            return _answer(route.channel, "unavailable", 503)
        if not secret or not route.connector.verify_webhook(body, headers, url, secret):
            return _answer(route.channel, "wrong_signature", 401)
        if not route.is_fresh(headers, self._clock()):
            return _answer(route.channel, "old_signature", 401)
        try:
            event_id, topic = route.connector.webhook_event_id(body, headers)
        except UnexpectedAnswer:
            # It is signed, so it is kept: its own content names it, and reading it later says what is wrong.
            event_id, topic = f"sha256:{hashlib.sha256(body).hexdigest()}", ""
        if self._waiting >= self._settings.waiting_max or self._waiting_bytes >= self._settings.waiting_bytes_max:
            return _answer(route.channel, "unavailable", 503)
        delivery = Delivery(
            new_id(), id, _clean(event_id), _clean(topic), _encode(_kept(headers)).decode(), body, self._clock()
        )
        try:
            await self._store(route.organisation_id, delivery)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            return _answer(route.channel, "unavailable", 503)
        return _answer(route.channel, "stored", 200)

    async def _secret(self, route: _Route, id: UUID, headers: Mapping[str, str]) -> str:
        """Return what a delivery is verified with: our secret, or the channel's key that it names."""
        if route.keys is None:
            return route.secret
        return await self._keys.key(route.organisation_id, id, route.keys.webhook_key_id(headers))

    async def _body(self, request: Request) -> bytes | None:
        """Return the body, or None if it is too long."""
        limit = self._settings.body_bytes_max
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            return None
        chunks: list[bytes] = []
        size = 0
        with suppress(ClientDisconnect):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    return None
                chunks.append(chunk)
        return b"".join(chunks)

    # ---- storing in batches ------------------------------------------------------------------------------

    async def _store(self, organisation_id: UUID, delivery: Delivery) -> None:
        """Return once the delivery is committed. Those that come meanwhile share the next transaction."""
        queue = self._queues.setdefault(organisation_id, _Queue())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.waiting.append((delivery, done))
        self._waiting += 1
        self._waiting_bytes += len(delivery.body)
        if queue.task is None:
            queue.task = asyncio.create_task(self._drain(organisation_id, queue))
        await done

    async def _drain(self, organisation_id: UUID, queue: _Queue) -> None:
        try:
            while queue.waiting:
                await asyncio.sleep(self._settings.gather_s)
                batch = queue.waiting[: self._settings.batch_max]
                del queue.waiting[: len(batch)]
                try:
                    await self._commit(organisation_id, batch)
                finally:
                    self._waiting -= len(batch)
                    self._waiting_bytes -= sum(len(delivery.body) for delivery, _ in batch)
                    _give_up(batch)
        finally:
            queue.task = None
            _give_up(queue.waiting)

    async def _commit(self, organisation_id: UUID, batch: Sequence[_Waiting]) -> None:
        try:
            async with self._database.transaction(organisation_id) as tx:
                await inbox_store.insert_deliveries(tx, [delivery for delivery, _ in batch])
        except Exception as error:
            _log.error("webhook_store_failed", count=len(batch), error=type(error).__name__)
            if len(batch) > 1 and isinstance(error, (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)):
                for each in batch:  # one bad delivery must not fail its neighbours
                    await self._commit(organisation_id, [each])
            return
        for _, done in batch:
            if not done.done():
                done.set_result(None)
        metrics.webhook_batch.observe(len(batch))
        for connection_id in {delivery.connection_id for delivery, _ in batch}:
            try:
                self._wake(organisation_id, connection_id)
            except Exception as error:
                _log.error("webhook_wake_failed", error=type(error).__name__)  # only a hint: the lane looks anyway

    # ---- finding the connection --------------------------------------------------------------------------

    async def _route(self, id: UUID) -> _Route | None:
        now = time.monotonic()
        cached = self._routes.get(id)
        if cached is not None and now < cached[0]:
            return cached[1]
        route = await self._load_route(id)
        if len(self._routes) >= self._settings.routes_max:
            self._routes.clear()
        seconds = self._settings.unknown_cache_s if route is None else self._settings.route_cache_s
        self._routes[id] = (now + seconds, route)
        return route

    async def _load_route(self, id: UUID) -> _Route | None:
        async with self._database.transaction(None) as tx:
            row = await store.select_route(tx, id)
        if row is None:
            return None
        organisation_id: UUID = row["organisation_id"]
        async with self._database.transaction(organisation_id) as tx:
            credentials = await store.select_credentials(tx, id)
        try:
            connector = self._find(row["channel"])
        except (NotFound, KeyError):
            return None
        manifest = connector.manifest
        # Asked here, once: looking through a protocol's methods costs more than all the rest of a delivery.
        if credentials is None or not isinstance(connector, HandlesWebhooks):
            return None
        secrets = self._vault.open(organisation_id, id, credentials.sealed)
        secret = rules.webhook_secret(manifest, secrets)
        dates = connector if isinstance(connector, DatesWebhooks) else None
        keys = connector if isinstance(connector, KeysWebhooks) else None
        return _Route(organisation_id, row["channel"], connector, secret, dates, manifest.webhook_age_max_s, keys)

    async def _connection_of(self, channel: str, request: Request) -> UUID | None:
        try:
            manifest = self._find(channel).manifest
        except (NotFound, KeyError):
            return None
        keys: list[str] = []
        if manifest.webhook_account is not None:
            named = request.headers.get(manifest.webhook_account[0], "").strip().lower()
            if named:
                keys = [named, named.split(".", 1)[0]]
        async with self._database.transaction(None) as tx:
            ids = await store.select_routes_of_channel(tx, manifest.key, keys)
        return ids[0] if len(ids) == 1 else None

    def _connection_changed(self, payload: str) -> None:
        if payload:
            with suppress(ValueError):
                self._routes.pop(UUID(payload), None)
        else:
            self._routes.clear()


def _give_up(batch: Sequence[_Waiting]) -> None:
    """Answer those that were not stored, so that the channel sends them again."""
    for _, done in batch:
        if not done.done():
            done.set_exception(ConnectionError("not stored"))


def webhook_url(public_url: str, connection_id: UUID) -> str:
    """Return the address that a channel is told to deliver to."""
    return f"{public_url.rstrip('/')}/webhooks/{connection_id}"


def _answer(channel: str, outcome: str, status: int) -> Response:
    metrics.webhooks.labels(channel, outcome).inc()
    return Response(status_code=status)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that reading the delivery may need: the channel's own, no proxies', no secrets."""
    return {name: value for name, value in headers.items() if _is_kept(name)}


@lru_cache(maxsize=4096)
def _is_kept(name: str) -> bool:
    if name == "content-type":
        return True
    known = name.startswith("x-") and not name.startswith(_DROPPED_HEADERS)
    return known and not any(word in name for word in _SECRET_WORDS)


def _clean(text: str) -> str:
    """Return text that PostgreSQL stores, of bounded length; a longer one is named by its hash."""
    text = text.replace("\x00", "")
    return text if len(text) <= ID_LENGTH_MAX else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


# ---- the reading side ------------------------------------------------------------------------------------

take_pending = inbox_store.take_pending
mark_done = inbox_store.mark_done
replay = inbox_store.replay
counts = inbox_store.counts


async def mark_failed(
    tx: Tx, id: UUID, detail: str, next_attempt_at: datetime, *, attempts_max: int = ATTEMPTS_MAX
) -> bool:
    """Processing failed once more: try again then. True if it was the last attempt and the event is parked instead."""
    return await inbox_store.mark_failed(tx, id, detail[:1000], next_attempt_at, attempts_max)


async def purge_done(database: Database, organisation_id: UUID, now: datetime, keep: timedelta) -> int:
    """Delete processed deliveries older than `keep`, in small transactions; return how many. Parked ones stay."""
    oldest_ms = int((now - keep).timestamp() * 1000)
    before = UUID(int=max(0, oldest_ms) << 80)
    total = 0
    while True:
        async with database.transaction(organisation_id) as tx:
            deleted = await inbox_store.delete_done(tx, before, 1_000)
        total += deleted
        if deleted < 1_000:
            return total
