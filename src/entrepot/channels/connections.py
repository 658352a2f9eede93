"""Use cases of connections: connect, change, pause, disconnect; their credentials; how far pulls got."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from entrepot.channels import rules, store
from entrepot.channels.contract import Connector, Credentials
from entrepot.channels.contracts import (
    Connection,
    ConnectionChanges,
    ConnectionDefaults,
    ConnectionState,
    Cursor,
    NewConnection,
)
from entrepot.channels.rules import InvalidFields
from entrepot.channels.vault import Secrets, Vault
from entrepot.database.pool import Database, Tx
from entrepot.jobs import facade as jobs
from entrepot.kernel.errors import Conflict, NotFound
from entrepot.kernel.ids import new_id

Audit = Callable[[str, str, str, Mapping[str, Any] | None, Mapping[str, Any] | None], Awaitable[None]]
"""(action, subject kind, subject id, before, after): the audit log with its transaction and actor bound."""

_ANY_LIVE = (ConnectionState.ACTIVE, ConnectionState.PAUSED, ConnectionState.NEEDS_ATTENTION)
PRIORITY_MAX = 1000

CONNECTIONS_CHANGED = "connections.changed"
"""Topic of the outbox: {"connection_id"}: what this connection is offered may have to change."""


class ConnectionNotFound(NotFound):
    """There is no such connection."""


class NameTaken(Conflict):
    """Another connection has that name already."""


class WrongState(Conflict):
    """The connection is not in a state that allows this."""


class NoCredentials(Conflict):
    """This connection has no credentials: connect it again."""


async def connect(
    tx: Tx,
    vault: Vault,
    connector: Connector,
    new: NewConnection,
    *,
    fetched: Credentials | None = None,
    token_expires_at: datetime | None = None,
    defaults: ConnectionDefaults | None = None,
    audit: Audit | None = None,
) -> Connection:
    """Store a connection with its credentials; it is active at once.

    `fetched`: credentials that changed while it was tested (an access token, a rotated refresh token), see
    `check_new`. Raises InvalidFields with a message per field, NameTaken.
    """
    manifest = connector.manifest
    entered = rules.check_fields(manifest, new.values)
    rules.base_urls(manifest, new.environment, entered.settings)
    name = rules.check_name(new.name)
    defaults = defaults or ConnectionDefaults()
    interval_s = min(max(defaults.sync_interval_s, rules.SYNC_INTERVAL_MIN_S), rules.SYNC_INTERVAL_MAX_S)
    connection = await store.insert_connection(
        tx, new_id(), manifest.key, name, new.environment, entered.settings,
        replace(defaults, sync_interval_s=interval_s),
    )  # fmt: skip
    if connection is None:
        raise NameTaken(f"There is a connection named {name!r} already.", name=name)
    sealed = vault.seal(tx.organisation, connection.id, {**entered.secrets, **(fetched or {})})
    await store.put_credentials(tx, connection.id, sealed, token_expires_at)
    await store.upsert_route(tx, connection.id, manifest.key, rules.account_key(manifest, connection.settings))
    await _announce(tx, connection.id)
    await _audit(audit, "connection.connect", connection.id, None, _shown(connection))
    return connection


async def get(tx: Tx, id: UUID) -> Connection:
    """Return a connection. Raises ConnectionNotFound."""
    return _found(await store.select_connection(tx, id))


async def list_all(tx: Tx, *, with_disconnected: bool = False) -> list[Connection]:
    """Return the connections by priority, then name."""
    return await store.select_connections(tx, with_disconnected=with_disconnected)


async def update(
    tx: Tx, connector: Connector, id: UUID, changes: ConnectionChanges, *, audit: Audit | None = None
) -> Connection:
    """Change what a person may change. Raises ConnectionNotFound, InvalidFields, NameTaken, WrongState."""
    before = _found(await store.select_connection(tx, id, lock=True))
    if before.state is ConnectionState.DISCONNECTED:
        raise WrongState("The connection is disconnected; connect it again first.")
    after = _changed(before, connector, changes)
    if not await store.update_connection(tx, after):
        raise NameTaken(f"There is a connection named {after.name!r} already.", name=after.name)
    await store.upsert_route(tx, id, after.channel, rules.account_key(connector.manifest, after.settings))
    await _announce(tx, id)
    await _audit(audit, "connection.update", id, _shown(before), _shown(after))
    if changes.paused is True and after.state is not ConnectionState.PAUSED:
        return await pause(tx, id, audit=audit)
    if changes.paused is False and after.state is ConnectionState.PAUSED:
        return await resume(tx, id, audit=audit)
    return after


def _changed(before: Connection, connector: Connector, changes: ConnectionChanges) -> Connection:
    messages: dict[str, str] = {}
    after = replace(
        before,
        name=before.name if changes.name is None else rules.check_name(changes.name),
        priority=before.priority if changes.priority is None else changes.priority,
        buffer=before.buffer if changes.buffer is None else changes.buffer,
        share=None if changes.clear_share else before.share if changes.share is None else changes.share,
        # Where nothing is sold there is no stock to be given, whatever a form says.
        fulfilment_only=not connector.manifest.sells
        or (before.fulfilment_only if changes.fulfilment_only is None else changes.fulfilment_only),
        sync_interval_s=before.sync_interval_s if changes.sync_interval_s is None else changes.sync_interval_s,
    )
    if not 0 <= after.priority <= PRIORITY_MAX:
        messages["priority"] = f"The priority must be 0 to {PRIORITY_MAX}."
    if not 0 <= after.buffer <= 1_000_000:
        messages["buffer"] = "The buffer must be 0 to 1,000,000 units."
    if after.share is not None and not (after.share.is_finite() and 0 <= after.share <= 1):
        messages["share"] = "The share must be 0 to 1."
    elif after.share is not None:
        after = replace(after, share=after.share.quantize(Decimal("0.0001")))
    if not rules.SYNC_INTERVAL_MIN_S <= after.sync_interval_s <= rules.SYNC_INTERVAL_MAX_S:
        messages["sync_interval_s"] = "The interval must be 1 second to 7 days."
    if changes.settings is not None:
        after = replace(after, settings=_settings_changed(before, connector, changes.settings, messages))
    if messages:
        raise InvalidFields(messages)
    return after


def _settings_changed(
    before: Connection, connector: Connector, changes: Mapping[str, str], messages: dict[str, str]
) -> Mapping[str, str]:
    manifest = connector.manifest
    secret = {each.name for each in manifest.fields if each.secret}
    for name in changes:
        if name in secret:
            messages[name] = "This is a secret: change it by connecting again."
    values = {**before.settings, **{name: value for name, value in changes.items() if name not in secret}}
    public = replace(manifest, fields=tuple(each for each in manifest.fields if not each.secret))
    try:
        settings = rules.check_fields(public, values).settings
        rules.base_urls(manifest, before.environment, settings)
    except InvalidFields as error:
        messages.update(error.messages)
        return before.settings
    return settings


async def replace_credentials(
    tx: Tx,
    vault: Vault,
    connector: Connector,
    id: UUID,
    values: Mapping[str, str],
    *,
    fetched: Credentials | None = None,
    token_expires_at: datetime | None = None,
    audit: Audit | None = None,
) -> Connection:
    """Connect again with new secrets (settings stay unless given): active, whatever the state was.

    Raises ConnectionNotFound, InvalidFields.
    """
    before = _found(await store.select_connection(tx, id, lock=True))
    manifest = connector.manifest
    entered = rules.check_fields(manifest, {**before.settings, **values})
    rules.base_urls(manifest, before.environment, entered.settings)
    await store.update_connection(tx, replace(before, settings=entered.settings))
    old = await store.select_credentials(tx, id, lock=True)
    kept: Mapping[str, str] = {}
    if old is not None:  # learned secrets (a webhook key) stay; the token of the old credentials does not
        entered_names = {each.name for each in manifest.fields}
        opened = vault.open(tx.organisation, id, old.sealed) if old.sealed.key_id in vault else Secrets({})
        kept = {n: v for n, v in opened.items() if n not in entered_names and n != "access_token"}
    sealed = vault.seal(tx.organisation, id, {**kept, **entered.secrets, **(fetched or {})})
    await store.put_credentials(tx, id, sealed, token_expires_at)
    await store.upsert_route(tx, id, manifest.key, rules.account_key(manifest, entered.settings))
    after = _found(await store.change_state(tx, id, ConnectionState.ACTIVE, "", only_from=tuple(ConnectionState)))
    await _announce(tx, id)
    await _audit(audit, "connection.reconnect", id, _shown(before), _shown(after))
    return after


async def disconnect(tx: Tx, id: UUID, *, audit: Audit | None = None) -> Connection:
    """End a connection: its credentials are deleted, everything else is kept. Doing it twice is harmless."""
    before = _found(await store.select_connection(tx, id, lock=True))
    await store.delete_credentials(tx, id)
    await store.delete_route(tx, id)
    after = await store.change_state(tx, id, ConnectionState.DISCONNECTED, "", only_from=_ANY_LIVE)
    if after is None:
        return before
    await _announce(tx, id)
    await _audit(audit, "connection.disconnect", id, _shown(before), _shown(after))
    return after


async def pause(tx: Tx, id: UUID, *, reason: str = "", audit: Audit | None = None) -> Connection:
    """Stop pulling and pushing; webhooks are still stored. Raises ConnectionNotFound, WrongState."""
    return await _move(tx, id, ConnectionState.PAUSED, reason, _ANY_LIVE, "connection.pause", audit)


async def resume(tx: Tx, id: UUID, *, audit: Audit | None = None) -> Connection:
    """Work again after a pause. Raises ConnectionNotFound, WrongState."""
    only_from = (ConnectionState.PAUSED, ConnectionState.ACTIVE)
    return await _move(tx, id, ConnectionState.ACTIVE, "", only_from, "connection.resume", audit)


async def _move(
    tx: Tx,
    id: UUID,
    state: ConnectionState,
    reason: str,
    only_from: tuple[ConnectionState, ...],
    action: str,
    audit: Audit | None,
) -> Connection:
    before = _found(await store.select_connection(tx, id, lock=True))
    after = await store.change_state(tx, id, state, reason, only_from=only_from)
    if after is None:
        raise WrongState(f"The connection is {before.state.value.replace('_', ' ')}.", state=before.state.value)
    await store.notify_changed(tx, id)
    await _audit(audit, action, id, _shown(before), _shown(after))
    return after


async def mark_needs_attention(tx: Tx, id: UUID, reason: str) -> bool:
    """The channel refuses us: stop until a person acts. True if it was active (a paused one stays paused)."""
    only_from = (ConnectionState.ACTIVE,)
    changed = await store.change_state(tx, id, ConnectionState.NEEDS_ATTENTION, reason[:500], only_from=only_from)
    if changed is not None:
        await store.notify_changed(tx, id)
    return changed is not None


async def mark_working(tx: Tx, id: UUID) -> bool:
    """The channel answers again: back to active. True if it needed attention."""
    only_from = (ConnectionState.NEEDS_ATTENTION,)
    changed = await store.change_state(tx, id, ConnectionState.ACTIVE, "", only_from=only_from)
    if changed is not None:
        await store.notify_changed(tx, id)
    return changed is not None


async def read_credentials(tx: Tx, vault: Vault, id: UUID) -> Secrets:
    """Return the decrypted credentials. Raises NoCredentials, and what `Vault.open` raises."""
    row = await store.select_credentials(tx, id)
    if row is None:
        raise NoCredentials(connection_id=str(id))
    return vault.open(tx.organisation, id, row.sealed)


async def add_credentials(tx: Tx, vault: Vault, id: UUID, learned: Mapping[str, str]) -> None:
    """Keep credentials that the channel gave us (a webhook signing key) beside the others. Raises NoCredentials."""
    row = await store.select_credentials(tx, id, lock=True)
    if row is None:
        raise NoCredentials(connection_id=str(id))
    secrets = vault.open(tx.organisation, id, row.sealed).merged(learned)
    await store.replace_sealed(tx, id, vault.seal(tx.organisation, id, secrets))
    await store.notify_changed(tx, id)


async def rotate_vault_key(database: Database, vault: Vault, organisation_id: UUID) -> int:
    """Seal everything of an organisation under the active key, one row a transaction; return how many were.

    Nothing stops meanwhile: old keys still open what is not done yet. Run again after a crash.
    """
    async with database.transaction(organisation_id) as tx:
        ids = await store.select_sealed_under_other_keys(tx, vault.active)
    done = 0
    for id in ids:
        async with database.transaction(organisation_id) as tx:
            row = await store.select_credentials(tx, id, lock=True)
            if row is not None and row.sealed.key_id != vault.active:
                secrets = vault.open(organisation_id, id, row.sealed)
                await store.replace_sealed(tx, id, vault.seal(organisation_id, id, secrets))
                done += 1
    return done


async def organisations_with_connections(database: Database) -> list[UUID]:
    """Return every organisation that has a live connection."""
    async with database.transaction(None) as tx:
        return await store.select_organisations_with_connections(tx)


async def get_cursor(tx: Tx, connection_id: UUID, kind: str) -> Cursor:
    """Return how far a pull got; an empty one if it never ran."""
    return await store.select_cursor(tx, connection_id, kind) or Cursor(kind, None, None, None)


async def advance_cursor(
    tx: Tx, connection_id: UUID, kind: str, value: str | None, complete_until: datetime | None, pulled_at: datetime
) -> None:
    """Store how far a pull got. `complete_until` never goes back; None leaves it."""
    await store.upsert_cursor(tx, connection_id, kind, value, complete_until, pulled_at)


async def _announce(tx: Tx, id: UUID) -> None:
    await store.notify_changed(tx, id)
    await jobs.emit(tx, CONNECTIONS_CHANGED, {"connection_id": str(id)})


def _found(connection: Connection | None) -> Connection:
    if connection is None:
        raise ConnectionNotFound
    return connection


def _shown(connection: Connection) -> dict[str, Any]:
    return {
        "channel": connection.channel,
        "name": connection.name,
        "environment": connection.environment,
        "settings": dict(connection.settings),
        "state": connection.state.value,
        "state_reason": connection.state_reason,
        "priority": connection.priority,
        "buffer": connection.buffer,
        "share": None if connection.share is None else str(connection.share),
        "fulfilment_only": connection.fulfilment_only,
        "sync_interval_s": connection.sync_interval_s,
    }


async def _audit(
    audit: Audit | None, action: str, id: UUID, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> None:
    if audit is not None:
        await audit(action, "connection", str(id), before, after)
