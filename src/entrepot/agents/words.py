"""The words that a task is found by. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

WORDS_MAX = 400
LENGTH_MAX = 60
_PART = re.compile(r"[^\W_]+")


def words_of(texts: Iterable[str]) -> list[str]:
    """Return the different words of these texts, lower-case and without accents, the first 400."""
    found: dict[str, None] = {}
    for text in texts:
        plain = unicodedata.normalize("NFKD", text.lower())
        plain = "".join(each for each in plain if not unicodedata.combining(each))
        for word in _PART.findall(plain):
            found[word[:LENGTH_MAX]] = None
            if len(found) >= WORDS_MAX:
                return list(found)
    return list(found)
