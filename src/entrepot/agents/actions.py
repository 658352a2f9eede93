"""What an action is: typed, versioned, looked at before it is done, verified after, and undone where it can be.

The rooms' actions are in `entrepot.agents.library`; `entrepot/actions.py` says which of them this hub has.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from entrepot.agents.contracts import ActionCall
from entrepot.database.pool import Tx
from entrepot.identity.facade import Actor, Scope
from entrepot.kernel.errors import Conflict, InvalidInput


class UnknownAction(InvalidInput):
    """There is no such action."""


class InvalidActionInput(InvalidInput):
    """The input of the action is not valid."""


class NothingToDo(InvalidInput):
    """All is as the action would make it: there is nothing to do."""


class CannotUndo(Conflict):
    """That cannot be undone."""


class ActionInput(BaseModel):
    """The input of an action: unknown members are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", str_strip_whitespace=True, frozen=True
    )


@dataclass(frozen=True, slots=True)
class Measure:
    """How large an action is, for limits; None: that is no size of it.

    `money_minor` in minor units of `currency`. `channels`: keys of the channels that it reaches.
    """

    money_minor: int | None = None
    currency: str | None = None
    percent: Decimal | None = None
    units: int | None = None
    channels: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        percent = None if self.percent is None else str(self.percent)
        return {
            "money_minor": self.money_minor, "currency": self.currency, "percent": percent, "units": self.units,
            "channels": list(self.channels),
        }  # fmt: skip

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Measure:
        """Return it from how it is stored."""
        percent = None if kept["percent"] is None else Decimal(kept["percent"])
        return cls(kept["money_minor"], kept["currency"], percent, kept["units"], tuple(kept["channels"]))


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changes: what it is, and its value before and after, in words."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Look:
    """What an action would do now. `rests_on`: the present state that it was judged by; another one makes it stale.

    `facts`: what to know besides, as (name, words).
    """

    summary: str
    changes: tuple[Change, ...]
    rests_on: Mapping[str, Any]
    measure: Measure = field(default_factory=Measure)
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def fingerprint(self) -> str:
        """Return a short text that is another one as soon as anything is that it rests on."""
        plain = msgspec.to_builtins(dict(self.rests_on), str_keys=True, enc_hook=str)
        return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()[:24]

    def json(self) -> dict[str, Any]:
        """Return it as it is stored and shown."""
        return {
            "summary": self.summary,
            "changes": [{"what": c.what, "before": c.before, "after": c.after} for c in self.changes],
            "facts": [list(each) for each in self.facts],
        }


class Outcome(StrEnum):
    """What reading back showed."""

    AS_WANTED = "as_wanted"
    WAITING = "waiting"
    """A channel has not answered for it yet."""
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What reading back showed, in words. `lines`: (where, words) of each place looked at."""

    outcome: Outcome
    words: str
    lines: tuple[tuple[str, str], ...] = ()


Receipt = Mapping[str, Any]
"""What an action did, as JSON: enough to verify and to undo it."""

I = TypeVar("I", bound=ActionInput)  # noqa: E741


class Action(ABC, Generic[I]):
    """Something that the hub can do when a task is approved. It works through facades, in the caller's transaction.

    `name` and `version` stay for ever, as tasks carry them. `scope`: what a person must be allowed to propose it.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    title: ClassVar[str]
    input: ClassVar[type[ActionInput]]
    scope: ClassVar[Scope]
    undoable: ClassVar[bool] = True

    @abstractmethod
    async def look(self, tx: Tx, given: I) -> Look:
        """Say what it would do now. Raises InvalidInput, NotFound, Conflict where it cannot be done, NothingToDo."""

    @abstractmethod
    async def perform(self, tx: Tx, actor: Actor, given: I, key: str) -> Receipt:
        """Do it. `key`: the same for the same doing, however often it is tried. Raises what `look` does."""

    @abstractmethod
    async def verify(self, tx: Tx, given: I, receipt: Receipt) -> Verdict:
        """Read back what it did, in the hub and on channels."""

    async def undo(self, tx: Tx, actor: Actor, given: I, receipt: Receipt) -> Receipt:
        """Put back what it did. Raises CannotUndo where that would overwrite what changed since."""
        raise CannotUndo(f"{self.title} cannot be undone.")

    async def verify_undone(self, tx: Tx, given: I, receipt: Receipt, undone: Receipt) -> Verdict:
        """Read back what undoing did."""
        return Verdict(Outcome.AS_WANTED, "It is as it was before.")


@dataclass(frozen=True, slots=True)
class Bound:
    """An action with a checked input."""

    action: Action[Any]
    given: ActionInput

    @property
    def input_json(self) -> dict[str, Any]:
        """The input as it is stored."""
        kept: dict[str, Any] = self.given.model_dump(mode="json", by_alias=True, exclude_none=True)
        return kept


class Registry:
    """The actions that this hub has."""

    def __init__(self, actions: Iterable[Action[Any]] = ()) -> None:
        self._by_key: dict[tuple[str, int], Action[Any]] = {}
        for action in actions:
            key = (action.name, action.version)
            if key in self._by_key:
                raise ValueError(f"{action.name} version {action.version} is registered twice")
            self._by_key[key] = action

    @property
    def newest(self) -> tuple[Action[Any], ...]:
        """The newest version of each action, by name."""
        newest: dict[str, Action[Any]] = {}
        for _, action in sorted(self._by_key.items()):
            newest[action.name] = action
        return tuple(newest.values())

    def get(self, name: str, version: int | None = None) -> Action[Any]:
        """Return an action; without a version the newest. Raises UnknownAction."""
        versions = [v for known, v in self._by_key if known == name]
        if not versions:
            known = ", ".join(action.name for action in self.newest) or "none"
            raise UnknownAction(f"There is no action {name!r}. Known: {known}.", action=name)
        wanted = max(versions) if version is None else version
        if wanted not in versions:
            raise UnknownAction(f"There is no version {wanted} of the action {name}.", action=name)
        return self._by_key[name, wanted]

    def bind(self, call: ActionCall) -> Bound:
        """Return the action with its input checked. Raises UnknownAction, InvalidActionInput."""
        action = self.get(call.name, call.version)
        try:
            return Bound(action, action.input.model_validate(dict(call.input)))
        except ValidationError as error:
            errors = [
                {"pointer": "#/action/input" + "".join(f"/{part}" for part in each["loc"]), "detail": each["msg"]}
                for each in error.errors()
            ]
            detail = "; ".join(f"{each['pointer'].removeprefix('#/action/')}: {each['detail']}" for each in errors[:5])
            raise InvalidActionInput(detail, errors=errors) from None


def idempotency_key(task_id: UUID, round: int, kind: str) -> str:
    """Return the key under which a task's action is done once."""
    return f"task:{task_id}:{round}:{kind}"
