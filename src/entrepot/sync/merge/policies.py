"""How a conflict may be decided without a person, and what a person is advised. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from entrepot.kernel.errors import InvalidInput
from entrepot.sync.merge.learning import Learned
from entrepot.sync.merge.rules import Side
from entrepot.sync.merge.values import EMPTY, NUMERIC, FieldKind, Value, amount, comparable, image_id, of_amount, same

HUB = "hub"
HUB_PRIORITY = 100


class Policy(StrEnum):
    """How conflicts of a field are decided."""

    MANUAL = "manual"
    """A person decides."""
    LAST_WRITE = "last_write"
    """Whoever changed it last, by the channel's own clock."""
    SOURCE_PRIORITY = "source_priority"
    """Whoever has the higher priority; at the same one whoever changed it last."""
    LOWEST = "lowest"
    MEAN = "mean"
    MEDIAN = "median"
    WEIGHTED = "weighted"
    """By weights learned from what people decided before; off until there is enough of that."""


FOR_NUMBERS = frozenset({Policy.LOWEST, Policy.MEAN, Policy.MEDIAN})


class PolicyDoesNotFit(InvalidInput):
    """The lowest, the mean and the median are for prices and numbers only."""


@dataclass(frozen=True, slots=True)
class Source:
    """One value in a conflict. `name`: `hub` or the channel's key. `at`: when it was changed, by our clock; None: not told."""

    name: str
    value: Value
    at: datetime | None = None
    priority: int = HUB_PRIORITY


