"""The HTTP client that all calls to channels go through, and its limits."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from entrepot import __version__


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Limits of calls to channels; times in seconds."""

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 20.0
    write_timeout_s: float = 20.0
    pool_timeout_s: float = 10.0
    pool_connections_max: int = 200
    keepalive_s: float = 3.0
    """Shorter than servers keep idle connections, so that a call seldom meets one that is just being closed."""
    in_flight_max: int = 8
    """Calls of one connection at the same time, in this process."""
    tries: int = 3
    backoff_first_s: float = 0.1
    backoff_max_s: float = 5.0
    call_total_max_s: float = 60.0
    """All waits and tries of one call together."""
    rate_wait_max_s: float = 10.0
    """A call that would wait longer for its rate limit fails with RateLimited at once."""
    answer_bytes_max: int = 64 * 1024 * 1024
    proxy: str | None = None


def host_of(url: httpx.URL) -> tuple[str, int | None]:
    """Return the host and port of an address, to compare where a call goes."""
    return url.host, url.port


def make_client(settings: TransportSettings) -> httpx.AsyncClient:
    """Return a client with these limits that follows no redirect and reads no proxy from the environment."""
    return httpx.AsyncClient(
        http2=False,
        follow_redirects=False,
        trust_env=False,
        proxy=settings.proxy,
        headers={"user-agent": f"Entrepot/{__version__}"},
        timeout=httpx.Timeout(
            connect=settings.connect_timeout_s,
            read=settings.read_timeout_s,
            write=settings.write_timeout_s,
            pool=settings.pool_timeout_s,
        ),
        limits=httpx.Limits(
            max_connections=settings.pool_connections_max,
            max_keepalive_connections=settings.pool_connections_max // 2,
            keepalive_expiry=settings.keepalive_s,
        ),
    )
