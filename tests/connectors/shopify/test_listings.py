"""What is Shopify's own about listings: work that is finished later, handles, pictures, variants that come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.connectors.listener import listening
from tests.connectors.listings_suite import AT, Simulated
from tests.connectors.shopify.test_listings_simulated import TestShopifyListings as Shopify

from entrepot.channels.contract import (
    EndBatch,
    EndKind,
    ListingBatch,
    ListingEnd,
    ListingField,
    ListingImage,
    PushOutcome,
    UnexpectedAnswer,
)
from entrepot.connectors.shopify import CONNECTOR
from entrepot.connectors.shopify.listing_queries import SYNCHRONOUS_MAX

GIVEN = Shopify()
del Shopify  # Its tests are collected where it is defined.


@pytest.fixture
async def shop() -> AsyncIterator[Simulated]:
    async with GIVEN.simulated() as channel:
        yield channel


async def test_a_large_product_is_finished_later(shop: Simulated) -> None:
    large, small = GIVEN.draft("large", SYNCHRONOUS_MAX + 110), GIVEN.draft("small", 1)
    receipt = await CONNECTOR.push_listings(shop.api, ListingBatch("push", (large, small), AT))
    assert [each.outcome for each in receipt.results] == [PushOutcome.PENDING, PushOutcome.APPLIED]
    assert receipt.handle is not None
    results = await GIVEN.ended(shop, receipt)
    assert {each.outcome for each in results} == {PushOutcome.APPLIED}
    assert set(results[0].refs) == {each.key for each in large.variants}
    listings = await GIVEN.listed(shop, large)
    assert not any(GIVEN.as_written(listings[each.sku], large) for each in large.variants)
    (again,) = await GIVEN.push(shop, large)
    assert again.refs == results[0].refs
    assert len(await GIVEN.pulled(shop)) == 12 + 1 + SYNCHRONOUS_MAX + 110
    assert len(await CONNECTOR.read_listings(shop.api, [again.external_id])) == SYNCHRONOUS_MAX + 110


async def test_what_goes_wrong_later_is_told_with_its_variant(shop: Simulated) -> None:
    draft = GIVEN.draft("large", SYNCHRONOUS_MAX + 1)
    wrong = replace(draft.variants[4], price=Decimal(-1))
    broken = replace(draft, variants=(*draft.variants[:4], wrong, *draft.variants[5:]))
    (result,) = await GIVEN.push(shop, broken)
    assert result.outcome is PushOutcome.REFUSED
    (reason,) = result.reasons
    assert (reason.field, reason.variant_key) == (ListingField.PRICE, wrong.key)


async def test_a_damaged_handle_is_told(shop: Simulated) -> None:
    with pytest.raises(UnexpectedAnswer):
        await CONNECTOR.follow_listings(shop.api, "nonsense")


async def test_anothers_product_is_never_overwritten(shop: Simulated) -> None:
    (first,) = await GIVEN.push(shop, replace(GIVEN.draft("one"), handle="mug"))
    (second,) = await GIVEN.push(shop, replace(GIVEN.draft("two"), handle="mug"))
    assert first.external_id != second.external_id
    shown = await CONNECTOR.read_listings(shop.api, [first.external_id])
    assert {each.product_title for each in shown} == {"Mug of one"}
    assert {each.managed_key for each in shown} == {"one"}
    (again,) = await GIVEN.push(shop, replace(GIVEN.draft("two"), handle="mug"), name="again")
    assert again.external_id == second.external_id


async def test_pictures_are_not_sent_twice_and_can_be_left_alone(shop: Simulated) -> None:
    draft = GIVEN.draft("one", 1)
    (first,) = await GIVEN.push(shop, draft)
    (before,) = await CONNECTOR.read_listings(shop.api, [first.external_id])
    assert draft.images is not None
    more = ListingImage("https://img.example/one/top.jpg", "From above")
    turned = replace(draft, images=(*reversed(draft.images), more))
    await GIVEN.push(shop, turned, name="turn")
    (after,) = await CONNECTOR.read_listings(shop.api, [first.external_id])
    assert before.images is not None
    assert after.images is not None
    assert [each.url for each in after.images][:2] == [each.url for each in before.images][::-1]
    assert after.images[2].alt_text == "From above"
    await GIVEN.push(shop, replace(draft, images=None, title="Other words"), name="leave")
    (left,) = await CONNECTOR.read_listings(shop.api, [first.external_id])
    assert left.images == after.images
    assert left.product_title == "Other words"


async def test_variants_come_go_and_are_known_again(shop: Simulated) -> None:
    draft = GIVEN.draft("one", 3)
    (first,) = await GIVEN.push(shop, draft)
    blue = replace(draft.variants[1], options=("Blue",), ref=first.refs["one-1"])
    changed = replace(draft, variants=(blue, replace(draft.variants[2], key="one-2", sku="NEW-SKU")))
    (second,) = await GIVEN.push(shop, changed, name="change")
    assert second.refs["one-1"] == first.refs["one-1"]
    assert second.refs["one-2"] == first.refs["one-2"]
    listings = await GIVEN.pulled(shop)
    assert draft.variants[0].sku not in listings
    assert dict(listings["ONE-1"].options) == {"Colour": "Blue"}
    ending = ListingEnd("one", second.external_id, (second.refs["one-2"],), EndKind.DELETE, whole=False)
    for name in ("end", "again"):
        receipt = await CONNECTOR.end_listings(shop.api, EndBatch(name, (ending,), AT))
        assert receipt.results[0].outcome is PushOutcome.APPLIED
    assert "NEW-SKU" not in await GIVEN.pulled(shop)
    last = replace(ending, refs=(second.refs["one-1"],))
    refused = await CONNECTOR.end_listings(shop.api, EndBatch("last", (last,), AT))
    assert refused.results[0].outcome is PushOutcome.REFUSED


async def test_a_product_that_is_gone_and_a_foreign_currency_are_refused(shop: Simulated) -> None:
    gone = replace(GIVEN.draft("gone"), external_id="4711")
    draft = GIVEN.draft("two")
    foreign = replace(draft, variants=tuple(replace(each, currency="USD") for each in draft.variants))
    results = await GIVEN.push(shop, gone, foreign)
    assert {each.outcome for each in results} == {PushOutcome.REFUSED}
    assert "deleted" in results[0].reasons[0].detail
    assert results[1].reasons[0].field == ListingField.PRICE


async def test_a_change_on_either_side_is_told_by_webhook(shop: Simulated) -> None:
    secret = shop.api.credentials["client_secret"]
    async with listening() as ear:
        await CONNECTOR.subscribe_webhooks(shop.api, ear.url)
        draft = GIVEN.draft("one", 1)
        (result,) = await GIVEN.push(shop, draft)
        await shop.edit(sku=draft.variants[0].sku, title="Edited there")
        await shop.edit(sku=draft.variants[0].sku, deleted=True)
        topics: list[str] = []
        for count in range(1, 20):
            delivery = (await ear.until(count))[count - 1]
            assert CONNECTOR.verify_webhook(delivery.body, delivery.headers, ear.url, secret)
            event = CONNECTOR.parse_webhook(delivery.body, delivery.headers)
            topics += [event.topic] if event.product_ids == (result.external_id,) else []
            if len(topics) == 3:
                break
        assert sorted(topics) == ["products/create", "products/delete", "products/update"]
        assert await CONNECTOR.read_listings(shop.api, [result.external_id]) == ()
