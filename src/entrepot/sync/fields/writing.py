"""The write lane: fields that differ go out, prices before the rest.

Products are looked at first, so that a change there which nobody told of is merged, not written over. The intent is
recorded and committed, the channel called, the outcome recorded. A write is of whole values and may be repeated: if a worker dies
or the answer is lost, what the listing then shows tells whether it came through.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.channels.contract import (
    Api,
    Capability,
    FollowsListings,
    FollowsPrices,
    ListingBatch,
    Manifest,
    OutcomeUnknown,
    PriceBatch,
    PushOutcome,
    ReadsListings,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.channels.contracts import Connection
from entrepot.database.pool import Tx
from entrepot.jobs.lanes import LaneKey
from entrepot.kernel.ids import new_id
from entrepot.sync import progress
from entrepot.sync.context import SyncContext
from entrepot.sync.fields import batch_store, store
from entrepot.sync.fields.drafts import Listed, listing_draft, price_change
from entrepot.sync.fields.merging import PRICES, Here, merge_listings
from entrepot.sync.fields.reads import read_products
from entrepot.sync.fields.store import Row
from entrepot.sync.merge import rules
from entrepot.sync.rules import backoff_s

FOLLOW_S = 1.0
LOOK_AGAIN = 10
"""Of so many products that were written, one is read again later, so that a write that does not show is noticed."""


@dataclass(frozen=True, slots=True)
class Target:
    """A connection, and all that it takes to write its fields."""

    context: SyncContext
    connection: Connection
    api: Api
    connector: Any
    manifest: Manifest

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction of the connection's organisation."""
        return self.context.database.transaction(self.connection.organisation_id)

    def can(self, capability: Capability) -> bool:
        """Return whether the channel can do something."""
        return capability in self.manifest.capabilities


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is sent, a price or a draft, by its key; and the fields that it is sent for."""

    key: str
    payload: Any
    fields: tuple[tuple[UUID, str], ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an item. `variants`: why the fields of single variants (by their key) were refused."""

    outcome: PushOutcome
    detail: str = ""
    refused: Mapping[str, str] | None = None


async def write_step(context: SyncContext, key: LaneKey) -> float | None:
    """Write the next fields of a connection; return 0 while there are more, or seconds to wait."""

    async def work(connection: Connection, api: Api, connector: Any) -> float | None:
        manifest = context.find_connector(connection.channel).manifest
        target = Target(context, connection, api, connector, manifest)
        wait = await _finish_open(target)
        if target.can(Capability.PUSH_PRICES) and await _send(target, "prices"):
            return 0.0
        if target.can(Capability.PUSH_LISTINGS) and await _send(target, "listings"):
            return 0.0
        async with target.transaction() as tx:
            later = await batch_store.next_due(tx, connection.id)
        waits = [
            w for w in (wait, None if later is None else (later - context.clock()).total_seconds()) if w is not None
        ]
        return max(0.05, min(waits)) if waits else None

    return await context.guarded(key, work)


# ---- sending -----------------------------------------------------------------------------------------------


async def _send(target: Target, what: str) -> bool:
    """Send the next prices or drafts; return whether there were any."""
    most = target.manifest.price_batch_max if what == "prices" else target.manifest.listing_batch_max
    names = sorted(PRICES) if what == "prices" else None
    async with target.transaction() as tx:
        products = await batch_store.due_products(tx, target.connection.id, names, target.context.clock(), most)
    if not products:
        return False
    if target.can(Capability.READ_LISTINGS) and isinstance(target.connector, ReadsListings):
        await read_products(target.context, target.connection, target.api, target.connector, products)
    async with target.transaction() as tx:
        batch_id, items = await _open(tx, target, what, products, names, most)
    if items:
        await _call(target, what, batch_id, items)
    return True