@dataclass(frozen=True, slots=True)
class Question:
    """A conflict to be decided. `others`: what further channels say of the same thing and also contest."""

    kind: FieldKind
    base: Value
    ours: Source
    theirs: Source
    others: tuple[Source, ...] = ()
    learned: Learned = field(default_factory=Learned)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a policy decides: a side, with the value that both shall have, and why in plain words."""

    side: Side
    value: Value
    policy: Policy
    reason: str


def fits(policy: Policy, kind: FieldKind) -> None:
    """Raise PolicyDoesNotFit where a policy cannot decide on values of this kind."""
    if policy in FOR_NUMBERS and kind not in NUMERIC:
        raise PolicyDoesNotFit


def decide(policy: Policy, asked: Question) -> Answer | None:
    """Return what a policy decides; None: it cannot tell here, a person must."""
    decider = _DECIDERS.get(policy)
    if decider is None or not comparable(asked.kind, asked.ours.value, asked.theirs.value):
        return None
    return decider(asked)


def advise(asked: Question) -> Answer | None:
    """Return what a person is advised to decide: merged where that keeps both changes, learned, else the newer one."""
    merged = merge_both(asked)
    if merged is not None:
        return Answer(Side.VALUE, merged, Policy.MANUAL, "Keeps what either side added and took away.")
    learned = _weighted(asked)
    if learned is not None:
        return learned
    return _last_write(asked) or _source_priority(asked)


def merge_both(asked: Question) -> Value:
    """Return tags or images with the changes of both sides, where that is something else than either; else None."""
    if asked.kind not in (FieldKind.TAGS, FieldKind.IMAGES) or asked.base is None:
        return None
    key: Callable[[str], str] = str.casefold if asked.kind is FieldKind.TAGS else image_id
    base, ours, theirs = (list(v or ()) for v in (asked.base, asked.ours.value, asked.theirs.value))
    was, we, they = ({key(item) for item in items} for items in (base, ours, theirs))
    gone = (was - we) | (was - they)
    kept: dict[str, str] = {}
    for item in [*ours, *theirs]:
        if key(item) not in gone:
            kept.setdefault(key(item), item)
    found: Value = list(kept.values()) or EMPTY
    if asked.kind is FieldKind.TAGS and found:
        found = sorted(found, key=str.casefold)
    if same(asked.kind, found, asked.ours.value) or same(asked.kind, found, asked.theirs.value):
        return None
    return found


def sum_of_deltas(kind: FieldKind, base: Value, ours: Value, theirs: Value) -> Value:
    """Return the base with both changes added (quantities); None where that is not a number or below zero."""
    figures = [amount(kind, v) for v in (base, ours, theirs)]
    if any(f is None for f in figures):
        return None
    was, we, they = (f for f in figures if f is not None)
    total = we + they - was
    return of_amount(kind, total, ours) if total >= 0 else None


# ---- the policies ------------------------------------------------------------------------------------------


def _last_write(asked: Question) -> Answer | None:
    ours, theirs = asked.ours, asked.theirs
    if ours.at is None or theirs.at is None:
        return None
    if ours.at == theirs.at:
        return _by_priority(asked, Policy.LAST_WRITE, "Both changed at the same moment; ")
    newer = Side.OURS if ours.at > theirs.at else Side.THEIRS
    chosen = ours if newer is Side.OURS else theirs
    when = max(ours.at, theirs.at).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Answer(newer, chosen.value, Policy.LAST_WRITE, f"Changed last, at {when}.")


def _by_priority(asked: Question, policy: Policy, words: str) -> Answer | None:
    ours, theirs = asked.ours, asked.theirs
    if ours.priority == theirs.priority:
        # The last word, so that the answer never depends on who was asked first.
        first = (ours.name, repr(ours.value)) >= (theirs.name, repr(theirs.value))
    else:
        first = ours.priority > theirs.priority
    chosen = ours if first else theirs
    reason = f"{words}{chosen.name} has priority {chosen.priority}."
    return Answer(Side.OURS if first else Side.THEIRS, chosen.value, policy, reason)


def _source_priority(asked: Question) -> Answer | None:
    ours, theirs = asked.ours, asked.theirs
    if ours.priority == theirs.priority and ours.at is not None and theirs.at is not None and ours.at != theirs.at:
        newer = Side.OURS if ours.at > theirs.at else Side.THEIRS
        chosen = ours if newer is Side.OURS else theirs
        return Answer(newer, chosen.value, Policy.SOURCE_PRIORITY, "Same priority; changed last.")
    return _by_priority(asked, Policy.SOURCE_PRIORITY, "")


def _figures(asked: Question, *, with_others: bool) -> list[Decimal]:
    sources = (asked.ours, asked.theirs, *(asked.others if with_others else ()))
    found = [amount(asked.kind, s.value) for s in sources if comparable(asked.kind, s.value, asked.ours.value)]
    return [f for f in found if f is not None]


def _lowest(asked: Question) -> Answer | None:
    figures = _figures(asked, with_others=False)
    if len(figures) < 2:
        return None
    side = Side.OURS if figures[0] <= figures[1] else Side.THEIRS
    chosen = asked.ours if side is Side.OURS else asked.theirs
    return Answer(side, chosen.value, Policy.LOWEST, "The lower of the two.")


def _aggregate(policy: Policy, middle: Callable[[Iterable[Decimal]], Decimal], word: str) -> Decider:
    def decided(asked: Question) -> Answer | None:
        figures = _figures(asked, with_others=True)
        if len(figures) < 2:
            return None
        value = of_amount(asked.kind, middle(figures), asked.ours.value)
        return Answer(Side.VALUE, value, policy, f"The {word} of {len(figures)} values.")

    return decided


def _weighted(asked: Question) -> Answer | None:
    weight = asked.learned.weight_of_ours
    if weight is None:
        return None
    count = asked.learned.decisions
    if asked.kind in NUMERIC:
        figures = _figures(asked, with_others=False)
        if len(figures) < 2:
            return None
        share = Decimal(repr(round(weight, 4)))
        value = of_amount(asked.kind, figures[0] * share + figures[1] * (1 - share), asked.ours.value)
        words = f"Ours counts {weight:.0%}, as learned from {count} decisions."
        return Answer(Side.VALUE, value, Policy.WEIGHTED, words)
    if not asked.learned.is_sure:
        return None
    side = Side.OURS if weight >= 0.5 else Side.THEIRS
    chosen = asked.ours if side is Side.OURS else asked.theirs
    sure = max(weight, 1 - weight)
    return Answer(side, chosen.value, Policy.WEIGHTED, f"{sure:.0%} of {count} decisions chose this side.")


Decider = Callable[[Question], Answer | None]
_DECIDERS: Mapping[Policy, Decider] = {
    Policy.LAST_WRITE: _last_write,
    Policy.SOURCE_PRIORITY: _source_priority,
    Policy.LOWEST: _lowest,
    Policy.MEAN: _aggregate(Policy.MEAN, statistics.mean, "mean"),
    Policy.MEDIAN: _aggregate(Policy.MEDIAN, statistics.median, "median"),
    Policy.WEIGHTED: _weighted,
}


@dataclass(frozen=True, slots=True)
class Preview:
    """What a policy would have decided on past conflicts, beside what people decided."""

    decided: int
    same_as_people: int
    other: int
    left_to_people: int


def preview(policy: Policy, past: Sequence[tuple[Question, Value]]) -> Preview:
    """Return what a policy would have made of past conflicts: (question, the value that people chose)."""
    answers = [(decide(policy, question), question, chosen) for question, chosen in past]
    found = [(answer, question, chosen) for answer, question, chosen in answers if answer is not None]
    alike = sum(same(question.kind, answer.value, chosen) for answer, question, chosen in found)
    return Preview(len(found), alike, len(found) - alike, len(answers) - len(found))
