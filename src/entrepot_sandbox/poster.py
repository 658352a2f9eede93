"""Posts webhooks over kept-open connections. Lean, as the simulator sends thousands beside everything else it does."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import urlsplit

import httptools

_READ_MAX = 65_536
_Place = tuple[str, int, bool]


class _Answer:
    """What the parser has seen of an answer."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.complete = False
        self.status = 0
        self.keep = False

    def on_headers_complete(self) -> None:
        """All but the body is known; later the parser has forgotten it."""
        self.status, self.keep = self.parser.get_status_code(), self.parser.should_keep_alive()

    def on_message_complete(self) -> None:
        """The answer has ended."""
        self.complete = True


class _Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.fresh = True

    async def exchange(self, request: bytes) -> tuple[int, bool]:
        """Send a request and read its answer whole; return (status, whether the connection may be used again)."""
        answer = _Answer()
        self.writer.write(request)
        while not answer.complete:
            data = await self.reader.read(_READ_MAX)
            if not data:
                raise ConnectionResetError("closed before the answer was complete")
            answer.parser.feed_data(data)
        self.fresh = False
        return answer.status, answer.keep


class Poster:
    """Sends POST requests; the connections stay open for the next."""

    def __init__(self) -> None:
        self._idle: defaultdict[_Place, list[_Line]] = defaultdict(list)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> int:
        """Return the status of the answer, or 0 if none came in time."""
        told = urlsplit(url)
        secure = told.scheme == "https"
        place = (told.hostname or "", told.port or (443 if secure else 80), secure)
        target = (told.path or "/") + (f"?{told.query}" if told.query else "")
        lines = [f"POST {target} HTTP/1.1", f"host: {told.netloc}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        try:
            async with asyncio.timeout(timeout_s):
                return await self._send(place, request)
        except (OSError, httptools.HttpParserError):
            return 0

    async def _send(self, place: _Place, request: bytes) -> int:
        while True:
            line = self._idle[place].pop() if self._idle[place] else await self._open(place)
            try:
                status, keep = await line.exchange(request)
            except ConnectionError:
                line.writer.close()
                if line.fresh:
                    raise
                continue  # The other side had closed it while it was idle.
            except BaseException:
                line.writer.close()
                raise
            if keep:
                self._idle[place].append(line)
            else:
                line.writer.close()
            return status

    async def _open(self, place: _Place) -> _Line:
        host, port, secure = place
        return _Line(*await asyncio.open_connection(host, port, ssl=secure or None))

    def close(self) -> None:
        """Close all idle connections."""
        for lines in self._idle.values():
            for line in lines:
                line.writer.close()
        self._idle.clear()
