"""How tasks go: created by day and marketplace, turnaround, times, accuracy, approval, reasons; and what each agent is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from entrepot.agents.contracts import Category
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import first_id_at

DAYS_MOST = 366
REASONS_MOST = 20
ENOUGH = 5
"""Of fewer completed tasks nothing is learned about the hours that such tasks take."""


@dataclass(frozen=True, slots=True)
class DayCount:
    """Tasks created on a day of the shop for a marketplace."""

    day: str
    marketplace: str
    created: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Tasks of a time. Seconds and percent are medians; None where there is nothing to tell from.

    `approval_s`: from being handed in to the decision. `execution_s`: from the start of the work to its end.
    `approval_rate`: approved of decided, 0 to 1.
    """

    created: int
    approved: int
    rejected: int
    completed: int
    undone: int
    approval_s: int | None
    execution_s: int | None
    time_accuracy: Decimal | None
    approval_rate: Decimal | None


@dataclass(frozen=True, slots=True)
class AgentMetrics:
    """What an agent proposed in a time. `per_day`: how often. `quality`: approved and not undone of decided, 0 to 1.

    `complexity`: the median of the hours that its tasks were estimated at.
    """

    agent: str
    created: int
    per_day: Decimal
    approval_rate: Decimal | None
    quality: Decimal | None
    complexity: Decimal


@dataclass(frozen=True, slots=True)
class Metrics:
    """How tasks went in a time. `reasons`: why tasks were rejected, the commonest first, with how often."""

    flow: Flow
    days: tuple[DayCount, ...]
    reasons: tuple[tuple[str, int], ...]
    agents: tuple[AgentMetrics, ...]


_FLOW = """
    select count(*) as created, count(*) filter (where approved_at is not null) as approved,
           count(*) filter (where state = 'rejected') as rejected, count(*) filter (where state = 'completed') as completed,
           count(*) filter (where undone_at is not null) as undone,
           (percentile_cont(0.5) within group (order by extract(epoch from coalesce(approved_at, rejected_at) - submitted_at)))
               ::bigint as approval_s,
           (percentile_cont(0.5) within group (order by extract(epoch from completed_at - started_at)))::bigint as execution_s,
           round((percentile_cont(0.5) within group (order by
               100 * least(estimated_hours, actual_hours) / greatest(estimated_hours, actual_hours))
               filter (where actual_hours is not null))::numeric, 1) as time_accuracy,
           round(count(*) filter (where approved_at is not null)::numeric
               / nullif(count(*) filter (where approved_at is not null or state = 'rejected'), 0), 4) as approval_rate
    from task where organisation_id = $1 and id >= $2
"""
_DAYS = """
    select to_char(created_at at time zone $3, 'YYYY-MM-DD') as day, marketplace, count(*) as created
    from task where organisation_id = $1 and id >= $2 group by 1, 2 order by 1, 2
"""
_REASONS = """
    select reason, count(*) as count from task
    where organisation_id = $1 and id >= $2 and state = 'rejected' group by 1 order by 2 desc, 1 limit $3
"""
_AGENTS = """
    select agent, count(*) as created, round(count(*)::numeric / $3, 2) as per_day,
           round(count(*) filter (where approved_at is not null)::numeric
               / nullif(count(*) filter (where approved_at is not null or state = 'rejected'), 0), 4) as approval_rate,
           round(count(*) filter (where approved_at is not null and undone_at is null)::numeric
               / nullif(count(*) filter (where approved_at is not null or state = 'rejected'), 0), 4) as quality,
           (percentile_cont(0.5) within group (order by estimated_hours))::numeric(8, 2) as complexity
    from task where organisation_id = $1 and id >= $2 and agent is not null group by 1 order by 2 desc, 1 limit 200
"""


async def metrics(tx: Tx, at: datetime, days: int = 30) -> Metrics:
    """Return how the tasks of the last days went. Raises InvalidInput."""
    if not 1 <= days <= DAYS_MOST:
        raise InvalidInput(f"Choose the last 1 to {DAYS_MOST} days.")
    since = first_id_at(at - timedelta(days=days))
    row = await tx.fetch_row(_FLOW, tx.organisation, since)
    assert row is not None
    timezone = (await identity.organisation_of(tx)).timezone
    by_day = await tx.fetch(_DAYS, tx.organisation, since, timezone)
    reasons = await tx.fetch(_REASONS, tx.organisation, since, REASONS_MOST)
    agents = await tx.fetch(_AGENTS, tx.organisation, since, days)
    return Metrics(
        Flow(**dict(row)), tuple(DayCount(**dict(each)) for each in by_day),
        tuple((each["reason"], each["count"]) for each in reasons), tuple(AgentMetrics(**dict(each)) for each in agents),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Learned:
    """Hours that tasks like it took: the median, the hours that 8 of 10 stay under, and of how many that is told."""

    median: Decimal
    most_of_them: Decimal
    tasks: int
    like: str


_HOURS = """
    select percentile_cont(0.5) within group (order by actual_hours)::numeric(8, 2) as median,
           percentile_disc(0.8) within group (order by actual_hours)::numeric(8, 2) as most, count(*) as tasks
    from (select actual_hours from task where organisation_id = $1 and state = 'completed' and actual_hours is not null
          and {same} order by id desc limit 500) t
"""


async def learned_hours(tx: Tx, marketplace: str, category: Category) -> Learned | None:
    """Return the hours that completed tasks of this marketplace and category took, else of the category, else of any.

    None while fewer than five are known.
    """
    tried: Sequence[tuple[str, str, tuple[str, ...]]] = (
        ("marketplace = $2 and category = $3", f"{category} tasks for {marketplace}", (marketplace, category)),
        ("category = $2", f"{category} tasks", (category,)),
        ("true", "all tasks", ()),
    )
    for same, like, values in tried:
        row = await tx.fetch_row(_HOURS.format(same=same), tx.organisation, *values)
        if row is not None and row["tasks"] >= ENOUGH:
            return Learned(row["median"], row["most"], row["tasks"], like)
    return None
