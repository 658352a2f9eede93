-- Tables of allocation.

create table allocation_policy (
    organisation_id uuid not null,
    id uuid not null,
    scope text not null,
    scope_id uuid,
    strategy text not null,
    parameters jsonb default '{}' not null,
    updated_at timestamptz default now() not null,
    constraint pk_allocation_policy primary key (organisation_id, id),
    constraint uq_allocation_policy_organisation_id_scope_scope_id unique nulls not distinct (organisation_id, scope, scope_id),
    constraint ck_allocation_policy_scope check (scope in ('shop', 'product'))
);
