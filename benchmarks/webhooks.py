"""Webhooks: signed Shopify orders of about 3 KB over HTTP until they are reserved; one web and one worker process.

The shop's API is not there (the worker's polls of it fail and wait), and nothing is listed: what is measured is
accepting and reserving. An order counts as reserved when another connection sees it committed; latency runs from the
inbox row's `received_at` and is rounded up to the next look, 20 ms apart.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import time
from typing import Any
from uuid import UUID

from benchmarks.hub import SKUS, Bench, load_http, processes, seed_catalog, sku
from benchmarks.load import write_requests
from benchmarks.report import Figures, Line, percentile
from entrepot.channels import facade as channels
from entrepot.channels.contracts import NewConnection
from entrepot.channels.vault import Vault
from entrepot.connectors import registry
from entrepot.kernel.clock import utc_now
from entrepot.processes import free_port
from entrepot.secret_key import secret_keys

CLIENTS = 16
SECRET = "a secret of the benchmark only"
PER_SECOND_MOST = 2_500
"""How many orders are made ready for each second of sending."""
LOOK_S = 0.02
GIVE_UP_S = 120.0


async def connect(hub: Bench, channel: str, name: str, values: dict[str, str]) -> UUID:
    """Connect an account at a simulator that is not there; return the connection."""
    keys = secret_keys(hub.settings)
    async with hub.database.transaction(hub.organisation) as tx:
        new = NewConnection(channel, name, "simulated", values)
        made = await channels.connect(tx, Vault(keys.keys, keys.active), registry.connector_of(channel), new)
    return made.id


def shop_values(shop: str) -> dict[str, str]:
    """Return what a person would enter for a Shopify shop."""
    return {
        "shop": shop, "location_id": "1", "access_token": "none", "client_secret": SECRET,
        "simulator_url": f"http://127.0.0.1:{free_port()}",
    }  # fmt: skip


async def measure(hub: Bench) -> tuple[Figures, list[Line]]:
    """Measure acceptance, then reservation."""
    await seed_catalog(hub, SKUS)
    connection = await connect(hub, "shopify", "Benchmark", shop_values("benchmark.example"))
    hub.say("Signing webhooks")
    rng = random.Random(3)  # noqa: S311
    count = int(hub.seconds * PER_SECOND_MOST)
    requests = [_request(connection, number, rng.randint(1, SKUS)) for number in range(1, count + 1)]
    file = hub.folder / "webhooks.requests"
    write_requests(file, requests)
    size = len(requests[0].partition(b"\r\n\r\n")[2])
    async with processes(hub.folder) as supervisor:
        await hub.start_web(supervisor)
        await hub.start_worker(supervisor)
        await asyncio.sleep(2)
        hub.say("Webhooks")
        looks: list[Look] = [(time.time(), 0)]
        watching = asyncio.create_task(_watch(hub, looks))
        try:
            sent = await load_http(hub, file, clients=CLIENTS, seconds=hub.seconds, once=True)
            await _until_all(watching, looks, sent["good"])
        finally:
            watching.cancel()
    if sent["bad"]:
        raise RuntimeError(f"{sent['bad']} webhooks were refused")
    async with hub.database.transaction(hub.organisation) as tx:
        rows = await tx.fetch(
            "select received_at from webhook_inbox where organisation_id = $1 order by id", tx.organisation
        )
        unreserved = await tx.fetch_value(
            "select count(*) from order_line where organisation_id = $1 and reserved <> quantity", tx.organisation
        )
    if unreserved:
        raise RuntimeError(f"{unreserved} order lines are not reserved")
    received = [row[0].timestamp() for row in rows]
    waits = _waits(received, looks)
    reserved_s = len(received) / (looks[-1][0] - received[0])
    p50, p99 = percentile(waits, 0.5) * 1000, percentile(waits, 0.99) * 1000
    figures = {
        "webhook_accepted_s": sent["per_s"], "webhook_reserved_s": reserved_s, "webhook_reserved_p99_ms": p99,
        "webhook_reserved_p50_ms": p50,
    }  # fmt: skip
    return figures, [
        Line(f"Webhooks accepted, {size:,} bytes, the worker at work", f"{sent['per_s']:,.0f}/s",
             f"p99 {sent['p99_ms']:.1f} ms; wanted 1,000/s"),
        Line("Orders reserved from them", f"{reserved_s:,.0f}/s",
             f"p50 {p50:,.0f} ms, p99 {p99:,.0f} ms after acceptance; wanted 500/s"),
    ]  # fmt: skip


Look = tuple[float, int]


async def _watch(hub: Bench, looks: list[Look]) -> None:
    """Note how many orders are committed at which time (epoch seconds), until cancelled."""
    while True:
        async with hub.database.transaction(hub.organisation) as tx:
            count = await tx.fetch_value("select count(*) from sales_order where organisation_id = $1", tx.organisation)
        if count > looks[-1][1]:
            looks.append((time.time(), count))
        await asyncio.sleep(LOOK_S)


async def _until_all(watching: asyncio.Task[None], looks: list[Look], count: int) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    while looks[-1][1] < count:
        if watching.done() or time.monotonic() > deadline:
            raise TimeoutError(f"{looks[-1][1]} of {count} orders were reserved within {GIVE_UP_S:g} s")
        await asyncio.sleep(LOOK_S)


def _waits(received: list[float], seen: list[Look]) -> list[float]:
    """Return the seconds that each order waited: the inbox is worked through in the order of arrival."""
    waits: list[float] = []
    for at, count in seen[1:]:
        waits += [at - moment for moment in received[len(waits) : count]]
    return waits


def _request(connection: UUID, number: int, variant: int) -> bytes:
    body = json.dumps(order(number, variant)).encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    head = (
        f"POST /webhooks/{connection} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"x-shopify-topic: orders/create\r\nx-shopify-event-id: event-{number}\r\nx-shopify-hmac-sha256: {signature}\r\n"
        f"x-shopify-shop-domain: benchmark.example\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def order(number: int, variant: int) -> dict[str, Any]:
    """Return an order as Shopify's orders/create sends it, about 3 KB."""
    now = utc_now().isoformat(timespec="seconds")
    address = {
        "name": "Ada Byron", "first_name": "Ada", "last_name": "Byron", "company": None, "address1": "1 Mill Lane",
        "address2": None, "city": "Leeds", "province": "England", "province_code": "ENG", "zip": "LS1 1AA",
        "country": "United Kingdom", "country_code": "GB", "phone": None, "latitude": 53.8, "longitude": -1.5,
    }  # fmt: skip

    def money(amount: str) -> dict[str, Any]:
        one = {"amount": amount, "currency_code": "EUR"}
        return {"shop_money": one, "presentment_money": one}

    line = {
        "id": number, "name": f"Mug {variant}", "title": "Mug", "sku": sku(variant), "quantity": 1,
        "current_quantity": 1, "fulfillable_quantity": 1, "variant_id": variant, "price": "12.50",
        "price_set": money("12.50"), "product_id": variant, "requires_shipping": True, "taxable": True, "grams": 350,
        "fulfillment_service": "manual", "gift_card": False, "total_discount": "0.00", "vendor": "Mill",
        "properties": [], "duties": [], "discount_allocations": [],
        "tax_lines": [{"price": "2.08", "rate": 0.2, "title": "VAT", "price_set": money("2.08")}],
    }  # fmt: skip
    return {
        "id": number, "admin_graphql_api_id": f"gid://shopify/Order/{number}", "name": f"#{number}",
        "order_number": number, "created_at": now, "updated_at": now, "processed_at": now, "cancelled_at": None,
        "cancel_reason": None, "closed_at": None, "confirmed": True, "currency": "EUR", "presentment_currency": "EUR",
        "email": "ada@example.com", "contact_email": "ada@example.com", "buyer_accepts_marketing": False,
        "source_identifier": None, "source_name": "web", "financial_status": "paid", "fulfillment_status": None,
        "current_total_price": "16.00", "total_price": "16.00", "subtotal_price": "12.50", "total_tax": "2.08",
        "current_total_tax": "2.08", "current_total_discounts": "0.00", "total_discounts": "0.00",
        "total_price_set": money("16.00"), "total_shipping_price_set": money("3.50"), "test": False, "tags": "",
        "landing_site": "/", "note": None, "note_attributes": [], "payment_gateway_names": ["card"],
        "customer": {"id": number, "email": "ada@example.com", "first_name": "Ada", "last_name": "Byron",
                     "default_address": address},
        "shipping_address": address, "billing_address": address, "line_items": [line],
        "shipping_lines": [{"id": number, "code": "Standard", "price": "3.50", "price_set": money("3.50")}],
        "discount_codes": [], "fulfillments": [], "refunds": [],
    }  # fmt: skip
