"""Tables of listing fields that are merged: what is known of each, overrides, conflicts, policies, writes."""

import sqlalchemy as sa

from entrepot.database.schema import JSONB, UUID, created_at, metadata, reference, tenant_table, timestamp, updated_at

listing_reading = tenant_table(
    "listing_reading",
    sa.Column("listing_id", UUID, nullable=False),
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("product_external_id", sa.Text, nullable=False),
    sa.Column("product_version", sa.Text, nullable=False, server_default=""),
    # Whether the product's own fields are kept with this listing: the oldest of its product on the channel.
    sa.Column("leads", sa.Boolean, nullable=False, server_default=sa.true()),
    # When the channel says it changed last (its clock), and when it was read (ours).
    timestamp("changed_at"),
    timestamp("read_at", nullable=False),
    # What a whole draft needs and nobody compares, as the channel told it.
    sa.Column("rest", JSONB, nullable=False, server_default="{}"),
    timestamp("merge_wanted_at"),
    # Since when its product is to be read again, as the channel said that it changed.
    timestamp("read_wanted_at"),
    # Since when complete readings of the channel do not have it any more.
    timestamp("missing_since"),
    reference("listing", "listing_id", on_delete="CASCADE"),
    key=("listing_id",),
)
sa.Index(
    "ix_listing_reading_product",
    listing_reading.c.organisation_id,
    listing_reading.c.connection_id,
    listing_reading.c.product_external_id,
)
sa.Index(
    "ix_listing_reading_merge",
    listing_reading.c.organisation_id,
    listing_reading.c.connection_id,
    listing_reading.c.merge_wanted_at,
    postgresql_where=listing_reading.c.merge_wanted_at.is_not(None),
)
sa.Index(
    "ix_listing_reading_read",
    listing_reading.c.organisation_id,
    listing_reading.c.connection_id,
    listing_reading.c.read_wanted_at,
    postgresql_where=listing_reading.c.read_wanted_at.is_not(None),
)
listing_field = tenant_table(
    "listing_field",
    sa.Column("listing_id", UUID, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("connection_id", UUID, nullable=False),
    # Last agreed; how the channel shows that in its own way; what we want; what the channel told last.
    sa.Column("base", JSONB),
    sa.Column("shown", JSONB),
    sa.Column("ours", JSONB),
    timestamp("ours_at"),
    sa.Column("theirs", JSONB),
    # When theirs is from, by the channel's clock; when it was read, by ours.
    timestamp("theirs_at"),
    timestamp("read_at"),
    # The write under way, what it showed before the last one, when that was acknowledged.
    sa.Column("sent", JSONB),
    timestamp("sent_at"),
    sa.Column("before", JSONB),
    timestamp("pushed_at"),
    # A value that may pass though it swings.
    sa.Column("approved", JSONB),
    sa.Column("state", sa.Text, nullable=False, server_default="unknown"),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    timestamp("next_attempt_at"),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    updated_at(),
    reference("listing", "listing_id", on_delete="CASCADE"),
    sa.CheckConstraint(
        "state in ('unknown', 'ignored', 'agreed', 'out', 'sending', 'conflict', 'decided', 'parked', 'first')",
        name="state",
    ),
    key=("listing_id", "field"),
)
sa.Index(
    "ix_listing_field_out",
    listing_field.c.organisation_id,
    listing_field.c.connection_id,
    listing_field.c.next_attempt_at,
    postgresql_where=listing_field.c.state == "out",
)
sa.Index(
    "ix_listing_field_state",
    listing_field.c.organisation_id,
    listing_field.c.connection_id,
    listing_field.c.state,
    postgresql_where=listing_field.c.state.in_(["sending", "conflict", "parked", "first"]),
)
listing_override = tenant_table(
    "listing_override",
    sa.Column("listing_id", UUID, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("value", JSONB, nullable=False),
    sa.Column("set_by", sa.Text, nullable=False),
    timestamp("set_at", nullable=False),
    reference("listing", "listing_id", on_delete="CASCADE"),
    key=("listing_id", "field"),
)
value_origin = tenant_table(
    "value_origin",
    # The product or the variant.
    sa.Column("subject_id", UUID, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("value", JSONB, nullable=False),
    # The channel it came from, by name for people and key for priorities; when it was changed there, by our clock.
    sa.Column("connection_id", UUID),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    timestamp("changed_at", nullable=False),
    key=("subject_id", "field"),
)
conflict = tenant_table(
    "conflict",
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="open"),
    # What it is about: a field of a listing, or the order, shortage or listing named by `subject_id`.
    sa.Column("subject_id", UUID, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("connection_id", UUID),
    sa.Column("variant_id", UUID),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("base", JSONB),
    sa.Column("ours", JSONB),
    sa.Column("theirs", JSONB),
    sa.Column("ours_by", sa.Text, nullable=False, server_default=""),
    timestamp("ours_at"),
    timestamp("theirs_at"),
    # {"ours": {"name", "priority"}, "theirs": {...}}: who says what, for policies.
    sa.Column("sources", JSONB, nullable=False, server_default="{}"),
    # {"side", "value", "policy", "reason"}, or null.
    sa.Column("suggestion", JSONB),
    sa.Column("risk", sa.SmallInteger, nullable=False, server_default="0"),
    # [{"at", "what", "by", "ours", "theirs"}], the oldest first.
    sa.Column("history", JSONB, nullable=False, server_default="[]"),
    created_at(),
    updated_at(),
    timestamp("resolved_at"),
    sa.Column("resolved_by", sa.Text, nullable=False, server_default=""),
    # {"side", "value", "policy", "reason"}, and what to put back where it is undone.
    sa.Column("resolution", JSONB),
    sa.Column("undo", JSONB),
    sa.CheckConstraint("state in ('open', 'resolved', 'gone')", name="state"),
    sa.CheckConstraint("kind in ('stock', 'price', 'content', 'oversell', 'duplicate_sale')", name="kind"),
)
sa.Index(
    "uq_conflict_open",
    conflict.c.organisation_id,
    conflict.c.subject_id,
    conflict.c.field,
    unique=True,
    postgresql_where=conflict.c.state == "open",
)
sa.Index(
    "ix_conflict_queue",
    conflict.c.organisation_id,
    conflict.c.risk.desc(),
    conflict.c.id.desc(),
    postgresql_where=conflict.c.state == "open",
)
sa.Index(
    "ix_conflict_past",
    conflict.c.organisation_id,
    conflict.c.connection_id,
    conflict.c.field,
    conflict.c.resolved_at.desc(),
    postgresql_where=conflict.c.state == "resolved",
)
sa.Index("ix_conflict_variant", conflict.c.organisation_id, conflict.c.variant_id)
resolution_policy = tenant_table(
    "resolution_policy",
    # Null: every connection; empty field: every field.
    sa.Column("connection_id", UUID),
    sa.Column("field", sa.Text, nullable=False, server_default=""),
    sa.Column("flow", sa.Text, nullable=False, server_default="both"),
    sa.Column("policy", sa.Text, nullable=False, server_default="manual"),
    # Most that a number may change by itself; null: no limit.
    sa.Column("swing_percent", sa.Numeric),
    sa.Column("set_by", sa.Text, nullable=False),
    timestamp("set_at", nullable=False),
    reference("connection", "connection_id", on_delete="CASCADE"),
    sa.CheckConstraint("flow in ('both', 'theirs', 'ours', 'none')", name="flow"),
    sa.CheckConstraint(
        "policy in ('manual', 'last_write', 'source_priority', 'lowest', 'mean', 'median', 'weighted')", name="policy"
    ),
    sa.CheckConstraint("swing_percent > 0", name="swing_percent"),
    sa.UniqueConstraint("organisation_id", "connection_id", "field", postgresql_nulls_not_distinct=True),
)
first_contact = tenant_table(
    "first_contact",
    sa.Column("connection_id", UUID, nullable=False),
    # {field: "ours", "theirs" or "ask"}: what counts where both sides differ as they first meet; empty until somebody says so.
    sa.Column("choices", JSONB, nullable=False, server_default="{}"),
    sa.Column("decided_by", sa.Text, nullable=False, server_default=""),
    timestamp("decided_at"),
    created_at(),
    reference("connection", "connection_id", on_delete="CASCADE"),
    key=("connection_id",),
)
field_batch = tenant_table(
    "field_batch",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    # [{"key", "draft" or "change", "fields": [[listing, field, value]]}]
    sa.Column("items", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="sending"),
    sa.Column("handle", sa.Text),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="1"),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    timestamp("next_attempt_at"),
    created_at(),
    timestamp("finished_at"),
    sa.CheckConstraint("what in ('prices', 'listings')", name="what"),
    sa.CheckConstraint("state in ('sending', 'following', 'done')", name="state"),
)
sa.Index(
    "ix_field_batch_open",
    field_batch.c.organisation_id,
    field_batch.c.connection_id,
    postgresql_where=field_batch.c.state != "done",
)

__all__ = ["metadata"]
