"""A command loads what it works with and no more, so that the command line answers at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from entrepot.cli.sync import KINDS
from entrepot.sync.facade import RUN_KINDS

MIGRATES = {"sqlalchemy", "alembic"}
SERVES = {"uvicorn", "starlette", "fastapi", "jinja2"}  # pydantic is loaded by typer itself
CALLS_CHANNELS = {"httpx", "structlog", "stamina"}
TALKS_TO_DATABASE = {"asyncpg", "psycopg"}
SEALS = {"cryptography", "jwt", "pwdlib"}
EVERYTHING = MIGRATES | SERVES | CALLS_CHANNELS | TALKS_TO_DATABASE | SEALS

PROGRAM = """
import sys
from entrepot.cli import main
status = main(sys.argv[1:])
print("LOADED", *sorted(name for name in sys.modules if "." not in name))
sys.exit(status)
"""


def loaded_by(*argv: str, folder: Path) -> set[str]:
    """Run a command in a process of its own; return the top-level modules that it loaded."""
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *argv], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["up", "--help"], ["sync", "run", "--help"]])
def test_help_loads_nothing_heavy(argv: list[str], tmp_path: Path) -> None:
    assert loaded_by(*argv, folder=tmp_path) & EVERYTHING == set()


def test_doctor_without_a_hub_loads_no_migrations_and_no_web(tmp_path: Path) -> None:
    assert loaded_by("doctor", "--port", "0", folder=tmp_path) & (MIGRATES | SERVES | CALLS_CHANNELS) == set()


def test_the_kinds_of_runs_are_those_of_the_slice() -> None:
    assert KINDS == RUN_KINDS
