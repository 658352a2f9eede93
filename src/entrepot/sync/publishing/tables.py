"""Tables of publishing: what is asked of a product on a connection, and the batches that are sent."""

import sqlalchemy as sa

from entrepot.database.schema import JSONB, UUID, created_at, reference, tenant_table, timestamp, updated_at

listing_intent = tenant_table(
    "listing_intent",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("product_id", UUID, nullable=False),
    sa.Column("wanted", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    # Goes up whenever somebody asks: the answer to an older wish does not end a newer one.
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    # The product on the channel, empty until it is known.
    sa.Column("external_id", sa.Text, nullable=False, server_default=""),
    # The channel's own category, and attributes by the channel's own names as text, for this product there.
    sa.Column("category", sa.Text, nullable=False, server_default=""),
    sa.Column("attributes", JSONB, nullable=False, server_default="{}"),
    # 0 to 100; null: not looked at yet. Names of what is missing, required pieces first.
    sa.Column("completeness", sa.SmallInteger),
    sa.Column("missing", JSONB, nullable=False, server_default="[]"),
    # [{"field", "what", "where", "how"}]: what keeps it from being sent, or why the channel refused it.
    sa.Column("problems", JSONB, nullable=False, server_default="[]"),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    timestamp("next_attempt_at"),
    # The batch in which it is under way.
    sa.Column("batch_id", UUID),
    sa.Column("asked_by", sa.Text, nullable=False),
    timestamp("asked_at", nullable=False),
    timestamp("done_at"),
    created_at(),
    updated_at(),
    reference("connection", "connection_id", on_delete="CASCADE"),
    reference("product", "product_id", on_delete="CASCADE"),
    sa.UniqueConstraint("organisation_id", "connection_id", "product_id"),
    sa.CheckConstraint("wanted in ('publish', 'unpublish', 'archive', 'delete')", name="wanted"),
    sa.CheckConstraint("state in ('draft', 'publishing', 'live', 'error', 'ending', 'ended')", name="state"),
    sa.CheckConstraint("completeness between 0 and 100", name="completeness"),
)
sa.Index("ix_listing_intent_product", listing_intent.c.organisation_id, listing_intent.c.product_id)
sa.Index(
    "ix_listing_intent_due",
    listing_intent.c.organisation_id,
    listing_intent.c.connection_id,
    listing_intent.c.next_attempt_at,
    postgresql_where=listing_intent.c.state.in_(["publishing", "ending"]),
)
publish_batch = tenant_table(
    "publish_batch",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    # [{"intent", "version", "send", "end"}]: what was sent, whole, so that it can be sent again as it was.
    sa.Column("items", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="sending"),
    sa.Column("handle", sa.Text),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    timestamp("next_attempt_at"),
    timestamp("sent_at", nullable=False),
    timestamp("finished_at"),
    reference("connection", "connection_id", on_delete="CASCADE"),
    sa.CheckConstraint("what in ('publish', 'end')", name="what"),
    sa.CheckConstraint("state in ('sending', 'following', 'done')", name="state"),
)
sa.Index(
    "ix_publish_batch_open",
    publish_batch.c.organisation_id,
    publish_batch.c.connection_id,
    postgresql_where=publish_batch.c.state != "done",
)
