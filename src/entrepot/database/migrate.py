"""Bring a database to the schema of this version. Runs as the owner; the hub itself works as the application role."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from entrepot.database.pool import APP_ROLE, DatabaseUnavailable


def _engine(url: str) -> sa.Engine:
    plain = url.split("://", 1)[-1]
    return sa.create_engine(f"postgresql+psycopg://{plain}", poolclass=sa.pool.NullPool)


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "entrepot:migrations")
    config.attributes["connection"] = connection
    return config


def upgrade(url: str) -> str:
    """Create the application role if need be and run the missing migrations; return the revision.

    Only one process migrates at a time (an advisory lock); the others wait and find nothing to do.
    Raises DatabaseUnavailable if the server does not answer.
    """
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("select pg_advisory_lock(7201001)"))
            connection.commit()
            _ensure_role(connection)
            command.upgrade(_config(connection), "head")
            connection.commit()
            revision = MigrationContext.configure(connection).get_current_revision()
            connection.execute(sa.text("select pg_advisory_unlock(7201001)"))
            connection.commit()
    except sa.exc.OperationalError as error:
        raise DatabaseUnavailable(f"The database does not answer ({error.orig}). Check DATABASE_URL.") from error
    finally:
        engine.dispose()
    return str(revision)


def ensure_role(url: str, role: str = APP_ROLE) -> None:
    """Create the application role on that server if it is missing: a backup that is restored names it."""
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            _ensure_role(connection, role)
    finally:
        engine.dispose()


def _ensure_role(connection: sa.Connection, role: str = APP_ROLE) -> None:
    """Create the role that owns nothing and let this user become it."""
    # Roles belong to the whole server, so hubs in two of its databases may be doing this at the same time.
    for wanted, statement in (
        (f"not exists (select 1 from pg_roles where rolname = '{role}')",
         f"create role {role} nologin nosuperuser nobypassrls"),
        (f"not pg_has_role(current_user, '{role}', 'member')", f"grant {role} to current_user"),
    ):  # fmt: skip
        connection.exec_driver_sql(
            f"do $$ begin if {wanted} then {statement}; end if;"
            " exception when duplicate_object or unique_violation then null; end $$"
        )
    connection.commit()
