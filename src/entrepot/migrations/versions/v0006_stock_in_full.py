"""Stock in full: places that rest, bundles, transfers, counts, suppliers, purchase orders, alerts, reordering."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0006"
down_revision = "0005"

CHANGES = """
alter table location add column active boolean default true not null;
alter table reservation add column per_bundle bigint default '1' not null;
alter table reservation add constraint ck_reservation_per_bundle check (per_bundle > 0);
alter table shortage add column per_bundle bigint default '1' not null;
alter table shortage add column remedy text default '' not null;
alter table shortage add column remedy_id uuid;
alter table shortage add column remedy_by text default '' not null;
alter table shortage add column note text default '' not null;
alter table shortage add constraint ck_shortage_per_bundle check (per_bundle > 0);
alter table shortage add constraint ck_shortage_remedy
    check (remedy in ('', 'location', 'purchase', 'supplier', 'cancel', 'stock'));
create index ix_shortage_queue on shortage (organisation_id, id) where state = 'open';
create index ix_stock_movement_goods_kind on stock_movement (organisation_id, kind, id)
    where kind not in ('hold', 'release', 'reserve');
create index ix_stock_movement_goods_location on stock_movement (organisation_id, location_id, id)
    where kind not in ('hold', 'release', 'reserve');
create index ix_stock_level_location on stock_level (organisation_id, location_id, variant_id);
"""

TABLES = """
create table bundle_component (
    organisation_id uuid not null,
    bundle_id uuid not null,
    component_id uuid not null,
    quantity bigint not null,
    constraint pk_bundle_component primary key (organisation_id, bundle_id, component_id),
    constraint fk_bundle_component_organisation_id_bundle_id
        foreign key (organisation_id, bundle_id) references variant (organisation_id, id),
    constraint fk_bundle_component_organisation_id_component_id
        foreign key (organisation_id, component_id) references variant (organisation_id, id),
    constraint ck_bundle_component_quantity check (quantity > 0),
    constraint ck_bundle_component_itself check (bundle_id <> component_id)
);
create index ix_bundle_component_part on bundle_component (organisation_id, component_id);
create table stock_transfer (
    organisation_id uuid not null,
    id uuid not null,
    number bigint not null,
    from_location_id uuid not null,
    to_location_id uuid not null,
    state text default 'draft' not null,
    note text default '' not null,
    actor text not null,
    created_at timestamptz default now() not null,
    shipped_at timestamptz,
    closed_at timestamptz,
    constraint pk_stock_transfer primary key (organisation_id, id),
    constraint fk_stock_transfer_organisation_id_from_location_id
        foreign key (organisation_id, from_location_id) references location (organisation_id, id),
    constraint fk_stock_transfer_organisation_id_to_location_id
        foreign key (organisation_id, to_location_id) references location (organisation_id, id),
    constraint ck_stock_transfer_state check (state in ('draft', 'in_transit', 'partly_received', 'received', 'cancelled')),
    constraint ck_stock_transfer_locations check (from_location_id <> to_location_id),
    constraint uq_stock_transfer_organisation_id_number unique (organisation_id, number)
);
create index ix_stock_transfer_state on stock_transfer (organisation_id, state, id);
create table stock_transfer_line (
    organisation_id uuid not null,
    transfer_id uuid not null,
    variant_id uuid not null,
    quantity bigint not null,
    received bigint default '0' not null,
    damaged bigint default '0' not null,
    outstanding bigint default '0' not null,
    constraint pk_stock_transfer_line primary key (organisation_id, transfer_id, variant_id),
    constraint fk_stock_transfer_line_organisation_id_transfer_id
        foreign key (organisation_id, transfer_id) references stock_transfer (organisation_id, id),
    constraint fk_stock_transfer_line_organisation_id_variant_id
        foreign key (organisation_id, variant_id) references variant (organisation_id, id),
    constraint ck_stock_transfer_line_quantity check (quantity > 0),
    constraint ck_stock_transfer_line_received check (received >= 0 and damaged >= 0 and damaged <= received),
    constraint ck_stock_transfer_line_outstanding check (outstanding >= 0 and outstanding <= quantity)
);
create table stock_count (
    organisation_id uuid not null,
    id uuid not null,
    number bigint not null,
    location_id uuid not null,
    whole boolean not null,
    state text default 'open' not null,
    note text default '' not null,
    actor text not null,
    created_at timestamptz default now() not null,
    closed_at timestamptz,
    constraint pk_stock_count primary key (organisation_id, id),
    constraint fk_stock_count_organisation_id_location_id
        foreign key (organisation_id, location_id) references location (organisation_id, id),
    constraint ck_stock_count_state check (state in ('open', 'confirmed', 'cancelled')),
    constraint uq_stock_count_organisation_id_number unique (organisation_id, number)
);
create index ix_stock_count_state on stock_count (organisation_id, state, id);
create table stock_count_line (
    organisation_id uuid not null,
    count_id uuid not null,
    variant_id uuid not null,
    position integer not null,
    counted bigint,
    expected bigint,
    counted_by text default '' not null,
    counted_at timestamptz,
    applied bigint,
    constraint pk_stock_count_line primary key (organisation_id, count_id, variant_id),
    constraint fk_stock_count_line_organisation_id_count_id
        foreign key (organisation_id, count_id) references stock_count (organisation_id, id),
    constraint fk_stock_count_line_organisation_id_variant_id
        foreign key (organisation_id, variant_id) references variant (organisation_id, id),
    constraint ck_stock_count_line_counted check (counted >= 0),
    constraint ck_stock_count_line_expected check ((counted is null) = (expected is null))
);
create index ix_stock_count_line_position on stock_count_line (organisation_id, count_id, position);
create table supplier (
    organisation_id uuid not null,
    id uuid not null,
    name text not null,
    email text default '' not null,
    currency char(3) not null,
    lead_time_days integer default '7' not null,
    note text default '' not null,
    active boolean default true not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_supplier primary key (organisation_id, id),
    constraint uq_supplier_organisation_id_name unique (organisation_id, name),
    constraint ck_supplier_lead_time check (lead_time_days between 0 and 730)
);
create table supplier_variant (
    organisation_id uuid not null,
    supplier_id uuid not null,
    variant_id uuid not null,
    supplier_sku text default '' not null,
    cost_minor bigint,
    lead_time_days integer,
    pack_units bigint default '1' not null,
    minimum_units bigint default '1' not null,
    preferred boolean default false not null,
    updated_at timestamptz default now() not null,
    constraint pk_supplier_variant primary key (organisation_id, supplier_id, variant_id),
    constraint fk_supplier_variant_organisation_id_supplier_id
        foreign key (organisation_id, supplier_id) references supplier (organisation_id, id),
    constraint fk_supplier_variant_organisation_id_variant_id
        foreign key (organisation_id, variant_id) references variant (organisation_id, id),
    constraint ck_supplier_variant_cost check (cost_minor >= 0),
    constraint ck_supplier_variant_lead_time check (lead_time_days between 0 and 730),
    constraint ck_supplier_variant_units check (pack_units > 0 and minimum_units > 0)
);
create index ix_supplier_variant_variant on supplier_variant (organisation_id, variant_id);
create table purchase_order (
    organisation_id uuid not null,
    id uuid not null,
    number bigint not null,
    supplier_id uuid not null,
    location_id uuid not null,
    state text default 'draft' not null,
    currency char(3) not null,
    expected_on date,
    note text default '' not null,
    actor text not null,
    created_at timestamptz default now() not null,
    ordered_at timestamptz,
    closed_at timestamptz,
    constraint pk_purchase_order primary key (organisation_id, id),
    constraint fk_purchase_order_organisation_id_supplier_id
        foreign key (organisation_id, supplier_id) references supplier (organisation_id, id),
    constraint fk_purchase_order_organisation_id_location_id
        foreign key (organisation_id, location_id) references location (organisation_id, id),
    constraint ck_purchase_order_state check (state in ('draft', 'ordered', 'partly_received', 'received', 'cancelled')),
    constraint uq_purchase_order_organisation_id_number unique (organisation_id, number)
);
create index ix_purchase_order_state on purchase_order (organisation_id, state, id);
create index ix_purchase_order_supplier on purchase_order (organisation_id, supplier_id, id);
create table purchase_order_line (
    organisation_id uuid not null,
    purchase_order_id uuid not null,
    variant_id uuid not null,
    quantity bigint not null,
    received bigint default '0' not null,
    damaged bigint default '0' not null,
    outstanding bigint default '0' not null,
    cost_minor bigint,
    constraint pk_purchase_order_line primary key (organisation_id, purchase_order_id, variant_id),
    constraint fk_purchase_order_line_organisation_id_purchase_order_id
        foreign key (organisation_id, purchase_order_id) references purchase_order (organisation_id, id),
    constraint fk_purchase_order_line_organisation_id_variant_id
        foreign key (organisation_id, variant_id) references variant (organisation_id, id),
    constraint ck_purchase_order_line_quantity check (quantity > 0),
    constraint ck_purchase_order_line_received check (received >= 0 and damaged >= 0 and damaged <= received),
    constraint ck_purchase_order_line_outstanding check (outstanding >= 0 and outstanding <= quantity),
    constraint ck_purchase_order_line_cost check (cost_minor >= 0)
);
create index ix_purchase_order_line_variant on purchase_order_line (organisation_id, variant_id)
    where outstanding > 0;
