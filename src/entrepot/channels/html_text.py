"""Simple HTML, its plain text, and what is left of it where a channel takes few tags. Pure."""

from __future__ import annotations

import re
from collections.abc import Set
from html import escape
from html.parser import HTMLParser

_BREAKS = frozenset(
    {"p", "br", "div", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"}
)
_SILENT = frozenset({"script", "style", "template", "head", "title"})


class _Reader(HTMLParser):
    """Collects the text and the names of the tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.tags: set[str] = set()
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in _SILENT:
            self._silent += 1
        if tag in _BREAKS:
            self.parts.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in _BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        if tag in _BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(re.sub(r"\s+", " ", data))


def plain_text(html: str) -> str:
    """Return the text of simple HTML: paragraphs and breaks become lines, everything else of the mark-up goes."""
    reader = _read(html)
    lines = (re.sub(r" +", " ", line).strip() for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line)


def tags_of(html: str) -> frozenset[str]:
    """Return the names of the tags in it, in lower case."""
    return frozenset(_read(html).tags)


class _Keeper(HTMLParser):
    """Writes HTML again with some tags only; of the others the text stays, and a line ends where it did."""

    def __init__(self, allowed: Set[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._allowed = allowed
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in self._allowed:
            written = "".join(f' {name}="{escape(value or "")}"' for name, value in attrs)
            self.parts.append(f"<{tag}{written}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in self._allowed and tag != "br":
            self.parts.append(f"</{tag}>")
        elif tag in _BREAKS and tag not in self._allowed and "br" in self._allowed:
            self.parts.append("<br>")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(escape(data, quote=False))


def with_tags(html: str, allowed: Set[str]) -> str:
    """Return HTML with these tags only: of others the text stays. What holds no other is returned as it was written."""
    if tags_of(html) <= allowed:
        return html
    keeper = _Keeper(allowed)
    keeper.feed(html)
    keeper.close()
    return "".join(keeper.parts).strip()


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader
