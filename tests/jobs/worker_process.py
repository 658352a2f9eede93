"""A worker in a process of its own, for tests that kill it: `python -m tests.jobs.worker_process URL [pause-at]`.

Its one kind of job adds a line per step to `outbox` (any table would do) and pauses for ever before the step `pause-at`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from entrepot.database.pool import Database
from entrepot.jobs.facade import JobKind, JobRun
from entrepot.jobs.runner import JobRunner, JobSettings

STEPS = 6
QUICK = JobSettings(heartbeat_timeout_s=1.0, backoff_s=0.01)


class Count(msgspec.Struct):
    """How far to count."""

    steps: int = STEPS


COUNT = JobKind("test-count", "Counting", Count)


def counting(pause_at: int | None = None) -> Any:
    """Return a handler that writes one line per step, each once however often it is run."""

    async def count(run: JobRun[Count]) -> Mapping[str, Any]:
        start = (run.checkpoint or {"next": 0})["next"]
        for number in range(start, run.payload.steps):
            if number == pause_at:
                await asyncio.Event().wait()
            async with run.step() as step:
                await step.tx.execute(
                    "insert into outbox (organisation_id, topic, payload) values ($1, 'count', $2)",
                    run.organisation_id,
                    number,
                )
                step.done, step.total, step.words = number + 1, run.payload.steps, f"{number + 1} counted"
                step.checkpoint = {"next": number + 1}
        return {"counted": run.payload.steps}

    return count


async def main(url: str, pause_at: int | None) -> None:
    database = await Database.connect(url)
    await JobRunner(database, {COUNT: counting(pause_at)}, settings=QUICK).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
