"""A hub and two channels that tell of every write, people who edit on all sides, and a network that loses, delays, repeats
and reorders: the rules of the merge run through it, seeded."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from entrepot.sync.merge.policies import HUB, Policy, Question, Source, decide
from entrepot.sync.merge.rules import (
    FieldRule,
    FieldState,
    Outcome,
    Reading,
    Side,
    acknowledged,
    agreed,
    lost,
    merge,
    not_written,
    resolve,
    sending,
    take_reading,
    taken_in,
)
from entrepot.sync.merge.values import FieldKind

START = datetime(2030, 1, 1, tzinfo=UTC)
RULE = FieldRule(FieldKind.TEXT)
PRIORITY = {HUB: 100, "alpha": 80, "beta": 70}
NO_TIME = timedelta(0)
Choose = Callable[["World", Question], tuple[Side, str]]


@dataclass
class Channel:
    """A channel: what it shows since when, what it has to tell, and what the hub knows of it."""

    name: str
    shows: str
    changed_at: datetime
    told: int = 0
    late: list[Reading] = field(default_factory=list)
    known: FieldState = field(default_factory=FieldState)
    writes: int = 0
    newest: datetime = START
    """When what came in last from here was made."""


@dataclass
class World:
    """All of it. `people`: who decides where no policy does; None: the policy must."""

    seed: int
    policy: Policy = Policy.LAST_WRITE
    unique: bool = True
    """Every edit makes a value that never was before."""
    races: bool = False
    """People may edit in the moment between the hub's look and its write."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.now = START
        self.edits: list[tuple[datetime, str]] = [(START, "v0")]
        self.ours, self.ours_at, self.ours_by = "v0", START, HUB
        self.channels = [Channel(name, "v0", START) for name in ("alpha", "beta")]
        for channel in self.channels:
            channel.known = FieldState(base="v0", theirs="v0", theirs_at=START, read_at=START)

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def new_value(self) -> str:
        value = f"v{len(self.edits)}" if self.unique else f"v{self.chance.randrange(4)}"
        self.edits.append((self.tick(), value))
        return value

    # ---- what happens

    def edit_hub(self) -> None:
        value = self.new_value()
        self.ours, self.ours_at, self.ours_by = value, self.now, HUB

    def edit_channel(self, channel: Channel) -> None:
        value = self.new_value()
        channel.shows, channel.changed_at = value, self.now
        channel.told += 1

    def read(self, channel: Channel) -> Reading:
        return Reading(channel.shows, self.tick(), channel.changed_at)

    def take(self, channel: Channel, reading: Reading) -> None:
        channel.known = take_reading(RULE.kind, channel.known, reading, NO_TIME)

    def merge(self, channel: Channel) -> bool:
        """Merge and do what follows on our side; return whether a write is due."""
        for _ in range(3):
            outcome = merge(RULE, channel.known, self.ours).outcome
            if outcome is Outcome.CONFLICT:
                self.decide(channel)
                continue
            if outcome is Outcome.IN:
                self.ours, self.ours_by = channel.known.theirs, channel.name
                self.ours_at = channel.known.theirs_at or self.now
                assert self.ours_at >= channel.newest, f"seed {self.seed}: what was told late undid what was known"
                channel.newest = self.ours_at
                channel.known = taken_in(channel.known)
            elif outcome is Outcome.AGREED:
                channel.known = agreed(channel.known, self.ours)
            return outcome is Outcome.OUT
        raise AssertionError("a decision does not end a conflict")

    def decide(self, channel: Channel) -> None:
        question = Question(
            RULE.kind,
            channel.known.base,
            Source(self.ours_by, self.ours, self.ours_at, PRIORITY[self.ours_by]),
            Source(channel.name, channel.known.theirs, channel.known.theirs_at, PRIORITY[channel.name]),
        )
        answer = decide(self.policy, question)
        if answer is None:
            side = self.chance.choice((Side.OURS, Side.THEIRS, Side.VALUE))
            value = self.new_value() if side is Side.VALUE else None
        else:
            side, value = answer.side, answer.value
        resolved = resolve(RULE.kind, channel.known, self.ours, side, value)
        channel.known = resolved.state
        if resolved.ours != self.ours:
            self.ours, self.ours_at, self.ours_by = resolved.ours, self.now, HUB

    def write(self, channel: Channel, fault: str = "") -> bool:
        """The write lane: look, merge, write; return whether anything was sent."""
        self.take(channel, self.read(channel))
        if not self.merge(channel):
            return False
        value = self.ours
        channel.known = sending(channel.known, value, self.tick())
        if self.races and self.chance.random() < 0.1:
            self.edit_channel(channel)
        channel.writes += 1
        if fault not in ("busy", "dropped"):
            channel.shows, channel.changed_at = value, self.tick()
            channel.told += 1
        if fault == "busy":
            channel.known = not_written(channel.known)
        elif fault:
            channel.known = lost(channel.known)
        else:
            channel.known = acknowledged(channel.known, self.tick())
            channel.newest = max(channel.newest, self.ours_at)
        return True

    def step(self) -> None:
        """One random thing happens."""
        channel = self.chance.choice(self.channels)
        happens = self.chance.randrange(10)
        if happens == 0:
            self.edit_hub()
        elif happens == 1:
            self.edit_channel(channel)
        elif happens == 2:
            channel.late.append(self.read(channel))
        elif happens in (3, 4) and channel.late:
            # In any order, perhaps twice, perhaps never.
            reading = self.chance.choice(channel.late)
            if self.chance.random() < 0.7:
                channel.late.remove(reading)
            if self.chance.random() < 0.9:
                self.take(channel, reading)
        elif happens == 5 and channel.told:
            channel.told -= self.chance.randrange(2)
            if self.chance.random() < 0.8:
                self.take(channel, self.read(channel))
        elif happens in (6, 7):
            self.merge(channel)
        else:
            self.write(channel, self.chance.choice(("", "", "", "busy", "dropped", "lost")))

    def settle(self) -> int:
        """Let everything be told and done; return how many writes that took. Every write is told again, and must end."""
        before = sum(c.writes for c in self.channels)
        for _ in range(12):
            moved = False
            for channel in self.channels:
                while channel.late:
                    self.take(channel, channel.late.pop(self.chance.randrange(len(channel.late))))
                channel.told = 0
                moved = self.write(channel) or moved
                moved = moved or channel.told > 0
            if not moved and all(c.shows == self.ours for c in self.channels):
                return sum(c.writes for c in self.channels) - before
        raise AssertionError(f"seed {self.seed}: it never comes to rest: {self}")


def run(seed: int, policy: Policy, *, unique: bool = True, races: bool = False, steps: int = 40) -> World:
    """Run one world to its end and check what must hold of every one."""
    world = World(seed, policy, unique, races)
    for _ in range(world.chance.randrange(steps)):
        world.step()
    world.settle()
    shown = {world.ours, *(c.shows for c in world.channels)}
    assert len(shown) == 1, f"seed {seed}: {shown}"
    for channel in world.channels:
        assert merge(RULE, channel.known, world.ours).outcome is Outcome.AGREED, f"seed {seed}"
        # Told again, however often: nothing follows.
        writes = channel.writes
        for _ in range(3):
            world.write(channel)
        assert channel.writes == writes, f"seed {seed}: an echo was answered"
    if policy is Policy.LAST_WRITE and unique and not races:
        assert world.ours == max(world.edits)[1], f"seed {seed}: not the last edit"
    return world
