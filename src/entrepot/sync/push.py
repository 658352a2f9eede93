"""Quantities out: close the difference between what a listing shall show and what it shows.

The intent is recorded and committed, the channel is called with an idempotency key, the outcome is recorded and
committed. A worker that dies in between leaves an open batch; whoever takes the lane next sends the same batch with the same
key, or, where the channel has no keys, believes the lower value and writes again.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from entrepot.channels.contract import (
    Api,
    Capability,
    FollowsPushes,
    ListingRef,
    Manifest,
    OutcomeUnknown,
    PushesQuantities,
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityBatch,
    QuantityChange,
    QuantitySemantics,
    ReadsQuantities,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.channels.contracts import Connection
from entrepot.database.pool import Tx
from entrepot.jobs.lanes import LaneKey
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.sync import comparisons, progress, store
from entrepot.sync.context import SyncContext
from entrepot.sync.rules import Decision, Do, Quantity, Surroundings, backoff_s, decide

log = structlog.get_logger(__name__)

FOLLOW_S = 1.0
KEY_LIFE = timedelta(minutes=30)
"""How long a batch is sent again under its key; after that the listings are read instead."""
WAIT_S = 0.5

Change = Mapping[str, Any]


async def push_step(context: SyncContext, key: LaneKey) -> float | None:
    """Move a connection's quantities on by one batch; return 0 while there is more, or seconds to wait."""

    async def work(connection: Connection, api: Api, connector: PushesQuantities) -> float | None:
        manifest = context.find_connector(connection.channel).manifest
        if Capability.PUSH_QUANTITIES not in manifest.capabilities or connection.fulfilment_only:
            return None
        wait = await _finish_open(context, connection, api, connector, manifest)
        sent, later = await _send_next(context, connection, api, connector, manifest)
        if sent:
            return 0.0
        waits = [w for w in (wait, later) if w is not None]
        return max(0.01, min(waits)) if waits else None

    return await context.guarded(key, work)


# ---- batches whose end is not known ------------------------------------------------------------------------


async def _finish_open(
    context: SyncContext, connection: Connection, api: Api, connector: PushesQuantities, manifest: Manifest
) -> float | None:
    """Bring open batches to their end where possible; return seconds until the next look at one, or None."""
    async with context.database.transaction(connection.organisation_id) as tx:
        batches = await store.open_batches(tx, connection.id)
    waits: list[float] = []
    for row in batches:
        now = context.clock()
        if row["next_attempt_at"] is not None and row["next_attempt_at"] > now:
            waits.append((row["next_attempt_at"] - now).total_seconds())
        elif row["state"] == "following":
            if not await _follow(context, connection, api, connector, manifest, row):
                waits.append(FOLLOW_S)
        else:
            await _send_again(context, connection, api, connector, manifest, row)
    return min(waits) if waits else None


async def _follow(
    context: SyncContext, connection: Connection, api: Api, connector: Any, manifest: Manifest, row: Any
) -> bool:
    """Ask what became of an asynchronous batch; return whether it is over."""
    if not isinstance(connector, FollowsPushes):
        results: tuple[PushResult, ...] | None = _all(row["changes"], PushOutcome.UNKNOWN)
    else:
        try:
            results = await connector.follow_push(api, row["handle"])
        except RequestRejected as error:
            results = _all(row["changes"], PushOutcome.UNKNOWN, error.detail)
    if results is None:
        async with context.database.transaction(connection.organisation_id) as tx:
            later = context.clock() + timedelta(seconds=FOLLOW_S)
            await store.set_batch(tx, row["id"], "following", next_attempt_at=later)
        return False
    await _record(context, connection, manifest, row["id"], row["changes"], PushReceipt(results))
    return True


async def _send_again(
    context: SyncContext, connection: Connection, api: Api, connector: PushesQuantities, manifest: Manifest, row: Any
) -> None:
    """A worker died, or an answer was lost: repeat the batch under its key, or take the outcome for unknown."""
    repeatable = manifest.quantity_semantics is not QuantitySemantics.ABSOLUTE
    if repeatable and context.clock() - row["created_at"] < KEY_LIFE:
        batch = QuantityBatch(row["idempotency_key"], _changes(row["changes"]), row["created_at"])
        await _call(context, connection, api, connector, manifest, row["id"], row["changes"], batch, repeated=True)
        return
    receipt = PushReceipt(_all(row["changes"], PushOutcome.UNKNOWN, "the answer was lost"))
    await _record(context, connection, manifest, row["id"], row["changes"], receipt)