create table stock_threshold (
    organisation_id uuid not null,
    scope text not null,
    scope_id uuid not null,
    low_at bigint not null,
    updated_at timestamptz default now() not null,
    constraint pk_stock_threshold primary key (organisation_id, scope, scope_id),
    constraint ck_stock_threshold_scope check (scope in ('product', 'variant')),
    constraint ck_stock_threshold_low_at check (low_at >= 0)
);
create table stock_alert (
    organisation_id uuid not null,
    id uuid not null,
    variant_id uuid not null,
    available bigint not null,
    low_at bigint not null,
    state text default 'open' not null,
    seen_by text default '' not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    closed_at timestamptz,
    constraint pk_stock_alert primary key (organisation_id, id),
    constraint fk_stock_alert_organisation_id_variant_id
        foreign key (organisation_id, variant_id) references variant (organisation_id, id),
    constraint ck_stock_alert_state check (state in ('open', 'closed'))
);
create index ix_stock_alert_queue on stock_alert (organisation_id, id) where state = 'open';
create unique index ux_stock_alert_open on stock_alert (organisation_id, variant_id) where state = 'open';
create table reorder_rule (
    organisation_id uuid not null,
    variant_id uuid not null,
    location_id uuid not null,
    reorder_point bigint not null,
    reorder_quantity bigint,
    max_level bigint,
    updated_at timestamptz default now() not null,
    constraint pk_reorder_rule primary key (organisation_id, variant_id, location_id),
    constraint fk_reorder_rule_organisation_id_variant_id
        foreign key (organisation_id, variant_id) references variant (organisation_id, id),
    constraint fk_reorder_rule_organisation_id_location_id
        foreign key (organisation_id, location_id) references location (organisation_id, id),
    constraint ck_reorder_rule_reorder_point check (reorder_point >= 0),
    constraint ck_reorder_rule_reorder_quantity check (reorder_quantity > 0),
    constraint ck_reorder_rule_max_level check (max_level > reorder_point),
    constraint ck_reorder_rule_quantity check (reorder_quantity is not null or max_level is not null)
);
create table reorder_suggestion (
    organisation_id uuid not null,
    id uuid not null,
    variant_id uuid not null,
    location_id uuid not null,
    supplier_id uuid,
    quantity bigint not null,
    position bigint not null,
    steps text[] not null,
    state text default 'open' not null,
    purchase_order_id uuid,
    actor text default '' not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    closed_at timestamptz,
    constraint pk_reorder_suggestion primary key (organisation_id, id),
    constraint fk_reorder_suggestion_organisation_id_variant_id
        foreign key (organisation_id, variant_id) references variant (organisation_id, id),
    constraint fk_reorder_suggestion_organisation_id_location_id
        foreign key (organisation_id, location_id) references location (organisation_id, id),
    constraint fk_reorder_suggestion_organisation_id_supplier_id
        foreign key (organisation_id, supplier_id) references supplier (organisation_id, id),
    constraint fk_reorder_suggestion_organisation_id_purchase_order_id
        foreign key (organisation_id, purchase_order_id) references purchase_order (organisation_id, id),
    constraint ck_reorder_suggestion_state check (state in ('open', 'drafted', 'dismissed', 'ordered', 'met')),
    constraint ck_reorder_suggestion_quantity check (quantity > 0)
);
create index ix_reorder_suggestion_order on reorder_suggestion (organisation_id, purchase_order_id)
    where state = 'drafted';
create index ix_reorder_suggestion_state on reorder_suggestion (organisation_id, state, id);
create unique index ux_reorder_suggestion_need on reorder_suggestion (organisation_id, variant_id, location_id)
    where state in ('open', 'drafted', 'dismissed');
"""

NEW = (
    "bundle_component",
    "stock_transfer",
    "stock_transfer_line",
    "stock_count",
    "stock_count_line",
    "supplier",
    "supplier_variant",
    "purchase_order",
    "purchase_order_line",
    "stock_threshold",
    "stock_alert",
    "reorder_rule",
    "reorder_suggestion",
)


def upgrade() -> None:
    for statements in (CHANGES, TABLES):
        op.execute(statements)
    for table in NEW:
        grant(table)
        force_row_security(table)
