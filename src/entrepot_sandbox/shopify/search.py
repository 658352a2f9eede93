"""The channel's search syntax as far as it is served: `field:value`, comparisons, AND, OR, NOT, parentheses.

A filter is compiled to a predicate over a function that looks up a field's values. A field that is not known is
ignored, as on the real channel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Lookup = Callable[[Any], object]
Predicate = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])
      | (?P<term>-?[\w.]+:(?:<=|>=|<|>)?(?:"[^"]*"|'[^']*'|[^\s()]+))
      | (?P<word>"[^"]*"|'[^']*'|[^\s()]+))""",
    re.VERBOSE,
)
_TERM = re.compile(r"(?P<no>-?)(?P<field>[\w.]+):(?P<op><=|>=|<|>)?(?P<value>.*)", re.DOTALL)


def compile_query(text: str | None, fields: Mapping[str, Lookup]) -> Predicate:
    """Return whether a thing matches `text`; an empty filter matches all."""
    tokens = [match for match in _TOKEN.finditer(text or "") if match.group().strip()]
    return _Parser(tokens, fields).parse() if tokens else _everything


def _everything(_: Any) -> bool:
    return True


class _Parser:
    def __init__(self, tokens: list[re.Match[str]], fields: Mapping[str, Lookup]) -> None:
        self._tokens, self._fields, self._at = tokens, fields, 0

    def parse(self) -> Predicate:
        parts = [self._all_of()]
        while self._word() == "OR":
            self._at += 1
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else lambda thing: any(part(thing) for part in parts)

    def _word(self) -> str:
        return self._tokens[self._at].group().strip() if self._at < len(self._tokens) else ""

    def _all_of(self) -> Predicate:
        parts = []
        while self._word() not in ("", "OR", ")"):
            if self._word() == "AND":
                self._at += 1
                continue
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda thing: all(part(thing) for part in parts)

    def _one(self) -> Predicate:
        word = self._word()
        self._at += 1
        if word == "NOT":
            inner = self._one() if self._word() else _everything
            return lambda thing: not inner(thing)
        if word == "(":
            inner = self.parse()
            self._at += 1
            return inner
        match = _TERM.fullmatch(word)
        if match is None:
            return _contains(self._fields, word.strip("\"'").lower())
        lookup = self._fields.get(match["field"])
        if lookup is None:
            return _everything
        test = _comparison(lookup, match["op"] or "=", match["value"].strip("\"'"))
        return (lambda thing: not test(thing)) if match["no"] else test


def _contains(fields: Mapping[str, Lookup], word: str) -> Predicate:
    lookup = fields.get("")
    return _everything if lookup is None else lambda thing: word in str(lookup(thing)).lower()


def _comparison(lookup: Lookup, operator: str, value: str) -> Predicate:
    moment = _moment(value)
    number = int(value) if value.lstrip("-").isdigit() else None

    def test(thing: Any) -> bool:
        actual = lookup(thing)
        if isinstance(actual, datetime):
            return moment is not None and _ordered(actual, operator, moment)
        if isinstance(actual, int):
            return number is not None and _ordered(actual, operator, number)
        if isinstance(actual, tuple):
            return value.lower() in actual
        return operator == "=" and _matches_text(str(actual).lower(), value.lower())

    return test


def _matches_text(actual: str, wanted: str) -> bool:
    return actual.startswith(wanted[:-1]) if wanted.endswith("*") else actual == wanted


def _ordered(actual: Any, operator: str, wanted: Any) -> bool:
    if operator == ">=":
        return bool(actual >= wanted)
    if operator == ">":
        return bool(actual > wanted)
    if operator == "<=":
        return bool(actual <= wanted)
    return bool(actual < wanted) if operator == "<" else bool(actual == wanted)


def _moment(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
