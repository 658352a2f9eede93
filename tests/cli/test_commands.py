"""Commands as they are typed, against a real database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from entrepot.cli import main
from entrepot.database import migrate
from entrepot.database.pool import Database
from entrepot.identity.facade import Authenticator, Scope


@pytest.fixture
def hub(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a hub on the test database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("ENTREPOT_DATA_DIR", str(tmp_path / "hub"))
    monkeypatch.delenv("ENTREPOT_CONFIG", raising=False)


def answer(capsys: pytest.CaptureFixture[str], *argv: str, status: int = 0) -> Any:
    """Run a command with --json and return what it printed."""
    assert main([*argv, "--json"]) == status, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("hub")
class TestOnADatabase:
    """On a database of one's own."""

    def test_a_key_for_everything_opens_the_hub(self, capsys: pytest.CaptureFixture[str], database_url: str) -> None:
        import asyncio

        key = answer(capsys, "key", "create", "--scopes", "all")["key"]

        async def use() -> frozenset[Scope]:
            database = await Database.connect(database_url)
            try:
                return (await Authenticator(database, b"k" * 32).authenticate(f"Bearer {key}")).scopes
            finally:
                await database.close()

        assert asyncio.run(use()) == frozenset(Scope)

    def test_an_unknown_scope_is_refused_with_one_sentence(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["key", "create", "--scopes", "flying"]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert "flying" in said.err
        assert said.err.count("\n") == 1

    def test_a_person_gets_a_link(self, capsys: pytest.CaptureFixture[str]) -> None:
        made = answer(capsys, "user", "create", "anna@example.com")
        assert made["email"] == "anna@example.com"
        assert made["sign_in_link"].startswith("http://127.0.0.1:8000/sign-in/")
        assert main(["user", "create", "anna@example.com"]) == 1

    def test_the_ledger_is_verified(
        self, capsys: pytest.CaptureFixture[str], empty_database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Tests of pages write stock by hand, without reservations, into the database that they share.
        migrate.upgrade(empty_database_url)
        monkeypatch.setenv("DATABASE_URL", empty_database_url)
        assert main(["user", "create", "ledger@example.com"]) == 0
        capsys.readouterr()
        assert answer(capsys, "stock", "verify") == {"ledger_ok": True, "mismatches": []}

    def test_a_run_starts_for_each_connection_that_works(self, capsys: pytest.CaptureFixture[str]) -> None:
        # Other tests share the database: there may be connections.
        connections = answer(capsys, "sync", "status")["connections"]
        runs = answer(capsys, "sync", "run", "--kinds", "orders")["runs"]
        assert len(runs) == sum(1 for each in connections if each["state"] == "active")
        assert main(["sync", "run", "--kinds", "dance"]) == 1
        assert "is not one of" in capsys.readouterr().err

    def test_doctor_finds_all_well(self, capsys: pytest.CaptureFixture[str]) -> None:
        told = answer(capsys, "doctor", "--port", "0")
        states = {item["check"]: item["state"] for item in told["checks"]}
        assert told["ok"] is True
        assert states["schema"] == states["row security"] == states["database"] == "ok"

    def test_backup_needs_no_words(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        made = answer(capsys, "db", "backup", str(tmp_path / "hub.backup"))
        assert made["bytes"] == (tmp_path / "hub.backup").stat().st_size
        assert main(["db", "restore", str(tmp_path / "hub.backup")]) == 1
        assert "--force" in capsys.readouterr().err


def test_doctor_without_a_schema_says_which_command(
    capsys: pytest.CaptureFixture[str], empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("ENTREPOT_DATA_DIR", str(tmp_path / "hub"))
    told = answer(capsys, "doctor", "--port", "0", status=1)
    assert any(item["check"] == "schema" and "entrepot db migrate" in item["says"] for item in told["checks"])
    assert main(["stock", "verify"]) == 1
    assert "entrepot db migrate" in capsys.readouterr().err
    assert answer(capsys, "db", "migrate")["revision"]
    assert answer(capsys, "stock", "verify")["ledger_ok"] is True


def test_where_there_is_no_hub_a_command_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert main(["stock", "verify", "--data-dir", str(tmp_path / "none")]) == 1
    assert "There is no hub in" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_wrong_words_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frobnicate"]) == 2
    assert "frobnicate" in capsys.readouterr().err
    assert main(["--version"]) == 0
