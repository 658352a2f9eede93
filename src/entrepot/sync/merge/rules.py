"""The three-way merge of one field, and what a reading, a write and a decision make of its state. Pure.

Base is what was last agreed, ours what the hub wants, theirs what the channel last told. Whoever differs from the base has
changed it. A decision in a conflict moves the base onto the side that loses: then only the other side has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from entrepot.sync.merge.values import EMPTY, FieldKind, Value, amount, comparable, same, shown_as


class Flow(StrEnum):
    """Who may change a field."""

    BOTH = "both"
    """A change on either side flows to the other; changes on both sides are a conflict."""
    THEIRS = "theirs"
    """What the channel changes is taken over; what we change stays here."""
    OURS = "ours"
    """What they change is put back."""
    NONE = "none"
    """Not compared."""


class Outcome(StrEnum):
    """What is to happen with a field."""

    AGREED = "agreed"
    OUT = "out"
    """Ours goes to the channel."""
    IN = "in"
    """Theirs comes into the catalog."""
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    """Something is missing: nothing to do."""
    IGNORED = "ignored"
    """It is not compared."""


class Why(StrEnum):
    """Why a field is a conflict."""

    BOTH_CHANGED = "both_changed"
    NEVER_AGREED = "never_agreed"
    """They differed when they first met."""
    SWING_IN = "swing_in"
    """The channel changed it by more than the limit."""
    SWING_OUT = "swing_out"
    """We changed it by more than the limit."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How a field of a connection is merged. `swing_percent`: most a number may change by itself; None: no limit."""

    kind: FieldKind
    flow: Flow = Flow.BOTH
    required: bool = False
    swing_percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FieldState:
    """What is known of one field of one listing. Times of `read_at`, `sent_at` and `pushed_at` are the hub's.

    `shown`: how the channel shows the base, where it shows it in a way of its own. `theirs_at`: when the channel says that
    theirs is from. `read_at`: when the reading that told it began. `sent`, `sent_at`: the write under way; `sent`
    alone: one whose answer was lost. `before`: what
    it showed before the last write. `approved`: a value that somebody let pass though it swings.
    """

    base: Value = None
    shown: Value = None
    theirs: Value = None
    theirs_at: datetime | None = None
    read_at: datetime | None = None
    sent: Value = None
    sent_at: datetime | None = None
    before: Value = None
    pushed_at: datetime | None = None
    approved: Value = None

    @property
    def sending(self) -> bool:
        """Whether a write is under way."""
        return self.sent_at is not None

    @property
    def awaits_echo(self) -> bool:
        """Whether nothing was read since the last write."""
        return self.pushed_at is not None and (self.read_at is None or self.read_at < self.pushed_at)


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge says. `why` where it is a conflict."""

    outcome: Outcome
    why: Why | None = None


AGREED = Merged(Outcome.AGREED)
OUT = Merged(Outcome.OUT)
IN = Merged(Outcome.IN)
UNKNOWN = Merged(Outcome.UNKNOWN)
IGNORED = Merged(Outcome.IGNORED)


def merge(rule: FieldRule, state: FieldState, ours: Value) -> Merged:
    """Return what is to happen with a field."""
    if rule.flow is Flow.NONE:
        return IGNORED
    base, theirs, kind = state.base, state.theirs, rule.kind
    if ours == theirs and ours is not None:
        return AGREED
    if rule.required:
        ours, theirs = ours or None, theirs or None
    if not comparable(kind, ours, theirs):
        return UNKNOWN
    if ours is None or theirs is None:
        return _with_a_missing_side(rule, base, ours, theirs)
    if same(kind, ours, theirs) or (state.shown is not None and _shows(kind, state, theirs) and same(kind, ours, base)):
        return AGREED
    return _differing(rule, state, ours, theirs)


def _with_a_missing_side(rule: FieldRule, base: Value, ours: Value, theirs: Value) -> Merged:
    if theirs is not None:
        return IN if rule.flow is not Flow.OURS and not rule.required else UNKNOWN
    if ours is not None and base is not None and not same(rule.kind, ours, base) and rule.flow is not Flow.THEIRS:
        return OUT
    return UNKNOWN


def _shows(kind: FieldKind, state: FieldState, theirs: Value) -> bool:
    return same(kind, theirs, state.base) or (state.shown is not None and same(kind, theirs, state.shown))


def _differing(rule: FieldRule, state: FieldState, ours: Value, theirs: Value) -> Merged:
    kind, base = rule.kind, state.base
    if rule.flow is Flow.OURS:
        merged = OUT
    elif rule.flow is Flow.THEIRS:
        if base is not None and _shows(kind, state, theirs):
            return IGNORED
        merged = IN
    elif base is None:
        # Nothing was agreed yet: who has nothing takes what the other has.
        if ours != EMPTY and theirs != EMPTY:
            return Merged(Outcome.CONFLICT, Why.NEVER_AGREED)
        merged = IN if ours == EMPTY else OUT
    elif _shows(kind, state, theirs):
        merged = OUT
    elif same(kind, ours, base):
        merged = IN
    else:
        return Merged(Outcome.CONFLICT, Why.BOTH_CHANGED)
    after = ours if merged is OUT else theirs
    if swings(rule, ours, theirs) and not (state.approved is not None and same(kind, state.approved, after)):
        return Merged(Outcome.CONFLICT, Why.SWING_OUT if merged is OUT else Why.SWING_IN)
    return merged


def swings(rule: FieldRule, one: Value, other: Value) -> bool:
    """Return whether a number would change by more than the limit, seen from the smaller one.

    So a price that falls to a tenth is as suspicious as one that rises tenfold. From or to nothing is always a swing.
    """
    if rule.swing_percent is None:
        return False
    first, second = amount(rule.kind, one), amount(rule.kind, other)
    if first is None or second is None:
        return False
    low, high = sorted((abs(first), abs(second)))
    return high > low * (1 + rule.swing_percent / 100)


# ---- what happens to a state -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """What the channel told of a field. `read_at`: our clock, before it was asked (a webhook: when it was made, as far as is
    known). `changed_at`: when it says the listing changed last, by its own clock."""

    value: Value
    read_at: datetime
    changed_at: datetime | None = None


def take_reading(kind: FieldKind, state: FieldState, reading: Reading, settling: timedelta) -> FieldState:
    """Return the state after a reading; the same state where it is old, repeated or crossed a write of ours.

    `settling`: how long after its acknowledgement a write may take to show.
    """
    if reading.value is None or state.sending or _is_old(state, reading):
        return state
    if state.pushed_at is not None:
        if reading.read_at < state.pushed_at:
            return state
        unsettled = reading.read_at < state.pushed_at + settling
        if unsettled and state.before is not None and same(kind, reading.value, state.before):
            return state
    shown = state.shown
    if state.awaits_echo and not same(kind, reading.value, state.base):
        shown = reading.value if shown_as(kind, state.base, reading.value) else None
    after = replace(
        state,
        theirs=reading.value,
        theirs_at=reading.changed_at or state.theirs_at,
        read_at=reading.read_at,
        shown=shown,
    )
    if state.sent is not None and same(kind, reading.value, state.sent):
        # A write whose answer was lost has come through.
        return replace(after, base=state.sent, sent=None, shown=None)
    moved = kind is not FieldKind.IMAGES and (state.theirs is None or not same(kind, reading.value, state.theirs))
    if state.sent is not None and moved and shown_as(kind, state.sent, reading.value):
        # So it has, and the channel shows it in a way of its own. (Pictures are told by what they were made from.)
        return replace(after, base=state.sent, sent=None, shown=reading.value)
    return after


def _is_old(state: FieldState, reading: Reading) -> bool:
    if reading.changed_at is not None and state.theirs_at is not None and reading.changed_at != state.theirs_at:
        return reading.changed_at < state.theirs_at
    return state.read_at is not None and reading.read_at < state.read_at


def agreed(state: FieldState, ours: Value) -> FieldState:
    """Both sides say the same: that is the base from now on."""
    if state.base == ours and state.approved is None:
        return state
    return replace(state, base=ours, approved=None)


def taken_in(state: FieldState) -> FieldState:
    """Theirs was written into the catalog."""
    return replace(state, base=state.theirs, shown=None, approved=None)


def sending(state: FieldState, value: Value, now: datetime) -> FieldState:
    """A write of this value begins."""
    return replace(state, sent=value, sent_at=now)


def acknowledged(state: FieldState, now: datetime, changed_at: datetime | None = None) -> FieldState:
    """The channel took the write: that is agreed, and shows soon."""
    return replace(
        state,
        base=state.sent, theirs=state.sent, before=state.theirs, pushed_at=now, shown=None, sent=None, sent_at=None,
        approved=None, theirs_at=changed_at or state.theirs_at,
    )  # fmt: skip


def not_written(state: FieldState) -> FieldState:
    """The channel did certainly not take the write."""
    return replace(state, sent=None, sent_at=None)


def lost(state: FieldState) -> FieldState:
    """Nobody knows whether the channel took the write: should a reading show what was sent, that was us."""
    return replace(state, sent_at=None)


# ---- decisions ---------------------------------------------------------------------------------------------


class Side(StrEnum):
    """What was chosen in a conflict."""

    OURS = "ours"
    THEIRS = "theirs"
    VALUE = "value"
    """Another value for both: merged, averaged or entered."""
    APART = "apart"
    """Theirs stays on this channel, ours everywhere else."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A state after a decision. `ours`: what our side becomes (the same where it stays). `override`: for this channel only."""

    state: FieldState
    ours: Value
    override: bool = False


def resolve(kind: FieldKind, state: FieldState, ours: Value, side: Side, value: Value = None) -> Resolved:
    """Return what a decision makes of a state; the next merge then does what follows from it."""
    if side is Side.VALUE:
        if same(kind, value, ours):
            side = Side.OURS
        elif same(kind, value, state.theirs):
            side = Side.THEIRS
    if side is Side.OURS:
        return Resolved(replace(state, base=state.theirs, shown=None, approved=ours), ours)
    if side is Side.THEIRS:
        return Resolved(replace(state, base=ours, shown=None, approved=state.theirs), ours)
    if side is Side.APART:
        return Resolved(replace(state, base=state.theirs, shown=None, approved=None), state.theirs, override=True)
    return Resolved(replace(state, base=state.theirs, shown=None, approved=value), value)
