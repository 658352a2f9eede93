"""People are told when a connection fails several times in a row, and when it works again; once each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
from structlog.testing import capture_logs
from tests.connectors.listener import listening
from tests.sync.kinds import CAS, make

from entrepot.channels import facade as channels
from entrepot.channels.contract import CredentialsRejected, TemporarilyUnavailable
from entrepot.channels.contracts import ConnectionState
from entrepot.database.pool import Database
from entrepot.jobs import facade as jobs
from entrepot.sync.alerts import ALERT, Alert, name_of, send_alert

HOOK = "https://chat.example/hook"


async def alerts(database: Database, organisation_id: UUID) -> list[Alert]:
    """What is to be told, the oldest first."""
    async with database.transaction(organisation_id) as tx:
        rows = await tx.fetch(
            "select payload from job where organisation_id = $1 and kind = $2 order by id", organisation_id, ALERT.name
        )
    return [msgspec.convert(row["payload"], Alert) for row in rows]


async def state_of(database: Database, organisation_id: UUID, connection_id: UUID) -> tuple[Any, str]:
    async with database.transaction(organisation_id) as tx:
        connection = await channels.get(tx, connection_id)
    return connection.state, connection.state_reason


async def failing_hub(database: Database, organisation_id: UUID, **settings: Any) -> Any:
    hub, channel, name = await make(database, organisation_id, CAS)
    hub.context.settings = replace(hub.context.settings, alert_threshold=3, alert_channels=("log", HOOK), **settings)
    channel.pull_error = TemporarilyUnavailable("The shop is closed.")
    return hub, channel, name


async def test_several_failures_in_a_row_are_told_once_and_so_is_their_end(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel, name = await failing_hub(database, organisation_id)
    for _ in range(2):
        await hub.pull(name)
    assert await alerts(database, organisation_id) == []
    with capture_logs() as logged:
        for _ in range(3):
            await hub.pull(name)
    assert [line["event"] for line in logged].count("connection_alert") == 1
    (told,) = await alerts(database, organisation_id)
    assert (told.work, told.failures, told.problem) == ("pull", 3, "The shop is closed.")
    assert (told.to, HOOK in str(told)) == (name_of(HOOK), False)
    assert (await state_of(database, organisation_id, hub.connections[name]))[0] is ConnectionState.ACTIVE
    channel.pull_error = None
    await hub.pull(name)
    await hub.pull(name)
    _, again = await alerts(database, organisation_id)
    assert again.text.endswith("fetching orders works again after 5 failures.")


async def test_a_failure_now_and_then_is_not_told(database: Database, organisation_id: UUID) -> None:
    hub, channel, name = await failing_hub(database, organisation_id)
    for _ in range(4):
        channel.pull_error = TemporarilyUnavailable("Busy.")
        await hub.pull(name)
        await hub.pull(name)
        channel.pull_error = None
        await hub.pull(name)
    assert await alerts(database, organisation_id) == []


async def test_without_recovery_the_connection_stops_until_a_person_acts(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel, name = await failing_hub(database, organisation_id, auto_recovery=False)
    waits = [await hub.pull(name) for _ in range(3)]
    assert waits[-1] is None
    assert None not in waits[:2]
    stopped = await state_of(database, organisation_id, hub.connections[name])
    assert stopped == (ConnectionState.NEEDS_ATTENTION, "It failed 3 times in a row: The shop is closed.")
    assert len(await alerts(database, organisation_id)) == 1
    channel.pull_error = None
    assert await hub.pull(name) is None
    async with database.transaction(organisation_id) as tx:
        assert await channels.mark_working(tx, hub.connections[name])
    await hub.pull(name)
    assert (await state_of(database, organisation_id, hub.connections[name]))[0] is ConnectionState.ACTIVE


async def test_refused_credentials_are_told_at_once(database: Database, organisation_id: UUID) -> None:
    hub, channel, name = await failing_hub(database, organisation_id)
    channel.pull_error = CredentialsRejected("token revoked")
    for _ in range(2):
        await hub.pull(name)
    (told,) = await alerts(database, organisation_id)
    assert (told.failures, told.problem) == (1, "token revoked")


async def test_an_alert_is_posted_to_its_address(database: Database, organisation_id: UUID) -> None:
    alert = Alert("c1", "Shop", "push", 5, "The shop is closed.")

    async def deliver(address: str, known: tuple[str, ...]) -> Any:
        async with database.transaction(organisation_id) as tx:
            job_id = await jobs.enqueue(tx, ALERT, replace(alert, to=name_of(address)), actor="test")

        async def handler(run: jobs.JobRun[Alert]) -> Any:
            return await send_alert(run, known)

        await jobs.perform(database, ALERT, handler, organisation_id, job_id)
        async with database.transaction(organisation_id) as tx:
            return await jobs.detail(tx, job_id)

    async with listening() as listener:
        job = await deliver(listener.url, ("log", "https://other.example/", listener.url))
        (delivery,) = await listener.until(1)
        assert job.state is jobs.JobState.DONE
        body = msgspec.json.decode(delivery.body)
        assert body["text"] == "Shop: writing quantities failed 5 times in a row. The shop is closed."
        assert (body["connectionId"], body["failures"]) == ("c1", 5)
        gone = await deliver("https://left.example/", (listener.url,))
        assert gone.state is jobs.JobState.DONE
        assert gone.result == {"sent": False, "reason": "The address is no longer in error_handling.alert_channels."}
    failed = await deliver(listener.url, (listener.url,))
    assert failed.state is not jobs.JobState.DONE
    assert failed.error
