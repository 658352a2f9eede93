"""What allocation learns: sales by listing, lags of channels; and which listings wait for others to show less."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0004"
down_revision = "0003"

SALES_RATE = """
create table sales_rate (
    organisation_id uuid not null,
    variant_id uuid not null,
    connection_id uuid not null,
    units double precision not null,
    at timestamptz not null,
    constraint pk_sales_rate primary key (organisation_id, variant_id, connection_id),
    constraint fk_sales_rate_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade
)
"""
SALES_DAY = """
create table sales_day (
    organisation_id uuid not null,
    variant_id uuid not null,
    connection_id uuid not null,
    day date not null,
    units bigint not null,
    constraint pk_sales_day primary key (organisation_id, variant_id, connection_id, day),
    constraint fk_sales_day_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade
)
"""
LAG_COUNT = """
create table lag_count (
    organisation_id uuid not null,
    connection_id uuid not null,
    kind text not null,
    hour timestamptz not null,
    bucket smallint not null,
    count bigint not null,
    constraint pk_lag_count primary key (organisation_id, connection_id, kind, hour, bucket),
    constraint ck_lag_count_kind check (kind in ('heard', 'shown')),
    constraint fk_lag_count_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade
)
"""


def upgrade() -> None:
    """Make the tables and columns."""
    for name, sql in (("sales_rate", SALES_RATE), ("sales_day", SALES_DAY), ("lag_count", LAG_COUNT)):
        op.execute(sql)
        force_row_security(name)
        grant(name)
    op.execute("alter table listing_quantity add column shown_before bigint")
    op.execute("alter table listing_quantity add column waits boolean default false not null")
    op.execute(
        "create index ix_listing_quantity_before on listing_quantity (organisation_id, connection_id)"
        " where shown_before is not null"
    )
    op.execute("create index ix_listing_quantity_waits on listing_quantity (organisation_id, variant_id) where waits")
