"""A hub with channels in memory that keep whole listings: their own books, faults on demand, people who edit there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.orders.support import make_connection
from tests.sync.channel import Wire

from entrepot.catalog import editing, reading
from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import Image, NewProduct, NewVariant
from entrepot.channels.contract import (
    Api,
    AuthKind,
    Capability,
    ChannelListing,
    ChannelReason,
    ListingBatch,
    ListingDraft,
    ListingField,
    ListingImage,
    ListingReceipt,
    ListingRef,
    ListingResult,
    Manifest,
    OutcomeUnknown,
    Page,
    PriceBatch,
    PriceReceipt,
    PriceResult,
    PushOutcome,
    RequestRejected,
    TemporarilyUnavailable,
    image_key,
)
from entrepot.database.pool import Database
from entrepot.identity.facade import Actor, system_actor
from entrepot.jobs.lanes import LaneKey
from entrepot.jobs.reactions import react
from entrepot.kernel.ids import new_id
from entrepot.sync import conflicts, progress
from entrepot.sync import facade as sync
from entrepot.sync.check import listings_step
from entrepot.sync.fields import store
from entrepot.sync.fields.merging import merge_step
from entrepot.sync.fields.reads import read_step
from entrepot.sync.fields.writing import write_step

TOLD = frozenset(
    {ListingField.TITLE, ListingField.DESCRIPTION, ListingField.VENDOR, ListingField.TAGS, ListingField.IMAGES,
     ListingField.PRICE, ListingField.COMPARE_AT, ListingField.BARCODE, ListingField.OPTIONS}
)  # fmt: skip
ABLE = frozenset(
    {Capability.PULL_LISTINGS, Capability.READ_LISTINGS, Capability.PUSH_LISTINGS, Capability.PUSH_PRICES,
     Capability.FOLLOW_LISTINGS, Capability.FOLLOW_PRICES}
)  # fmt: skip


class WorkerDied(Exception):
    """The process that called was killed there."""


@dataclass
class Shop:
    """One marketplace with one account. `listings` by external id; every write is notified in `told`."""

    key: str
    priority: int = 50
    able: frozenset[Capability] = ABLE
    fields: frozenset[ListingField] = TOLD
    listings: dict[str, ChannelListing] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    prices: list[PriceBatch] = field(default_factory=list)
    drafts: list[ListingBatch] = field(default_factory=list)
    handles: dict[str, Any] = field(default_factory=dict)
    keeps_images: bool = False
    tells_times: bool = True

    @property
    def manifest(self) -> Manifest:
        return Manifest(
            self.key, self.key, "1", self.able, AuthKind.STATIC_TOKEN, (), (), (), listing_fields=self.fields,
            listing_batch_max=10, price_batch_max=10, source_priority=self.priority,
        )  # fmt: skip

    @property
    def writes(self) -> int:
        return len(self.prices) + len(self.drafts)

    def edit(self, external_id: str, **changes: Any) -> None:
        """Somebody edits a listing on the channel; the product's own fields are those of all its listings."""
        now = datetime.now(UTC)
        product = self.listings[external_id].product_external_id
        shared = {k: v for k, v in changes.items() if k not in ("price", "compare_at", "barcode", "options")}
        for name, each in self.listings.items():
            if each.product_external_id == product:
                own = changes if name == external_id else shared
                self.listings[name] = replace(each, **own, updated_at=now if self.tells_times else None)
        self.told.append(product)

    # ---- the contract

    async def pull_listings(self, api: Api, cursor: str | None) -> Page[ChannelListing]:
        return Page(tuple(self.listings.values()), None, False)

    async def read_listings(self, api: Api, product_ids: Sequence[str]) -> tuple[ChannelListing, ...]:
        return tuple(v for v in self.listings.values() if v.product_external_id in product_ids)

    def _fault(self) -> str:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "busy":
            raise TemporarilyUnavailable("busy")
        if fault == "dropped":
            raise OutcomeUnknown("no answer")
        if fault == "refused":
            raise RequestRejected("not so")
        return fault

    async def push_prices(self, api: Api, batch: PriceBatch) -> PriceReceipt:
        self.prices.append(batch)
        fault = self._fault()
        results = []
        for change in batch.changes:
            name = change.ref.external_id
            if name in self.refuses:
                reasons = (ChannelReason(self.refuses[name], "price"),)
                results.append(PriceResult(name, PushOutcome.REFUSED, reasons=reasons))
            elif fault in ("stale", "failed"):
                results.append(PriceResult(name, PushOutcome(fault)))
            else:
                self.edit(name, price=change.price, compare_at=change.compare_at)
                results.append(PriceResult(name, PushOutcome.APPLIED))
        return PriceReceipt(*self._late(fault, tuple(results)))

    async def push_listings(self, api: Api, batch: ListingBatch) -> ListingReceipt:
        self.drafts.append(batch)
        fault = self._fault()
        results = []
        for draft in batch.drafts:
            if draft.key in self.refuses:
                reasons = (ChannelReason(self.refuses[draft.key], "title"),)
                results.append(ListingResult(draft.key, PushOutcome.REFUSED, reasons=reasons))
                continue
            self._take(draft)
            reasons = tuple(
                ChannelReason(self.refuses[v.sku], "barcode", variant_key=v.key)
                for v in draft.variants
                if v.sku in self.refuses
            )
            results.append(ListingResult(draft.key, PushOutcome.APPLIED, draft.external_id, reasons=reasons))
        return ListingReceipt(*self._late(fault, tuple(results)))

    def _late(self, fault: str, results: tuple[Any, ...]) -> tuple[Any, str | None]:
        if fault == "lost":
            raise OutcomeUnknown("no answer")
        if fault == "died":
            raise WorkerDied
        if fault == "later":
            handle = new_id().hex
            self.handles[handle] = results
            return tuple(replace(r, outcome=PushOutcome.PENDING) for r in results), handle
        return results, None

    def _take(self, draft: ListingDraft) -> None:
        for variant in draft.variants:
            assert variant.ref is not None
            if variant.sku in self.refuses:
                continue
            self.edit(
                variant.ref.external_id, product_title=draft.title, description_html=draft.description,
                vendor=draft.vendor, tags=draft.tags, price=variant.price, compare_at=variant.compare_at,
                barcode=variant.barcode, options=tuple(zip(draft.option_names, variant.options, strict=True)),
            )  # fmt: skip
            if draft.images is not None:
                copies = tuple(
                    ListingImage(f"https://{self.key}/{n}", i.alt_text, source_key=image_key(i.url))
                    for n, i in enumerate(draft.images)
                )
                self.edit(variant.ref.external_id, images=copies if self.keeps_images else draft.images)

    async def follow_prices(self, api: Api, handle: str) -> tuple[PriceResult, ...] | None:
        found: tuple[PriceResult, ...] | None = self.handles[handle]
        return found

    async def follow_listings(self, api: Api, handle: str) -> tuple[ListingResult, ...] | None:
        found: tuple[ListingResult, ...] | None = self.handles[handle]
        return found


