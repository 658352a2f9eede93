"""Batches of quantities: recorded, sent, and what became of them recorded again.

The intent is recorded and committed, the channel is called with an idempotency key, the outcome is recorded and
committed. A worker that dies in between leaves an open batch; whoever takes the lane next sends the same batch with the same
key, or, where the channel has no keys, believes the lower value and writes again.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.allocation import facade as allocation
from entrepot.channels.contract import (
    Api,
    ListingRef,
    Manifest,
    OutcomeUnknown,
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityBatch,
    QuantityChange,
    QuantitySemantics,
    ReadsQuantities,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.channels.contracts import Connection
from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.kernel.ids import new_id
from entrepot.sync import comparisons, exposure, progress, store, store_batches
from entrepot.sync.context import SyncContext
from entrepot.sync.rules import backoff_s

QUANTITIES_SHOWN = "sync.quantities_shown"
"""Channels show what was written, or it became certain: listings that waited for that may show more now."""

FOLLOW_S = 1.0
WAIT_S = 0.5

Change = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A connection, and all that it takes to write its quantities."""

    context: SyncContext
    connection: Connection
    api: Api
    connector: Any
    manifest: Manifest

    @property
    def absolute(self) -> bool:
        """Whether the channel takes values only, so that a write forgets a sale which it had not told of."""
        return self.manifest.quantity_semantics in (QuantitySemantics.ABSOLUTE, None)

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction of the connection's organisation."""
        return self.context.database.transaction(self.connection.organisation_id)


def same_result(changes: Sequence[Change], outcome: PushOutcome, detail: str = "") -> tuple[PushResult, ...]:
    """Return the same outcome for every change."""
    return tuple(PushResult(change["external_id"], outcome, detail=detail) for change in changes)


def doubted(result: PushResult) -> PushResult:
    """Return what a result says of a batch that was sent before: not written now may have been written then."""
    if result.outcome in (PushOutcome.STALE, PushOutcome.FAILED):
        return replace(result, outcome=PushOutcome.UNKNOWN)
    return result


def changes_of(changes: Sequence[Change]) -> tuple[QuantityChange, ...]:
    """Return recorded changes as a connector takes them."""
    return tuple(QuantityChange(ListingRef(c["external_id"], c["keys"]), c["sku"], c["to"], c["from"]) for c in changes)


Opened = tuple[UUID, list[Change], QuantityBatch]


async def open_batch(
    tx: Tx,
    connection: Connection,
    sending: Sequence[tuple[Any, int]],
    shown: Mapping[UUID, int] | None = None,
    not_after: datetime | None = None,
) -> Opened:
    """Record the intent to write; `shown` has what the channel shows where that was just read, and counts until then."""
    batch_id = new_id()
    changes: list[Change] = []
    rows: list[tuple[UUID, int, int]] = []
    for row, to in sending:
        before = (shown or {}).get(row["listing_id"], row["expected"])
        changes.append(
            {"listing_id": str(row["listing_id"]), "external_id": row["external_id"], "keys": row["keys"],
             "sku": row["sku"] or "", "from": before, "to": to}
        )  # fmt: skip
        rows.append((row["listing_id"], before, to))
    key = str(batch_id)
    await store_batches.begin_batch(tx, batch_id, connection.id, key, changes, rows)
    created: datetime = await tx.fetch_value(
        "select created_at from push_batch where organisation_id = $1 and id = $2", tx.organisation, batch_id
    )
    return batch_id, changes, QuantityBatch(key, changes_of(changes), created, not_after)


async def call(
    target: Target,
    batch_id: UUID,
    changes: Sequence[Change],
    batch: QuantityBatch,
    *,
    repeated: bool = False,
) -> PushReceipt:
    """Send a batch, record what became of it and return it. Raises the channel's error after having recorded it.

    `repeated`: it was sent before and the answer was lost. Then no refusal proves that nothing was written.
    """
    try:
        receipt: PushReceipt = await target.connector.push_quantities(target.api, batch)
    except OutcomeUnknown as error:
        async with target.transaction() as tx:
            await store_batches.lock_batch(tx, batch_id)
            if target.absolute:
                await store_batches.end_unknown(tx, batch_id, [UUID(c["listing_id"]) for c in changes], absolute=True)
                await store_batches.set_batch(tx, batch_id, "done", detail=error.detail)
            else:
                await store_batches.set_batch(tx, batch_id, "sending", detail=error.detail)
        raise
    except RequestRejected as error:
        outcome = PushOutcome.UNKNOWN if repeated else PushOutcome.REFUSED
        receipt = PushReceipt(same_result(changes, outcome, error.detail))
    except UnexpectedAnswer as error:
        if not repeated:
            raise
        # It would be answered so again: what the listings show tells more, and others are not kept waiting.
        receipt = PushReceipt(same_result(changes, PushOutcome.UNKNOWN, error.detail))
    except TemporarilyUnavailable as error:
        if repeated:
            raise
        async with target.transaction() as tx:
            await store_batches.lock_batch(tx, batch_id)
            rows = [(UUID(c["listing_id"]), error.detail) for c in changes]
            await store_batches.end_not_written(tx, batch_id, rows, next_attempt_at=None, state="pending")
            await store_batches.set_batch(tx, batch_id, "done", detail=error.detail)
        raise
    if repeated:
        receipt = replace(receipt, results=tuple(map(doubted, receipt.results)))
    await record(target, batch_id, changes, receipt)
    stale = [r for r in receipt.results if r.outcome is PushOutcome.STALE]
    if stale and isinstance(target.connector, ReadsQuantities):
        await _send_from_what_it_shows(target, changes, stale)
    return receipt


