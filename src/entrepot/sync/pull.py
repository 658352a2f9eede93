"""Orders in: by webhook (the inbox) and by polling, both through the same ingestion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from entrepot.channels import facade as channels
from entrepot.channels.contract import (
    Api,
    Capability,
    ChannelOrder,
    ConnectorError,
    HandlesWebhooks,
    Page,
    PullsOrders,
    QuantitySemantics,
    ReportedQuantity,
    RequestRejected,
    UnexpectedAnswer,
    WebhookEvent,
)
from entrepot.channels.contracts import Connection, InboxEvent
from entrepot.database.pool import Tx
from entrepot.jobs.lanes import LaneKey
from entrepot.kernel.errors import EntrepotError
from entrepot.orders import facade as orders
from entrepot.sync import comparisons, exposure, progress
from entrepot.sync.batches import tell_certain
from entrepot.sync.context import SyncContext
from entrepot.sync.fields import store as store_fields
from entrepot.sync.sifting import UNSTORABLE, store_singly, words

log = structlog.get_logger(__name__)

ORDERS = "orders"
ECHO_S = 2.0
"""A stock webhook that differs is looked into after this time: mostly it is a sale whose order is on its way."""


_Parsed = tuple[InboxEvent, WebhookEvent]


# ---- polling ---------------------------------------------------------------------------------------------


def next_pull_s(state: progress.Progress, interval_s: float, spacing_s: float, now: datetime) -> float:
    """Return seconds until orders of a connection are to be pulled (0: now). Pure."""
    started = state.pull_started_at
    if started is None:
        return 0.0
    due = (state.pulled_at or started) + timedelta(seconds=interval_s)
    unfinished = state.pulled_at is None or state.pulled_at < started
    if unfinished or (state.pull_wanted_at is not None and state.pull_wanted_at > started):
        due = min(due, started + timedelta(seconds=spacing_s))
    return max(0.0, (due - now).total_seconds())


async def pull_step(context: SyncContext, key: LaneKey) -> float | None:
    """Pull a connection's orders if it is time; return seconds until the next time."""

    async def work(connection: Connection, api: Api, connector: PullsOrders) -> float | None:
        able = Capability.PULL_ORDERS in context.find_connector(connection.channel).manifest.capabilities
        async with context.database.transaction(key.organisation_id) as tx:
            state = await progress.get_progress(tx, connection.id)
            asked = await progress.waiting_run(tx, connection.id, ORDERS)
            if not able:  # A fulfiller brings no orders: what was asked for on all connections is over here.
                if asked is not None:
                    await progress.end_run(tx, asked, "done", context.clock(), counts=counts(orders.Ingested()))
                await progress.pull_started(tx, connection.id, context.clock())  # Else it is due every second.
                return None
        wait = next_pull_s(state, connection.sync_interval_s, context.settings.pull_spacing_s, context.clock())
        if wait > 0 and asked is None:
            return min(wait, 60.0)
        await _pull(context, connection, api, connector, asked)
        return min(context.settings.pull_spacing_s, float(connection.sync_interval_s))

    return await context.guarded(key, work)


@dataclass(slots=True)
class _Pull:
    """A pull that is going on. `left`: external ids of orders that cannot be stored."""

    started: datetime
    run_id: UUID | None
    done: int = 0
    total: orders.Ingested = field(default_factory=orders.Ingested)
    left: list[str] = field(default_factory=list)


async def _pull(
    context: SyncContext, connection: Connection, api: Api, connector: PullsOrders, run_id: UUID | None
) -> None:
    pull = _Pull(context.clock(), run_id)
    async with context.database.transaction(connection.organisation_id) as tx:
        cursor = (await channels.get_cursor(tx, connection.id, ORDERS)).value
        await progress.pull_started(tx, connection.id, pull.started)
    try:
        while True:
            page = await connector.pull_orders(api, cursor)
            try:
                go_on = await _take_page(context, connection, pull, page, page.items)
            except UNSTORABLE:
                told, left = await store_singly(context, connection, page.items)
                pull.total, pull.left = pull.total + told, pull.left + left
                go_on = await _take_page(context, connection, pull, page, ())
            if not page.more:
                return
            if not go_on and run_id is not None:
                async with context.database.transaction(connection.organisation_id) as tx:
                    await progress.pull_finished(tx, connection.id, context.clock(), None)
                    await progress.end_run(tx, run_id, "cancelled", context.clock())
                return
            cursor = page.cursor
    except ConnectorError as error:
        if run_id is not None:
            async with context.database.transaction(connection.organisation_id) as tx:
                await progress.end_run(tx, run_id, "failed", context.clock(), error=error.detail)
        raise


