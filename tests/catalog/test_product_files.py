"""Product files are read: every format, rows with problems, odd bytes; nothing but UnknownFormat is ever raised."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from entrepot.catalog.files import cells
from entrepot.catalog.files.contracts import FileProduct, ReadOptions, RowCounts, RowProblem, UnknownFormat
from entrepot.catalog.files.reading import ProductFile, read_all

DATA = Path(os.environ.get("ENTREPOT_DATA", "../shared/data")) / "shopify_product_csv"
quick = settings(deadline=None, max_examples=150)
HEADER = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams," \
    "Variant Inventory Qty,Variant Price,Variant Compare At Price,Variant Barcode,Image Src,Cost per item,Status\n"  # fmt: skip
EUR = ReadOptions("EUR")


def read(text: str | bytes, options: ReadOptions = EUR) -> tuple[list[FileProduct], list[RowProblem], RowCounts]:
    return read_all(text.encode("utf-8", "replace") if isinstance(text, str) else text, options)


def test_the_simple_table_takes_columns_in_any_order_and_tells_only_those() -> None:
    products, problems, counts = read("Stock,SKU,Price,Currency\n7,A,4.50,USD\n,B,2,\n")
    assert [(p.handle, p.fields, p.variants[0].sku, p.variants[0].fields) for p in products] == [
        ("", {}, "A", {"price": "4.50", "currency": "USD"}),
        ("", {}, "B", {"price": "2"}),
    ]
    assert ([p.variants[0].stock for p in products], problems, counts.rows) == ([7, None], [], 2)


def test_rows_of_one_handle_are_variants_of_one_product_wherever_they_stand() -> None:
    text = (
        "handle,sku,title,price,option1_name,option1_value,images,attribute:Material\n"
        "cup,C-S,Cup,1,Size,S,https://x/1.png A cup,Steel\nmug,M,Mug,2,,,,\ncup,C-M,,3,,M,,\n"
    )
    [cup, mug], problems, _ = read(text)
    assert [v.sku for v in cup.variants] == ["C-S", "C-M"]
    assert cup.fields["images"] == [{"url": "https://x/1.png", "alt": "A cup"}]
    assert (cup.fields["option_names"], cup.fields["attributes"]) == (["Size"], {"Material": "Steel"})
    assert (mug.handle, problems) == ("mug", [])


def test_byte_order_mark_spaces_in_the_header_and_an_empty_row() -> None:
    products, problems, counts = read("\ufeff sku , title ,price\nA,Cup,1\n,,\n")
    assert [p.fields["title"] for p in products] == ["Cup"]
    assert (problems, counts.blank) == ([], 1)


def test_quoted_line_breaks_and_commas_belong_to_their_field() -> None:
    [product], _, _ = read('sku,title,price,description\nA,"Cup, big","1,234.50","two\r\nlines ""here"""\n')
    assert (product.fields["title"], product.fields["description"]) == ("Cup, big", 'two\r\nlines "here"')
    assert product.variants[0].fields["price"] == "1234.50"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_and_separators_are_found(encoding: str, separator: str) -> None:
    text = f"sku{separator}title{separator}price\nA{separator}Größe €{separator}1.5\n"
    file = ProductFile(io.BytesIO(text.encode(encoding)), EUR)
    assert [p.fields["title"] for p in file.part(10).products] == ["Größe €"]
    assert file.look.separator == {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}[separator]


def test_a_decimal_comma_is_read_by_setting_and_never_guessed() -> None:
    text = "sku;title;price\nA;Cup;1.234,50\nB;Mug;12,5\n"
    products, problems, _ = read(text, ReadOptions("EUR", ","))
    assert [p.variants[0].fields["price"] for p in products] == ["1234.50", "12.5"]
    assert problems == []
    products, problems, _ = read(text)
    assert products == []
    assert [(p.row, p.column, p.value) for p in problems] == [(2, "price", "1.234,50"), (3, "price", "12,5")]
    assert "decimal separator" in problems[0].remedy


