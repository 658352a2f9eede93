"""Tables of background work. The outbox is read before the organisation is known, so it has no row security.

`job` is what people see of a queued job and what decides; pgqueuer's own tables only deliver it (`queue_id`).
"""

import sqlalchemy as sa

from entrepot.database.schema import (
    JSONB,
    UUID,
    created_at,
    directory_table,
    metadata,
    reference,
    tenant_table,
    timestamp,
)

outbox = directory_table(
    "outbox",
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("organisation_id", UUID, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("payload", JSONB, nullable=False),
    created_at(),
    # Events of one transaction are reacted to together.
    sa.Column("written_by", sa.BigInteger, nullable=False, server_default=sa.text("txid_current()")),
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
job = tenant_table(
    "job",
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("payload", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="queued"),
    sa.Column("queue_id", sa.BigInteger, nullable=False),
    sa.Column("turn", UUID),
    sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("done", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("total", sa.BigInteger),
    sa.Column("words", sa.Text, nullable=False, server_default=""),
    sa.Column("checkpoint", JSONB),
    sa.Column("result", JSONB),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false()),
    created_at(),
    timestamp("started_at"),
    timestamp("finished_at"),
    sa.CheckConstraint("state in ('queued', 'running', 'done', 'held', 'cancelled', 'dismissed')", name="state"),
    sa.CheckConstraint("(state = 'running') = (turn is not null)", name="turn"),
)
sa.Index(
    "ix_job_unfinished",
    job.c.organisation_id,
    job.c.state,
    postgresql_where=sa.text("state in ('queued', 'running', 'held')"),
)
job_input = tenant_table(
    "job_input",
    sa.Column("job_id", UUID, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    reference("job", "job_id", on_delete="CASCADE"),
    key=("job_id",),
)

__all__ = ["metadata"]
