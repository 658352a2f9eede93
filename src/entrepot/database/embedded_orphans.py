"""Processes that an earlier server left on our cluster: found by what they are, ended, and their lock file removed."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from entrepot.database.embedded_program import EmbeddedServerError

_GRACE_S = 10.0


def processes_on(cluster: Path) -> list[int]:
    """Return the ids of processes whose working directory is the cluster: PostgreSQL's own, and nobody else's.

    Linux only (elsewhere empty: PostgreSQL's own lock file decides there). A process id from a file proves nothing,
    since ids are used again; the working directory does.
    """
    if sys.platform != "linux":
        return []
    try:
        wanted = cluster.stat()
    except OSError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            folder = (entry / "cwd").stat()
            program = (entry / "exe").readlink().name.split(" ")[0]
            if (folder.st_dev, folder.st_ino) == (wanted.st_dev, wanted.st_ino) and program == "postgres":
                found.append(int(entry.name))
    return found


def clear_orphans(cluster: Path) -> list[int]:
    """End every server process on the cluster and remove a stale lock file; return the ids of those ended.

    Call it only while holding the lock of the data directory. Raises EmbeddedServerError if one will not end.
    """
    ended: list[int] = []
    lock_file = cluster / "postmaster.pid"
    for number, grace_s in ((signal.SIGINT, _GRACE_S), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0)):
        left = processes_on(cluster)
        if not left:
            break
        ended += [pid for pid in left if pid not in ended]
        # The server itself first: it ends its own workers. Without one, its orphans are ended directly.
        postmaster = [pid for pid in left if pid == _pid_in(lock_file)]
        for pid in postmaster or left:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline_s = time.monotonic() + grace_s
        while processes_on(cluster) and time.monotonic() < deadline_s:
            time.sleep(0.03)
    left = processes_on(cluster)
    if left:
        raise EmbeddedServerError(f"An earlier database server (process {left[0]}) does not end: end it by hand.")
    if sys.platform == "linux":
        with suppress(OSError):
            lock_file.unlink()
    return ended


def _pid_in(lock_file: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return int(lock_file.read_text().splitlines()[0])
    return None
