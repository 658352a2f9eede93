"""A simulated shop system: the Admin GraphQL API 2026-10 with its webhooks.

Quantities are set by compare-and-set under a mandatory idempotency key, calls cost points, webhooks are signed with
the app's client secret. One location; products can be written, with several variants each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot_sandbox.books import Order, Sale
from entrepot_sandbox.marketplace import Account, Desk, Operation
from entrepot_sandbox.sheets import Edit, apply
from entrepot_sandbox.shopify import ids, webhooks, writing
from entrepot_sandbox.shopify.api import Endpoint
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.products import sheet_of
from entrepot_sandbox.shopify.state import DOMAIN, Refund, State

_FAULT_WORDS = {
    429: "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service.",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Shopify:
    """The marketplace as the sandbox sees it."""

    key = "shopify"

    def __init__(self, desk: Desk) -> None:
        self.state = State(desk)
        self.endpoint = Endpoint(self.state)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the one endpoint."""
        return [Route("/admin/api/{version}/graphql.json", self.endpoint.__call__, methods=["POST"])]

    def accounts(self) -> Sequence[Account]:
        """Return the shop with the app's token and secret."""
        return [
            Account(
                channel=self.key,
                name="Entrepot Demo",
                settings={"shop": DOMAIN, "location_id": gid("Location", ids.LOCATION)},
                credentials={
                    "access_token": self.state.access_token,
                    "client_secret": self.state.client_secret,
                },
            )
        ]

    def operation(self, method: str, path: str) -> Operation:
        """Return the endpoint: what is asked of it is in the body, so any call may write quantities."""
        return Operation("graphql", writes_quantity=True)

    def fault_answer(self, status: int, retry_after_s: float) -> Response:
        """Return an HTTP error as the channel words it."""
        headers = {"Retry-After": f"{retry_after_s:.1f}"} if status in (429, 503) else {}
        body = msgspec.json.encode({"errors": _FAULT_WORDS.get(status, "Error")})
        return Response(body, status, headers, "application/json; charset=utf-8")

    def place_order(self, sale: Sale) -> Order | None:
        """Sell, commit the units and tell subscribers; None if a listing shows too little."""
        state = self.state
        serial = len(state.shop.orders) + 1
        first_line = ids.LINE + serial * ids.LINES_PER_ORDER_MAX
        line_ids = [str(first_line + index) for index in range(len(sale.lines))]
        order: Order | None = state.shop.sell(sale, str(ids.ORDER + serial * ids.STEP), line_ids)
        if order is None:
            return None
        for line in order.lines:
            state.commit(line.listing, line.quantity)
            state.by_line[line.id] = (order, line)
        webhooks.tell_placed(state, order)
        return order

    def cancel_order(self, order_id: str, units: Mapping[str, int] | None = None) -> int:
        """Cancel and refund open units, put them back, tell subscribers."""
        state = self.state
        order = state.shop.orders.get(order_id)
        if order is None:
            return 0
        before = {line.id: line.cancelled for line in order.lines}
        cancelled: int = state.shop.cancel(order, units, restock=True)
        if not cancelled:
            return 0
        taken = {line.id: line.cancelled - before[line.id] for line in order.lines if line.cancelled > before[line.id]}
        for line in order.lines:
            state.commit(line.listing, -taken.get(line.id, 0))
        state.refund_count += 1
        refund = Refund(ids.REFUND + state.refund_count * ids.STEP, order.updated_at, taken)
        state.refunds.setdefault(order.id, []).append(refund)
        webhooks.tell_cancelled(state, order, refund)
        return cancelled

    def edit_listing(self, edit: Edit) -> bool:
        """Change, hide or delete a product in the shop's admin and tell subscribers."""
        state = self.state
        listing = state.shop.by_sku.get(edit.sku)
        if listing is None:
            return False
        sheet = sheet_of(listing)
        if edit.deleted:
            writing.delete(state, sheet)
            return True
        apply(edit, listing, sheet, state.desk.now())
        if edit.shown is not None:
            sheet.status = "ACTIVE" if edit.shown else "DRAFT"
        webhooks.tell_product(state, sheet, "PRODUCTS_UPDATE")
        return True


def create(desk: Desk) -> Shopify:
    """Open the shop."""
    return Shopify(desk)
