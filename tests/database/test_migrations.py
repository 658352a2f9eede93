"""A migrated database is what the tables of all rooms say, and every tenant table keeps organisations apart.

A failure here mostly means: a column was added to a tables.py without a migration (a new file in
migrations/versions), or the other way round.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql

from entrepot.database import migrate
from entrepot.database.pool import APP_ROLE
from entrepot.database.revisions import newest, revisions
from entrepot.migrations import rights
from entrepot.migrations.versions import v0001_baseline
from entrepot.schema import ROOMS, metadata

TENANT_TABLES = {table.name: table for table in metadata.sorted_tables if table.info["tenant"]}
NOT_OURS = {"alembic_version", "pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"}

# Tables with an organisation but without row security, and why nothing narrower would do.
DIRECTORY_TABLES = {
    "organisation": "the organisations themselves; listed by the worker",
    "person": "a person may belong to several organisations and signs in before one is chosen",
    "membership": "read at sign-in, to find the person's organisations",
    "browser_session": "read by the token, which tells the organisation",
    "sign_in_attempt": "counted before anybody is known",
    "sign_in_link": "read by the token, which tells the organisation",
    "access_key": "read by the prefix, which tells the organisation",
    "connection_route": "tells to which organisation a webhook belongs",
    "outbox": "read by the worker for all organisations at once",
    "worker": "belongs to no organisation",
}

COLUMNS = """
    select c.relname, row_number() over (partition by c.oid order by a.attnum),
           a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, a.attcollation,
           col_description(c.oid, a.attnum), obj_description(c.oid)
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> all(%s)
    order by 1, 2
"""
CONSTRAINTS = """
    select c.relname, k.conname, pg_get_constraintdef(k.oid)
    from pg_constraint k join pg_class c on c.oid = k.conrelid
    where c.relnamespace = 'public'::regnamespace and c.relname <> all(%s)
    order by 1, 2
"""
INDEXES = """
    select tablename, indexname, indexdef from pg_indexes
    where schemaname = 'public' and tablename <> all(%s)
    order by 1, 2
"""
UNIQUE_INDEXES = """
    select c.relname, i.relname,
           (select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum = x.indkey[0])
    from pg_index x
    join pg_class c on c.oid = x.indrelid
    join pg_class i on i.oid = x.indexrelid
    where x.indisunique and c.relnamespace = 'public'::regnamespace and c.relname = any(%s)
"""
FOREIGN_KEYS = """
    select c.relname, k.conname, f.relname,
           (select a.attname from pg_attribute a where a.attrelid = k.conrelid and a.attnum = k.conkey[1]),
           (select a.attname from pg_attribute a where a.attrelid = k.confrelid and a.attnum = k.confkey[1])
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class f on f.oid = k.confrelid
    where k.contype = 'f' and c.relname = any(%s)
"""
POLICIES = """
    select c.relname, c.relrowsecurity, c.relforcerowsecurity,
           array_agg((p.polname, p.polpermissive, p.polcmd::text, p.polroles::text,
                      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text)
             filter (where p.polname is not null)
    from pg_class c left join pg_policy p on p.polrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    group by 1, 2, 3
"""
GRANTS = """
    select c.relname, lower(a.privilege_type)
    from pg_class c cross join lateral aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and r.rolname = %s
"""


def fetch(url: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql, values).fetchall()


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.pool.NullPool)


@pytest.fixture
def database_of_the_metadata(empty_database_url: str) -> str:
    """The URL of a database made from the tables of all rooms, without migrations."""
    metadata.create_all(engine_of(empty_database_url))
    return empty_database_url


def test_a_migrated_database_has_what_the_tables_say(database_url: str, database_of_the_metadata: str) -> None:
    for what in (COLUMNS, CONSTRAINTS, INDEXES):
        assert fetch(database_url, what, list(NOT_OURS)) == fetch(database_of_the_metadata, what, list(NOT_OURS))


def test_alembic_finds_nothing_to_change(database_url: str) -> None:
    with engine_of(database_url).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": lambda name, kind, _parents: kind != "table" or name not in NOT_OURS,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(database_url: str) -> None:
    before = fetch(database_url, COLUMNS, [])
    current, newest = revisions(database_url)
    assert current == newest == migrate.upgrade(database_url)
    assert fetch(database_url, COLUMNS, []) == before


def test_revisions_form_one_line() -> None:
    script = ScriptDirectory.from_config(migrate._config(None))  # type: ignore[arg-type]
    assert script.get_heads() == [newest()]
    assert script.get_base() == v0001_baseline.revision


def test_a_database_that_was_never_migrated_has_no_revision(empty_database_url: str) -> None:
    assert revisions(empty_database_url) == (None, newest())


def test_every_table_is_of_one_room_and_of_one_kind() -> None:
    names = [
        name
        for room in ROOMS
        for name, value in vars(room).items()
        if isinstance(value, sa.Table) and name != "metadata"
    ]
    assert sorted(names) == sorted(metadata.tables)
    assert {table.name for table in metadata.sorted_tables if not table.info["tenant"]} == set(DIRECTORY_TABLES)


def test_the_organisation_comes_first_in_every_key(database_url: str) -> None:
    unique = fetch(database_url, UNIQUE_INDEXES, list(TENANT_TABLES))
    assert {table for table, _, _ in unique} == set(TENANT_TABLES)
    assert [(table, index) for table, index, first in unique if first != "organisation_id"] == []


def test_foreign_keys_stay_within_the_organisation(database_url: str) -> None:
    keys = fetch(database_url, FOREIGN_KEYS, list(TENANT_TABLES))
    assert keys
    assert [key for key in keys if key[3] != "organisation_id"] == []
    assert [key for key in keys if key[2] not in TENANT_TABLES or key[4] != "organisation_id"] == []


def test_every_tenant_table_and_no_other_is_forced_to_one_organisation(database_url: str) -> None:
    mine = (
        "(organisation_id = ( SELECT (NULLIF(current_setting('app.organisation_id'::text, true), ''::text))::uuid"
        ' AS "nullif"))'
    )
    quoted = mine.replace('"', '""')
    policy = f'(organisation_isolation,t,*,{{0}},"{quoted}","{quoted}")'
    rows = {name: tuple(rest) for name, *rest in fetch(database_url, POLICIES)}
    assert {name: rows[name] for name in TENANT_TABLES} == dict.fromkeys(TENANT_TABLES, (True, True, [policy]))
    others = set(rows) - set(TENANT_TABLES)
    assert others == set(DIRECTORY_TABLES) | NOT_OURS
    assert {name: rows[name] for name in others} == dict.fromkeys(others, (False, False, None))


def test_the_application_role_has_the_rights_it_needs_and_no_more(database_url: str) -> None:
    assert rights.APP_ROLE == APP_ROLE
    found: dict[str, set[str]] = {}
    for table, right in fetch(database_url, GRANTS, APP_ROLE):
        found.setdefault(table, set()).add(right)
    everything = {"select", "insert", "update", "delete"}
    expected = {
        table.name: {"select", "insert"} if table.info["append_only"] else everything
        for table in metadata.sorted_tables
    }
    expected |= dict.fromkeys(NOT_OURS, everything) | {"alembic_version": {"select"}}
    assert found == expected


def test_hubs_in_two_databases_of_one_server_may_start_together(empty_database_url: str) -> None:
    """Roles belong to the whole server: creating the same one at the same time is no error."""
    role = f"entrepot_test_{uuid4().hex[:8]}"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(migrate.ensure_role, role=role), [empty_database_url] * 8))
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        assert connection.execute("select count(*) from pg_roles where rolname = %s", (role,)).fetchone() == (1,)
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