def test_a_row_with_an_error_is_told_with_its_cell_and_the_others_are_kept() -> None:
    text = (
        "sku,title,price,stock\nA,Cup,1,1\nA,Again,2,2\n,No SKU,1,\nB,Bad,much,\nC,Neg,-1,\n"
        "D,Odd,3,many\nE,Minus,3,-2\nF,Fine,3,9\nG,NaN,NaN,\n"
    )
    products, problems, _ = read(text)
    assert [(v.sku, v.stock) for p in products for v in p.variants] == [("A", 1), ("D", None), ("E", None), ("F", 9)]
    assert [(p.row, p.sku, p.column, p.value) for p in problems] == [
        (3, "A", "SKU", "A"), (4, "", "sku", ""), (5, "B", "price", "much"), (6, "C", "price", "-1"),
        (7, "D", "stock", "many"), (8, "E", "stock", "-2"), (10, "G", "price", "NaN"),
    ]  # fmt: skip
    assert problems[0].problem == "The SKU stands in row 2 already."
    assert all(p.remedy for p in problems)


def test_shopify_rows_are_grouped_by_handle() -> None:
    text = HEADER + (
        'cup,Cup,<p>Nice</p>,Us,Ware,"a, b",true,Size,S,C-S,100,5,4.00,5.00,\'0123,http://x/1.png,2.5,active\n'
        "cup,,,,,,,,M,,200,,6.00,,,,,\n"
        "cup,,,,,,,,,,,,,,,http://x/2.png,,\n"
        "mug,Mug,,,,,false,Title,Default Title,,,,7.00,,,,,\n"
    )
    [cup, mug], problems, counts = read(text)
    assert [(v.sku, v.stock, v.fields) for v in cup.variants] == [
        ("C-S", 5, {"price": "4.00", "compare_at": "5.00", "cost": "2.5", "weight_g": 100, "barcode": "0123",
                    "option_values": ["S"], "title_wish": "S"}),
        ("cup-m", None, {"price": "6.00", "compare_at": None, "cost": None, "weight_g": 200, "barcode": "",
                         "option_values": ["M"], "title_wish": "M"}),
    ]  # fmt: skip
    assert cup.fields["images"] == [{"url": "http://x/1.png", "alt": ""}, {"url": "http://x/2.png", "alt": ""}]
    assert (cup.fields["tags"], cup.fields["option_names"]) == (["a", "b"], ["Size"])
    assert (mug.fields["status"], mug.fields["option_names"], mug.variants[0].sku) == ("draft", [], "mug")
    assert (problems, counts) == ([], RowCounts(rows=4, variants=3, images=1))


@pytest.mark.parametrize("head", ["Handle,Title,Variant SKU,Variant Price", "handle,title,sku,price"])
def test_a_row_with_a_cell_too_many_is_told_and_not_taken_shifted(head: str) -> None:
    products, problems, counts = read(f"{head}\ncup,Cup, small,C,1\nmug,Mug,M,2,\n")
    assert [v.sku for p in products for v in p.variants] == ["M"]
    assert [(p.row, p.problem) for p in problems] == [(2, "The row has 5 cells, but there are 4 columns.")]
    assert counts.rows == 2


SHOPIFY_2025 = (
    "Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,Barcode,"
    "Option1 name,Option1 value,Option1 Linked To,Price,Compare-at price,Cost per item,Charge tax,Tax code,"
    "Inventory tracker,Inventory quantity,Continue selling when out of stock,Weight value (grams),"
    "Weight unit for display,Requires shipping,Fulfillment service,Product image URL,Image position,Image alt text,"
    "Variant image URL,Gift card,SEO title,SEO description,Fabric (product.metafields.custom.fabric),"
    "Color (product.metafields.shopify.color-pattern),Google Shopping / Age group,Included / Europe\n"
    "Tee,tee,<p>Soft</p>,Us,Apparel > Shirts,Shirts,new,TRUE,active,T-S,'0400,Size,S,,19.90,25,8.5,TRUE,,shopify,3,DENY,"
    "150,kg,TRUE,manual,https://x/2.png,2,Back,https://x/s.png,FALSE,A tee,About,Cotton,blue,adult,TRUE\n"
    ",tee,,,,,,,,T-M,,,M,,19.90,,,,,,1,,160,,,,https://x/1.png,1,Front,,,,,,,,\n"
)


def test_the_heads_that_shopify_writes_today_mean_the_same() -> None:
    file = ProductFile(io.BytesIO(SHOPIFY_2025.encode()), EUR)
    [tee] = file.part(10).products
    assert (file.look.format, tee.handle, tee.fields["category"]) == ("shopify", "tee", ["Apparel", "Shirts"])
    assert tee.fields["images"] == [
        {"url": "https://x/1.png", "alt": "Front"},
        {"url": "https://x/2.png", "alt": "Back"},
    ]
    told = {name: value for name, value in tee.fields["attributes"].items() if value}
    assert told == {"fabric": "Cotton", "shopify.color-pattern": "blue", "google.age_group": "adult",
                    "shopify.weight_unit": "kg"}  # fmt: skip
    assert tee.fields["attributes"]["shopify.taxable"] == ""
    assert [(v.sku, v.fields["price"], v.fields["weight_g"], v.stock) for v in tee.variants] == [
        ("T-S", "19.90", 150, 3),
        ("T-M", "19.90", 160, 1),
    ]
    assert tee.variants[0].fields["barcode"] == "0400"
    assert dict(file.look.columns)["Included / Europe"] == ""


