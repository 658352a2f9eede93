"""Replays past orders in a process of its own, so that a worker goes on selling meanwhile.

It is told what to do in the first line of its input (JSON, `Task`), the rest is a file of orders; it answers in lines of JSON
(`Told`). It ends when nobody listens any more.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, BinaryIO
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from entrepot.allocation.contracts import Policy
from entrepot.allocation.location_choices import Placing
from entrepot.allocation.order_file import Orders, read_stream
from entrepot.allocation.replay_locations import Arrangement, Location
from entrepot.allocation.simulate import Goods, Plan, Replay, Selling, Stocking, Tally
from entrepot.kernel.errors import InvalidInput

TELL_EVERY_S = 0.3
NICE = 10


class Trial(msgspec.Struct, frozen=True):
    """One policy at one lag (seconds), with one choice of locations (None: it is not asked which units are where)."""

    strategy: str
    parameters: dict[str, Any]
    lag_s: float
    placing: Placing | None = None


class Channel(msgspec.Struct, frozen=True):
    """A channel that sells: its share if one is set, and the units kept back from it."""

    name: str
    share: str | None = None
    buffer: int = 0


class Task(msgspec.Struct, frozen=True):
    """What to replay. `channels`: in order of priority; empty: those of the file, by sales. `skip`: trials done already."""

    name: str
    form: str
    trials: list[Trial]
    skip: int = 0
    channels: list[Channel] = []
    shares: dict[str, float] = {}
    seed: int = 1
    cover_days: float = 28.0
    every_days: float = 42.0
    margin: float = 0.3
    oversell_cost: float = 10.0
    kept: dict[str, float] = {}
    goods: dict[str, tuple[UUID, list[str]]] = {}
    """By SKU its product and that one's tags, as far as rules ask for them."""
    zone: str = "UTC"
    """Where the shop's hours are meant."""
    locations: list[Location] = []
    """In order of priority."""
    units: dict[str, list[int]] = {}
    """By SKU the units at each location."""


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is told: what was read (`found`), how far it is (`trial`, `skus`), what a trial came to, what is wrong, the end."""

    found: dict[str, Any] | None = None
    trial: int = 0
    skus: int = 0
    tally: dict[str, float] | None = None
    wrong: str = ""
    end: bool = False


def main() -> None:
    """Do one task from the standard input."""
    os.nice(NICE)
    try:
        _work(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        # Whoever asked is gone. Nothing is to be flushed to it either.
        os._exit(1)


def _work(source: BinaryIO, target: BinaryIO) -> None:
    def tell(told: Told) -> None:
        target.write(msgspec.json.encode(told) + b"\n")
        target.flush()

    task = msgspec.json.decode(source.readline(), type=Task)
    try:
        orders = read_stream(source, task.name, task.form, task.shares, seed=task.seed)
    except InvalidInput as error:
        tell(Told(wrong=error.detail))
        return
    past = Replay(orders.lines, ZoneInfo(task.zone))
    names = _names(task, orders)
    tell(Told(found=_found(orders, past, names)))
    for number, trial in enumerate(task.trials):
        if number >= task.skip:
            tally = _try(task, trial, past, names, lambda skus, n=number: tell(Told(trial=n, skus=skus)))
            tell(Told(trial=number, skus=past.skus, tally={k: round(v, 2) for k, v in asdict(tally).items()}))
    tell(Told(end=True))


def _names(task: Task, orders: Orders) -> Sequence[str]:
    """Return the channels in order of priority: as told, then those that only the orders name."""
    told = [channel.name for channel in task.channels]
    return [*told, *(name for name in orders.channels if name not in told)]


def _found(orders: Orders, past: Replay, names: Sequence[str]) -> dict[str, Any]:
    return {
        "lines": len(orders.lines),
        "left_out": orders.left_out,
        "skus": past.skus,
        "channels": list(names),
        "assigned": orders.assigned,
        "first_s": past.first_s,
        "last_s": past.last_s,
    }


def _try(task: Task, trial: Trial, past: Replay, names: Sequence[str], tell: Any) -> Tally:
    selling: Mapping[str, Selling] = {
        channel.name: Selling(None if channel.share is None else Decimal(channel.share), channel.buffer)
        for channel in task.channels
    }
    plan = Plan(
        Policy(trial.strategy, trial.parameters), trial.lag_s, Stocking(task.cover_days, task.every_days), task.margin,
        task.oversell_cost, selling, task.kept,
        {sku: Goods(product_id, frozenset(tags)) for sku, (product_id, tags) in task.goods.items()},
        _arrangement(task, trial.placing),
    )  # fmt: skip
    told_at, tally = time.monotonic(), Tally()
    for skus, tally in enumerate(past.steps(plan, names), start=1):  # noqa: B007 (the last one is the sum)
        if time.monotonic() - told_at > TELL_EVERY_S:
            tell(skus)
            told_at = time.monotonic()
    return tally


def _arrangement(task: Task, placing: Placing | None) -> Arrangement | None:
    if placing is None:
        return None
    return Arrangement(task.locations, task.units, frozenset(placing.left_out), placing.moves, placing.nearest)


if __name__ == "__main__":
    main()
