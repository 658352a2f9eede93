"""Stripe's requests about payments, refunds, disputes and the balance."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.stripe.answers import Form, Json, bad, form_of, missing, ok, page_of, query_of
from entrepot_sandbox.stripe.books import Books
from entrepot_sandbox.stripe.payouts import Payouts

_METADATA = re.compile(r"metadata\['((?:[^'\\]|\\.)+)'\]:'((?:[^'\\]|\\.)*)'")
_REASONS = ("", "duplicate", "fraudulent", "requested_by_customer")


class Api:
    """The handlers."""

    def __init__(self, books: Books, payouts: Payouts) -> None:
        self._books, self._payouts = books, payouts

    async def balance(self, request: Request) -> Response:
        """GET /v1/balance."""
        query_of(request).done()
        return ok(self._books.totals())

    # ---- payments --------------------------------------------------------------------------------------

    async def list_intents(self, request: Request) -> Response:
        """GET /v1/payment_intents."""
        return ok(page_of(self._books.intents.values(), query_of(request), "/v1/payment_intents"))

    async def search_intents(self, request: Request) -> Response:
        """GET /v1/payment_intents/search, by one metadata value."""
        form = query_of(request)
        asked = _METADATA.fullmatch(form.text("query"))
        limit, page, expand = form.whole("limit") or 10, form.text("page") or "0", form.several("expand")
        form.done()
        if asked is None or not page.isdigit():
            raise bad("This simulator searches by one metadata value only.", param="query", kept=False)
        name, value = (re.sub(r"\\(.)", r"\1", part) for part in asked.groups())
        found = [each for each in reversed(self._books.intents.values()) if each["metadata"].get(name) == value]
        start = int(page)
        some = [self._expanded(each, "data.latest_charge" in expand) for each in found[start : start + limit]]
        more = len(found) > start + limit
        return ok(
            {
                "object": "search_result",
                "url": "/v1/payment_intents/search",
                "data": some,
                "has_more": more,
                "next_page": str(start + limit) if more else None,
            }
        )

    async def retrieve_intent(self, request: Request) -> Response:
        """GET /v1/payment_intents/{id}."""
        expand = self._expand(query_of(request))
        return ok(self._expanded(self._books.intent(request.path_params["id"]), expand))

    async def capture(self, request: Request) -> Response:
        """POST /v1/payment_intents/{id}/capture."""
        form = await form_of(request)
        amount, expand = form.whole("amount_to_capture"), self._expand(form)
        return ok(self._expanded(self._books.capture(request.path_params["id"], amount), expand))

    async def cancel(self, request: Request) -> Response:
        """POST /v1/payment_intents/{id}/cancel."""
        form = await form_of(request)
        form.text("cancellation_reason")
        expand = self._expand(form)
        return ok(self._expanded(self._books.cancel(request.path_params["id"]), expand))

    async def retrieve_charge(self, request: Request) -> Response:
        """GET /v1/charges/{id}."""
        query_of(request).done()
        return ok(self._charge(request.path_params["id"]))

    # ---- refunds and disputes --------------------------------------------------------------------------

    async def create_refund(self, request: Request) -> Response:
        """POST /v1/refunds."""
        form = await form_of(request)
        intent, charge, amount = form.text("payment_intent"), form.text("charge"), form.whole("amount")
        reason, metadata = form.text("reason"), form.map("metadata")
        form.done()
        if bool(intent) == bool(charge) or reason not in _REASONS:
            raise bad("Name a payment_intent or a charge, and a reason that there is.", kept=False)
        held = self._charge(self._books.intent(intent)["latest_charge"] if intent else charge)
        return ok(self._books.refund(held, amount, reason, metadata))

    async def list_refunds(self, request: Request) -> Response:
        """GET /v1/refunds."""
        form = query_of(request)
        wanted = {name: value for name in ("payment_intent", "charge") if (value := form.text(name))}
        found = [each for each in self._books.refunds.values() if wanted.items() <= each.items()] if wanted else None
        return ok(page_of(self._books.refunds.values() if found is None else found, form, "/v1/refunds"))

    async def list_disputes(self, request: Request) -> Response:
        """GET /v1/disputes."""
        return ok(page_of(self._books.disputes.values(), query_of(request), "/v1/disputes"))

    # ---- the balance -----------------------------------------------------------------------------------

    async def list_transactions(self, request: Request) -> Response:
        """GET /v1/balance_transactions."""
        self._books.totals()
        form = query_of(request)
        payout, expand = form.text("payout"), form.several("expand")
        found = list(self._books.transactions.values())
        if payout:
            found = list(filter(self._payouts.lines_of(payout), found))
        page = page_of(found, form, "/v1/balance_transactions")
        if "data.source" in expand:
            page["data"] = [{**each, "source": self._source(each["source"])} for each in page["data"]]
        return ok(page)

    async def list_payouts(self, request: Request) -> Response:
        """GET /v1/payouts."""
        return ok(page_of(self._payouts.payouts.values(), query_of(request), "/v1/payouts"))

    # ---- parts -----------------------------------------------------------------------------------------

    def _source(self, id: str) -> Json | str:
        return self._books.thing(id) or self._payouts.payouts.get(id) or id

    def _charge(self, id: str) -> Json:
        if id not in self._books.charges:
            raise missing("charge", id)
        return self._books.charges[id]

    def _expand(self, form: Form) -> bool:
        expand = form.several("expand")
        form.done()
        return "latest_charge" in expand

    def _expanded(self, intent: Json, expand: bool) -> Json:
        return {**intent, "latest_charge": self._charge(intent["latest_charge"])} if expand else intent
