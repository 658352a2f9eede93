"""`POST /api/multi-channel/inventory/reserve`: one web process, 16 keep-alive clients in another, 1,000 SKUs.

No worker runs: the events that reservations emit stay in the outbox.
"""

from __future__ import annotations

import json
import random

from benchmarks.hub import SKUS, Bench, load_http, processes, seed_catalog, sku
from benchmarks.load import write_requests
from benchmarks.report import Figures, Line
from entrepot.identity import facade as identity

CLIENTS = 16
WANTED_S = 1_500


async def measure(hub: Bench) -> tuple[Figures, list[Line]]:
    """Measure reservations over HTTP."""
    await seed_catalog(hub, SKUS)
    actor = identity.system_actor(hub.organisation)
    key = (await identity.create_api_key(hub.database, actor, "Benchmark", ["all"])).secret
    requests = [_request(key, number) for number in range(1, SKUS + 1)]
    random.Random(2).shuffle(requests)  # noqa: S311
    file = hub.folder / "reserve.requests"
    write_requests(file, requests)
    async with processes(hub.folder) as supervisor:
        await hub.start_web(supervisor)
        hub.say("Reservations over HTTP")
        await load_http(hub, file, clients=CLIENTS, seconds=max(1.0, hub.seconds / 5), once=False)
        found = await load_http(hub, file, clients=CLIENTS, seconds=hub.seconds, once=False)
    if found["bad"]:
        raise RuntimeError(f"{found['bad']} reservations were refused")
    figures = {"http_reserve_s": found["per_s"], "http_reserve_p99_ms": found["p99_ms"]}
    times = f"p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms; wanted {WANTED_S:,}/s"
    return figures, [Line("Reservations over HTTP, 16 clients, 1,000 SKUs", f"{found['per_s']:,.0f}/s", times)]


def _request(key: str, number: int) -> bytes:
    body = json.dumps({"sku": sku(number), "quantity": 1}).encode()
    head = (
        "POST /api/multi-channel/inventory/reserve HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
