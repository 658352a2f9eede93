-- Tables of connections and what comes in and out through them.

create table connection (
    organisation_id uuid not null,
    id uuid not null,
    channel text not null,
    name text not null,
    environment text not null,
    settings jsonb default '{}' not null,
    state text default 'active' not null,
    state_reason text default '' not null,
    priority integer default '50' not null,
    buffer integer default '0' not null,
    share numeric(5, 4),
    fulfilment_only boolean default false not null,
    sync_interval_s integer default '300' not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_connection primary key (organisation_id, id),
    constraint uq_connection_organisation_id_name unique (organisation_id, name),
    constraint ck_connection_state check (state in ('active', 'paused', 'needs_attention', 'disconnected'))
);

create table connection_route (
    connection_id uuid not null,
    organisation_id uuid not null,
    channel text not null,
    account_key text default '' not null,
    constraint pk_connection_route primary key (connection_id)
);
create index ix_connection_route_channel on connection_route (channel, account_key);

create table credential (
    organisation_id uuid not null,
    connection_id uuid not null,
    key_id text not null,
    sealed bytea not null,
    token_expires_at timestamptz,
    token_fetched_at timestamptz,
    refresh_lease_by uuid,
    refresh_lease_until timestamptz,
    updated_at timestamptz default now() not null,
    constraint pk_credential primary key (organisation_id, connection_id),
    constraint fk_credential_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade
);

create table rate_bucket (
    organisation_id uuid not null,
    connection_id uuid not null,
    name text not null,
    capacity double precision not null,
    refill_per_s double precision not null,
    available double precision not null,
    at timestamptz not null,
    blocked_until timestamptz,
    constraint pk_rate_bucket primary key (organisation_id, connection_id, name),
    constraint fk_rate_bucket_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade
);

create table pull_cursor (
    organisation_id uuid not null,
    connection_id uuid not null,
    kind text not null,
    value text,
    complete_until timestamptz,
    pulled_at timestamptz,
    updated_at timestamptz default now() not null,
    constraint pk_pull_cursor primary key (organisation_id, connection_id, kind),
    constraint fk_pull_cursor_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade
);

create table webhook_inbox (
    organisation_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    event_id text not null,
    topic text not null,
    headers jsonb not null,
    body bytea not null,
    received_at timestamptz not null,
    processed_at timestamptz,
    next_attempt_at timestamptz not null,
    attempts smallint default '0' not null,
    state text default 'pending' not null,
    detail text default '' not null,
    constraint pk_webhook_inbox primary key (organisation_id, id),
    constraint uq_webhook_inbox_organisation_id_connection_id_event_id unique (organisation_id, connection_id, event_id),
    constraint fk_webhook_inbox_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade,
    constraint ck_webhook_inbox_state check (state in ('pending', 'done', 'parked'))
);
create index ix_webhook_inbox_parked on webhook_inbox (organisation_id, connection_id, id)
    where state = 'parked';
create index ix_webhook_inbox_pending on webhook_inbox (organisation_id, connection_id, id)
    where state = 'pending';

create table connection_health (
    organisation_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    at timestamptz not null,
    status text not null,
    reason text not null,
    latency_ms integer,
    error_rate numeric(5, 4),
    sync_age_s integer,
    token_expires_at timestamptz,
    constraint pk_connection_health primary key (organisation_id, id),
    constraint fk_connection_health_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade,
    constraint ck_connection_health_status check (status in ('healthy', 'degraded', 'down'))
);
create index ix_connection_health_latest on connection_health (organisation_id, connection_id, at desc);
