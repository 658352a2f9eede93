"""Health follows from outcomes, in plain words, and its history has an entry per change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from tests.channels.support import BazaarConnector, new_bazaar

from entrepot.channels import facade
from entrepot.channels.contract import (
    ConnectorError,
    CredentialsRejected,
    RateLimited,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.channels.contracts import HealthStatus
from entrepot.channels.health import Facts, HealthRecorder, judge
from entrepot.channels.tries import CallOutcome
from entrepot.channels.vault import Vault, new_vault_key
from entrepot.database.pool import Database

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DOWN = TemporarilyUnavailable("no answer")


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ([], HealthStatus.HEALTHY),
        ([None] * 5, HealthStatus.HEALTHY),
        ([RequestRejected("bad SKU")] * 5, HealthStatus.HEALTHY),
        ([None] * 20 + [DOWN], HealthStatus.HEALTHY),
        ([None] * 5 + [DOWN], HealthStatus.DEGRADED),
        ([None] * 90 + [DOWN] * 3, HealthStatus.DOWN),
        ([DOWN] * 3 + [None] * 90, HealthStatus.HEALTHY),
        ([None, RateLimited("wait")], HealthStatus.DEGRADED),
        ([RateLimited("wait")] * 9, HealthStatus.DEGRADED),
        ([None, CredentialsRejected("no")], HealthStatus.DOWN),
    ],
)
def test_calls(errors: list[ConnectorError | None], status: HealthStatus) -> None:
    calls = tuple((NOW, 0.1, error) for error in errors)
    judged = judge(Facts(calls, None, timedelta(minutes=5), None), NOW)
    assert judged.status is status
    assert bool(judged.reason) == (status is not HealthStatus.HEALTHY)


def test_slow_late_and_old() -> None:
    minute = timedelta(minutes=1)
    assert judge(Facts(((NOW, 9.0, None),), None, minute, None), NOW).status is HealthStatus.DEGRADED
    assert judge(Facts((), 20 * minute, minute, None), NOW).status is HealthStatus.DEGRADED
    assert judge(Facts((), 10 * minute, 5 * minute, None), NOW).status is HealthStatus.HEALTHY
    old = judge(Facts(((NOW - 10 * minute, 9.0, DOWN),) * 5, None, minute, None), NOW)
    assert (old.status, old.error_rate, old.latency_ms) == (HealthStatus.HEALTHY, None, None)


async def test_history_has_an_entry_per_change_and_every_few_minutes(database: Database, organisation_id: UUID) -> None:
    now = [NOW]
    recorder = HealthRecorder(clock=lambda: now[0])
    vault = Vault({"a": new_vault_key()}, "a")
    async with database.transaction(organisation_id) as tx:
        id = (await facade.connect(tx, vault, BazaarConnector(), new_bazaar())).id
        await facade.advance_cursor(tx, id, "orders", "c", None, NOW - timedelta(seconds=30))

    def call(error: ConnectorError | None) -> None:
        recorder.observe(CallOutcome(id, "bazaar", "read", 0.2, error))

    call(None)
    (first,) = await recorder.flush(database, organisation_id)
    assert (first.status, first.latency_ms, first.error_rate, first.sync_age_s) == (
        HealthStatus.HEALTHY,
        200,
        Decimal(0),
        30,
    )
    assert await recorder.flush(database, organisation_id) == []
    now[0] += timedelta(seconds=10)
    for _ in range(3):
        call(DOWN)
    (second,) = await recorder.flush(database, organisation_id)
    assert (second.status, second.error_rate) == (HealthStatus.DOWN, Decimal("0.75"))
    now[0] += timedelta(minutes=5)
    assert len(await recorder.flush(database, organisation_id)) == 1
    async with database.transaction(organisation_id) as tx:
        (latest,) = await facade.latest_health(tx)
        assert latest.at == now[0]
        assert len(await facade.health_history(tx, id, NOW)) == 3