async def _take_page(
    context: SyncContext, connection: Connection, pull: _Pull, page: Page[ChannelOrder], found: Sequence[ChannelOrder]
) -> bool:
    """Store these orders of a page and how far the pull got, in one transaction; return whether to go on.

    What could not be stored is read again with the next pull: the cursor stays before it, and not every sale is known.
    """
    now = context.clock()
    done = pull.done + len(page.items)
    ahead = context.transport.clock_offset(connection.id)
    async with context.database.transaction(connection.organisation_id) as tx:
        await progress.note_clock(tx, connection.id, ahead)
        total = pull.total + await orders.ingest(tx, connection.id, found, via="poll", now=now)
        if not pull.left:
            await channels.advance_cursor(tx, connection.id, ORDERS, page.cursor, page.complete_until, now)
        go_on = await progress.step_run(tx, pull.run_id, done, counts(total), now) if pull.run_id else True
        if not page.more:
            until = drained(page.complete_until, ahead, pull.started)
            await progress.pull_finished(tx, connection.id, now, None if pull.left else until)
            if pull.left:
                await progress.note_error(tx, connection.id, words(pull.left), now)
            await _end(tx, connection, pull, done, total, now)
            await _tell_certain(context, tx, connection)
            tx.hint(f"push:{connection.id}")
            tx.hint(f"check:{connection.id}")
    pull.done, pull.total = done, total
    return go_on


async def _tell_certain(context: SyncContext, tx: Tx, connection: Connection) -> None:
    """Every sale up to a time is known: what it shows is certain where its channel overwrites, and others may go on."""
    drained_at = (await progress.get_progress(tx, connection.id)).drained_at
    semantics = context.find_connector(connection.channel).manifest.quantity_semantics
    if semantics is QuantitySemantics.ABSOLUTE and drained_at is not None:
        settled = drained_at - timedelta(seconds=context.settings.write_settling_s)
        await exposure.make_certain_before(tx, connection.id, settled)
    await tell_certain(tx, None)


def drained(complete_until: datetime | None, offset: timedelta, started: datetime) -> datetime | None:
    """Return until when, by our clock, every sale is known after a pull that began at `started`. Pure.

    `complete_until` is the channel's own word, by its clock, which is ahead of ours by `offset`; without it nothing is sure.
    """
    return None if complete_until is None else min(started, complete_until - offset)


def counts(total: orders.Ingested) -> dict[str, int]:
    """Return an ingestion's figures for the record of a run."""
    return {
        "created": total.created,
        "updated": total.updated,
        "unchanged": total.unchanged,
        "exceptions": total.exceptions,
        "short": total.short,
    }


async def _end(
    tx: Tx, connection: Connection, pull: _Pull, done: int, total: orders.Ingested, now: datetime
) -> None:  # fmt: skip
    if pull.run_id is not None:
        state, error = ("failed", words(pull.left)) if pull.left else ("done", "")
        await progress.end_run(tx, pull.run_id, state, now, done=done, counts=counts(total), error=error)
    elif total.created or total.updated:
        await progress.record_run(tx, connection.id, ORDERS, pull.started, now, done, counts(total))


# ---- the inbox -------------------------------------------------------------------------------------------


async def inbox_step(context: SyncContext, key: LaneKey) -> float | None:
    """Process stored webhooks of a connection; return 0 while there are more."""

    async def work(connection: Connection, api: Api, connector: HandlesWebhooks) -> float | None:
        limit = context.settings.inbox_batch_max
        parsed: list[_Parsed] = []
        named = False
        try:
            async with context.database.transaction(key.organisation_id) as tx:
                events = await channels.take_pending(tx, connection.id, limit)
                if not events:
                    return None
                parsed, bad = parse(connector, events)
                named = any(p.order_ids for _, p in parsed)
                if not named:
                    await _ingest(context, tx, connection, parsed, [])
                for event, problem in bad:
                    await _fail(context, tx, event, problem)
        except UNSTORABLE:
            await _take_singly(context, connection, parsed, {})
        if named:
            await _fetch_and_ingest(context, connection, api, parsed)
        return 0.0 if len(events) == limit else None

    return await context.guarded(key, work)


def parse(
    connector: HandlesWebhooks, events: Sequence[InboxEvent]
) -> tuple[list[_Parsed], list[tuple[InboxEvent, str]]]:
    """Map deliveries; return those that could be mapped and those that could not, with the reason."""
    good: list[_Parsed] = []
    bad: list[tuple[InboxEvent, str]] = []
    for event in events:
        try:
            good.append((event, connector.parse_webhook(event.body, event.headers)))
        except (UnexpectedAnswer, EntrepotError) as error:
            bad.append((event, error.detail))
        except Exception as error:  # A fault in one mapping must not hold up the others.
            log.exception("webhook_mapping_failed", topic=event.topic)
            bad.append((event, f"{type(error).__name__}: {error}"))
    return good, bad


async def _fail(context: SyncContext, tx: Tx, event: InboxEvent, problem: str) -> None:
    again = context.clock() + timedelta(seconds=min(60.0, 2.0 ** (event.attempts + 1)))
    await channels.mark_failed(tx, event.id, problem, again, attempts_max=context.settings.webhook_attempts)


