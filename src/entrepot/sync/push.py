"""Quantities out: close the difference between what a listing shall show and what it shows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from entrepot.channels.contract import (
    Api,
    Capability,
    FollowsPushes,
    ListingRef,
    PushesQuantities,
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityBatch,
    QuantitySemantics,
    ReadsQuantities,
    RequestRejected,
    TooLate,
    UnexpectedAnswer,
)
from entrepot.channels.contracts import Connection
from entrepot.database.pool import Tx
from entrepot.jobs.lanes import LaneKey
from entrepot.stock import facade as stock
from entrepot.sync import comparisons, exposure, progress, store, store_batches
from entrepot.sync.batches import (
    FOLLOW_S,
    WAIT_S,
    Opened,
    Target,
    call,
    changes_of,
    open_batch,
    record,
    same_result,
    tell_certain,
)
from entrepot.sync.context import Pace, SyncContext
from entrepot.sync.fields import store as store_fields
from entrepot.sync.rules import BatchLimits, Decision, Do, Quantity, Surroundings, decide, next_batch

ABSOLUTE = QuantitySemantics.ABSOLUTE
KEY_LIFE = timedelta(minutes=30)
"""How long a batch is sent again under its key; after that the listings are read instead."""


async def push_step(context: SyncContext, key: LaneKey) -> float | None:
    """Move a connection's quantities on by one batch; return 0 while there is more, or seconds to wait."""

    async def work(connection: Connection, api: Api, connector: PushesQuantities) -> float | None:
        manifest = context.find_connector(connection.channel).manifest
        if Capability.PUSH_QUANTITIES not in manifest.capabilities:
            return None
        target = Target(context, connection, api, connector, manifest)
        wait = await _finish_open(target)
        sent, later = await _send_next(target, key)
        if sent:
            return 0.0
        waits = [w for w in (wait, later) if w is not None]
        return max(0.01, min(waits)) if waits else None

    return await context.guarded(key, work)


# ---- batches whose end is not known ------------------------------------------------------------------------


async def _finish_open(target: Target) -> float | None:
    """Bring open batches to their end where possible; return seconds until the next look at one, or None."""
    async with target.transaction() as tx:
        rows = await store_batches.open_batches(tx, target.connection.id)
    waits: list[float] = []
    for row in rows:
        now = target.context.clock()
        if row["next_attempt_at"] is not None and row["next_attempt_at"] > now:
            waits.append((row["next_attempt_at"] - now).total_seconds())
        elif row["state"] == "following":
            if not await _follow(target, row):
                waits.append(FOLLOW_S)
        else:
            await _send_again(target, row)
    return min(waits) if waits else None


async def _follow(target: Target, row: Any) -> bool:
    """Ask what became of an asynchronous batch; return whether it is over."""
    if not isinstance(target.connector, FollowsPushes):
        results: tuple[PushResult, ...] | None = same_result(row["changes"], PushOutcome.UNKNOWN)
    else:
        try:
            results = await target.connector.follow_push(target.api, row["handle"])
        except (RequestRejected, UnexpectedAnswer) as error:
            results = same_result(row["changes"], PushOutcome.UNKNOWN, error.detail)
    if results is None:
        async with target.transaction() as tx:
            later = target.context.clock() + timedelta(seconds=FOLLOW_S)
            await store_batches.set_batch(tx, row["id"], "following", next_attempt_at=later)
        return False
    await record(target, row["id"], row["changes"], PushReceipt(results))
    return True


async def _send_again(target: Target, row: Any) -> None:
    """A worker died, or an answer was lost: repeat the batch under its key, or take the outcome for unknown."""
    if not target.absolute and target.context.clock() - row["created_at"] < KEY_LIFE:
        batch = QuantityBatch(row["idempotency_key"], changes_of(row["changes"]), row["created_at"])
        await call(target, row["id"], row["changes"], batch, repeated=True)
        return
    receipt = PushReceipt(same_result(row["changes"], PushOutcome.UNKNOWN, "the answer was lost"))
    await record(target, row["id"], row["changes"], receipt)