def _all(changes: Sequence[Change], outcome: PushOutcome, detail: str = "") -> tuple[PushResult, ...]:
    return tuple(PushResult(change["external_id"], outcome, detail=detail) for change in changes)


def _doubted(result: PushResult) -> PushResult:
    """Return what a result says of a batch that was sent before: not written now may have been written then."""
    if result.outcome in (PushOutcome.STALE, PushOutcome.FAILED):
        return replace(result, outcome=PushOutcome.UNKNOWN)
    return result


def _changes(changes: Sequence[Change]) -> tuple[QuantityChange, ...]:
    return tuple(QuantityChange(ListingRef(c["external_id"], c["keys"]), c["sku"], c["to"], c["from"]) for c in changes)


# ---- the next batch ----------------------------------------------------------------------------------------


async def _send_next(
    context: SyncContext, connection: Connection, api: Api, connector: PushesQuantities, manifest: Manifest
) -> tuple[bool, float | None]:
    """Send one batch of what is due; return (whether anything was sent, seconds until something may be due)."""
    limit = min(context.settings.push_batch_max, manifest.push_batch_max)
    semantics = manifest.quantity_semantics or QuantitySemantics.ABSOLUTE
    async with context.database.transaction(connection.organisation_id) as tx:
        due = await store.due_quantities(tx, connection.id, context.clock(), limit)
        decisions = await _decide(context, tx, connection, semantics, due)
        await _set_aside(context, tx, connection, decisions)
        sending = [(row, d.to) for row, d in decisions if d.do is Do.SEND]
        if semantics is _ABSOLUTE and len(sending) <= context.settings.patch_many:
            sending = sending[: context.settings.patch_batch_max]
        opened = await _open_batch(tx, connection, sending) if sending and semantics is not _ABSOLUTE else None
    if not due:
        return False, None
    if not sending:
        return len(due) == limit, WAIT_S
    if semantics is _ABSOLUTE:
        opened = await _open_after_reading(context, connection, api, connector, sending)
        if opened is None:
            return True, None
    if opened is not None:
        batch_id, changes, batch = opened
        await _call(context, connection, api, connector, manifest, batch_id, changes, batch)
    return True, None


_ABSOLUTE = QuantitySemantics.ABSOLUTE


async def _decide(
    context: SyncContext, tx: Tx, connection: Connection, semantics: QuantitySemantics, due: Sequence[Any]
) -> list[tuple[Any, Decision]]:
    pools: Mapping[UUID, int] = {}
    others: dict[UUID, int] = {}
    drained_at = None
    if semantics is _ABSOLUTE and any((row["desired"] or 0) > (row["expected"] or 0) for row in due):
        variants = list({row["variant_id"] for row in due})
        pools = await stock.available_to_sell(tx, variants)
        drained_at = (await progress.get_progress(tx, connection.id)).drained_at
        shown = await store.exposures(tx, variants)
        for row in due:
            others[row["listing_id"]] = sum(
                r["most"] for r in shown
                if r["variant_id"] == row["variant_id"] and r["listing_id"] != row["listing_id"]
            )  # fmt: skip
    patience = timedelta(seconds=context.settings.raise_patience_s)
    decisions = []
    for row in due:
        figures = Quantity(
            row["desired"], row["expected"], row["published_at"], row["uncertain"], row["raise_wanted_at"],
            row["gap"] is not None,
        )  # fmt: skip
        around = Surroundings(
            pools.get(row["variant_id"], 0), others.get(row["listing_id"], 0), drained_at, context.clock(), patience,
            timedelta(seconds=context.settings.write_settling_s),
        )  # fmt: skip
        decisions.append((row, decide(semantics, figures, around)))
    return decisions


async def _set_aside(
    context: SyncContext, tx: Tx, connection: Connection, decisions: Sequence[tuple[Any, Decision]]
) -> None:
    """Note what is in step, what waits and what must be read first."""
    now = context.clock()
    await store.settle(tx, [row["listing_id"] for row, d in decisions if d.do is Do.NOTHING])
    waiting = [(row["listing_id"], d.why) for row, d in decisions if d.do is Do.WAIT]
    unread = [(row["listing_id"], d.why) for row, d in decisions if d.do is Do.CHECK]
    if waiting:
        await store.postpone(tx, waiting, now + timedelta(seconds=WAIT_S))
        await progress.want_pull(tx, connection.id, now)
    if unread:
        await store.postpone(tx, unread, now + timedelta(seconds=WAIT_S))
        await comparisons.want_check(tx, [row[0] for row in unread], now)
        tx.hint(f"check:{connection.id}")


Opened = tuple[UUID, list[Change], QuantityBatch]


