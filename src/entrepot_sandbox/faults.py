"""What goes wrong on purpose: how often, and the middleware around all marketplaces that makes it so.

Every fault is journaled with the time in which the channel did not answer because of it, so that the judge can tell the
hub's fault from the channel's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrepot_sandbox.books import World
from entrepot_sandbox.journal import NotAnswering, OrderTold, Requested, ToldBy
from entrepot_sandbox.marketplace import CallNotes, Marketplace, Operation


class Level(StrEnum):
    """How much goes wrong."""

    NONE = "none"
    MILD = "mild"
    HARSH = "harsh"


@dataclass(frozen=True, slots=True)
class Profile:
    """Shares of requests or webhooks that meet a fault, and how long things take (real seconds)."""

    latency: float = 0.0
    latency_s: float = 0.0
    too_many: float = 0.0
    server_error: float = 0.0
    dropped: float = 0.0
    answer_lost: float = 0.0
    answer_lost_after_s: float = 0.5
    retry_after_s: float = 1.0
    outage_every_s: float = 0.0
    outage_s: float = 0.0
    hook_lost: float = 0.0
    hook_doubled: float = 0.0
    hook_late: float = 0.0
    hook_late_s: float = 0.0
    hook_reordered: float = 0.0
    skew_s: float = 0.0


PROFILES: Mapping[Level, Profile] = {
    Level.NONE: Profile(),
    Level.MILD: Profile(
        latency=0.05,
        latency_s=0.3,
        too_many=0.005,
        server_error=0.005,
        dropped=0.003,
        answer_lost=0.003,
        hook_lost=0.005,
        hook_doubled=0.02,
        hook_late=0.02,
        hook_late_s=3.0,
        hook_reordered=0.02,
    ),
    Level.HARSH: Profile(
        latency=0.15,
        latency_s=1.0,
        too_many=0.03,
        server_error=0.03,
        dropped=0.02,
        answer_lost=0.03,
        outage_every_s=25.0,
        outage_s=3.0,
        hook_lost=0.08,
        hook_doubled=0.08,
        hook_late=0.08,
        hook_late_s=10.0,
        hook_reordered=0.08,
        skew_s=4.0,
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen to one request: a delay first, then perhaps a fault by name (see `Faults.plan`)."""

    delay_s: float = 0.0
    fault: str = ""
    status: int = 0
    retry_after_s: float = 0.0
    lasts_s: float = 0.0
    """How long the channel will go on like that (an outage), whoever asks."""


class Faults:
    """Decides by seeded chance what goes wrong, per channel."""

    def __init__(self, world: World, channels: tuple[str, ...]) -> None:
        self._world = world
        self._chance: dict[str, random.Random] = {channel: world.random(f"faults/{channel}") for channel in channels}
        self._outage: dict[str, tuple[float, float]] = {}
        self.level = Level.NONE
        self.profile = PROFILES[Level.NONE]

    def use(self, level: Level) -> None:
        """Change the level; channel clocks become wrong (or right again) by a fixed amount each."""
        self.level, self.profile = level, PROFILES[level]
        for channel in self._chance:
            skew = self._world.random(f"skew/{channel}").uniform(-self.profile.skew_s, self.profile.skew_s)
            self._world.clock.skew(channel, skew)
        self._outage.clear()

    def chance(self, channel: str) -> random.Random:
        """Return the channel's source of chance for faults."""
        return self._chance[channel]

    def plan(self, channel: str) -> Plan:
        """Return what happens to the next request: "", outage, too_many, server_error, dropped or answer_lost."""
        profile, chance = self.profile, self._chance[channel]
        if self.level is Level.NONE:
            return Plan()
        left = self._outage_left(channel)
        if left > 0:
            return Plan(fault="outage", status=503, lasts_s=left)
        delay = chance.uniform(0, profile.latency_s) if chance.random() < profile.latency else 0.0
        roll = chance.random()
        for fault, share, status in (
            ("too_many", profile.too_many, 429),
            ("server_error", profile.server_error, chance.choice((500, 503))),
            ("dropped", profile.dropped, 0),
            ("answer_lost", profile.answer_lost, 0),
        ):
            if roll < share:
                wait = profile.retry_after_s if status == 429 else 0.0
                return Plan(delay, fault, status, wait)
            roll -= share
        return Plan(delay)

    def _outage_left(self, channel: str) -> float:
        """Return how long the channel's present outage lasts; begin one when its time has come."""
        if not self.profile.outage_every_s:
            return 0.0
        now, chance = self._world.clock.monotonic(), self._chance[channel]
        start, end = self._outage.get(channel, (0.0, 0.0))
        if not end or now >= end:
            start = now + chance.expovariate(1 / self.profile.outage_every_s)
            end = start + chance.uniform(0.5, 1.0) * self.profile.outage_s
            self._outage[channel] = (start, end)
        if now < start:
            return 0.0
        return end - now


