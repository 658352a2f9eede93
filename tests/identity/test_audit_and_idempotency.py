"""The audit log only grows; a request sent twice is done once."""

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.identity.idempotency import IdempotencyKeyReused, InvalidIdempotencyKey, RequestInProgress
from entrepot.identity.sealing import AnswerUnreadable, Seal
from entrepot.kernel.clock import utc_now

ANSWER = identity.KeptAnswer(201, b'{"a":1}')
REQUEST = identity.request_hash("POST", "/x", "", b"{}")


@pytest.fixture
def actor(organisation_id: UUID) -> identity.Actor:
    return identity.system_actor(organisation_id)


async def test_audit_lines_are_filtered_and_paged(database: Database, actor: identity.Actor) -> None:
    async with database.transaction(actor.organisation_id) as tx:
        for n in range(5):
            await identity.record(tx, actor, "thing.change", "thing", n, before={"n": n}, after={"n": n + 1})
        await identity.record(tx, actor, "other.change", "other", "x")
    async with database.transaction(actor.organisation_id) as tx:
        page = await identity.list_audit(tx, limit=2, subject_kind="thing")
        rest = await identity.list_audit(tx, limit=9, subject_kind="thing", before_id=page[-1].id)
        assert [entry.subject_id for entry in page + rest] == ["4", "3", "2", "1", "0"]
        assert (page[0].before, page[0].after) == ({"n": 4}, {"n": 5})
        assert [e.action for e in await identity.list_audit(tx, action="other.change")] == ["other.change"]


@pytest.mark.parametrize("statement", ["update audit_log set action = 'x'", "delete from audit_log"])
async def test_audit_lines_cannot_be_changed(database: Database, actor: identity.Actor, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction(actor.organisation_id) as tx:
            await tx.execute(statement)


async def test_work_and_answer_are_kept_together(database: Database, actor: identity.Actor) -> None:
    async def claim_and_fail() -> None:
        async with database.transaction(actor.organisation_id) as tx:
            assert await identity.claim(tx, actor, "k", REQUEST) is None
            await identity.keep(tx, actor, "k", REQUEST, ANSWER)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await claim_and_fail()
    async with database.transaction(actor.organisation_id) as tx:
        assert await identity.claim(tx, actor, "k", REQUEST) is None
        await identity.keep(tx, actor, "k", REQUEST, ANSWER)
    async with database.transaction(actor.organisation_id) as tx:
        assert await identity.claim(tx, actor, "k", REQUEST) == ANSWER
    with pytest.raises(IdempotencyKeyReused):
        async with database.transaction(actor.organisation_id) as tx:
            await identity.claim(tx, actor, "k", identity.request_hash("POST", "/x", "", b"[]"))


async def test_the_second_at_the_same_time_is_told_so(database: Database, actor: identity.Actor) -> None:
    async with database.transaction(actor.organisation_id) as first:
        assert await identity.claim(first, actor, "k", REQUEST) is None
        with pytest.raises(RequestInProgress):
            async with database.transaction(actor.organisation_id) as second:
                await identity.claim(second, actor, "k", REQUEST)
        await identity.keep(first, actor, "k", REQUEST, ANSWER)


async def test_another_actor_has_other_keys(database: Database, actor: identity.Actor) -> None:
    new = await identity.create_api_key(database, actor, "K", ["all"])
    other = await identity.Authenticator(database, b"k" * 32).authenticate(f"Bearer {new.secret}")
    await identity.close_claim(database, actor, "k", REQUEST, ANSWER)
    async with database.transaction(actor.organisation_id) as tx:
        assert await identity.claim(tx, other, "k", REQUEST) is None


async def test_an_open_claim_is_given_to_one(database: Database, actor: identity.Actor) -> None:
    outcomes = await asyncio.gather(
        *(identity.open_claim(database, actor, "k", REQUEST) for _ in range(4)), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, RequestInProgress) for outcome in outcomes) == 3
    await identity.close_claim(database, actor, "k", REQUEST, ANSWER)
    assert await identity.open_claim(database, actor, "k", REQUEST) == ANSWER


async def test_a_failed_or_abandoned_claim_may_be_tried_again(database: Database, actor: identity.Actor) -> None:
    assert await identity.open_claim(database, actor, "k", REQUEST) is None
    await identity.drop_claim(database, actor, "k")
    assert await identity.open_claim(database, actor, "k", REQUEST) is None
    later = utc_now() + timedelta(minutes=3)
    assert await identity.open_claim(database, actor, "k", REQUEST, clock=lambda: later) is None


async def test_a_mark_that_was_taken_over_does_the_work_once(database: Database, actor: identity.Actor) -> None:
    assert await identity.open_claim(database, actor, "k", REQUEST) is None
    later = utc_now() + timedelta(minutes=3)
    async with database.transaction(actor.organisation_id) as slow:
        assert await identity.claimed(slow, actor, "k", REQUEST) is None
        second = asyncio.create_task(identity.open_claim(database, actor, "k", REQUEST, clock=lambda: later))
        await asyncio.sleep(0.2)
        assert not second.done(), "it waits for the slow one"
        await identity.keep(slow, actor, "k", REQUEST, ANSWER)
    assert await second == ANSWER
    async with database.transaction(actor.organisation_id) as tx:
        assert await identity.claimed(tx, actor, "k", REQUEST) == ANSWER
    with pytest.raises(IdempotencyKeyReused):
        async with database.transaction(actor.organisation_id) as tx:
            await identity.claimed(tx, actor, "k", identity.request_hash("POST", "/x", "", b"[]"))


def test_a_sealed_answer_is_read_only_with_the_secret_and_for_its_request() -> None:
    body = b'{"secret": "entrepot_abc"}'
    kept = Seal(b"k" * 32).close(body, REQUEST)
    assert b"entrepot_abc" not in kept
    assert Seal(b"k" * 32).open(kept, REQUEST) == body
    assert Seal(b"x" * 32).open(body, REQUEST) == body, "kept in the transaction of the work: not sealed"
    for seal, request in ((Seal(b"x" * 32), REQUEST), (Seal(b"k" * 32), b"another")):
        with pytest.raises(AnswerUnreadable):
            seal.open(kept, request)


async def test_kept_answers_are_forgotten_after_a_day(database: Database, actor: identity.Actor) -> None:
    await identity.close_claim(database, actor, "k", REQUEST, ANSWER)
    async with database.transaction(actor.organisation_id) as tx:
        assert await identity.forget_answers(tx, utc_now()) == 0
        assert await identity.forget_answers(tx, utc_now() + timedelta(days=2)) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "é"])
def test_odd_idempotency_keys_are_refused(key: str) -> None:
    with pytest.raises(InvalidIdempotencyKey):
        identity.check_key(key)
