"""`entrepot up` as a person uses it: started, signed in to, stopped with Ctrl C, started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from entrepot.database.embedded_program import temporary_data_dir
from entrepot.processes import free_port

START_MAX_S = 240
LINK = re.compile(r"Sign in, once, within an hour: (http://127\.0\.0\.1:\d+)(/sign-in/\S+)")

pytestmark = pytest.mark.slow


def environment() -> dict[str, str]:
    """This process's environment without what would change the hub's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ENTREPOT_", "DATABASE_URL"))}
    return {**kept, "PYTHONPATH": ":".join(sys.path), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}


def argv_of(data_dir: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "entrepot", "up", "--no-demo", "--port", str(port), "--data-dir", str(data_dir)]


def refused(data_dir: Path, port: int) -> str:
    """Start a hub that cannot start; return the one sentence that it says."""
    done = subprocess.run(
        argv_of(data_dir, port), env=environment(), capture_output=True, text=True, timeout=START_MAX_S
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr.strip()


def processes_of(data_dir: Path) -> set[int]:
    """The processes that were started for this data directory: its name is in their command or environment."""
    found = set()
    mark = str(data_dir).encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            if mark in (folder / "cmdline").read_bytes() or mark in (folder / "environ").read_bytes():
                found.add(int(folder.name))
    return found


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with temporary_data_dir("entrepot-up-") as folder:
        yield folder


@contextmanager
def running(data_dir: Path, port: int, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A hub that has said where it is, and what it said so far; killed if it is still there at the end."""
    with (
        log.open("wb") as out,
        # Who runs the tests in the background may have Ctrl C ignored, which children inherit.
        subprocess.Popen(
            argv_of(data_dir, port),
            env=environment(),
            stdout=out,
            stderr=out,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as hub,
    ):
        try:
            deadline_s = time.monotonic() + START_MAX_S
            while not LINK.search(log.read_text()):
                assert hub.poll() is None, log.read_text()
                assert time.monotonic() < deadline_s, log.read_text()
                time.sleep(0.1)
            yield hub, log.read_text()
        finally:
            if hub.poll() is None:
                hub.kill()


def stop_with_ctrl_c(hub: subprocess.Popen[bytes], data_dir: Path, log: Path) -> None:
    assert len(processes_of(data_dir)) >= 4, "hub, database, web server and worker"
    hub.send_signal(signal.SIGINT)
    assert hub.wait(60) == 0, log.read_text()
    assert log.read_text().rstrip().endswith("Stopped. Nothing is left running.")
    assert processes_of(data_dir) == set()


def sign_in(address: str, path: str) -> httpx.Response:
    with httpx.Client(base_url=address, follow_redirects=True, trust_env=False, timeout=30) as browser:
        return browser.get(path)


def test_up_runs_signs_in_refuses_a_second_hub_and_leaves_nothing_behind(data_dir: Path, tmp_path: Path) -> None:
    port = free_port()
    with running(data_dir, port, tmp_path / "first.log") as (hub, said):
        match = LINK.search(said)
        assert match is not None
        address, path = match.groups()
        assert address == f"http://127.0.0.1:{port}"
        assert httpx.get(f"{address}/api/health", trust_env=False, timeout=30).status_code == 200

        first, second = sign_in(address, path), sign_in(address, path)
        assert (first.status_code, first.url.path) == (200, "/")
        assert second.url.path != "/" or second.status_code >= 400

        assert refused(data_dir, port).startswith(f"Port {port} on 127.0.0.1 is in use by another program")
        assert refused(data_dir, free_port()).startswith(f"Another hub (process {hub.pid})")
        assert httpx.get(f"{address}/api/health", trust_env=False, timeout=30).status_code == 200
        stop_with_ctrl_c(hub, data_dir, tmp_path / "first.log")

    with running(data_dir, port, tmp_path / "second.log") as (hub, said):
        match = LINK.search(said)
        assert match is not None
        again = sign_in(address, path)
        assert again.url.path != "/" or again.status_code >= 400, "a used link stays used"
        assert sign_in(*match.groups()).url.path == "/"
        stop_with_ctrl_c(hub, data_dir, tmp_path / "second.log")
