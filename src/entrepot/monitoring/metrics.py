"""Counters and histograms: registered here, once each, and rendered for `/metrics`. Each process serves its own."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder

REGISTRY = CollectorRegistry()
"""The hub's own metrics and those of its process; nothing that a library adds to the global registry."""

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    """Register a counter `entrepot_<name>_total`. Labels must have few values: never an id, never an address."""
    return Counter(f"entrepot_{name}", text, labels, registry=REGISTRY)


def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
    """Register a gauge `entrepot_<name>`."""
    return Gauge(f"entrepot_{name}", text, labels, registry=REGISTRY)


def histogram(
    name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS_BUCKETS
) -> Histogram:
    """Register a histogram `entrepot_<name>`; its name ends in its unit."""
    return Histogram(f"entrepot_{name}", text, labels, registry=REGISTRY, buckets=buckets)


def render(accept: str = "") -> tuple[bytes, str]:
    """Return (body, content type) of `/metrics` in the format that the Accept header prefers."""
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type
