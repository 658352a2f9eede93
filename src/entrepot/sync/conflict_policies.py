"""The policies by which conflicts are decided, as people set them. Every function works in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from entrepot.channels import facade as channels
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.kernel.errors import InvalidInput, NotFound
from entrepot.sync.fields import conflict_store, policy_store, questions, store
from entrepot.sync.merge.fields import field_of
from entrepot.sync.merge.learning import Learned
from entrepot.sync.merge.policies import Policy, Preview, decide, fits, preview
from entrepot.sync.merge.rules import Flow


class PolicyNotFound(NotFound):
    """There is no such policy."""


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """Of a field (empty: every one) on a connection (None: every one)."""

    connection_id: UUID | None
    field: str
    flow: Flow = Flow.BOTH
    policy: Policy = Policy.MANUAL
    swing_percent: Decimal | None = None


async def set_policy(tx: Tx, actor: Actor, new: NewPolicy, now: datetime) -> None:
    """Set who may change a field and how its conflicts are decided; open ones are decided by it at once.

    Raises UnknownField, PolicyDoesNotFit, ConnectionNotFound, InvalidInput.
    """
    if new.field:
        fits(new.policy, field_of(new.field).kind)
    if new.connection_id is not None:
        await channels.get(tx, new.connection_id)
    if new.swing_percent is not None and not 0 < new.swing_percent <= 100_000:
        raise InvalidInput("The limit of a swing must be a percentage above 0.")
    await policy_store.put_policy(
        tx, new.connection_id, new.field, str(new.flow), str(new.policy), new.swing_percent, actor.name, now
    )
    after = {
        "field": new.field,
        "flow": str(new.flow),
        "policy": str(new.policy),
        "swing": str(new.swing_percent or ""),
    }
    await identity.record(tx, actor, "policy.set", "connection", new.connection_id or "all", None, after)
    await _merge_all(tx, new.connection_id)


async def remove_policy(tx: Tx, actor: Actor, connection_id: UUID | None, field_name: str) -> bool:
    """Remove a policy, so that the more general one holds again; return whether there was one."""
    removed = await policy_store.remove_policy(tx, connection_id, field_name)
    if removed:
        await identity.record(tx, actor, "policy.remove", "connection", connection_id or "all", {"field": field_name})
        await _merge_all(tx, connection_id)
    return removed


async def list_policies(tx: Tx) -> list[Any]:
    """Return all policies with the names of their connections, the general ones first."""
    return await policy_store.list_policies(tx)


async def _merge_all(tx: Tx, connection_id: UUID | None) -> None:
    for connection in await channels.list_all(tx):
        if connection_id in (None, connection.id):
            await store.want_merge_of_connections(tx, [connection.id])
            tx.hint(f"merge:{connection.id}")


@dataclass(frozen=True, slots=True)
class PolicyPreview:
    """What a policy would have made of what people decided, and would make of what is open now."""

    past: Preview
    open_decided: int
    open_left: int
    weight_of_ours: float | None
    decisions: int


async def preview_policy(tx: Tx, connection_id: UUID | None, field_name: str, policy: Policy) -> PolicyPreview:
    """Return what a policy would have decided on past conflicts of a field. Raises UnknownField, PolicyDoesNotFit."""
    fits(policy, field_of(field_name).kind)
    past = await conflict_store.past(tx, connection_id, [field_name])
    learned = questions.learned_of(past).get(field_name, Learned())
    before = [(questions.asked_before(row, learned), row["resolution"]["value"]) for row in past]
    waiting = [
        questions.asked_before(row, learned) for row in await conflict_store.open_of(tx, connection_id, field_name)
    ]
    decided = sum(decide(policy, question) is not None for question in waiting)
    return PolicyPreview(
        preview(policy, before), decided, len(waiting) - decided, learned.weight_of_ours, learned.decisions
    )