async def _open_batch(
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
    await store.begin_batch(tx, batch_id, connection.id, key, changes, rows)
    created: datetime = await tx.fetch_value(
        "select created_at from push_batch where organisation_id = $1 and id = $2", tx.organisation, batch_id
    )
    return batch_id, changes, QuantityBatch(key, _changes(changes), created, not_after)


async def _open_after_reading(
    context: SyncContext, connection: Connection, api: Api, connector: Any, sending: Sequence[tuple[Any, int]]
) -> Opened | None:
    """On a channel that overwrites: look what it shows first, so that a sale we do not know is not written over.

    Lowering writes only where it shows more than it shall. A listing that shows what we expect is certain again. One that
    shows less has sold: it is looked into once the orders are in, not written.
    """
    shown: dict[str, int | None] = {}
    not_after = context.clock() + timedelta(seconds=context.settings.reading_holds_s)
    if isinstance(connector, ReadsQuantities):
        refs = [ListingRef(row["external_id"], row["keys"]) for row, _ in sending]
        shown = {r.external_id: r.quantity for r in await connector.read_quantities(api, refs)}
    kept: list[tuple[Any, int]] = []
    certain: list[UUID] = []
    less: list[tuple[UUID, str]] = []
    now = context.clock()
    for row, to in sending:
        reads = shown.get(row["external_id"])
        raising = to > max(0, row["expected"])
        if reads is None or reads > to or (raising and reads == max(0, row["expected"])):
            kept.append((row, to))
        elif reads == row["expected"]:
            certain.append(row["listing_id"])
        else:
            less.append((row["listing_id"], f"It shows {reads}, expected {row['expected']}: looked into first."))
    async with context.database.transaction(connection.organisation_id) as tx:
        locked = {
            row["listing_id"]: row for row in await store.lock_stale(tx, [row["listing_id"] for row, _ in sending])
        }
        kept = [(row, to) for row, to in kept if _is_as_decided(row, locked.get(row["listing_id"]))]
        await store.make_certain(tx, certain)
        if less:
            await store.postpone(tx, less, now + timedelta(seconds=WAIT_S))
            await comparisons.want_check(tx, [s[0] for s in less], now)
            await progress.want_pull(tx, connection.id, now)
            tx.hint(f"check:{connection.id}")
        return await _open_batch(tx, connection, kept, not_after=not_after) if kept else None


def _is_as_decided(row: Any, now: Any | None) -> bool:
    """Return whether a listing is still as it was when it was decided what to write."""
    return now is not None and (now["desired"], now["expected"]) == (row["desired"], row["expected"])


# ---- calling and recording ---------------------------------------------------------------------------------


async def _call(
    context: SyncContext,
    connection: Connection,
    api: Api,
    connector: PushesQuantities,
    manifest: Manifest,
    batch_id: UUID,
    changes: Sequence[Change],
    batch: QuantityBatch,
    *,
    repeated: bool = False,
) -> None:
    """Send a batch and record what became of it. Raises the channel's error after having recorded it.

    `repeated`: it was sent before and the answer was lost. Then no refusal proves that nothing was written.
    """
    try:
        receipt = await connector.push_quantities(api, batch)
    except OutcomeUnknown as error:
        async with context.database.transaction(connection.organisation_id) as tx:
            await store.lock_batch(tx, batch_id)
            if manifest.quantity_semantics is _ABSOLUTE:
                await store.end_unknown(tx, batch_id, [UUID(c["listing_id"]) for c in changes], absolute=True)
                await store.set_batch(tx, batch_id, "done", detail=error.detail)
            else:
                await store.set_batch(tx, batch_id, "sending", detail=error.detail)
        raise
    except RequestRejected as error:
        outcome = PushOutcome.UNKNOWN if repeated else PushOutcome.REFUSED
        receipt = PushReceipt(_all(changes, outcome, error.detail))
    except TemporarilyUnavailable as error:
        if repeated:
            raise
        async with context.database.transaction(connection.organisation_id) as tx:
            await store.lock_batch(tx, batch_id)
            rows = [(UUID(c["listing_id"]), error.detail) for c in changes]
            await store.end_not_written(tx, batch_id, rows, next_attempt_at=None, state="pending")
            await store.set_batch(tx, batch_id, "done", detail=error.detail)
        raise
    if repeated:
        receipt = replace(receipt, results=tuple(map(_doubted, receipt.results)))
    await _record(context, connection, manifest, batch_id, changes, receipt)
    stale = [r for r in receipt.results if r.outcome is PushOutcome.STALE]
    if stale and isinstance(connector, ReadsQuantities):
        await _send_from_what_it_shows(context, connection, api, connector, manifest, changes, stale)


async def _record(
    context: SyncContext,
    connection: Connection,
    manifest: Manifest,
    batch_id: UUID,
    changes: Sequence[Change],
    receipt: PushReceipt,
) -> None:
    """Store the outcome of every change of a batch."""
    now = context.clock()
    by_id = {r.external_id: r for r in receipt.results}
    grouped: dict[PushOutcome, list[tuple[UUID, PushResult]]] = {}
    for change in changes:
        result = by_id.get(change["external_id"]) or PushResult(change["external_id"], PushOutcome.UNKNOWN)
        grouped.setdefault(result.outcome, []).append((UUID(change["listing_id"]), result))
    absolute = manifest.quantity_semantics is _ABSOLUTE
    async with context.database.transaction(connection.organisation_id) as tx:
        await store.lock_batch(tx, batch_id)
        applied = [(i, r.reported) for i, r in grouped.get(PushOutcome.APPLIED, [])]
        await store.end_applied(tx, batch_id, applied, absolute=absolute)
        await _record_failures(context, tx, connection, batch_id, grouped, now)
        unknown = [i for i, _ in grouped.get(PushOutcome.UNKNOWN, [])]
        if unknown:
            await store.end_unknown(tx, batch_id, unknown, absolute=absolute)
            tx.hint(f"check:{connection.id}")
        if grouped.get(PushOutcome.PENDING):
            later = now + timedelta(seconds=FOLLOW_S)
            await store.set_batch(tx, batch_id, "following", handle=receipt.handle, next_attempt_at=later)
        else:
            await store.set_batch(tx, batch_id, "done")


async def _record_failures(
    context: SyncContext,
    tx: Tx,
    connection: Connection,
    batch_id: UUID,
    grouped: Mapping[PushOutcome, list[tuple[UUID, PushResult]]],
    now: datetime,
) -> None:
    refused = [(i, r.detail or r.code or "refused") for i, r in grouped.get(PushOutcome.REFUSED, [])]
    failed = [(i, r.detail or r.code) for i, r in grouped.get(PushOutcome.FAILED, [])]
    stale = [(i, "the channel shows something else") for i, _ in grouped.get(PushOutcome.STALE, [])]
    await store.end_not_written(tx, batch_id, refused, next_attempt_at=None, state="parked")
    if failed:
        # One bad item may fail its neighbours for nothing: the first time they go again at once.
        alone = len(failed) == sum(map(len, grouped.values()))
        wait = backoff_s(2, random.random()) if alone else 0.0  # noqa: S311
        await store.end_not_written(
            tx, batch_id, failed, next_attempt_at=now + timedelta(seconds=wait), state="pending"
        )
    if stale:
        await store.end_not_written(
            tx, batch_id, stale, next_attempt_at=now + timedelta(seconds=WAIT_S), state="waiting"
        )
        await comparisons.want_check(tx, [i for i, _ in stale], now + timedelta(seconds=context.settings.recheck_s))
        await progress.want_pull(tx, connection.id, now)


async def _send_from_what_it_shows(
    context: SyncContext,
    connection: Connection,
    api: Api,
    connector: Any,
    manifest: Manifest,
    changes: Sequence[Change],
    stale: Sequence[PushResult],
) -> None:
    """The channel shows something else than we believed, mostly a sale whose order is on its way.

    The same difference is applied to what it does show, again as compare-and-set: so our change is in at once and the
    sale stays in the channel's books.
    """
    external = {r.external_id for r in stale}
    refs = {c["external_id"]: ListingRef(c["external_id"], c["keys"]) for c in changes if c["external_id"] in external}
    shows = {r.external_id: r.quantity for r in await connector.read_quantities(api, list(refs.values()))}
    ids = [UUID(c["listing_id"]) for c in changes if c["external_id"] in external]
    sending: list[tuple[Any, int]] = []
    shown: dict[UUID, int] = {}
    async with context.database.transaction(connection.organisation_id) as tx:
        rows = await store.lock_stale(tx, ids)
        for row in rows:
            reads = shows.get(row["external_id"])
            if reads is None or row["expected"] is None or row["desired"] is None:
                continue
            to = max(0, reads + row["desired"] - row["expected"])
            if to < reads:  # A raise waits until what it shows is explained.
                shown[row["listing_id"]] = reads
                sending.append((row, to))
        if not sending:
            return
        batch_id, again, batch = await _open_batch(tx, connection, sending, shown)
    receipt = await connector.push_quantities(api, batch)
    await _record(context, connection, manifest, batch_id, again, receipt)
