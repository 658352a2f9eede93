"""Fields of listings merged with their channels: what is known of each, overrides, conflicts, policies, writes."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0012"
down_revision = "0011"

TABLES = {
    "listing_reading": """
create table listing_reading (
    organisation_id uuid not null,
    listing_id uuid not null,
    connection_id uuid not null,
    product_external_id text not null,
    product_version text default '' not null,
    leads boolean default true not null,
    changed_at timestamptz,
    read_at timestamptz not null,
    rest jsonb default '{}' not null,
    merge_wanted_at timestamptz,
    read_wanted_at timestamptz,
    constraint pk_listing_reading primary key (organisation_id, listing_id),
    constraint fk_listing_reading_organisation_id_listing_id foreign key (organisation_id, listing_id)
        references listing (organisation_id, id) on delete cascade
);
create index ix_listing_reading_merge on listing_reading (organisation_id, connection_id, merge_wanted_at)
        where merge_wanted_at is not null;
create index ix_listing_reading_product on listing_reading (organisation_id, connection_id, product_external_id);
create index ix_listing_reading_read on listing_reading (organisation_id, connection_id, read_wanted_at)
        where read_wanted_at is not null
""",
    "listing_field": """
create table listing_field (
    organisation_id uuid not null,
    listing_id uuid not null,
    field text not null,
    connection_id uuid not null,
    base jsonb,
    shown jsonb,
    ours jsonb,
    ours_at timestamptz,
    theirs jsonb,
    theirs_at timestamptz,
    read_at timestamptz,
    sent jsonb,
    sent_at timestamptz,
    before jsonb,
    pushed_at timestamptz,
    approved jsonb,
    state text default 'unknown' not null,
    detail text default '' not null,
    attempts smallint default '0' not null,
    next_attempt_at timestamptz,
    version bigint default '1' not null,
    updated_at timestamptz default now() not null,
    constraint pk_listing_field primary key (organisation_id, listing_id, field),
    constraint fk_listing_field_organisation_id_listing_id foreign key (organisation_id, listing_id)
        references listing (organisation_id, id) on delete cascade,
    constraint ck_listing_field_state
        check (state in ('unknown', 'ignored', 'agreed', 'out', 'sending', 'conflict', 'decided', 'parked'))
);
create index ix_listing_field_out on listing_field (organisation_id, connection_id, next_attempt_at)
        where state = 'out';
create index ix_listing_field_state on listing_field (organisation_id, connection_id, state)
        where state in ('sending', 'conflict', 'parked')
""",
    "listing_override": """
create table listing_override (
    organisation_id uuid not null,
    listing_id uuid not null,
    field text not null,
    value jsonb not null,
    set_by text not null,
    set_at timestamptz not null,
    constraint pk_listing_override primary key (organisation_id, listing_id, field),
    constraint fk_listing_override_organisation_id_listing_id foreign key (organisation_id, listing_id)
        references listing (organisation_id, id) on delete cascade
)
""",
    "value_origin": """
create table value_origin (
    organisation_id uuid not null,
    subject_id uuid not null,
    field text not null,
    value jsonb not null,
    connection_id uuid,
    source text not null,
    changed_by text not null,
    changed_at timestamptz not null,
    constraint pk_value_origin primary key (organisation_id, subject_id, field)
)
""",
    "conflict": """
create table conflict (
    organisation_id uuid not null,
    id uuid not null,
    kind text not null,
    state text default 'open' not null,
    subject_id uuid not null,
    field text not null,
    connection_id uuid,
    variant_id uuid,
    why text not null,
    base jsonb,
    ours jsonb,
    theirs jsonb,
    ours_by text default '' not null,
    ours_at timestamptz,
    theirs_at timestamptz,
    sources jsonb default '{}' not null,
    suggestion jsonb,
    risk smallint default '0' not null,
    history jsonb default '[]' not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    resolved_at timestamptz,
    resolved_by text default '' not null,
    resolution jsonb,
    undo jsonb,
    constraint pk_conflict primary key (organisation_id, id),
    constraint ck_conflict_state check (state in ('open', 'resolved', 'gone')),
    constraint ck_conflict_kind check (kind in ('stock', 'price', 'content', 'oversell', 'duplicate_sale'))
);
create index ix_conflict_past on conflict (organisation_id, connection_id, field, resolved_at desc)
        where state = 'resolved';
create index ix_conflict_queue on conflict (organisation_id, risk desc, id desc) where state = 'open';
create index ix_conflict_variant on conflict (organisation_id, variant_id);
create unique index uq_conflict_open on conflict (organisation_id, subject_id, field) where state = 'open'
""",
    "resolution_policy": """
create table resolution_policy (
    organisation_id uuid not null,
    id uuid not null,
    connection_id uuid,
    field text default '' not null,
    flow text default 'both' not null,
    policy text default 'manual' not null,
    swing_percent numeric,
    set_by text not null,
    set_at timestamptz not null,
    constraint pk_resolution_policy primary key (organisation_id, id),
    constraint fk_resolution_policy_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade,
    constraint ck_resolution_policy_flow check (flow in ('both', 'theirs', 'ours', 'none')),
    constraint ck_resolution_policy_policy
        check (policy in ('manual', 'last_write', 'source_priority', 'lowest', 'mean', 'median', 'weighted')),
    constraint ck_resolution_policy_swing_percent check (swing_percent > 0),
    constraint uq_resolution_policy_organisation_id_connection_id_field unique nulls not distinct
        (organisation_id, connection_id, field)
)
""",
    "field_batch": """
create table field_batch (
    organisation_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    what text not null,
    idempotency_key text not null,
    items jsonb not null,
    state text default 'sending' not null,
    handle text,
    attempts smallint default '1' not null,
    detail text default '' not null,
    next_attempt_at timestamptz,
    created_at timestamptz default now() not null,
    finished_at timestamptz,
    constraint pk_field_batch primary key (organisation_id, id),
    constraint ck_field_batch_what check (what in ('prices', 'listings')),
    constraint ck_field_batch_state check (state in ('sending', 'following', 'done'))
);
create index ix_field_batch_open on field_batch (organisation_id, connection_id) where state != 'done'
""",
}
COLUMN = "alter table connection_progress add column listings_wanted_at timestamptz"


def upgrade() -> None:
    """Make the tables and the column."""
    for name, sql in TABLES.items():
        for statement in sql.split(";"):
            op.execute(statement)
        force_row_security(name)
        grant(name)
    op.execute(COLUMN)
