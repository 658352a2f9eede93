"""Tables of background work. The outbox is read before the organisation is known, so it has no row security."""

import sqlalchemy as sa

from entrepot.database.schema import JSONB, UUID, created_at, directory_table, metadata, timestamp

outbox = directory_table(
    "outbox",
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("organisation_id", UUID, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("payload", JSONB, nullable=False),
    created_at(),
)
sa.Index("ix_outbox_organisation", outbox.c.organisation_id, outbox.c.id)
worker = directory_table(
    "worker",
    sa.Column("id", UUID, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    timestamp("started_at", nullable=False),
    timestamp("seen_at", nullable=False),
)

__all__ = ["metadata"]
