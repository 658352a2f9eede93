"""Tables of stock. Only this room writes them."""

import sqlalchemy as sa

from entrepot.database.schema import (
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
    sa.CheckConstraint("kind in ('warehouse', 'store', 'supplier', 'dropship')", name="kind"),
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
    sa.CheckConstraint("kind in ('order', 'hold')", name="kind"),
    sa.CheckConstraint("state in ('active', 'released', 'expired', 'shipped')", name="state"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
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
    sa.CheckConstraint("state in ('open', 'closed')", name="state"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
)
sa.Index(
    "ix_shortage_open",
    shortage.c.organisation_id,
    shortage.c.variant_id,
    postgresql_where=shortage.c.state == "open",
)
sa.Index(
    "ix_shortage_reference",
    shortage.c.organisation_id,
    shortage.c.reference_id,
    postgresql_where=shortage.c.state == "open",
)

__all__ = ["metadata"]
