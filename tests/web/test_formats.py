"""How pages write numbers, money, times and reasons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from entrepot.kernel.paging import InvalidCursor, decode_cursor, encode_cursor
from entrepot.web import formats
from entrepot.web.explaining import explain_lines

NOW = datetime(2026, 11, 20, 22, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago"), (-5, "just now")],
)
def test_ago(seconds: int, text: str) -> None:
    assert formats.ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_money_has_its_currency_and_places() -> None:
    assert formats.money(123450, "EUR") == "€\u00a01,234.50"
    assert formats.money(-5, "USD") == "−$\u00a00.05"
    assert formats.money(1234, "JPY") == "¥\u00a01,234"
    assert formats.money(100, "CHF") == "CHF\u00a01.00"
    assert formats.money(None, "EUR") == "–"


def test_moments_are_in_the_shops_zone() -> None:
    lisbon, tokyo = formats.zone("Europe/Lisbon"), formats.zone("Asia/Tokyo")
    assert formats.moment(NOW, lisbon, NOW) == "22:30:05"
    assert formats.moment(NOW, tokyo, NOW) == "07:30:05"
    assert formats.moment(NOW - timedelta(days=1), lisbon, NOW) == "19 Nov 22:30"
    assert formats.moment(NOW.replace(year=2024), lisbon, NOW) == "20 Nov 2024"
    assert formats.zone("Nowhere/Land") is UTC


@given(some.text(max_size=60), some.uuids(), some.datetimes(timezones=some.just(UTC)))
def test_a_cursor_comes_back_as_it_was(text: str, identifier: object, at: datetime) -> None:
    clean = text.encode("utf-8", "ignore").decode()
    key = decode_cursor(encode_cursor(clean, identifier, at), str, type(identifier), datetime)  # type: ignore[arg-type]
    assert key == (clean, identifier, at)


@given(some.text(max_size=60))
def test_anything_else_is_no_cursor(text: str) -> None:
    try:
        decode_cursor(text, str, datetime)
    except InvalidCursor:
        return
    assert text == ""


def test_reasons_read_as_lines() -> None:
    reason = {"strategy": "fixed_shares", "pool": 100, "share": 0.4, "steps": ["40% of 100 is 40", "buffer 2 off"]}
    assert explain_lines(reason) == [
        ("Strategy", "Fixed shares"),
        ("Pool to sell", "100"),
        ("Share", "40%"),
        ("", "40% of 100 is 40"),
        ("", "buffer 2 off"),
    ]


def test_schedules_read_as_words() -> None:
    assert formats.rhythm("*/5 * * * *") == "every 5 minutes"
    assert formats.rhythm("7 * * * *") == "every hour, 7 min past"
    assert formats.rhythm("* * * * *") == "every minute"
    assert formats.rhythm("20 0 * * *") == "every day at 00:20 UTC"
    assert formats.rhythm("0 3 * * 1") == "0 3 * * 1"


def test_a_measured_number_has_no_exponent() -> None:
    shown = {1560.4: "1,560", 0.2504: "0.25", 76.93: "76.9", 0.0: "0", 3.0: "3", 12345.6: "12,300", 0.00012: "0.00012"}
    assert {formats.figure(value): text for value, text in shown.items()} == {text: text for text in shown.values()}
    assert formats.figure(-1234.0, 2) == "−1,200"


@pytest.mark.parametrize(("value", "text"), [("10.0000", "10"), ("1.0800", "1.08"), ("100", "100"), ("-2.5", "-2.5")])
def test_numbers_without_zeros_at_their_end(value: str, text: str) -> None:
    assert formats.short(Decimal(value)) == text
