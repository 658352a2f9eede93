"""Fulfilment: routing rules, what places are like, orders to be looked at, what waits, what each place is to send."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0019"
down_revision = "0018"

TABLES = """
create table routing_rules (
    organisation_id uuid not null,
    id uuid not null,
    number bigint not null,
    rules jsonb not null,
    note text default '' not null,
    actor text not null,
    in_force boolean default false not null,
    created_at timestamptz default now() not null,
    constraint pk_routing_rules primary key (organisation_id, id),
    constraint uq_routing_rules_organisation_id_number unique (organisation_id, number)
);
create unique index ux_routing_rules_in_force on routing_rules (organisation_id) where in_force;
create table routing_place (
    organisation_id uuid not null,
    location_id uuid not null,
    country text default '' not null,
    region text default '' not null,
    cost_minor bigint default '0' not null,
    daily_capacity integer,
    groups text[] default '{}' not null,
    updated_at timestamptz default now() not null,
    constraint pk_routing_place primary key (organisation_id, location_id),
    constraint fk_routing_place_organisation_id_location_id
        foreign key (organisation_id, location_id) references location (organisation_id, id),
    constraint ck_routing_place_cost check (cost_minor >= 0),
    constraint ck_routing_place_capacity check (daily_capacity >= 0)
);
create table routing_request (
    organisation_id uuid not null,
    id uuid not null,
    order_id uuid not null,
    kind text not null,
    due_at timestamptz not null,
    constraint pk_routing_request primary key (organisation_id, id),
    constraint ck_routing_request_kind check (kind in ('order', 'stock', 'person'))
);
create index ix_routing_request_due on routing_request (organisation_id, due_at);
create index ix_routing_request_order on routing_request (organisation_id, order_id);
create table order_routing (
    organisation_id uuid not null,
    order_id uuid not null,
    rules_number bigint not null,
    rule text default '' not null,
    steps text[] not null,
    routed_at timestamptz not null,
    constraint pk_order_routing primary key (organisation_id, order_id),
    constraint fk_order_routing_organisation_id_order_id
        foreign key (organisation_id, order_id) references sales_order (organisation_id, id)
);
create table parked_line (
    organisation_id uuid not null,
    order_line_id uuid not null,
    variant_id uuid not null,
    order_id uuid not null,
    quantity bigint not null,
    reason text not null,
    look_at timestamptz,
    cancel_at timestamptz,
    created_at timestamptz default now() not null,
    constraint pk_parked_line primary key (organisation_id, order_line_id, variant_id),
    constraint fk_parked_line_organisation_id_order_line_id
        foreign key (organisation_id, order_line_id) references order_line (organisation_id, id),
    constraint fk_parked_line_organisation_id_order_id
        foreign key (organisation_id, order_id) references sales_order (organisation_id, id),
    constraint fk_parked_line_organisation_id_variant_id
        foreign key (organisation_id, variant_id) references variant (organisation_id, id),
    constraint ck_parked_line_quantity check (quantity > 0)
);
create index ix_parked_line_order on parked_line (organisation_id, order_id);
create index ix_parked_line_variant on parked_line (organisation_id, variant_id);
create table fulfilment_order (
    organisation_id uuid not null,
    id uuid not null,
    order_id uuid not null,
    location_id uuid not null,
    status text default 'open' not null,
    pinned boolean default false not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_fulfilment_order primary key (organisation_id, id),
    constraint fk_fulfilment_order_organisation_id_order_id
        foreign key (organisation_id, order_id) references sales_order (organisation_id, id),
    constraint fk_fulfilment_order_organisation_id_location_id
        foreign key (organisation_id, location_id) references location (organisation_id, id),
    constraint ck_fulfilment_order_status check (status in ('open', 'in_progress', 'ready', 'shipped', 'cancelled'))
);
create index ix_fulfilment_order_day on fulfilment_order (organisation_id, location_id, created_at);
create index ix_fulfilment_order_order on fulfilment_order (organisation_id, order_id);
create index ix_fulfilment_order_status on fulfilment_order (organisation_id, status, id);
create table fulfilment_order_line (
    organisation_id uuid not null,
    fulfilment_order_id uuid not null,
    order_line_id uuid not null,
    quantity bigint not null,
    picked bigint default '0' not null,
    shipped bigint default '0' not null,
    constraint pk_fulfilment_order_line primary key (organisation_id, fulfilment_order_id, order_line_id),
    constraint fk_fulfilment_order_line_organisation_id_fulfilment_order_id
        foreign key (organisation_id, fulfilment_order_id) references fulfilment_order (organisation_id, id),
    constraint fk_fulfilment_order_line_organisation_id_order_line_id
        foreign key (organisation_id, order_line_id) references order_line (organisation_id, id),
    constraint ck_fulfilment_order_line_quantity check (quantity >= 0),
    constraint ck_fulfilment_order_line_picked check (picked between 0 and quantity),
    constraint ck_fulfilment_order_line_shipped check (shipped between 0 and quantity)
);
create index ix_fulfilment_order_line_line on fulfilment_order_line (organisation_id, order_line_id);
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in (
        "routing_rules", "routing_place", "routing_request", "order_routing", "parked_line", "fulfilment_order",
        "fulfilment_order_line",
    ):  # fmt: skip
        grant(table)
        force_row_security(table)
