"""What Printful's headers tell of its leaky bucket. Pure."""

from __future__ import annotations

import re

from entrepot.channels.contract import LimitReading, Reply
from entrepot.connectors.printful.manifest import LIMIT_NAME

_POLICY = re.compile(r"\s*(\d{1,9})\s*;\s*w=(\d{1,9})\s*;?\s*")


def readings(reply: Reply) -> tuple[LimitReading, ...]:
    """Return what is left, how much goes in, and how fast it fills up, as far as the answer says so."""
    available = _number(reply.headers.get("x-ratelimit-remaining", ""))
    capacity = _number(reply.headers.get("x-ratelimit-limit", ""))
    policy = _POLICY.fullmatch(reply.headers.get("x-ratelimit-policy", ""))
    refill = int(policy[1]) / int(policy[2]) if policy and int(policy[2]) else None
    if available is None and capacity is None and refill is None:
        return ()
    return (LimitReading(LIMIT_NAME, available=available, capacity=capacity or None, refill_per_s=refill or None),)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text.strip()) else None
