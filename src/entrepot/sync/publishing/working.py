"""The publish lane: products are made, shown and ended on a channel as was asked.

What is to be sent is recorded whole and committed, the channel called, the outcome recorded. Where a worker dies or the answer
is lost, the very same batch is sent again under the same key: the channel's connector sees to it that it makes nothing twice.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from entrepot.channels.contract import (
    Api,
    Capability,
    EndBatch,
    FollowsListings,
    ListingBatch,
    ListingReceipt,
    ListingResult,
    ListingRules,
    OutcomeUnknown,
    PushOutcome,
    ReadsListingRules,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.channels.contracts import Connection
from entrepot.jobs.lanes import LaneKey
from entrepot.sync.context import SyncContext
from entrepot.sync.fields.writing import Target
from entrepot.sync.publishing import choosing, codec, outcomes, store
from entrepot.sync.publishing.choosing import Batch, Rules
from entrepot.sync.rules import backoff_s

FOLLOW_S = 1.0
FOLLOW_MOST_S = 30.0
RULES_KEPT = timedelta(hours=1)


async def publish_step(context: SyncContext, key: LaneKey) -> float | None:
    """Send the next products of a connection; return 0 while there are more, or seconds to wait."""

    async def work(connection: Connection, api: Api, connector: Any) -> float | None:
        manifest = context.find_connector(connection.channel).manifest
        target = Target(context, connection, api, connector, manifest)
        await _finish_open(target)
        if await _send_ends(target) or await _send_drafts(target):
            return 0.0
        async with target.transaction() as tx:
            later = await store.next_due(tx, connection.id)
        return None if later is None else max(0.05, (later - context.clock()).total_seconds())

    return await context.guarded(key, work)


async def _send_drafts(target: Target) -> bool:
    rules = await _rules(target)
    async with target.transaction() as tx:
        batch, looked = await choosing.next_drafts(tx, target, rules)
    if batch is not None:
        await _call(target, "publish", batch, target.context.clock(), 0)
    return looked


async def _send_ends(target: Target) -> bool:
    async with target.transaction() as tx:
        batch, looked = await choosing.next_ends(tx, target)
    if batch is not None:
        await _call(target, "end", batch, target.context.clock(), 0)
        return True
    if not looked:
        return False
    async with target.transaction() as tx:
        later = await store.next_due(tx, target.connection.id)
    # What only waits for stock to be lowered is looked at again at its time.
    return later is None or later <= target.context.clock()


async def _rules(target: Target) -> Rules:
    """Return the rules of the categories that are due, as the channel tells them; kept for an hour."""
    connector, context = target.connector, target.context
    if not (target.can(Capability.READ_LISTING_RULES) and isinstance(connector, ReadsListingRules)):
        return {}
    now = context.clock()
    async with target.transaction() as tx:
        most = min(choosing.BATCH_MOST, target.manifest.listing_batch_max)
        wanted = await store.categories_due(tx, target.connection.id, now, most)
    found: dict[str, ListingRules | None] = {}
    for category in wanted:
        kept = context.listing_rules.get((target.connection.id, category))
        if kept is None or kept[0] + RULES_KEPT <= now:
            try:
                kept = now, await connector.read_listing_rules(target.api, category)
            except RequestRejected:
                kept = now, None
            context.listing_rules[target.connection.id, category] = kept
        found[category] = kept[1]
    return found


async def _call(target: Target, what: str, batch: Batch, at: Any, attempts: int) -> None:
    """Send a batch and record what became of it. Raises the channel's error after having recorded it."""
    try:
        receipt = await _written(target, what, batch, at)
    except OutcomeUnknown as error:
        await _keep_open(target, batch, attempts, error.detail)
        raise
    except RequestRejected as error:
        await outcomes.record(target, what, batch, _all(batch, PushOutcome.REFUSED), error.detail)
        return
    except TemporarilyUnavailable as error:
        await outcomes.put_back(target, batch, error.detail, backoff_s(attempts + 1, random.random()))  # noqa: S311
        raise
    await _take(target, what, batch, attempts, {each.key: each for each in receipt.results}, receipt.handle)