async def record(target: Target, batch_id: UUID, changes: Sequence[Change], receipt: PushReceipt) -> None:
    """Store the outcome of every change of a batch."""
    now = target.context.clock()
    by_id = {r.external_id: r for r in receipt.results}
    grouped: dict[PushOutcome, list[tuple[UUID, PushResult]]] = {}
    for change in changes:
        result = by_id.get(change["external_id"]) or PushResult(change["external_id"], PushOutcome.UNKNOWN)
        grouped.setdefault(result.outcome, []).append((UUID(change["listing_id"]), result))
    async with target.transaction() as tx:
        await store_batches.lock_batch(tx, batch_id)
        applied = [(i, r.reported) for i, r in grouped.get(PushOutcome.APPLIED, [])]
        shown = await store_batches.end_applied(tx, batch_id, applied, absolute=target.absolute)
        await _tell_shown(tx, target, shown, now)
        await _record_failures(target, tx, batch_id, grouped, now)
        unknown = [i for i, _ in grouped.get(PushOutcome.UNKNOWN, [])]
        if unknown:
            await store_batches.end_unknown(tx, batch_id, unknown, absolute=target.absolute)
            tx.hint(f"check:{target.connection.id}")
        if grouped.get(PushOutcome.PENDING):
            later = now + timedelta(seconds=FOLLOW_S)
            await store_batches.set_batch(tx, batch_id, "following", handle=receipt.handle, next_attempt_at=later)
        else:
            await store_batches.set_batch(tx, batch_id, "done")


async def tell_certain(tx: Tx, variant_ids: Sequence[UUID] | None) -> None:
    """More is known of what these variants' listings (None: all) show: divide those anew where others wait for that."""
    waiting = [] if variant_ids is not None and not variant_ids else await exposure.waiting_variants(tx, variant_ids)
    if waiting:
        await jobs.emit(tx, QUANTITIES_SHOWN, {"variant_ids": [str(variant) for variant in waiting]})


async def _tell_shown(tx: Tx, target: Target, shown: Sequence[Any], now: datetime) -> None:
    """Count how long lowering took, and have variants divided anew whose other listings waited for it."""
    lags = [max(0.0, float(row["lag"])) for row in shown if row["lag"] is not None]
    await allocation.count_lags(tx, target.connection.id, allocation.SHOWN, lags, now)
    await tell_certain(tx, [row["variant_id"] for row in shown])


async def _record_failures(
    target: Target,
    tx: Tx,
    batch_id: UUID,
    grouped: Mapping[PushOutcome, list[tuple[UUID, PushResult]]],
    now: datetime,
) -> None:
    refused = [(i, r.detail or r.code or "refused") for i, r in grouped.get(PushOutcome.REFUSED, [])]
    failed = [(i, r.detail or r.code) for i, r in grouped.get(PushOutcome.FAILED, [])]
    stale = [(i, "the channel shows something else") for i, _ in grouped.get(PushOutcome.STALE, [])]
    await store_batches.end_not_written(tx, batch_id, refused, next_attempt_at=None, state="parked")
    if failed:
        # One bad item may fail its neighbours for nothing: the first time they go again at once.
        alone = len(failed) == sum(map(len, grouped.values()))
        wait = backoff_s(2, random.random()) if alone else 0.0  # noqa: S311
        await store_batches.end_not_written(
            tx, batch_id, failed, next_attempt_at=now + timedelta(seconds=wait), state="pending"
        )
    if stale:
        await store_batches.end_not_written(
            tx, batch_id, stale, next_attempt_at=now + timedelta(seconds=WAIT_S), state="waiting"
        )
        await comparisons.want_check(
            tx, [i for i, _ in stale], now + timedelta(seconds=target.context.settings.recheck_s)
        )
        await progress.want_pull(tx, target.connection.id, now)


async def _send_from_what_it_shows(target: Target, changes: Sequence[Change], stale: Sequence[PushResult]) -> None:
    """The channel shows something else than we believed, mostly a sale whose order is on its way.

    The same difference is applied to what it does show, again as compare-and-set: so our change is in at once and the
    sale stays in the channel's books.
    """
    external = {r.external_id for r in stale}
    refs = {c["external_id"]: ListingRef(c["external_id"], c["keys"]) for c in changes if c["external_id"] in external}
    shows = {r.external_id: r.quantity for r in await target.connector.read_quantities(target.api, list(refs.values()))}
    ids = [UUID(c["listing_id"]) for c in changes if c["external_id"] in external]
    sending: list[tuple[Any, int]] = []
    shown: dict[UUID, int] = {}
    async with target.transaction() as tx:
        rows = await store.lock_stale(tx, ids)
        for row in rows:
            reads = shows.get(row["external_id"])
            if reads is None or row["expected"] is None or row["desired"] is None:
                continue
            to = max(0, min(row["desired"], reads + row["desired"] - row["expected"]))
            if to < reads or (to > reads and row["believed_at"] is None):
                shown[row["listing_id"]] = reads
                sending.append((row, to))
        if not sending:
            return
        batch_id, again, batch = await open_batch(tx, target.connection, sending, shown)
    receipt = await target.connector.push_quantities(target.api, batch)
    await record(target, batch_id, again, receipt)