# ---- the next batches --------------------------------------------------------------------------------------


async def _send_next(target: Target, key: LaneKey) -> tuple[bool, float | None]:
    """Send the next of what is due; return (whether anything was sent, seconds until something may be due)."""
    context, manifest = target.context, target.manifest
    limit = min(context.settings.push_batch_max, manifest.push_batch_max)
    async with target.transaction() as tx:
        due = await store.due_quantities(tx, target.connection.id, context.clock(), limit)
        if len(due) == limit and manifest.push_bulk_from is not None:
            limit = manifest.push_batch_max
            due = await store.due_quantities(tx, target.connection.id, context.clock(), limit)
        decisions = await _after_prices(target, tx, await _decide(target, tx, due))
        await _set_aside(target, tx, decisions)
        sending = [(row, d.to) for row, d in decisions if d.do is Do.SEND]
        starts = {row["listing_id"]: d.start for row, d in decisions if d.start is not None}
        opened = None if target.absolute or not sending else await open_batch(tx, target.connection, sending, starts)
    if not due:
        return False, None
    if not sending:
        return len(due) == limit, WAIT_S
    if opened is not None:
        await call(target, *opened)
    else:
        await _send_carefully(target, key, sending)
    return True, None


async def _decide(target: Target, tx: Tx, due: Sequence[Any]) -> list[tuple[Any, Decision]]:
    context = target.context
    pools: Mapping[UUID, int] = {}
    shown: Counter[UUID] = Counter()
    own: dict[UUID, int] = {}
    drained_at = None
    if target.absolute and any((row["desired"] or 0) > (row["expected"] or 0) for row in due):
        variants = list({row["variant_id"] for row in due})
        pools = await stock.available_to_sell(tx, variants)
        drained_at = (await progress.get_progress(tx, target.connection.id)).drained_at
        for row in await exposure.exposures(tx, variants):
            shown[row["variant_id"]] += row["most"]
            own[row["listing_id"]] = row["most"]
    patience = timedelta(seconds=context.settings.raise_patience_s)
    decisions = []
    for row in due:
        figures = Quantity(
            row["desired"], row["expected"], row["published_at"], row["uncertain"], row["raise_wanted_at"],
            row["gap"], row["believed_at"] is not None,
        )  # fmt: skip
        around = Surroundings(
            pools.get(row["variant_id"], 0), shown[row["variant_id"]] - own.get(row["listing_id"], 0), drained_at,
            context.clock(), patience, timedelta(seconds=context.settings.write_settling_s),
        )  # fmt: skip
        decisions.append((row, decide(target.manifest.quantity_semantics or ABSOLUTE, figures, around)))
    return decisions


async def _after_prices(
    target: Target, tx: Tx, decisions: Sequence[tuple[Any, Decision]]
) -> list[tuple[Any, Decision]]:
    """Let no listing show more at a price that is about to change: its new price goes first. Lowering never waits."""
    since = target.context.clock() - timedelta(seconds=target.context.settings.raise_patience_s)
    raising = [
        row["listing_id"]
        for row, d in decisions
        if d.do is Do.SEND and d.to > max(0, row["expected"] or 0) and (row["raise_wanted_at"] or since) >= since
    ]
    held = await store_fields.prices_going_out(tx, raising) if raising else set()
    wait = Decision(Do.WAIT, why="its new price goes first")
    return [(row, wait if row["listing_id"] in held else d) for row, d in decisions]


async def _set_aside(target: Target, tx: Tx, decisions: Sequence[tuple[Any, Decision]]) -> None:
    """Note what is in step, what waits and what must be read first."""
    now, connection_id = target.context.clock(), target.connection.id
    await store.settle(tx, [row["listing_id"] for row, d in decisions if d.do is Do.NOTHING])
    waiting = [(row["listing_id"], d.why) for row, d in decisions if d.do is Do.WAIT]
    unread = [(row["listing_id"], d.why) for row, d in decisions if d.do is Do.CHECK]
    if waiting:
        await store.postpone(tx, waiting, now + timedelta(seconds=WAIT_S))
        await progress.want_pull(tx, connection_id, now)
    if unread:
        await store.postpone(tx, unread, now + timedelta(seconds=WAIT_S))
        await comparisons.want_check(tx, [row[0] for row in unread], now)
        tx.hint(f"check:{connection_id}")