def test_rows_without_a_sku_get_the_same_one_each_time() -> None:
    text = HEADER + (
        "cup,Cup,,,,,,Size,S/M,,,,1,,,,,\ncup,,,,,,,,S M,,,,2,,,,,\n" + f"{'x' * 300},Long,,,,,,,,,,,3,,,,,\n"
    )
    first, second = ([v.sku for p in read(text)[0] for v in p.variants] for _ in range(2))
    assert first == second
    assert first[0] == "cup-s-m"
    assert len(set(first)) == 3
    assert max(map(len, first)) <= 200


def test_a_mended_variant_row_alone_leaves_the_product_s_own_fields() -> None:
    [cup], _, _ = read(HEADER + "cup,,,,,,,,M,C-M,,,6.00,,,http://x/9.png,,\n")
    assert cup.fields == {"images_more": [{"url": "http://x/9.png", "alt": ""}]}
    assert [v.sku for v in cup.variants] == ["C-M"]


def test_rows_that_say_nothing_are_told() -> None:
    _, problems, _ = read(HEADER + ",Cup,,,,,,,,S,,,1.00,,,,,\ncup,Cup,,,,,,,,C,,,1,,,,,\ncup,,,,,,,,,,,,,,,,,\n")
    assert [(p.row, p.problem) for p in problems] == [
        (2, "The handle is missing."),
        (4, "The row has neither a variant nor an image."),
    ]


JSON_PRODUCTS = """{"products": [
  {"handle": "cup", "title": "Cup", "tags": ["a", "b, c"], "category": ["Home", "Cups"], "images": ["https://x/1.png"],
   "optionNames": ["Size"], "variants": [{"sku": "C-S", "price": 4.50, "optionValues": ["S"], "weightG": 100, "stock": 3}]},
  {"sku": "M", "title": "Mug", "price": "7"}, 5, {"title": "No SKU"}, {"handle": "h", "variants": "x"}
]}"""


def test_json_is_read_as_a_list_or_line_by_line() -> None:
    products, problems, _ = read(JSON_PRODUCTS)
    cup, mug = products
    assert (cup.fields["tags"], cup.fields["category"], cup.variants[0].fields["price"]) == (
        ["a", "b, c"], ["Home", "Cups"], "4.50",
    )  # fmt: skip
    assert (cup.variants[0].stock, cup.variants[0].fields["weight_g"], mug.variants[0].fields) == (
        3,
        100,
        {"price": "7"},
    )
    assert [p.row for p in problems] == [3, 4, 5]
    lines = '{"sku": "A", "title": "Cup", "price": 1}\n\n{"sku": "B", "title": "Mug", "price": 2}\n'
    assert [p.variants[0].sku for p in read(lines)[0]] == ["A", "B"]
    assert [p.variants[0].sku for p in read('[{"sku": "A", "x": "' + "y" * 200_000 + '"}, {"sku": "B"}]')[0]] == [
        "A",
        "B",
    ]


@pytest.mark.parametrize("text", ["[", '[{"sku": "A"', '{"products": [1', "[1 2}", "[" * 100_000, '{"sku": }'])
def test_json_that_breaks_off_is_refused(text: str) -> None:
    with pytest.raises(UnknownFormat, match="JSON"):
        read(text)


def excel(rows: Sequence[Sequence[Any]]) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_excel_is_read_as_the_table_that_it_shows() -> None:
    data = excel([[], ["SKU", "Title", "Price", "Barcode", "Stock", None], ["A", "Cup", 4.5, 4006381333931, 7],
                  [1001, "Mug", "2", None, None], [None, None, None]])  # fmt: skip
    file = ProductFile(io.BytesIO(data), EUR)
    cup, mug = file.part(10).products
    assert (file.look.format, cup.row, cup.variants[0].fields) == (
        "simple excel", 3, {"price": "4.5", "barcode": "4006381333931"},
    )  # fmt: skip
    assert (cup.variants[0].stock, mug.variants[0].sku, file.counts.blank) == (7, "1001", 1)