async def _ingest(
    context: SyncContext,
    tx: Tx,
    connection: Connection,
    parsed: Sequence[_Parsed],
    fetched: Sequence[ChannelOrder],
) -> None:
    """Take over what the deliveries say and mark them done, in one transaction: exactly once."""
    found = [p.order for _, p in parsed if p.order is not None] + list(fetched)
    await orders.ingest(tx, connection.id, found, via="webhook", now=context.clock())
    await _look_into_reports(context, tx, connection, [q for _, event in parsed for q in event.quantities])
    await _look_into_products(context, tx, connection, [event for _, event in parsed])
    await channels.mark_done(tx, [event.id for event, _ in parsed])


async def _look_into_products(
    context: SyncContext, tx: Tx, connection: Connection, events: Sequence[WebhookEvent]
) -> None:
    """Have products read that the channel says were changed: what it tells may be late or out of order, its books are not."""
    named = sorted({product for event in events for product in event.product_ids})
    unknown = await store_fields.want_read(tx, connection.id, named, context.clock()) if named else []
    if unknown or any(event.listings_changed for event in events):
        await progress.want_listings(tx, connection.id, context.clock())
    if len(named) > len(unknown):
        tx.hint(f"read:{connection.id}")


async def _look_into_reports(
    context: SyncContext, tx: Tx, connection: Connection, reports: Sequence[ReportedQuantity]
) -> None:
    """Have listings compared that the channel says show what we neither expect nor wrote. An echo of ours ends here."""
    told = [r for r in reports if r.quantity is not None]
    by_id = {r.external_id: r.quantity for r in told if r.external_id and r.quantity is not None}
    by_keys = {tuple(sorted(r.keys.items())): r.quantity for r in told if not r.external_id and r.keys}
    differing: list[UUID] = []
    if by_id:
        differing += await comparisons.differing(tx, connection.id, list(by_id.items()), reported=True)
    if by_keys:
        rows = [(dict(keys), quantity) for keys, quantity in by_keys.items() if quantity is not None]
        differing += await comparisons.differing_by_keys(tx, connection.id, rows)
    await comparisons.want_check(tx, differing, context.clock() + timedelta(seconds=ECHO_S))


async def _fetch_and_ingest(context: SyncContext, connection: Connection, api: Api, parsed: Sequence[_Parsed]) -> None:
    """The deliveries only name orders: fetch these first, outside of any transaction. The lane keeps others away."""
    connector = context.find_connector(connection.channel)
    wanted = list(dict.fromkeys(i for _, p in parsed for i in p.order_ids))
    fetched: dict[str, ChannelOrder] = {}
    refused: dict[str, str] = {}
    if isinstance(connector, PullsOrders):
        for start in range(0, len(wanted), 50):
            some, not_given = await _fetch(api, connector, wanted[start : start + 50])
            fetched |= {order.external_id: order for order in some}
            refused |= not_given
    good = [(event, p) for event, p in parsed if not refused.keys() & set(p.order_ids)]
    try:
        async with context.database.transaction(connection.organisation_id) as tx:
            await _ingest(context, tx, connection, good, list(fetched.values()))
            for event, p in parsed:
                if problems := [refused[i] for i in p.order_ids if i in refused]:
                    await _fail(context, tx, event, problems[0])
    except UNSTORABLE:
        await _take_singly(context, connection, good, fetched)


async def _fetch(
    api: Api, connector: PullsOrders, wanted: Sequence[str]
) -> tuple[Sequence[ChannelOrder], dict[str, str]]:
    """Fetch these orders; return them, and by external id why the channel does not give the others."""
    try:
        return await connector.fetch_orders(api, wanted), {}
    except (RequestRejected, UnexpectedAnswer) as error:
        if len(wanted) == 1:
            return (), {wanted[0]: error.detail}
    found: list[ChannelOrder] = []
    refused: dict[str, str] = {}
    for external_id in wanted:
        some, not_given = await _fetch(api, connector, [external_id])
        found += some
        refused |= not_given
    return found, refused


async def _take_singly(
    context: SyncContext, connection: Connection, parsed: Sequence[_Parsed], fetched: Mapping[str, ChannelOrder]
) -> None:
    """One of these cannot be stored: take each by itself, and try that one again later, until it is put aside."""
    asked = {i for _, told in parsed for i in told.order_ids}
    await store_singly(context, connection, [order for i, order in fetched.items() if i not in asked])
    for event, told in parsed:
        try:
            async with context.database.transaction(connection.organisation_id) as tx:
                some = [fetched[i] for i in told.order_ids if i in fetched]
                await _ingest(context, tx, connection, [(event, told)], some)
        except UNSTORABLE as error:
            log.exception("webhook_not_stored", topic=event.topic)
            async with context.database.transaction(connection.organisation_id) as tx:
                await _fail(context, tx, event, f"{type(error).__name__}: {error}")
