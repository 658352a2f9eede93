-- Tables of people and access. Those read before the organisation is known are directory tables.

create table organisation (
    id uuid not null,
    name text not null,
    currency char(3) default 'EUR' not null,
    timezone text default 'UTC' not null,
    created_at timestamptz default now() not null,
    constraint pk_organisation primary key (id)
);

create table person (
    id uuid not null,
    email text not null,
    name text not null,
    password_hash text,
    created_at timestamptz default now() not null,
    constraint pk_person primary key (id),
    constraint uq_person_email unique (email)
);

create table membership (
    organisation_id uuid not null,
    person_id uuid not null,
    role text not null,
    created_at timestamptz default now() not null,
    constraint pk_membership primary key (organisation_id, person_id),
    constraint fk_membership_organisation_id foreign key (organisation_id)
        references organisation (id),
    constraint fk_membership_person_id foreign key (person_id)
        references person (id),
    constraint ck_membership_role check (role in ('admin', 'member', 'viewer'))
);

create table browser_session (
    token_hash bytea not null,
    organisation_id uuid not null,
    person_id uuid not null,
    id uuid not null,
    -- browser: its token is in a cookie; bearer: its id is in a signed token (JWT).
    kind text default 'browser' not null,
    csrf_token text not null,
    expires_at timestamptz not null,
    created_at timestamptz default now() not null,
    constraint pk_browser_session primary key (token_hash),
    constraint uq_browser_session_id unique (id),
    constraint fk_browser_session_organisation_id foreign key (organisation_id)
        references organisation (id),
    constraint fk_browser_session_person_id foreign key (person_id)
        references person (id),
    constraint ck_browser_session_kind check (kind in ('browser', 'bearer'))
);
create index ix_browser_session_person on browser_session (organisation_id, person_id);

create table sign_in_attempt (
    -- A hash of the email, or of the email with the address it came from.
    subject bytea not null,
    window_started_at timestamptz not null,
    attempts integer not null,
    constraint pk_sign_in_attempt primary key (subject)
);

create table sign_in_link (
    token_hash bytea not null,
    organisation_id uuid not null,
    person_id uuid not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    constraint pk_sign_in_link primary key (token_hash),
    constraint fk_sign_in_link_organisation_id foreign key (organisation_id)
        references organisation (id),
    constraint fk_sign_in_link_person_id foreign key (person_id)
        references person (id)
);

create table access_key (
    prefix text not null,
    id uuid not null,
    organisation_id uuid not null,
    kind text not null,
    name text not null,
    secret_hash bytea not null,
    scopes text[] not null,
    created_by uuid,
    created_at timestamptz default now() not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    constraint pk_access_key primary key (prefix),
    constraint uq_access_key_id unique (id),
    constraint fk_access_key_organisation_id foreign key (organisation_id)
        references organisation (id),
    constraint ck_access_key_kind check (kind in ('api_key', 'agent'))
);
create index ix_access_key_organisation on access_key (organisation_id, created_at);

create table audit_log (
    organisation_id uuid not null,
    id uuid not null,
    at timestamptz not null,
    actor_kind text not null,
    actor_id text not null,
    actor_name text not null,
    action text not null,
    subject_kind text not null,
    subject_id text not null,
    before jsonb,
    after jsonb,
    constraint pk_audit_log primary key (organisation_id, id)
);
create index ix_audit_log_subject on audit_log (organisation_id, subject_kind, subject_id);

create table idempotency_key (
    organisation_id uuid not null,
    key text not null,
    actor_id text not null,
    request_hash bytea not null,
    -- Null while the work is going on outside a transaction.
    status smallint,
    body bytea,
    created_at timestamptz default now() not null,
    constraint pk_idempotency_key primary key (organisation_id, actor_id, key)
);
create index ix_idempotency_key_created on idempotency_key (organisation_id, created_at);
