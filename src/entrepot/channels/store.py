"""Every statement on connections, their routes, credentials and cursors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from entrepot.channels.contracts import Connection, ConnectionDefaults, ConnectionState, Cursor
from entrepot.channels.vault import Sealed
from entrepot.database.pool import Tx

CONNECTION_CHANGED = "entrepot_connection"
"""PostgreSQL notification channel: the payload is the id of a connection whose cached facts are out of date."""

_COLUMNS = """id, organisation_id, channel, name, environment, settings, state, state_reason, priority, buffer, share,
    fulfilment_only, sync_interval_s, created_at"""


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """Sealed credentials as they are stored. `server_now`: the database's clock when they were read."""

    sealed: Sealed
    token_expires_at: datetime | None
    token_fetched_at: datetime | None
    server_now: datetime


def _connection(row: asyncpg.Record) -> Connection:
    values: dict[str, Any] = dict(row)
    values["state"] = ConnectionState(values["state"])
    return Connection(**values)


# ---- connections -----------------------------------------------------------------------------------------


async def insert_connection(
    tx: Tx,
    id: UUID,
    channel: str,
    name: str,
    environment: str,
    settings: Mapping[str, str],
    defaults: ConnectionDefaults,
) -> Connection | None:
    """Insert a connection; None if the name is taken."""
    row = await tx.fetch_row(
        f"""
        insert into connection (
            organisation_id, id, channel, name, environment, settings, sync_interval_s, share, fulfilment_only,
            priority)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (organisation_id, name) do nothing
        returning {_COLUMNS}
        """,
        tx.organisation,
        id,
        channel,
        name,
        environment,
        dict(settings),
        defaults.sync_interval_s,
        defaults.share,
        defaults.fulfilment_only,
        defaults.priority,
    )
    return _connection(row) if row else None


async def select_connection(tx: Tx, id: UUID, *, lock: bool = False) -> Connection | None:
    """Return a connection, or None; with `lock`, nobody else changes it until the transaction ends."""
    row = await tx.fetch_row(
        f"""
        select {_COLUMNS} from connection where organisation_id = $1 and id = $2
        {"for no key update" if lock else ""}
        """,
        tx.organisation,
        id,
    )
    return _connection(row) if row else None


async def select_connections(tx: Tx, *, with_disconnected: bool) -> list[Connection]:
    """Return the connections by priority, then name."""
    rows = await tx.fetch(
        f"""
        select {_COLUMNS} from connection
        where organisation_id = $1 and ($2 or state <> 'disconnected')
        order by priority, name
        """,
        tx.organisation,
        with_disconnected,
    )
    return [_connection(row) for row in rows]


async def update_connection(tx: Tx, connection: Connection) -> bool:
    """Store everything of a connection that may change; False if its new name is another one's."""
    await tx.execute("savepoint connection_name")
    try:
        await tx.execute(
            """
            update connection set name = $3, settings = $4, priority = $5, buffer = $6, share = $7,
                fulfilment_only = $8, sync_interval_s = $9, updated_at = now()
            where organisation_id = $1 and id = $2
            """,
            tx.organisation,
            connection.id,
            connection.name,
            dict(connection.settings),
            connection.priority,
            connection.buffer,
            connection.share,
            connection.fulfilment_only,
            connection.sync_interval_s,
        )
    except asyncpg.UniqueViolationError:
        await tx.execute("rollback to savepoint connection_name")
        return False
    await tx.execute("release savepoint connection_name")
    return True


async def change_state(
    tx: Tx, id: UUID, state: ConnectionState, reason: str, *, only_from: Sequence[ConnectionState]
) -> Connection | None:
    """Move a connection to a state from one of those named; None if it is in none of them."""
    row = await tx.fetch_row(
        f"""
        update connection set state = $3, state_reason = $4, updated_at = now()
        where organisation_id = $1 and id = $2 and state = any($5)
        returning {_COLUMNS}
        """,
        tx.organisation,
        id,
        state.value,
        reason,
        [each.value for each in only_from],
    )
    return _connection(row) if row else None


async def notify_changed(tx: Tx, id: UUID) -> None:
    """Tell every process, at commit, that what it remembers of this connection is out of date."""
    await tx.fetch_value("select pg_notify($1, $2)", CONNECTION_CHANGED, str(id))


async def upsert_route(tx: Tx, id: UUID, channel: str, account_key: str) -> None:
    """Let webhooks find the organisation of this connection."""
    await tx.execute(
        """
        insert into connection_route (connection_id, organisation_id, channel, account_key) values ($1, $2, $3, $4)
        on conflict (connection_id) do update set account_key = excluded.account_key
        """,
        id,
        tx.organisation,
        channel,
        account_key,
    )


async def delete_route(tx: Tx, id: UUID) -> None:
    """Webhooks for this connection are not taken any more."""
    await tx.execute(
        "delete from connection_route where connection_id = $1 and organisation_id = $2", id, tx.organisation
    )


async def select_route(tx: Tx, id: UUID) -> asyncpg.Record | None:
    """Return (organisation_id, channel) of a connection, whatever the organisation of the transaction."""
    return await tx.fetch_row("select organisation_id, channel from connection_route where connection_id = $1", id)


async def select_routes_of_channel(tx: Tx, channel: str, account_keys: Sequence[str]) -> list[UUID]:
    """Return up to two connections of a channel, of the accounts named (none named: of any)."""
    rows = await tx.fetch(
        """
        select connection_id from connection_route
        where channel = $1 and (cardinality($2::text[]) = 0 or account_key = any($2))
        limit 2
        """,
        channel,
        list(account_keys),
    )
    return [row["connection_id"] for row in rows]


