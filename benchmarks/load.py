"""A lean load generator: keep-alive clients over raw sockets, one request in flight each. Runs as its own process.

`python -m benchmarks.load PORT FILE CLIENTS SECONDS once|cycle`: FILE has whole HTTP requests, each after its length (4
bytes, big-endian). Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.report import percentile


def write_requests(path: Path, requests: Sequence[bytes]) -> None:
    """Write a file for this program."""
    with path.open("wb") as file:
        for request in requests:
            file.write(struct.pack(">I", len(request)) + request)


def read_requests(path: Path) -> list[bytes]:
    """Read what write_requests wrote."""
    data, position, requests = path.read_bytes(), 0, []
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        requests.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    return requests


class Client(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is complete."""

    def __init__(self, requests: Iterator[bytes], deadline: float, durations: list[float], kinds: Counter[int]) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests, self._deadline, self._durations, self._kinds = requests, deadline, durations, kinds
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._next()

    def _next(self) -> None:
        now = time.perf_counter()
        request = next(self._requests, None) if now < self._deadline else None
        assert self._transport is not None
        if request is None:
            self._transport.close()
            return
        self._sent_at = now
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        _, named, tail = head.lower().partition(b"content-length:")
        length = int(tail.split(b"\r\n", 1)[0]) if named else 0
        if len(rest) < length:
            return
        self._durations.append(time.perf_counter() - self._sent_at)
        self._kinds[int(head[9:12])] += 1
        self._buffer = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._kinds[0] += 1
        if not self.over.done():
            self.over.set_result(None)


async def run(port: int, requests: list[bytes], clients: int, seconds: float, *, once: bool) -> dict[str, float]:
    """Send requests for so many seconds (or until all are sent, `once`); return the figures."""
    source = iter(requests) if once else itertools.cycle(requests)
    durations: list[float] = []
    kinds: Counter[int] = Counter()
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Client(source, began + seconds, durations, kinds), "127.0.0.1", port)
        for _ in range(clients)
    ]
    await asyncio.gather(*(client.over for _, client in made))
    took = time.perf_counter() - began
    good = sum(count for status, count in kinds.items() if 200 <= status < 300)
    return {
        "good": good, "bad": sum(kinds.values()) - good, "seconds": took, "per_s": good / took,
        "p50_ms": percentile(durations, 0.5) * 1000, "p99_ms": percentile(durations, 0.99) * 1000,
    }  # fmt: skip


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    port, file, clients, seconds, mode = argv
    requests = read_requests(Path(file))
    print(json.dumps(uvloop.run(run(int(port), requests, int(clients), float(seconds), once=mode == "once"))))


if __name__ == "__main__":
    main(sys.argv[1:])
