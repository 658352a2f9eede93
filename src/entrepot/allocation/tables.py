"""Tables of allocation."""

import sqlalchemy as sa

from entrepot.database.schema import JSONB, UUID, metadata, tenant_table, updated_at

allocation_policy = tenant_table(
    "allocation_policy",
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("scope_id", UUID),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("parameters", JSONB, nullable=False, server_default="{}"),
    updated_at(),
    sa.CheckConstraint("scope in ('shop', 'product')", name="scope"),
    sa.UniqueConstraint("organisation_id", "scope", "scope_id", postgresql_nulls_not_distinct=True),
)

__all__ = ["metadata"]