async def select_organisations_with_connections(tx: Tx) -> list[UUID]:
    """Return every organisation that has a connection (directory: needs no organisation)."""
    rows = await tx.fetch("select distinct organisation_id from connection_route order by 1")
    return [row["organisation_id"] for row in rows]


# ---- credentials -----------------------------------------------------------------------------------------


async def put_credentials(tx: Tx, id: UUID, sealed: Sealed, expires_at: datetime | None) -> None:
    """Store credentials that a person entered; a token refresh that is under way will not overwrite them."""
    await tx.execute(
        """
        insert into credential (organisation_id, connection_id, key_id, sealed, token_expires_at, token_fetched_at)
        values ($1, $2, $3, $4, $5::timestamptz, case when $5 is null then null else now() end)
        on conflict (organisation_id, connection_id) do update set key_id = excluded.key_id, sealed = excluded.sealed,
            token_expires_at = excluded.token_expires_at, token_fetched_at = excluded.token_fetched_at,
            refresh_lease_by = null, refresh_lease_until = null, updated_at = now()
        """,
        tx.organisation,
        id,
        sealed.key_id,
        sealed.data,
        expires_at,
    )


async def select_credentials(tx: Tx, id: UUID, *, lock: bool = False) -> CredentialRow | None:
    """Return the sealed credentials of a connection, or None."""
    row = await tx.fetch_row(
        f"""
        select key_id, sealed, token_expires_at, token_fetched_at, clock_timestamp() as server_now
        from credential where organisation_id = $1 and connection_id = $2 {"for update" if lock else ""}
        """,
        tx.organisation,
        id,
    )
    if row is None:
        return None
    sealed = Sealed(row["key_id"], row["sealed"])
    return CredentialRow(sealed, row["token_expires_at"], row["token_fetched_at"], row["server_now"])


async def replace_sealed(tx: Tx, id: UUID, sealed: Sealed) -> None:
    """Store the same credentials under another key, or with fields added; the token's times stay."""
    await tx.execute(
        """
        update credential set key_id = $3, sealed = $4, updated_at = now()
        where organisation_id = $1 and connection_id = $2
        """,
        tx.organisation,
        id,
        sealed.key_id,
        sealed.data,
    )


async def delete_credentials(tx: Tx, id: UUID) -> None:
    """Forget the credentials of a connection."""
    await tx.execute("delete from credential where organisation_id = $1 and connection_id = $2", tx.organisation, id)


async def select_sealed_under_other_keys(tx: Tx, key_id: str) -> list[UUID]:
    """Return the connections whose credentials are not sealed under this key."""
    rows = await tx.fetch(
        "select connection_id from credential where organisation_id = $1 and key_id <> $2 order by connection_id",
        tx.organisation,
        key_id,
    )
    return [row["connection_id"] for row in rows]


async def take_refresh_lease(tx: Tx, id: UUID, by: UUID, lease_s: float) -> bool:
    """Become the one process that refreshes this connection's token, for at most `lease_s`; False if another is."""
    return bool(
        await tx.execute(
            """
            update credential
            set refresh_lease_by = $3, refresh_lease_until = clock_timestamp() + make_interval(secs => $4)
            where organisation_id = $1 and connection_id = $2
              and (refresh_lease_until is null or refresh_lease_until < clock_timestamp())
            """,
            tx.organisation,
            id,
            by,
            lease_s,
        )
    )


async def select_lease_holder(tx: Tx, id: UUID) -> UUID | None:
    """Return who holds the refresh lease, the row locked."""
    holder: UUID | None = await tx.fetch_value(
        "select refresh_lease_by from credential where organisation_id = $1 and connection_id = $2 for update",
        tx.organisation,
        id,
    )
    return holder


async def store_token(tx: Tx, id: UUID, sealed: Sealed, expires_at: datetime) -> None:
    """Store credentials with a fresh token and end the lease."""
    await tx.execute(
        """
        update credential set key_id = $3, sealed = $4, token_expires_at = $5, token_fetched_at = clock_timestamp(),
            refresh_lease_by = null, refresh_lease_until = null, updated_at = now()
        where organisation_id = $1 and connection_id = $2
        """,
        tx.organisation,
        id,
        sealed.key_id,
        sealed.data,
        expires_at,
    )


async def end_refresh_lease(tx: Tx, id: UUID, by: UUID) -> None:
    """Give the lease back without a token (the refresh failed)."""
    await tx.execute(
        """
        update credential set refresh_lease_by = null, refresh_lease_until = null
        where organisation_id = $1 and connection_id = $2 and refresh_lease_by = $3
        """,
        tx.organisation,
        id,
        by,
    )


# ---- cursors ---------------------------------------------------------------------------------------------


async def select_cursor(tx: Tx, connection_id: UUID, kind: str) -> Cursor | None:
    """Return how far a pull got, or None if it never ran."""
    row = await tx.fetch_row(
        """
        select kind, value, complete_until, pulled_at from pull_cursor
        where organisation_id = $1 and connection_id = $2 and kind = $3
        """,
        tx.organisation,
        connection_id,
        kind,
    )
    return Cursor(**dict(row)) if row else None


async def upsert_cursor(
    tx: Tx, connection_id: UUID, kind: str, value: str | None, complete_until: datetime | None, pulled_at: datetime
) -> None:
    """Store how far a pull got; `complete_until` and `pulled_at` never go back."""
    await tx.execute(
        """
        insert into pull_cursor (organisation_id, connection_id, kind, value, complete_until, pulled_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (organisation_id, connection_id, kind) do update set value = excluded.value,
            complete_until = greatest(pull_cursor.complete_until, excluded.complete_until),
            pulled_at = greatest(pull_cursor.pulled_at, excluded.pulled_at), updated_at = now()
        """,
        tx.organisation,
        connection_id,
        kind,
        value,
        complete_until,
        pulled_at,
    )
