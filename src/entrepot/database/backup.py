"""Backup and restore of the whole database with PostgreSQL's own programs (pg_dump -Fc, pg_restore)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from entrepot.database import migrate
from entrepot.database.embedded_program import DiskFull, Program, ServerProgramMissing, installed_program
from entrepot.database.pool import DatabaseUnavailable
from entrepot.kernel.errors import Conflict, EntrepotError, InvalidInput

_SYSTEM_FOLDERS = "/usr/lib/postgresql"


class BackupFailed(EntrepotError):
    """The backup was not made."""


class RestoreFailed(EntrepotError):
    """The backup was not restored; the database is as it was."""


class NotABackup(InvalidInput):
    """That file is not a backup made by `entrepot db backup`."""


class DatabaseNotEmpty(Conflict):
    """The database holds data: add --force to replace all of it, or restore into another data directory."""


def backup(url: str, target: Path) -> int:
    """Write the database to `target` and return the size in bytes.

    One consistent moment, while the hub may go on working. The file appears complete or not at all, readable by its
    owner only. Raises BackupFailed, DiskFull, DatabaseUnavailable.
    """
    program, env = _tool("pg_dump", _server_major(url))
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        arguments = ["--format=custom", "--no-owner", f"--file={unfinished}"]
        _run([program, *arguments], url, env, BackupFailed)
        unfinished.replace(target)
    except OSError as error:
        raise BackupFailed(f"The backup cannot be written to {target} ({error.strerror}).") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return target.stat().st_size


def restore(url: str, source: Path, *, force: bool = False) -> str:
    """Replace the database by the backup in `source`, bring it to this version's schema and return the revision.

    It is restored beside the present database and takes its place only when complete; connections to the present
    one are closed at that moment. Raises NotABackup, DatabaseNotEmpty (unless `force`), RestoreFailed.
    """
    _check_file(source)
    major = _server_major(url)
    program, env = _tool("pg_restore", major)
    name = _database_name(url)
    if not force and _holds_data(url):
        raise DatabaseNotEmpty
    beside = f"{name}_restoring"
    with _maintenance(url, name) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(beside)))
        connection.execute(sql.SQL("create database {} template template0").format(sql.Identifier(beside)))
        try:
            migrate.ensure_role(with_database(url, beside))
            arguments = ["--no-owner", "--exit-on-error", "--single-transaction", "--dbname", beside, str(source)]
            _run([program, *arguments], with_database(url, beside), env, RestoreFailed)
            revision = migrate.upgrade(with_database(url, beside))
            _swap(connection, name, beside)
        except BaseException:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(beside)))
            raise
    return revision


def with_database(url: str, name: str) -> str:
    """Return the URL with another database name."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _swap(connection: psycopg.Connection, name: str, beside: str) -> None:
    """Put the restored database in the place of the present one."""
    old = f"{name}_replaced"
    end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = any(%s) and pid <> pg_backend_pid()"
    rename = sql.SQL("alter database {} rename to {}")
    connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(old)))
    connection.execute(sql.SQL("alter database {} allow_connections false").format(sql.Identifier(name)))
    try:
        connection.execute(end, ([name, beside],))
        connection.execute(rename.format(sql.Identifier(name), sql.Identifier(old)))
    except psycopg.Error:
        connection.execute(sql.SQL("alter database {} allow_connections true").format(sql.Identifier(name)))
        raise
    try:
        connection.execute(rename.format(sql.Identifier(beside), sql.Identifier(name)))
    except psycopg.Error:
        connection.execute(rename.format(sql.Identifier(old), sql.Identifier(name)))
        connection.execute(sql.SQL("alter database {} allow_connections true").format(sql.Identifier(name)))
        raise
    connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(old)))


