"""Product files: both formats, rows with problems, odd bytes; nothing but UnknownFormat is ever raised."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.catalog.contracts import Image
from entrepot.catalog.csv_format import UnknownFormat, read_products

DATA = Path(os.environ.get("ENTREPOT_DATA", "../shared/data")) / "shopify_product_csv"
quick = settings(deadline=None, max_examples=150)
HEADER = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams," \
    "Variant Inventory Qty,Variant Price,Variant Compare At Price,Variant Barcode,Image Src,Cost per item,Status\n"  # fmt: skip


def test_simple_file() -> None:
    file = read_products(
        "SKU,Title,Price,Currency,Barcode,Stock\nA,Cup,4.50,USD,123,7\nB,Saucer,2,,,\n", currency="EUR"
    )
    [cup, saucer] = file.products
    assert (cup.handle, cup.title, cup.variants[0].price_minor, cup.variants[0].currency) == ("a", "Cup", 450, "USD")
    assert (saucer.variants[0].currency, saucer.variants[0].price_minor) == ("EUR", 200)
    assert (file.stock, file.problems, file.rows) == ({"A": 7}, [], 2)


def test_byte_order_mark_spaces_in_the_header_and_an_empty_row() -> None:
    file = read_products("\ufeff sku , title ,price\nA,Cup,1\n,,\n", currency="EUR")
    assert [p.title for p in file.products] == ["Cup"]
    assert file.problems == []


def test_quoted_line_breaks_and_commas_belong_to_their_field() -> None:
    file = read_products(
        'sku,title,price,description\nA,"Cup, big","1,234.50","two\r\nlines ""here"""\n', currency="EUR"
    )
    [product] = file.products
    assert (product.title, product.description) == ("Cup, big", 'two\r\nlines "here"')
    assert product.variants[0].price_minor == 123450


def test_a_row_with_an_error_is_told_and_the_others_are_kept() -> None:
    text = (
        "sku,title,price,stock\nA,Cup,1,1\nA,Again,2,2\n,No SKU,1,\nB,Bad,much,\nC,Neg,-1,\n"
        "D,Odd,3,many\nE,Minus,3,-2\nF,Fine,3,9\nG,NaN,NaN,\n"
    )
    file = read_products(text, currency="EUR")
    assert [v.sku for p in file.products for v in p.variants] == ["A", "D", "E", "F"]
    assert file.stock == {"A": 1, "F": 9}
    assert [(p.row, p.sku) for p in file.problems] == [
        (3, "A"), (4, ""), (5, "B"), (6, "C"), (7, "D"), (8, "E"), (10, "G"),
    ]  # fmt: skip
    assert file.problems[0].problem == "The SKU stands in row 2 already."


def test_skus_that_make_one_handle_get_a_handle_each() -> None:
    file = read_products("sku,title,price\na b,X,1\na-b,Y,1\na-b-2,Z,1\n", currency="EUR")
    handles = [p.handle for p in file.products]
    assert len(set(handles)) == 3
    assert handles[0] == "a-b"


def test_shopify_file_groups_rows_by_handle() -> None:
    text = HEADER + (
        'cup,Cup,<p>Nice</p>,Us,Ware,"a, b",true,Size,S,C-S,100,5,4.00,5.00,\'0123,http://x/1.png,2.5,active\n'
        "cup,,,,,,,,M,,200,,6.00,,,,,\n"
        "cup,,,,,,,,,,,,,,,http://x/2.png,,\n"
        "mug,Mug,,,,,false,Title,Default Title,,,,7.00,,,,,\n"
    )
    file = read_products(text, currency="EUR")
    cup, mug = file.products
    assert [(v.sku, v.price_minor, v.compare_at_minor, v.cost_minor, v.weight_g, v.barcode) for v in cup.variants] == [
        ("C-S", 400, 500, 250, 100, "0123"),
        ("cup-m", 600, None, None, 200, ""),
    ]
    assert (cup.title, cup.tags, cup.option_names, cup.images) == (
        "Cup", ("a", "b"), ("Size",), (Image("http://x/1.png"),)
    )  # fmt: skip
    assert (mug.status, mug.option_names, mug.variants[0].sku, mug.variants[0].option_values) == (
        "draft",
        (),
        "mug",
        (),
    )
    assert file.stock == {"C-S": 5}


def test_a_row_without_a_handle_is_told() -> None:
    file = read_products(HEADER + ",Cup,,,,,,,,S,,,1.00,,,,,\n", currency="EUR")
    assert [p.problem for p in file.problems] == ["The handle is missing."]


@pytest.mark.parametrize(
    "text", ["", "\n", "a,b\n1,2\n", "sku,title\n", "PK\x03\x04\x00\x00", '"', "sku;title;price\n"]
)
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(UnknownFormat):
        read_products(text, currency="EUR")


def test_a_field_beyond_the_reader_s_limit_is_told_as_such() -> None:
    with pytest.raises(UnknownFormat):
        read_products(f"sku,title,price\nA,{'x' * 200_000},1\n", currency="EUR")


SIMPLE = "sku,title,price,stock,weight_g,cost"
fields = st.one_of(
    st.text(max_size=8), st.sampled_from(["A", "B", "1.00", "1e9", "Infinity", "NaN", "-0", "1e999999", "0.001", "'7"])
)


def written(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


@quick
@given(
    st.sampled_from(["sku,title,price,stock,weight_g,cost", HEADER.strip()]),
    st.lists(st.lists(fields, max_size=20), max_size=6),
)
def test_no_row_of_any_kind_is_a_crash(header: str, rows: list[list[str]]) -> None:
    file = read_products(written(header.split(","), rows), currency="EUR")
    skus = [v.sku for p in file.products for v in p.variants]
    assert len(skus) == len(set(skus))
    assert len({p.handle for p in file.products}) == len(file.products)
    assert set(file.stock) <= set(skus)
    assert all(0 <= v.price_minor < 10**15 for p in file.products for v in p.variants)


@quick
@given(st.text(), st.sampled_from(["", "sku,title,price\n", HEADER]))
def test_no_text_is_a_crash(text: str, header: str) -> None:
    with suppress(UnknownFormat):
        read_products(header + text, currency="EUR")


@pytest.mark.parametrize("path", sorted(DATA.rglob("*.csv")) or [None], ids=lambda p: p.stem if p else "absent")
def test_files_of_real_shops_are_read(path: Path | None) -> None:
    if path is None:
        pytest.skip(f"no files in {DATA}: set ENTREPOT_DATA")
    file = read_products(path.read_text(encoding="utf-8-sig", errors="replace"), currency="USD")
    variants = sum(len(p.variants) for p in file.products)
    assert variants
    assert len(file.problems) < variants
