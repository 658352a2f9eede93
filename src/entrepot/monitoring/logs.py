"""Structured logs: one event a line, JSON for machines or plain for a terminal, secrets left out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

HIDDEN = "[hidden]"
_SECRET_NAME = re.compile(
    r"token|secret|passw|authori[sz]ation|cookie|credential|signature|api_?key|access_?key|private_?key|hmac|dsn|body$",
    re.IGNORECASE,
)
_HARMLESS_NAMES = frozenset({"token_expires_at", "token_fetched_at", "idempotency_key", "key_id"})
_SECRET_TEXT = re.compile(
    r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"
    r"|(://[^\s/:@]+:)[^\s/@]+(?=@)"
    r"|\b((?:access_|refresh_)?token|secret|password|signature|sign|api_key)=[^\s&\"']+"
)
_NOISY = ("httpx", "httpcore", "asyncio", "uvicorn.access")


def hide_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop the values of fields whose name sounds secret, at any depth, and secrets inside of texts."""
    for name in list(event):
        event[name] = _hidden(name, event[name])
    return event


def _hidden(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name) and name not in _HARMLESS_NAMES:
        return HIDDEN
    if isinstance(value, str):
        return _SECRET_TEXT.sub(_blank, value)
    if isinstance(value, MutableMapping):
        return {str(key): _hidden(str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hidden("", inner) for inner in value]
    return value


def _blank(match: re.Match[str]) -> str:
    kind, address, name = match.group(1), match.group(2), match.group(3)
    if kind:
        return f"{kind} {HIDDEN}"
    return f"{address}{HIDDEN}" if address else f"{name}={HIDDEN}"


def configure(
    format: Literal["json", "console"] = "console", level: str = "info", stream: TextIO | None = None
) -> None:
    """Send all logs, those of libraries too, to `stream` (standard error) in one format. Call it once per process."""
    target = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info if format == "json" else structlog.processors.UnicodeDecoder(),
        hide_secrets,
    ]
    render: Any = (
        structlog.processors.JSONRenderer()
        if format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=target.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the rich one shows local variables: secrets among them
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:  # they would write one line per call, with addresses that may carry signatures
        logging.getLogger(name).setLevel(logging.WARNING)
