"""Which schema a database has and which this version needs, told without loading the machinery that migrates."""

from __future__ import annotations

import re
from importlib.resources import files

import psycopg

from entrepot.database.pool import DatabaseUnavailable, Tx

_MIGRATION = re.compile(r"v(\d{4})_\w+\.py")


def newest() -> str:
    """Return the revision that this version needs: the highest number among the files of migrations/versions."""
    names = (file.name for file in files("entrepot.migrations.versions").iterdir())
    return max(match.group(1) for name in names if (match := _MIGRATION.fullmatch(name)))


async def present(tx: Tx) -> str | None:
    """Return the revision of the database; None if nobody has migrated it."""
    if await tx.fetch_value("select to_regclass('alembic_version')") is None:
        return None
    found: str | None = await tx.fetch_value("select version_num from alembic_version")
    return found


def revisions(url: str) -> tuple[str | None, str]:
    """Return (revision of the database, newest revision of this version).

    Raises DatabaseUnavailable if the server does not answer.
    """
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute("select to_regclass('alembic_version')::text").fetchone()
            if found is None or found[0] is None:
                return None, newest()
            row = connection.execute("select version_num from alembic_version").fetchone()
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"The database does not answer ({error}). Check DATABASE_URL.") from error
    return (row[0] if row else None), newest()
