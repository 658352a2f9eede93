"""What commands print: for people with rich, for machines as JSON, errors as one sentence."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one JSON value on one line, ids and times as text."""
    print(json.dumps(value, default=str, ensure_ascii=False), flush=True)


def usage_error(error: Exception) -> int | None:
    """Show what click found wrong with the command line; return the exit status, or None if it is something else."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, click.Abort):
        err.print("Stopped.")
        return 130
    return None
