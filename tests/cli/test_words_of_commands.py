"""What commands say to a person, on a hub of its own: connections, runs, a ledger that does not add up, what is wrong."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from tests.orders.support import make_connection, make_variants

from entrepot.cli import main
from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id


@pytest.fixture
def told(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a command on a hub of its own, with an organisation; returns what it said."""
    monkeypatch.setenv("DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("ENTREPOT_DATA_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("ENTREPOT_CONFIG", raising=False)
    assert main(["user", "create", "ana@example.com"]) == 0
    capsys.readouterr()

    def tell(*argv: str, status: int = 0) -> str:
        assert main(list(argv)) == status
        said = capsys.readouterr()
        return said.out + said.err

    return tell


def do(database_url: str, work: Callable[[Database, UUID], Awaitable[UUID]]) -> UUID:
    """Do something in the one organisation."""

    async def run() -> UUID:
        database = await Database.connect(database_url)
        try:
            async with database.transaction(None) as tx:
                organisation_id = await tx.fetch_value("select id from organisation")
            return await work(database, organisation_id)
        finally:
            await database.close()

    return asyncio.run(run())


def test_connections_and_runs(told: Callable[..., str], fresh_database_url: str) -> None:
    assert "No channel is connected." in told("sync", "status")
    assert "There is no such connection." in told("sync", "run", "--connection", str(new_id()), status=1)
    first = do(fresh_database_url, lambda database, organisation_id: make_connection(database, organisation_id))
    do(fresh_database_url, lambda database, organisation_id: make_connection(database, organisation_id, "square"))
    table = told("sync", "status")
    assert all(word in table for word in ("shopify", "square", "never", "active"))
    assert "1 run asked for." in told("sync", "run", "--kinds", "orders", "--connection", str(first))
    assert "6 runs asked for." in told("sync", "run")
    assert "is not one of" in told("sync", "run", "--kinds", " , ", status=1)


def test_a_ledger_that_does_not_add_up_is_named(told: Callable[..., str], fresh_database_url: str) -> None:
    assert "Every balance equals its ledger." in told("stock", "verify")

    async def damage(database: Database, organisation_id: UUID) -> UUID:
        made = await make_variants(database, organisation_id, {"A": 5})
        async with database.transaction(organisation_id) as tx:
            await tx.execute("update stock_level set on_hand = 7 where variant_id = $1", made["A"])
        return made["A"]

    variant = do(fresh_database_url, damage)
    said = told("stock", "verify", status=1)
    assert f"Variant {variant} at" in said
    assert "on_hand is 7, its movements say 5." in said
    found = json.loads(told("stock", "verify", "--json", status=1))
    assert (found["ledger_ok"], len(found["mismatches"])) == (False, 1)


def test_the_doctor_names_what_is_wrong_and_what_to_do(
    told: Callable[..., str], fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"note port: Port {port}" in " ".join(told("doctor", "--port", str(port)).split()), (
            "said, but no fault of the hub"
        )
    with psycopg.connect(fresh_database_url, autocommit=True) as owner:
        owner.execute("alter table sales_order no force row level security")
        assert "bad row security: is not forced on sales_order" in " ".join(told("doctor", status=1).split())
        owner.execute("alter table sales_order force row level security")
    monkeypatch.setenv("ENTREPOT_SECRET_KEY", "YWJj")
    assert "3 bytes long, not 32" in " ".join(told("doctor", status=1).split())
    monkeypatch.delenv("ENTREPOT_SECRET_KEY")
    monkeypatch.setenv("ENTREPOT_ERROR_HANDLING_ALERT_CHANNELS", "email")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:hush@127.0.0.1:9/none")
    said = " ".join(told("doctor", "--port", "0", status=1).split())
    assert "without effect: error_handling.alert_channels: email" in said
    assert "bad database: does not answer" in said
    assert "hush" not in said
    monkeypatch.setenv("ENTREPOT_SYNC_BATCH_SIZE", "0")
    assert "ENTREPOT_SYNC_BATCH_SIZE" in told("doctor", "--port", "0", status=1)
