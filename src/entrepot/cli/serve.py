"""The long-running parts by themselves: `web`, `worker`, `sandbox`. `entrepot up` runs them all."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated

import typer

from entrepot.cli.options import DataDir
from entrepot.database.embedded_lock import announced_url
from entrepot.kernel.errors import Unavailable
from entrepot.processes import check_port
from entrepot.settings import Settings, load

SHUTDOWN_GRACE_S = 2
"""How long open requests, event streams above all, may delay the end of the web process."""


def web(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The TCP port to listen on.")] = None,
) -> None:
    """Run the web server against a database that is there already."""
    import uvicorn

    settings = _export(load(data_dir=data_dir, host=host, port=port))
    check_port(settings.host, settings.port)
    uvicorn.run(
        "entrepot.app:create_web_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )


def worker(data_dir: DataDir = None) -> None:
    """Run one worker against a database that is there already."""
    settings = _export(load(data_dir=data_dir))
    importlib.import_module("entrepot.app").run_worker(settings)


def sandbox(context: typer.Context) -> None:
    """Run the simulated marketplaces alone; takes the options of `python -m entrepot_sandbox --help`."""
    try:
        module = importlib.import_module("entrepot_sandbox.__main__")
    except ImportError as error:
        raise sandbox_missing(error) from error
    raise typer.Exit(module.main(context.args))


def sandbox_missing(error: ImportError) -> Unavailable:
    """Return the sentence for simulated marketplaces that cannot be imported."""
    return Unavailable(
        f"The simulated marketplaces need a package that is not installed ({error.name}): "
        "pip install 'entrepot[sandbox]', or start with --no-demo."
    )


def _export(settings: Settings) -> Settings:
    """Settle which database is meant and pass the settings on to code that reads them from the environment."""
    import os

    if settings.database_url is None:
        url = announced_url(settings.data_dir)
        if url is None:
            from entrepot.cli.running import NoHubHere

            raise NoHubHere(
                f"No database runs for {settings.data_dir}: start everything with `entrepot up`, or set DATABASE_URL."
            )
        os.environ["DATABASE_URL"] = url
    os.environ["ENTREPOT_DATA_DIR"] = str(settings.data_dir.absolute())
    os.environ["ENTREPOT_HOST"] = settings.host
    os.environ["ENTREPOT_PORT"] = str(settings.port)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return load()
