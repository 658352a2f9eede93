"""The simulated Stripe as the sandbox sees it. It sells nothing: shoppers do not come here."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot_sandbox.books import Order, Sale
from entrepot_sandbox.marketplace import Account, Desk, Operation
from entrepot_sandbox.sheets import Edit
from entrepot_sandbox.stripe.answers import Ids, StripeError, missing
from entrepot_sandbox.stripe.api import Api
from entrepot_sandbox.stripe.books import Books
from entrepot_sandbox.stripe.control import Control
from entrepot_sandbox.stripe.keys import ApiKeys, KeptAnswers
from entrepot_sandbox.stripe.payouts import Payouts
from entrepot_sandbox.stripe.webhooks import API_VERSION, Webhooks

BURST, PER_S = 25, 25
"""Test mode's documented limit."""
_FAULTS = {
    429: ("Too many requests hit the API too quickly.", "rate_limit", "invalid_request_error"),
    500: ("Something went wrong on our side.", "", "api_error"),
    503: ("We are not available at the moment.", "", "api_error"),
}

Handler = Callable[[Request], Awaitable[Response]]


class Stripe:
    """One account in test mode."""

    key = "stripe"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        ids = Ids(desk.random("ids"))
        clock = desk.world.clock
        home = min((product.currency for product in desk.world.products.values()), default="EUR").lower()
        self._keys = ApiKeys(ids)
        self._kept = KeptAnswers(clock.monotonic, clock.scaled)
        self._webhooks = Webhooks(desk, ids)
        self._books = Books(ids, home, lambda: int(desk.now().timestamp()), clock.scaled, self._webhooks.publish)
        self._payouts = Payouts(desk, self._books, ids, self._webhooks.publish)
        self._control = Control(self._books, self._payouts, self._keys, self._webhooks)
        self._limit = desk.bucket("calls", capacity=BURST, refill_per_s=PER_S)
        api, hooks = Api(self._books, self._payouts), self._webhooks
        self._table: tuple[tuple[str, str, str, str, Handler], ...] = (
            ("GET", "/v1/balance", "RetrieveBalance", "balance_read", api.balance),
            ("GET", "/v1/payment_intents", "ListPaymentIntents", "payment_intent_read", api.list_intents),
            ("GET", "/v1/payment_intents/search", "SearchPaymentIntents", "payment_intent_read", api.search_intents),
            ("GET", "/v1/payment_intents/{id}", "RetrievePaymentIntent", "payment_intent_read", api.retrieve_intent),
            ("POST", "/v1/payment_intents/{id}/capture", "CapturePaymentIntent", "payment_intent_write", api.capture),
            ("POST", "/v1/payment_intents/{id}/cancel", "CancelPaymentIntent", "payment_intent_write", api.cancel),
            ("GET", "/v1/charges/{id}", "RetrieveCharge", "charge_read", api.retrieve_charge),
            ("GET", "/v1/refunds", "ListRefunds", "charge_read", api.list_refunds),
            ("POST", "/v1/refunds", "CreateRefund", "charge_write", api.create_refund),
            ("GET", "/v1/disputes", "ListDisputes", "dispute_read", api.list_disputes),
            (
                "GET",
                "/v1/balance_transactions",
                "ListBalanceTransactions",
                "balance_transaction_source_read",
                api.list_transactions,
            ),
            ("GET", "/v1/payouts", "ListPayouts", "payout_read", api.list_payouts),
            ("GET", "/v1/webhook_endpoints", "ListWebhookEndpoints", "webhook_read", hooks.list_endpoints),
            ("POST", "/v1/webhook_endpoints", "CreateWebhookEndpoint", "webhook_write", hooks.create),
            ("POST", "/v1/webhook_endpoints/{id}", "UpdateWebhookEndpoint", "webhook_write", hooks.update),
            ("DELETE", "/v1/webhook_endpoints/{id}", "DeleteWebhookEndpoint", "webhook_write", hooks.delete),
        )

    # -- what the sandbox asks --

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes, each behind the key, its permission and the rate limit."""
        known: list[BaseRoute] = [
            Route(path, self._guard(permission, handler), methods=[method])
            for method, path, _, permission, handler in self._table
        ]
        return [*known, Route("/{path:path}", self._guard("", _nowhere), methods=["GET", "POST", "DELETE"])]

    def control_routes(self) -> Sequence[Route]:
        """Return what the sandbox offers at `/_sandbox/stripe`."""
        return self._control.routes()

    def accounts(self) -> Sequence[Account]:
        """Return the account."""
        return (Account(self.key, "Simulated Stripe", {"mode": "test"}, {"api_key": self._keys.full}),)

    def operation(self, method: str, path: str) -> Operation:
        """Return the name of the operation."""
        for verb, template, name, _, _ in self._table:
            if verb == method and re.fullmatch(template.replace("{id}", "[^/]+"), path):
                return Operation(name)
        return Operation("Unknown")

    def fault_answer(self, status: int, retry_after_s: float) -> Response:
        """Return an error in Stripe's words; it names no time to wait, and for a 429 the reason."""
        message, code, kind = _FAULTS[status]
        headers: Mapping[str, str] = {"stripe-rate-limited-reason": "global-rate"} if status == 429 else {}
        return StripeError(status, message, code=code, kind=kind, headers=headers).answer

    def place_order(self, sale: Sale) -> Order | None:
        """Nothing is sold here."""
        return None

    def cancel_order(self, order_id: str, units: Mapping[str, int] | None = None) -> int:
        """There are no orders here."""
        return 0

    def edit_listing(self, edit: Edit) -> bool:
        """There are no listings here."""
        return False

    # -- the door --

    def _guard(self, permission: str, handler: Handler) -> Handler:
        async def inner(request: Request) -> Response:
            try:
                return await self._answer(request, permission, handler)
            except StripeError as error:
                return error.answer

        return inner

    async def _answer(self, request: Request, permission: str, handler: Handler) -> Response:
        if permission:
            self._keys.admit(request, permission)
        if request.headers.get("stripe-version", API_VERSION) != API_VERSION:
            raise StripeError(400, f"This simulator speaks the version {API_VERSION} only.")
        if not self._limit.take().ok:
            raise StripeError(429, _FAULTS[429][0], code="rate_limit", headers=_LIMITED)
        key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
        what, body = f"{request.method} {request.url.path}", await request.body()
        earlier = self._kept.earlier(key, what, body) if key else None
        if earlier is not None:
            return earlier
        try:
            answer = await handler(request)
        except StripeError as error:
            if not error.kept:
                raise
            answer = error.answer
        if key:
            self._kept.keep(key, what, body, answer)
        return answer


_LIMITED = {"stripe-rate-limited-reason": "global-rate"}


async def _nowhere(request: Request) -> Response:
    raise missing("address", request.url.path)
