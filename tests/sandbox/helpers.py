"""What sandbox tests share: small goods, a listener for webhooks, waiting."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.books import Buyer, Product, Sale

BUYER = Buyer("Ada Costa", "ada@example.com", "1 Mill Lane", "Lisbon", "1100-148", "PT")


def product(sku: str, stock: int = 10) -> Product:
    return Product(sku, f"Thing {sku}", Decimal("12.50"), "EUR", "", stock)


def sale(**units: int) -> Sale:
    return Sale(tuple(units.items()), BUYER)


@dataclass
class Ear:
    """Listens for webhooks: what came, and how it answers next (200 when nothing is said)."""

    url: str = ""
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def hear(self, request: Request) -> Response:
        self.heard.append((dict(request.headers), await request.body()))
        return Response(status_code=self.answers.pop(0) if self.answers else 200)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.heard]


async def until(true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait until something is so; fail if it does not become so."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    assert true()
