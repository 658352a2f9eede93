"""What must hold of every connector that writes listings and prices, tried against its simulated channel.

class TestShopifyListings(ListingsContract):
    connector = CONNECTOR
    key = "shopify"
    writes = frozenset({"set_product", ...})      # the operations whose answer is lost
    checks = (check_by_the_schema,)               # every call and answer against the official specification
    def draft(self, key, count=2): ...            # a product that the channel takes
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import httpx
import pytest
from tests.connectors.http_api import HttpApi

from entrepot.channels.contract import (
    Call,
    Capability,
    ChannelListing,
    EndBatch,
    EndKind,
    ListingBatch,
    ListingDraft,
    ListingEnd,
    ListingField,
    ListingResult,
    ListingStatus,
    OutcomeUnknown,
    PriceBatch,
    PriceChange,
    PriceResult,
    PushOutcome,
    QuantityBatch,
    QuantityChange,
    Reply,
    TemporarilyUnavailable,
    check_listing,
    image_key,
    rules_of,
)
from entrepot.channels.html_text import plain_text
from entrepot_sandbox.faults import Level
from entrepot_sandbox.server import Config, Running, running

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROUNDS_MAX = 400


class LosingApi(HttpApi):
    """Loses the answer to one call of the operations named in `lose`, after the channel has done it."""

    lose: frozenset[str] = frozenset()
    lost = 0

    async def send(self, call: Call) -> Reply:
        reply = await super().send(call)
        if call.operation in self.lose:
            self.lose = frozenset()
            self.lost += 1
            raise (TemporarilyUnavailable if call.idempotent else OutcomeUnknown)("the answer was lost")
        return reply


@dataclass
class Simulated:
    """A connection to a simulated channel, and its control room."""

    api: LosingApi
    channel: str
    control: httpx.AsyncClient
    sandbox: Running

    async def edit(self, **change: Any) -> None:
        """Change a product in the channel's own admin."""
        answer = await self.control.post("/_sandbox/edit", json={"channel": self.channel, **change})
        assert answer.status_code == 200, answer.text


