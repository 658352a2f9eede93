"""Delivers webhooks as the real channels do: at least once, with retries, and with the faults that are switched on."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from entrepot_sandbox.books import World
from entrepot_sandbox.faults import Faults
from entrepot_sandbox.journal import HookAnswered, HookFault, OrderTold, ToldBy
from entrepot_sandbox.marketplace import Hook
from entrepot_sandbox.poster import Poster

AT_ONCE = 4
"""How many deliveries of one subscription are under way at the same time."""


class Deliverer:
    """Sends hooks in the background. `pending` counts those neither acknowledged, lost nor given up."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world, self._faults = world, faults
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._poster = Poster()

    @property
    def pending(self) -> int:
        """How many deliveries are still to end."""
        return len(self._tasks)

    def publish(self, channel: str, hook: Hook) -> None:
        """Deliver the hook in the background, unless chance loses it."""
        profile, chance = self._faults.profile, self._faults.chance(channel)
        if chance.random() < profile.hook_lost:
            self._note_fault(channel, "lost", hook)
            return
        wait = 0.0
        if chance.random() < profile.hook_late:
            wait = chance.uniform(0, profile.hook_late_s)
            self._note_fault(channel, "late", hook)
        elif chance.random() < profile.hook_reordered:
            wait = chance.uniform(0.05, 0.8)
            self._note_fault(channel, "reordered", hook)
        self._start(channel, hook, wait)
        if chance.random() < profile.hook_doubled:
            self._note_fault(channel, "doubled", hook)
            self._start(channel, hook, wait + chance.uniform(0, 0.5))

    def _start(self, channel: str, hook: Hook, wait_s: float) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(channel, hook, wait_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, channel: str, hook: Hook, wait_s: float) -> None:
        """Send until acknowledged with 2xx or given up."""
        attempt = 1
        while True:
            if wait_s:
                await asyncio.sleep(wait_s)
            async with self._turns[f"{channel}/{hook.subscription_id}"]:
                status = await self._send(hook, attempt)
            now = self._world.clock.monotonic()
            self._world.journal.write(
                HookAnswered(
                    at=now,
                    channel=channel,
                    event_id=hook.event_id,
                    topic=hook.topic,
                    attempt=attempt,
                    status=status,
                )
            )
            if 200 <= status < 300:
                by = ToldBy.WEBHOOK if hook.whole else ToldBy.NOTICE
                for order_id, version in hook.tells:
                    self._world.journal.write(
                        OrderTold(at=now, channel=channel, order_id=order_id, version=version, by=by)
                    )
                return
            if attempt > len(hook.retry_after_s):
                return
            wait_s = self._world.clock.scaled(hook.retry_after_s[attempt - 1])
            attempt += 1

    async def _send(self, hook: Hook, attempt: int) -> int:
        """Send once and return the status, 0 where no answer came."""
        headers = {"content-type": "application/json", **hook.headers(attempt)}
        return await self._poster.post(hook.url, headers, hook.body, hook.timeout_s)

    def _note_fault(self, channel: str, fault: str, hook: Hook) -> None:
        self._world.journal.write(
            HookFault(at=self._world.clock.monotonic(), channel=channel, fault=fault, event_id=hook.event_id)
        )

    async def close(self) -> None:
        """Stop all deliveries."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._poster.close()
