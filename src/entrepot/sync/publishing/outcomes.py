"""What became of what was sent: listings that are there now, products that ended, what a channel refused and why."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog import publishing as catalog_publishing
from entrepot.channels.contract import (
    ChannelListing,
    ChannelReason,
    ListingDraft,
    ListingRef,
    ListingResult,
    PushOutcome,
)
from entrepot.database.pool import Tx
from entrepot.sync import store as quantities
from entrepot.sync.fields import store as fields
from entrepot.sync.fields.theirs import compared, save_theirs, theirs_of
from entrepot.sync.fields.writing import Target
from entrepot.sync.merge import rules as merge
from entrepot.sync.merge.fields import FIELDS, Level
from entrepot.sync.publishing import codec, store
from entrepot.sync.publishing.choosing import Batch
from entrepot.sync.publishing.drafts import shown_as
from entrepot.sync.publishing.store import Move
from entrepot.sync.rules import backoff_s

TRIES = 8
"""After so many failures of one product by itself it waits for a person."""
LOOK_S = 2.0
"""So soon after it was made a product is read as the channel shows it."""
Item = Mapping[str, Any]


def key_of(item: Item) -> str:
    """Return the key by which the channel's connector tells an item of a batch."""
    key: str = (item.get("send") or item["end"])["key"]
    return key


async def put_back(target: Target, batch: Batch, detail: str, wait_s: float) -> None:
    """Nothing of a batch was written, as the channel does not answer: all of it is due again later, in another batch."""
    later = target.context.clock() + timedelta(seconds=wait_s)
    async with target.transaction() as tx:
        moves = [
            Move(row["id"], row["state"] if item["version"] == row["version"] else None, detail, later)
            for item, row in await _current(tx, batch.items)
        ]
        await store.move(tx, moves)
        await store.move_batch(tx, batch.id, "done", ())


async def _current(tx: Tx, items: Sequence[Item]) -> list[tuple[Item, Any]]:
    """Return items with their intents as they are now, locked in the one order."""
    by_id = {UUID(item["intent"]): item for item in items}
    rows = await store.lock(tx, list(by_id))
    return [(by_id[intent_id], row) for intent_id, row in rows.items()]


async def record(
    target: Target, what: str, batch: Batch, results: Mapping[str, ListingResult], detail: str, *, closes: bool = True
) -> None:
    """Store what became of the items of a batch; `closes`: that is all of it."""
    async with target.transaction() as tx:
        made: list[Made] = []
        moves: list[Move] = []
        found = await _current(tx, batch.items)
        for item, row in found:
            result = results[key_of(item)]
            if result.outcome is PushOutcome.APPLIED and what == "publish":
                made.append(Made(codec.draft_of_json(item["send"]), frozenset(item["fresh"]), result))
            moves.append(_move(target.context.clock(), what, item, row, result, detail))
        await store.move(tx, moves)
        if what == "publish":
            await _take_over(tx, target, made)
        else:
            ended = [row for item, row in found if _is_applied(results[key_of(item)])]
            await _close(tx, target, ended, {row["id"]: item["end"]["whole"] for item, row in found})
        moved = {_there(item) for item, _ in found if _is_another_now(what, item, results[key_of(item)])}
        await fields.want_read(tx, target.connection.id, sorted(moved - {""}), target.context.clock())
        if closes:
            await store.move_batch(tx, batch.id, "done", ())
        tx.hint(f"publish:{target.connection.id}")


def _there(item: Item) -> str:
    """Return which product of the channel an item is about; empty where it makes one."""
    external_id: str = (item.get("send") or item["end"])["external_id"]
    return external_id


def _is_another_now(what: str, item: Item, result: ListingResult) -> bool:
    """Return whether the channel has a product otherwise than it was read: then it must be read before it is written again."""
    part_ended = what == "end" and not item["end"]["whole"] and _is_applied(result)
    return result.outcome is PushOutcome.STALE or part_ended


def _is_applied(result: ListingResult) -> bool:
    return result.outcome is PushOutcome.APPLIED


def _move(now: datetime, what: str, item: Item, row: Any, result: ListingResult, detail: str) -> Move:
    """Return how an intent moves on by what the channel said of it. Pure but for chance."""
    applied = result.outcome is PushOutcome.APPLIED
    external_id = result.external_id if applied and what == "publish" else ""
    blocking = [each for each in result.reasons if each.blocking]
    if item["version"] != row["version"]:
        # Somebody asked for something else meanwhile: that is looked at next.
        return Move(row["id"], None, external_id=external_id)
    words = " ".join(dict.fromkeys(each.detail for each in blocking)) or detail
    names = {each["key"]: each["sku"] for each in item.get("send", {}).get("variants", ())}
    problems = [_problem(each, names) for each in blocking] or None
    if applied and not blocking:
        stays = what == "publish" or not item["end"]["whole"]
        return Move(row["id"], "live" if stays else "ended", done_at=now, external_id=external_id)
    if applied or result.outcome is PushOutcome.REFUSED:
        said = words or "The channel refused it and does not say why."
        return Move(row["id"], "error", said, counted=True, external_id=external_id, problems=problems)
    if row["attempts"] + 1 >= TRIES:
        said = f"It failed {TRIES} times: {words or 'the channel does not say why'}"
        return Move(row["id"], "error", said, counted=True, problems=problems)
    later = _later(now, row["attempts"], stale=result.outcome is PushOutcome.STALE)
    return Move(row["id"], row["state"], words, later, counted=True, problems=problems)