async def _written(target: Target, what: str, batch: Batch, at: Any) -> ListingReceipt:
    connector, key = target.connector, str(batch.id)
    if what == "publish":
        drafts = tuple(codec.draft_of_json(item["send"]) for item in batch.items)
        pushed: ListingReceipt = await connector.push_listings(target.api, ListingBatch(key, drafts, at))
        return pushed
    ends = tuple(codec.end_of_json(item["end"]) for item in batch.items)
    ended: ListingReceipt = await connector.end_listings(target.api, EndBatch(key, ends, at))
    return ended


def _all(batch: Batch, outcome: PushOutcome) -> dict[str, ListingResult]:
    return {outcomes.key_of(item): ListingResult(outcomes.key_of(item), outcome) for item in batch.items}


async def _take(
    target: Target, what: str, batch: Batch, attempts: int, results: Mapping[str, ListingResult], handle: str | None
) -> None:
    """Record what has ended; what is pending is followed, what nobody knows is sent again."""
    told = {outcomes.key_of(item): results.get(outcomes.key_of(item)) for item in batch.items}
    still = {
        key: PushOutcome.UNKNOWN if result is None else result.outcome
        for key, result in told.items()
        if result is None or result.outcome in (PushOutcome.PENDING, PushOutcome.UNKNOWN)
    }
    pending = [item for item in batch.items if still.get(outcomes.key_of(item)) is PushOutcome.PENDING]
    unknown = [item for item in batch.items if still.get(outcomes.key_of(item)) is PushOutcome.UNKNOWN]
    ended = Batch(batch.id, [item for item in batch.items if outcomes.key_of(item) not in still])
    if ended.items:
        done = {key: result for key, result in told.items() if result is not None and key not in still}
        await outcomes.record(target, what, ended, done, "", closes=False)
    now = target.context.clock()
    wait = timedelta(seconds=min(FOLLOW_MOST_S, FOLLOW_S * (attempts + 1)))
    async with target.transaction() as tx:
        if pending and handle:
            # What nobody knows is looked into once the rest has ended.
            await store.move_batch(
                tx, batch.id, "following", [*pending, *unknown], handle=handle, next_attempt_at=now + wait
            )
        elif still:
            await store.move_batch(tx, batch.id, "sending", [*pending, *unknown], next_attempt_at=now + wait)
        else:
            await store.move_batch(tx, batch.id, "done", ())


async def _keep_open(target: Target, batch: Batch, attempts: int, detail: str) -> None:
    """Nobody knows what became of a batch: it is sent again as it was, under the same key."""
    later = target.context.clock() + timedelta(seconds=backoff_s(attempts + 1, random.random()))  # noqa: S311
    async with target.transaction() as tx:
        await store.move_batch(tx, batch.id, "sending", batch.items, next_attempt_at=later)


# ---- batches whose end is not known ------------------------------------------------------------------------


async def _finish_open(target: Target) -> None:
    """Bring open batches to their end where possible."""
    async with target.transaction() as tx:
        rows = await store.open_batches(tx, target.connection.id)
    for row in rows:
        now = target.context.clock()
        if row["next_attempt_at"] is not None and row["next_attempt_at"] > now:
            continue
        batch = Batch(row["id"], list(row["items"]))
        if row["state"] == "sending":
            await _call(target, row["what"], batch, row["sent_at"], row["attempts"])
        else:
            await _follow(target, row, batch)


async def _follow(target: Target, row: Any, batch: Batch) -> None:
    """Ask what became of a batch that the channel finishes later."""
    connector = target.connector
    results: Sequence[ListingResult] | None = ()
    if target.can(Capability.FOLLOW_LISTINGS) and isinstance(connector, FollowsListings):
        try:
            results = await connector.follow_listings(target.api, row["handle"])
        except RequestRejected:
            # It is not known there any more: sending it again finds what is there.
            results = ()
    if results is None:
        wait = timedelta(seconds=min(FOLLOW_MOST_S, FOLLOW_S * (row["attempts"] + 1)))
        async with target.transaction() as tx:
            await store.move_batch(
                tx, row["id"], "following", batch.items, next_attempt_at=target.context.clock() + wait
            )
        return
    by_key = {each.key: each for each in results}
    await _take(target, row["what"], batch, row["attempts"], by_key, None)