# ---- channels that overwrite -------------------------------------------------------------------------------


async def _send_carefully(target: Target, key: LaneKey, sending: Sequence[tuple[Any, int]]) -> None:
    """Send where a write overwrites: each few are looked at and written at once, several such batches side by side.

    How many side by side, is found out: more while all come in time, one again when the channel's limit made any wait
    until what was read was too old to write upon.
    """
    settings, manifest = target.context.settings, target.manifest
    lowering = sum(1 for row, to in sending if to <= max(0, row["expected"]))
    quick = settings.patch_batch_max
    limits = BatchLimits(manifest.push_batch_max, quick, manifest.push_bulk_from, settings.lower_by_bulk_from)
    pace = target.context.paces.setdefault(key, Pace())
    chosen = next_batch(lowering, len(sending) - lowering, replace(limits, quick=quick * pace.side_by_side))
    together = list(sending[chosen])
    bulk = manifest.push_bulk_from is None or len(together) > quick * pace.side_by_side
    size = len(together) if bulk else quick
    parts = [together[at : at + size] for at in range(0, len(together), size)]
    ends = await asyncio.gather(*(_look_and_write(target, part) for part in parts), return_exceptions=True)
    pace.learn(late=any(isinstance(end, TooLate) for end in ends), full=len(parts) == pace.side_by_side)
    errors = [end for end in ends if isinstance(end, BaseException) and not isinstance(end, TooLate)]
    if errors:
        raise errors[0]


async def _look_and_write(target: Target, sending: Sequence[tuple[Any, int]]) -> None:
    """Look what these show and write. Raises TooLate if any of them could not be written in time, after recording it."""
    opened = await _open_after_reading(target, sending)
    if opened is None:
        return
    receipt = await call(target, *opened)
    if any(result.code == TooLate.CODE for result in receipt.results):
        raise TooLate


async def _open_after_reading(target: Target, sending: Sequence[tuple[Any, int]]) -> Opened | None:
    """On a channel that overwrites: look what it shows first, so that a sale we do not know is not written over.

    Lowering writes only where it shows more than it shall. A listing that shows what we expect is certain again. One that
    shows less has sold: it is looked into once the orders are in, not written.
    """
    context, connection_id = target.context, target.connection.id
    shown: dict[str, int | None] = {}
    not_after = context.clock() + timedelta(seconds=context.settings.reading_holds_s)
    if isinstance(target.connector, ReadsQuantities):
        refs = [ListingRef(row["external_id"], row["keys"]) for row, _ in sending]
        shown = {r.external_id: r.quantity for r in await target.connector.read_quantities(target.api, refs)}
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
    async with target.transaction() as tx:
        locked = {
            row["listing_id"]: row for row in await store.lock_stale(tx, [row["listing_id"] for row, _ in sending])
        }
        kept = [(row, to) for row, to in kept if _is_as_decided(row, locked.get(row["listing_id"]))]
        await store.make_certain(tx, certain)
        await tell_certain(tx, [row["variant_id"] for row, _ in sending if row["listing_id"] in certain])
        if less:
            await store.postpone(tx, less, now + timedelta(seconds=WAIT_S))
            await comparisons.want_check(tx, [s[0] for s in less], now)
            await progress.want_pull(tx, connection_id, now)
            tx.hint(f"check:{connection_id}")
        return await open_batch(tx, target.connection, kept, not_after=not_after) if kept else None


def _is_as_decided(row: Any, now: Any | None) -> bool:
    """Return whether a listing is still as it was when it was decided what to write."""
    return now is not None and (now["desired"], now["expected"]) == (row["desired"], row["expected"])
