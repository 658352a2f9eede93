"""What to write to a listing, and when not to. Pure: times and figures are arguments.

`expected` is what we believe the channel shows: the last acknowledged value, less the sales there that we know of, plus
what we wrote since. A write changes the channel by (to - expected); where the channel applies it as compare-and-set or
delta, a sale that we do not know yet stays in its books whatever we write. A channel that only takes absolute values
forgets such a sale, so raising there needs proof that there is none, or that it could do no harm. Decision record 0005.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from entrepot.channels.contract import QuantitySemantics


class Do(StrEnum):
    """What to do with a listing now."""

    NOTHING = "nothing"
    SEND = "send"
    WAIT = "wait"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A listing's figures. See the tables of this room."""

    desired: int | None
    expected: int | None
    published_at: datetime | None
    uncertain: bool = False
    raise_wanted_at: datetime | None = None
    gap: int | None = None
    """How much more it showed than expected when it was read, if that is not explained yet by sales and cancellations."""
    believed: bool = False
    """What we expect was read and not worked out, so a sale that we do not know yet may be in it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What matters besides the listing itself.

    `pool`: units available to sell. `others`: the most that all other listings of the variant may show together.
    `drained_at`: every sale that the channel made before then is known.
    """

    pool: int
    others: int
    drained_at: datetime | None
    now: datetime
    patience: timedelta
    settling: timedelta = timedelta(0)
    """How long after its acknowledgement a write may take effect there; also covers the error of clocks."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, the value to write for SEND, and why in words."""

    do: Do
    to: int = 0
    why: str = ""
    start: int | None = None
    """What it shows before, as far as we know, where it is written by the difference."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How many changes go together. `most`: in any call; `quick`: where the bulk way is not taken.

    `bulk_from`: so many go by the channel's bulk way; None: it has none. `lower_by_bulk_from`: so much lowering does.
    """

    most: int
    quick: int
    bulk_from: int | None
    lower_by_bulk_from: int


def decide(semantics: QuantitySemantics, figures: Quantity, around: Surroundings) -> Decision:
    """Return what to do with a listing whose figures are these."""
    if figures.desired is None:
        return Decision(Do.NOTHING)
    if figures.expected is None:
        return Decision(Do.CHECK, why="not known what the channel shows")
    absolute = semantics is QuantitySemantics.ABSOLUTE
    if not absolute:
        return _decide_difference(figures, figures.desired, figures.expected)
    # Nothing is offered below zero, so where values are set a listing expected there needs no raise to zero.
    shows = max(0, figures.expected)
    if (figures.gap or figures.believed) and not figures.uncertain and figures.desired > shows:
        return Decision(Do.WAIT, figures.desired, "a raise waits until what it shows is explained")
    return _decide_absolute(figures, figures.desired, shows, around)


def _decide_difference(figures: Quantity, desired: int, expected: int) -> Decision:
    """Write by the difference from what it shows, so that what we do not know yet stays in the channel's books.

    If it shows less than expected, (desired - expected) is applied to that: what is missing sold. If it shows more, it is set to
    what is wanted: whatever explains that, nobody may buy so much. What we expect keeps the gap until it is explained.
    """
    gap = figures.gap or 0
    start, to = expected + gap, max(0, desired + min(gap, 0))
    if to == start:
        same = desired == expected
        return Decision(Do.NOTHING) if same else Decision(Do.WAIT, to, "it shows what it shall; looked into")
    if gap and start < to <= 0:
        # Nothing is on sale below zero: a raise to zero gains nothing, and would offer units if it shows more than we think.
        return Decision(Do.WAIT, to, "it shows less than nothing; looked into")
    if figures.believed and to > start:
        # A sale that is in what it showed is not in what we want yet: by so much the raise would be too high.
        return Decision(Do.WAIT, to, "a raise waits until what it shows is explained")
    return Decision(Do.SEND, to, start=start)


def _decide_absolute(figures: Quantity, desired: int, expected: int, around: Surroundings) -> Decision:
    if figures.uncertain or desired < expected:
        # Never above what is certain to be there at most, so this write cannot bring a sold unit back.
        return Decision(Do.SEND, min(desired, expected))
    if desired == expected:
        return Decision(Do.NOTHING)
    drained, last = around.drained_at, figures.published_at
    settled = last is None or (drained is not None and drained >= last + around.settling)
    if settled and expected == 0:
        return Decision(Do.SEND, desired, "sold out there and every sale is known")
    if settled and around.others + expected + desired <= around.pool:
        return Decision(Do.SEND, desired, "enough stock for every sale that could be unknown")
    since = figures.raise_wanted_at or around.now
    if expected > 0 and around.now - since >= around.patience:
        return Decision(Do.SEND, 0, "closed for a moment, so that it can be raised safely")
    return Decision(Do.WAIT, desired, "a raise waits until no sale can be unknown")


def next_batch(lowering: int, raising: int, limits: BatchLimits) -> slice:
    """Return which of the changes that are due, most urgent first (lowering before raising), go in the next call.

    A channel's bulk way takes minutes, in which a listing that shows too much may oversell: lowering goes the quick way,
    however many there are, until even that would take as long. Then the tail goes in bulk and the head follows at once.
    """
    total = lowering + raising
    if limits.bulk_from is None or total <= limits.quick:
        return slice(0, total)
    if not lowering and raising >= limits.bulk_from:
        return slice(0, limits.most)
    tail = limits.bulk_from
    if lowering >= limits.lower_by_bulk_from and lowering - tail >= limits.bulk_from:
        return slice(tail, min(lowering, tail + limits.most))
    return slice(0, limits.quick)


def backoff_s(failures: int, chance: float, *, first_s: float = 0.1, most_s: float = 5.0) -> float:
    """Return seconds to wait after so many failures in a row (1 or more); `chance` in [0, 1) spreads callers."""
    return min(most_s, first_s * 2.0 ** min(failures - 1, 20)) * (0.5 + chance / 2)


def rest_s(failing_s: float, chance: float, *, least_s: float = 0.1, most_s: float = 5.0) -> float:
    """Return seconds to leave a channel alone that has failed for so long; `chance` in [0, 1) spreads callers.

    A quarter of the time so far: what comes back after a short trouble is noticed at once, a long outage sees few calls.
    """
    return min(most_s, max(least_s, failing_s / 4)) * (0.75 + chance / 2)


@dataclass(frozen=True, slots=True)
class SwingLimit:
    """Which change of a quantity is a swing: at least so many units, and more than this share of the larger figure."""

    units: int = 20
    share: float = 0.5

    def is_met(self, before: int, after: int) -> bool:
        """Return whether a quantity that goes from one figure to the other swings."""
        change = abs(after - before)
        return change >= self.units and change > self.share * max(abs(before), abs(after))


def gap_is_drift(gap: int, gap_before: int | None, gap_before_at: datetime | None, drained_at: datetime | None) -> bool:
    """Return whether a difference between the channel and us is real.

    It is, if it was the same at an earlier reading and every sale before that reading has been seen since: then no sale
    explains it.
    """
    return gap == gap_before and gap_before_at is not None and drained_at is not None and drained_at >= gap_before_at
