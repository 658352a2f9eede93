"""What is Amazon's own about listings: previews, rules of product types, feeds, offers on another's product."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.connectors.amazon.test_listings_simulated import TestAmazonListings as Amazon
from tests.connectors.listings_suite import AT, Simulated

from entrepot.channels.contract import (
    AttributeKind,
    ListingBatch,
    ListingField,
    PriceBatch,
    PushOutcome,
    RequestRejected,
    check_listing,
)
from entrepot.connectors.amazon import CONNECTOR, attributes
from entrepot.connectors.amazon.definitions import rules_of_schema
from entrepot.connectors.amazon.manifest import LISTINGS_BY_ONE, PATCHES_MAX

GIVEN = Amazon()
del Amazon  # Its tests are collected where it is defined.


@pytest.fixture
async def amazon() -> AsyncIterator[Simulated]:
    async with GIVEN.simulated() as channel:
        yield channel


async def test_a_preview_says_what_would_come_and_writes_nothing(amazon: Simulated) -> None:
    good, bad = GIVEN.draft("good", 1), GIVEN.bad("bad")
    unfit = replace(GIVEN.draft("unfit", 1), attributes={})
    found = await CONNECTOR.preview_listings(amazon.api, ListingBatch("try", (good, bad, unfit), AT))
    assert [each.outcome for each in found] == [PushOutcome.APPLIED, PushOutcome.REFUSED, PushOutcome.REFUSED]
    assert found[1].reasons[0].field == ListingField.TITLE
    (missing, advice) = found[2].reasons
    assert (missing.field, missing.blocking) == ("material", True)
    assert (advice.field, advice.blocking) == ("bullet_point", False)
    assert {dict(each.query).get("mode") for each in amazon.api.calls if each.method == "PUT"} == {"VALIDATION_PREVIEW"}
    await asyncio.sleep(0.1)
    assert len(await GIVEN.pulled(amazon)) == 12


async def test_the_rules_of_a_product_type_are_read(amazon: Simulated) -> None:
    rules = await CONNECTOR.read_listing_rules(amazon.api, "DRINKING_CUP")
    assert rules.category == "DRINKING_CUP"
    assert rules.title_length_max == 200
    by_name = {rule.name: rule for rule in rules.attributes}
    assert by_name["material"].required
    assert by_name["material"].values_max == 3
    assert by_name["number_of_items"].kind is AttributeKind.WHOLE
    assert "DE" in by_name["country_of_origin"].choices
    assert check_listing(rules, GIVEN.draft("fine")) == ()
    lacking = check_listing(rules, replace(GIVEN.draft("fine"), attributes={"variation_theme": "COLOR"}))
    assert [(each.field, each.missing) for each in lacking] == [("material", True)]
    with pytest.raises(RequestRejected, match="NO_SUCH_TYPE"):
        await CONNECTOR.read_listing_rules(amazon.api, "NO_SUCH_TYPE")


def test_a_schema_that_says_little_gives_the_rules_of_all() -> None:
    rules = rules_of_schema("ODD", {"properties": {"odd": {}}, "required": None})
    assert [rule.name for rule in rules.attributes] == ["odd"]
    assert rules.title_length_max == 200


async def test_many_listings_go_by_a_feed_with_a_result_each(amazon: Simulated) -> None:
    drafts = [GIVEN.draft(f"item{number}", 1) for number in range(LISTINGS_BY_ONE + 1)]
    drafts[3] = replace(drafts[3], title="x" * 201)
    receipt = await CONNECTOR.push_listings(amazon.api, ListingBatch("many", tuple(drafts), AT))
    assert {each.outcome for each in receipt.results} == {PushOutcome.PENDING}
    assert receipt.handle is not None
    assert [each.operation for each in amazon.api.calls].count("createFeed") == 1
    results = await GIVEN.ended(amazon, receipt)
    assert [each.key for each in results if each.outcome is PushOutcome.REFUSED] == ["item3"]
    assert results[3].reasons[0].field == ListingField.TITLE
    assert all(each.outcome is PushOutcome.APPLIED for each in results if each.key != "item3")
    assert all(set(each.refs) == {f"{each.key}-0"} for each in results if each.key != "item3")
    listed = await GIVEN.pulled(amazon)
    assert len(listed) == 12 + LISTINGS_BY_ONE
    again = await CONNECTOR.push_listings(amazon.api, ListingBatch("again", tuple(drafts[:3] + drafts[4:]), AT))
    assert {each.outcome for each in again.results} == {PushOutcome.APPLIED}, "nothing differs, so nothing is sent"
    assert again.handle is None


async def test_many_prices_go_by_a_feed(amazon: Simulated) -> None:
    (listing, *others) = (await GIVEN.pulled(amazon)).values()
    changes = [GIVEN.change(each, "7.77", "9.99") for each in (listing, *others)]
    strangers = [
        replace(changes[0], ref=replace(listing.ref, external_id=f"NO-{number}")) for number in range(PATCHES_MAX)
    ]
    results = await GIVEN.price(amazon, *changes, *strangers)
    outcomes = {each.external_id: each.outcome for each in results}
    assert {outcomes[each.ref.external_id] for each in changes} == {PushOutcome.APPLIED}
    assert {outcomes[each.ref.external_id] for each in strangers} == {PushOutcome.REFUSED}
    after = await GIVEN.pulled(amazon)
    assert {each.price for each in after.values()} == {Decimal("7.77")}
    assert {each.compare_at for each in after.values()} == {Decimal("9.99")}


async def test_a_price_alone_leaves_the_offer_to_businesses(amazon: Simulated) -> None:
    listing = next(iter((await GIVEN.pulled(amazon)).values()))
    (result,) = await GIVEN.price(amazon, GIVEN.change(listing, "7.77"))
    assert result.outcome is PushOutcome.APPLIED
    sent = [each for each in amazon.api.calls if each.operation == "patchListingsItem"]
    assert b'"merge"' in (sent[0].body or b"")


async def test_an_offer_on_a_product_that_amazon_has_needs_no_facts(amazon: Simulated) -> None:
    draft = GIVEN.draft("offer", 1)
    offer = replace(draft, vendor="", attributes={attributes.ASIN: "B000000123"})
    (result,) = await GIVEN.push(amazon, offer)
    assert result.outcome is PushOutcome.APPLIED, result
    put = next(each for each in amazon.api.calls if each.operation == "putListingsItem")
    assert b"LISTING_OFFER_ONLY" in (put.body or b"")
    assert b"item_name" not in (put.body or b"")


async def test_a_family_needs_its_theme_and_everything_the_marketplaces_currency(amazon: Simulated) -> None:
    draft = GIVEN.draft("one")
    unthemed = replace(draft, attributes={"material": "stoneware"}, option_names=("Glaze",))
    dollars = replace(draft, key="two", variants=tuple(replace(each, currency="USD") for each in draft.variants))
    results = await GIVEN.push(amazon, unthemed, dollars)
    assert [each.reasons[0].field for each in results] == ["variation_theme", ListingField.PRICE]
    assert {each.outcome for each in results} == {PushOutcome.REFUSED}
    assert amazon.api.calls == []


def test_colour_and_size_say_the_theme_by_themselves() -> None:
    draft = replace(GIVEN.draft("one"), attributes={"material": "stoneware"})
    assert attributes.themed(draft).attributes["variation_theme"] == "COLOR"
    sizes = tuple(replace(each, options=(*each.options, size)) for each, size in zip(draft.variants, "SM", strict=True))
    both = replace(draft, option_names=("COLOR", "Größe"), variants=sizes)
    assert attributes.themed(both).attributes["variation_theme"] == "SIZE/COLOR"
    alike = tuple(replace(each, options=(*each.options, "matt")) for each in draft.variants)
    same_glaze = replace(draft, option_names=("Colour", "Glaze"), variants=alike)
    assert attributes.themed(same_glaze).attributes["variation_theme"] == "COLOR"
    said = replace(draft, attributes={"variation_theme": "MATERIAL"})
    assert attributes.themed(said) == said
    for other in (replace(both, option_names=("Colour", "Glaze")), GIVEN.draft("two", 1)):
        assert attributes.themed(other) == other


async def test_a_quota_that_is_used_up_is_no_refusal(amazon: Simulated) -> None:
    listing = next(iter((await GIVEN.pulled(amazon)).values()))
    changes = tuple(
        replace(GIVEN.change(listing, "7.77"), ref=replace(listing.ref, external_id=sku))
        for sku in list(await GIVEN.pulled(amazon)) * 3
    )
    receipt = await CONNECTOR.push_prices(amazon.api, PriceBatch("much", changes[:40], AT))
    assert {each.outcome for each in receipt.results} <= {PushOutcome.APPLIED, PushOutcome.FAILED}
