"""Helpers to declare tables. Tables are SQLAlchemy Core objects used for migrations only; statements are written SQL.

Every tenant table starts with `organisation_id`, first in its primary key and in every unique constraint and
foreign key, so that the schema shards by organisation (Citus and the like) and row level security has one shape.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

UUID = pg.UUID(as_uuid=True)
JSONB = pg.JSONB
TEXT_ARRAY = pg.ARRAY(sa.Text)


def tenant_table(name: str, *items: Any, key: tuple[str, ...] = ("id",), append_only: bool = False) -> sa.Table:
    """Declare a table whose rows belong to an organisation.

    The primary key is (organisation_id, *key); a column `id uuid` is added if `key` names it. With `append_only`
    the application role may insert and read, never change or delete.
    """
    columns: list[Any] = [sa.Column("organisation_id", UUID, nullable=False)]
    if "id" in key:
        columns.append(sa.Column("id", UUID, nullable=False))
    return sa.Table(
        name,
        metadata,
        *columns,
        *items,
        sa.PrimaryKeyConstraint("organisation_id", *key),
        info={"tenant": True, "append_only": append_only},
    )


def directory_table(name: str, *items: Any) -> sa.Table:
    """Declare a table that is read before the organisation is known (sign-in, routing of webhooks): no row security."""
    return sa.Table(name, metadata, *items, info={"tenant": False, "append_only": False})


def reference(table: str, *columns: str, on_delete: str | None = None) -> sa.ForeignKeyConstraint:
    """Declare a foreign key (organisation_id, *columns) to another tenant table's (organisation_id, id)."""
    return sa.ForeignKeyConstraint(
        ["organisation_id", *columns],
        [f"{table}.organisation_id", f"{table}.id"],
        ondelete=on_delete,
    )


def created_at() -> sa.Column[Any]:
    """Return the usual creation time column."""
    return sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def updated_at() -> sa.Column[Any]:
    """Return the usual change time column; statements set it."""
    return sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def timestamp(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    """Return an aware time column."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
