"""Who uses a data directory: one hub at a time, and where its database answers."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from entrepot.database.embedded_program import EmbeddedServerError, sentence_for

_LOCK = "hub.lock"
_URL = "database.url"


class DataDirectoryInUse(EmbeddedServerError):
    """Another hub is using this data directory."""

    status = 409


class DataDirectoryLock:
    """The right to use a data directory, held until `release()` or the end of this process, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._handle is not None

    def acquire(self) -> None:
        """Take the lock. Raises DataDirectoryInUse, naming the process that has it."""
        try:
            handle = os.open(self._data_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise sentence_for(error, self._data_dir) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode("ascii", "replace").strip()
            os.close(handle)
            who = f"Another hub (process {holder})" if holder.isdigit() else "Another hub"
            raise DataDirectoryInUse(
                f"{who} is using {self._data_dir}: stop it first, or choose another folder with --data-dir."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            forget_url(self._data_dir)
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


def is_locked(data_dir: Path) -> bool:
    """Return whether some hub uses the data directory now."""
    try:
        handle = os.open(data_dir / _LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise sentence_for(error, path.parent) from error


def announce_url(data_dir: Path, url: str) -> None:
    """Write down, for other commands of the same user, where the running database answers."""
    write_private(data_dir / _URL, url + "\n")


def announced_url(data_dir: Path) -> str | None:
    """Return where the database of a running hub answers, or None if no hub runs here."""
    if not is_locked(data_dir):
        return None
    with suppress(OSError):
        return (data_dir / _URL).read_text().strip() or None
    return None


def forget_url(data_dir: Path) -> None:
    """Remove what `announce_url` wrote."""
    with suppress(OSError):
        (data_dir / _URL).unlink()
