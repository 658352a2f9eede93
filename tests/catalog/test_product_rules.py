"""Every field of a product that is not valid is named, with what to do; what nobody touched is nobody's fault."""

from __future__ import annotations

from typing import Any

import pytest

from entrepot.catalog.product_rules import VARIANTS_MAX, InvalidFields, check, faults_of

PRODUCT: dict[str, Any] = {
    "title": "Cup", "description": "", "vendor": "", "product_type": "", "seo_title": "", "seo_description": "",
    "handle": "cup", "status": "active", "tags": [], "option_names": [], "images": [], "attributes": {},
}  # fmt: skip
VARIANT: dict[str, Any] = {
    "sku": "A", "state": "active", "title": "", "barcode": "", "option_values": [], "price_minor": 100,
    "compare_at_minor": None, "cost_minor": None, "weight_g": None, "length_mm": None, "width_mm": None,
    "height_mm": None, "image_url": "",
}  # fmt: skip


def faults(product: dict[str, Any] | None = None, *variants: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with a good product that is changed so."""
    some = [(str(n), {**VARIANT, **each}) for n, each in enumerate(variants or ({},))]
    return faults_of({**PRODUCT, **(product or {})}, some)


def test_a_good_product_has_no_fault() -> None:
    two = ({"option_values": ["S"]}, {"sku": "B", "option_values": ["M"]})
    image = {"url": "https://img.example/1.png", "alt": ""}
    assert faults() == {}
    assert faults({"option_names": ["Size"], "images": [image], "attributes": {"a": "b"}, "tags": ["x"]}, *two) == {}


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"title": " "}, "title", "needs a title"), ({"title": "x" * 256}, "title", "more than 255 characters"),
        ({"vendor": "a\x00"}, "vendor", "holds a character that is none"), ({"handle": "a/b"}, "handle", "no spaces"),
        ({"status": "gone"}, "status", "A status is one of"), ({"tags": ["a", "a"]}, "tags", "each once"),
        ({"tags": [""]}, "tags", "up to 200 characters"), ({"tags": [str(n) for n in range(101)]}, "tags", "Up to 100"),
        ({"option_names": ["a", "b", "c", "d"]}, "option_names", "Up to 3 options"),
        ({"option_names": ["a", "a"]}, "option_names", "a name of its own"),
        ({"images": [{"url": "https://x/y", "alt": ""}] * 101}, "images", "At most 100 images"),
        ({"images": [{"url": "ftp://x/y", "alt": ""}]}, "images", "'ftp://x/y': an image needs an address"),
        ({"images": [{"url": "https://x/y", "alt": "x" * 501}]}, "images", "at most 500 characters"),
        ({"attributes": {"": "x"}}, "attributes", "Up to 100 attributes"),
        ({"attributes": {"a": "x" * 5001}}, "attributes", "values up to 5,000"),
    ],
)  # fmt: skip
def test_a_field_of_the_product(change: dict[str, Any], field: str, said: str) -> None:
    found = faults(change)
    assert field in found
    assert said in found[field]


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"sku": ""}, "sku", "1 to 200 characters"), ({"sku": " A"}, "sku", "no spaces around it"),
        ({"sku": "A\nB"}, "sku", "no line breaks"), ({"price_minor": None}, "price_minor", "A needs a price"),
        ({"price_minor": -1}, "price_minor", "the price is out of bounds"),
        ({"cost_minor": 10**15}, "cost_minor", "the cost is out of bounds"),
        ({"weight_g": 10_000_001}, "weight_g", "the weight is out of bounds"),
        ({"image_url": "x.png"}, "image_url", "starts with https://"), ({"barcode": "1" * 256}, "barcode", "at most 255"),
    ],
)  # fmt: skip
def test_a_field_of_a_variant(change: dict[str, Any], field: str, said: str) -> None:
    found = faults(None, change)
    assert list(found) == [f"variants.0.{field}"]
    assert said in found[f"variants.0.{field}"]


def test_variants_are_told_apart() -> None:
    size = {"option_names": ["Size"]}
    small, other = {"option_values": ["S"]}, {"sku": "B", "option_values": ["S"]}
    assert faults(size, small, other)["variants.1.option_values"] == "B and A have the same options."
    assert "needs a value for each option: Size" in faults(size, small, {"sku": "B"})["variants.1.option_values"]
    assert "Several variants need an option" in faults(None, {}, {"sku": "B"})["option_names"]
    assert faults(None, {}, {})["variants.1.sku"] == "Two variants have the SKU 'A'."
    assert "at least one variant in use" in faults(None, {"state": "archived"})["variants"]
    many = [{"sku": str(n), "option_values": [str(n)]} for n in range(VARIANTS_MAX + 1)]
    assert "at most 500 variants" in faults(size, *many)["variants"]
    # One that rests stands in nobody's way.
    assert faults(size, small, {**other, "state": "archived"}) == {}


def test_only_who_touched_it_answers_for_it_but_for_what_belongs_together() -> None:
    product = {**PRODUCT, "handle": "a b", "title": ""}
    variants = [("1", VARIANT), ("2", {**VARIANT, "sku": "B"})]
    check(product, variants, {"vendor"})
    with pytest.raises(InvalidFields) as one:
        check(product, variants, {"handle"})
    assert list(one.value.faults) == ["handle"]
    with pytest.raises(InvalidFields) as shape:
        check(product, variants, {"variants.2.sku", "title"})
    assert set(shape.value.faults) == {"title", "option_names"}
    assert shape.value.detail.endswith("And 1 more.")
