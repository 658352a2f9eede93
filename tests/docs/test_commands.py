"""The commands that the documents show: those of the operator's pages run, all exist with the options named."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.docs.pages import NAMES, ROOT, commands, shell_lines

from entrepot.cli import main
from entrepot.cli.commands import application

RUN = ("docs/run-in-production.md", "docs/back-up-and-restore.md")
SAFE = ("doctor", "stock verify", "sync status", "db backup", "db migrate", "db restore")
PROGRAMS = ("entrepot", "make")
PLACEHOLDER = re.compile(r"<[^>]+>|[A-Z]+|\.\.\.")


@pytest.mark.parametrize("document", RUN)
def test_the_safe_ones_run(
    document: str, fresh_database_url: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENTREPOT_DATA_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("DATABASE_URL", fresh_database_url)
    ran = 0
    for line in shell_lines(ROOT / document):
        program, *argv = shlex.split(line)
        if Path(program).name != "entrepot" or not " ".join(argv).startswith(SAFE):
            continue
        if argv[:2] == ["db", "restore"]:
            monkeypatch.setenv("DATABASE_URL", empty_database_url)
        assert main(argv) == 0, argv
        ran += 1
    assert ran >= 3


def group() -> Any:
    return typer.main.get_command(application)


@pytest.mark.parametrize("document", NAMES)
def test_every_command_and_option_exists(document: str) -> None:
    for argv in commands(ROOT / document, "entrepot"):
        command, words = group(), [word for word in argv if word != "..."]
        while words and hasattr(command, "commands"):
            choices = words.pop(0).split("|")
            if choices[0].startswith("-"):
                words.insert(0, choices[0])
                break
            for choice in choices:
                assert choice in command.commands, f"entrepot {' '.join(argv)}: there is no {choice!r}"
            command = command.commands[choices[0]]
        options = {option: each for each in command.params for option in (*each.opts, *each.secondary_opts)}
        options.setdefault("--help", None)
        for word in words:
            if word.startswith("-"):
                assert word in options, f"entrepot {' '.join(argv)}: there is no option {word}"
        for option, value in itertools.pairwise(words):
            kind = getattr(options.get(option), "type", None)
            if kind is not None and option.startswith("--") and not PLACEHOLDER.fullmatch(value):
                choices = getattr(kind, "choices", None)
                assert choices is None or value in [str(getattr(each, "value", each)) for each in choices], argv


@pytest.mark.parametrize("document", NAMES)
def test_every_make_target_exists(document: str) -> None:
    targets = re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    patterns = [re.compile(re.escape(target).replace("%", ".+")) for target in targets]
    for argv in commands(ROOT / document, "make"):
        for target in (word for word in argv if not word.startswith("-") and "=" not in word):
            assert any(pattern.fullmatch(target) for pattern in patterns), f"{document}: make {target}"


def test_the_pages_show_commands() -> None:
    found = [argv for name in NAMES for argv in commands(ROOT / name, "entrepot")]
    assert len(found) >= 15
    assert ["db", "backup", "--data-dir", "/srv/entrepot"] in found
    assert any("--no-demo" in argv for argv in found)


@pytest.mark.parametrize("document", NAMES)
def test_shell_blocks_call_nothing_else(document: str) -> None:
    """Anything else could not be tested here."""
    assert [line for line in shell_lines(ROOT / document) if Path(shlex.split(line)[0]).name not in PROGRAMS] == []
