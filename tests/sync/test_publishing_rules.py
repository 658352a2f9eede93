"""Rules of publishing: a kept draft is the draft that was sent; attributes are of their kind; what keeps one back."""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from entrepot.catalog.publishing import Whole
from entrepot.channels.contract import (
    AttributeKind,
    AttributeRule,
    Dimensions,
    EndKind,
    ListingDraft,
    ListingEnd,
    ListingImage,
    ListingRef,
    ListingRules,
    VariantDraft,
)
from entrepot.sync.publishing import codec
from entrepot.sync.publishing.drafts import attributes_of, check

TEXTS = st.text(max_size=12)
SCALARS = st.one_of(TEXTS, st.integers(), st.booleans(), st.decimals(allow_nan=False, allow_infinity=False, places=3))
ATTRIBUTES = st.dictionaries(
    TEXTS, st.one_of(SCALARS, st.lists(SCALARS, min_size=2, max_size=3).map(tuple)), max_size=3
)
REFS = st.builds(ListingRef, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=2))
AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=2)
VARIANTS = st.builds(
    VariantDraft, TEXTS, TEXTS, AMOUNTS, st.just("EUR"), options=st.lists(TEXTS, max_size=3).map(tuple), barcode=TEXTS,
    compare_at=st.none() | AMOUNTS, weight_g=st.none() | st.integers(0, 9999),
    dimensions=st.none() | st.builds(Dimensions, *[st.integers(1, 999)] * 3), attributes=ATTRIBUTES, ref=st.none() | REFS,
)  # fmt: skip
DRAFTS = st.builds(
    ListingDraft, TEXTS, TEXTS, st.lists(VARIANTS, max_size=3).map(tuple), handle=TEXTS,
    tags=st.lists(TEXTS, max_size=3).map(tuple),
    images=st.none() | st.lists(st.builds(ListingImage, TEXTS, TEXTS), max_size=2).map(tuple), attributes=ATTRIBUTES,
    published=st.booleans(), expected_version=TEXTS,
)  # fmt: skip


@given(DRAFTS)
def test_a_draft_that_was_kept_is_the_same(draft: ListingDraft) -> None:
    assert codec.draft_of_json(json.loads(json.dumps(codec.draft_to_json(draft)))) == draft


@given(
    st.builds(ListingEnd, TEXTS, TEXTS, st.lists(REFS, max_size=3).map(tuple), st.sampled_from(EndKind), st.booleans())
)
def test_an_end_that_was_kept_is_the_same(end: ListingEnd) -> None:
    assert codec.end_of_json(json.loads(json.dumps(codec.end_to_json(end)))) == end


def test_attributes_are_of_the_kind_that_the_channel_wants() -> None:
    rules = ListingRules(
        attributes=(
            AttributeRule("count", "Count", AttributeKind.WHOLE), AttributeRule("volume", "Volume", AttributeKind.NUMBER),
            AttributeRule("fragile", "Fragile", AttributeKind.YES_NO), AttributeRule("material", "Material", values_max=3),
        )
    )  # fmt: skip
    of_product = {"material": "Clay", "our own": "x", "count": "2"}
    asked = {"material": "Clay | Cork", "volume": "0.25", "fragile": "yes", "theme": "COLOR", "empty": " "}
    assert attributes_of(of_product, asked, rules) == {
        "count": 2, "material": ("Clay", "Cork"), "volume": Decimal("0.25"), "fragile": True, "theme": "COLOR",
    }  # fmt: skip
    assert attributes_of({"count": "two"}, {}, rules) == {"count": "two"}, "the check names what is no number"


def test_what_is_archived_or_cannot_be_told_apart_is_kept_back() -> None:
    variants = tuple(VariantDraft(key, key, Decimal(1), "EUR", ("Red",)) for key in "ab")
    draft = ListingDraft("k", "Mug", variants, option_names=("Colour",))
    found = check(ListingRules(), Whole({"status": "archived"}, ()), draft)
    assert [each.field for each in found.problems] == ["status", "options"], found.problems
    assert found.completeness.score == 100
