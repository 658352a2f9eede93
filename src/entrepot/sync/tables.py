"""Tables of the reconcilers."""

import sqlalchemy as sa

from entrepot.database.schema import (
    JSONB,
    UUID,
    created_at,
    metadata,
    reference,
    tenant_table,
    timestamp,
    updated_at,
)

listing_quantity = tenant_table(
    "listing_quantity",
    sa.Column("listing_id", UUID, nullable=False),
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("variant_id", UUID, nullable=False),
    # What we want it to show, and why.
    sa.Column("desired", sa.BigInteger),
    sa.Column("desired_reason", JSONB),
    timestamp("desired_at"),
    # What we believe it shows: the last acknowledged value less the sales there that we know of. Null: unknown.
    sa.Column("expected", sa.BigInteger),
    # What was last acknowledged.
    sa.Column("published", sa.BigInteger),
    timestamp("published_at"),
    # What the channel last said.
    sa.Column("reported", sa.BigInteger),
    timestamp("reported_at"),
    sa.Column("state", sa.Text, nullable=False, server_default="pending"),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    timestamp("next_attempt_at"),
    # The write under way: what we believed it showed, and what it shall show.
    sa.Column("batch_id", UUID),
    sa.Column("sending_from", sa.BigInteger),
    sa.Column("sending_to", sa.BigInteger),
    # The last write may or may not have overwritten a sale (absolute channels): write again before anything else.
    sa.Column("uncertain", sa.Boolean, nullable=False, server_default=sa.false()),
    # Since when a raise waits because it could overwrite a sale that we do not know of (absolute channels).
    timestamp("raise_wanted_at"),
    # When to compare with the channel; what that said less what we expected then, and when that was.
    timestamp("check_at"),
    sa.Column("gap", sa.BigInteger),
    timestamp("gap_at"),
    updated_at(),
    # When `expected` was taken from a reading, as nobody knew the end of a write: a sale that we do not know yet may be in it.
    timestamp("believed_at"),
    # What it showed before the last writes (channels that overwrite) or before one whose end is not known, until every sale
    # before them is known.
    sa.Column("shown_before", sa.BigInteger),
    # It shall show more, once other listings of the variant show less.
    sa.Column("waits", sa.Boolean, nullable=False, server_default=sa.false()),
    # It changed there from one to the other by more than the limit, and no sale explains it: a person is asked since then.
    sa.Column("swing_from", sa.BigInteger),
    sa.Column("swing_to", sa.BigInteger),
    timestamp("swing_at"),
    reference("listing", "listing_id", on_delete="CASCADE"),
    sa.CheckConstraint("state in ('in_step', 'pending', 'sending', 'waiting', 'differs', 'parked')", name="state"),
    key=("listing_id",),
)
sa.Index(
    "ix_listing_quantity_work",
    listing_quantity.c.organisation_id,
    listing_quantity.c.connection_id,
    listing_quantity.c.next_attempt_at,
    postgresql_where=listing_quantity.c.state.in_(["pending", "waiting"]),
)
sa.Index(
    "ix_listing_quantity_swing",
    listing_quantity.c.organisation_id,
    listing_quantity.c.listing_id,
    postgresql_where=listing_quantity.c.swing_at.is_not(None),
)
sa.Index(
    "ix_listing_quantity_check",
    listing_quantity.c.organisation_id,
    listing_quantity.c.connection_id,
    listing_quantity.c.check_at,
    postgresql_where=listing_quantity.c.check_at.is_not(None),
)
sa.Index(
    "ix_listing_quantity_before",
    listing_quantity.c.organisation_id,
    listing_quantity.c.connection_id,
    postgresql_where=listing_quantity.c.shown_before.is_not(None),
)
sa.Index(
    "ix_listing_quantity_waits",
    listing_quantity.c.organisation_id,
    listing_quantity.c.variant_id,
    postgresql_where=listing_quantity.c.waits,
)
sa.Index("ix_listing_quantity_variant", listing_quantity.c.organisation_id, listing_quantity.c.variant_id)
sa.Index(
    "ix_listing_quantity_trouble",
    listing_quantity.c.organisation_id,
    listing_quantity.c.connection_id,
    postgresql_where=listing_quantity.c.state.in_(["differs", "parked"]),
)
connection_progress = tenant_table(
    "connection_progress",
    sa.Column("connection_id", UUID, nullable=False),
    # By our clock: every sale that the channel made before this time is in the hub.
    timestamp("drained_at"),
    timestamp("pull_wanted_at"),
    timestamp("pull_started_at"),
    timestamp("pulled_at"),
    timestamp("listings_pulled_at"),
    timestamp("drift_checked_at"),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    timestamp("error_at"),
    # Since when all listings are to be read, as the channel said that some changed.
    timestamp("listings_wanted_at"),
    # How far the channel's clock is ahead of ours, as who read its orders last has seen it.
    sa.Column("clock_offset_s", sa.Float, nullable=False, server_default="0"),
    reference("connection", "connection_id", on_delete="CASCADE"),
    key=("connection_id",),
)
push_batch = tenant_table(
    "push_batch",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("changes", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="sending"),
    sa.Column("handle", sa.Text),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="1"),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    timestamp("next_attempt_at"),
    created_at(),
    timestamp("finished_at"),
    sa.CheckConstraint("state in ('sending', 'following', 'done')", name="state"),
)
sa.Index(
    "ix_push_batch_open",
    push_batch.c.organisation_id,
    push_batch.c.connection_id,
    postgresql_where=push_batch.c.state != "done",
)
sync_run = tenant_table(
    "sync_run",
    sa.Column("connection_id", UUID),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="running"),
    timestamp("started_at", nullable=False),
    timestamp("finished_at"),
    sa.Column("done", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("expected_total", sa.BigInteger),
    sa.Column("counts", JSONB, nullable=False, server_default="{}"),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false()),
    timestamp("seen_at"),
    sa.CheckConstraint("state in ('queued', 'running', 'done', 'failed', 'cancelled')", name="state"),
)
sa.Index("ix_sync_run_started", sync_run.c.organisation_id, sync_run.c.started_at.desc())
sa.Index(
    "ix_sync_run_open",
    sync_run.c.organisation_id,
    sync_run.c.started_at.desc(),
    postgresql_where=sync_run.c.state.in_(["queued", "running"]),
)

__all__ = ["metadata"]
