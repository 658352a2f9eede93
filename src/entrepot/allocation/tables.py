"""Tables of allocation."""

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

allocation_policy = tenant_table(
    "allocation_policy",
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("scope_id", UUID),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("parameters", JSONB, nullable=False, server_default="{}"),
    updated_at(),
    # Up to when its listings were worked out anew because of the clock; null where no condition of it is about time.
    timestamp("clock_at"),
    sa.CheckConstraint("scope in ('shop', 'category', 'product')", name="scope"),
    sa.CheckConstraint("(scope = 'shop') = (scope_id is null)", name="scope_id"),
    sa.UniqueConstraint("organisation_id", "scope", "scope_id", postgresql_nulls_not_distinct=True),
)
sa.Index(
    "ix_allocation_policy_clock",
    allocation_policy.c.organisation_id,
    postgresql_where=allocation_policy.c.clock_at.is_not(None),
)
# Units of a product or SKU kept back (buffer), shown at most (cap) and at least (least), on one connection or (null) all.
allocation_limit = tenant_table(
    "allocation_limit",
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("scope_id", UUID, nullable=False),
    sa.Column("connection_id", UUID),
    sa.Column("buffer", sa.BigInteger),
    sa.Column("cap", sa.BigInteger),
    sa.Column("least", sa.BigInteger),
    updated_at(),
    reference("connection", "connection_id", on_delete="CASCADE"),
    sa.CheckConstraint("scope in ('product', 'variant')", name="scope"),
    sa.CheckConstraint("buffer >= 0 and cap >= 0 and least >= 0", name="units"),
    sa.CheckConstraint("coalesce(buffer, cap, least) is not null", name="something"),
    sa.UniqueConstraint(
        "organisation_id",
        "scope",
        "scope_id",
        "connection_id",
        postgresql_nulls_not_distinct=True,
        name="uq_allocation_limit_place",
    ),
)

# Units sold by listing, each sale counting half as much after a half-life: how fast it sells now.
sales_rate = tenant_table(
    "sales_rate",
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("units", sa.Double, nullable=False),
    timestamp("at", nullable=False),
    # The squares of the units of each order line, decayed alike: over `units` how many are bought at once.
    sa.Column("squares", sa.Double, nullable=False, server_default="0"),
    reference("connection", "connection_id", on_delete="CASCADE"),
    key=("variant_id", "connection_id"),
)
# Units sold by listing and day (UTC), less those cancelled that day.
sales_day = tenant_table(
    "sales_day",
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("units", sa.BigInteger, nullable=False),
    reference("connection", "connection_id", on_delete="CASCADE"),
    key=("variant_id", "connection_id", "day"),
)
# How often a sale was heard of, or a lowering shown, after about so long (lags.py), by hour.
lag_count = tenant_table(
    "lag_count",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    timestamp("hour", nullable=False),
    sa.Column("bucket", sa.SmallInteger, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    reference("connection", "connection_id", on_delete="CASCADE"),
    sa.CheckConstraint("kind in ('heard', 'shown')", name="kind"),
    key=("connection_id", "kind", "hour", "bucket"),
)
# What is expected to sell, as of the morning of a day: by listing's connection for 30 days, by variant a day.
listing_forecast = tenant_table(
    "listing_forecast",
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("units_30d", sa.Double, nullable=False),
    sa.Column("days", sa.Integer, nullable=False),
    sa.Column("made_on", sa.Date, nullable=False),
    reference("connection", "connection_id", on_delete="CASCADE"),
    key=("variant_id", "connection_id"),
)
variant_forecast = tenant_table(
    "variant_forecast",
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("units_a_day", sa.Double, nullable=False),
    sa.Column("mean_a_day", sa.Double, nullable=False),
    sa.Column("days", sa.Integer, nullable=False),
    sa.Column("made_on", sa.Date, nullable=False),
    reference("variant", "variant_id"),
    key=("variant_id",),
)
# What all goods have in common: the weekdays, how far such forecasts were off, how close together sales come (bunching.py).
forecast_model = tenant_table(
    "forecast_model",
    sa.Column("profile", JSONB, nullable=False),
    sa.Column("scatters", JSONB, nullable=False),
    sa.Column("variants", sa.Integer, nullable=False),
    sa.Column("made_on", sa.Date, nullable=False),
    updated_at(),
    sa.Column("habits", JSONB, nullable=False, server_default="{}"),
    key=(),
)

# Files of past orders as they came (compressed), and what simulations made of them or of the hub's own orders.
order_file = tenant_table(
    "order_file",
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("form", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    created_at(),
    sa.CheckConstraint("form in ('csv', 'parquet')", name="form"),
)
simulation = tenant_table(
    "simulation",
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("job_id", UUID, nullable=False),
    sa.Column("file_id", UUID),
    sa.Column("settings", JSONB, nullable=False),
    sa.Column("found", JSONB),
    created_at(),
    timestamp("finished_at"),
    reference("order_file", "file_id"),
)
sa.Index("ix_simulation_file", simulation.c.organisation_id, simulation.c.file_id)
simulation_result = tenant_table(
    "simulation_result",
    sa.Column("simulation_id", UUID, nullable=False),
    sa.Column("position", sa.SmallInteger, nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("lag_s", sa.Double, nullable=False),
    sa.Column("tally", JSONB, nullable=False),
    reference("simulation", "simulation_id", on_delete="CASCADE"),
    key=("simulation_id", "position"),
)

__all__ = ["metadata"]
