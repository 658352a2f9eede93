"""A tiny HTTP server on loopback that keeps what is delivered to it, for webhooks of simulated marketplaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery; header names in lower case."""

    body: bytes
    headers: dict[str, str]


@dataclass(slots=True)
class Listener:
    """What came to `url`."""

    url: str = ""
    deliveries: list[Delivery] = field(default_factory=list)
    answer: Callable[[dict[str, str]], bytes | None] = lambda query: None
    """What a GET is answered with, by its query; None: 404."""
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, count: int, timeout_s: float = 10) -> list[Delivery]:
        """Return the deliveries as soon as there are so many."""
        async with asyncio.timeout(timeout_s), self._came:
            await self._came.wait_for(lambda: len(self.deliveries) >= count)
        return self.deliveries

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            pairs = [line.split(":", 1) for line in head.split("\r\n")[1:] if ":" in line]
            headers = {name.lower(): value.strip() for name, value in pairs}
            if head.startswith("GET "):
                await self._tell(head.split(" ")[1], writer)
                return
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
        finally:
            writer.close()
        async with self._came:
            self.deliveries.append(Delivery(body, headers))
            self._came.notify_all()

    async def _tell(self, target: str, writer: asyncio.StreamWriter) -> None:
        told = self.answer(dict(parse_qsl(urlsplit(target).query)))
        status = b"404 Not Found" if told is None else b"200 OK"
        body = told or b""
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        writer.write(head % (status, len(body)) + body)
        await writer.drain()


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """Listen on a free port of 127.0.0.1 while the block runs."""
    listener = Listener()
    server = await asyncio.start_server(listener._take, "127.0.0.1", 0)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhooks/in"
    async with server:
        yield listener