async def _open(
    tx: Tx, target: Target, what: str, products: Sequence[str], names: Sequence[str] | None, most: int
) -> tuple[UUID, list[Item]]:
    """Merge what was read, and record the intent to write what still differs."""
    connection, now = target.connection, target.context.clock()
    await store.lock_connection(tx, connection.id)
    listed_ids = await batch_store.listings_of(tx, connection.id, products)
    offset = await progress.clock_offset(tx, connection.id)
    here = Here(connection, target.manifest, target.context.find_connector, now, offset)
    await merge_listings(tx, here, listed_ids)
    listed = await listed_of(tx, listed_ids)
    due = [
        row
        for each in listed
        for row in each.fields.values()
        if row.state == "out" and (names is None or row.field in names)
        and (row.next_attempt_at is None or row.next_attempt_at <= now)
    ]  # fmt: skip
    kept_back = [row for each in listed for row in each.fields.values() if row.state == "out" and row not in due]
    for row in kept_back:
        # A draft is whole: what is not to go out yet is sent as the channel has it.
        row.state = "held"
    items = _price_items(listed, due) if what == "prices" else _draft_items(target, listed, due)
    items = items[:most]
    chosen = {key for item in items for key in item.fields}
    sending, stuck = [], []
    for row in due:
        if row.key in chosen:
            row.known = rules.sending(row.known, row.ours, now)
            row.state = "sending"
            sending.append(row)
        elif not any(row.listing_id == key[0] for key in chosen) and len(items) < most:
            row.state, row.detail = "parked", "Its price is not known, so it cannot be written as a whole."
            stuck.append(row)
    await store.put_rows(tx, [*sending, *stuck])
    batch_id = new_id()
    if items:
        await batch_store.begin(tx, batch_id, connection.id, what, _kept(items))
    return batch_id, items


def _kept(items: Sequence[Item]) -> list[dict[str, Any]]:
    return [{"key": i.key, "fields": [[str(listing), name] for listing, name in i.fields]} for i in items]


async def listed_of(tx: Tx, listing_ids: Sequence[UUID]) -> list[Listed]:
    """Return these listings with all that is known of them, the leading one of each product first."""
    rows = await store.rows_of(tx, listing_ids)
    by_listing: dict[UUID, dict[str, Row]] = {}
    for (listing_id, name), row in rows.items():
        by_listing.setdefault(listing_id, {})[name] = row
    offers = {row["listing_id"]: row for row in await catalog.offers(tx, listing_ids)}
    return [
        Listed(
            row["listing_id"], row["external_id"], row["keys"], row["product_external_id"], row["product_version"],
            row["leads"], row["rest"], by_listing.get(row["listing_id"], {}), offers.get(row["listing_id"]),
        )
        for row in await batch_store.listed_rows(tx, listing_ids)
    ]  # fmt: skip


def _price_items(listed: Sequence[Listed], due: Sequence[Row]) -> list[Item]:
    wanted: dict[UUID, list[tuple[UUID, str]]] = {}
    for row in due:
        wanted.setdefault(row.listing_id, []).append(row.key)
    items = []
    for each in listed:
        if each.listing_id in wanted and "price" in each.fields:
            change = price_change(each)
            if change is not None:
                items.append(Item(each.external_id, change, tuple(wanted[each.listing_id])))
    return items


def _draft_items(target: Target, listed: Sequence[Listed], due: Sequence[Row]) -> list[Item]:
    wanted = {row.listing_id for row in due}
    products: dict[str, list[Listed]] = {}
    for each in listed:
        products.setdefault(each.product_external_id, []).append(each)
    items: list[Item] = []
    for together in products.values():
        ids = {each.listing_id for each in together}
        if not ids & wanted:
            continue
        draft = listing_draft(together, version_compared=target.manifest.listing_version_compared)
        if draft is not None:
            if draft.key in {item.key for item in items}:
                # One product of ours may be several on a channel that knows no variants.
                draft = replace(draft, key=f"{draft.key}/{draft.external_id}")
            items.append(Item(draft.key, draft, tuple(row.key for row in due if row.listing_id in ids)))
    return items


