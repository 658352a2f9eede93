"""Estimates: tasks that are done a moment later."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.printful.answers import Json, body_of, data, list_of, not_found
from entrepot_sandbox.printful.books import Order
from entrepot_sandbox.printful.orders import Orders
from entrepot_sandbox.printful.production import missing_file
from entrepot_sandbox.printful.showing import Shower


@dataclass(slots=True)
class _Task:
    """An estimate. `ready_at`: by the monotonic clock."""

    id: str
    order: Order
    ready_at: float


class Estimates:
    """Works out what orders would cost. Nothing is ordered."""

    def __init__(
        self, orders: Orders, shower: Shower, chance: random.Random, monotonic: Callable[[], float], takes_s: float
    ) -> None:
        self._orders, self._shower, self._chance = orders, shower, chance
        self._monotonic, self._takes_s = monotonic, takes_s
        self._tasks: dict[str, _Task] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v2/order-estimation-tasks", self.create, methods=["POST"]),
            Route("/v2/order-estimation-tasks", self.get, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """Begin an estimate."""
        body = await body_of(request)
        items = [self._orders.read_item(each) for each in list_of(body, "order_items")]
        id = str(UUID(int=self._chance.getrandbits(128), version=4))
        task = _Task(id, self._orders.imagine(body, items), self._monotonic() + self._takes_s)
        self._tasks[id] = task
        return data(self._show(task))

    async def get(self, request: Request) -> Response:
        """Return what an estimate has come to."""
        task = self._tasks.get(request.query_params.get("id", ""))
        if task is None:
            raise not_found("There is no such estimation task.")
        return data(self._show(task))

    def _show(self, task: _Task) -> Json:
        wrong = missing_file(task.order)
        if self._monotonic() < task.ready_at:
            return {"id": task.id, "status": "pending", "costs": None, "retail_costs": None, "failure_reasons": []}
        if wrong:
            return {"id": task.id, "status": "failed", "costs": None, "retail_costs": None, "failure_reasons": [wrong]}
        costs = self._shower.costs(task.order, ready=True)
        retail = self._shower.retail(task.order, ready=True)
        return {"id": task.id, "status": "completed", "costs": costs, "retail_costs": retail, "failure_reasons": []}
