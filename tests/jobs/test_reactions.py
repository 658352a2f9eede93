"""Reactions to events: exactly once, also after a failure and with several workers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from entrepot.database.pool import Database, Tx
from entrepot.jobs import facade as jobs
from entrepot.jobs.reactions import BATCH, react, waiting_events

Payloads = Sequence[Mapping[str, Any]]


async def count(tx: Tx, payloads: Payloads) -> None:
    """Add a plus to the organisation's name for each event."""
    plus = "+" * len(payloads)
    await tx.execute("update organisation set name = name || $2 where id = $1", tx.organisation, plus)


async def name_of(database: Database, organisation_id: UUID) -> str:
    async with database.transaction(organisation_id) as tx:
        return str(await tx.fetch_value("select name from organisation where id = $1", organisation_id))


async def test_a_reaction_that_fails_leaves_its_events_and_then_counts_once(
    database: Database, organisation_id: UUID
) -> None:
    async with database.transaction(organisation_id) as tx:
        await jobs.emit(tx, "sold", {"n": 1})
        await jobs.emit_many(tx, "sold", [{"n": 2}, {"n": 3}])
        await jobs.emit(tx, "of no interest", {})
    tries: list[list[int]] = []

    async def fails_first(tx: Tx, payloads: Payloads) -> None:
        tries.append([p["n"] for p in payloads])
        if len(tries) == 1:
            raise ValueError("broken")

    table = {"sold": [count, fails_first]}
    with pytest.raises(ValueError, match="broken"):
        await react(database, organisation_id, table)
    async with database.transaction(organisation_id) as tx:
        assert await waiting_events(tx)
    assert await react(database, organisation_id, table) == 4
    assert await react(database, organisation_id, table) == 0
    assert tries == [[1, 2, 3], [1, 2, 3]]
    assert await name_of(database, organisation_id) == "Test+++"


async def test_workers_at_once_react_to_each_event_once(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        await jobs.emit_many(tx, "sold", [{"n": n} for n in range(BATCH + 20)])
    table = {"sold": [count]}
    done = sum(await asyncio.gather(*(react(database, organisation_id, table) for _ in range(4))))
    while part := await react(database, organisation_id, table):
        done += part
    assert done == BATCH + 20
    assert await name_of(database, organisation_id) == "Test" + "+" * (BATCH + 20)


async def test_events_of_others_are_left_alone(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        await jobs.emit(tx, "sold", {})
    assert await react(database, UUID(int=5), {}) == 0
    async with database.transaction(organisation_id) as tx:
        assert await waiting_events(tx)


async def test_what_the_table_names_first_is_counted_first(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        for topic in ("second", "first", "second"):
            await jobs.emit(tx, topic, {"topic": topic})
    seen: list[str] = []

    async def note(tx: Tx, payloads: Payloads) -> None:
        seen.extend(p["topic"] for p in payloads)

    assert await react(database, organisation_id, {"first": [note], "second": [note]}) == 3
    assert seen == ["first", "second", "second"]


async def test_events_of_one_transaction_come_together(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        await jobs.emit_many(tx, "sold", [{"n": n} for n in range(BATCH - 1)])
    async with database.transaction(organisation_id) as tx:
        await jobs.emit_many(tx, "sold", [{"n": n} for n in range(3)])
    async with database.transaction(organisation_id) as tx:
        await jobs.emit(tx, "sold", {"n": 0})
    assert await react(database, organisation_id, {"sold": [count]}) == BATCH + 2
    assert await react(database, organisation_id, {"sold": [count]}) == 1
