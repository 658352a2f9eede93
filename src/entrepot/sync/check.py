"""Compare listings with the channel: after a surprise, and all of them by schedule. Differences are closed or shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from entrepot.catalog import facade as catalog
from entrepot.channels.contract import (
    Api,
    Capability,
    ChannelListing,
    ConnectorError,
    ListingRef,
    PullsListings,
    QuantitySemantics,
    ReadsQuantities,
)
from entrepot.channels.contracts import Connection
from entrepot.database.pool import Tx
from entrepot.jobs.lanes import LaneKey
from entrepot.sync import comparisons, progress, store
from entrepot.sync.batches import tell_certain
from entrepot.sync.comparisons import Checked
from entrepot.sync.context import SyncContext
from entrepot.sync.fields import theirs
from entrepot.sync.publishing import gone
from entrepot.sync.rules import SwingLimit, gap_is_drift
from entrepot.sync.unlisted import DRIFT, LISTINGS, nothing_listed

log = structlog.get_logger(__name__)

HELD = timedelta(minutes=1)
"""How often a listing is looked at that waits for a person."""
NO_LIMIT = SwingLimit(share=1.0)
"""Nothing changes by more than all."""


async def check_step(context: SyncContext, key: LaneKey) -> float | None:
    """Read listings that are to be compared and settle what can be settled; return 0 while there are more."""

    async def work(connection: Connection, api: Api, connector: ReadsQuantities) -> float | None:
        if Capability.READ_QUANTITIES not in context.find_connector(connection.channel).manifest.capabilities:
            return None
        read_at = context.clock()
        async with context.database.transaction(key.organisation_id) as tx:
            due = await comparisons.due_checks(tx, connection.id, read_at, context.settings.check_batch_max)
        if not due:
            return None
        refs = [ListingRef(row["external_id"], row["keys"]) for row in due]
        shows = {r.external_id: r.quantity for r in await connector.read_quantities(api, refs)}
        async with context.database.transaction(key.organisation_id) as tx:
            await _compare(context, tx, connection, due, shows, read_at)
        return 0.0 if len(due) == context.settings.check_batch_max else context.settings.recheck_s

    return await context.guarded(key, work)


async def _compare(
    context: SyncContext,
    tx: Tx,
    connection: Connection,
    due: Sequence[Any],
    shows: Mapping[str, int | None],
    read_at: datetime,
) -> None:
    manifest = context.find_connector(connection.channel).manifest
    absolute = manifest.quantity_semantics is QuantitySemantics.ABSOLUTE
    drained_at = (await progress.get_progress(tx, connection.id)).drained_at
    now = await comparisons.lock_checked(tx, [row["listing_id"] for row in due])
    read_until = context.clock()
    soon = read_until + timedelta(seconds=context.settings.recheck_s)
    rows: list[Checked] = []
    unknown: list[UUID] = []
    unsettled = False
    for before in due:
        row = now.get(before["listing_id"])
        if row is None:
            continue
        reads = shows.get(before["external_id"])
        moved = row["state"] == "sending" or row["published_at"] != before["published_at"]
        if moved or row["expected"] != before["expected"]:
            rows.append(Checked(row["listing_id"], row["expected"], reads, row["gap"], row["believed_at"], soon))
        elif reads is None:
            unknown.append(row["listing_id"])
        else:
            checked = judge(row, reads, drained_at, read_until, soon, context.settings.swing)
            unsettled = unsettled or checked.check_at is not None
            rows.append(checked)
    await comparisons.put_checked(tx, read_until, rows, absolute=absolute)
    settled = read_at - timedelta(seconds=context.settings.write_settling_s) if absolute else read_at
    shown = [(row.listing_id, row.reported) for row in rows if row.reported is not None and row.check_at is not None]
    await comparisons.doubt(tx, shown, settled, absolute=absolute)
    await tell_certain(tx, [now[row["listing_id"]]["variant_id"] for row in due if row["listing_id"] in now])
    await store.park(tx, unknown, "The channel does not know this listing any more.")
    if unsettled:
        await progress.want_pull(tx, connection.id, context.clock())
    tx.hint(f"push:{connection.id}")


def judge(
    row: Any,
    reads: int,
    drained_at: datetime | None,
    read_until: datetime,
    soon: datetime,
    limit: SwingLimit = NO_LIMIT,
) -> Checked:
    """Return the figures of a listing after a reading that nothing crossed. Pure.

    `drained_at`: every sale that the channel made before then is known. `read_until`: a sale from after that is not in it.
    What fell by more than the limit is left as it shows, until a person says why.
    """
    listing_id, expected, believed_at = row["listing_id"], row["expected"], row["believed_at"]
    if expected is None:
        return Checked(listing_id, reads, reads, None, read_until, soon)
    if believed_at is not None and drained_at is not None and drained_at >= believed_at:
        believed_at = None
    gap = reads - expected
    if gap == 0:
        return Checked(listing_id, reads, reads, None, believed_at, None if believed_at is None else soon)
    # Where sales go on, one that is not known yet may take the place of another: less than expected must stand still.
    since = row["gap_at"] if reads == row["reported"] else row["reported_at"] if gap > 0 else None
    start = max(expected, row["desired"] or 0) if gap > 0 else expected
    swings = limit.is_met(start, start + gap)
    # A rise is set back whatever explains it, so that is noted as it is seen; a fall once nothing can explain it.
    swing = (start, start + gap) if swings and gap > 0 else (None, None)
    if gap_is_drift(gap, row["gap"], since, drained_at):
        # What shows what was last written there did not change there, unless that was written while it waits.
        if swings and gap < 0 and (reads != row["published"] or row["held"]):
            words = f"It fell from {start} to {reads}: held until somebody says why."
            return Checked(listing_id, expected, reads, gap, believed_at, read_until + HELD, words, start, reads)
        log.info("drift_closed", listing=str(listing_id), gap=gap)
        words = f"The channel differed by {gap:+d}; taken up."
        return Checked(listing_id, reads, reads, None, None, None, words, *swing)
    words = f"The channel shows {reads}, expected {expected}."
    return Checked(listing_id, expected, reads, gap, believed_at, soon, words, *swing)


# ---- all listings ------------------------------------------------------------------------------------------


async def listings_step(context: SyncContext, key: LaneKey) -> float | None:
    """Read all listings of a connection if somebody asked, it never happened, or the drift check is due."""

    async def work(connection: Connection, api: Api, connector: PullsListings) -> float | None:
        if Capability.PULL_LISTINGS not in context.find_connector(connection.channel).manifest.capabilities:
            return await nothing_listed(context, connection, api)
        async with context.database.transaction(key.organisation_id) as tx:
            state = await progress.get_progress(tx, connection.id)
            asked = await progress.waiting_run(tx, connection.id, LISTINGS) or await progress.waiting_run(
                tx, connection.id, DRIFT
            )
        last = max((t for t in (state.listings_pulled_at, state.drift_checked_at) if t), default=None)
        wait = context.settings.drift_interval_s
        if state.listings_wanted_at is not None:
            wait = context.settings.listings_spacing_s
        if last is not None:
            wait = (last + timedelta(seconds=wait) - context.clock()).total_seconds()
        if asked is None and last is not None and wait > 0:
            return wait
        if context.subscribe is not None:
            await context.subscribe(connection, api)
        await _pull_listings(context, connection, api, connector, asked, state)
        return min(context.settings.drift_interval_s, 60.0)

    return await context.guarded(key, work)


async def _pull_listings(
    context: SyncContext,
    connection: Connection,
    api: Api,
    connector: PullsListings,
    run_id: UUID | None,
    state: progress.Progress,
) -> None:
    if run_id is None:
        async with context.database.transaction(connection.organisation_id) as tx:
            first = state.listings_pulled_at is None
            kind, trigger = (LISTINGS, "connected") if first else (DRIFT, "schedule")
            run_id = await progress.begin_run(tx, connection.id, kind, trigger, context.clock())
    done, found = 0, {"listings": 0, "matched": 0, "differing": 0}
    started, seen = context.clock(), set[str]()
    cursor: str | None = None
    try:
        while True:
            read_at = context.clock()
            page = await connector.pull_listings(api, cursor)
            async with context.database.transaction(connection.organisation_id) as tx:
                saved = await take_listings(tx, connection.id, page.items, read_at, found)
                await theirs.save_theirs(
                    tx, connection.id, context.find_connector(connection.channel).manifest, page.items, saved, read_at,
                    timedelta(seconds=context.settings.field_settling_s),
                )  # fmt: skip
                done += len(page.items)
                seen.update(each.ref.external_id for each in page.items)
                go_on = await progress.step_run(tx, run_id, done, found, context.clock())
                if not page.more or not go_on:
                    await progress.listings_answered(tx, connection.id, state.listings_wanted_at)
                if not page.more:
                    await progress.listings_pulled(tx, connection.id, context.clock())
                    await progress.drift_checked(tx, connection.id, context.clock())
                    await progress.end_run(tx, run_id, "done", context.clock(), done=done, counts=found)
                    tx.hint(f"check:{connection.id}")
                elif not go_on:
                    await progress.end_run(tx, run_id, "cancelled", context.clock())
            if not page.more:
                await gone.look(context, connection, None, seen, started)
            if not page.more or not go_on:
                return
            cursor = page.cursor
    except ConnectorError as error:
        async with context.database.transaction(connection.organisation_id) as tx:
            await progress.end_run(tx, run_id, "failed", context.clock(), error=error.detail)
        raise


async def take_listings(
    tx: Tx, connection_id: UUID, listings: Sequence[ChannelListing], read_at: datetime, found: dict[str, int]
) -> dict[str, tuple[UUID, UUID | None]]:
    """Store a page of listings, match them, and note which quantities are not as expected. Set-based.

    Return external id -> (listing, variant or None).
    """
    saved = await catalog.save_listings(tx, connection_id, listings, read_at)
    quantities = {v.ref.external_id: v.quantity for v in listings if v.quantity is not None}
    matched = [
        (listing_id, variant_id, quantities[external_id])
        for external_id, (listing_id, variant_id) in saved.items()
        if variant_id is not None and external_id in quantities
    ]
    known = await comparisons.known_listings(tx, [m[0] for m in matched])
    differing = await comparisons.differing(
        tx, connection_id, [(e, q) for e, q in quantities.items() if saved[e][0] in known]
    )
    await store.put_imported(tx, connection_id, [m for m in matched if m[0] not in known], read_at)
    await comparisons.want_check(tx, differing, read_at)
    fresh = [m[0] for m in matched if m[0] not in known]
    untold = [i for e, (i, v) in saved.items() if v is not None and e not in quantities and i not in known]
    await catalog.tell_matched(tx, fresh + untold)
    found["listings"] += len(saved)
    found["matched"] += sum(1 for _, v in saved.values() if v is not None)
    found["differing"] += len(differing)
    return saved
