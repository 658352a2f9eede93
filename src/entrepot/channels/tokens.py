"""A connection's credentials as the transport needs them: decrypted, with an access token that still holds."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from entrepot.channels import metrics, store
from entrepot.channels.contract import (
    AuthKind,
    Capability,
    ConnectorError,
    Credentials,
    CredentialsRejected,
    Manifest,
    TemporarilyUnavailable,
    Token,
)
from entrepot.channels.vault import Secrets, Vault
from entrepot.database.pool import Database, Tx
from entrepot.kernel.clock import Clock
from entrepot.kernel.ids import new_id

CACHE_S = 30.0
"""How long decrypted credentials are kept in memory without asking again."""

REFRESH_AHEAD_S = 120.0
"""How long before its end a token is replaced (never earlier than half of its life)."""

LEASE_S = 60.0
"""How long one process may take to fetch a token before another tries."""

FETCH_TIMEOUT_S = 45.0
WAIT_FOR_OTHER_S = 30.0
STILL_VALID_S = 5.0

FetchToken = Callable[[Credentials], Awaitable[Token]]
_log = structlog.get_logger(__name__)


class CredentialSource(Protocol):
    """Where the transport gets credentials from."""

    async def current(self) -> Secrets:
        """Return credentials to sign with, a token refreshed ahead of its end."""

    async def renewed(self, refused: Credentials) -> Secrets | None:
        """The channel refused these: return newer ones, or None if there are none to be had."""


def fetches_tokens(manifest: Manifest) -> bool:
    """Return whether connections of this channel have access tokens that end."""
    return manifest.auth is AuthKind.OAUTH2_REFRESH and Capability.REFRESH_TOKEN in manifest.capabilities


def due(expires_at: datetime | None, fetched_at: datetime | None, now: datetime) -> bool:
    """Return whether a token should be replaced: close to its end, but not in the first half of its life. Pure."""
    if expires_at is None:
        return False
    ahead = timedelta(seconds=REFRESH_AHEAD_S)
    if fetched_at is not None:
        ahead = min(ahead, max(timedelta(0), (expires_at - fetched_at) / 2))
    return now >= expires_at - ahead


class EnteredCredentials:
    """Credentials that are not stored yet. `fetched` and `expires_at`: what to store with them."""

    def __init__(self, manifest: Manifest, secrets: Mapping[str, str], fetch: FetchToken) -> None:
        self._needs_token = fetches_tokens(manifest)
        self._secrets = Secrets(secrets)
        self._fetch = fetch
        self.fetched: dict[str, str] = {}
        self.expires_at: datetime | None = None

    async def current(self) -> Secrets:
        """Return the credentials, with a token fetched at the first call."""
        if self._needs_token and not self._secrets.get("access_token"):
            await self._refresh()
        return self._secrets

    async def renewed(self, refused: Credentials) -> Secrets | None:
        """A token that was fetched a moment ago and is refused will not get better."""
        return None

    async def _refresh(self) -> None:
        token = await self._fetch(self._secrets)
        self.fetched = {**token.credentials, "access_token": token.access_token}
        self.expires_at = token.expires_at
        self._secrets = self._secrets.merged(self.fetched)


class StoredCredentials:
    """Credentials of a stored connection.

    A refresh is done by one process at a time, which holds a lease in the row and no transaction while it calls the
    channel, and stores the result before anybody uses it, since a rotating refresh token works only once. It goes on
    to its end even if the call that needed it is cancelled.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        organisation_id: UUID,
        connection_id: UUID,
        manifest: Manifest,
        fetch: FetchToken,
        now: Clock,
    ) -> None:
        self._database = database
        self._vault = vault
        self._organisation_id = organisation_id
        self._id = connection_id
        self._channel = manifest.key
        self._needs_token = fetches_tokens(manifest)
        self._fetch = fetch
        self._now = now
        self._secrets: Secrets | None = None
        self._row: store.CredentialRow | None = None
        self._loaded_at = 0.0
        self._refreshing: asyncio.Task[Secrets] | None = None

    def forget(self) -> None:
        """Read the credentials again before the next call."""
        self._secrets = None

    async def settle(self) -> None:
        """Wait until a token that is being fetched is stored (it is bounded by its own timeouts)."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    async def current(self) -> Secrets:
        """Return the credentials; fetches a token if there is none, it has ended, or it soon will."""
        secrets = self._secrets
        if secrets is None or time.monotonic() - self._loaded_at > CACHE_S:
            secrets = await self._load()
        if not self._needs_token:
            return secrets
        row = self._row
        token = secrets.get("access_token", "")
        if not token or row is None or row.token_expires_at is None:
            return await self._refreshed(token)
        if not due(row.token_expires_at, row.token_fetched_at, self._now()):
            return secrets
        if self._now() >= row.token_expires_at - timedelta(seconds=STILL_VALID_S):
            return await self._refreshed(token)
        try:
            return await self._refreshed(token)
        except (TemporarilyUnavailable, TimeoutError):
            return secrets  # it is only ahead of time: the old token still holds

    async def renewed(self, refused: Credentials) -> Secrets | None:
        """Return credentials other than the refused ones: stored meanwhile, or with a fresh token; else None.

        Raises what the fetching of a token raises.
        """
        secrets = await self._load()
        if dict(secrets) != dict(refused):
            return secrets
        return await self._refreshed(refused.get("access_token", "")) if self._needs_token else None

    async def _load(self) -> Secrets:
        async with self._database.transaction(self._organisation_id) as tx:
            return await self._read(tx)

    async def _read(self, tx: Tx, *, lock: bool = False) -> Secrets:
        row = await store.select_credentials(tx, self._id, lock=lock)
        if row is None:
            raise CredentialsRejected("This connection has no credentials: connect it again")
        secrets = self._vault.open(self._organisation_id, self._id, row.sealed)
        self._secrets, self._row, self._loaded_at = secrets, row, time.monotonic()
        return secrets

    async def _refreshed(self, stale_token: str) -> Secrets:
        """Return credentials with another token than the stale one; calls at the same time share one refresh."""
        task = self._refreshing
        if task is None or task.done():
            task = self._refreshing = asyncio.create_task(self._refresh(stale_token))
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def _refresh(self, stale_token: str) -> Secrets:
        deadline = time.monotonic() + WAIT_FOR_OTHER_S
        by = new_id()
        while True:
            async with self._database.transaction(self._organisation_id) as tx:
                secrets = await self._read(tx)
                token = secrets.get("access_token", "")
                if token and token != stale_token and self._row is not None and self._row.token_expires_at is not None:
                    return secrets
                mine = await store.take_refresh_lease(tx, self._id, by, LEASE_S)
            if mine:
                return await self._fetch_and_store(by, secrets)
            if time.monotonic() > deadline:
                raise TemporarilyUnavailable("Another process is still fetching an access token")
            await asyncio.sleep(random.uniform(0.05, 0.25))  # noqa: S311 - spreads processes, no secret

    async def _fetch_and_store(self, by: UUID, secrets: Secrets) -> Secrets:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                token = await self._fetch(secrets)
        except BaseException as error:
            metrics.token_refreshes.labels(self._channel, "failed").inc()
            _log.warning("token_refresh_failed", connection_id=str(self._id), error=type(error).__name__)
            async with self._database.transaction(self._organisation_id) as tx:
                await store.end_refresh_lease(tx, self._id, by)
            if isinstance(error, TimeoutError):
                raise TemporarilyUnavailable("Fetching an access token took too long") from error
            raise
        async with self._database.transaction(self._organisation_id) as tx:
            if await store.select_lease_holder(tx, self._id) == by:
                newest = await self._read(tx, lock=True)
                merged = newest.merged({**token.credentials, "access_token": token.access_token})
                sealed = self._vault.seal(self._organisation_id, self._id, merged)
                await store.store_token(tx, self._id, sealed, token.expires_at)
                await store.notify_changed(tx, self._id)
            # Otherwise a person entered other credentials meanwhile: theirs stand.
            result = await self._read(tx)
        metrics.token_refreshes.labels(self._channel, "fetched").inc()
        return result


def _retrieve(task: asyncio.Task[Secrets]) -> None:
    """Look at the outcome, so that an error which nobody waits for any more is not reported as lost."""
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, ConnectorError):
        _log.error("token_refresh_broke", error=type(error).__name__)
