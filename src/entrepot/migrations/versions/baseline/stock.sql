-- Tables of stock. Only this room writes them.

create table location (
    organisation_id uuid not null,
    id uuid not null,
    name text not null,
    kind text default 'warehouse' not null,
    priority integer default '100' not null,
    created_at timestamptz default now() not null,
    constraint pk_location primary key (organisation_id, id),
    constraint uq_location_organisation_id_name unique (organisation_id, name),
    constraint ck_location_kind check (kind in ('warehouse', 'store', 'supplier', 'dropship'))
);

create table stock_level (
    organisation_id uuid not null,
    variant_id uuid not null,
    location_id uuid not null,
    on_hand bigint default '0' not null,
    reserved bigint default '0' not null,
    held bigint default '0' not null,
    unavailable bigint default '0' not null,
    incoming bigint default '0' not null,
    safety_stock bigint default '0' not null,
    updated_at timestamptz default now() not null,
    constraint pk_stock_level primary key (organisation_id, variant_id, location_id),
    constraint fk_stock_level_organisation_id_location_id foreign key (organisation_id, location_id)
        references location (organisation_id, id),
    constraint fk_stock_level_organisation_id_variant_id foreign key (organisation_id, variant_id)
        references variant (organisation_id, id),
    constraint ck_stock_level_held check (held >= 0),
    constraint ck_stock_level_incoming check (incoming >= 0),
    constraint ck_stock_level_on_hand check (on_hand >= 0),
    constraint ck_stock_level_reserved check (reserved >= 0),
    constraint ck_stock_level_unavailable check (unavailable >= 0)
);

create table stock_movement (
    organisation_id uuid not null,
    id uuid not null,
    variant_id uuid not null,
    location_id uuid not null,
    kind text not null,
    on_hand_delta bigint default '0' not null,
    reserved_delta bigint default '0' not null,
    held_delta bigint default '0' not null,
    unavailable_delta bigint default '0' not null,
    incoming_delta bigint default '0' not null,
    on_hand_after bigint not null,
    reserved_after bigint not null,
    reference_kind text default '' not null,
    reference_id uuid,
    reason text default '' not null,
    actor text not null,
    at timestamptz not null,
    constraint pk_stock_movement primary key (organisation_id, id)
);
create index ix_stock_movement_level on stock_movement (organisation_id, variant_id, location_id, id);

create table reservation (
    organisation_id uuid not null,
    id uuid not null,
    line smallint not null,
    kind text not null,
    variant_id uuid not null,
    location_id uuid not null,
    quantity bigint not null,
    state text default 'active' not null,
    reference_id uuid,
    expires_at timestamptz,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_reservation primary key (organisation_id, id, line),
    constraint ck_reservation_kind check (kind in ('order', 'hold')),
    constraint ck_reservation_quantity check (quantity > 0),
    constraint ck_reservation_state check (state in ('active', 'released', 'expired', 'shipped'))
);
create index ix_reservation_expiry on reservation (organisation_id, expires_at)
    where state = 'active' and expires_at is not null;
create index ix_reservation_level on reservation (organisation_id, variant_id, location_id)
    where state = 'active';
create index ix_reservation_reference on reservation (organisation_id, reference_id)
    where state = 'active' and reference_id is not null;

create table shortage (
    organisation_id uuid not null,
    id uuid not null,
    variant_id uuid not null,
    quantity bigint not null,
    reference_id uuid,
    reason text not null,
    state text default 'open' not null,
    created_at timestamptz default now() not null,
    closed_at timestamptz,
    constraint pk_shortage primary key (organisation_id, id),
    constraint ck_shortage_quantity check (quantity > 0),
    constraint ck_shortage_state check (state in ('open', 'closed'))
);
create index ix_shortage_open on shortage (organisation_id, variant_id)
    where state = 'open';
create index ix_shortage_reference on shortage (organisation_id, reference_id)
    where state = 'open';
