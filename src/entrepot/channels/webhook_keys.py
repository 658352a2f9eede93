"""Keys with which channels sign their webhooks: fetched by their id when a delivery names one, and kept for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from entrepot.channels import store
from entrepot.channels.contract import ConnectorError, KeysWebhooks, RequestRejected
from entrepot.channels.transport import ChannelTransport
from entrepot.database.pool import Database

KEEP_S = 3600.0
"""How long a key is used before it is fetched again."""
KEEP_UNKNOWN_S = 60.0
"""How long an id that the channel does not know is refused without asking again."""
KEYS_MAX = 1000
KEY_ID_LENGTH_MAX = 200

FetchKey = Callable[[UUID, UUID, str], Awaitable[str]]
"""(organisation, connection, key id) -> the key. Raises ConnectorError."""


class KeyUnavailable(Exception):
    """The channel does not give out the key at the moment: the delivery should be sent again."""


def key_fetcher(database: Database, transport: ChannelTransport) -> FetchKey:
    """Return what asks a channel for a key, with the credentials of the connection that the delivery is for."""

    async def fetch(organisation_id: UUID, connection_id: UUID, key_id: str) -> str:
        async with database.transaction(organisation_id) as tx:
            connection = await store.select_connection(tx, connection_id)
        if connection is None:
            raise RequestRejected("The connection is gone")
        connector = transport.find_connector(connection.channel)
        if not isinstance(connector, KeysWebhooks):
            raise RequestRejected("This channel signs with no key of its own")
        return await connector.fetch_webhook_key(transport.api(connection), key_id)

    return fetch


@dataclass(slots=True)
class _Known:
    key: str
    until: float


class WebhookKeys:
    """The keys that this process knows, by connection and id. Deliveries at the same time share one question."""

    def __init__(self, fetch: FetchKey | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: dict[tuple[UUID, str], _Known] = {}
        self._asking: dict[tuple[UUID, str], asyncio.Task[str]] = {}

    async def key(self, organisation_id: UUID, connection_id: UUID, key_id: str) -> str:
        """Return the key, empty where the channel has none with that id. Raises KeyUnavailable where it does not answer."""
        if self._fetch is None or not key_id or len(key_id) > KEY_ID_LENGTH_MAX:
            return ""
        place = (connection_id, key_id)
        known = self._known.get(place)
        if known is not None and self._clock() < known.until:
            return known.key
        task = self._asking.get(place)
        if task is None:
            task = self._asking[place] = asyncio.create_task(
                self._ask(self._fetch, organisation_id, connection_id, key_id)
            )
            task.add_done_callback(lambda done: self._asking.pop(place, None))
        return await asyncio.shield(task)

    async def _ask(self, fetch: FetchKey, organisation_id: UUID, connection_id: UUID, key_id: str) -> str:
        try:
            key, keep_s = await fetch(organisation_id, connection_id, key_id), KEEP_S
        except RequestRejected:
            key, keep_s = "", KEEP_UNKNOWN_S
        except ConnectorError as error:
            raise KeyUnavailable(error.detail) from error
        if len(self._known) >= KEYS_MAX:
            self._known.clear()
        self._known[connection_id, key_id] = _Known(key, self._clock() + keep_s)
        return key
