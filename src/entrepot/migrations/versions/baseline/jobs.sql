-- Tables of background work. The outbox is read before the organisation is known, so it has no row security.

create table outbox (
    id bigint generated always as identity not null,
    organisation_id uuid not null,
    topic text not null,
    payload jsonb not null,
    created_at timestamptz default now() not null,
    constraint pk_outbox primary key (id)
);
create index ix_outbox_organisation on outbox (organisation_id, id);

create table worker (
    id uuid not null,
    host text not null,
    pid integer not null,
    started_at timestamptz not null,
    seen_at timestamptz not null,
    constraint pk_worker primary key (id)
);
