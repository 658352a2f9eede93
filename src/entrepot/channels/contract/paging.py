"""A page of an incremental pull."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of an incremental pull.

    `cursor` is where to go on next time, at once if `more`, else at the next pull; it never goes back, and the
    next pull overlaps this one rather than leave a gap. `complete_until`: by the channel's clock, everything
    that was made up to then has been seen, whatever happened to it since: every order placed (set on the last page;
    None where this pull cannot say). On it rests what raises a quantity where a channel overwrites.
    """

    items: tuple[T, ...]
    cursor: str | None
    more: bool
    complete_until: datetime | None = None
