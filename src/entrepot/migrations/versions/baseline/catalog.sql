-- Tables of products, variants and listings.

create table product (
    organisation_id uuid not null,
    id uuid not null,
    handle text not null,
    title text not null,
    description text default '' not null,
    vendor text default '' not null,
    product_type text default '' not null,
    tags text[] default '{}' not null,
    option_names text[] default '{}' not null,
    image_url text default '' not null,
    status text default 'active' not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_product primary key (organisation_id, id),
    constraint uq_product_organisation_id_handle unique (organisation_id, handle),
    constraint ck_product_status check (status in ('draft', 'active', 'archived'))
);
create index ix_product_title on product (organisation_id, title, id);

create table variant (
    organisation_id uuid not null,
    id uuid not null,
    product_id uuid not null,
    sku text not null,
    barcode text default '' not null,
    title text default '' not null,
    option_values text[] default '{}' not null,
    price_minor bigint not null,
    compare_at_minor bigint,
    cost_minor bigint,
    currency char(3) not null,
    weight_g integer,
    position integer default '1' not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_variant primary key (organisation_id, id),
    constraint uq_variant_organisation_id_sku unique (organisation_id, sku),
    constraint fk_variant_organisation_id_product_id foreign key (organisation_id, product_id)
        references product (organisation_id, id),
    constraint ck_variant_price check (price_minor >= 0)
);
create index ix_variant_barcode on variant (organisation_id, barcode)
    where barcode != '';
create index ix_variant_product on variant (organisation_id, product_id);

create table listing (
    organisation_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    variant_id uuid,
    external_id text not null,
    keys jsonb default '{}' not null,
    sku text,
    title text default '' not null,
    price_minor bigint,
    currency char(3),
    active boolean default true not null,
    seen_at timestamptz not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_listing primary key (organisation_id, id),
    constraint uq_listing_organisation_id_connection_id_external_id unique (organisation_id, connection_id, external_id),
    constraint fk_listing_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade,
    constraint fk_listing_organisation_id_variant_id foreign key (organisation_id, variant_id)
        references variant (organisation_id, id)
);
create index ix_listing_keys on listing using gin (keys jsonb_path_ops);
create index ix_listing_sku on listing (organisation_id, connection_id, sku);
create index ix_listing_variant on listing (organisation_id, variant_id);