def _later(now: datetime, attempts: int, *, stale: bool) -> datetime:
    return now + timedelta(seconds=1.0 if stale else backoff_s(attempts + 1, random.random()))  # noqa: S311


def _problem(reason: ChannelReason, skus: Mapping[str, str]) -> dict[str, str]:
    where = skus.get(reason.variant_key, "")
    return {"field": str(reason.field), "what": "", "where": where, "how": reason.detail}


@dataclass(frozen=True, slots=True)
class Made:
    """A draft that a channel took. `fresh`: keys of the variants that it did not show before."""

    draft: ListingDraft
    fresh: frozenset[str]
    result: ListingResult

    @property
    def refs(self) -> dict[str, ListingRef]:
        """The listings that are there now and were not, by the variant's key."""
        known = {each.key: each.ref for each in self.draft.variants if each.ref is not None}
        refused = {each.variant_key for each in self.result.reasons if each.blocking}
        return {key: ref for key, ref in {**known, **self.result.refs}.items() if key in self.fresh - refused}


# ---- what is there now -------------------------------------------------------------------------------------


async def _take_over(tx: Tx, target: Target, made: Sequence[Made]) -> None:
    """Store the listings of products that were made: matched, with what was sent as what is agreed on."""
    connection, now = target.connection, target.context.clock()
    listings: list[ChannelListing] = []
    owners: dict[str, UUID] = {}
    for each in made:
        refs = each.refs
        listings += shown_as(each.draft, refs, each.result.external_id or each.draft.external_id)
        owners |= {ref.external_id: UUID(key) for key, ref in refs.items()}
    if not listings:
        return
    await fields.lock_connection(tx, connection.id)
    saved = await catalog.save_listings(tx, connection.id, listings, now)
    variants = {saved[external_id][0]: variant for external_id, variant in owners.items()}
    await catalog_publishing.own_listings(tx, variants)
    matched = {external_id: (saved[external_id][0], variant) for external_id, variant in owners.items()}
    settling = timedelta(seconds=target.context.settings.field_settling_s)
    await save_theirs(tx, connection.id, target.manifest, listings, matched, now, settling)
    await _agree(tx, target, {saved[each.ref.external_id][0]: each for each in listings}, now)
    # What was made has nothing on offer yet; a channel may not even tell a quantity until there is one.
    await quantities.put_imported(
        tx, connection.id, [(listing, variants[listing], 0) for listing in sorted(variants)], now
    )
    await catalog.tell_matched(tx, sorted(variants))
    products = sorted({each.product_external_id for each in listings})
    await fields.want_read(tx, connection.id, products, now + timedelta(seconds=LOOK_S))


async def _agree(tx: Tx, target: Target, listings: Mapping[UUID, ChannelListing], now: datetime) -> None:
    """What was sent is agreed on. The first reading after it only tells how the channel shows that in its own way."""
    ids = sorted(listings)
    rows = await fields.rows_of(tx, ids, lock=True)
    readings = await fields.readings_of(tx, ids)
    told = compared(target.manifest)
    written: list[fields.Row] = []
    for listing_id, listing in listings.items():
        for name, value in theirs_of(listing, told).items():
            if value is None or (FIELDS[name].level is Level.PRODUCT and not readings[listing_id]["leads"]):
                continue
            row = rows.get((listing_id, name)) or fields.Row(listing_id, name, target.connection.id)
            sent = merge.acknowledged(merge.sending(row.known, value, now), now)
            row.known = replace(sent, before=None, read_at=None, theirs_at=None)
            row.ours, row.state, row.detail, row.attempts, row.next_attempt_at = value, "agreed", "", 0, None
            written.append(row)
    await fields.put_rows(tx, written)


async def _close(tx: Tx, target: Target, ended: Sequence[Any], whole: Mapping[UUID, bool]) -> None:
    """Take the listings of products that ended, or of their variants that did, out of work.

    What they had on offer goes to the others. `whole`: by intent.
    """
    there = await catalog_publishing.listings_there(tx, target.connection.id, [row["product_id"] for row in ended])
    ids = [
        each["id"]
        for row in ended
        for each in there.get(row["product_id"], ())
        if whole[row["id"]] or (each["retired"] and each["closing"])
    ]
    await catalog_publishing.end_listings(tx, ids)
    await catalog.tell_matched(tx, ids)
