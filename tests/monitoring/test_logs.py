"""Logs are one event a line and carry no secrets; metrics render as text."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from entrepot.monitoring import logs, metrics


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_secret_fields_are_hidden_at_any_depth(stream: io.StringIO) -> None:
    logs.configure("json", stream=stream)
    structlog.get_logger("x").info(
        "called",
        channel="shopify",
        access_token="hush1",
        request={"headers": {"Authorization": "hush2"}, "path": "/orders"},
        tries=[{"client_secret": "hush3"}],
        detail="sent Bearer hush4hush4 to https://me:hush5@host/x?access_token=hush6&page=2",
        key_id="k1",
    )
    line = json.loads(stream.getvalue())
    assert "hush" not in stream.getvalue()
    assert (line["event"], line["level"], line["channel"], line["key_id"]) == ("called", "info", "shopify", "k1")
    assert line["request"]["path"] == "/orders"
    assert line["detail"].endswith("&page=2")
    assert line["at"].endswith("Z")


def test_libraries_log_in_the_same_way(stream: io.StringIO) -> None:
    logs.configure("json", stream=stream)
    logging.getLogger("some.library").warning("password=hush %s", "now")
    logging.getLogger("httpx").info("HTTP Request: GET https://channel/?sign=hush")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["level"] == "warning"
    assert "hush" not in line


def test_plain_for_a_terminal_and_by_level(stream: io.StringIO) -> None:
    logs.configure("console", "warning", stream)
    log = structlog.get_logger()
    log.info("quiet")
    log.warning("loud", seconds=1, token="hush")
    assert "quiet" not in stream.getvalue()
    assert "hush" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_errors_carry_their_trace(stream: io.StringIO) -> None:
    logs.configure("json", stream=stream)
    try:
        raise ValueError("password=hush")
    except ValueError:
        structlog.get_logger().exception("broke")
    assert "ValueError" in json.loads(stream.getvalue())["exception"]
    assert "hush" not in stream.getvalue()


def test_metrics_render() -> None:
    made = metrics.counter("tests_run", "Tests", ("room",))
    made.labels("monitoring").inc()
    body, content_type = metrics.render()
    assert b'entrepot_tests_run_total{room="monitoring"} 1.0' in body
    assert b"process_cpu_seconds_total" in body
    assert content_type.startswith("text/plain")
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.counter("tests_run", "Tests")
