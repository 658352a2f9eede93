"""How the text of a setting becomes a value. Each raises ValueError with what is wrong, without a full stop."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.ASCII)


def duration_s(value: Any) -> float:
    """Read `15min`, `30s`, `2h`, `1d`, `250ms` or a number of seconds; more than nothing."""
    match = _DURATION.fullmatch(str(value).lower()) if not isinstance(value, bool) else None
    if match is None or match[2] not in _UNITS_S:
        raise ValueError(f"{value!r} is not a duration such as 30s, 15min or 2h")
    seconds = float(match[1]) * _UNITS_S[match[2]]
    if not 0 < seconds < math.inf:
        raise ValueError(f"{value!r} must be longer than nothing")
    return seconds


def share(maximum: float) -> Callable[[Any], float]:
    """Return a reader of `40%` or `0.4`, from 0 to `maximum`."""

    def read(value: Any) -> float:
        text = str(value).strip()
        try:
            number = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            number = math.nan
        if isinstance(value, bool) or not math.isfinite(number):
            raise ValueError(f"{value!r} is not a number")
        if not 0 <= number <= maximum:
            limit = "100%" if maximum == 1 else f"{maximum:g}"
            raise ValueError(f"{value!r} must be from 0 to {limit}")
        return number

    return read


def chance(value: Any) -> float:
    """Read `95%` or `0.95`, from an even chance to 99.9%."""
    number = share(maximum=1)(value)
    if not 0.5 <= number <= 0.999:
        raise ValueError(f"{value!r} must be between 50% and 99.9%")
    return number


def whole(value: Any) -> int:
    """Read a whole number."""
    text = str(value).strip()
    if isinstance(value, bool) or re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) is None:
        raise ValueError(f"{value!r} is not a whole number")
    return int(text)


def at_least(minimum: int) -> Callable[[Any], int]:
    """Return a reader of whole numbers from `minimum` up."""

    def read(value: Any) -> int:
        number = whole(value)
        if number < minimum:
            raise ValueError(f"{number} is too small, the least is {minimum}")
        return number

    return read


def whole_up_to(most: int) -> Callable[[Any], int]:
    """Return a reader of whole numbers from 0 to `most`."""

    def read(value: Any) -> int:
        number = whole(value)
        if not 0 <= number <= most:
            raise ValueError(f"{number} must be from 0 to {most}")
        return number

    return read


def port(value: Any) -> int:
    """Read a TCP port; 0 means any free one."""
    number = whole(value)
    if not 0 <= number <= 65535:
        raise ValueError(f"{number} is not a port, they go from 0 to 65535")
    return number


def switch(value: Any) -> bool:
    """Read yes or no."""
    if isinstance(value, bool):
        return value
    known = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
    answer = known.get(str(value).strip().lower())
    if answer is None:
        raise ValueError(f"{value!r} is neither yes nor no")
    return answer


def non_empty(value: Any) -> str:
    """Read a text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text")
    return value.strip()


def text_list(value: Any) -> tuple[str, ...]:
    """Read a list of texts, or one text with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be a list of texts")
    return tuple(part.strip() for part in parts if part.strip())


def choice(*known: str) -> Callable[[Any], str]:
    """Return a reader of one of the known words."""

    def read(value: Any) -> str:
        word = str(value).strip().lower()
        if word not in known:
            raise ValueError(f"{value!r} is not one of {', '.join(known)}")
        return word

    return read


def folder(value: Any) -> Path:
    """Read the path of a folder."""
    return Path(non_empty(value)).expanduser()


def url(value: Any) -> str:
    """Read an http or https address."""
    text = non_empty(value)
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is not an address such as https://hub.example.com")
    return text


def postgres_url(value: Any) -> str:
    """Read the URL of a PostgreSQL database, without showing its password in an error."""
    text = non_empty(value)
    parts = urlsplit(text)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("must look like postgresql://user:password@host:5432/database")
    if not parts.path.strip("/"):
        raise ValueError("names no database: postgresql://user:password@host:5432/database")
    return text
