"""Identifiers: UUID version 7 (RFC 9562), so that keys grow with time and indexes stay dense."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from uuid import UUID

__all__ = ["UUID", "first_id_at", "made_at", "new_id"]

_last_ms = 0
_counter = 0


def new_id() -> UUID:
    """Return a UUIDv7 that sorts after every other one made by this process.

    Within one millisecond the 12 bits after the version count up (RFC 9562, 6.2 method 1), so ids made in
    a row keep their order; 62 random bits keep processes apart.
    """
    global _last_ms, _counter
    now_ms = time.time_ns() // 1_000_000
    if now_ms > _last_ms:
        _last_ms, _counter = now_ms, 0
    else:
        _counter += 1
        if _counter > 0xFFF:
            _last_ms, _counter = _last_ms + 1, 0
    random_bits = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return UUID(int=(_last_ms << 80) | (0x7 << 76) | (_counter << 64) | (0b10 << 62) | random_bits)


def first_id_at(moment: datetime) -> UUID:
    """Return the least id that could be made at that millisecond: for reading what was written from then on."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (0x7 << 76) | (0b10 << 62))


def made_at(id: UUID) -> datetime:
    """Return when that id was made, to the millisecond."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)
