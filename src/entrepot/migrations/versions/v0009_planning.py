"""Planning: forecasts, simulations that are kept, and what was wrong with rows of stock files."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0009"
down_revision = "0008"

TABLES = """
create table listing_forecast (
    organisation_id uuid not null,
    variant_id uuid not null,
    connection_id uuid not null,
    units_30d double precision not null,
    days integer not null,
    made_on date not null,
    constraint pk_listing_forecast primary key (organisation_id, variant_id, connection_id),
    constraint fk_listing_forecast_organisation_id_connection_id
        foreign key (organisation_id, connection_id) references connection (organisation_id, id) on delete cascade
);
create table variant_forecast (
    organisation_id uuid not null,
    variant_id uuid not null,
    units_a_day double precision not null,
    mean_a_day double precision not null,
    days integer not null,
    made_on date not null,
    constraint pk_variant_forecast primary key (organisation_id, variant_id),
    constraint fk_variant_forecast_organisation_id_variant_id
        foreign key (organisation_id, variant_id) references variant (organisation_id, id)
);
create table forecast_model (
    organisation_id uuid not null,
    profile jsonb not null,
    scatters jsonb not null,
    variants integer not null,
    made_on date not null,
    updated_at timestamptz default now() not null,
    constraint pk_forecast_model primary key (organisation_id)
);
create table order_file (
    organisation_id uuid not null,
    id uuid not null,
    name text not null,
    form text not null,
    content bytea not null,
    bytes bigint not null,
    actor text not null,
    created_at timestamptz default now() not null,
    constraint pk_order_file primary key (organisation_id, id),
    constraint ck_order_file_form check (form in ('csv', 'parquet'))
);
create table simulation (
    organisation_id uuid not null,
    id uuid not null,
    title text not null,
    actor text not null,
    job_id uuid not null,
    file_id uuid,
    settings jsonb not null,
    found jsonb,
    created_at timestamptz default now() not null,
    finished_at timestamptz,
    constraint pk_simulation primary key (organisation_id, id),
    constraint fk_simulation_organisation_id_file_id
        foreign key (organisation_id, file_id) references order_file (organisation_id, id)
);
create index ix_simulation_file on simulation (organisation_id, file_id);
create table simulation_result (
    organisation_id uuid not null,
    simulation_id uuid not null,
    position smallint not null,
    policy text not null,
    lag_s double precision not null,
    tally jsonb not null,
    constraint pk_simulation_result primary key (organisation_id, simulation_id, position),
    constraint fk_simulation_result_organisation_id_simulation_id
        foreign key (organisation_id, simulation_id) references simulation (organisation_id, id) on delete cascade
);
create table stock_file_problem (
    organisation_id uuid not null,
    job_id uuid not null,
    row integer not null,
    sku text not null,
    problem text not null,
    constraint pk_stock_file_problem primary key (organisation_id, job_id, row),
    constraint fk_stock_file_problem_organisation_id_job_id
        foreign key (organisation_id, job_id) references job (organisation_id, id) on delete cascade
);
"""
NAMES = (
    "listing_forecast",
    "variant_forecast",
    "forecast_model",
    "order_file",
    "simulation",
    "simulation_result",
    "stock_file_problem",
)


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)
    for name in NAMES:
        grant(name)
        force_row_security(name)
