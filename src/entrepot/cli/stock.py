"""`entrepot stock`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from entrepot.cli.options import AsJson, DataDir, settings_with
from entrepot.cli.output import out, print_json

if TYPE_CHECKING:
    from entrepot.database.pool import Database

commands = typer.Typer(no_args_is_help=True, help="The stock ledger.")


@commands.callback()
def _stock() -> None:
    """The stock ledger."""


@commands.command("verify")
def verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Prove that every balance is the sum of its movements; ends with status 1 if one is not."""
    from entrepot.cli.running import run_with_database
    from entrepot.identity import facade as identity
    from entrepot.stock import facade as stock

    async def work(database: Database) -> list[dict[str, Any]]:
        found = []
        for organisation in await identity.list_organisations(database):
            async with database.transaction(organisation.id) as tx:
                found += [
                    {
                        "organisation_id": organisation.id,
                        "variant_id": item.variant_id,
                        "location_id": item.location_id,
                        "column": item.column,
                        "balance": item.balance,
                        "ledger": item.ledger,
                    }
                    for item in await stock.verify(tx)
                ]
        return found

    found = run_with_database(settings_with(data_dir), work)
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
