"""Connections are checked field by field, keep their secrets apart, move through their states and lose nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.channels.support import MANIFEST, BazaarConnector, new_bazaar

from entrepot.channels import facade, rules, store
from entrepot.channels.connections import read_credentials
from entrepot.channels.contracts import Connection, ConnectionChanges, ConnectionDefaults, ConnectionState
from entrepot.channels.vault import CannotUnseal, UnknownVaultKey, Vault, new_vault_key
from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id

KEY = new_vault_key()
VAULT = Vault({"a": KEY}, "a")
CONNECTOR = BazaarConnector()


async def _connect(database: Database, organisation_id: UUID, name: str = "Bazaar") -> Connection:
    async with database.transaction(organisation_id) as tx:
        return await facade.connect(tx, VAULT, CONNECTOR, new_bazaar(name))


async def test_connecting_parts_settings_and_secrets(database: Database, organisation_id: UUID) -> None:
    records: list[tuple[str, str, str, Mapping[str, Any] | None, Mapping[str, Any] | None]] = []

    async def audit(
        action: str, kind: str, id: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> None:
        records.append((action, kind, id, before, after))

    async with database.transaction(organisation_id) as tx:
        made = await facade.connect(tx, VAULT, CONNECTOR, new_bazaar(), audit=audit)
    assert made.state is ConnectionState.ACTIVE
    assert made.settings == {"shop": "tea", "simulator_url": "http://127.0.0.1:9", "region": "eu"}
    async with database.transaction(organisation_id) as tx:
        assert await facade.get(tx, made.id) == made
        assert await facade.list_all(tx) == [made]
        assert dict(await read_credentials(tx, VAULT, made.id)) == {
            "access_token": "right",
            "client_secret": "hook-secret",
        }
        stored = await tx.fetch_value("select sealed from credential where organisation_id = $1", organisation_id)
        route = await tx.fetch_row("select * from connection_route where connection_id = $1", made.id)
    assert b"right" not in stored
    assert route is not None
    assert (route["organisation_id"], route["channel"], route["account_key"]) == (organisation_id, "bazaar", "tea")
    assert [each[:3] for each in records] == [("connection.connect", "connection", str(made.id))]
    assert "right" not in repr(records)


async def test_a_connection_starts_with_the_defaults_of_its_channel(database: Database, organisation_id: UUID) -> None:
    defaults = ConnectionDefaults(sync_interval_s=40 * 24 * 3600, share=Decimal("0.25"), fulfilment_only=True)
    async with database.transaction(organisation_id) as tx:
        made = await facade.connect(tx, VAULT, CONNECTOR, new_bazaar(), defaults=defaults)
        plain = await facade.connect(tx, VAULT, CONNECTOR, new_bazaar("Plain"))
    assert (made.sync_interval_s, made.share, made.fulfilment_only) == (7 * 24 * 3600, Decimal("0.25"), True)
    assert (plain.sync_interval_s, plain.share, plain.fulfilment_only) == (300, None, False)


async def test_another_organisation_does_not_see_it(database: Database, organisation_id: UUID) -> None:
    made = await _connect(database, organisation_id)
    async with database.transaction(new_id()) as tx:
        with pytest.raises(facade.ConnectionNotFound):
            await facade.get(tx, made.id)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"shop": ""}, {"shop"}),
        ({"shop": "Not A Shop", "access_token": "  "}, {"shop", "access_token"}),
        ({"colour": "red"}, {"colour"}),
        ({"access_token": "a\r\nx-injected: 1"}, {"access_token"}),
        ({"simulator_url": "ftp://elsewhere"}, {"simulator_url"}),
        ({"simulator_url": "http://me@elsewhere"}, {"simulator_url"}),
    ],
)
async def test_each_wrong_field_gets_its_message(
    database: Database, organisation_id: UUID, values: dict[str, str], wrong: set[str]
) -> None:
    async with database.transaction(organisation_id) as tx:
        with pytest.raises(facade.InvalidFields) as caught:
            await facade.connect(tx, VAULT, CONNECTOR, new_bazaar(**values))
    assert set(caught.value.messages) == wrong
    assert caught.value.context["fields"] == caught.value.messages


def test_a_setting_cannot_send_credentials_elsewhere() -> None:
    assert rules.base_urls(MANIFEST, "production", {"shop": "tea"}) == {"api": "https://tea.bazaar.example/api"}
    for shop in ("evil.example/x", "evil.example#", "x@evil.example", "", "a b"):
        with pytest.raises(facade.InvalidFields):
            rules.base_urls(MANIFEST, "production", {"shop": shop})
    with pytest.raises(facade.InvalidFields):
        rules.base_urls(MANIFEST, "moon", {})


async def test_a_name_is_taken_once(database: Database, organisation_id: UUID) -> None:
    await _connect(database, organisation_id)
    other = await _connect(database, organisation_id, "Other")
    with pytest.raises(facade.NameTaken):
        await _connect(database, organisation_id, " Bazaar ")
    async with database.transaction(organisation_id) as tx:
        with pytest.raises(facade.NameTaken):
            await facade.update(tx, CONNECTOR, other.id, ConnectionChanges(name="Bazaar"))
        assert (await facade.get(tx, other.id)).name == "Other"


async def test_changes_are_checked_and_stored(database: Database, organisation_id: UUID) -> None:
    made = await _connect(database, organisation_id)
    changes = ConnectionChanges(
        priority=5, buffer=3, share=Decimal("0.4"), sync_interval_s=60, paused=True, settings={"shop": "coffee"}
    )
    async with database.transaction(organisation_id) as tx:
        await facade.update(tx, CONNECTOR, made.id, changes)
    async with database.transaction(organisation_id) as tx:
        after = await facade.get(tx, made.id)
    assert (after.priority, after.buffer, after.share, after.sync_interval_s) == (5, 3, Decimal("0.4000"), 60)
    assert (after.state, after.settings["shop"]) == (ConnectionState.PAUSED, "coffee")
    wrong = ConnectionChanges(
        priority=-1, buffer=-1, share=Decimal(2), sync_interval_s=0, settings={"access_token": "x"}
    )
    async with database.transaction(organisation_id) as tx:
        with pytest.raises(facade.InvalidFields) as caught:
            await facade.update(tx, CONNECTOR, made.id, wrong)
    assert set(caught.value.messages) == {"priority", "buffer", "share", "sync_interval_s", "access_token"}
    async with database.transaction(organisation_id) as tx:
        after = await facade.update(tx, CONNECTOR, made.id, ConnectionChanges(paused=False, clear_share=True))
    assert (after.state, after.share) == (ConnectionState.ACTIVE, None)
    async with database.transaction(organisation_id) as tx:
        told = await tx.fetch(
            "select payload from outbox where organisation_id = $1 and topic = $2",
            organisation_id,
            facade.CONNECTIONS_CHANGED,
        )
    assert [row["payload"] for row in told] == [{"connection_id": str(made.id)}] * 3


async def test_states(database: Database, organisation_id: UUID) -> None:
    id = (await _connect(database, organisation_id)).id
    async with database.transaction(organisation_id) as tx:
        assert await facade.mark_needs_attention(tx, id, "token refused")
        assert not await facade.mark_needs_attention(tx, id, "again")
        with pytest.raises(facade.WrongState):
            await facade.resume(tx, id)
        assert (await facade.get(tx, id)).state_reason == "token refused"
        assert await facade.mark_working(tx, id)
        assert not await facade.mark_working(tx, id)
        assert (await facade.pause(tx, id, reason="holiday")).state_reason == "holiday"
        assert not await facade.mark_needs_attention(tx, id, "a paused connection stays paused")
        assert (await facade.resume(tx, id)).state is ConnectionState.ACTIVE


async def test_disconnecting_deletes_secrets_only_and_can_be_taken_back(
    database: Database, organisation_id: UUID
) -> None:
    id = (await _connect(database, organisation_id)).id
    async with database.transaction(organisation_id) as tx:
        await facade.add_credentials(tx, VAULT, id, {"signature_key": "learned"})
        await facade.advance_cursor(tx, id, "orders", "c1", None, datetime.now(UTC))
    async with database.transaction(organisation_id) as tx:
        assert (await facade.disconnect(tx, id)).state is ConnectionState.DISCONNECTED
        assert (await facade.disconnect(tx, id)).state is ConnectionState.DISCONNECTED
    async with database.transaction(organisation_id) as tx:
        assert await tx.fetch_value("select count(*) from credential") == 0
        assert await store.select_route(tx, id) is None
        assert await facade.list_all(tx) == []
        assert len(await facade.list_all(tx, with_disconnected=True)) == 1
        with pytest.raises(facade.NoCredentials):
            await read_credentials(tx, VAULT, id)
        with pytest.raises(facade.WrongState):
            await facade.resume(tx, id)
        with pytest.raises(facade.WrongState):
            await facade.update(tx, CONNECTOR, id, ConnectionChanges(priority=1))
    async with database.transaction(organisation_id) as tx:
        again = await facade.replace_credentials(tx, VAULT, CONNECTOR, id, {"access_token": "newer"})
        assert again.state is ConnectionState.ACTIVE
        assert (await facade.get_cursor(tx, id, "orders")).value == "c1"
        assert (await read_credentials(tx, VAULT, id))["access_token"] == "newer"
        assert await store.select_route(tx, id) is not None


async def test_new_credentials_keep_what_was_learned(database: Database, organisation_id: UUID) -> None:
    id = (await _connect(database, organisation_id)).id
    async with database.transaction(organisation_id) as tx:
        await facade.add_credentials(tx, VAULT, id, {"signature_key": "learned"})
        await facade.mark_needs_attention(tx, id, "token refused")
        after = await facade.replace_credentials(tx, VAULT, CONNECTOR, id, {"access_token": "newer"})
        assert (after.state, after.state_reason) == (ConnectionState.ACTIVE, "")
        assert dict(await read_credentials(tx, VAULT, id)) == {"signature_key": "learned", "access_token": "newer"}


async def test_rotating_the_vault_key(database: Database, organisation_id: UUID) -> None:
    ids = [(await _connect(database, organisation_id, name)).id for name in ("One", "Two")]
    newer = new_vault_key()
    both = Vault({"a": KEY, "b": newer}, "b")
    async with database.transaction(organisation_id) as tx:
        assert (await read_credentials(tx, both, ids[0]))["access_token"] == "right"
    assert await facade.rotate_vault_key(database, both, organisation_id) == 2
    assert await facade.rotate_vault_key(database, both, organisation_id) == 0
    async with database.transaction(organisation_id) as tx:
        for id in ids:
            assert (await read_credentials(tx, Vault({"b": newer}, "b"), id))["access_token"] == "right"
        with pytest.raises(UnknownVaultKey):
            await read_credentials(tx, VAULT, ids[0])
        await tx.execute("update credential set sealed = sealed || '\\x00' where organisation_id = $1", organisation_id)
        with pytest.raises(CannotUnseal):
            await read_credentials(tx, both, ids[0])


async def test_a_cursor_never_goes_back(database: Database, organisation_id: UUID) -> None:
    id = (await _connect(database, organisation_id)).id
    now = datetime.now(UTC)
    async with database.transaction(organisation_id) as tx:
        empty = await facade.get_cursor(tx, id, "orders")
        assert (empty.value, empty.complete_until) == (None, None)
        await facade.advance_cursor(tx, id, "orders", "c1", now, now)
        await facade.advance_cursor(tx, id, "orders", "c2", now - timedelta(minutes=1), now + timedelta(seconds=1))
        await facade.advance_cursor(tx, id, "orders", "c3", None, now)
        cursor = await facade.get_cursor(tx, id, "orders")
    assert (cursor.value, cursor.complete_until) == ("c3", now)
    assert cursor.pulled_at == now + timedelta(seconds=1)
