-- Tables of the reconcilers.

create table listing_quantity (
    organisation_id uuid not null,
    listing_id uuid not null,
    connection_id uuid not null,
    variant_id uuid not null,
    -- What we want it to show, and why.
    desired bigint,
    desired_reason jsonb,
    desired_at timestamptz,
    -- What we believe it shows: the last acknowledged value less the sales there that we know of. Null: unknown.
    expected bigint,
    -- What was last acknowledged.
    published bigint,
    published_at timestamptz,
    -- What the channel last said.
    reported bigint,
    reported_at timestamptz,
    state text default 'pending' not null,
    detail text default '' not null,
    attempts smallint default '0' not null,
    next_attempt_at timestamptz,
    -- The write under way: what we believed it showed, and what it shall show.
    batch_id uuid,
    sending_from bigint,
    sending_to bigint,
    -- The last write may or may not have overwritten a sale (absolute channels): write again before anything else.
    uncertain boolean default false not null,
    -- Since when a raise waits because it could overwrite a sale that we do not know of (absolute channels).
    raise_wanted_at timestamptz,
    -- When to compare with the channel; what that said less what we expected then, and when that was.
    check_at timestamptz,
    gap bigint,
    gap_at timestamptz,
    updated_at timestamptz default now() not null,
    constraint pk_listing_quantity primary key (organisation_id, listing_id),
    constraint fk_listing_quantity_organisation_id_listing_id foreign key (organisation_id, listing_id)
        references listing (organisation_id, id) on delete cascade,
    constraint ck_listing_quantity_state check (state in ('in_step', 'pending', 'sending', 'waiting', 'differs', 'parked'))
);
create index ix_listing_quantity_check on listing_quantity (organisation_id, connection_id, check_at)
    where check_at is not null;
create index ix_listing_quantity_trouble on listing_quantity (organisation_id, connection_id)
    where state in ('differs', 'parked');
create index ix_listing_quantity_variant on listing_quantity (organisation_id, variant_id);
create index ix_listing_quantity_work on listing_quantity (organisation_id, connection_id, next_attempt_at)
    where state in ('pending', 'waiting');

create table connection_progress (
    organisation_id uuid not null,
    connection_id uuid not null,
    -- By our clock: every sale that the channel made before this time is in the hub.
    drained_at timestamptz,
    pull_wanted_at timestamptz,
    pull_started_at timestamptz,
    pulled_at timestamptz,
    listings_pulled_at timestamptz,
    drift_checked_at timestamptz,
    error text default '' not null,
    error_at timestamptz,
    constraint pk_connection_progress primary key (organisation_id, connection_id),
    constraint fk_connection_progress_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade
);

create table push_batch (
    organisation_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    idempotency_key text not null,
    changes jsonb not null,
    state text default 'sending' not null,
    handle text,
    attempts smallint default '1' not null,
    detail text default '' not null,
    next_attempt_at timestamptz,
    created_at timestamptz default now() not null,
    finished_at timestamptz,
    constraint pk_push_batch primary key (organisation_id, id),
    constraint ck_push_batch_state check (state in ('sending', 'following', 'done'))
);
create index ix_push_batch_open on push_batch (organisation_id, connection_id)
    where state != 'done';

create table sync_run (
    organisation_id uuid not null,
    id uuid not null,
    connection_id uuid,
    kind text not null,
    trigger text not null,
    state text default 'running' not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    done bigint default '0' not null,
    expected_total bigint,
    counts jsonb default '{}' not null,
    error text default '' not null,
    cancel_requested boolean default false not null,
    seen_at timestamptz,
    constraint pk_sync_run primary key (organisation_id, id),
    constraint ck_sync_run_state check (state in ('queued', 'running', 'done', 'failed', 'cancelled'))
);
create index ix_sync_run_open on sync_run (organisation_id, started_at desc)
    where state in ('queued', 'running');
create index ix_sync_run_started on sync_run (organisation_id, started_at desc);
