"""What an answer's status, headers and body mean, whatever the channel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.connectors.scripted import reply

from entrepot.channels import replies
from entrepot.channels.contract import RateLimited, Reply, RequestRejected, UnexpectedAnswer
from entrepot.connectors import registry


@settings(deadline=None)
@given(st.integers(100, 999), st.binary(max_size=40), st.text(max_size=20))
def test_any_answer_is_a_success_or_an_error(status: int, body: bytes, retry_after: str) -> None:
    answer = Reply(status, {"retry-after": retry_after, "date": retry_after}, body)
    error = replies.error_of_status(answer)
    assert (error is None) == (200 <= status < 300)
    seconds = replies.retry_after_s(answer)
    assert seconds is None or seconds >= 0


def test_an_error_repeats_the_channels_words_shortly() -> None:
    error = replies.error_of_status(reply({"errors": [{"code": "X1", "detail": "Bad\n quantity"}]}, 422))
    assert isinstance(error, RequestRejected)
    assert error.detail == "The channel answered 422: Bad quantity"
    assert error.code == "422"
    long = replies.error_of_status(reply({"message": "x" * 5000}, 400))
    assert long is not None
    assert len(long.detail) < 400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12.0),
        (" 0.5 ", 0.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Fri, 20 Nov 2026 11:59:00 GMT", 0.0),
        ("Fri, 20 Nov 2026 12:00:10 GMT", 10.0),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    error = replies.error_of_status(reply({}, 429, retry_after=text))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == seconds


def test_a_retry_date_without_the_channels_date_says_nothing() -> None:
    answer = Reply(429, {"retry-after": "Fri, 20 Nov 2026 12:00:10 GMT"}, b"")
    assert replies.retry_after_s(answer) is None


def test_fractions_are_decimal() -> None:
    assert replies.json_of(reply(b'{"price": 19.90, "n": 3}')) == {"price": Decimal("19.90"), "n": 3}


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b'{"a":', b"[" * 100_000])
def test_no_json_is_an_unexpected_answer(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        replies.json_of(reply(body))


def test_times_are_aware_utc() -> None:
    time = replies.parse_time("2026-11-20T13:00:00.123456+01:00")
    assert time == datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)
    assert time.utcoffset() == timedelta(0)
    assert replies.parse_time("2026-11-20T12:00:00Z").tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-20T12:00:00", "2026-11-20", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_cannot_be_placed_is_an_unexpected_answer(text: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        replies.parse_time(text)


def test_an_unknown_channel_is_told_with_the_known_ones() -> None:
    with pytest.raises(registry.UnknownChannel, match="shopify"):
        registry.connector_of("nowhere")
