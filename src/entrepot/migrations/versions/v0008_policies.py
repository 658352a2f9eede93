"""Policies of categories and by the clock; limits of products, SKUs and locations as data."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0008"
down_revision = "0007"

CHANGES = """
alter table location add column buffer bigint default '0' not null;
alter table location add constraint ck_location_buffer check (buffer >= 0);
alter table allocation_policy add column clock_at timestamptz;
alter table allocation_policy drop constraint ck_allocation_policy_scope;
alter table allocation_policy add constraint ck_allocation_policy_scope check (scope in ('shop', 'category', 'product'));
alter table allocation_policy add constraint ck_allocation_policy_scope_id check ((scope = 'shop') = (scope_id is null));
alter table sales_rate add column squares double precision default '0' not null;
update sales_rate set squares = units;
create index ix_allocation_policy_clock on allocation_policy (organisation_id) where clock_at is not null;
"""
LIMITS = """
create table allocation_limit (
    organisation_id uuid not null,
    id uuid not null,
    scope text not null,
    scope_id uuid not null,
    connection_id uuid,
    buffer bigint,
    cap bigint,
    least bigint,
    updated_at timestamptz default now() not null,
    constraint pk_allocation_limit primary key (organisation_id, id),
    constraint fk_allocation_limit_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade,
    constraint ck_allocation_limit_scope check (scope in ('product', 'variant')),
    constraint ck_allocation_limit_units check (buffer >= 0 and cap >= 0 and least >= 0),
    constraint ck_allocation_limit_something check (coalesce(buffer, cap, least) is not null),
    constraint uq_allocation_limit_place
        unique nulls not distinct (organisation_id, scope, scope_id, connection_id)
)
"""


def upgrade() -> None:
    """Make the table and columns."""
    op.execute(CHANGES)
    op.execute(LIMITS)
    grant("allocation_limit")
    force_row_security("allocation_limit")
