"""The commands in the operator's pages run as they are written there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from entrepot.cli import main
from entrepot.cli.commands import application

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("run-in-production.md", "back-up-and-restore.md")
SAFE = ("doctor", "stock verify", "db backup", "db migrate", "db restore")


def commands(page: str) -> list[list[str]]:
    """Return the `entrepot` commands in the page's shell blocks, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.split()[:1] and line.split()[0].endswith("entrepot")]


@pytest.mark.parametrize("page", PAGES)
def test_the_safe_ones_run(
    page: str, database_url: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENTREPOT_DATA_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("DATABASE_URL", database_url)
    ran = 0
    for argv in commands(page):
        if not " ".join(argv).startswith(SAFE):
            continue
        if argv[:2] == ["db", "restore"]:
            monkeypatch.setenv("DATABASE_URL", empty_database_url)
        assert main(argv) == 0, argv
        ran += 1
    assert ran >= 3


@pytest.mark.parametrize("page", PAGES)
def test_the_others_exist_with_the_options_that_are_named(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in commands(page):
        words = [word for word in argv if not word.startswith("-")]
        known = {command.name or "" for command in application.registered_commands}
        known |= {group.name or "" for group in application.registered_groups}
        assert words[0] in known, argv
        path = words[:2] if words[0] in {group.name for group in application.registered_groups} else words[:1]
        assert main([*path, "--help"]) == 0
        shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        for option in (word for word in argv if word.startswith("--")):
            assert option in shown, argv
