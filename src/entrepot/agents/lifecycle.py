"""The life of a task as one table of moves: who may, from where, to where, and what it writes. Pure.

Code, HTTP refusals and `docs/reference/task-lifecycle.md` (`python -m entrepot.agents.lifecycle`) follow from `RULES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from entrepot.kernel.errors import Conflict, NotAllowed


class State(StrEnum):
    """Where a task stands. COMPLETED and REJECTED are ends."""

    PENDING = "pending"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    REJECTED = "rejected"


ENDS = frozenset({State.COMPLETED, State.REJECTED})


class Who(StrEnum):
    """What somebody is to a task."""

    CREATOR = "creator"
    ADMIN = "admin"
    ASSIGNEE = "assignee"
    HUB = "hub"


class Kind(StrEnum):
    """Who does the work of a task."""

    WORK = "work"
    """A person does it."""
    ACTION = "action"
    """The hub carries it out."""


class Move(StrEnum):
    """What can happen to a task."""

    SUBMIT = "submit"
    EDIT = "edit"
    APPROVE = "approve"
    REJECT = "reject"
    ASSIGN = "assign"
    COMPLETE = "complete"
    CARRY_OUT = "carry_out"
    SEND_BACK = "send_back"
    FINISH = "finish"
    UNDO = "undo"


class Effect(StrEnum):
    """What a move writes."""

    SUBMITTED = "submitted"
    APPROVED = "approved"
    NOT_APPROVED = "not_approved"
    REASON = "reason"
    ASSIGNED = "assigned"
    STARTED = "started"
    COMPLETED = "completed"
    HOURS = "hours"
    UNDONE = "undone"


EFFECT_WORDS: Mapping[Effect, str] = {
    Effect.SUBMITTED: "when it was submitted",
    Effect.APPROVED: "who approved it and when; with an action: a job that carries it out",
    Effect.NOT_APPROVED: "that nobody has approved it",
    Effect.REASON: "the reason",
    Effect.ASSIGNED: "who does it",
    Effect.STARTED: "when the work began, at the first time",
    Effect.COMPLETED: "when it was completed",
    Effect.HOURS: "the hours it took, from which the time accuracy follows",
    Effect.UNDONE: "who undid it and when",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One move. `to` None: the state stays as it is. `only`: of which kind of task; None: of both."""

    move: Move
    who: frozenset[Who]
    sources: frozenset[State]
    to: State | None
    words: str
    effects: frozenset[Effect] = field(default=frozenset())
    only: Kind | None = None


def _rule(
    move: Move, who: Iterable[Who], sources: Iterable[State], to: State | None, words: str,
    *effects: Effect, only: Kind | None = None,
) -> Rule:  # fmt: skip
    return Rule(move, frozenset(who), frozenset(sources), to, words, frozenset(effects), only)


_C, _A, _S, _H = Who.CREATOR, Who.ADMIN, Who.ASSIGNEE, Who.HUB
_OPEN = (State.PENDING, State.AWAITING_APPROVAL)

RULES: tuple[Rule, ...] = (
    _rule(Move.SUBMIT, (_C, _A, _H), (State.PENDING,), State.AWAITING_APPROVAL, "submitted", Effect.SUBMITTED),
    _rule(Move.EDIT, (_C, _A), _OPEN, None, "edited", Effect.NOT_APPROVED),
    _rule(Move.APPROVE, (_A, _H), (State.AWAITING_APPROVAL,), State.APPROVED, "approved", Effect.APPROVED),
    _rule(Move.REJECT, (_A,), _OPEN, State.REJECTED, "rejected", Effect.REASON),
    _rule(Move.ASSIGN, (_A, _H), (State.APPROVED, State.IN_PROGRESS), State.IN_PROGRESS, "assigned",
          Effect.ASSIGNED, Effect.STARTED, only=Kind.WORK),
    _rule(Move.COMPLETE, (_S, _A), (State.IN_PROGRESS,), State.COMPLETED, "completed",
          Effect.COMPLETED, Effect.HOURS, only=Kind.WORK),
    _rule(Move.CARRY_OUT, (_H,), (State.APPROVED,), State.IN_PROGRESS, "carried out", Effect.STARTED, only=Kind.ACTION),
    _rule(Move.SEND_BACK, (_H, _A), (State.APPROVED,), State.AWAITING_APPROVAL, "sent back for review",
          Effect.NOT_APPROVED, only=Kind.ACTION),
    _rule(Move.FINISH, (_H,), (State.IN_PROGRESS,), State.COMPLETED, "finished", Effect.COMPLETED, only=Kind.ACTION),
    _rule(Move.UNDO, (_A,), (State.IN_PROGRESS, State.COMPLETED), State.COMPLETED, "undone",
          Effect.COMPLETED, Effect.UNDONE, only=Kind.ACTION),
)  # fmt: skip

