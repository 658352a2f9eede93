"""How long channels take to tell of a sale and to show a change: counted in buckets that grow by a tenth. Pure.

Counts of an hour can be added to those of others, so that quantiles over any window cost a sum; they are right within a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

LEAST_S = 0.01
GROWTH = 1.1
BUCKETS = 180
"""Up to LEAST_S * GROWTH**BUCKETS: three days."""


def bucket_of(seconds: float) -> int:
    """Return the bucket of a lag in seconds; a negative one (clocks differ) is the shortest."""
    if seconds <= LEAST_S:
        return 0
    return min(BUCKETS, math.ceil(math.log(seconds / LEAST_S) / math.log(GROWTH) - 1e-9))


def seconds_of(bucket: int) -> float:
    """Return the longest lag in seconds that a bucket holds."""
    return LEAST_S * GROWTH**bucket


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """Return the lag in seconds that this share of the counted ones does not exceed; None of nothing."""
    total = sum(counts.values())
    if total <= 0:
        return None
    left = max(1, math.ceil(total * share))
    for bucket in sorted(counts):
        left -= counts[bucket]
        if left <= 0:
            return seconds_of(bucket)
    return None
