"""Statements of approval policies, what is spent under them, and the switch that stops everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from entrepot.agents.policies import Decision, Policy, Spent
from entrepot.database.pool import Tx

_COLUMNS = (
    "id", "name", "position", "enabled", "decision", "currency", "agent", "action", "channel", "money_most_minor",
    "percent_most", "units_most", "day_tasks_most", "day_money_most_minor",
)  # fmt: skip
_SELECT = f"select {', '.join(_COLUMNS)} from approval_policy where organisation_id = $1"
SWITCH = "all"


def _policy(row: Record) -> Policy:
    told: dict[str, Any] = dict(row)
    told["decision"] = Decision(told["decision"])
    return Policy(**told)


async def policies(tx: Tx) -> list[Policy]:
    """Return all policies in their order."""
    return [_policy(row) for row in await tx.fetch(f"{_SELECT} order by position, id", tx.organisation)]


async def policy(tx: Tx, policy_id: UUID, *, lock: bool = False) -> Policy | None:
    """Return one policy."""
    row = await tx.fetch_row(f"{_SELECT} and id = $2{' for update' if lock else ''}", tx.organisation, policy_id)
    return None if row is None else _policy(row)


async def put(tx: Tx, given: Policy, by: str) -> None:
    """Write a policy, new or changed."""
    places = ", ".join(f"${n}" for n in range(2, len(_COLUMNS) + 2))
    sets = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])
    await tx.execute(
        f"""insert into approval_policy (organisation_id, {", ".join(_COLUMNS)}, set_by)
            values ($1, {places}, ${len(_COLUMNS) + 2})
            on conflict (organisation_id, id) do update set {sets}, set_by = excluded.set_by, updated_at = now()""",
        tx.organisation,
        *(getattr(given, name) for name in _COLUMNS),
        by,
    )


async def last_position(tx: Tx) -> int:
    """Return the position of the last policy, 0 if there is none."""
    found: int = await tx.fetch_value(
        "select coalesce(max(position), 0) from approval_policy where organisation_id = $1", tx.organisation
    )
    return found


async def delete(tx: Tx, policy_id: UUID) -> bool:
    """Delete a policy with what was spent under it."""
    return bool(
        await tx.execute(
            "delete from approval_policy where organisation_id = $1 and id = $2", tx.organisation, policy_id
        )
    )


async def lock_spending(tx: Tx, policy_ids: Sequence[UUID], day: str) -> dict[UUID, Spent]:
    """Lock what is spent under these policies on a day, in the order of their ids, and return it.

    Two tasks at once count one after the other, so together they never spend more than the budget.
    """
    ids = sorted(policy_ids)
    await tx.execute(
        """insert into policy_spending (organisation_id, policy_id, day) select $1, i, $3 from unnest($2::uuid[]) i
           order by i on conflict do nothing""",
        tx.organisation, ids, day,
    )  # fmt: skip
    rows = await tx.fetch(
        """select policy_id, tasks, money_minor from policy_spending
           where organisation_id = $1 and policy_id = any($2::uuid[]) and day = $3 order by policy_id for update""",
        tx.organisation, ids, day,
    )  # fmt: skip
    return {row["policy_id"]: Spent(row["tasks"], row["money_minor"]) for row in rows}


async def spend(tx: Tx, policy_id: UUID, day: str, tasks: int, money_minor: int) -> None:
    """Add to what is spent under a policy on a day; negative: give back."""
    await tx.execute(
        """update policy_spending set tasks = greatest(0, tasks + $4), money_minor = greatest(0, money_minor + $5)
           where organisation_id = $1 and policy_id = $2 and day = $3""",
        tx.organisation, policy_id, day, tasks, money_minor,
    )  # fmt: skip


async def spent_on(tx: Tx, day: str) -> dict[UUID, Spent]:
    """Return what is spent on a day by policy."""
    rows = await tx.fetch(
        "select policy_id, tasks, money_minor from policy_spending where organisation_id = $1 and day = $2",
        tx.organisation,
        day,
    )
    return {row["policy_id"]: Spent(row["tasks"], row["money_minor"]) for row in rows}


async def is_stopped(tx: Tx) -> bool:
    """Return whether everything is stopped; whoever stops or starts it meanwhile waits for this transaction."""
    await tx.execute("select pg_advisory_xact_lock_shared(hashtextextended($1, 7201018))", str(tx.organisation))
    return bool(
        await tx.fetch_value(
            "select stopped from agent_switch where organisation_id = $1 and name = $2", tx.organisation, SWITCH
        )
    )


async def read_switch(tx: Tx) -> Record | None:
    """Return the switch: stopped, set_by, set_at; None: never touched."""
    return await tx.fetch_row(
        "select stopped, set_by, set_at from agent_switch where organisation_id = $1 and name = $2",
        tx.organisation,
        SWITCH,
    )


async def put_switch(tx: Tx, stopped: bool, by: str, at: datetime) -> None:
    """Stop everything, or let it go on, once what is being done under the old state is over."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 7201018))", str(tx.organisation))
    await tx.execute(
        """insert into agent_switch (organisation_id, name, stopped, set_by, set_at) values ($1, $2, $3, $4, $5)
           on conflict (organisation_id, name) do update
               set stopped = excluded.stopped, set_by = excluded.set_by, set_at = excluded.set_at""",
        tx.organisation, SWITCH, stopped, by, at,
    )  # fmt: skip
