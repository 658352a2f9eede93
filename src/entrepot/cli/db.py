"""`entrepot db`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from entrepot.cli.options import AsJson, DataDir, settings_with
from entrepot.cli.output import out, print_json

commands = typer.Typer(no_args_is_help=True, help="The database: migrate, back up, restore.")


@commands.command("migrate")
def migrate(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Bring the database to the schema of this version (`entrepot up` does it by itself)."""
    from entrepot.cli.running import server_for
    from entrepot.database import migrate as migrations

    with server_for(settings_with(data_dir), create=True) as url:
        revision = migrations.upgrade(url)
    if as_json:
        print_json({"revision": revision})
    else:
        out.print(f"The database is at revision {revision}.")


@commands.command("backup")
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="Where to write it (default: entrepot-<time>.backup in this folder).")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write the whole database to one file; the hub may go on working meanwhile."""
    from entrepot.cli.running import server_for
    from entrepot.database.backup import backup as write_backup

    target = file or Path(f"entrepot-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.backup")
    with server_for(settings_with(data_dir)) as url:
        size = write_backup(url, target)
    if as_json:
        print_json({"file": target.absolute(), "bytes": size})
    else:
        out.print(f"Backed up to {target} ({size:,} bytes). The secret key is not in it: keep a copy of that too.")


@commands.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A file made by `entrepot db backup`.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the data that is there.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Replace the database by a backup, complete or not at all; stop the hub first."""
    from entrepot.cli.running import server_for
    from entrepot.database.backup import restore as restore_backup

    with server_for(settings_with(data_dir), create=True) as url:
        revision = restore_backup(url, file, force=force)
    if as_json:
        print_json({"revision": revision})
    else:
        out.print(f"Restored from {file}; the database is at revision {revision}.")
