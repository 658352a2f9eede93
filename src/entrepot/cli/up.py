"""`entrepot up`: everything in one command."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import Annotated

import typer

from entrepot.cli.options import DataDir
from entrepot.cli.serve import sandbox_missing
from entrepot.processes import check_port
from entrepot.settings import load


def up(
    demo: Annotated[
        bool | None, typer.Option("--demo/--no-demo", help="With simulated marketplaces (default: with).")
    ] = None,
    port: Annotated[int | None, typer.Option(help="The TCP port of the web server (default: 8000).")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on (default: 127.0.0.1).")] = None,
    data_dir: DataDir = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many worker processes (default: 1).")] = None,
) -> None:
    """Start database, web server, workers and the demo marketplaces; stop them all with Ctrl C."""
    settings = load(data_dir=data_dir, host=host, port=port, workers=workers, demo=demo)
    check_port(settings.host, settings.port)
    if settings.demo.enabled and importlib.util.find_spec("graphql") is None:
        raise sandbox_missing(ImportError(name="graphql-core"))
    from entrepot.cli.hub import Hub

    asyncio.run(Hub(settings).run())