async def _call(target: Target, what: str, batch_id: UUID, items: Sequence[Item]) -> None:
    """Send a batch and record what became of it. Raises the channel's error after having recorded it."""
    now = target.context.clock()
    key, payloads = str(batch_id), tuple(item.payload for item in items)
    try:
        if what == "prices":
            receipt = await target.connector.push_prices(target.api, PriceBatch(key, payloads, now))
        else:
            receipt = await target.connector.push_listings(target.api, ListingBatch(key, payloads, now))
    except OutcomeUnknown as error:
        await _record_all(target, batch_id, items, PushOutcome.UNKNOWN, error.detail)
        raise
    except RequestRejected as error:
        await _record_all(target, batch_id, items, PushOutcome.REFUSED, error.detail)
        return
    except TemporarilyUnavailable as error:
        await _record_all(target, batch_id, items, PushOutcome.FAILED, error.detail)
        raise
    await _record(target, batch_id, items, _results(what, receipt.results), receipt.handle)


def _results(what: str, results: Sequence[Any]) -> dict[str, Result]:
    found = {}
    for each in results:
        blocking = [reason for reason in each.reasons if reason.blocking]
        words = " ".join(reason.detail for reason in blocking)
        refused = {reason.variant_key: reason.detail for reason in blocking if reason.variant_key}
        found[each.external_id if what == "prices" else each.key] = Result(each.outcome, words, refused)
    return found


async def _record_all(target: Target, batch_id: UUID, items: Sequence[Item], outcome: PushOutcome, detail: str) -> None:
    await _record(target, batch_id, items, {item.key: Result(outcome, detail) for item in items}, None)


async def _record(
    target: Target, batch_id: UUID, items: Sequence[Item], results: Mapping[str, Result], handle: str | None
) -> None:
    """Store what became of every item of a batch."""
    pending = [item for item in items if _result(results, item).outcome is PushOutcome.PENDING]
    ended = [item for item in items if item not in pending]
    async with target.transaction() as tx:
        await store.lock_connection(tx, target.connection.id)
        listing_ids = sorted({listing_id for item in items for listing_id, _ in item.fields})
        rows = await store.rows_of(tx, listing_ids, lock=True)
        readings = await store.readings_of(tx, listing_ids)
        keys = {o["listing_id"]: str(o["variant_id"]) for o in await catalog.offers(tx, listing_ids)}
        for item in ended:
            result = _result(results, item)
            for key in item.fields:
                if key in rows and rows[key].known.sending:
                    refused = (result.refused or {}).get(keys.get(key[0], ""))
                    _end(target, rows[key], result, refused)
        await store.put_rows(tx, [rows[key] for item in ended for key in item.fields if key in rows])
        await _look_again(tx, target, [item for item in ended if item.fields], results, readings)
        await store.want_merge(tx, sorted({listing_id for item in ended for listing_id, _ in item.fields}))
        tx.hint(f"merge:{target.connection.id}")
        later = target.context.clock() + timedelta(seconds=FOLLOW_S)
        if pending:
            await batch_store.set_state(tx, batch_id, "following", _kept(pending), handle=handle, next_attempt_at=later)
        else:
            await batch_store.set_state(tx, batch_id, "done")


def _result(results: Mapping[str, Result], item: Item) -> Result:
    return results.get(item.key) or Result(PushOutcome.UNKNOWN, "The channel did not say what became of it.")


