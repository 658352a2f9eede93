-- Tables of orders.

create table sales_order (
    organisation_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    external_id text not null,
    number text not null,
    version bigint not null,
    status text not null,
    channel_status text default '' not null,
    currency char(3) not null,
    total_minor bigint not null,
    tax_minor bigint default '0' not null,
    shipping_minor bigint default '0' not null,
    discount_minor bigint default '0' not null,
    buyer_name text default '' not null,
    buyer_email text default '' not null,
    ship_to jsonb,
    fulfilled_by_channel boolean default false not null,
    source_id text default '' not null,
    has_exception boolean default false not null,
    has_shortage boolean default false not null,
    placed_at timestamptz not null,
    channel_updated_at timestamptz not null,
    received_at timestamptz not null,
    updated_at timestamptz default now() not null,
    constraint pk_sales_order primary key (organisation_id, id),
    constraint uq_sales_order_organisation_id_connection_id_external_id unique (organisation_id, connection_id, external_id),
    constraint fk_sales_order_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id),
    constraint ck_sales_order_status check (status in ('pending', 'open', 'partly_shipped', 'shipped', 'cancelled'))
);
create index ix_sales_order_connection on sales_order (organisation_id, connection_id, placed_at desc, id desc);
create index ix_sales_order_email on sales_order (organisation_id, buyer_email)
    where buyer_email != '';
create index ix_sales_order_number on sales_order (organisation_id, number text_pattern_ops);
create index ix_sales_order_placed on sales_order (organisation_id, placed_at desc, id desc);
create index ix_sales_order_status on sales_order (organisation_id, status, placed_at desc, id desc);
create index ix_sales_order_trouble on sales_order (organisation_id, placed_at desc, id desc)
    where has_exception or has_shortage;

create table order_line (
    organisation_id uuid not null,
    id uuid not null,
    order_id uuid not null,
    external_id text not null,
    position smallint not null,
    sku text,
    external_variant_id text,
    variant_id uuid,
    title text not null,
    quantity bigint not null,
    cancelled bigint default '0' not null,
    shipped bigint default '0' not null,
    reserved bigint default '0' not null,
    shortage bigint default '0' not null,
    unit_price_minor bigint not null,
    exception text,
    constraint pk_order_line primary key (organisation_id, id),
    constraint uq_order_line_organisation_id_order_id_external_id unique (organisation_id, order_id, external_id),
    constraint fk_order_line_organisation_id_order_id foreign key (organisation_id, order_id)
        references sales_order (organisation_id, id)
);
create index ix_order_line_exception on order_line (organisation_id, sku)
    where exception is not null;
create index ix_order_line_variant on order_line (organisation_id, variant_id);

create table order_event (
    organisation_id uuid not null,
    id uuid not null,
    order_id uuid not null,
    at timestamptz not null,
    kind text not null,
    summary text not null,
    detail jsonb default '{}' not null,
    constraint pk_order_event primary key (organisation_id, id)
);
create index ix_order_event_order on order_event (organisation_id, order_id, id);

create table shipment (
    organisation_id uuid not null,
    id uuid not null,
    order_id uuid not null,
    carrier text not null,
    tracking_number text not null,
    tracking_url text default '' not null,
    lines jsonb not null,
    shipped_at timestamptz not null,
    push_state text default 'pending' not null,
    push_detail text default '' not null,
    attempts smallint default '0' not null,
    next_attempt_at timestamptz,
    external_id text,
    constraint pk_shipment primary key (organisation_id, id),
    constraint fk_shipment_organisation_id_order_id foreign key (organisation_id, order_id)
        references sales_order (organisation_id, id),
    constraint ck_shipment_push_state check (push_state in ('pending', 'done', 'parked'))
);
create index ix_shipment_order on shipment (organisation_id, order_id);
create index ix_shipment_parked on shipment (organisation_id, id)
    where push_state = 'parked';
create index ix_shipment_pending on shipment (organisation_id, id)
    where push_state = 'pending';
