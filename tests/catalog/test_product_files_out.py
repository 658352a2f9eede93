"""What is written as a file and read again is the same, in every format."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from entrepot.catalog.files.contracts import ReadOptions
from entrepot.catalog.files.reading import read_all
from entrepot.catalog.files.shopify import attribute_of
from entrepot.catalog.files.writing import FORMATS, Full, UnknownExport, Writer, head_of
from entrepot.catalog.intake_rules import Outcome, ProductState, State, VariantState, compare
from entrepot.kernel.ids import new_id

quick = settings(deadline=None, max_examples=60)
# What spreadsheets can carry: no control characters; text is trimmed on its way in.
letters = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs", "Co", "Cn"))
text = st.text(letters, max_size=12).map(str.strip)
some = st.text(letters, min_size=1, max_size=12)
lines = st.one_of(text, st.just("two\nlines"), st.just("=SUM(A1)"), st.just("'quoted'"), st.just('+1 more, "x"; y'))
word = st.text("abcdefghij", min_size=1, max_size=6)
url = word.map(lambda name: f"https://x.test/{name}.png")
money = st.integers(0, 10**9)
small = st.none() | st.integers(0, 10**6)


@st.composite
def full(draw: Any, number: int) -> Full:
    options = draw(st.lists(word, max_size=3, unique=True))
    images = draw(st.lists(st.tuples(url, word | st.just("")), max_size=3, unique_by=lambda i: i[0]))
    product = ProductState(
        new_id(), f"p-{number}", draw(some), draw(lines), draw(text), draw(text), draw(st.lists(word, max_size=3, unique=True)),
        options, draw(st.sampled_from(["active", "draft", "archived"])), [{"url": u, "alt": a} for u, a in images],
        draw(st.lists(word, max_size=3)), None, draw(lines), draw(lines),
        draw(st.dictionaries(st.one_of(word, word.map(lambda w: f"google.{w}"), word.map(lambda w: f"shopify.{w}")), some,
                             max_size=3)),
        draw(st.lists(word, max_size=1)),
    )  # fmt: skip
    variants = [
        VariantState(
            new_id(), product.id, f"{sku}-{number}-{at}", draw(money), draw(st.sampled_from(["EUR", "JPY", "KWD"])),
            draw(st.sampled_from(["", "0123", "'7", "=1"])), draw(text), [draw(word) for _ in options],
            draw(st.none() | money), draw(st.none() | money), draw(small), at * 2, draw(small), draw(small), draw(small),
            draw(url | st.just("")),
        )
        for at, sku in enumerate(draw(st.lists(st.sampled_from(["A", "0", "'q", "=x", "-", "ü"]), min_size=1, max_size=3)))
    ]  # fmt: skip
    return Full(product, variants, {v.sku: draw(st.integers(0, 99)) for v in variants})


catalogs = st.integers(1, 4).flatmap(lambda count: st.tuples(*(full(number) for number in range(count))))


def written(format: str, products: tuple[Full, ...]) -> bytes:
    writer = Writer(format, sorted({name for each in products for name in each.product.attributes}))
    return b"".join(
        [writer.begin(), writer.page(products[:1]), writer.page(products[1:]), writer.page([]), writer.end()]
    )


def state_of(products: tuple[Full, ...]) -> State:
    state = State()
    for each in products:
        state.add_product(each.product)
        for variant in each.variants:
            state.add_variant(variant)
    return state


@pytest.mark.parametrize("format", list(FORMATS))
def test_what_is_written_changes_nothing_when_it_is_read(format: str) -> None:
    @quick
    @given(catalogs)
    def check(products: tuple[Full, ...]) -> None:
        told, problems, _ = read_all(written(format, products), ReadOptions("EUR"))
        assert problems == []
        state = state_of(products)
        found = [compare(each, state, "EUR") for each in told]
        assert [(f.outcome, f.changes) for f in found] == [(Outcome.UNCHANGED, ())] * len(products)
        units = {sku: stock for f in found for _, sku, stock, _ in f.stock}
        assert units == {sku: stock for each in products for sku, stock in each.stock.items()}

    check()


@pytest.mark.parametrize("format", list(FORMATS))
def test_what_is_read_into_an_empty_catalog_is_written_the_same(format: str) -> None:
    @quick
    @given(catalogs)
    def check(products: tuple[Full, ...]) -> None:
        for each in products:
            for variant in each.variants:
                variant.currency = "EUR"  # Shopify's file names none.
                # A title that its options do not make is not told by Shopify's file.
                variant.title = " / ".join(variant.option_values)
        data = written(format, products)
        told, _, _ = read_all(data, ReadOptions("EUR"))
        state = State()
        for each in told:
            assert compare(each, state, "EUR").outcome is Outcome.NEW
        made = tuple(
            Full(p, sorted(state.of_product[p.id], key=lambda v: v.position), each.stock)
            for each in products
            if (p := state.by_handle[each.product.handle])
        )
        for each in made:
            each.product.collections = each.product.joins
        lost = ("length_mm", "width_mm", "height_mm") if format == "shopify" else ()
        assert [plain(each, lost) for each in made] == [plain(each, lost) for each in products]

    check()


def plain(full: Full, lost: tuple[str, ...]) -> Any:
    p = full.product
    own = (p.handle, p.title, p.description, p.vendor, p.tags, p.option_names, p.status, p.images, p.category, p.seo_title,
           p.attributes, p.collections)  # fmt: skip
    return own, [
        (v.sku, v.price_minor, v.compare_at_minor, v.cost_minor, v.barcode, v.title, v.option_values, v.weight_g, v.image_url,
         *(getattr(v, name) for name in ("length_mm", "width_mm", "height_mm") if name not in lost))
        for v in full.variants
    ]  # fmt: skip


def test_excel_numbers_are_numbers_and_formulas_are_text() -> None:
    product = ProductState(new_id(), "cup", "=1+1")
    variant = VariantState(new_id(), product.id, "A", 1250, "EUR")
    data = written("excel", (Full(product, [variant], {"A": 3}),))
    sheet = load_workbook(io.BytesIO(data)).active
    assert sheet is not None
    heads, row = list(sheet.values)
    cells = dict(zip(heads, row, strict=True))
    assert (cells["price"], cells["stock"], cells["title"]) == (12.5, 3, "'=1+1")


def test_json_without_products_is_json() -> None:
    assert json.loads(written("json", ())) == {"products": []}
    with pytest.raises(UnknownExport):
        Writer("pdf", [])


@pytest.mark.parametrize("name", ["fabric", "a.b", "google.age_group", "google.Odd Name", "shopify.x.y", "with space"])
def test_an_attribute_s_column_says_which_it_is(name: str) -> None:
    assert attribute_of(head_of(name)) == name
