"""A running marketplace, a client that holds a token, and the official models."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator

from entrepot_sandbox.amazon import Amazon
from entrepot_sandbox.books import Buyer, Order, Sale
from entrepot_sandbox.server import Config, running

SPECS = Path(os.environ.get("ENTREPOT_SPECS", "../shared/specs")) / "amazon"
BUYER = Buyer("Grace Hopper", "grace@example.com", "Navy Yard 1", "Berlin", "10117", "DE")
SCALE = 2_000.0

Check = Callable[[str, str, Any], None]


@dataclass
class Client:
    """A client of the marketplace, and the marketplace itself."""

    http: httpx.AsyncClient
    market: Amazon

    @property
    def skus(self) -> list[str]:
        return list(self.market.state.shop.by_sku)

    @property
    def place(self) -> str:
        return self.market.state.place.id

    def items(self, sku: str = "") -> str:
        path = f"/amazon/listings/2021-08-01/items/{self.market.state.seller_id}"
        return f"{path}/{sku}" if sku else path

    async def patch(self, sku: str, quantity: Any, **more: Any) -> httpx.Response:
        value = [{"fulfillment_channel_code": "DEFAULT", "quantity": quantity}]
        operation = {"op": "replace", "path": "/attributes/fulfillment_availability", "value": value, **more}
        return await self.http.patch(
            self.items(sku),
            params={"marketplaceIds": self.place},
            json={"productType": "PRODUCT", "patches": [operation]},
        )

    def offer(self, sku: str, quantity: int) -> None:
        """Put units on offer at once."""
        self.market.state.shop.by_sku[sku].quantity = quantity

    def shown(self, sku: str) -> int:
        return self.market.state.shop.by_sku[sku].quantity

    def buy(self, *lines: tuple[str, int]) -> Order:
        order = self.market.place_order(Sale(lines, BUYER))
        assert order is not None
        return order


async def make_client(http: httpx.AsyncClient, market: Amazon) -> Client:
    given = market.accounts()[0].credentials
    answer = await http.post("/amazon/auth/o2/token", data={"grant_type": "refresh_token", **given})
    http.headers["x-amz-access-token"] = answer.json()["access_token"]
    return Client(http, market)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Time runs fast here, so that what takes minutes on the real channel takes milliseconds."""
    config = Config(seed=3, products=5, channels=("amazon",), time_scale=SCALE)
    async with running(config) as sandbox, httpx.AsyncClient(base_url=sandbox.url) as http:
        market = sandbox.sandbox.markets["amazon"]
        assert isinstance(market, Amazon)
        yield await make_client(http, market)


@pytest.fixture
async def slow_client() -> AsyncIterator[Client]:
    """Time runs as on the real channel."""
    async with (
        running(Config(seed=3, products=5, channels=("amazon",))) as sandbox,
        httpx.AsyncClient(base_url=sandbox.url) as http,
    ):
        market = sandbox.sandbox.markets["amazon"]
        assert isinstance(market, Amazon)
        yield await make_client(http, market)


@pytest.fixture(scope="session")
def official() -> Check:
    """Return a function that checks an answer: (model file, definition, answer). Unknown fields are wrong too."""
    if not SPECS.exists():
        pytest.skip(f"no official models at {SPECS}")

    def check(file: str, definition: str, answer: Any) -> None:
        definitions = json.loads((SPECS / file).read_text())["definitions"]
        for model in definitions.values():
            if model.get("properties"):
                model["additionalProperties"] = False
        validator = Draft4Validator({"definitions": definitions, "$ref": f"#/definitions/{definition}"})
        problems = [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(answer)]
        assert problems == []

    return check
