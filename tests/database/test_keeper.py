"""The keeper by itself: a program never outlives who wanted it, however either of them ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

Keep = Callable[..., "subprocess.Popen[bytes]"]
WAIT_S = 30.0


@pytest.fixture
def keep() -> Iterator[Keep]:
    """Starts the keeper with options and a program for the shell."""
    started: list[subprocess.Popen[bytes]] = []

    def start(script: str, *options: str, program: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        words = program or ("sh", "-c", script)
        keeper = subprocess.Popen(
            [sys.executable, "-m", "entrepot.database.keeper", *options, "--", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        started.append(keeper)
        return keeper

    yield start
    for keeper in started:
        keeper.kill()
        keeper.wait()
        for stream in (keeper.stdin, keeper.stdout, keeper.stderr):
            if stream and not stream.closed:
                stream.close()


def pid_of(keeper: subprocess.Popen[bytes]) -> int:
    """Return the program's process, as the keeper tells it in its first line."""
    assert keeper.stdout
    return int(keeper.stdout.readline())


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_it_ends_as_its_program_does(keep: Keep) -> None:
    assert keep("exit 7").wait(WAIT_S) == 7
    assert keep("kill -KILL $$").wait(WAIT_S) == 128 + 9
    assert keep("exit 0").wait(WAIT_S) == 0


def test_a_program_that_is_not_there_is_said(keep: Keep) -> None:
    keeper = keep("", program=("/nowhere/postgres",))
    assert keeper.wait(WAIT_S) == 127
    assert keeper.stderr
    assert b"could not run /nowhere/postgres" in keeper.stderr.read()


def test_the_program_gets_its_folder_its_variables_and_no_input(keep: Keep, tmp_path: Path) -> None:
    keeper = keep('pwd >told; echo "$COLOUR" >>told; cat >>told', "--cwd", str(tmp_path), "--env", "COLOUR=a=b")
    assert keeper.wait(WAIT_S) == 0, "its input is at its end at once"
    assert (tmp_path / "told").read_text().split() == [str(tmp_path), "a=b"]


@pytest.mark.parametrize("how", ["the hub is gone", "it is told to stop"])
@pytest.mark.parametrize(("name", "asked"), [("TERM", ()), ("INT", ("--stop-signal", "SIGINT"))])
def test_the_program_is_asked_to_stop(keep: Keep, tmp_path: Path, how: str, name: str, asked: tuple[str, ...]) -> None:
    ready = tmp_path / "ready"
    keeper = keep(f'trap "exit 5" {name}; >"{ready}"; while :; do sleep 0.05; done', *asked)
    until(ready.exists)
    if how == "the hub is gone":
        assert keeper.stdin
        keeper.stdin.close()
    else:
        keeper.send_signal(signal.SIGTERM)
    assert keeper.wait(WAIT_S) == 5


def test_the_end_of_a_terminal_is_not_its_end(keep: Keep) -> None:
    keeper = keep("sleep 0.4; exit 3")
    pid_of(keeper)
    keeper.send_signal(signal.SIGHUP)
    assert keeper.wait(WAIT_S) == 3


def test_who_does_not_stop_is_made_to_with_all_that_it_started(keep: Keep, tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = (
        f'trap "" TERM QUIT; sh -c \'trap "" TERM QUIT; echo $$ >"{child}"; sleep 600\' & while :; do sleep 1; done'
    )
    keeper = keep(script, "--grace-s", "0.2")
    pid = pid_of(keeper)
    until(lambda: child.exists() and bool(child.read_text().strip()))
    assert keeper.stdin
    keeper.stdin.close()
    assert keeper.wait(WAIT_S) == 128 + 9
    until(lambda: not lives(pid) and not lives(int(child.read_text())))


def test_what_a_program_leaves_behind_ends_with_it(keep: Keep, tmp_path: Path) -> None:
    child = tmp_path / "child"
    keeper = keep(f'sleep 600 & echo $! >"{child}"; exit 4')
    assert keeper.wait(WAIT_S) == 4
    until(lambda: not lives(int(child.read_text())))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a program of its parent's death")
def test_a_killed_keeper_takes_its_program_along(keep: Keep, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    keeper = keep(f'>"{ready}"; exec sleep 600')
    pid = pid_of(keeper)
    until(ready.exists)
    keeper.kill()
    keeper.wait(WAIT_S)
    try:
        until(lambda: not lives(pid))
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_the_program_is_another_user(keep: Keep) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        if not all(each.stat().st_mode & 0o001 for each in folder.parents):
            pytest.skip("that user cannot reach the folder")
        script = f"id -u >{folder}/told; id -g >>{folder}/told; id -G >>{folder}/told"
        assert keep(script, "--uid", "65534", "--gid", "65534").wait(WAIT_S) == 0
        assert (folder / "told").read_text().split() == ["65534", "65534", "65534"]