def _end(target: Target, row: Row, result: Result, refused: str | None) -> None:
    """Note in a field what became of its write."""
    now = target.context.clock()
    row.detail = result.detail
    if result.outcome is PushOutcome.APPLIED and refused is None:
        row.known = rules.acknowledged(row.known, now)
        row.state, row.detail, row.attempts, row.next_attempt_at = "agreed", "", 0, None
    elif result.outcome is PushOutcome.UNKNOWN:
        row.known = rules.lost(row.known)
        row.state, row.next_attempt_at = "out", now + timedelta(seconds=FOLLOW_S)
    elif refused is not None or result.outcome is PushOutcome.REFUSED:
        row.known = rules.not_written(row.known)
        row.state, row.detail = "parked", refused or result.detail or "The channel refused it."
    else:
        row.known = rules.not_written(row.known)
        row.attempts = min(row.attempts + 1, 1000)
        wait = FOLLOW_S if result.outcome is PushOutcome.STALE else backoff_s(row.attempts, random.random())  # noqa: S311
        row.state, row.next_attempt_at = "out", now + timedelta(seconds=wait)


async def _look_again(
    tx: Tx, target: Target, items: Sequence[Item], results: Mapping[str, Result], readings: Mapping[UUID, Any]
) -> None:
    """Have some of the written products read later, and at once those that were not as we knew them."""
    now = target.context.clock()
    settled = now + timedelta(seconds=target.context.settings.field_settling_s)
    sampled, stale = set(), set()
    for item in items:
        product = readings[item.fields[0][0]]["product_external_id"]
        outcome = _result(results, item).outcome
        if outcome is PushOutcome.APPLIED and random.randrange(LOOK_AGAIN) == 0:  # noqa: S311
            sampled.add(product)
        elif outcome in (PushOutcome.STALE, PushOutcome.UNKNOWN):
            stale.add(product)
    await store.want_read(tx, target.connection.id, sorted(sampled - stale), settled)
    await store.want_read(tx, target.connection.id, sorted(stale), now)


# ---- batches whose end is not known ------------------------------------------------------------------------


async def _finish_open(target: Target) -> float | None:
    """Bring open batches to their end where possible; return seconds until the next look at one, or None."""
    async with target.transaction() as tx:
        rows = await batch_store.open_batches(tx, target.connection.id)
    waits: list[float] = []
    for row in rows:
        now = target.context.clock()
        if row["next_attempt_at"] is not None and row["next_attempt_at"] > now:
            waits.append((row["next_attempt_at"] - now).total_seconds())
            continue
        items = [
            Item(kept["key"], None, tuple((UUID(listing), name) for listing, name in kept["fields"]))
            for kept in row["items"]
        ]
        if row["state"] == "sending":
            # A worker died in between: what the listings show tells whether it came through.
            await _record_all(target, row["id"], items, PushOutcome.UNKNOWN, "The answer was lost.")
        elif not await _follow(target, row, items):
            waits.append(FOLLOW_S)
    return min(waits) if waits else None


async def _follow(target: Target, row: Any, items: Sequence[Item]) -> bool:
    """Ask what became of an asynchronous batch; return whether it is over."""
    connector = target.connector
    ask: Callable[[Api, str], Awaitable[Sequence[Any] | None]]
    prices = row["what"] == "prices"
    can_ask = target.can(Capability.FOLLOW_PRICES if prices else Capability.FOLLOW_LISTINGS)
    if can_ask and prices and isinstance(connector, FollowsPrices):
        ask = connector.follow_prices
    elif can_ask and isinstance(connector, FollowsListings):
        ask = connector.follow_listings
    else:
        await _record_all(target, row["id"], items, PushOutcome.UNKNOWN, "The channel cannot be asked for its end.")
        return True
    try:
        results = await ask(target.api, row["handle"])
    except RequestRejected as error:
        await _record_all(target, row["id"], items, PushOutcome.UNKNOWN, error.detail)
        return True
    if results is None:
        async with target.transaction() as tx:
            later = target.context.clock() + timedelta(seconds=FOLLOW_S)
            await batch_store.set_state(tx, row["id"], "following", next_attempt_at=later)
        return False
    await _record(target, row["id"], items, _results(row["what"], results), None)
    return True