BY_MOVE: Mapping[Move, Rule] = {rule.move: rule for rule in RULES}


class NotYourMove(NotAllowed):
    """You may not do that with this task."""


class WrongMove(Conflict):
    """That cannot be done with a task in this state."""


def judge(move: Move, state: State, kind: Kind, standing: Iterable[Who]) -> Rule:
    """Return the rule by which somebody of this standing may do this. Raises NotYourMove, WrongMove.

    Who may not do it at all is told so whatever the state is.
    """
    rule = BY_MOVE[move]
    if not rule.who & frozenset(standing):
        raise NotYourMove(f"Only {_either(rule.who)} may do that: the task cannot be {rule.words} by you.", move=move)
    if rule.only is not None and rule.only is not kind:
        why = "The hub carries this task out itself" if kind is Kind.ACTION else "A person does this task"
        raise WrongMove(f"{why}, so it cannot be {rule.words}.", move=move, state=state)
    if state not in rule.sources:
        raise WrongMove(
            f"This task is {said(state)}; it can be {rule.words} only while it is {_either(rule.sources)}.",
            move=move, state=state,
        )  # fmt: skip
    return rule


def allowed(state: State, kind: Kind, standing: Iterable[Who]) -> frozenset[Move]:
    """Return the moves that somebody of this standing may make."""
    mine = frozenset(standing)
    return frozenset(
        rule.move
        for rule in RULES
        if rule.who & mine and state in rule.sources and (rule.only is None or rule.only is kind)
    )


def said(code: str) -> str:
    """Return a code as words."""
    return code.replace("_", " ")


_SAID = {Who.CREATOR: "who created it", Who.ADMIN: "an admin", Who.ASSIGNEE: "the assignee", Who.HUB: "the hub"}


def _either(codes: Iterable[Who] | Iterable[State]) -> str:
    order = [*Who, *State]
    ordered = sorted(codes, key=order.index)
    words = [_SAID[code] if isinstance(code, Who) else said(code) for code in ordered]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def page() -> str:
    """Return the reference page of the lifecycle."""
    lines = [
        "# The life of a task",
        "",
        "This page is made from the table of moves (`src/entrepot/agents/lifecycle.py`): `make docs`.",
        "",
        "States: " + " → ".join(said(s) for s in State if s is not State.REJECTED) + "; or rejected, which is final.",
        "A task of a person's work is assigned and completed by people; one with an action is carried out by the hub.",
        "",
        "| move | who | from | to | of | writes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for rule in RULES:
        kind = "both kinds" if rule.only is None else f"tasks of {rule.only}" if rule.only is Kind.WORK else "actions"
        effects = "; ".join(EFFECT_WORDS[e] for e in Effect if e in rule.effects)
        to = said(rule.to) if rule.to else "as it was"
        lines.append(
            f"| {said(rule.move)} | {_either(rule.who)} | {_either(rule.sources)} | {to} | {kind} | {effects} |"
        )
    lines += [
        "",
        "Anything else is refused: 403 where somebody else may do it, 409 where the state does not allow it.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
