"""Tables of connections and what comes in and out through them."""

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
    updated_at,
)

connection = tenant_table(
    "connection",
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("settings", JSONB, nullable=False, server_default="{}"),
    sa.Column("state", sa.Text, nullable=False, server_default="active"),
    sa.Column("state_reason", sa.Text, nullable=False, server_default=""),
    sa.Column("priority", sa.Integer, nullable=False, server_default="50"),
    sa.Column("buffer", sa.Integer, nullable=False, server_default="0"),
    sa.Column("share", sa.Numeric(5, 4)),
    sa.Column("fulfilment_only", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("sync_interval_s", sa.Integer, nullable=False, server_default="300"),
    created_at(),
    updated_at(),
    sa.CheckConstraint("state in ('active', 'paused', 'needs_attention', 'disconnected')", name="state"),
    sa.UniqueConstraint("organisation_id", "name"),
)
connection_route = directory_table(
    "connection_route",
    sa.Column("connection_id", UUID, primary_key=True),
    sa.Column("organisation_id", UUID, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("account_key", sa.Text, nullable=False, server_default=""),
)
sa.Index("ix_connection_route_channel", connection_route.c.channel, connection_route.c.account_key)
credential = tenant_table(
    "credential",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    timestamp("token_expires_at"),
    timestamp("token_fetched_at"),
    sa.Column("refresh_lease_by", UUID),
    timestamp("refresh_lease_until"),
    updated_at(),
    reference("connection", "connection_id", on_delete="CASCADE"),
    key=("connection_id",),
)
rate_bucket = tenant_table(
    "rate_bucket",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("capacity", sa.Double, nullable=False),
    sa.Column("refill_per_s", sa.Double, nullable=False),
    sa.Column("available", sa.Double, nullable=False),
    timestamp("at", nullable=False),
    timestamp("blocked_until"),
    reference("connection", "connection_id", on_delete="CASCADE"),
    key=("connection_id", "name"),
)
pull_cursor = tenant_table(
    "pull_cursor",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.Text),
    timestamp("complete_until"),
    timestamp("pulled_at"),
    updated_at(),
    reference("connection", "connection_id", on_delete="CASCADE"),
    key=("connection_id", "kind"),
)
webhook_inbox = tenant_table(
    "webhook_inbox",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("headers", JSONB, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    timestamp("received_at", nullable=False),
    timestamp("processed_at"),
    timestamp("next_attempt_at", nullable=False),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("state", sa.Text, nullable=False, server_default="pending"),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    reference("connection", "connection_id", on_delete="CASCADE"),
    sa.UniqueConstraint("organisation_id", "connection_id", "event_id"),
    sa.CheckConstraint("state in ('pending', 'done', 'parked')", name="state"),
)
sa.Index(
    "ix_webhook_inbox_pending",
    webhook_inbox.c.organisation_id,
    webhook_inbox.c.connection_id,
    webhook_inbox.c.id,
    postgresql_where=webhook_inbox.c.state == "pending",
)
sa.Index(
    "ix_webhook_inbox_parked",
    webhook_inbox.c.organisation_id,
    webhook_inbox.c.connection_id,
    webhook_inbox.c.id,
    postgresql_where=webhook_inbox.c.state == "parked",
)
connection_health = tenant_table(
    "connection_health",
    sa.Column("connection_id", UUID, nullable=False),
    timestamp("at", nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("latency_ms", sa.Integer),
    sa.Column("error_rate", sa.Numeric(5, 4)),
    sa.Column("sync_age_s", sa.Integer),
    timestamp("token_expires_at"),
    reference("connection", "connection_id", on_delete="CASCADE"),
    sa.CheckConstraint("status in ('healthy', 'degraded', 'down')", name="status"),
)
sa.Index(
    "ix_connection_health_latest",
    connection_health.c.organisation_id,
    connection_health.c.connection_id,
    connection_health.c.at.desc(),
)

__all__ = ["metadata"]
