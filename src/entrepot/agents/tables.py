"""Tables of tasks: the tasks, their history with comments, words to find them by, runs of their actions, policies."""

import sqlalchemy as sa

from entrepot.database.schema import (
    JSONB,
    TEXT_ARRAY,
    UUID,
    created_at,
    reference,
    tenant_table,
    timestamp,
    updated_at,
)

STATES = "'pending', 'awaiting_approval', 'approved', 'in_progress', 'completed', 'rejected'"
HOURS = sa.Numeric(8, 2)

task = tenant_table(
    "task",
    sa.Column("marketplace", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    sa.Column("category", sa.Text, nullable=False),
    # 1 high, 2 medium, 3 low.
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("estimated_hours", HOURS, nullable=False),
    sa.Column("actual_hours", HOURS),
    sa.Column("tags", TEXT_ARRAY, nullable=False, server_default="{}"),
    sa.Column("metadata", JSONB, nullable=False, server_default="{}"),
    # kind:id of who proposed it, their name, and the name that they gave themselves.
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_by_name", sa.Text, nullable=False),
    sa.Column("created_as", sa.Text, nullable=False, server_default=""),
    # The agent's name; null: a person or the hub proposed it.
    sa.Column("agent", sa.Text),
    created_at(),
    timestamp("submitted_at"),
    timestamp("approved_at"),
    sa.Column("approved_by", sa.Text),
    sa.Column("approved_by_name", sa.Text),
    timestamp("rejected_at"),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    timestamp("started_at"),
    timestamp("completed_at"),
    # The person, and as the client named them.
    sa.Column("assigned_to", UUID),
    sa.Column("assigned_as", sa.Text),
    sa.Column("assigned_name", sa.Text),
    sa.Column("team_id", UUID),
    sa.Column("notes", sa.Text, nullable=False, server_default=""),
    timestamp("due_at"),
    sa.Column("why", sa.Text, nullable=False, server_default=""),
    sa.Column("expected", sa.Text, nullable=False, server_default=""),
    # What the hub does itself once it is approved.
    sa.Column("action", sa.Text),
    sa.Column("action_version", sa.SmallInteger),
    sa.Column("action_input", JSONB),
    # What the dry run showed that people decide on, a fingerprint of what it rests on, and when that was.
    sa.Column("look", JSONB),
    sa.Column("fingerprint", sa.Text),
    timestamp("looked_at"),
    # Why it came back for review; empty: it did not.
    sa.Column("stale", sa.Text, nullable=False, server_default=""),
    # {"money_minor", "currency", "percent", "units", "channels"}: what policies limit.
    sa.Column("measure", JSONB),
    # Under which policy it was approved by itself, of which day's budget; what each policy said.
    sa.Column("policy_id", UUID),
    sa.Column("policy_day", sa.Text),
    sa.Column("policy_words", JSONB, nullable=False, server_default="[]"),
    # Goes up whenever it comes back for review: what was approved before is not carried out any more.
    sa.Column("round", sa.Integer, nullable=False, server_default="1"),
    sa.Column("outcome", JSONB),
    timestamp("undone_at"),
    sa.Column("undone_by", sa.Text),
    sa.Column("template_id", UUID),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    updated_at(),
    sa.CheckConstraint(f"state in ({STATES})", name="state"),
    sa.CheckConstraint("category in ('optimization', 'best-practice', 'scaling', 'analysis')", name="category"),
    sa.CheckConstraint("priority between 1 and 3", name="priority"),
    sa.CheckConstraint("estimated_hours > 0", name="estimated_hours"),
    sa.CheckConstraint("actual_hours > 0", name="actual_hours"),
    sa.CheckConstraint("(action is null) = (action_input is null)", name="action"),
)
sa.Index("ix_task_state", task.c.organisation_id, task.c.state, task.c.priority, task.c.id)
sa.Index("ix_task_marketplace", task.c.organisation_id, task.c.marketplace, task.c.id)
sa.Index(
    "ix_task_assigned", task.c.organisation_id, task.c.assigned_to, task.c.id,
    postgresql_where=task.c.assigned_to.is_not(None),
)  # fmt: skip
sa.Index(
    "ix_task_action", task.c.organisation_id, task.c.action, task.c.id, postgresql_where=task.c.action.is_not(None)
)
sa.Index("ix_task_due", task.c.organisation_id, task.c.due_at, postgresql_where=task.c.due_at.is_not(None))
task_event = tenant_table(
    "task_event",
    sa.Column("task_id", UUID, nullable=False),
    timestamp("at", nullable=False),
    # A move of the lifecycle, or create, comment, verify.
    sa.Column("move", sa.Text, nullable=False),
    sa.Column("from_state", sa.Text),
    sa.Column("to_state", sa.Text),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("actor_name", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False, server_default=""),
    sa.Column("changes", JSONB, nullable=False, server_default="{}"),
    reference("task", "task_id"),
    append_only=True,
)
sa.Index("ix_task_event_task", task_event.c.organisation_id, task_event.c.task_id, task_event.c.id)
task_word = tenant_table(
    "task_word",
    # Compared by its bytes, so that the start of a word is a range (decision 0023).
    sa.Column("word", sa.Text(collation="C"), nullable=False),
    sa.Column("task_id", UUID, nullable=False),
    reference("task", "task_id"),
    key=("word", "task_id"),
)
sa.Index("ix_task_word_task", task_word.c.organisation_id, task_word.c.task_id)
task_approval = tenant_table(
    "task_approval",
    # Who approved a task that needs two, of the round it is in.
    sa.Column("task_id", UUID, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("person_id", UUID, nullable=False),
    sa.Column("person_name", sa.Text, nullable=False),
    timestamp("at", nullable=False),
    reference("task", "task_id"),
    key=("task_id", "round", "person_id"),
)
task_run = tenant_table(
    "task_run",
    sa.Column("task_id", UUID, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    # The task's round: the key under which it is done once.
    sa.Column("round", sa.Integer, nullable=False),
    # What verifying and undoing go by.
    sa.Column("receipt", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="done"),
    sa.Column("words", sa.Text, nullable=False, server_default=""),
    sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
    timestamp("done_at", nullable=False),
    timestamp("checked_at"),
    reference("task", "task_id"),
    sa.UniqueConstraint("organisation_id", "task_id", "kind", "round"),
    sa.CheckConstraint("kind in ('do', 'undo')", name="kind"),
    sa.CheckConstraint("state in ('done', 'verified', 'failed', 'unconfirmed')", name="state"),
)
approval_policy = tenant_table(
    "approval_policy",
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.false()),
    # run: by itself within the limits; ask: a person; two: two people.
    sa.Column("decision", sa.Text, nullable=False),
    # Which tasks: null is any.
    sa.Column("agent", sa.Text),
    sa.Column("action", sa.Text),
    sa.Column("channel", sa.Text),
    # Most of one task; null: no limit. Money in minor units of `currency`.
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("money_most_minor", sa.BigInteger),
    sa.Column("percent_most", sa.Numeric),
    sa.Column("units_most", sa.BigInteger),
    # Most of one day.
    sa.Column("day_tasks_most", sa.Integer),
    sa.Column("day_money_most_minor", sa.BigInteger),
    sa.Column("set_by", sa.Text, nullable=False),
    created_at(),
    updated_at(),
    sa.CheckConstraint("decision in ('run', 'ask', 'two')", name="decision"),
    sa.CheckConstraint(
        "money_most_minor >= 0 and percent_most >= 0 and units_most >= 0"
        " and day_tasks_most >= 0 and day_money_most_minor >= 0",
        name="limits",
    ),
)
policy_spending = tenant_table(
    "policy_spending",
    sa.Column("policy_id", UUID, nullable=False),
    sa.Column("day", sa.Text, nullable=False),
    sa.Column("tasks", sa.Integer, nullable=False, server_default="0"),
    sa.Column("money_minor", sa.BigInteger, nullable=False, server_default="0"),
    reference("approval_policy", "policy_id", on_delete="CASCADE"),
    key=("policy_id", "day"),
)
agent_switch = tenant_table(
    "agent_switch",
    # One row: whether everything is stopped that the hub does by itself or for tasks.
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("stopped", sa.Boolean, nullable=False),
    sa.Column("set_by", sa.Text, nullable=False),
    timestamp("set_at", nullable=False),
    key=("name",),
)
team = tenant_table(
    "team",
    sa.Column("name", sa.Text, nullable=False),
    created_at(),
    sa.UniqueConstraint("organisation_id", "name"),
)
team_member = tenant_table(
    "team_member",
    sa.Column("team_id", UUID, nullable=False),
    sa.Column("person_id", UUID, nullable=False),
    reference("team", "team_id", on_delete="CASCADE"),
    key=("team_id", "person_id"),
)
task_route = tenant_table(
    "task_route",
    # The first rule by position that a task meets says who does it once it is approved. Null is any.
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("marketplace", sa.Text),
    sa.Column("category", sa.Text),
    sa.Column("priority", sa.SmallInteger),
    sa.Column("tag", sa.Text),
    sa.Column("team_id", UUID),
    sa.Column("person_id", UUID),
    created_at(),
    reference("team", "team_id", on_delete="CASCADE"),
    sa.CheckConstraint("(team_id is null) <> (person_id is null)", name="whom"),
    sa.CheckConstraint("priority between 1 and 3", name="priority"),
)
task_template = tenant_table(
    "task_template",
    sa.Column("name", sa.Text, nullable=False),
    # The task as it is proposed each time.
    sa.Column("proposal", JSONB, nullable=False),
    # daily, weekly or monthly, on which day (1 is Monday, or the day of the month), at which hour of the shop's day.
    sa.Column("rhythm", sa.Text, nullable=False),
    sa.Column("day", sa.SmallInteger, nullable=False, server_default="1"),
    sa.Column("hour", sa.SmallInteger, nullable=False, server_default="8"),
    sa.Column("due_days", sa.SmallInteger),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    timestamp("next_at", nullable=False),
    timestamp("last_at"),
    sa.Column("set_by", sa.Text, nullable=False),
    created_at(),
    sa.CheckConstraint("rhythm in ('daily', 'weekly', 'monthly')", name="rhythm"),
    sa.CheckConstraint("day between 1 and 28 and hour between 0 and 23", name="when"),
)
sa.Index(
    "ix_task_template_next", task_template.c.organisation_id, task_template.c.next_at,
    postgresql_where=task_template.c.active,
)  # fmt: skip
