"""What people ask of channels that needs the network: test, connect, reconnect, disconnect, start and stop runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from entrepot.channels import facade as channels
from entrepot.channels.contract import CheckReport, ConnectorError, HandlesWebhooks
from entrepot.channels.contracts import Connection, ConnectionDefaults, FindConnector, NewConnection
from entrepot.channels.transport import ChannelTransport
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import Conflict, NotFound
from entrepot.sync import facade as sync
from entrepot.sync.fields import first_contact

log = structlog.get_logger(__name__)


class ConnectionTestFailed(Conflict):
    """The channel could not be connected."""


class RunNotFound(NotFound):
    """There is no such run, or it has ended."""


class ChannelDesk:
    """One per web process."""

    def __init__(
        self,
        database: Database,
        vault: channels.Vault,
        transport: ChannelTransport,
        find_connector: FindConnector,
        *,
        public_url: str,
        defaults: Callable[[str], ConnectionDefaults] = lambda channel: ConnectionDefaults(),
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._vault = vault
        self._transport = transport
        self._find = find_connector
        self._public_url = public_url
        self._defaults = defaults
        self._clock = clock

    @property
    def kinds(self) -> Mapping[str, str]:
        """The kinds of run that a person may start, with their titles."""
        return {"orders": "Fetch orders", "listings": "Read listings", "drift": "Compare quantities"}

    async def check_new(self, actor: Actor, new: NewConnection) -> CheckReport:
        """Try settings and credentials before anything is saved. Raises InvalidFields."""
        return (await channels.check_new(self._transport, new)).report

    async def connect(self, actor: Actor, new: NewConnection) -> UUID:
        """Test and save a connection and start its first runs; return its id.

        Raises InvalidFields, NameTaken, or ConnectionTestFailed with what the test found; then nothing is saved. Webhooks are
        subscribed by the first run, and repaired by later ones.
        """
        connector = self._find(new.channel)
        new = replace(new, values=self._with_start(connector.manifest.fields, new.values))
        tested = await channels.check_new(self._transport, new)
        if not tested.report.ok:
            raise ConnectionTestFailed(" ".join((tested.report.summary, *tested.report.details)))
        async with self._database.transaction(actor.organisation_id) as tx:
            connection = await channels.connect(
                tx, self._vault, connector, new, fetched=tested.fetched, token_expires_at=tested.token_expires_at,
                defaults=self._defaults(new.channel), audit=partial(identity.record, tx, actor),
            )  # fmt: skip
            await first_contact.begin(tx, connection.id)
            await sync.trigger(tx, [connection.id], ["listings", "orders"], self._clock())
        return connection.id

    def _with_start(self, fields: Any, values: Mapping[str, str]) -> Mapping[str, str]:
        """Fill in that orders are taken over from now on, where the channel can be told and the person left it open."""
        names = {field.name for field in fields}
        if "orders_since" in names and not values.get("orders_since"):
            return {**values, "orders_since": self._clock().isoformat()}
        return values

    async def check(self, actor: Actor, connection_id: UUID) -> CheckReport:
        """Try a stored connection; one that waited for attention works again if the test passes."""
        connection = await self._get(actor, connection_id)
        report = await channels.check_connection(self._transport, connection)
        if report.ok:
            async with self._database.transaction(actor.organisation_id) as tx:
                await channels.mark_working(tx, connection_id)
        return report

    async def replace_credentials(self, actor: Actor, connection_id: UUID, values: dict[str, str]) -> None:
        """Test new secrets of a connection, keep them and make it active.

        Raises InvalidFields, or ConnectionTestFailed with what the test found; then the old ones stay.
        """
        connection = await self._get(actor, connection_id)
        new = NewConnection(
            connection.channel, connection.name, connection.environment, {**connection.settings, **values}
        )
        tested = await channels.check_new(self._transport, new)
        if not tested.report.ok:
            raise ConnectionTestFailed(" ".join((tested.report.summary, *tested.report.details)))
        async with self._database.transaction(actor.organisation_id) as tx:
            await channels.replace_credentials(
                tx, self._vault, self._find(connection.channel), connection_id, values, fetched=tested.fetched,
                token_expires_at=tested.token_expires_at, audit=partial(identity.record, tx, actor),
            )  # fmt: skip
            await sync.trigger(tx, [connection_id], ["listings", "orders"], self._clock())

    async def disconnect(self, actor: Actor, connection_id: UUID) -> None:
        """End a connection: webhooks unsubscribed if the channel answers, credentials deleted, history kept."""
        connection = await self._get(actor, connection_id)
        connector = self._find(connection.channel)
        if isinstance(connector, HandlesWebhooks):
            try:
                url = channels.webhook_url(self._public_url, connection_id)
                await connector.unsubscribe_webhooks(self._transport.api(connection), url)
            except (ConnectorError, channels.NoCredentials) as error:
                log.warning("webhooks_not_unsubscribed", connection=str(connection_id), detail=error.detail)
        async with self._database.transaction(actor.organisation_id) as tx:
            await channels.disconnect(tx, connection_id, audit=partial(identity.record, tx, actor))

    async def start_sync(self, actor: Actor, connection_id: UUID, kind: str) -> UUID:
        """Start a run of one kind; return it."""
        async with self._database.transaction(actor.organisation_id) as tx:
            return (await sync.trigger(tx, [connection_id], [kind], self._clock()))[0]

    async def cancel_run(self, actor: Actor, run_id: UUID) -> None:
        """Ask a run to stop. Raises RunNotFound."""
        async with self._database.transaction(actor.organisation_id) as tx:
            if not await sync.cancel(tx, run_id, self._clock()):
                raise RunNotFound

    async def _get(self, actor: Actor, connection_id: UUID) -> Connection:
        async with self._database.transaction(actor.organisation_id) as tx:
            return await channels.get(tx, connection_id)