def test_excel_files_that_are_none_are_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("xl/workbook.xml", "<a")
    broken = excel([["sku", "price"], ["A", 1]])
    for data in (packed.getvalue(), broken[: len(broken) // 2], b"PK\x03\x04\x00\x00", excel([])):
        with pytest.raises(UnknownFormat):
            read(data)
    with pytest.raises(UnknownFormat, match=r"\.xlsx"):
        read(b"\xd0\xcf\x11\xe0" + b"\x00" * 100)


@pytest.mark.parametrize("text", ["\n", "a,b\n1,2\n", "PK\x03\x04\x00\x00", '"', "title,price\nCup,1\n"])
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(UnknownFormat):
        read(text)


def test_a_field_beyond_the_reader_s_limit_is_told_as_such() -> None:
    with pytest.raises(UnknownFormat, match="after row"):
        read(f"sku,title,price\nB,Y,1\nA,{'x' * 200_000},1\n")


fields = st.one_of(
    st.text(max_size=8), st.sampled_from(["A", "B", "1.00", "1e9", "Infinity", "NaN", "-0", "1e999999", "0.001", "'7"])
)
HEADS = ["sku,title,price,stock,weight_g,cost,handle,images,status,currency,category", HEADER.strip(),
         SHOPIFY_2025.split("\n")[0]]  # fmt: skip


def written(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


@quick
@given(st.sampled_from(HEADS), st.lists(st.lists(fields, max_size=20), max_size=6), st.sampled_from([".", ","]))
def test_every_row_of_any_kind_is_accounted_for(header: str, rows: list[list[str]], decimal: Any) -> None:
    products, problems, counts = read(written(header.split(","), rows), ReadOptions("EUR", decimal))
    skus = [v.sku for p in products for v in p.variants]
    assert len(skus) == len(set(skus)) == counts.variants
    handles = [p.handle for p in products if p.handle]
    assert len(handles) == len(set(handles))
    counted = counts.variants + counts.images + counts.blank
    assert counted <= counts.rows <= counted + len({p.row for p in problems})


@quick
@given(st.text(), st.sampled_from(["", "sku,title,price\n", HEADER, "[", '{"products": [']))
def test_no_text_is_a_crash(text: str, header: str) -> None:
    with suppress(UnknownFormat):
        read(header + text)


@quick
@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xfe", b"\xef\xbb\xbfsku\n", b"PK\x03\x04", b"{"]))
def test_no_bytes_are_a_crash(data: bytes, start: bytes) -> None:
    with suppress(UnknownFormat):
        read(start + data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["sku", "title", "price", "variants", "images", "tags", "options", "attributes", "stock", "handle"]
            ),
            inner,
        )
    ),
    max_leaves=20,
)


@quick
@given(st.lists(json_values, max_size=4))
def test_no_json_is_a_crash(values: list[Any]) -> None:
    import json

    with suppress(UnknownFormat):
        read(json.dumps(values))


@quick
@given(st.integers(0, 400), st.integers(0, 255))
def test_no_broken_excel_file_is_a_crash(place: int, byte: int) -> None:
    data = bytearray(EXCEL)
    data[place * len(data) // 401] = byte
    with suppress(UnknownFormat):
        read(bytes(data))


EXCEL = excel([["sku", "title", "price"], ["A", "Cup", 1], ["B", "Mug", 2.5]])


@given(st.text(), st.text())
def test_guarded_cells_come_back(text: str, code: str) -> None:
    assert cells.plain(cells.guarded(text.strip())) == text.strip()
    assert cells.code(cells.guarded_code(code.strip())) == code.strip()


@pytest.mark.parametrize("path", sorted(DATA.rglob("*.csv")) or [None], ids=lambda p: p.stem if p else "absent")
def test_of_files_of_real_shops_no_row_is_lost(path: Path | None) -> None:
    if path is None:
        pytest.skip(f"no files in {DATA}: set ENTREPOT_DATA")
    products, problems, counts = read(path.read_bytes(), ReadOptions("USD"))
    refused = {p.row for p in problems if "stock is left" not in p.problem}
    assert counts.variants + counts.images + counts.blank + len(refused) == counts.rows
    assert counts.variants == sum(len(p.variants) for p in products) > 0
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert (counts.rows, {p.handle for p in products}) == (len(rows), {row["Handle"] for row in rows})
    urls = {row["Image Src"].strip() for row in rows if row["Image Src"]}
    assert {image["url"] for p in products for image in p.fields["images"]} == urls
