"""Options that several commands share, and the settings that follow from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entrepot.settings import Settings, load

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Where the hub keeps its data (default: .entrepot in this folder).", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]


def settings_with(data_dir: Path | None) -> Settings:
    """Return the settings, with the data directory of the command line if it was given."""
    return load(data_dir=data_dir)
