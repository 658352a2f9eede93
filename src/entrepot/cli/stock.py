"""`entrepot stock`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

import typer

from entrepot.cli.options import AsJson, DataDir, settings_with
from entrepot.cli.output import out, print_json

if TYPE_CHECKING:
    from entrepot.database.pool import Tx

commands = typer.Typer(no_args_is_help=True, help="The stock ledger.")


@commands.callback()
def _stock() -> None:
    """The stock ledger."""


@commands.command("verify")
def verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Prove that every balance is the sum of its movements; ends with status 1 if one is not."""
    from entrepot.cli.running import of_each_organisation, run_with_database
    from entrepot.stock import facade as stock

    async def mismatches(tx: Tx, organisation_id: UUID) -> list[dict[str, Any]]:
        return [{"organisation_id": organisation_id, **asdict(item)} for item in await stock.verify(tx)]

    found = run_with_database(settings_with(data_dir), lambda database: of_each_organisation(database, mismatches))
    if as_json:
        print_json({"ledger_ok": not found, "mismatches": found})
    elif found:
        for item in found:
            out.print(
                f"Variant {item['variant_id']} at {item['location_id']}: {item['column']} is {item['balance']}, "
                f"its movements say {item['ledger']}."
            )
    else:
        out.print("Every balance equals its ledger.")
    if found:
        raise typer.Exit(1)
