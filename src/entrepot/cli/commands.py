"""All commands in one place: each module below brings its own and is registered here.

Those modules hold the words of the command line; what a command works with (the database drivers, the slices) is
imported when it runs, so that `entrepot --help` answers at once.
"""

from __future__ import annotations

import typer

from entrepot import __version__
from entrepot.cli import allocation, db, demo, doctor, people, serve, stock, sync, up
from entrepot.cli.output import out

application = typer.Typer(
    name="entrepot",
    help="Self-hosted operations hub for people who sell the same goods in many places.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(__version__)
        raise typer.Exit


@application.callback()
def entrepot(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """Self-hosted operations hub for people who sell the same goods in many places."""


application.command("up")(up.up)
application.command("web")(serve.web)
application.command("worker")(serve.worker)
application.command("doctor")(doctor.doctor)
application.command("demo")(demo.demo)
application.command(
    "sandbox",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(serve.sandbox)
application.add_typer(allocation.commands, name="allocation")
application.add_typer(db.commands, name="db")
application.add_typer(people.user_commands, name="user")
application.add_typer(people.key_commands, name="key")
application.add_typer(stock.commands, name="stock")
application.add_typer(sync.commands, name="sync")