def _maintenance(url: str, name: str) -> psycopg.Connection:
    """Return a connection to the server that is not to the database itself."""
    for other in ("postgres", "template1"):
        if other != name:
            try:
                return psycopg.connect(with_database(url, other), autocommit=True, connect_timeout=10)
            except psycopg.OperationalError as error:
                last = error
    raise DatabaseUnavailable(f"The server's own database `postgres` does not answer ({_line(str(last))}).")


def _database_name(url: str) -> str:
    return unquote(urlsplit(url).path.lstrip("/"))


def _holds_data(url: str) -> bool:
    """Return whether the database holds an organisation or tables that are not ours."""
    with psycopg.connect(url, connect_timeout=10) as connection:
        row = connection.execute("select to_regclass('organisation') is not null").fetchone()
        if row and row[0]:
            filled = connection.execute("select exists (select from organisation)").fetchone()
            return bool(filled and filled[0])
        other = connection.execute(
            "select exists (select from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace)"
        ).fetchone()
        return bool(other and other[0])


def _check_file(source: Path) -> None:
    try:
        with source.open("rb") as file:
            mark = file.read(5)
    except OSError as error:
        raise NotABackup(f"{source} cannot be read ({error.strerror}).") from None
    if mark != b"PGDMP":
        raise NotABackup(f"{source} is not a backup made by `entrepot db backup`.")


def _server_major(url: str) -> int:
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            return connection.info.server_version // 10000
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"The database does not answer ({_line(str(error))}). Check DATABASE_URL.") from error


def _tool(name: str, server_major: int) -> tuple[str, dict[str, str]]:
    """Return a program that fits the server's version, and its environment: the system's own, else the wheel's.

    pg_dump must not be older than the server, and pg_restore not older than the pg_dump, while a backup should be
    readable by the server's own programs: so the exact version is best, a newer one good.
    """
    candidates: list[tuple[int, str, dict[str, str]]] = []
    with suppress(ServerProgramMissing):
        program: Program = installed_program()
        candidates.append((_major_of(program.binary(name), program.env), program.binary(name), program.env))
    folders = sorted(Path(_SYSTEM_FOLDERS).glob("*/bin")) if Path(_SYSTEM_FOLDERS).is_dir() else []
    paths = [str(folder / name) for folder in folders] + [shutil.which(name) or ""]
    candidates += [(_major_of(path, {}), path, {}) for path in paths if path and Path(path).exists()]
    fitting = sorted(item for item in candidates if item[0] >= server_major)
    if not fitting:
        raise BackupFailed(
            f"There is no {name} for PostgreSQL {server_major} here: "
            f"install the package postgresql-client-{server_major}."
        )
    return fitting[0][1], fitting[0][2]


def _major_of(path: str, env: dict[str, str]) -> int:
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(  # noqa: S603
            [path, "--version"], capture_output=True, text=True, timeout=20, env={**os.environ, **env}, check=True
        ).stdout
        if found := re.search(r"(\d+)(?:\.\d+)?", said):
            return int(found[1])
    return 0


def _run(command: Sequence[str], url: str, env: dict[str, str], failure: type[EntrepotError]) -> None:
    """Run pg_dump or pg_restore; the password goes by the environment, never on the command line."""
    done = subprocess.run(  # noqa: S603
        list(command), env={**os.environ, **env, **_connection_env(url)}, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    said = [line for line in done.stderr.splitlines() if line.strip()]
    if any("No space left on device" in line for line in said):
        raise DiskFull
    reason = next((line for line in said if "error:" in line), said[-1] if said else "it said nothing")
    raise failure(f"{(failure.__doc__ or '').strip().rstrip('.')} ({_line(reason)}).")


def _connection_env(url: str) -> dict[str, str]:
    """Return libpq's variables for the URL."""
    known = psycopg.conninfo.conninfo_to_dict(url)
    names = {
        "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE",
        "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
    }  # fmt: skip
    return {names[key]: str(value) for key, value in known.items() if key in names and value is not None}


def _line(text: str) -> str:
    return " ".join(text.split())