class ListingsContract:
    """What must hold."""

    connector: ClassVar[Any]
    key: ClassVar[str]
    writes: ClassVar[frozenset[str]]
    checks: ClassVar[tuple[Callable[[Call, Reply], None], ...]] = ()
    settings: ClassVar[Mapping[str, str]] = {}
    tells_updated_at: ClassVar[bool] = True
    """Whether the channel says when a listing was changed last."""

    def draft(self, key: str, count: int = 2) -> ListingDraft:
        """Return a product with so many variants that the channel takes; another for another key."""
        raise NotImplementedError

    def bad(self, key: str) -> ListingDraft:
        """Return a product that the channel refuses."""
        rules = rules_of(self.connector.manifest.listing_rules, "")
        assert rules is not None
        assert rules.title_length_max is not None
        return replace(self.draft(key), title="x" * (rules.title_length_max + 1))

    # ---- helpers ---------------------------------------------------------------------------------------

    @pytest.fixture
    async def channel(self) -> AsyncIterator[Simulated]:
        async with self.simulated() as channel:
            yield channel

    @asynccontextmanager
    async def simulated(self) -> AsyncIterator[Simulated]:
        """Serve the channel with twelve listings, and connect to it."""
        async with running(Config(seed=7, products=12, channels=(self.key,), time_scale=200)) as sandbox:
            (account,) = sandbox.sandbox.markets[self.key].accounts()
            async with (
                LosingApi(
                    self.connector,
                    settings={**account.settings, "simulator_url": sandbox.url, **self.settings},
                    credentials=account.credentials,
                    checks=self.checks,
                ) as api,
                httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as control,
            ):
                if Capability.REFRESH_TOKEN in self.connector.manifest.capabilities:
                    token = await self.connector.refresh_token(api, api.credentials)
                    api.credentials |= {**token.credentials, "access_token": token.access_token}
                api.calls.clear()
                yield Simulated(api, self.key, control, sandbox)

    def needs(self, capability: Capability) -> None:
        if capability not in self.connector.manifest.capabilities:
            pytest.skip(f"{self.key} does not declare {capability.value}")

    async def push(self, channel: Simulated, *drafts: ListingDraft, name: str = "push") -> list[ListingResult]:
        """Push, follow to the end, and return the results in the order of the drafts."""
        receipt = await self.connector.push_listings(channel.api, ListingBatch(name, drafts, AT))
        assert [each.key for each in receipt.results] == [each.key for each in drafts]
        return await self.ended(channel, receipt)

    async def ended(self, channel: Simulated, receipt: Any) -> list[ListingResult]:
        results = {each.key: each for each in receipt.results}
        if any(each.outcome is PushOutcome.PENDING for each in results.values()):
            assert receipt.handle is not None
            for _ in range(ROUNDS_MAX):
                followed = await self.connector.follow_listings(channel.api, receipt.handle)
                if followed is not None:
                    results |= {each.key: each for each in followed}
                    break
                await asyncio.sleep(0.02)
        assert not [each for each in results.values() if each.outcome is PushOutcome.PENDING]
        return list(results.values())

    async def price(self, channel: Simulated, *changes: PriceChange, name: str = "prices") -> list[PriceResult]:
        receipt = await self.connector.push_prices(channel.api, PriceBatch(name, changes, AT))
        assert [each.external_id for each in receipt.results] == [each.ref.external_id for each in changes]
        results = {each.external_id: each for each in receipt.results}
        if receipt.handle is not None:
            for _ in range(ROUNDS_MAX):
                followed = await self.connector.follow_prices(channel.api, receipt.handle)
                if followed is not None:
                    results |= {each.external_id: each for each in followed}
                    break
                await asyncio.sleep(0.02)
        return list(results.values())

    async def pulled(self, channel: Simulated) -> dict[str, ChannelListing]:
        """Return everything listed, by SKU. A SKU stands once."""
        found: list[ChannelListing] = []
        cursor: str | None = None
        while True:
            page = await self.connector.pull_listings(channel.api, cursor)
            found += page.items
            cursor = page.cursor
            if not page.more:
                break
        by_sku = {each.sku or "": each for each in found}
        assert len(by_sku) == len(found), "a SKU is listed twice"
        return by_sku

    async def settled(
        self, channel: Simulated, true: Callable[[dict[str, ChannelListing]], bool]
    ) -> dict[str, ChannelListing]:
        """Return what is listed once it is so: what a channel accepts may show a little later."""
        for _ in range(ROUNDS_MAX):
            listings = await self.pulled(channel)
            if true(listings):
                return listings
            await asyncio.sleep(0.02)
        raise AssertionError("it does not come to be so")

    async def listed(self, channel: Simulated, draft: ListingDraft) -> dict[str, ChannelListing]:
        """Return what is listed once all of the draft is."""
        skus = {each.sku for each in draft.variants}
        return await self.settled(channel, lambda all_: skus <= all_.keys())

    def as_written(self, listing: ChannelListing, draft: ListingDraft) -> dict[str, tuple[object, object]]:
        """Return the declared fields in which a listing differs from its draft: (theirs, ours)."""
        variant = next(each for each in draft.variants if each.sku == listing.sku)
        html = listing.description_html
        ours: dict[ListingField, tuple[object, object]] = {
            ListingField.TITLE: (listing.product_title, draft.title),
            ListingField.DESCRIPTION: (
                html or listing.description,
                draft.description if html else plain_text(draft.description),
            ),
            ListingField.VENDOR: (listing.vendor, draft.vendor),
            ListingField.PRODUCT_TYPE: (listing.product_type, draft.product_type),
            ListingField.CATEGORY: (listing.category, draft.category),
            ListingField.TAGS: (set(listing.tags), set(draft.tags)),
            ListingField.OPTIONS: (
                dict(listing.options),
                dict(zip(draft.option_names, variant.options, strict=True)),
            ),
            ListingField.SEO_TITLE: (listing.seo_title, draft.seo_title),
            ListingField.SEO_DESCRIPTION: (listing.seo_description, draft.seo_description),
            ListingField.STATUS: (
                listing.status,
                ListingStatus.LIVE if draft.published else ListingStatus.DRAFT,
            ),
            ListingField.SKU: (listing.sku, variant.sku),
            ListingField.BARCODE: (listing.barcode, variant.barcode),
            ListingField.PRICE: ((listing.price, listing.currency), (variant.price, variant.currency)),
            ListingField.COMPARE_AT: (listing.compare_at, variant.compare_at),
            ListingField.WEIGHT: (listing.weight_g, variant.weight_g),
            ListingField.DIMENSIONS: (listing.dimensions, variant.dimensions),
            ListingField.ATTRIBUTES: (
                {name: listing.attributes.get(name) for name in draft.attributes},
                dict(draft.attributes),
            ),
        }
        if listing.images is not None and draft.images is not None:
            ours[ListingField.IMAGES] = (
                [(each.source_key or image_key(each.url), each.alt_text) for each in listing.images],
                [(image_key(each.url), each.alt_text) for each in draft.images],
            )
        fields = self.connector.manifest.listing_fields
        return {name: pair for name, pair in ours.items() if name in fields and pair[0] != pair[1]}

    # ---- what it declares ------------------------------------------------------------------------------

    def test_the_manifest_says_what_it_needs(self) -> None:
        manifest = self.connector.manifest
        assert Capability.PUSH_LISTINGS in manifest.capabilities
        rules = rules_of(manifest.listing_rules, "")
        assert rules is not None
        assert rules.source
        assert len({each.category for each in manifest.listing_rules}) == len(manifest.listing_rules)
        assert {ListingField.TITLE, ListingField.SKU, ListingField.PRICE} <= manifest.listing_fields
        assert bool(manifest.listing_ends) == (Capability.END_LISTINGS in manifest.capabilities)
        assert check_listing(rules, self.draft("fine")) == ()

    # ---- writing ---------------------------------------------------------------------------------------

    async def test_what_is_written_is_read_back(self, channel: Simulated) -> None:
        draft = self.draft("one")
        (result,) = await self.push(channel, draft)
        assert result.outcome is PushOutcome.APPLIED, result
        assert result.external_id
        assert set(result.refs) == {each.key for each in draft.variants}
        skus = {each.sku for each in draft.variants}
        listings = await self.settled(
            channel, lambda all_: skus <= all_.keys() and not any(self.as_written(all_[sku], draft) for sku in skus)
        )
        for variant in draft.variants:
            assert listings[variant.sku].ref.external_id == result.refs[variant.key].external_id
            assert (listings[variant.sku].updated_at is not None) is self.tells_updated_at
        whole = await self.connector.read_listings(channel.api, [result.external_id, "987654321"])
        assert {each.sku for each in whole} == skus
        for listing in whole:
            assert self.as_written(listing, draft) == {}
            assert listing.product_external_id == result.external_id
            if ListingField.IMAGES in self.connector.manifest.listing_fields:
                assert listing.images

    async def test_a_change_is_written_to_the_same_product(self, channel: Simulated) -> None:
        draft = self.draft("one")
        (first,) = await self.push(channel, draft)
        before = await self.listed(channel, draft)
        changed = replace(
            draft,
            external_id=first.external_id,
            title=f"{draft.title} again",
            description="<p>Other words.</p>",
            variants=tuple(replace(each, price=each.price + 1, ref=first.refs[each.key]) for each in draft.variants),
        )
        (second,) = await self.push(channel, changed, name="change")
        assert second.outcome is PushOutcome.APPLIED, second
        assert second.external_id == first.external_id
        assert second.refs == first.refs
        skus = [each.sku for each in draft.variants]
        after = await self.settled(channel, lambda all_: not any(self.as_written(all_[sku], changed) for sku in skus))
        assert len(after) == len(before)

    async def test_the_same_draft_twice_is_one_product(self, channel: Simulated) -> None:
        draft = self.draft("one")
        (first,) = await self.push(channel, draft)
        (again,) = await self.push(channel, draft)
        (later,) = await self.push(channel, draft, name="another key")
        assert first.outcome is again.outcome is later.outcome is PushOutcome.APPLIED
        assert first.external_id == again.external_id == later.external_id
        listings = await self.listed(channel, draft)
        assert len(listings) == 12 + len(draft.variants)

    async def test_a_lost_answer_is_healed_by_the_next_call(self, channel: Simulated) -> None:
        draft = self.draft("one")
        channel.api.lose = self.writes
        try:
            receipt = await self.connector.push_listings(channel.api, ListingBatch("push", (draft,), AT))
        except OutcomeUnknown:
            pass
        else:
            assert {each.outcome for each in receipt.results} == {PushOutcome.UNKNOWN}
        assert channel.api.lost == 1
        (result,) = await self.push(channel, draft)
        assert result.outcome is PushOutcome.APPLIED, result
        listings = await self.listed(channel, draft)
        assert len(listings) == 12 + len(draft.variants)

    async def test_one_that_is_refused_spares_its_neighbours(self, channel: Simulated) -> None:
        good, bad, fine = self.draft("good"), self.bad("bad"), self.draft("fine")
        results = await self.push(channel, good, bad, fine)
        outcomes = {each.key: each.outcome for each in results}
        assert outcomes == {
            "good": PushOutcome.APPLIED,
            "bad": PushOutcome.REFUSED,
            "fine": PushOutcome.APPLIED,
        }
        refused = next(each for each in results if each.key == "bad")
        assert refused.reasons
        assert any(each.field == ListingField.TITLE for each in refused.reasons), refused
        assert all(len(each.detail) > 8 for each in refused.reasons)
        listings = await self.listed(channel, fine)
        assert not {each.sku for each in bad.variants} & listings.keys()

    async def test_our_check_agrees_with_the_channel(self, channel: Simulated) -> None:
        rules = rules_of(self.connector.manifest.listing_rules, "")
        assert rules is not None
        assert any(each.field == ListingField.TITLE for each in check_listing(rules, self.bad("bad")))

    async def test_quantities_are_left_alone(self, channel: Simulated) -> None:
        draft = self.draft("one")
        (first,) = await self.push(channel, draft)
        listings = await self.listed(channel, draft)
        sku = draft.variants[0].sku
        refs = [listings[sku].ref]
        shown = (await self.connector.read_quantities(channel.api, refs))[0].quantity
        change = QuantityChange(listings[sku].ref, sku, 9, shown or 0)
        pushed = await self.connector.push_quantities(channel.api, QuantityBatch("units", (change,), datetime.now(UTC)))
        assert pushed.results[0].outcome is PushOutcome.APPLIED, pushed
        await self.push(channel, replace(draft, external_id=first.external_id, title="Other words"), name="later")
        for _ in range(ROUNDS_MAX):
            (read,) = await self.connector.read_quantities(channel.api, refs)
            if read.quantity == 9:
                break
            await asyncio.sleep(0.02)
        assert read.quantity == 9

    async def test_an_empty_batch_calls_nobody(self, channel: Simulated) -> None:
        assert (await self.connector.push_listings(channel.api, ListingBatch("none", (), AT))).results == ()
        if Capability.PUSH_PRICES in self.connector.manifest.capabilities:
            assert (await self.connector.push_prices(channel.api, PriceBatch("none", (), AT))).results == ()
        if Capability.END_LISTINGS in self.connector.manifest.capabilities:
            assert (await self.connector.end_listings(channel.api, EndBatch("none", (), AT))).results == ()
        assert channel.api.calls == []

    async def test_under_faults_every_product_is_made_once(self, channel: Simulated) -> None:
        """Quotas, failures and lost answers: what is sent again until it is told as done is there once in the end."""
        left = {draft.key: draft for draft in (self.draft(f"item{number}", 1) for number in range(6))}
        skus = {each.sku for draft in left.values() for each in draft.variants}
        channel.sandbox.sandbox.faults.use(Level.HARSH)
        for _ in range(ROUNDS_MAX):
            if not left:
                break
            try:
                batch = ListingBatch("push", tuple(left.values()), AT)
                results = await self.ended(channel, await self.connector.push_listings(channel.api, batch))
            except TemporarilyUnavailable:
                continue
            assert not [each for each in results if each.outcome in (PushOutcome.REFUSED, PushOutcome.STALE)]
            for result in results:
                if result.outcome is PushOutcome.APPLIED:
                    del left[result.key]
        assert not left
        channel.sandbox.sandbox.faults.use(Level.NONE)
        listings = await self.settled(channel, lambda all_: skus <= all_.keys())
        assert len(listings) == 12 + 6

    # ---- prices ----------------------------------------------------------------------------------------

    def change(self, listing: ChannelListing, price: str, compare_at: str | None = None) -> PriceChange:
        keeps = ListingField.COMPARE_AT in self.connector.manifest.listing_fields
        return PriceChange(
            listing.ref,
            listing.sku or "",
            listing.product_external_id,
            Decimal(price),
            listing.currency,
            Decimal(compare_at) if compare_at and keeps else None,
            listing.price,
        )

    async def test_prices_are_written_to_the_cent(self, channel: Simulated) -> None:
        self.needs(Capability.PUSH_PRICES)
        listings = list((await self.pulled(channel)).values())[:4]
        wanted = ["0.01", "19.99", "1234.56", "100.10"]
        changes = [self.change(each, price, "2000.05") for each, price in zip(listings, wanted, strict=True)]
        results = await self.price(channel, *changes)
        assert {each.outcome for each in results} == {PushOutcome.APPLIED}, results
        prices = {each.sku: Decimal(price) for each, price in zip(listings, wanted, strict=True)}
        after = await self.settled(channel, lambda all_: all(all_[sku or ""].price == prices[sku] for sku in prices))
        if ListingField.COMPARE_AT in self.connector.manifest.listing_fields:
            assert {after[sku or ""].compare_at for sku in prices} == {Decimal("2000.05")}
        again = await self.price(channel, *changes)
        assert {each.outcome for each in again} == {PushOutcome.APPLIED}

    async def test_a_price_that_is_refused_spares_its_neighbours(self, channel: Simulated) -> None:
        self.needs(Capability.PUSH_PRICES)
        one, two, three = list((await self.pulled(channel)).values())[:3]
        results = await self.price(
            channel,
            self.change(one, "5.55"),
            replace(self.change(two, "1"), price=Decimal(-1)),
            self.change(three, "6.66"),
        )
        outcomes = [each.outcome for each in results]
        assert outcomes == [PushOutcome.APPLIED, PushOutcome.REFUSED, PushOutcome.APPLIED], results
        assert results[1].reasons
        after = await self.settled(channel, lambda all_: all_[three.sku or ""].price == Decimal("6.66"))
        assert after[two.sku or ""].price == two.price
        assert after[one.sku or ""].price == Decimal("5.55")

    async def test_a_price_of_another_is_not_overwritten_where_that_can_be_told(self, channel: Simulated) -> None:
        self.needs(Capability.PUSH_PRICES)
        if not self.connector.manifest.price_compared:
            pytest.skip(f"{self.key} cannot compare prices")
        listing = next(iter((await self.pulled(channel)).values()))
        await channel.edit(sku=listing.sku, price="77.70")
        (result,) = await self.price(channel, self.change(listing, "5.55"))
        assert result.outcome is PushOutcome.STALE
        assert result.reported == Decimal("77.70")

    # ---- edits on the channel --------------------------------------------------------------------------

    async def test_an_edit_on_the_channel_is_seen(self, channel: Simulated) -> None:
        before = next(iter((await self.pulled(channel)).values()))
        await channel.edit(sku=before.sku, title="Edited there", price="43.21")
        after = (await self.pulled(channel))[before.sku or ""]
        assert after.product_title == "Edited there"
        assert after.price == Decimal("43.21")
        assert (after.updated_at is not None) is (before.updated_at is not None) is self.tells_updated_at
        if after.updated_at is not None and before.updated_at is not None:
            assert after.updated_at >= before.updated_at

    # ---- ending ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", list(EndKind), ids=[kind.value for kind in EndKind])
    async def test_a_listing_ends_once_for_all(self, channel: Simulated, kind: EndKind) -> None:
        if kind not in self.connector.manifest.listing_ends:
            pytest.skip(f"{self.key} cannot {kind.value}")
        draft = self.draft("one")
        (result,) = await self.push(channel, draft)
        sku = draft.variants[0].sku
        await self.listed(channel, draft)
        ending = ListingEnd("one", result.external_id, tuple(result.refs.values()), kind)
        for name in ("end", "end again"):
            receipt = await self.connector.end_listings(channel.api, EndBatch(name, (ending,), AT))
            (ended,) = await self.ended(channel, receipt)
            assert ended.outcome is PushOutcome.APPLIED, ended
        statuses = {
            EndKind.UNPUBLISH: {ListingStatus.DRAFT, ListingStatus.ENDED},
            EndKind.ARCHIVE: {ListingStatus.ENDED},
        }
        if kind is EndKind.DELETE:
            await self.settled(channel, lambda all_: sku not in all_)
            return
        listings = await self.settled(channel, lambda all_: all_[sku].status in statuses[kind])
        assert not listings[sku].active
        (back,) = await self.push(channel, replace(draft, external_id=result.external_id), name="back")
        assert back.outcome is PushOutcome.APPLIED, back
        await self.settled(channel, lambda all_: all_[sku].status is ListingStatus.LIVE)
