"""`entrepot sync`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.table import Table

from entrepot.cli.options import AsJson, DataDir, settings_with
from entrepot.cli.output import out, print_json
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from entrepot.database.pool import Tx

KINDS = ("orders", "listings", "drift")
"""What can be asked for: the names in the sync slice's RUN_KINDS, without loading it for every `--help`."""

commands = typer.Typer(no_args_is_help=True, help="Keeping the channels in step.")


@commands.callback()
def _sync() -> None:
    """Keeping the channels in step."""


@commands.command("status")
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show each connection: its state, when orders were last fetched, and what waits."""
    from entrepot.cli.running import of_each_organisation, run_with_database
    from entrepot.sync import reading

    async def overview(tx: Tx, organisation_id: UUID) -> list[dict[str, Any]]:
        return [{"organisation_id": organisation_id, **asdict(item)} for item in await reading.channel_overview(tx)]

    connections = run_with_database(settings_with(data_dir), lambda database: of_each_organisation(database, overview))
    if as_json:
        print_json({"connections": connections})
        return
    if not connections:
        out.print("No channel is connected.")
        return
    table = Table("connection", "channel", "state", "orders fetched", "listings", "waiting", "inbox", "trouble")
    for item in connections:
        fetched = f"{item['pulled_at']:%Y-%m-%d %H:%M:%S} UTC" if item["pulled_at"] else "never"
        numbers = [str(item[name]) for name in ("listings", "waiting", "inbox", "trouble")]
        table.add_row(item["name"], item["channel"], item["state"], fetched, *numbers)
    out.print(table)


@commands.command("run")
def run(
    kinds: Annotated[str, typer.Option(help="What to do, with commas: " + ", ".join(KINDS))] = ",".join(KINDS),
    connection: Annotated[
        list[UUID] | None, typer.Option(help="Only this connection, by its id; may be repeated (default: all).")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ask the workers to run now; does not wait for the end (`sync status` shows it)."""
    from entrepot.cli.running import of_each_organisation, run_with_database
    from entrepot.sync import facade as sync
    from entrepot.sync import reading

    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    unknown = [kind for kind in wanted if kind not in KINDS]
    if unknown or not wanted:
        raise InvalidInput(f"{unknown or kinds!r} is not one of {', '.join(KINDS)}.")

    async def trigger(tx: Tx, _organisation_id: UUID) -> list[UUID]:
        mine = {item.id for item in await reading.channel_overview(tx)}
        chosen = None if not connection else [item for item in connection if item in mine]
        return await sync.trigger(tx, chosen, wanted, utc_now(), by="person")

    runs = run_with_database(settings_with(data_dir), lambda database: of_each_organisation(database, trigger))
    if connection and not runs:
        raise NotFound("There is no such connection.")
    if as_json:
        print_json({"runs": runs})
    else:
        out.print(f"{len(runs)} run{'' if len(runs) == 1 else 's'} asked for.")
