"""Tables of stock. Only this room writes them."""

import sqlalchemy as sa

from entrepot.database.schema import (
    TEXT_ARRAY,
    UUID,
    created_at,
    metadata,
    reference,
    tenant_table,
    timestamp,
    updated_at,
)

location = tenant_table(
    "location",
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, server_default="warehouse"),
    sa.Column("priority", sa.Integer, nullable=False, server_default="100"),
    created_at(),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    # Units of each SKU that this location keeps back from what channels may show.
    sa.Column("buffer", sa.BigInteger, nullable=False, server_default="0"),
    sa.CheckConstraint("kind in ('warehouse', 'store', 'supplier', 'dropship')", name="kind"),
    sa.CheckConstraint("buffer >= 0", name="buffer"),
    sa.UniqueConstraint("organisation_id", "name"),
)
stock_level = tenant_table(
    "stock_level",
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("location_id", UUID, nullable=False),
    sa.Column("on_hand", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("reserved", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("held", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("unavailable", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("incoming", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("safety_stock", sa.BigInteger, nullable=False, server_default="0"),
    updated_at(),
    reference("variant", "variant_id"),
    reference("location", "location_id"),
    sa.CheckConstraint("reserved >= 0", name="reserved"),
    sa.CheckConstraint("held >= 0", name="held"),
    sa.CheckConstraint("unavailable >= 0", name="unavailable"),
    sa.CheckConstraint("incoming >= 0", name="incoming"),
    sa.CheckConstraint("on_hand >= 0", name="on_hand"),
    key=("variant_id", "location_id"),
)
stock_movement = tenant_table(
    "stock_movement",
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("location_id", UUID, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("on_hand_delta", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("reserved_delta", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("held_delta", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("unavailable_delta", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("incoming_delta", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("on_hand_after", sa.BigInteger, nullable=False),
    sa.Column("reserved_after", sa.BigInteger, nullable=False),
    sa.Column("reference_kind", sa.Text, nullable=False, server_default=""),
    sa.Column("reference_id", UUID),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("actor", sa.Text, nullable=False),
    timestamp("at", nullable=False),
    append_only=True,
)
sa.Index(
    "ix_stock_movement_level",
    stock_movement.c.organisation_id,
    stock_movement.c.variant_id,
    stock_movement.c.location_id,
    stock_movement.c.id,
)
# Claims come by the thousand and goods move seldom: these serve the list of movements and cost claims nothing.
GOODS = sa.text("kind not in ('hold', 'release', 'reserve')")
sa.Index(
    "ix_stock_movement_goods_kind",
    stock_movement.c.organisation_id,
    stock_movement.c.kind,
    stock_movement.c.id,
    postgresql_where=GOODS,
)
sa.Index(
    "ix_stock_movement_goods_location",
    stock_movement.c.organisation_id,
    stock_movement.c.location_id,
    stock_movement.c.id,
    postgresql_where=GOODS,
)
sa.Index(
    "ix_stock_movement_goods_variant",
    stock_movement.c.organisation_id,
    stock_movement.c.variant_id,
    stock_movement.c.id,
    postgresql_where=GOODS,
)
sa.Index("ix_stock_level_location", stock_level.c.organisation_id, stock_level.c.location_id, stock_level.c.variant_id)
reservation = tenant_table(
    "reservation",
    sa.Column("line", sa.SmallInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("location_id", UUID, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="active"),
    sa.Column("reference_id", UUID),
    timestamp("expires_at"),
    created_at(),
    updated_at(),
    sa.Column("per_bundle", sa.BigInteger, nullable=False, server_default="1"),
    sa.CheckConstraint("kind in ('order', 'hold')", name="kind"),
    sa.CheckConstraint("state in ('active', 'released', 'expired', 'shipped')", name="state"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("per_bundle > 0", name="per_bundle"),
    key=("id", "line"),
)
sa.Index(
    "ix_reservation_expiry",
    reservation.c.organisation_id,
    reservation.c.expires_at,
    postgresql_where=sa.and_(reservation.c.state == "active", reservation.c.expires_at.is_not(None)),
)
sa.Index(
    "ix_reservation_reference",
    reservation.c.organisation_id,
    reservation.c.reference_id,
    postgresql_where=sa.and_(reservation.c.state == "active", reservation.c.reference_id.is_not(None)),
)
sa.Index(
    "ix_reservation_level",
    reservation.c.organisation_id,
    reservation.c.variant_id,
    reservation.c.location_id,
    postgresql_where=reservation.c.state == "active",
)
shortage = tenant_table(
    "shortage",
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("reference_id", UUID),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="open"),
    created_at(),
    timestamp("closed_at"),
    sa.Column("per_bundle", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("remedy", sa.Text, nullable=False, server_default=""),
    sa.Column("remedy_id", UUID),
    sa.Column("remedy_by", sa.Text, nullable=False, server_default=""),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.CheckConstraint("state in ('open', 'closed')", name="state"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("per_bundle > 0", name="per_bundle"),
    sa.CheckConstraint("remedy in ('', 'location', 'purchase', 'supplier', 'cancel', 'stock')", name="remedy"),
)
sa.Index(
    "ix_shortage_open",
    shortage.c.organisation_id,
    shortage.c.variant_id,
    postgresql_where=shortage.c.state == "open",
)
sa.Index(
    "ix_shortage_queue",
    shortage.c.organisation_id,
    shortage.c.id,
    postgresql_where=shortage.c.state == "open",
)
sa.Index(
    "ix_shortage_reference",
    shortage.c.organisation_id,
    shortage.c.reference_id,
    postgresql_where=shortage.c.state == "open",
)

stock_transfer = tenant_table(
    "stock_transfer",
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("from_location_id", UUID, nullable=False),
    sa.Column("to_location_id", UUID, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="draft"),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("actor", sa.Text, nullable=False),
    created_at(),
    timestamp("shipped_at"),
    timestamp("closed_at"),
    reference("location", "from_location_id"),
    reference("location", "to_location_id"),
    sa.CheckConstraint("state in ('draft', 'in_transit', 'partly_received', 'received', 'cancelled')", name="state"),
    sa.CheckConstraint("from_location_id <> to_location_id", name="locations"),
    sa.UniqueConstraint("organisation_id", "number"),
)
sa.Index("ix_stock_transfer_state", stock_transfer.c.organisation_id, stock_transfer.c.state, stock_transfer.c.id)
stock_transfer_line = tenant_table(
    "stock_transfer_line",
    sa.Column("transfer_id", UUID, nullable=False),
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("damaged", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("outstanding", sa.BigInteger, nullable=False, server_default="0"),
    reference("stock_transfer", "transfer_id"),
    reference("variant", "variant_id"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("received >= 0 and damaged >= 0 and damaged <= received", name="received"),
    sa.CheckConstraint("outstanding >= 0 and outstanding <= quantity", name="outstanding"),
    key=("transfer_id", "variant_id"),
)
stock_count = tenant_table(
    "stock_count",
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("location_id", UUID, nullable=False),
    sa.Column("whole", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="open"),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("actor", sa.Text, nullable=False),
    created_at(),
    timestamp("closed_at"),
    reference("location", "location_id"),
    sa.CheckConstraint("state in ('open', 'confirmed', 'cancelled')", name="state"),
    sa.UniqueConstraint("organisation_id", "number"),
)
sa.Index("ix_stock_count_state", stock_count.c.organisation_id, stock_count.c.state, stock_count.c.id)
stock_count_line = tenant_table(
    "stock_count_line",
    sa.Column("count_id", UUID, nullable=False),
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("counted", sa.BigInteger),
    sa.Column("expected", sa.BigInteger),
    sa.Column("counted_by", sa.Text, nullable=False, server_default=""),
    timestamp("counted_at"),
    sa.Column("applied", sa.BigInteger),
    reference("stock_count", "count_id"),
    reference("variant", "variant_id"),
    sa.CheckConstraint("counted >= 0", name="counted"),
    sa.CheckConstraint("(counted is null) = (expected is null)", name="expected"),
    key=("count_id", "variant_id"),
)
sa.Index(
    "ix_stock_count_line_position",
    stock_count_line.c.organisation_id,
    stock_count_line.c.count_id,
    stock_count_line.c.position,
)
supplier = tenant_table(
    "supplier",
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False, server_default=""),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("lead_time_days", sa.Integer, nullable=False, server_default="7"),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    created_at(),
    updated_at(),
    sa.UniqueConstraint("organisation_id", "name"),
    sa.CheckConstraint("lead_time_days between 0 and 730", name="lead_time"),
)
supplier_variant = tenant_table(
    "supplier_variant",
    sa.Column("supplier_id", UUID, nullable=False),
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("supplier_sku", sa.Text, nullable=False, server_default=""),
    sa.Column("cost_minor", sa.BigInteger),
    sa.Column("lead_time_days", sa.Integer),
    sa.Column("pack_units", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("minimum_units", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("preferred", sa.Boolean, nullable=False, server_default=sa.false()),
    updated_at(),
    reference("supplier", "supplier_id"),
    reference("variant", "variant_id"),
    sa.CheckConstraint("cost_minor >= 0", name="cost"),
    sa.CheckConstraint("lead_time_days between 0 and 730", name="lead_time"),
    sa.CheckConstraint("pack_units > 0 and minimum_units > 0", name="units"),
    key=("supplier_id", "variant_id"),
)
sa.Index("ix_supplier_variant_variant", supplier_variant.c.organisation_id, supplier_variant.c.variant_id)
purchase_order = tenant_table(
    "purchase_order",
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("supplier_id", UUID, nullable=False),
    sa.Column("location_id", UUID, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="draft"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("expected_on", sa.Date),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("actor", sa.Text, nullable=False),
    created_at(),
    timestamp("ordered_at"),
    timestamp("closed_at"),
    reference("supplier", "supplier_id"),
    reference("location", "location_id"),
    sa.CheckConstraint("state in ('draft', 'ordered', 'partly_received', 'received', 'cancelled')", name="state"),
    sa.UniqueConstraint("organisation_id", "number"),
)
sa.Index("ix_purchase_order_state", purchase_order.c.organisation_id, purchase_order.c.state, purchase_order.c.id)
sa.Index(
    "ix_purchase_order_supplier", purchase_order.c.organisation_id, purchase_order.c.supplier_id, purchase_order.c.id
)
purchase_order_line = tenant_table(
    "purchase_order_line",
    sa.Column("purchase_order_id", UUID, nullable=False),
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("damaged", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("outstanding", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("cost_minor", sa.BigInteger),
    reference("purchase_order", "purchase_order_id"),
    reference("variant", "variant_id"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("received >= 0 and damaged >= 0 and damaged <= received", name="received"),
    sa.CheckConstraint("outstanding >= 0 and outstanding <= quantity", name="outstanding"),
    sa.CheckConstraint("cost_minor >= 0", name="cost"),
    key=("purchase_order_id", "variant_id"),
)
sa.Index(
    "ix_purchase_order_line_variant",
    purchase_order_line.c.organisation_id,
    purchase_order_line.c.variant_id,
    postgresql_where=purchase_order_line.c.outstanding > 0,
)
stock_threshold = tenant_table(
    "stock_threshold",
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("scope_id", UUID, nullable=False),
    sa.Column("low_at", sa.BigInteger, nullable=False),
    updated_at(),
    sa.CheckConstraint("scope in ('product', 'variant')", name="scope"),
    sa.CheckConstraint("low_at >= 0", name="low_at"),
    key=("scope", "scope_id"),
)
stock_alert = tenant_table(
    "stock_alert",
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("available", sa.BigInteger, nullable=False),
    sa.Column("low_at", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="open"),
    sa.Column("seen_by", sa.Text, nullable=False, server_default=""),
    created_at(),
    updated_at(),
    timestamp("closed_at"),
    reference("variant", "variant_id"),
    sa.CheckConstraint("state in ('open', 'closed')", name="state"),
)
sa.Index(
    "ux_stock_alert_open",
    stock_alert.c.organisation_id,
    stock_alert.c.variant_id,
    unique=True,
    postgresql_where=stock_alert.c.state == "open",
)
sa.Index(
    "ix_stock_alert_queue",
    stock_alert.c.organisation_id,
    stock_alert.c.id,
    postgresql_where=stock_alert.c.state == "open",
)
reorder_rule = tenant_table(
    "reorder_rule",
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("location_id", UUID, nullable=False),
    sa.Column("reorder_point", sa.BigInteger, nullable=False),
    sa.Column("reorder_quantity", sa.BigInteger),
    sa.Column("max_level", sa.BigInteger),
    updated_at(),
    reference("variant", "variant_id"),
    reference("location", "location_id"),
    sa.CheckConstraint("reorder_point >= 0", name="reorder_point"),
    sa.CheckConstraint("reorder_quantity > 0", name="reorder_quantity"),
    sa.CheckConstraint("max_level > reorder_point", name="max_level"),
    sa.CheckConstraint("reorder_quantity is not null or max_level is not null", name="quantity"),
    key=("variant_id", "location_id"),
)
reorder_suggestion = tenant_table(
    "reorder_suggestion",
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("location_id", UUID, nullable=False),
    sa.Column("supplier_id", UUID),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("steps", TEXT_ARRAY, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="open"),
    sa.Column("purchase_order_id", UUID),
    sa.Column("actor", sa.Text, nullable=False, server_default=""),
    created_at(),
    updated_at(),
    timestamp("closed_at"),
    reference("variant", "variant_id"),
    reference("location", "location_id"),
    reference("supplier", "supplier_id"),
    reference("purchase_order", "purchase_order_id"),
    sa.CheckConstraint("state in ('open', 'drafted', 'dismissed', 'ordered', 'met')", name="state"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
)
NEED = reorder_suggestion.c.state.in_(["open", "drafted", "dismissed"])
sa.Index(
    "ux_reorder_suggestion_need",
    reorder_suggestion.c.organisation_id,
    reorder_suggestion.c.variant_id,
    reorder_suggestion.c.location_id,
    unique=True,
    postgresql_where=NEED,
)
sa.Index(
    "ix_reorder_suggestion_state", reorder_suggestion.c.organisation_id, reorder_suggestion.c.state,
    reorder_suggestion.c.id,
)  # fmt: skip
sa.Index(
    "ix_reorder_suggestion_order",
    reorder_suggestion.c.organisation_id,
    reorder_suggestion.c.purchase_order_id,
    postgresql_where=reorder_suggestion.c.state == "drafted",
)
# Rows of a stock file that were not taken, by the job that read it.
stock_file_problem = tenant_table(
    "stock_file_problem",
    sa.Column("job_id", UUID, nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    reference("job", "job_id", on_delete="CASCADE"),
    key=("job_id", "row"),
)

__all__ = ["metadata"]