class FieldHub:
    """An organisation with one product of some variants, listed on every shop as it is in the catalog."""

    def __init__(self, database: Database, organisation_id: UUID, *shops: Shop) -> None:
        self.database, self.id = database, organisation_id
        self.shops = {shop.key: shop for shop in shops}
        settings = sync.SyncSettings(field_settling_s=0.0, listings_spacing_s=0.0, drift_interval_s=0.0)
        self.context = sync.SyncContext(database, Wire(), self.shops.__getitem__, settings)  # type: ignore[arg-type]
        self.connections: dict[str, UUID] = {}
        self.variants: dict[str, UUID] = {}
        self.product: UUID
        self.actor: Actor = system_actor(organisation_id, "Ada")

    async def set_up(self, skus: Sequence[str] = ("A",), **product: Any) -> FieldHub:
        """Make the product and list it everywhere; all agree."""
        self.new = NewProduct(
            "h", "Red mug with a long name", tuple(NewVariant(s, 1000, "EUR", barcode=f"b{s}") for s in skus),
            description="<p>Good</p>", vendor="Acme", tags=("x",), images=(Image("https://hub/1.jpg"),),
        )  # fmt: skip
        self.new = replace(self.new, **product)
        async with self.database.transaction(self.id) as tx:
            self.variants = await catalog.save_products(tx, [self.new])
            self.product = await tx.fetch_value("select id from product where organisation_id = $1", self.id)
        for shop in self.shops.values():
            self.connections[shop.key] = await make_connection(self.database, self.id, shop.key, name=shop.key)
            for sku in skus:
                shop.listings.setdefault(sku, self.as_listed(sku))
        await self.settle()
        return self

    def as_listed(self, sku: str, product: str = "P") -> ChannelListing:
        return ChannelListing(
            ListingRef(sku), sku, "", product, self.new.title, f"b{sku}", Decimal("10.00"), "EUR", vendor="Acme",
            description_html="<p>Good</p>", tags=("x",), images=(ListingImage("https://hub/1.jpg"),),
            updated_at=datetime.now(UTC) - timedelta(days=1),
        )  # fmt: skip

    def lane(self, kind: str, name: str) -> LaneKey:
        return LaneKey(kind, self.id, self.connections[name])

    async def react(self) -> None:
        while await react(self.database, self.id, sync.reaction_table(self.shops.__getitem__)):  # type: ignore[arg-type]
            pass

    async def notify(self, name: str) -> None:
        """Deliver what the channel has to tell."""
        shop = self.shops[name]
        told, shop.told = sorted(set(shop.told)), []
        async with self.database.transaction(self.id) as tx:
            if told and await store.want_read(tx, self.connections[name], told, datetime.now(UTC)):
                await progress.want_listings(tx, self.connections[name], datetime.now(UTC))

    async def pull(self, name: str) -> None:
        """Read all listings of a channel."""
        await listings_step(self.context, self.lane("listings", name))

    async def step(self, name: str) -> None:
        """Let every lane of a channel work once."""
        await self.notify(name)
        while await read_step(self.context, self.lane("read", name)) == 0.0:
            pass
        await self.react()
        while await merge_step(self.context, self.lane("merge", name)) == 0.0:
            pass
        await write_step(self.context, self.lane("fields", name))
        await self.react()

    async def pass_time(self) -> None:
        """Everything that waits for a time is due now."""
        async with self.database.transaction(self.id) as tx:
            for statement in (
                "update listing_field set next_attempt_at = null",
                "update field_batch set next_attempt_at = null",
                "update listing_reading set read_wanted_at = least(read_wanted_at, now())",
            ):
                await tx.execute(f"{statement} where organisation_id = $1", self.id)

    async def settle(self, rounds: int = 12) -> int:
        """Let all lanes work until nothing happens any more; return in how many rounds that was."""
        await self.react()
        for name in self.shops:
            await self.pull(name)
        before = None
        for n in range(rounds):
            for name in self.shops:
                await self.pass_time()
                await self.step(name)
            now = (
                await self.snapshot(),
                [s.writes for s in self.shops.values()],
                any(s.told for s in self.shops.values()),
            )
            if now == before:
                return n
            before = now
        raise AssertionError("it never comes to rest")

    async def snapshot(self) -> list[tuple[Any, ...]]:
        return [
            (r["channel"], r["sku"], r["field"], r["state"], r["base"], r["ours"], r["theirs"])
            for r in await self.rows()
        ]

    async def rows(self) -> list[Any]:
        async with self.database.transaction(self.id) as tx:
            return await tx.fetch(
                "select f.*, l.sku, c.channel from listing_field f"
                " join listing l on l.organisation_id = $1 and l.id = f.listing_id"
                " join connection c on c.organisation_id = $1 and c.id = f.connection_id"
                " where f.organisation_id = $1 order by c.channel, l.sku, f.field",
                self.id,
            )

    async def row(self, name: str, field_name: str, sku: str = "A") -> Any:
        [row] = [r for r in await self.rows() if (r["channel"], r["field"], r["sku"]) == (name, field_name, sku)]
        return row

    async def states(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for row in await self.rows():
            found[row["state"]] = found.get(row["state"], 0) + 1
        return found

    async def open(self) -> list[Any]:
        """Return the open conflicts."""
        async with self.database.transaction(self.id) as tx:
            return await tx.fetch(
                "select * from conflict where organisation_id = $1 and state = 'open' order by risk desc, id", self.id
            )

    async def change(self, **changes: Any) -> None:
        """Somebody edits the product in the hub."""
        await self.change_variants({}, **changes)

    async def change_variants(self, variants: Mapping[str, Mapping[str, Any]], **changes: Any) -> None:
        """Somebody edits variants, by SKU, and the product in the hub."""
        async with self.database.transaction(self.id) as tx:
            there = {v.sku: v.id for v in (await reading.product_detail(tx, self.product)).variants}
            edits = tuple(editing.VariantEdit(there[sku], fields) for sku, fields in variants.items())
            await editing.save(tx, self.product, editing.ProductEdit(changes, edits))

    async def price(self, sku: str, minor: int) -> None:
        await self.change_variants({sku: {"price_minor": minor}})

    async def detail(self) -> reading.ProductDetail:
        async with self.database.transaction(self.id) as tx:
            return await reading.product_detail(tx, self.product)

    async def resolve(self, conflict_id: UUID, side: conflicts.Side, value: Any = None) -> None:
        async with self.database.transaction(self.id) as tx:
            await conflicts.resolve(tx, self.actor, conflict_id, conflicts.Choice(side, value), datetime.now(UTC))

    async def policy(self, **values: Any) -> None:
        async with self.database.transaction(self.id) as tx:
            new = conflicts.NewPolicy(**({"connection_id": None, "field": ""} | values))
            await conflicts.set_policy(tx, self.actor, new, datetime.now(UTC))
