"""What is Square's own about listings: versions, items of others, what the seller wrote beside us."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.connectors.listener import listening
from tests.connectors.listings_suite import AT, Simulated
from tests.connectors.square.test_listings_simulated import TestSquareListings as Square

from entrepot.channels.contract import (
    ListingBatch,
    ListingField,
    ListingStatus,
    OutcomeUnknown,
    PushOutcome,
    TemporarilyUnavailable,
)
from entrepot.connectors.square import CONNECTOR

GIVEN = Square()
del Square  # Its tests are collected where it is defined.


@pytest.fixture
async def square() -> AsyncIterator[Simulated]:
    async with GIVEN.simulated() as channel:
        yield channel


async def test_a_draft_that_rests_on_an_older_version_is_stale(square: Simulated) -> None:
    draft = GIVEN.draft("one")
    (first,) = await GIVEN.push(square, draft)
    assert first.product_version
    await square.edit(sku=draft.variants[0].sku, title="Edited there")
    changed = replace(draft, external_id=first.external_id, title="Edited here", expected_version=first.product_version)
    (stale,) = await GIVEN.push(square, changed, name="change")
    assert stale.outcome is PushOutcome.STALE
    listing = (await GIVEN.pulled(square))[draft.variants[0].sku]
    assert listing.product_title == "Edited there"
    assert stale.product_version == listing.product_version
    (forced,) = await GIVEN.push(square, replace(changed, expected_version=stale.product_version), name="again")
    assert forced.outcome is PushOutcome.APPLIED
    assert (await GIVEN.pulled(square))[draft.variants[0].sku].product_title == "Edited here"


async def test_one_that_changes_between_reading_and_writing_is_read_again(square: Simulated) -> None:
    """The version that we send is outdated by an edit in that very moment: nothing of the edit is lost unseen."""
    draft = GIVEN.draft("one")
    (first,) = await GIVEN.push(square, draft)
    original, edits = square.api.send, iter(["Edited there"])

    async def send(call):  # type: ignore[no-untyped-def]
        title = next(edits, None) if call.operation == "batchUpsertCatalogObjects" else None
        if title:
            await square.edit(sku=draft.variants[1].sku, price="55.55")
        return await original(call)

    square.api.send = send  # type: ignore[method-assign]
    changed = replace(draft, external_id=first.external_id, title="Edited here", expected_version=first.product_version)
    (result,) = await GIVEN.push(square, changed, name="change")
    assert result.outcome is PushOutcome.STALE
    assert (await GIVEN.pulled(square))[draft.variants[1].sku].price == Decimal("55.55")


async def test_of_many_changed_items_the_bad_one_spares_the_others(square: Simulated) -> None:
    drafts = [GIVEN.draft(f"item{number}", 1) for number in range(4)]
    results = await GIVEN.push(square, *drafts)
    changed = [
        replace(draft, external_id=result.external_id, title=f"{draft.title} again")
        for draft, result in zip(drafts, results, strict=True)
    ]
    changed[1] = replace(changed[1], title=" ")
    square.api.calls.clear()
    outcomes = [each.outcome for each in await GIVEN.push(square, *changed, name="change")]
    assert outcomes == [PushOutcome.APPLIED, PushOutcome.REFUSED, PushOutcome.APPLIED, PushOutcome.APPLIED]
    writes = [each for each in square.api.calls if each.operation == "batchUpsertCatalogObjects"]
    assert len(writes) == 1, "what was written beside the bad one is found as it should be"
    titles = {each.product_title for each in (await GIVEN.pulled(square)).values()}
    assert {f"Mug of item{number} again" for number in (0, 2, 3)} <= titles


async def test_anothers_item_is_not_made_again(square: Simulated) -> None:
    listing = next(iter((await GIVEN.pulled(square)).values()))
    draft = GIVEN.draft("one", 1)
    twin = replace(draft, variants=(replace(draft.variants[0], sku=listing.sku or ""),))
    (result,) = await GIVEN.push(square, twin)
    assert result.outcome is PushOutcome.REFUSED
    assert result.reasons[0].field == ListingField.SKU
    adopted = replace(twin, external_id=listing.product_external_id)
    (result,) = await GIVEN.push(square, adopted, name="adopt")
    assert result.outcome is PushOutcome.APPLIED
    after = (await GIVEN.pulled(square))[listing.sku or ""]
    assert after.ref.external_id == listing.ref.external_id
    assert (after.product_title, after.managed_key) == ("Mug of one", "one")


async def test_a_price_is_exact_or_refused(square: Simulated) -> None:
    listing = next(iter((await GIVEN.pulled(square)).values()))
    (result,) = await GIVEN.price(square, GIVEN.change(listing, "5.555"))
    assert result.outcome is PushOutcome.REFUSED
    assert result.reasons[0].field == ListingField.PRICE
    assert (await GIVEN.pulled(square))[listing.sku or ""].price == listing.price


async def test_an_unpublished_draft_is_not_at_the_location(square: Simulated) -> None:
    hidden = replace(GIVEN.draft("one"), published=False)
    await GIVEN.push(square, hidden)
    listing = (await GIVEN.pulled(square))[hidden.variants[0].sku]
    assert (listing.status, listing.active) == (ListingStatus.DRAFT, False)


async def test_a_lost_answer_to_a_change_is_unknown_and_then_found_done(square: Simulated) -> None:
    draft = GIVEN.draft("one")
    (first,) = await GIVEN.push(square, draft)
    changed = replace(draft, external_id=first.external_id, title="Other words")
    square.api.lose = GIVEN.writes
    batch = ListingBatch("change", (changed,), AT)
    try:
        receipt = await CONNECTOR.push_listings(square.api, batch)
    except (OutcomeUnknown, TemporarilyUnavailable):
        pass
    else:
        assert {each.outcome for each in receipt.results} == {PushOutcome.UNKNOWN}
    square.api.calls.clear()
    (again,) = (await CONNECTOR.push_listings(square.api, batch)).results
    assert again.outcome is PushOutcome.APPLIED
    assert "batchUpsertCatalogObjects" not in {each.operation for each in square.api.calls}


async def test_a_change_is_told_by_webhook(square: Simulated) -> None:
    async with listening() as ear:
        kept = await CONNECTOR.subscribe_webhooks(square.api, ear.url)
        listing = next(iter((await GIVEN.pulled(square)).values()))
        await square.edit(sku=listing.sku, title="Edited there")
        (delivery,) = await ear.until(1)
        assert CONNECTOR.verify_webhook(delivery.body, delivery.headers, ear.url, kept["signature_key"])
        event = CONNECTOR.parse_webhook(delivery.body, delivery.headers)
        assert event.listings_changed
        assert event.topic == "catalog.version.updated"