class DroppedOnPurposeError(Exception):
    """The sandbox dropped the connection on purpose, and there was no socket to close."""


class Counter:
    """The middleware: every request to a marketplace passes here, meets its fault, and is journaled."""

    def __init__(self, app: ASGIApp, world: World, faults: Faults, markets: Mapping[str, Marketplace]) -> None:
        self._app, self._world, self._faults, self._markets = app, world, faults, markets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        market, rest = self._market(scope)
        if market is None:
            await self._app(scope, receive, send)
            return
        clock, operation = self._world.clock, market.operation(scope["method"], rest)
        started = clock.monotonic()
        plan = self._faults.plan(market.key)
        if plan.delay_s:
            await asyncio.sleep(plan.delay_s)
            self._blame(market.key, "latency", operation, started)
        watch = _Watch(send, self._date(market.key))
        if plan.fault in {"outage", "too_many", "server_error"}:
            await market.fault_answer(plan.status, plan.retry_after_s)(scope, receive, watch.send)
            self._blame(market.key, plan.fault, operation, started, max(plan.retry_after_s, plan.lasts_s))
        elif plan.fault == "dropped":
            self._blame(market.key, plan.fault, operation, started)
            _drop(scope)
        elif plan.fault == "answer_lost":
            await self._app(scope, receive, _discard)
            await asyncio.sleep(self._faults.profile.answer_lost_after_s)
            self._blame(market.key, plan.fault, operation, started)
            _drop(scope)
        else:
            notes = scope["sandbox.notes"] = CallNotes()
            await self._app(scope, receive, watch.send)
            if watch.finished and not _gone(scope):
                self._told(market.key, notes)
        now = clock.monotonic()
        self._world.journal.write(
            Requested(at=now, channel=market.key, operation=operation.name, status=watch.status, seconds=now - started)
        )

    def _market(self, scope: Scope) -> tuple[Marketplace | None, str]:
        if scope["type"] != "http":
            return None, ""
        _, _, tail = scope["path"].partition("/")
        key, _, rest = tail.partition("/")
        return self._markets.get(key), f"/{rest}"

    def _date(self, channel: str) -> str:
        return self._world.clock.now(channel).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def _blame(self, channel: str, fault: str, operation: Operation, since: float, more_s: float = 0.0) -> None:
        self._world.journal.write(
            NotAnswering(
                at=since,
                channel=channel,
                until=self._world.clock.monotonic() + more_s,
                fault=fault,
                operation=operation.name,
            )
        )

    def _told(self, channel: str, notes: CallNotes) -> None:
        at = self._world.clock.monotonic()
        for order_id, version in notes.tells:
            self._world.journal.write(
                OrderTold(at=at, channel=channel, order_id=order_id, version=version, by=ToldBy.ANSWER)
            )


class _Watch:
    """Passes an answer on, with the channel's own time in its Date header, and sees whether it went out whole."""

    def __init__(self, send: Send, date: str) -> None:
        self._send, self._date = send, date
        self.status = 0
        self.finished = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["date"] = self._date
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.finished = True


async def _discard(message: Message) -> None:
    """Take an answer and lose it."""


def _transport(scope: Scope) -> asyncio.Transport | None:
    transport: asyncio.Transport | None = scope.get("state", {}).get("transport")
    return transport


def _gone(scope: Scope) -> bool:
    transport = _transport(scope)
    return transport is not None and transport.is_closing()


def _drop(scope: Scope) -> None:
    """Close the connection without an answer. Raises DroppedOnPurposeError where there is no socket."""
    transport = _transport(scope)
    if transport is None:
        raise DroppedOnPurposeError
    transport.abort()
