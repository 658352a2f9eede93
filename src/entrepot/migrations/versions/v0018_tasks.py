"""Tasks: the tasks with history, words and runs of their actions; approval policies; teams, routing rules, templates."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0018"
down_revision = "0017"

TABLES = """
create table team (
    organisation_id uuid not null,
    id uuid not null,
    name text not null,
    created_at timestamptz default now() not null,
    constraint pk_team primary key (organisation_id, id),
    constraint uq_team_organisation_id_name unique (organisation_id, name)
);
create table team_member (
    organisation_id uuid not null,
    team_id uuid not null,
    person_id uuid not null,
    constraint pk_team_member primary key (organisation_id, team_id, person_id),
    constraint fk_team_member_organisation_id_team_id
        foreign key(organisation_id, team_id) references team (organisation_id, id) on delete cascade
);
create table task (
    organisation_id uuid not null,
    id uuid not null,
    marketplace text not null,
    title text not null,
    description text default '' not null,
    category text not null,
    priority smallint not null,
    state text not null,
    estimated_hours numeric(8, 2) not null,
    actual_hours numeric(8, 2),
    tags text[] default '{}' not null,
    metadata jsonb default '{}' not null,
    created_by text not null,
    created_by_name text not null,
    created_as text default '' not null,
    agent text,
    created_at timestamptz default now() not null,
    submitted_at timestamptz,
    approved_at timestamptz,
    approved_by text,
    approved_by_name text,
    rejected_at timestamptz,
    reason text default '' not null,
    started_at timestamptz,
    completed_at timestamptz,
    assigned_to uuid,
    assigned_as text,
    assigned_name text,
    team_id uuid,
    notes text default '' not null,
    due_at timestamptz,
    why text default '' not null,
    expected text default '' not null,
    action text,
    action_version smallint,
    action_input jsonb,
    look jsonb,
    fingerprint text,
    looked_at timestamptz,
    stale text default '' not null,
    measure jsonb,
    policy_id uuid,
    policy_day text,
    policy_words jsonb default '[]' not null,
    round integer default '1' not null,
    outcome jsonb,
    undone_at timestamptz,
    undone_by text,
    template_id uuid,
    version integer default '1' not null,
    updated_at timestamptz default now() not null,
    constraint pk_task primary key (organisation_id, id),
    constraint ck_task_state
        check (state in ('pending', 'awaiting_approval', 'approved', 'in_progress', 'completed', 'rejected')),
    constraint ck_task_category check (category in ('optimization', 'best-practice', 'scaling', 'analysis')),
    constraint ck_task_priority check (priority between 1 and 3),
    constraint ck_task_estimated_hours check (estimated_hours > 0),
    constraint ck_task_actual_hours check (actual_hours > 0),
    constraint ck_task_action check ((action is null) = (action_input is null))
);
create index ix_task_action on task (organisation_id, action, id) where action is not null;
create index ix_task_assigned on task (organisation_id, assigned_to, id) where assigned_to is not null;
create index ix_task_due on task (organisation_id, due_at) where due_at is not null;
create index ix_task_marketplace on task (organisation_id, marketplace, id);
create index ix_task_state on task (organisation_id, state, priority, id);
create table task_event (
    organisation_id uuid not null,
    id uuid not null,
    task_id uuid not null,
    at timestamptz not null,
    move text not null,
    from_state text,
    to_state text,
    actor text not null,
    actor_name text not null,
    words text default '' not null,
    changes jsonb default '{}' not null,
    constraint pk_task_event primary key (organisation_id, id),
    constraint fk_task_event_organisation_id_task_id foreign key(organisation_id, task_id) references task (organisation_id, id)
);
create index ix_task_event_task on task_event (organisation_id, task_id, id);
create table task_word (
    organisation_id uuid not null,
    word text collate "C" not null,
    task_id uuid not null,
    constraint pk_task_word primary key (organisation_id, word, task_id),
    constraint fk_task_word_organisation_id_task_id foreign key(organisation_id, task_id) references task (organisation_id, id)
);
create index ix_task_word_task on task_word (organisation_id, task_id);
create table task_approval (
    organisation_id uuid not null,
    task_id uuid not null,
    round integer not null,
    person_id uuid not null,
    person_name text not null,
    at timestamptz not null,
    constraint pk_task_approval primary key (organisation_id, task_id, round, person_id),
    constraint fk_task_approval_organisation_id_task_id
        foreign key(organisation_id, task_id) references task (organisation_id, id)
);
create table task_run (
    organisation_id uuid not null,
    id uuid not null,
    task_id uuid not null,
    kind text not null,
    round integer not null,
    receipt jsonb not null,
    state text default 'done' not null,
    words text default '' not null,
    checks integer default '0' not null,
    done_at timestamptz not null,
    checked_at timestamptz,
    constraint pk_task_run primary key (organisation_id, id),
    constraint fk_task_run_organisation_id_task_id foreign key(organisation_id, task_id) references task (organisation_id, id),
    constraint uq_task_run_organisation_id_task_id_kind_round unique (organisation_id, task_id, kind, round),
    constraint ck_task_run_kind check (kind in ('do', 'undo')),
    constraint ck_task_run_state check (state in ('done', 'verified', 'failed', 'unconfirmed'))
);
create table approval_policy (
    organisation_id uuid not null,
    id uuid not null,
    name text not null,
    position integer not null,
    enabled boolean default false not null,
    decision text not null,
    agent text,
    action text,
    channel text,
    currency char(3) not null,
    money_most_minor bigint,
    percent_most numeric,
    units_most bigint,
    day_tasks_most integer,
    day_money_most_minor bigint,
    set_by text not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_approval_policy primary key (organisation_id, id),
    constraint ck_approval_policy_decision check (decision in ('run', 'ask', 'two')),
    constraint ck_approval_policy_limits
        check (money_most_minor >= 0 and percent_most >= 0 and units_most >= 0
            and day_tasks_most >= 0 and day_money_most_minor >= 0)
);
create table policy_spending (
    organisation_id uuid not null,
    policy_id uuid not null,
    day text not null,
    tasks integer default '0' not null,
    money_minor bigint default '0' not null,
    constraint pk_policy_spending primary key (organisation_id, policy_id, day),
    constraint fk_policy_spending_organisation_id_policy_id
        foreign key(organisation_id, policy_id) references approval_policy (organisation_id, id) on delete cascade
);
create table agent_switch (
    organisation_id uuid not null,
    name text not null,
    stopped boolean not null,
    set_by text not null,
    set_at timestamptz not null,
    constraint pk_agent_switch primary key (organisation_id, name)
);
create table task_route (
    organisation_id uuid not null,
    id uuid not null,
    position integer not null,
    marketplace text,
    category text,
    priority smallint,
    tag text,
    team_id uuid,
    person_id uuid,
    created_at timestamptz default now() not null,
    constraint pk_task_route primary key (organisation_id, id),
    constraint fk_task_route_organisation_id_team_id
        foreign key(organisation_id, team_id) references team (organisation_id, id) on delete cascade,
    constraint ck_task_route_whom check ((team_id is null) <> (person_id is null)),
    constraint ck_task_route_priority check (priority between 1 and 3)
);
create table task_template (
    organisation_id uuid not null,
    id uuid not null,
    name text not null,
    proposal jsonb not null,
    rhythm text not null,
    day smallint default '1' not null,
    hour smallint default '8' not null,
    due_days smallint,
    active boolean default true not null,
    next_at timestamptz not null,
    last_at timestamptz,
    set_by text not null,
    created_at timestamptz default now() not null,
    constraint pk_task_template primary key (organisation_id, id),
    constraint ck_task_template_rhythm check (rhythm in ('daily', 'weekly', 'monthly')),
    constraint ck_task_template_when check (day between 1 and 28 and hour between 0 and 23)
);
create index ix_task_template_next on task_template (organisation_id, next_at) where active;
"""
APPEND_ONLY = ("task_event",)
NAMES = (
    "team", "team_member", "task", "task_event", "task_word", "task_approval", "task_run", "approval_policy",
    "policy_spending", "agent_switch", "task_route", "task_template",
)  # fmt: skip

# Agents propose: tokens made before there were tasks may too, and whoever may read may read tasks.
SCOPES = """
update access_key set scopes = scopes || array['tasks:read', 'tasks:propose']
where kind = 'agent' and not scopes @> array['tasks:propose'];
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in NAMES:
        grant(table, append_only=table in APPEND_ONLY)
        force_row_security(table)
    op.execute(SCOPES)
