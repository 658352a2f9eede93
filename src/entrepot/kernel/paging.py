"""Keyset paging: a list is read slice by slice, and an opaque cursor says where the next one starts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from entrepot.kernel.errors import InvalidInput

T = TypeVar("T")
Key = tuple[str | int | datetime | UUID, ...]

LIMIT_MAX = 250


class InvalidCursor(InvalidInput):
    """The cursor is not one that this list gave."""


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """Some items of a list; `next_cursor` is None at its end."""

    items: tuple[T, ...]
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Counted:
    """A count that stopped at a limit: `exact` is False if there are more than `count`."""

    count: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.count:,}" if self.exact else f"{self.count:,}+"


def counted(count: int, limit: int) -> Counted:
    """Return the count of a query that was limited to `limit + 1` rows."""
    return Counted(min(count, limit), exact=count <= limit)


def encode_cursor(*key: str | int | datetime | UUID) -> str:
    """Return the cursor of a row by its sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(cursor: str | None, *types: type) -> Key | None:
    """Return the sort key of a cursor, or None if there is no cursor. Raises InvalidCursor."""
    if not cursor:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        shape = tuple[types]  # type: ignore[valid-type]
        key: Key = msgspec.json.decode(raw, type=shape)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise InvalidCursor from None
    return key


def slice_of(rows: Sequence[T], limit: int, cursor_of: Key | None) -> Slice[T]:
    """Return a slice from up to `limit + 1` rows; `cursor_of` is the key of row number `limit`."""
    if len(rows) > limit and cursor_of is not None:
        return Slice(tuple(rows[:limit]), encode_cursor(*cursor_of))
    return Slice(tuple(rows[:limit]))


def bounded(limit: int) -> int:
    """Return a page size between 1 and LIMIT_MAX."""
    return max(1, min(limit, LIMIT_MAX))


def earliest_id(at: datetime) -> UUID:
    """Return the smallest UUIDv7 of that moment: ids made since sort after it."""
    return UUID(int=(int(at.timestamp() * 1000) << 80) | (0x7 << 76) | (0b10 << 62))
