"""The embedded server against kill -9 of everything, two hubs on one folder, and damage."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from entrepot.database.embedded import EmbeddedServer, answers
from entrepot.database.embedded_failures import DamagedData
from entrepot.database.embedded_lock import DataDirectoryInUse, announced_url
from entrepot.database.embedded_orphans import clear_orphans, processes_on
from entrepot.database.embedded_program import DiskFull, find_place, server_user

HUB = Path(__file__).with_name("hub_stand_in.py")


def until(condition: Callable[[], bool], timeout_s: float = 30) -> bool:
    """Wait for a condition; return whether it came true."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    """Return whether the process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextlib.contextmanager
def hub(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """Run the stand-in hub; yield it with the server's URL and process id."""
    process = subprocess.Popen([sys.executable, str(HUB), str(data_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url, pid = process.stdout.readline().split()
    try:
        yield process, url, int(pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        until(lambda: gone(int(pid)) and not processes_on(find_place(data_dir).cluster))


def write(url: str, value: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table if not exists kept (value int)")
        connection.execute("insert into kept values (%s)", (value,))


def read(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("select value from kept order by value")]


def test_start_stop_and_start_again_keeps_data_and_leaves_nothing(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir, durable=False)
    url = server.start()
    pid = server.pid
    assert pid is not None
    write(url, 1)
    assert announced_url(data_dir) == url
    server.stop()
    assert gone(pid)
    assert processes_on(find_place(data_dir).cluster) == []
    assert announced_url(data_dir) is None

    again = EmbeddedServer(data_dir, durable=False)
    try:
        assert again.start() == url, "the same port and password"
        assert read(url) == [1]
    finally:
        again.stop()


def test_it_is_utf8_with_password_on_loopback_only(empty_data_dir: Path) -> None:
    server = EmbeddedServer(empty_data_dir, durable=False)
    url = server.start()
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "select current_setting('server_encoding'), datlocprovider, datlocale, "
                "current_setting('listen_addresses'), current_setting('unix_socket_directories'), "
                "current_setting('data_checksums') from pg_database where datname = current_database()"
            ).fetchone()
        assert row == ("UTF8", "b", "C.UTF-8", "127.0.0.1", "", "on")
        assert not answers(url.replace(server.password, "wrong"))
        for name in ("database.password", "database.url", "database.port"):
            assert (empty_data_dir / name).stat().st_mode & 0o077 == 0
    finally:
        server.stop()


async def test_a_killed_server_comes_back_on_the_same_url(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir, durable=False)
    url = await asyncio.to_thread(server.start)
    sentences: list[str] = []
    watching = asyncio.create_task(server.watch(sentences.append))
    try:
        write(url, 1)
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        back = await asyncio.to_thread(until, lambda: len(sentences) >= 2, 60)
        assert back
        assert server.pid not in (None, first)
        assert read(url) == [1]
        assert sentences[-1] == "The database answers again."
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        server.stop()


def test_a_killed_hub_takes_its_server_with_it_and_the_next_one_starts(data_dir: Path) -> None:
    with hub(data_dir) as (process, url, pid):
        write(url, 7)
        process.kill()
        process.wait()
        assert until(lambda: gone(pid)), "the server must not outlive a killed hub"
    with hub(data_dir) as (_, again, _pid):
        assert read(again) == [7]


def test_hub_and_server_killed_together_recover(data_dir: Path) -> None:
    with hub(data_dir) as (process, url, pid):
        write(url, 7)
        os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
        assert (find_place(data_dir).cluster / "postmaster.pid").exists()
    with hub(data_dir) as (_, again, _pid):
        assert read(again) == [7]
        write(again, 8)


def test_hub_and_keeper_killed_together_leave_no_server(data_dir: Path) -> None:
    with hub(data_dir) as (process, url, pid):
        write(url, 7)
        keeper = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(keeper, signal.SIGKILL)
        process.kill()
        process.wait()
        assert until(lambda: gone(pid))
    with hub(data_dir) as (_, again, _pid):
        assert read(again) == [7]


def test_an_orphan_server_is_found_by_its_folder_and_ended(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir, durable=False)
    server.start()
    try:
        pid = server.pid
        assert pid in processes_on(server.place.cluster)
        assert pid in clear_orphans(server.place.cluster)
        assert pid is not None
        assert until(lambda: gone(pid))
        assert not (server.place.cluster / "postmaster.pid").exists()
    finally:
        server.stop()


def test_a_lock_file_with_the_id_of_another_living_process_does_not_stop_a_start(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir, durable=False)
    server.start()
    lock_file = server.place.cluster / "postmaster.pid"
    text = lock_file.read_text()
    server.stop()
    # What a container sees after a crash: the same small id, now of another program, which must be left alone.
    lock_file.write_text(text.replace(text.splitlines()[0], str(os.getppid()), 1))
    url = server.start()
    try:
        write(url, 3)
        assert read(url) == [3]
        assert server.pid != os.getppid()
        assert not gone(os.getppid()), "the other program was ended"
    finally:
        server.stop()


def test_a_second_hub_on_the_same_folder_is_refused_with_the_first_ones_id(data_dir: Path) -> None:
    with hub(data_dir) as (process, url, _pid):
        with pytest.raises(DataDirectoryInUse, match=rf"process {process.pid}\) is using {data_dir}: stop it first"):
            EmbeddedServer(data_dir).start()
        assert announced_url(data_dir) == url
        assert answers(url)


def test_an_unfinished_first_start_is_begun_anew(empty_data_dir: Path) -> None:
    half = empty_data_dir / "postgres" / "data.unfinished"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedServer(empty_data_dir, durable=False)
    try:
        write(server.start(), 1)
    finally:
        server.stop()
    assert not half.exists()


@pytest.mark.parametrize("victim", ["PG_VERSION", "global/pg_control"])
def test_damaged_files_are_one_plain_sentence(data_dir: Path, victim: str) -> None:
    server = EmbeddedServer(data_dir, durable=False)
    server.start()
    server.stop()
    (find_place(data_dir).cluster / victim).unlink()
    with pytest.raises(DamagedData, match=r"^The database files in .* are damaged \(.*\): restore a backup into a new"):
        server.start()
    assert announced_url(data_dir) is None


def test_a_full_disk_is_one_plain_sentence(empty_data_dir: Path) -> None:
    """On a tiny file system of its own, where this user may mount one."""
    mount = shutil.which("mount")
    small = empty_data_dir / "small"
    small.mkdir(mode=0o711)
    options = ["-t", "tmpfs", "-o", "size=2m,mode=711", "none", str(small)]
    if mount is None or subprocess.run([mount, *options], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        with pytest.raises(DiskFull, match=r"MB are free on the disk that holds .*: free at least"):
            EmbeddedServer(small / "data").start()
        with (small / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(4096)):
                pass
        with pytest.raises(DiskFull, match=r"The disk that holds .* is full: free some space"):
            EmbeddedServer(small / "data").start()
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.skipif(server_user() is None, reason="only for root")
def test_roots_server_runs_as_another_user_and_beside_a_private_folder(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedServer(private / "hub", durable=False)
    url = server.start()
    try:
        assert server.place.home.is_relative_to("/var/lib/entrepot")
        assert Path(f"/proc/{server.pid}").stat().st_uid == (server_user() or (0, 0))[0]
        write(url, 3)
        server.stop()
        assert read(server.start()) == [3]
    finally:
        server.stop()
        shutil.rmtree(server.place.home)


@pytest.mark.skipif(server_user() is None, reason="only root can become another user")
def test_it_runs_for_an_ordinary_user(empty_data_dir: Path) -> None:
    user = server_user()
    assert user is not None
    os.chown(empty_data_dir, *user)
    empty_data_dir.chmod(0o700)
    script = (
        "import sys, os, pathlib; from entrepot.database.embedded import EmbeddedServer, answers\n"
        f"s = EmbeddedServer(pathlib.Path({str(empty_data_dir)!r}), durable=False); url = s.start()\n"
        "assert os.geteuid() != 0 and answers(url, s.place.cluster), url\n"
        "assert s.place.home.parent == s.data_dir\n"
        "s.stop(); print('fine')"
    )
    python = _python_for(user)
    if python is None:
        pytest.skip("that user cannot run Python with this installation")
    done = subprocess.run(
        [python, "-c", script], user=user[0], group=user[1], extra_groups=[], capture_output=True, text=True,
        env=_env(HOME=str(empty_data_dir)), cwd=empty_data_dir, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "fine", done.stderr


def _env(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **more}


def _python_for(user: tuple[int, int]) -> str | None:
    """Return a Python that this user can run with our packages: this one may live in a private home."""
    for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        with contextlib.suppress(OSError):
            done = subprocess.run(
                [python, "-c", "import entrepot.database.embedded"], user=user[0], group=user[1], extra_groups=[],
                capture_output=True, check=False, cwd="/", env=_env(),
            )  # fmt: skip
            if done.returncode == 0:
                return python
    return None
