"""A running shop, a client for it, and an ear for its webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.books import Buyer, Order, Sale
from entrepot_sandbox.server import Config, bind, running, server_of
from entrepot_sandbox.shopify import Shopify
from entrepot_sandbox.shopify.ids import gid

PATH = "/shopify/admin/api/2026-10/graphql.json"
BUYER = Buyer("Ada Byron King", "ada@example.com", "St James's Square 12", "London", "SW1Y 4JH", "GB")


@dataclass
class Client:
    """A client of the shop, and the shop itself."""

    http: httpx.AsyncClient
    market: Shopify
    key_count: int = 0

    @property
    def skus(self) -> list[str]:
        return list(self.market.state.shop.by_sku)

    def item(self, sku: str) -> str:
        return gid("InventoryItem", self.market.state.shop.by_sku[sku].keys["item"])

    @property
    def location(self) -> str:
        return str(self.market.accounts()[0].settings["location_id"])

    async def post(self, text: str, /, **variables: Any) -> dict[str, Any]:
        answer = await self.http.post(PATH, json={"query": text, "variables": variables})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def ask(self, text: str, /, **variables: Any) -> dict[str, Any]:
        """Return the data; there must be no errors."""
        body = await self.post(text, **variables)
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    async def set(self, *rows: tuple[str, int, int | None], key: str | None = None, **more: Any) -> dict[str, Any]:
        """Set (SKU, quantity, changeFromQuantity) rows; return the payload."""
        self.key_count += 1
        wanted = {
            "name": "available",
            "reason": "correction",
            "quantities": [
                {
                    "inventoryItemId": self.item(sku),
                    "locationId": self.location,
                    "quantity": quantity,
                    "changeFromQuantity": expected,
                }
                for sku, quantity, expected in rows
            ],
            **more,
        }
        data = await self.ask(SET, input=wanted, key=key or f"key-{self.key_count}")
        payload: dict[str, Any] = data["inventorySetQuantities"]
        return payload

    def shown(self, sku: str) -> int:
        return int(self.market.state.shop.by_sku[sku].quantity)

    def buy(self, *lines: tuple[str, int]) -> Order:
        order = self.market.place_order(Sale(lines, BUYER))
        assert order is not None
        return order


SET = """
mutation Set($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id reason referenceDocumentUri changes { name delta quantityAfterChange } }
    userErrors { code field message }
  }
}
"""


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with running(Config(seed=3, products=5, channels=("shopify",))) as sandbox:
        market = sandbox.sandbox.markets["shopify"]
        assert isinstance(market, Shopify)
        headers = {"X-Shopify-Access-Token": market.accounts()[0].credentials["access_token"]}
        async with httpx.AsyncClient(base_url=sandbox.url, headers=headers) as http:
            yield Client(http, market)


@dataclass
class Heard:
    """What arrived at `url`: (headers, body)."""

    url: str
    arrived: asyncio.Queue[tuple[dict[str, str], bytes]] = field(default_factory=asyncio.Queue)

    async def next(self) -> tuple[dict[str, str], bytes]:
        async with asyncio.timeout(5):
            return await self.arrived.get()


@asynccontextmanager
async def listening() -> AsyncIterator[Heard]:
    bound = bind(0)
    heard = Heard(f"http://127.0.0.1:{bound.getsockname()[1]}/hooks")

    async def take(request: Request) -> Response:
        await heard.arrived.put((dict(request.headers), await request.body()))
        return Response(status_code=200)

    server = server_of(Starlette(routes=[Route("/hooks", take, methods=["POST"])]))
    task = asyncio.get_running_loop().create_task(server._serve([bound]))
    try:
        yield heard
    finally:
        server.should_exit = True
        await task
        bound.close()


@pytest.fixture
async def ear() -> AsyncIterator[Heard]:
    async with listening() as heard:
        yield heard
