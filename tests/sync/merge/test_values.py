"""Values of fields: one form each, so that what means the same compares equal and nothing else does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.channels.contract import image_key
from entrepot.sync.merge import values
from entrepot.sync.merge.values import EMPTY, FieldKind, InvalidValue, same


def test_text_ignores_white_space_and_the_unicode_form() -> None:
    assert values.text("  Caf\u0065\u0301\n au  lait ") == "Café au lait"
    assert values.text(None) is None
    assert values.text("  ") == EMPTY


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (
            "<p>Hello <b>you</b>  </p>\n<ul><li>x</li></ul>",
            "<P>Hello <strong>you</strong></P><ul> <li>x </li></ul>",
            True,
        ),
        ('<a href="x" class="y">z</a>', "<a class='y' href='x'>z</a>", True),
        ("Fish &amp; chips", "<p>Fish & chips</p>", True),
        ("<p></p><!-- note -->", "<p></p>", True),
        ("<br/>a", "<br>a", True),
        ("<p>One.</p><ul><li>Two</li></ul>", "One.\nTwo", True),
        ("<p>One.</p><p>Two</p>", "One. Three", False),
        ("<p>a</p>", "<p>b</p>", False),
        ("<p>a b</p>", "<p>ab</p>", False),
        ('<a href="x">z</a>', '<a href="y">z</a>', False),
        ("a &lt;b&gt; c", "a <b> c", False),
        ("", "<p>a</p>", False),
        ("", "  ", True),
    ],
)
def test_html_compares_what_it_shows(one: str, other: str, alike: bool) -> None:
    assert same(FieldKind.HTML, values.html(one), values.html(other)) is alike


@given(st.text(alphabet="<>pb/ a&;x=\"'!-"), st.text(alphabet="<>pb/ a&;x"))
def test_any_html_is_like_itself_and_comparing_is_symmetric(one: str, other: str) -> None:
    assert same(FieldKind.HTML, one, one)
    assert same(FieldKind.HTML, one, other) is same(FieldKind.HTML, other, one)


def test_money_is_exact_and_knows_its_currency() -> None:
    assert values.money("12.5", "EUR") == values.money(Decimal("12.50"), "EUR") == {"minor": 1250, "currency": "EUR"}
    assert values.money("12.5", "") is None
    assert values.money(None, "EUR") is None
    assert not values.comparable(FieldKind.MONEY, values.money(1, "EUR"), values.money(1, "USD"))
    assert values.comparable(FieldKind.TEXT, "a", "b")


def test_tags_are_a_set_and_images_a_list() -> None:
    assert values.tags([" b", "A", "a", ""]) == ["A", "b"]
    assert values.tags([]) == EMPTY
    assert values.tags(None) is None
    assert same(FieldKind.TAGS, ["A", "b"], ["B", "a"])
    assert not same(FieldKind.TAGS, ["A"], ["A", "b"])
    assert values.images([" u ", "u", "w"]) == ["u", "w"]
    assert same(FieldKind.IMAGES, ["https://x/1.jpg?v=2", "b"], ["https://x/1.jpg", "b"])
    assert not same(FieldKind.IMAGES, ["a", "b"], ["b", "a"])
    assert not same(FieldKind.IMAGES, ["a"], ["a", "b"])


def test_a_channels_copy_of_a_picture_is_that_picture() -> None:
    copy = f"https://cdn/77.jpg{values.SOURCE}{image_key('https://hub/1.jpg')}"
    assert same(FieldKind.IMAGES, ["https://hub/1.jpg"], [copy])
    assert not same(FieldKind.IMAGES, ["https://hub/2.jpg"], [copy])


def test_options_numbers_and_missing() -> None:
    assert values.options([("Size", " L "), ("", "x")]) == {"Size": "L"}
    assert values.options(()) == EMPTY
    assert values.options(None) is None
    assert values.number("1.500") == "1.5"
    assert values.number(0) == "0"
    assert values.number("1E+2") == "100"
    assert values.number(None) is None
    for text in ("x", "NaN"):
        with pytest.raises(InvalidValue):
            values.number(text)
    assert not same(FieldKind.TEXT, None, EMPTY)
    assert not same(FieldKind.MONEY, EMPTY, values.money(1, "EUR"))


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (FieldKind.TEXT, " a  b", "a b"),
        (FieldKind.HTML, " <p>a</p> ", "<p>a</p>"),
        (FieldKind.MONEY, "12.50 EUR", {"minor": 1250, "currency": "EUR"}),
        (FieldKind.MONEY, "12.5", {"minor": 1250, "currency": "USD"}),
        (FieldKind.MONEY, {"minor": 5, "currency": "EUR"}, {"minor": 5, "currency": "EUR"}),
        (FieldKind.TAGS, "b, a\nc", ["a", "b", "c"]),
        (FieldKind.TAGS, ["b", "a"], ["a", "b"]),
        (FieldKind.IMAGES, "u w", ["u", "w"]),
        (FieldKind.IMAGES, ["u"], ["u"]),
        (FieldKind.OPTIONS, "Size: L\nColour: Red", {"Size": "L", "Colour": "Red"}),
        (FieldKind.OPTIONS, {"Size": "L"}, {"Size": "L"}),
        (FieldKind.NUMBER, "1.50", "1.5"),
        (FieldKind.TAGS, [], EMPTY),
        (FieldKind.TEXT, None, EMPTY),
    ],
)
def test_what_a_person_enters_is_read(kind: FieldKind, given: Any, value: Any) -> None:
    assert values.parse(kind, given, "USD") == value


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (FieldKind.MONEY, "12.505 EUR"), (FieldKind.MONEY, "-1 EUR"), (FieldKind.MONEY, "cheap EUR"),
        (FieldKind.MONEY, {"minor": 1.5, "currency": "EUR"}), (FieldKind.MONEY, {"minor": 5}), (FieldKind.NUMBER, "x"),
        (FieldKind.TAGS, 5),
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused(kind: FieldKind, given: Any) -> None:
    with pytest.raises(InvalidValue):
        values.parse(kind, given, "EUR")


def test_an_amount_without_a_currency_says_how_to_write_it() -> None:
    with pytest.raises(InvalidValue, match="write it as"):
        values.parse(FieldKind.MONEY, "5")


def test_channels_cut_texts_and_copy_pictures() -> None:
    long = "A very long name of a thing that goes on and on"
    assert values.shown_as(FieldKind.TEXT, long, "A very long name of a thing…")
    assert not values.shown_as(FieldKind.TEXT, long, "A very short")
    assert not values.shown_as(FieldKind.TEXT, long, long + " and on")
    assert values.shown_as(FieldKind.IMAGES, ["a"], ["x"])
    assert not values.shown_as(FieldKind.IMAGES, ["a"], ["x", "y"])
    assert values.shown_as(FieldKind.IMAGES, ["a", "b", "c"], ["a", "b"])
    assert not values.shown_as(FieldKind.IMAGES, ["a", "b", "c"], ["b", "c"])
    assert not values.shown_as(FieldKind.MONEY, values.money(1, "EUR"), values.money(2, "EUR"))
    assert not values.shown_as(FieldKind.TEXT, None, "a")


def test_channels_leave_out_mark_up_and_numbers_that_are_no_barcodes() -> None:
    full = '<meta charset="utf-8"><p>Holds <span>tea</span></p>'
    assert values.shown_as(FieldKind.HTML, full, "<p>Holds tea</p>")
    assert values.shown_as(FieldKind.HTML, '<img src="x">', EMPTY)
    assert not values.shown_as(FieldKind.HTML, full, "<p>Holds coffee</p>")
    assert not values.shown_as(FieldKind.HTML, full, EMPTY)
    assert values.shown_as(FieldKind.BARCODE, "'30235", EMPTY)
    assert not values.shown_as(FieldKind.BARCODE, "'30235", "30236")
    assert not values.shown_as(FieldKind.BARCODE, "4006381333931", EMPTY)
    assert values.parse(FieldKind.BARCODE, " 4006381333931 ") == "4006381333931"
