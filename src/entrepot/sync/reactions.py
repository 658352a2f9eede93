"""What follows from a change of stock or a sale: what every listing shall show is worked out anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.allocation import facade as allocation
from entrepot.catalog import facade as catalog
from entrepot.channels import facade as channels
from entrepot.channels.contract import QuantitySemantics
from entrepot.channels.contracts import FindConnector
from entrepot.database.pool import Tx
from entrepot.identity.facade import system_actor
from entrepot.kernel.clock import utc_now
from entrepot.sync import exposure, progress, store
from entrepot.sync.fields import store as fields
from entrepot.sync.publishing import archiving
from entrepot.sync.publishing import asking as publishing

Event = Mapping[str, Any]

BEFORE_CONNECTING = timedelta(seconds=5)
LEARNING = allocation.Learning()
CLOCK_ERROR_S = 2.0
"""Channels tell times in whole seconds, in their header and in their orders."""


class Reactions:
    """The reactions of this room to events of others."""

    def __init__(
        self,
        find_connector: FindConnector,
        *,
        learning: allocation.Learning = LEARNING,
        clock_error_s: float = CLOCK_ERROR_S,
    ) -> None:
        """`clock_error_s`: how far a channel's times may be off once its clock is compared with ours."""
        self._find = find_connector
        self._learning = learning
        self._clock_error_s = clock_error_s

    async def lock(self, tx: Tx, events: Sequence[Event]) -> None:
        """Lock the listings of every variant that the events name, in the one order that all writers keep."""
        variants = {UUID(v) for event in events for v in event.get("variant_ids", ())}
        variants |= {UUID(sold[1]) for event in events for sold in event.get("sold", ())}
        await store.lock_variants(tx, await _with_bundles(tx, variants))

    async def orders_sold(self, tx: Tx, events: Sequence[Event]) -> None:
        """Channels have sold units: they took them off their own listings, so we expect less there."""
        for connection_id in {UUID(event["connection_id"]) for event in events}:
            connection = await channels.get(tx, connection_id)
            since = connection.created_at - BEFORE_CONNECTING
            manifest = self._find(connection.channel).manifest
            offset = await progress.clock_offset(tx, connection_id)
            sold = [
                (external_id, UUID(variant_id), units, datetime.fromisoformat(placed_at) - offset)
                for event in events
                if UUID(event["connection_id"]) == connection_id
                for external_id, variant_id, units, placed_at in event["sold"]
                if datetime.fromisoformat(placed_at) >= since and (units > 0 or manifest.cancel_restocks)
            ]
            await self._learn(tx, connection_id, since, offset, events)
            if sold:
                absolute = manifest.quantity_semantics is QuantitySemantics.ABSOLUTE
                await store.count_sold(tx, connection_id, sold, absolute=absolute, clock_error_s=self._clock_error_s)
                tx.hint(f"push:{connection_id}")

    async def _learn(
        self, tx: Tx, connection_id: UUID, since: datetime, offset: timedelta, events: Sequence[Event]
    ) -> None:
        """Count what sold there and how long it took to hear of it."""
        now = utc_now()
        lines: list[tuple[UUID, int]] = []
        heard: dict[datetime, float] = {}
        for event in events:
            if UUID(event["connection_id"]) != connection_id:
                continue
            for _, variant_id, count, placed in event["sold"]:
                placed_at = datetime.fromisoformat(placed)
                if placed_at >= since:
                    lines.append((UUID(variant_id), count))
                    if count > 0:
                        heard[placed_at] = (now - (placed_at - offset)).total_seconds()
        await allocation.count_sales(tx, connection_id, lines, now, self._learning)
        await allocation.count_lags(tx, connection_id, allocation.HEARD, heard.values(), now)

    async def stock_changed(self, tx: Tx, events: Sequence[Event]) -> None:
        """Stock changed: divide it anew over the listings of these variants."""
        variants = {UUID(v) for event in events for v in event["variant_ids"]}
        await self.divide(tx, await _with_bundles(tx, variants))

    async def connections_changed(self, tx: Tx, events: Sequence[Event]) -> None:
        """A connection came, went or got other settings: divide everything anew."""
        await allocation.reallocate(tx)

    async def products_filed(self, tx: Tx, events: Sequence[Event]) -> None:
        """Products are in another category or have other tags: another policy or rule may count for them."""
        await allocation.reallocate_products(tx, list({UUID(i) for event in events for i in event["product_ids"]}))

    async def divide(self, tx: Tx, variant_ids: Sequence[UUID]) -> None:
        """Set what the listings of these variants shall show."""
        shares = await allot(tx, variant_ids, self._find, self._learning)
        changed = await store.put_desired(
            tx,
            [
                (s.listing_id, s.connection_id, s.variant_id, s.quantity,
                 {"strategy": s.strategy, "pool": s.pool, "steps": list(s.steps)}, s.waits)
                for s in shares
            ],
        )  # fmt: skip
        for connection_id in changed:
            tx.hint(f"push:{connection_id}")

    async def listings_matched(self, tx: Tx, events: Sequence[Event]) -> None:
        """Listings have a variant now: give them their part."""
        listings = [UUID(i) for event in events for i in event["listings"]]
        rows = await tx.fetch(
            "select distinct variant_id from listing where organisation_id = $1 and id = any($2::uuid[])"
            " and variant_id is not null",
            tx.organisation,
            listings,
        )
        await archiving.listings_matched(tx, self._find, listings)
        await self.divide(tx, [row[0] for row in rows])
        products: dict[UUID, list[str]] = {}
        for row in await fields.products_of(tx, listings):
            products.setdefault(row["connection_id"], []).append(row["product_external_id"])
        for connection_id, named in sorted(products.items()):
            await fields.choose_leads(tx, connection_id, named)
        await _merge(tx, listings)

    async def listings_unmatched(self, tx: Tx, events: Sequence[Event]) -> None:
        """Listings have no variant any more: nothing is written to them; what they had goes to the others."""
        await store.forget_unmatched(tx, [UUID(i) for event in events for i in event["listings"]])
        await self.divide(tx, list({UUID(v) for event in events for v in event["variant_ids"]}))

    async def products_archived(self, tx: Tx, events: Sequence[Event]) -> None:
        """Many products were archived at once, by somebody who wants their listings to end."""
        for event in events:
            actor = system_actor(tx.organisation, event["by"])
            archived = await catalog.still_archived(tx, [UUID(i) for i in event["products"]])
            if archived:
                await archiving.end_everywhere(tx, actor, self._find, archived)

    async def products_changed(self, tx: Tx, events: Sequence[Event]) -> None:
        """Products were changed: what that means for their listings is found by merging these."""
        named = [UUID(i) for event in events for i in event["products"]]
        await publishing.products_changed(tx, named)
        await archiving.variants_changed(tx, self._find, named)
        await _merge(tx, await catalog.listings_of_products(tx, named))

    async def prices_changed(self, tx: Tx, events: Sequence[Event]) -> None:
        """Price lists or exchange rates were changed: what listings shall cost there is found by merging them."""
        whole = {UUID(i) for event in events if event["variants"] is None for i in event["connections"]}
        if whole:
            await fields.want_merge_of_connections(tx, sorted(whole))
            for connection_id in whole:
                tx.hint(f"merge:{connection_id}")
        listings: set[UUID] = set()
        for event in events:
            connections = sorted({UUID(i) for i in event["connections"]} - whole)
            if connections and event["variants"] is not None:
                named = [UUID(i) for i in event["variants"]]
                listings |= set(await catalog.listings_of_variants(tx, connections, named))
        await _merge(tx, sorted(listings))


