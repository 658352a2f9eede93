"""A hub reduced to its embedded server, for tests that kill it: prints the URL and the process ids, then waits."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from entrepot.database.embedded import EmbeddedServer


async def main() -> None:
    server = EmbeddedServer(Path(sys.argv[1]), durable=False)
    print(server.start(), server.pid, flush=True)
    try:
        await server.watch(lambda sentence: print(sentence, flush=True))
    finally:
        server.stop()


asyncio.run(main())
