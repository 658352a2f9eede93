"""Matching: what listings without a variant say, which variants they may be, what people decided, what was learned."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0013"
down_revision = "0012"

TABLES = """
create table match_listing (
    organisation_id uuid not null,
    listing_id uuid not null,
    title text not null,
    brand text not null,
    sku text not null,
    description text not null,
    barcode text not null,
    gtin text not null,
    price_minor bigint,
    currency char(3),
    version integer default '1' not null,
    due boolean default true not null,
    looked_at timestamptz,
    constraint pk_match_listing primary key (organisation_id, listing_id),
    constraint fk_match_listing_organisation_id_listing_id
        foreign key (organisation_id, listing_id) references listing (organisation_id, id) on delete cascade
);
create index ix_match_listing_due on match_listing (organisation_id, listing_id) where due;
create index ix_match_listing_gtin on match_listing (organisation_id, gtin) where gtin != '';
create table match_candidate (
    organisation_id uuid not null,
    id uuid not null,
    listing_id uuid not null,
    variant_id uuid not null,
    score_ppm integer not null,
    near_ppm integer not null,
    facts double precision[] default '{}' not null,
    reasons text[] default '{}' not null,
    state text default 'open' not null,
    decided_by text default '' not null,
    by_person boolean default false not null,
    decided_at timestamptz,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_match_candidate primary key (organisation_id, id),
    constraint fk_match_candidate_organisation_id_listing_id
        foreign key (organisation_id, listing_id) references listing (organisation_id, id) on delete cascade,
    constraint fk_match_candidate_organisation_id_variant_id
        foreign key (organisation_id, variant_id) references variant (organisation_id, id),
    constraint uq_match_candidate_organisation_id_listing_id_variant_id unique (organisation_id, listing_id, variant_id),
    constraint ck_match_candidate_state check (state in ('open', 'accepted', 'rejected'))
);
create index ix_match_candidate_queue on match_candidate (organisation_id, score_ppm, id) where state = 'open';
create index ix_match_candidate_variant on match_candidate (organisation_id, variant_id);
create index ix_match_candidate_decided on match_candidate (organisation_id, decided_at) where state != 'open';
create table match_setting (
    organisation_id uuid not null,
    by_barcode boolean default true not null,
    by_itself boolean default false not null,
    model jsonb,
    learned_from integer default '0' not null,
    sure_from_ppm integer,
    variants_seen_at timestamptz,
    updated_at timestamptz default now() not null,
    constraint pk_match_setting primary key (organisation_id)
);
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("match_listing", "match_candidate", "match_setting"):
        grant(table)
        force_row_security(table)
