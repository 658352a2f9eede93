"""What a failed server says in its log, in one sentence that tells what to do."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from entrepot.database.embedded_program import DiskFull, EmbeddedServerError, WrongOwner


class DamagedData(EmbeddedServerError):
    """The database files are damaged: restore a backup into a new data directory."""


class TryAgain(EmbeddedServerError):
    """Something that passes by itself stands in the way of the database."""


class PortTaken(TryAgain):
    """Another program took the database's port."""


class OldServerEnding(TryAgain):
    """What is left of an earlier server is still ending."""


_PATTERNS: tuple[tuple[type[EmbeddedServerError], tuple[str, ...]], ...] = (
    (PortTaken, ("could not bind", "Address already in use")),
    (OldServerEnding, ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')),
    (DiskFull, ("No space left on device", "Disk quota exceeded")),
    (WrongOwner, ("has wrong ownership", "Permission denied", "Operation not permitted")),
    (
        DamagedData,
        (
            "could not locate a valid checkpoint record",
            "incorrect checksum in control file",
            "invalid checkpoint record",
            "database files are incompatible",
            "pg_control",
            "could not open directory",
            "is not a valid data directory",
            "invalid data in file",
            "invalid page in block",
            "could not access status of transaction",
            "could not find the database system",
            "could not load pg_hba.conf",
            "could not access the server configuration file",
            "PANIC:",
        ),
    ),
)


def check_cluster(cluster: Path, version_file: Path, major: str) -> None:
    """Refuse a cluster that this program cannot run. Raises DamagedData or EmbeddedServerError."""
    try:
        version = version_file.read_text().strip()
    except FileNotFoundError:
        raise DamagedData(
            f"The database files in {cluster} are damaged (PG_VERSION is missing): restore a backup into a new data "
            "directory (--data-dir), see docs/back-up-and-restore.md."
        ) from None
    except PermissionError:
        raise WrongOwner from None
    if version != major:
        raise EmbeddedServerError(
            f"The database in {cluster} is of PostgreSQL {version}, this version brings {major}: make a backup with "
            "the version that wrote it and restore it into a new data directory."
        )


def explain(log: Path, data_dir: Path, offset: int = 0) -> EmbeddedServerError:
    """Return the error that fits what the log says from `offset` on."""
    said = _tail(log, offset)
    for kind, patterns in _PATTERNS:
        found = next((line for line in said for pattern in patterns if pattern in line), None)
        if found is None:
            continue
        reason = _words(found)
        if kind is DiskFull:
            return DiskFull(f"The disk that holds {log.parent} is full: free some space, then start again.")
        if kind is WrongOwner:
            return WrongOwner(
                f"The database may not use its files in {log.parent} ({reason}): give the folder back to its owner, "
                "or choose another with --data-dir."
            )
        if kind is DamagedData:
            return DamagedData(
                f"The database files in {data_dir} are damaged ({reason}): restore a backup into a new data "
                "directory (--data-dir), see docs/back-up-and-restore.md."
            )
        return kind()
    reason = _words(said[-1]) if said else "it said nothing"
    return EmbeddedServerError(f"The database did not start ({reason}): see {log}.")


def last_words(log: Path) -> str:
    """Return the last thing in the log that sounds like a reason."""
    lines = _tail(log, 0)
    reasons = [line for line in lines if any(word in line for word in ("PANIC:", "FATAL:", "ERROR:"))]
    return _words(reasons[-1]) if reasons else "it was ended from outside"


def _tail(log: Path, offset: int) -> list[str]:
    with suppress(OSError), log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(offset, size - 16_384))
        return [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return []


def _words(line: str) -> str:
    for mark in ("PANIC:", "FATAL:", "ERROR:", "error:", "LOG:"):
        if mark in line:
            return line.split(mark, 1)[1].strip()
    return line
