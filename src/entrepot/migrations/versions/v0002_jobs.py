"""Background jobs as people see them, and their larger input; pgqueuer's own tables came with the first schema."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0002"
down_revision = "0001"

JOB = """
create table job (
    organisation_id uuid not null,
    id uuid not null,
    kind text not null,
    title text not null,
    actor text not null,
    payload jsonb not null,
    state text default 'queued' not null,
    queue_id bigint not null,
    turn uuid,
    attempts integer default 0 not null,
    done bigint default 0 not null,
    total bigint,
    words text default '' not null,
    checkpoint jsonb,
    result jsonb,
    error text default '' not null,
    cancel_requested boolean default false not null,
    created_at timestamptz default now() not null,
    started_at timestamptz,
    finished_at timestamptz,
    constraint pk_job primary key (organisation_id, id),
    constraint ck_job_state check (state in ('queued', 'running', 'done', 'held', 'cancelled', 'dismissed')),
    constraint ck_job_turn check ((state = 'running') = (turn is not null))
)
"""
UNFINISHED = """
create index ix_job_unfinished on job (organisation_id, state) where state in ('queued', 'running', 'held')
"""
JOB_INPUT = """
create table job_input (
    organisation_id uuid not null,
    job_id uuid not null,
    text text not null,
    constraint pk_job_input primary key (organisation_id, job_id),
    constraint fk_job_input_organisation_id_job_id foreign key (organisation_id, job_id)
        references job (organisation_id, id) on delete cascade
)
"""


def upgrade() -> None:
    for statement in (JOB, UNFINISHED, JOB_INPUT):
        op.execute(statement)
    for table in ("job", "job_input"):
        grant(table)
        force_row_security(table)
