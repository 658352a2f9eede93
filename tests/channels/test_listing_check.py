"""What a channel requires of a listing, and how complete one is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.channels.contract import (
    AttributeKind,
    AttributeRule,
    ListingDraft,
    ListingField,
    ListingImage,
    ListingRules,
    VariantDraft,
    check_listing,
    completeness,
    rules_of,
)
from entrepot.channels.html_text import plain_text, tags_of, with_tags

RED = VariantDraft("v1", "MUG-RED", Decimal("12.50"), "EUR", options=("Red",), barcode="4006381333931")
BLUE = replace(RED, key="v2", sku="MUG-BLUE", options=("Blue",))
MUG = ListingDraft(
    key="p1",
    title="Stoneware mug",
    variants=(RED, BLUE),
    option_names=("Colour",),
    description="<p>Holds <b>tea</b>.</p>",
    vendor="Kiln & Co",
    images=(ListingImage("https://img.example/mug.jpg", "A mug", 1200, 900),),
    attributes={"material": "stoneware", "bullet_point": ("One", "Two"), "capacity": Decimal("0.25")},
)
RULES = ListingRules(
    required=frozenset({ListingField.TITLE, ListingField.PRICE, ListingField.SKU, ListingField.IMAGES}),
    wanted=frozenset({ListingField.DESCRIPTION, ListingField.BARCODE, ListingField.SEO_TITLE}),
    title_length_max=40,
    description_length_max=60,
    html_tags=frozenset({"p", "b"}),
    forbidden_words=("free shipping", "best"),
    forbidden_in_title="!$",
    title_word_repeats_max=2,
    options_max=2,
    variants_max=3,
    option_length_max=10,
    tags_max=2,
    tag_length_max=8,
    vendor_length_max=12,
    sku_length_max=12,
    barcode_lengths=frozenset({12, 13}),
    seo_title_length_max=20,
    images_min=1,
    images_max=2,
    image_formats=frozenset({"jpg", "png"}),
    image_side_min_px=500,
    image_side_max_px=5000,
    alt_text_length_max=10,
    price_min=Decimal("1.00"),
    price_max=Decimal(1000),
    attributes=(
        AttributeRule("material", "Material", required=True, choices=("stoneware", "glass")),
        AttributeRule("bullet_point", "Bullet points", length_max=10, values_max=3),
        AttributeRule("capacity", "Capacity", AttributeKind.NUMBER),
        AttributeRule("pieces", "Pieces", AttributeKind.WHOLE),
        AttributeRule("dishwasher", "Dishwasher safe", AttributeKind.YES_NO),
    ),
)


def found(draft: ListingDraft) -> list[tuple[str, str]]:
    return [(str(each.field), each.where) for each in check_listing(RULES, draft)]


def test_a_good_draft_has_no_problem() -> None:
    assert check_listing(RULES, MUG) == ()


@pytest.mark.parametrize(
    ("change", "field", "where"),
    [
        ({"title": " "}, "title", ""),
        ({"title": "x" * 41}, "title", ""),
        ({"title": "Mug with FREE shipping"}, "title", ""),
        ({"title": "Mug!"}, "title", ""),
        ({"title": "mug mug mug"}, "title", ""),
        ({"description": "<p>The best mug</p>"}, "description", ""),
        ({"description": "<p>" + "x" * 60 + "</p>"}, "description", ""),
        ({"vendor": "x" * 13}, "vendor", ""),
        ({"seo_title": "x" * 21}, "seo_title", ""),
        ({"tags": ("a", "b", "c")}, "tags", ""),
        ({"tags": ("x" * 9,)}, "tags", "tag 'xxxxxxxxx'"),
        ({"images": ()}, "images", ""),
        ({"images": None}, "images", ""),
        ({"images": (ListingImage("mug.jpg"),)}, "images", "image 1"),
        ({"images": (ListingImage("https://img.example/mug.gif"),)}, "images", "image 1"),
        ({"images": (ListingImage("https://img.example/mug.jpg", "x" * 11),)}, "images", "alt text of image 1"),
        ({"images": (ListingImage("https://img.example/mug", "", 400, 300),)}, "images", "image 1"),
        ({"images": (ListingImage("https://img.example/mug", "", 5001, 300),)}, "images", "image 1"),
        ({"attributes": {}}, "material", ""),
        ({"attributes": {"material": "wood"}}, "material", ""),
        ({"attributes": {**MUG.attributes, "bullet_point": "x" * 11}}, "bullet_point", ""),
        ({"attributes": {**MUG.attributes, "bullet_point": ("a", "b", "c", "d")}}, "bullet_point", ""),
        ({"attributes": {**MUG.attributes, "capacity": "much"}}, "capacity", ""),
        ({"attributes": {**MUG.attributes, "pieces": Decimal("1.5")}}, "pieces", ""),
        ({"attributes": {**MUG.attributes, "dishwasher": "yes"}}, "dishwasher", ""),
        ({"variants": ()}, "variants", ""),
        ({"variants": tuple(replace(RED, sku=f"S{n}", options=(str(n),)) for n in range(4))}, "variants", ""),
        ({"variants": (RED, replace(BLUE, options=("Red",)))}, "options", "MUG-BLUE"),
        ({"variants": (RED, replace(BLUE, options=()))}, "options", "MUG-BLUE"),
        ({"variants": (RED, replace(BLUE, options=("x" * 11,)))}, "options", "MUG-BLUE"),
        ({"variants": (RED, replace(BLUE, sku="MUG-RED"))}, "sku", "MUG-RED"),
        ({"variants": (RED, replace(BLUE, sku=""))}, "sku", "v2"),
        ({"variants": (RED, replace(BLUE, sku="x" * 13))}, "sku", "x" * 13),
        ({"variants": (RED, replace(BLUE, barcode="4006381333932"))}, "barcode", "MUG-BLUE"),
        ({"variants": (RED, replace(BLUE, barcode="40063813"))}, "barcode", "MUG-BLUE"),
        ({"variants": (RED, replace(BLUE, price=Decimal("0.99")))}, "price", "MUG-BLUE"),
        ({"variants": (RED, replace(BLUE, price=Decimal(-1)))}, "price", "MUG-BLUE"),
        ({"variants": (RED, replace(BLUE, price=Decimal("1000.01")))}, "price", "MUG-BLUE"),
        ({"variants": (RED, replace(BLUE, compare_at=Decimal("12.49")))}, "compare_at", "MUG-BLUE"),
    ],
)
def test_every_rule_is_told_with_the_field_and_the_place(change: dict[str, object], field: str, where: str) -> None:
    problems = check_listing(RULES, replace(MUG, **change))  # type: ignore[arg-type]
    about = [each for each in problems if (each.field, each.where) == (field, where)]
    assert about, problems
    assert all(each.what and each.how.endswith((".", "...")) for each in about)


def test_tags_that_a_channel_does_not_take_are_left_out_and_their_text_stays() -> None:
    assert check_listing(RULES, replace(MUG, description="<meta charset='x'><p>Holds <i>tea</i></p>")) == ()
    assert with_tags("<p>Holds <i>tea</i> &lt;3<br></p>", frozenset({"p"})) == "<p>Holds tea &lt;3</p>"
    assert with_tags('<a href="x?a&amp;b">1</a><script>no</script><tr><td>2</td></tr>', frozenset({"a", "br"})) == (
        '<a href="x?a&amp;b">1</a>2<br>'
    )
    kept = "<p>As it <b class=x>was</b></p>"
    assert with_tags(kept, frozenset({"p", "b"})) == kept


def test_of_too_many_images_the_first_are_sent() -> None:
    unlike = ListingImage("https://img.example/mug.gif")
    assert check_listing(RULES, replace(MUG, images=(*(MUG.images * 3)[:2], unlike))) == ()
    assert [each.field for each in check_listing(RULES, replace(MUG, images=(MUG.images[0], unlike)))] == ["images"]


def test_a_number_of_the_shops_own_goes_with_an_exemption_only() -> None:
    rules = replace(RULES, barcode_exemption="exempt")
    own = replace(MUG, variants=(RED, replace(BLUE, barcode="'30235")))
    (problem,) = check_listing(rules, own)
    assert (problem.field, problem.where) == ("barcode", "MUG-BLUE")
    assert "set exempt to yes" in problem.how
    exempt = replace(own, attributes={**MUG.attributes, "exempt": True})
    assert check_listing(rules, exempt) == ()
    # A slip of the pen is no number of the shop's own.
    slip = replace(exempt, variants=(RED, replace(BLUE, barcode="4006381333932")))
    assert [each.field for each in check_listing(rules, slip)] == ["barcode"]


def test_a_problem_of_a_variant_names_it() -> None:
    (problem,) = check_listing(RULES, replace(MUG, variants=(RED, replace(BLUE, price=Decimal("0.5")))))
    assert problem.variant_key == "v2"
    assert not problem.missing


def test_an_attribute_may_stand_at_every_variant_instead() -> None:
    variants = tuple(replace(each, attributes={"material": "glass"}) for each in MUG.variants)
    assert check_listing(RULES, replace(MUG, attributes={}, variants=variants)) == ()
    assert found(replace(MUG, attributes={}, variants=(variants[0], BLUE))) == [("material", "")]


def test_completeness_names_what_is_missing() -> None:
    whole = replace(MUG, seo_title="Mug", attributes={**MUG.attributes, "pieces": 1, "dishwasher": True})
    assert completeness(RULES, whole).score == 100
    bare = completeness(RULES, ListingDraft("p", "", (VariantDraft("v", "", Decimal(0), "EUR"),)))
    assert bare.score == 0
    assert bare.missing_required == ("title", "sku", "price", "material", "images")
    partly = completeness(RULES, replace(MUG, attributes={"material": "glass"}))
    assert partly.missing_required == ()
    assert partly.missing_wanted == ("seo_title", "bullet_point", "capacity", "pieces", "dishwasher")
    assert 0 < partly.score < 100


def test_rules_are_by_category_and_else_for_all() -> None:
    cups = replace(RULES, category="CUPS")
    assert rules_of((RULES, cups), "CUPS") is cups
    assert rules_of((RULES, cups), "PLATES") is RULES
    assert rules_of((cups,), "PLATES") is None


texts = st.text(max_size=60)


@given(
    st.builds(
        ListingDraft,
        key=st.just("p"),
        title=texts,
        variants=st.lists(
            st.builds(
                VariantDraft,
                key=st.uuids().map(str),
                sku=texts,
                price=st.decimals(-10, 10_000, places=2),
                currency=st.just("EUR"),
                options=st.lists(texts, max_size=3).map(tuple),
                barcode=texts,
            ),
            max_size=4,
        ).map(tuple),
        description=texts,
        tags=st.lists(texts, max_size=3).map(tuple),
        option_names=st.lists(texts, max_size=3).map(tuple),
        attributes=st.dictionaries(
            st.sampled_from(["material", "bullet_point", "pieces", "other"]),
            st.one_of(texts, st.integers(), st.booleans(), st.lists(texts, max_size=4).map(tuple)),
        ),
    )
)
def test_any_draft_can_be_checked_and_filling_in_never_lowers_the_score(draft: ListingDraft) -> None:
    problems = check_listing(RULES, draft)
    before = completeness(RULES, draft)
    assert 0 <= before.score <= 100
    assert (before.score == 100) == (not before.missing_required and not before.missing_wanted)
    assert set(before.missing_required) <= {str(each.field) for each in problems if each.missing} | {"sku", "price"}
    filled = replace(draft, seo_title="Mug", images=MUG.images)
    assert completeness(RULES, filled).score >= before.score


@given(texts)
def test_any_text_is_read_as_html(text: str) -> None:
    assert "\n\n" not in plain_text(text)
    tags_of(text)


def test_plain_text() -> None:
    assert plain_text("<p>Holds <b>tea</b> &amp; coffee.</p><ul><li>One<li>Two</ul>") == "Holds tea & coffee.\nOne\nTwo"
    assert plain_text("a<br>b<script>alert(1)</script>") == "a\nb"
    assert plain_text("1 &lt; 2") == "1 < 2"
    assert tags_of("<P>x<br/></p>") == {"p", "br"}
