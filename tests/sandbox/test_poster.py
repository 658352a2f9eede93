"""The poster against a server that hangs, closes and talks nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from entrepot_sandbox.poster import Poster


class Server:
    """Answers requests with what it is told: a status line and headers, or nothing at all."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.seen: list[bytes] = []
        self.lines = 0
        self.close_after_answer = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(v.split(b":")[1]) for v in head.split(b"\r\n") if v.startswith(b"content-length"))
                self.seen.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0) if self.answers else b"HTTP/1.1 204 No Content\r\n\r\n"
                if answer == b"hang":
                    await asyncio.sleep(30)
                writer.write(answer)
                await writer.drain()
                if self.close_after_answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Server, Poster, str]]:
    handler, poster = Server(), Poster()
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield handler, poster, f"http://127.0.0.1:{port}/hooks/a?b=c"
    poster.close()
    server.close()


async def test_a_connection_is_used_again() -> None:
    async with served() as (server, poster, url):
        server.answers = [
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
        ]
        assert await poster.post(url, {"x-topic": "orders"}, b"{}", 5) == 200
        assert await poster.post(url, {}, b"[1]", 5) == 500
        assert server.lines == 1
        assert server.seen[0].startswith(b"POST /hooks/a?b=c HTTP/1.1\r\nhost: 127.0.0.1:")
        assert b"\r\nx-topic: orders\r\n" in server.seen[0]
        assert server.seen[1].endswith(b"\r\n\r\n[1]")


async def test_one_that_was_closed_while_idle_is_replaced() -> None:
    async with served() as (server, poster, url):
        server.close_after_answer = True
        assert [await poster.post(url, {}, b"{}", 5) for _ in range(3)] == [204, 204, 204]
        assert len(server.seen) == 3


async def test_no_answer_in_time_nonsense_and_nobody_there_are_no_status() -> None:
    async with served() as (server, poster, url):
        server.answers = [b"hang", b"nonsense\r\n\r\n"]
        assert await poster.post(url, {}, b"{}", 0.2) == 0
        assert await poster.post(url, {}, b"{}", 5) == 0
        assert await poster.post(url, {}, b"{}", 5) == 204
    assert await poster.post(url, {}, b"{}", 5) == 0
