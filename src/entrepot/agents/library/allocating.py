"""Set how the stock is divided over channels: a policy of the shop, a category or a product, or limits of a variant."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from entrepot.agents.actions import (
    Action,
    ActionInput,
    CannotUndo,
    Change,
    Look,
    NothingToDo,
    Outcome,
    Receipt,
    Verdict,
)
from entrepot.agents.library.common import plural
from entrepot.allocation import facade as allocation
from entrepot.allocation import reading as allocation_reading
from entrepot.allocation.facade import Limit, Scope
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.kernel.errors import NotFound

Units = Annotated[int | None, Field(ge=0, le=1_000_000_000)]


class SetPolicyInput(ActionInput):
    """A strategy with its parameters, for the shop or (with `scopeId`) a category or product."""

    scope: Literal["shop", "category", "product"] = "shop"
    scope_id: UUID | None = None
    strategy: Annotated[str, Field(min_length=1, max_length=80)]
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.scope == "shop") != (self.scope_id is None):
            raise ValueError("scopeId names the category or product; the shop has none.")
        return self


class SetAllocationPolicy(Action[SetPolicyInput]):
    """Set the allocation policy of a scope."""

    name, title, input = "allocation.policy", "Set an allocation policy", SetPolicyInput
    scope = identity.Scope.STOCK_WRITE

    async def look(self, tx: Tx, given: SetPolicyInput) -> Look:
        """Say which policy is in force and which would be. See Action.look."""
        policy = allocation.check_policy(given.strategy, given.parameters)
        before = await allocation.in_force(tx, Scope(given.scope, given.scope_id))
        here = before.stored and before.scope == Scope(given.scope, given.scope_id)
        if here and before.policy == policy:
            raise NothingToDo("This policy is in force already.")
        whose = await allocation_reading.name_of(tx, given.scope, given.scope_id) or "The shop"
        variants = await allocation.concerned_variants(tx, Scope(given.scope, given.scope_id), policy)
        return Look(
            f"{whose}: stock divided by {given.strategy.replace('_', ' ')}",
            (Change(f"{whose}: policy", _said(before.policy.strategy, before.policy.parameters),
                    _said(policy.strategy, policy.parameters)),),
            {"before": [before.policy.strategy, before.policy.parameters, here],
             "after": [policy.strategy, policy.parameters]},
            facts=(("Variants that are divided anew", f"{len(variants):,}"),),
        )  # fmt: skip

    async def perform(self, tx: Tx, actor: Actor, given: SetPolicyInput, key: str) -> Receipt:
        """Set the policy; everything under it is divided anew."""
        scope = Scope(given.scope, given.scope_id)
        before = await allocation.in_force(tx, scope)
        own = before.stored and before.scope == scope
        after = await allocation.set_policy(tx, given.strategy, given.parameters, scope=scope)
        told = {"strategy": after.strategy, "parameters": dict(after.parameters)}
        was = {"strategy": before.policy.strategy, "parameters": dict(before.policy.parameters)} if own else None
        await identity.record(
            tx, actor, "allocation_policy.set", given.scope, given.scope_id or tx.organisation, was, told
        )
        return {"before": was, "after": told}

    async def verify(self, tx: Tx, given: SetPolicyInput, receipt: Receipt) -> Verdict:
        """Read the policy in force back."""
        now = (await allocation.in_force(tx, Scope(given.scope, given.scope_id))).policy
        if _said(now.strategy, now.parameters) != _said(**receipt["after"]):
            return Verdict(Outcome.DIFFERENT, "Another policy is in force by now.")
        return Verdict(Outcome.AS_WANTED, "The policy is in force; listings follow as the stock is divided.")

    async def undo(self, tx: Tx, actor: Actor, given: SetPolicyInput, receipt: Receipt) -> Receipt:
        """Put the former policy back. Raises CannotUndo where another one was set since."""
        scope = Scope(given.scope, given.scope_id)
        now = await allocation.in_force(tx, scope)
        mine = now.stored and now.scope == scope
        if not mine or _said(now.policy.strategy, now.policy.parameters) != _said(**receipt["after"]):
            raise CannotUndo("Another policy was set since.")
        if receipt["before"] is None:
            await allocation.drop_policy(tx, scope)
        else:
            await allocation.set_policy(tx, receipt["before"]["strategy"], receipt["before"]["parameters"], scope=scope)
        await identity.record(
            tx, actor, "allocation_policy.set", given.scope, given.scope_id or tx.organisation, receipt["after"],
            receipt["before"],
        )  # fmt: skip
        return {"after": receipt["before"]}


def _said(strategy: str, parameters: Any) -> str:
    words = ", ".join(f"{name} {value}" for name, value in sorted(parameters.items()))
    return f"{strategy.replace('_', ' ')}{f': {words}' if words else ''}"


class SetLimitInput(ActionInput):
    """Units kept back (`buffer`), the most and the least shown; of a product or variant, on one connection or on all."""

    scope: Literal["product", "variant"] = "variant"
    scope_id: UUID
    connection_id: UUID | None = None
    buffer: Units = None
    cap: Units = None
    least: Units = None


class SetAllocationLimit(Action[SetLimitInput]):
    """Set what a product or variant shows at most and at least, and what is kept back."""

    name, title, input = "allocation.limit", "Set allocation limits", SetLimitInput
    scope = identity.Scope.STOCK_WRITE

    async def look(self, tx: Tx, given: SetLimitInput) -> Look:
        """Say which limits there are and which would be. See Action.look."""
        wanted = Limit(given.buffer, given.cap, given.least)
        name = await allocation_reading.name_of(tx, given.scope, given.scope_id)
        if not name:
            raise NotFound(f"There is no such {given.scope}.")
        names = await allocation_reading.connection_names(tx)
        if given.connection_id is not None and given.connection_id not in names:
            raise NotFound("There is no such connection.")
        before = await _limit(tx, given)
        if before == wanted:
            raise NothingToDo("The limits are as they would be set.")
        where = "all channels" if given.connection_id is None else names[given.connection_id]
        changes = tuple(
            Change(f"{name} on {where}: {word}", _units(getattr(before, each)), _units(getattr(wanted, each)))
            for each, word in (("buffer", "kept back"), ("cap", "shown at most"), ("least", "shown at least"))
            if getattr(before, each) != getattr(wanted, each)
        )
        return Look(
            f"{plural(len(changes), 'limit')} of {name} set", changes,
            {"before": [before.buffer, before.cap, before.least]},
        )  # fmt: skip

    async def perform(self, tx: Tx, actor: Actor, given: SetLimitInput, key: str) -> Receipt:
        """Set the limits; what is under them is divided anew."""
        before = await _limit(tx, given)
        await _put(tx, actor, given, before, Limit(given.buffer, given.cap, given.least))
        return {"before": [before.buffer, before.cap, before.least], "after": [given.buffer, given.cap, given.least]}

    async def verify(self, tx: Tx, given: SetLimitInput, receipt: Receipt) -> Verdict:
        """Read the limits back."""
        if await _limit(tx, given) != Limit(*receipt["after"]):
            return Verdict(Outcome.DIFFERENT, "Other limits are set by now.")
        return Verdict(Outcome.AS_WANTED, "The limits are in force; listings follow as the stock is divided.")

    async def undo(self, tx: Tx, actor: Actor, given: SetLimitInput, receipt: Receipt) -> Receipt:
        """Put the former limits back. Raises CannotUndo where others were set since."""
        now = await _limit(tx, given)
        if now != Limit(*receipt["after"]):
            raise CannotUndo("Other limits were set since.")
        await _put(tx, actor, given, now, Limit(*receipt["before"]))
        return {"after": receipt["before"]}


async def _put(tx: Tx, actor: Actor, given: SetLimitInput, before: Limit, after: Limit) -> None:
    await allocation.set_limit(tx, Scope(given.scope, given.scope_id), given.connection_id, after)
    told = [{"buffer": each.buffer, "cap": each.cap, "least": each.least} for each in (before, after)]
    await identity.record(tx, actor, "allocation_limit.set", given.scope, given.scope_id, *told)


async def _limit(tx: Tx, given: SetLimitInput) -> Limit:
    return await allocation.get_limit(tx, Scope(given.scope, given.scope_id), given.connection_id)


def _units(value: int | None) -> str:
    return "no limit" if value is None else plural(value, "unit")
