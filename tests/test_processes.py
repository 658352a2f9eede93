"""The supervisor with tiny commands in place of the hub's."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from entrepot.processes import Command, NotReady, PortInUse, Supervisor, check_port

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable, "-S", "-c",
    "import signal, time\n"
    "for n in (signal.SIGTERM, signal.SIGQUIT): signal.signal(n, signal.SIG_IGN)\n"
    "print('deaf', flush=True)\ntime.sleep(600)",
]  # fmt: skip
WITH_CHILD = [
    sys.executable, "-S", "-c",
    "import subprocess, sys, time\n"
    "print(subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)']).pid, flush=True)\n"
    "time.sleep(600)",
]  # fmt: skip


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(condition: Callable[[], bool], timeout_s: float = 60) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


async def test_a_command_that_dies_is_started_again(tmp_path: Path) -> None:
    sentences: list[str] = []
    supervisor = Supervisor(tmp_path, report=sentences.append)
    await supervisor.start(Command("sleeper", SLEEP))
    first = supervisor.pids()["sleeper"]
    watching = asyncio.create_task(supervisor.watch())
    os.kill(first, signal.SIGKILL)
    assert await asyncio.to_thread(until, lambda: supervisor.restarts() == {"sleeper": 1})
    second = supervisor.pids()["sleeper"]
    assert second != first
    assert sentences == ["sleeper stopped (it wrote nothing); starting it again in 0.5 s."]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await supervisor.stop()
    assert gone(second)


async def test_stopping_takes_the_deaf_and_the_grandchildren_too(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, grace_s=0.5)
    await supervisor.start(Command("deaf", STUBBORN))
    await supervisor.start(Command("parent", WITH_CHILD))
    logs = [supervisor.log_of(name) for name in ("deaf", "parent")]
    assert await asyncio.to_thread(until, lambda: all(log.read_text().strip() for log in logs))
    pids = [*supervisor.pids().values(), int(logs[1].read_text())]
    await supervisor.stop()
    assert [pid for pid in pids if not await asyncio.to_thread(until, lambda pid=pid: gone(pid), 10)] == []


async def test_a_command_that_cannot_start_says_its_last_line(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    failing = [sys.executable, "-S", "-c", "print('no luck today'); raise SystemExit(3)"]
    with pytest.raises(NotReady, match=r"^failing ended at once \(no luck today\)\.$"):
        await supervisor.start(Command("failing", failing, ready=never))
    with pytest.raises(NotReady, match="slow was not ready within 0 s"):
        await supervisor.start(Command("slow", SLEEP, ready=never), timeout_s=0.1)
    await supervisor.stop()


async def never() -> bool:
    return False


def test_commands_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom entrepot.processes import Command, Supervisor\n"
        "async def main():\n"
        f"    s = Supervisor(Path({str(tmp_path)!r}))\n"
        f"    await s.start(Command('sleeper', {SLEEP!r}))\n"
        "    print(s.pids()['sleeper'], flush=True)\n    await s.watch()\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as hub:
        assert hub.stdout is not None
        pid = int(hub.stdout.readline())
        assert not gone(pid)
        hub.kill()
    assert until(lambda: gone(pid))


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"^Port {port} on 127.0.0.1 is in use by another program: stop that one"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)
