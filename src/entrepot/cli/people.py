"""`entrepot user` and `entrepot key`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entrepot.cli.options import AsJson, DataDir, settings_with
from entrepot.cli.output import out, print_json
from entrepot.identity.contracts import Role

if TYPE_CHECKING:
    from entrepot.database.pool import Database

user_commands = typer.Typer(no_args_is_help=True, help="People who may sign in.")
key_commands = typer.Typer(no_args_is_help=True, help="Keys for programs.")


@user_commands.command("create")
def create_user(
    email: Annotated[str, typer.Argument(help="Their email address.")],
    name: Annotated[str | None, typer.Option(help="Their name (default: the part before the @).")] = None,
    role: Annotated[str, typer.Option(help="What they may do: " + ", ".join(Role))] = "admin",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read a password from standard input instead of making a link.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a person and print a link that signs them in once, within an hour."""
    from entrepot.cli.running import run_with_database
    from entrepot.identity import facade as identity

    settings = settings_with(data_dir)
    password = sys.stdin.readline().rstrip("\n") if password_stdin else None
    parsed = identity.parse_role(role)

    async def work(database: Database) -> dict[str, Any]:
        organisation, _ = await identity.ensure_first_organisation(database)
        person = await identity.create_person(database, email, name or email.partition("@")[0], password)
        await identity.add_membership(database, organisation.id, person.id, parsed)
        answer: dict[str, Any] = {"id": person.id, "email": person.email, "role": parsed.value}
        if password is None:
            token = await identity.create_sign_in_link(database, organisation.id, person.id)
            answer["sign_in_link"] = sign_in_address(settings.address, token)
        return answer

    made = run_with_database(settings, work)
    if as_json:
        print_json(made)
        return
    out.print(f"{made['email']} may sign in as {made['role']}.")
    if "sign_in_link" in made:
        out.print(f"Once, within an hour: {made['sign_in_link']}")


@key_commands.command("create")
def create_key(
    scopes: Annotated[str, typer.Option(help="What it may do: names with commas, or `all`.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key for the shop and print it, this once."""
    from entrepot.cli.running import run_with_database
    from entrepot.identity import facade as identity

    async def work(database: Database) -> str:
        organisation, _ = await identity.ensure_first_organisation(database)
        actor = identity.system_actor(organisation.id)
        wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        return (await identity.create_api_key(database, actor, name, wanted)).secret

    key = run_with_database(settings_with(data_dir), work)
    if as_json:
        print_json({"key": key})
    else:
        out.print(key)


def sign_in_address(address: str, token: str) -> str:
    """Return the address that signs its first visitor in."""
    return f"{address}/sign-in/{token}"
