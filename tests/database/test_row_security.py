"""Row level security holds against a query that forgets the organisation or names another."""

from uuid import UUID

import asyncpg
import pytest

from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id

INSERT_LOCATION = "insert into location (organisation_id, id, name) values ($1, $2, 'Main')"


async def test_rows_of_another_organisation_are_not_seen(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        await tx.execute(INSERT_LOCATION, organisation_id, new_id())
    async with database.transaction(organisation_id) as tx:
        assert await tx.fetch_value("select count(*) from location") == 1
    async with database.transaction(new_id()) as tx:
        assert await tx.fetch_value("select count(*) from location") == 0
    async with database.transaction(None) as tx:
        assert await tx.fetch_value("select count(*) from location") == 0


async def test_rows_for_another_organisation_are_refused(database: Database, organisation_id: UUID) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction(organisation_id) as tx:
            await tx.execute(INSERT_LOCATION, new_id(), new_id())
