"""Requests that may be sent twice: the first answer is kept and given again.

`open_claim` commits a mark before the work. Where the work is one transaction, `claimed` and `keep` in it: answer and
work are there together or not at all. Where it has several, or calls a channel, `close_claim` keeps the answer
afterwards; a mark left by a crash is taken over after a while, so such work must itself be harmless when repeated.
The busiest path does without the mark: `claim` and `keep` in the transaction of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from entrepot.database.pool import Database, Tx
from entrepot.identity.contracts import Actor
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import Conflict, InvalidInput

KEEP_FOR = timedelta(days=1)
TAKE_OVER_AFTER = timedelta(minutes=2)
MAX_KEY_LENGTH = 255


class InvalidIdempotencyKey(InvalidInput):
    """An Idempotency-Key has 1 to 255 visible characters."""


class IdempotencyKeyReused(InvalidInput):
    """This Idempotency-Key was used for another request."""


class RequestInProgress(Conflict):
    """The first request with this Idempotency-Key is still being worked on: ask again in a moment."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer that was given the first time."""

    status: int
    body: bytes


def check_key(key: str) -> str:
    """Return the key. Raises InvalidIdempotencyKey."""
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidIdempotencyKey
    return key


def request_hash(method: str, path: str, query: str, body: bytes) -> bytes:
    """Return what makes two requests the same."""
    return sha256(b"\0".join((method.encode(), path.encode(), query.encode(), body))).digest()


async def claim(tx: Tx, actor: Actor, key: str, request: bytes) -> KeptAnswer | None:
    """Return the kept answer, or None: then do the work and `keep` its answer in this same transaction.

    Raises IdempotencyKeyReused, RequestInProgress. Never waits: whoever comes second is told so.
    """
    if (known := await _kept(tx, actor, key, request)) is not None:
        return known
    # The lock ends with the transaction, after its rows have become visible; so whoever gets it sees the outcome.
    free = await tx.fetch_value(
        "select pg_try_advisory_xact_lock(hashtextextended($1, 7201003))", f"{tx.organisation}/{actor.id}/{key}"
    )
    if not free:
        raise RequestInProgress
    return await _kept(tx, actor, key, request)


async def claimed(tx: Tx, actor: Actor, key: str, request: bytes) -> KeptAnswer | None:
    """In the transaction of the work of a request marked by `open_claim`: return the kept answer, or None to do the work.

    Locks the mark: whoever took it over from a slow request waits for that one's end and then finds its answer.
    Raises IdempotencyKeyReused.
    """
    return await _kept(tx, actor, key, request, mine=True)


async def _kept(tx: Tx, actor: Actor, key: str, request: bytes, *, mine: bool = False) -> KeptAnswer | None:
    row = await tx.fetch_row(
        "select request_hash, status, body from idempotency_key"
        " where organisation_id = $1 and actor_id = $2 and key = $3" + (" for update" if mine else ""),
        tx.organisation,
        str(actor.id),
        key,
    )
    if row is None:
        return None
    if row["request_hash"] != request:
        raise IdempotencyKeyReused
    if row["status"] is None:
        if mine:
            return None
        raise RequestInProgress
    return KeptAnswer(row["status"], row["body"])


async def keep(tx: Tx, actor: Actor, key: str, request: bytes, answer: KeptAnswer) -> None:
    """Keep the answer of a claimed request."""
    sql = """
        insert into idempotency_key (organisation_id, actor_id, key, request_hash, status, body)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (organisation_id, actor_id, key) do update set status = excluded.status, body = excluded.body
    """
    await tx.execute(sql, tx.organisation, str(actor.id), key, request, answer.status, answer.body)


async def open_claim(
    database: Database, actor: Actor, key: str, request: bytes, *, clock: Clock = utc_now
) -> KeptAnswer | None:
    """Return the kept answer, or None: then do the work and `close_claim`, or `drop_claim` if it failed.

    Raises IdempotencyKeyReused, RequestInProgress.
    """
    sql = """
        insert into idempotency_key as k (organisation_id, actor_id, key, request_hash, created_at)
        values ($1, $2, $3, $4, $5)
        on conflict (organisation_id, actor_id, key) do update set created_at = excluded.created_at
            where k.status is null and k.request_hash = excluded.request_hash and k.created_at < $6
    """
    now = clock()
    async with database.transaction(actor.organisation_id) as tx:
        mine = await tx.execute(sql, actor.organisation_id, str(actor.id), key, request, now, now - TAKE_OVER_AFTER)
        return None if mine else await claim(tx, actor, key, request)


async def close_claim(database: Database, actor: Actor, key: str, request: bytes, answer: KeptAnswer) -> None:
    """Keep the answer of a request that was claimed with `open_claim`."""
    async with database.transaction(actor.organisation_id) as tx:
        await keep(tx, actor, key, request, answer)


async def drop_claim(database: Database, actor: Actor, key: str) -> None:
    """Forget a claim whose work failed, so that it may be tried again."""
    async with database.transaction(actor.organisation_id) as tx:
        await tx.execute(
            "delete from idempotency_key"
            " where organisation_id = $1 and actor_id = $2 and key = $3 and status is null",
            actor.organisation_id, str(actor.id), key,
        )  # fmt: skip


async def forget_answers(tx: Tx, now: datetime) -> int:
    """Delete this organisation's answers that were kept long enough; return how many. For a daily schedule."""
    sql = "delete from idempotency_key where organisation_id = $1 and created_at < $2"
    return await tx.execute(sql, tx.organisation, now - KEEP_FOR)