async def _merge(tx: Tx, listing_ids: Sequence[UUID]) -> None:
    for connection_id in await fields.want_merge(tx, listing_ids):
        tx.hint(f"merge:{connection_id}")


async def allot(
    tx: Tx, variant_ids: Sequence[UUID], find_connector: FindConnector, learning: allocation.Learning
) -> list[allocation.Share]:
    """Work out what the listings of these variants may show, told what they show now."""
    return await allocation.allot_variants(tx, variant_ids, await live(tx, variant_ids, find_connector), learning)


async def preview(
    tx: Tx,
    draft: allocation.Policy,
    scope: allocation.Scope,
    find_connector: FindConnector,
    learning: allocation.Learning,
    *,
    variant_id: UUID | None = None,
) -> allocation.Preview:
    """Work out what a draft of a policy would change now, told what listings show; nothing is saved.

    `variant_id`: look at this one only. The draft is as `allocation.check_policy` gave it.
    """
    variants = await allocation.concerned_variants(tx, scope, draft)
    if variant_id is not None:
        variants = [each for each in variants if each == variant_id]
    shows = await live(tx, variants[: allocation.SAMPLE_MOST], find_connector)
    return await allocation.preview(tx, draft, live=shows, variants=variants, learning=learning)


async def live(tx: Tx, variant_ids: Sequence[UUID], find_connector: FindConnector) -> allocation.Live:
    """Return what the listings of these variants show now."""
    absolute = frozenset(
        c.id
        for c in await channels.list_all(tx)
        if find_connector(c.channel).manifest.quantity_semantics is QuantitySemantics.ABSOLUTE
    )
    figures = await exposure.live_figures(tx, variant_ids)
    shown = {row["listing_id"]: shown_of(row) for row in figures if row["shows"] is not None}
    offered = frozenset(row["listing_id"] for row in figures if row["offered"])
    return allocation.Live(shown, offered, absolute)


def shown_of(row: Any) -> allocation.Shown:
    """Return what a listing holds of the pool by `exposure.live_figures`: what it shows and what it lacks. Pure.

    It may show less than nothing, where it was lowered by more than there was: then a raise begins there. What it shows too much
    for no known reason may be sold, but is nothing that it can be lowered from: it may have been a mistake.
    """
    most = max(max(0, row["shows"]) + row["lacking"], row["perhaps"] or 0) + row["rising"]
    return allocation.Shown(most, max(0, row["shows_at_least"] + row["under_way"]) + row["lacking"])


async def _with_bundles(tx: Tx, variants: set[UUID]) -> list[UUID]:
    """Return these variants and the bundles whose stock follows them."""
    return list(variants.union(await catalog.bundles_with(tx, list(variants)))) if variants else []
