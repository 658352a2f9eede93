"""Statements on batches: what is being written to a channel, and how that ended for each listing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx

LOCK_BATCH = """
select listing_id from listing_quantity where organisation_id = $1 and batch_id = $2 order by listing_id for update
"""


async def lock_batch(tx: Tx, batch_id: UUID) -> None:
    """Lock the listings of a batch in the one order, before anything of it is changed."""
    await tx.execute(LOCK_BATCH, tx.organisation, batch_id)


async def begin_batch(
    tx: Tx,
    batch_id: UUID,
    connection_id: UUID,
    key: str,
    changes: Sequence[Mapping[str, Any]],
    rows: Sequence[tuple[UUID, int, int]],
) -> None:
    """Record the intent to write: (listing, from, to) rows become `sending` under the batch."""
    await tx.execute(
        "insert into push_batch (organisation_id, id, connection_id, idempotency_key, changes) values ($1,$2,$3,$4,$5)",
        tx.organisation,
        batch_id,
        connection_id,
        key,
        changes,
    )
    await tx.execute(
        """
        update listing_quantity q
        set state = 'sending', batch_id = $2, sending_from = i.from_quantity, sending_to = i.to_quantity, detail = '',
            updated_at = now()
        from unnest($3::uuid[], $4::bigint[], $5::bigint[]) as i(listing_id, from_quantity, to_quantity)
        where q.organisation_id = $1 and q.listing_id = i.listing_id
        """,
        tx.organisation,
        batch_id,
        *map(list, zip(*rows, strict=True)),
    )


async def open_batches(tx: Tx, connection_id: UUID) -> list[Any]:
    """Return the batches of a connection whose end is not known."""
    return await tx.fetch(
        "select id, idempotency_key, changes, state, handle, attempts, created_at, next_attempt_at from push_batch"
        " where organisation_id = $1 and connection_id = $2 and state <> 'done' order by id",
        tx.organisation,
        connection_id,
    )


async def set_batch(
    tx: Tx, batch_id: UUID, state: str, *, handle: str | None = None, next_attempt_at: datetime | None = None,
    detail: str = "",
) -> None:  # fmt: skip
    """Move a batch on."""
    await tx.execute(
        "update push_batch set state = $3, handle = coalesce($4, handle), next_attempt_at = $5, detail = $6,"
        " attempts = attempts + 1, finished_at = case when $3 = 'done' then now() end"
        " where organisation_id = $1 and id = $2",
        tx.organisation,
        batch_id,
        state,
        handle,
        next_attempt_at,
        detail[:500],
    )


_ENDED = "batch_id = null, sending_from = null, sending_to = null, updated_at = now()"

_AFTER = "q.expected + q.sending_to - q.sending_from"


APPLIED = f"""
update listing_quantity q
set expected = {_AFTER}, published = q.sending_to, published_at = now(), attempts = 0, next_attempt_at = null, detail = '',
    shown_before = case when $3 then greatest(q.expected, q.sending_from, q.shown_before)
                   when q.believed_at is not null then q.shown_before end,
    uncertain = $3 and q.expected <> q.sending_from,
    raise_wanted_at = case when q.desired > {_AFTER} then coalesce(q.raise_wanted_at, now()) end,
    reported = coalesce(i.reported, case when q.gap is null then q.reported else q.sending_to end),
    reported_at = case when i.reported is not null then now() else q.reported_at end,
    gap = case when i.reported is null then q.gap else nullif(i.reported - ({_AFTER}), 0) end,
    gap_at = case when i.reported is null then q.gap_at when i.reported <> {_AFTER} then now() end,
    check_at = case when i.reported <> {_AFTER} then coalesce(q.check_at, now() + interval '1 second') else q.check_at end,
    state = case when q.desired is not distinct from {_AFTER} and not ($3 and q.expected <> q.sending_from)
            then 'in_step' else 'pending' end,
    {_ENDED}
from (select u.listing_id, u.reported, b.sending_to < b.sending_from as lowers
      from unnest($4::uuid[], $5::bigint[]) as u(listing_id, reported)
      join listing_quantity b on b.organisation_id = $1 and b.batch_id = $2 and b.listing_id = u.listing_id) as i
where q.organisation_id = $1 and q.batch_id = $2 and q.listing_id = i.listing_id
returning q.variant_id, case when i.lowers then extract(epoch from now() - q.desired_at) end as lag
"""


async def end_applied(tx: Tx, batch_id: UUID, rows: Sequence[tuple[UUID, int | None]], *, absolute: bool) -> list[Any]:
    """The channel took these: (listing, what it reports now or None). A report tells at once what is missing there, or too much.

    Return (variant, seconds since a lowering was wanted, or None where it was none).
    """
    if not rows:
        return []
    return await tx.fetch(APPLIED, tx.organisation, batch_id, absolute, *map(list, zip(*rows, strict=True)))


async def end_unknown(tx: Tx, batch_id: UUID, listing_ids: Sequence[UUID], *, absolute: bool) -> None:
    """Nobody knows whether these were written.

    On a channel that overwrites, the lower value is believed and written again; elsewhere only a reading can tell. There it may
    have been written until now, over sales that are not known.
    """
    believed = f"least(q.expected, {_AFTER})" if absolute else "null"
    await tx.execute(
        f"""
        update listing_quantity q set shown_before = greatest(q.expected, q.sending_from, q.sending_to, q.shown_before),
            expected = {believed}, uncertain = $4, state = 'pending', next_attempt_at = null,
            published_at = case when $4 then now() else q.published_at end,
            check_at = case when $4 then q.check_at else now() end, gap = null, gap_at = null, believed_at = null,
            {_ENDED}
        where q.organisation_id = $1 and q.batch_id = $2 and q.listing_id = any($3::uuid[])
        """,
        tx.organisation,
        batch_id,
        listing_ids,
        absolute,
    )


async def end_not_written(
    tx: Tx, batch_id: UUID, rows: Sequence[tuple[UUID, str]], *, next_attempt_at: datetime | None, state: str
) -> None:
    """These were certainly not written: (listing, why). `state`: pending, waiting or parked."""
    if rows:
        await tx.execute(
            f"""
            update listing_quantity q set state = $4, next_attempt_at = $3, detail = i.detail,
                attempts = least(q.attempts + 1, 1000), {_ENDED}
            from unnest($5::uuid[], $6::text[]) as i(listing_id, detail)
            where q.organisation_id = $1 and q.batch_id = $2 and q.listing_id = i.listing_id
            """,
            tx.organisation,
            batch_id,
            next_attempt_at,
            state,
            *map(list, zip(*rows, strict=True)),
        )
