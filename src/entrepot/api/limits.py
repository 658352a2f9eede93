"""How many requests an actor may send: a token bucket each, in the memory of this process.

Generous on purpose: it keeps one runaway script from starving the others, it is no quota. With several web
processes each counts for itself.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from entrepot.kernel.errors import TooManyRequests

BURST = 10_000
REFILL_PER_S = 4_000.0
_ACTORS_MAX = 10_000

Headers = tuple[tuple[bytes, bytes], ...]


class RateExceeded(TooManyRequests):
    """Too many requests from this key: slow down."""


class RateLimiter:
    """Buckets by actor. `monotonic` tells seconds."""

    def __init__(
        self, burst: int = BURST, refill_per_s: float = REFILL_PER_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._refill_per_s = refill_per_s
        self._monotonic = monotonic
        self._buckets: OrderedDict[UUID, tuple[float, float]] = OrderedDict()
        window_s = max(1, math.ceil(burst / refill_per_s))
        self._policy = (b"ratelimit-policy", f'"actor";q={burst};w={window_s}'.encode())

    def take(self, actor_id: UUID) -> Headers:
        """Take one token and return the RateLimit headers (draft-ietf-httpapi-ratelimit-headers).

        Raises RateExceeded with `retry_after_s`.
        """
        now = self._monotonic()
        tokens, at = self._buckets.get(actor_id, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) * self._refill_per_s)
        if tokens < 1:
            self._buckets[actor_id] = (tokens, now)
            raise RateExceeded(retry_after_s=max(1, math.ceil((1 - tokens) / self._refill_per_s)))
        self._buckets[actor_id] = (tokens - 1, now)
        if len(self._buckets) > _ACTORS_MAX:
            self._buckets.popitem(last=False)
        full_in_s = math.ceil((self._burst - tokens + 1) / self._refill_per_s)
        return (self._policy, (b"ratelimit", f'"actor";r={int(tokens - 1)};t={full_in_s}'.encode()))
