"""Tables of fulfilment: rules, what places are like, which orders are to be looked at, what each place is to send."""

import sqlalchemy as sa

from entrepot.database.schema import (
    JSONB,
    TEXT_ARRAY,
    UUID,
    created_at,
    metadata,
    reference,
    tenant_table,
    timestamp,
    updated_at,
)

# Versions of the routing rules: never changed, one of them in force.
routing_rules = tenant_table(
    "routing_rules",
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("rules", JSONB, nullable=False),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("in_force", sa.Boolean, nullable=False, server_default=sa.false()),
    created_at(),
    sa.UniqueConstraint("organisation_id", "number"),
)
sa.Index(
    "ux_routing_rules_in_force", routing_rules.c.organisation_id, unique=True, postgresql_where=routing_rules.c.in_force
)
# What routing knows of a location beyond what stock does.
routing_place = tenant_table(
    "routing_place",
    sa.Column("location_id", UUID, nullable=False),
    sa.Column("country", sa.Text, nullable=False, server_default=""),
    sa.Column("region", sa.Text, nullable=False, server_default=""),
    sa.Column("cost_minor", sa.BigInteger, nullable=False, server_default="0"),
    # Orders that it can send in a day.
    sa.Column("daily_capacity", sa.Integer),
    sa.Column("groups", TEXT_ARRAY, nullable=False, server_default="{}"),
    updated_at(),
    reference("location", "location_id"),
    sa.CheckConstraint("cost_minor >= 0", name="cost"),
    sa.CheckConstraint("daily_capacity >= 0", name="capacity"),
    key=("location_id",),
)
# Orders to be looked at. Only inserted and deleted, so that who asks never waits; no key to the order for the same reason.
routing_request = tenant_table(
    "routing_request",
    sa.Column("order_id", UUID, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    timestamp("due_at", nullable=False),
    sa.CheckConstraint("kind in ('order', 'stock', 'person')", name="kind"),
)
sa.Index("ix_routing_request_due", routing_request.c.organisation_id, routing_request.c.due_at)
sa.Index("ix_routing_request_order", routing_request.c.organisation_id, routing_request.c.order_id)
# How an order was routed last, and why.
order_routing = tenant_table(
    "order_routing",
    sa.Column("order_id", UUID, nullable=False),
    # 0: none were in force.
    sa.Column("rules_number", sa.BigInteger, nullable=False),
    sa.Column("rule", sa.Text, nullable=False, server_default=""),
    sa.Column("steps", TEXT_ARRAY, nullable=False),
    timestamp("routed_at", nullable=False),
    reference("sales_order", "order_id"),
    key=("order_id",),
)
# Units of a line that wait: a row for each variant that would let them go on.
parked_line = tenant_table(
    "parked_line",
    sa.Column("order_line_id", UUID, nullable=False),
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("order_id", UUID, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    timestamp("look_at"),
    timestamp("cancel_at"),
    created_at(),
    reference("order_line", "order_line_id"),
    reference("sales_order", "order_id"),
    reference("variant", "variant_id"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    key=("order_line_id", "variant_id"),
)
sa.Index("ix_parked_line_variant", parked_line.c.organisation_id, parked_line.c.variant_id)
sa.Index("ix_parked_line_order", parked_line.c.organisation_id, parked_line.c.order_id)
fulfilment_order = tenant_table(
    "fulfilment_order",
    sa.Column("order_id", UUID, nullable=False),
    sa.Column("location_id", UUID, nullable=False),
    sa.Column("status", sa.Text, nullable=False, server_default="open"),
    # A person chose the place: rules leave it alone.
    sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),
    created_at(),
    updated_at(),
    reference("sales_order", "order_id"),
    reference("location", "location_id"),
    sa.CheckConstraint("status in ('open', 'in_progress', 'ready', 'shipped', 'cancelled')", name="status"),
)
sa.Index(
    "ix_fulfilment_order_status",
    fulfilment_order.c.organisation_id,
    fulfilment_order.c.status,
    fulfilment_order.c.id,
)
sa.Index("ix_fulfilment_order_order", fulfilment_order.c.organisation_id, fulfilment_order.c.order_id)
sa.Index(
    "ix_fulfilment_order_day",
    fulfilment_order.c.organisation_id,
    fulfilment_order.c.location_id,
    fulfilment_order.c.created_at,
)
fulfilment_order_line = tenant_table(
    "fulfilment_order_line",
    sa.Column("fulfilment_order_id", UUID, nullable=False),
    sa.Column("order_line_id", UUID, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("picked", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("shipped", sa.BigInteger, nullable=False, server_default="0"),
    reference("fulfilment_order", "fulfilment_order_id"),
    reference("order_line", "order_line_id"),
    sa.CheckConstraint("quantity >= 0", name="quantity"),
    sa.CheckConstraint("picked between 0 and quantity", name="picked"),
    sa.CheckConstraint("shipped between 0 and quantity", name="shipped"),
    key=("fulfilment_order_id", "order_line_id"),
)
sa.Index(
    "ix_fulfilment_order_line_line", fulfilment_order_line.c.organisation_id, fulfilment_order_line.c.order_line_id
)

__all__ = ["metadata"]
