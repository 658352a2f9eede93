"""The checks of `entrepot doctor`: what the hub stands on, and what to do about what is wrong."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from entrepot.database.embedded import FREE_SPACE_MINIMUM_MB
from entrepot.database.embedded_lock import announced_url
from entrepot.database.embedded_program import installed_program, is_elsewhere
from entrepot.database.pool import APP_ROLE
from entrepot.database.revisions import revisions
from entrepot.kernel.errors import EntrepotError
from entrepot.processes import check_port
from entrepot.secret_key import secret_keys
from entrepot.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: `state` is ok, note (worth knowing) or bad (to be repaired)."""

    check: str
    state: str
    says: str


def ok(check: str, says: str) -> Finding:
    """Return a good finding."""
    return Finding(check, "ok", says)


def note(check: str, says: str) -> Finding:
    """Return something worth knowing."""
    return Finding(check, "note", says)


def bad(check: str, says: str) -> Finding:
    """Return something to be repaired."""
    return Finding(check, "bad", says)


def findings_of(settings: Settings, port: int | None) -> list[Finding]:
    """Return what all checks found; `port` is looked at instead of the one in the settings."""
    return [*_installation(settings), *_database(settings), *_port(settings, port)]


def _installation(settings: Settings) -> list[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    python = ok if sys.version_info >= (3, 11) else bad
    findings = [python("python", f"{version} (3.11 or newer is needed)")]
    findings += [note("settings", f"without effect: {words}") for words in settings.without_effect]
    if settings.database_url is None:
        findings.append(_guarded("embedded server", lambda: f"installed in {installed_program().folder}"))
    folder = _existing(settings.data_dir.absolute())
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    disk = ok if free_mb >= FREE_SPACE_MINIMUM_MB else bad
    findings.append(disk("disk", f"{free_mb} MB free at {folder} (at least {FREE_SPACE_MINIMUM_MB} MB are needed)"))
    if settings.secret_key is None and not settings.data_dir.exists():
        findings.append(note("secret key", f"will be made in {settings.data_dir} at the first start"))
    else:
        where = "ENTREPOT_SECRET_KEY" if settings.secret_key else f"{settings.data_dir}/secret.key"
        findings.append(_guarded("secret key", lambda: f"{len(secret_keys(settings).keys)} in {where}; keep a copy"))
    return findings


def _guarded(check: str, look: Callable[[], str]) -> Finding:
    try:
        return ok(check, look())
    except EntrepotError as error:
        return bad(check, error.detail)


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _database(settings: Settings) -> list[Finding]:
    url = settings.database_url or announced_url(settings.data_dir)
    if url is None:
        elsewhere = is_elsewhere(settings.data_dir)
        place = f" (kept in {elsewhere})" if elsewhere else ""
        return [note("database", f"no hub runs in {settings.data_dir}{place}: start it with `entrepot up` to check it")]
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version // 10000
            found = [
                (ok if version >= 15 else bad)("database", f"PostgreSQL {version} answers (15 or newer is needed)"),
                *_role(connection),
            ]
            durable = connection.execute("select current_setting('fsync'), current_setting('synchronous_commit')")
            if (row := durable.fetchone()) and "off" in row:
                found.append(note("durability", "the server runs with fsync or synchronous_commit off"))
    except psycopg.OperationalError as error:
        return [bad("database", f"does not answer ({' '.join(str(error).split())}): check DATABASE_URL")]
    current, newest = revisions(url)
    if current == newest:
        found.append(ok("schema", f"is current ({newest})"))
    else:
        found.append(bad("schema", f"is at {current or 'nothing'}, not {newest}: run `entrepot db migrate`"))
    return found


def _role(connection: psycopg.Connection) -> list[Finding]:
    """Check that the role the hub works as cannot see past row level security."""
    row = connection.execute(
        "select rolsuper or rolbypassrls, pg_has_role(current_user, oid, 'member') from pg_roles where rolname = %s",
        (APP_ROLE,),
    ).fetchone()
    if row is None:
        return [bad("role", f"{APP_ROLE} does not exist: run `entrepot db migrate`")]
    bypasses, member = row
    if bypasses or not member:
        why = "bypasses row security" if bypasses else "may not be used by this user"
        return [bad("role", f"{APP_ROLE} {why}: run `entrepot db migrate` as the owner of the database")]
    from entrepot.schema import metadata  # SQLAlchemy: only where there is a database to look at

    tenant_tables = [table.name for table in metadata.tables.values() if table.info.get("tenant")]
    open_tables = connection.execute(
        "select relname from pg_class where relnamespace = current_schema()::regnamespace and relname = any(%s)"
        " and not (relrowsecurity and relforcerowsecurity) order by 1",
        (tenant_tables,),
    ).fetchall()
    if open_tables:
        names = ", ".join(name for (name,) in open_tables)
        return [bad("row security", f"is not forced on {names}")]
    return [ok("row security", f"is forced on every table of an organisation; the hub works as {APP_ROLE}")]


def _port(settings: Settings, wanted: int | None) -> list[Finding]:
    number = settings.port if wanted is None else wanted
    try:
        check_port(settings.host, number)
    except EntrepotError as error:
        return [note("port", error.detail)]
    return [ok("port", f"{number} on {settings.host} is free")]
