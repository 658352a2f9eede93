"""Tables of orders."""

import sqlalchemy as sa

from entrepot.database.schema import (
    JSONB,
    UUID,
    metadata,
    reference,
    tenant_table,
    timestamp,
    updated_at,
)

sales_order = tenant_table(
    "sales_order",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("external_id", sa.Text, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("channel_status", sa.Text, nullable=False, server_default=""),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("total_minor", sa.BigInteger, nullable=False),
    sa.Column("tax_minor", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("shipping_minor", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("discount_minor", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("buyer_name", sa.Text, nullable=False, server_default=""),
    sa.Column("buyer_email", sa.Text, nullable=False, server_default=""),
    sa.Column("ship_to", JSONB),
    sa.Column("fulfilled_by_channel", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("source_id", sa.Text, nullable=False, server_default=""),
    sa.Column("has_exception", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("has_shortage", sa.Boolean, nullable=False, server_default=sa.false()),
    timestamp("placed_at", nullable=False),
    timestamp("channel_updated_at", nullable=False),
    timestamp("received_at", nullable=False),
    updated_at(),
    reference("connection", "connection_id"),
    sa.UniqueConstraint("organisation_id", "connection_id", "external_id"),
    sa.CheckConstraint("status in ('pending', 'open', 'partly_shipped', 'shipped', 'cancelled')", name="status"),
)
sa.Index(
    "ix_sales_order_placed", sales_order.c.organisation_id, sales_order.c.placed_at.desc(), sales_order.c.id.desc()
)
sa.Index(
    "ix_sales_order_status",
    sales_order.c.organisation_id,
    sales_order.c.status,
    sales_order.c.placed_at.desc(),
    sales_order.c.id.desc(),
)
sa.Index(
    "ix_sales_order_connection",
    sales_order.c.organisation_id,
    sales_order.c.connection_id,
    sales_order.c.placed_at.desc(),
    sales_order.c.id.desc(),
)
sa.Index(
    "ix_sales_order_trouble",
    sales_order.c.organisation_id,
    sales_order.c.placed_at.desc(),
    sales_order.c.id.desc(),
    postgresql_where=sa.or_(sales_order.c.has_exception, sales_order.c.has_shortage),
)
sa.Index(
    "ix_sales_order_number",
    sales_order.c.organisation_id,
    sales_order.c.number,
    postgresql_ops={"number": "text_pattern_ops"},
)
sa.Index(
    "ix_sales_order_email",
    sales_order.c.organisation_id,
    sales_order.c.buyer_email,
    postgresql_where=sales_order.c.buyer_email != "",
)
order_line = tenant_table(
    "order_line",
    sa.Column("order_id", UUID, nullable=False),
    sa.Column("external_id", sa.Text, nullable=False),
    sa.Column("position", sa.SmallInteger, nullable=False),
    sa.Column("sku", sa.Text),
    sa.Column("external_variant_id", sa.Text),
    sa.Column("variant_id", UUID),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("cancelled", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("shipped", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("reserved", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("shortage", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("unit_price_minor", sa.BigInteger, nullable=False),
    sa.Column("exception", sa.Text),
    reference("sales_order", "order_id"),
    sa.UniqueConstraint("organisation_id", "order_id", "external_id"),
)
sa.Index(
    "ix_order_line_exception",
    order_line.c.organisation_id,
    order_line.c.sku,
    postgresql_where=order_line.c.exception.is_not(None),
)
sa.Index("ix_order_line_variant", order_line.c.organisation_id, order_line.c.variant_id)
order_event = tenant_table(
    "order_event",
    sa.Column("order_id", UUID, nullable=False),
    timestamp("at", nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("detail", JSONB, nullable=False, server_default="{}"),
    append_only=True,
)
sa.Index("ix_order_event_order", order_event.c.organisation_id, order_event.c.order_id, order_event.c.id)
shipment = tenant_table(
    "shipment",
    sa.Column("order_id", UUID, nullable=False),
    sa.Column("carrier", sa.Text, nullable=False),
    sa.Column("tracking_number", sa.Text, nullable=False),
    sa.Column("tracking_url", sa.Text, nullable=False, server_default=""),
    sa.Column("lines", JSONB, nullable=False),
    timestamp("shipped_at", nullable=False),
    sa.Column("push_state", sa.Text, nullable=False, server_default="pending"),
    sa.Column("push_detail", sa.Text, nullable=False, server_default=""),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    timestamp("next_attempt_at"),
    sa.Column("external_id", sa.Text),
    reference("sales_order", "order_id"),
    sa.CheckConstraint("push_state in ('pending', 'done', 'parked')", name="push_state"),
)
sa.Index(
    "ix_shipment_parked",
    shipment.c.organisation_id,
    shipment.c.id,
    postgresql_where=shipment.c.push_state == "parked",
)
sa.Index(
    "ix_shipment_pending",
    shipment.c.organisation_id,
    shipment.c.id,
    postgresql_where=shipment.c.push_state == "pending",
)
sa.Index("ix_shipment_order", shipment.c.organisation_id, shipment.c.order_id)

__all__ = ["metadata"]
