"""The documents of the project, and what is written in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "src" / "entrepot" / "connectors").glob("*/README.md"),
    ]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_COMMENT = re.compile(r"\s+#.*$")


def shell_lines(page: Path) -> list[str]:
    """Return the lines of the page's shell blocks in order, without prompts and comments."""
    blocks = [body for kind, body in _FENCE.findall(page.read_text()) if kind in ("sh", "console")]
    lines = (_COMMENT.sub("", line).strip().removeprefix("$ ") for block in blocks for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def prose(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def code_words(page: Path) -> list[str]:
    """Return what stands in `backticks` in the page's text."""
    return _INLINE.findall(prose(page))


def commands(page: Path, program: str) -> list[list[str]]:
    """Return the arguments of every call of `program` that the page shows, in blocks first and then in the text."""
    cron = [body for kind, body in _FENCE.findall(page.read_text()) if kind == "cron"]
    written = [*shell_lines(page), *(part for body in cron for part in body.split("&&")), *code_words(page)]
    found = []
    for text in written:
        start = re.match(rf"(?:[A-Za-z]+=)?(?:[\w./-]*/)?{program}\s+(?=\w|-)", text.strip())
        if start:
            found.append(shlex.split(text.strip()[start.end() :]))
    return found
