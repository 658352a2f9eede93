"""A worker says that it is alive and deletes what is old, and only that."""

from datetime import timedelta
from uuid import UUID

import pytest
from tests.channels.support import BazaarConnector, new_bazaar

from entrepot import upkeep
from entrepot.channels import facade as channels
from entrepot.channels.connections import read_credentials
from entrepot.channels.facade import Vault, new_vault_key
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id

CONNECTOR = BazaarConnector()


@pytest.fixture(autouse=True)
async def _no_workers(database: Database) -> None:
    async with database.transaction(None) as tx:
        await tx.execute("delete from worker")


async def test_a_worker_counts_as_alive_for_a_minute_and_is_forgotten_after_a_day(database: Database) -> None:
    first, now = new_id(), utc_now()
    await upkeep.beat(database, first, clock=lambda: now)
    await upkeep.beat(database, first, clock=lambda: now)
    async with database.transaction(None) as tx:
        assert await jobs.workers(tx, now) == jobs.Workers(alive=1, known=1)
        assert await jobs.workers(tx, now + timedelta(minutes=2)) == jobs.Workers(alive=0, known=1)
    await upkeep.beat(database, new_id(), clock=lambda: now + timedelta(days=2))
    async with database.transaction(None) as tx:
        assert await jobs.workers(tx, now + timedelta(days=2)) == jobs.Workers(alive=1, known=1)


async def test_credentials_come_under_the_new_key_and_one_that_cannot_be_opened_stops_nobody(
    database: Database, organisation_id: UUID
) -> None:
    old, new = new_vault_key(), new_vault_key()
    other = (await identity.create_organisation(database, "Other")).id
    for organisation, key in ((other, new_vault_key()), (organisation_id, old)):
        async with database.transaction(organisation) as tx:
            made = await channels.connect(tx, Vault({"first": key}, "first"), CONNECTOR, new_bazaar("Bazaar"))
    assert await upkeep.reseal(database, Vault({"second": new, "first": old}, "second")) == 1
    async with database.transaction(organisation_id) as tx:
        assert (await read_credentials(tx, Vault({"second": new}, "second"), made.id))["access_token"] == "right"


async def test_what_is_old_is_deleted_and_what_is_not_stays(database: Database, organisation_id: UUID) -> None:
    connection_id, actor, now = new_id(), identity.system_actor(organisation_id), utc_now()
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into connection (organisation_id, id, channel, name, environment)"
            " values ($1, $2, 'shopify', 'Shop', 'simulated')",
            organisation_id,
            connection_id,
        )
        for state in ("done", "pending", "parked"):
            await tx.execute(
                "insert into webhook_inbox (organisation_id, id, connection_id, event_id, topic, headers, body,"
                " received_at, next_attempt_at, state) values ($1, $2, $3, $4, 't', '{}', '', now(), now(), $4)",
                organisation_id,
                new_id(),
                connection_id,
                state,
            )
    await identity.close_claim(database, actor, "k", b"request", identity.KeptAnswer(201, b"{}"))

    async def left() -> tuple[list[str], int]:
        async with database.transaction(organisation_id) as tx:
            rows = await tx.fetch("select state from webhook_inbox where organisation_id = $1", organisation_id)
            answers = await tx.fetch_value(
                "select count(*) from idempotency_key where organisation_id = $1", organisation_id
            )
        return sorted(row["state"] for row in rows), answers

    await upkeep.tidy(database, clock=lambda: now)
    assert await left() == (["done", "parked", "pending"], 1)
    await upkeep.tidy(database, clock=lambda: now + timedelta(days=8))
    assert await left() == (["parked", "pending"], 0)
