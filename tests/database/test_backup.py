"""Backup and restore with PostgreSQL's own programs."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from entrepot.database import migrate
from entrepot.database.backup import DatabaseNotEmpty, NotABackup, backup, restore
from entrepot.database.pool import Database
from entrepot.database.revisions import revisions


def organisations(url: str) -> set[UUID]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("select id from organisation")}


async def test_a_round_trip_keeps_the_data_and_the_row_security(
    database: Database, database_url: str, organisation_id: UUID, empty_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "hub.backup"
    assert backup(database_url, file) == file.stat().st_size
    assert file.stat().st_mode & 0o077 == 0
    assert restore(empty_database_url, file) == revisions(empty_database_url)[1]
    assert organisations(empty_database_url) == organisations(database_url)
    with psycopg.connect(empty_database_url) as connection:
        forced = "select count(*) from pg_class where relforcerowsecurity"
        assert connection.execute(forced).fetchone() != (0,)

    # Over data only when told to, and a later change is undone.
    other = uuid4()
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("insert into organisation (id, name) values (%s, 'Later')", (other,))
    with pytest.raises(DatabaseNotEmpty):
        restore(empty_database_url, file)
    assert other in organisations(empty_database_url)
    restore(empty_database_url, file, force=True)
    assert other not in organisations(empty_database_url)
    assert organisation_id in organisations(empty_database_url)


def test_a_broken_backup_leaves_the_database_as_it_was(
    database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    from entrepot.database.backup import RestoreFailed

    file = tmp_path / "hub.backup"
    backup(database_url, file)
    migrate.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("insert into organisation (id, name) values (%s, 'Here')", (uuid4(),))
    before = organisations(empty_database_url)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(RestoreFailed, match=r"the database is as it was \("):
        restore(empty_database_url, file, force=True)
    assert organisations(empty_database_url) == before


def test_something_else_is_not_a_backup(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(NotABackup, match="is not a backup made by"):
        restore(database_url, tmp_path / "notes.txt", force=True)
    with pytest.raises(NotABackup, match="cannot be read"):
        restore(database_url, tmp_path / "none.backup")
