"""What buyers, banks and the account's owner do, by the sandbox's control interface: `/_sandbox/stripe/...`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.stripe.answers import Json, ok
from entrepot_sandbox.stripe.books import Books
from entrepot_sandbox.stripe.keys import ApiKeys
from entrepot_sandbox.stripe.payouts import Payouts
from entrepot_sandbox.stripe.webhooks import Webhooks


class Pay(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /payments` takes: an order of any channel, and what its buyer pays, in Stripe's units."""

    order: str
    amount: int
    currency: str
    hold: bool = False
    """Authorise only; it is to be captured."""
    foreign: bool = False
    """A card from abroad, which costs more."""
    metadata: dict[str, str] = {}


class OfPayment(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /disputes` takes."""

    payment: str
    reason: str = "fraudulent"


class Ending(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /disputes/{id}/close` takes."""

    won: bool


class PayOut(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /payouts` takes. `at_once`: with what is pending, its lines told and taken by the bank."""

    at_once: bool = False


class Allowed(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /keys` takes: permissions of a restricted key, such as `charge_write`."""

    permissions: list[str]


T = TypeVar("T")


class Control:
    """The handlers."""

    def __init__(self, books: Books, payouts: Payouts, keys: ApiKeys, webhooks: Webhooks) -> None:
        self._books, self._payouts, self._keys, self._webhooks = books, payouts, keys, webhooks

    def routes(self) -> Sequence[Route]:
        """Return the routes; the sandbox guards them."""
        return [
            Route("/payments", self._pay, methods=["POST"]),
            Route("/disputes", self._dispute, methods=["POST"]),
            Route("/disputes/{id}/close", self._close, methods=["POST"]),
            Route("/refunds/{id}/fail", self._fail_refund, methods=["POST"]),
            Route("/payouts", self._pay_out, methods=["POST"]),
            Route("/payouts/{id}/fail", self._fail_payout, methods=["POST"]),
            Route("/keys", self._key, methods=["POST"]),
            Route("/webhooks/{id}/roll", self._roll, methods=["POST"]),
            Route("/books", self._tell, methods=["GET"]),
        ]

    async def _pay(self, request: Request) -> Response:
        told = await _told(request, Pay)
        metadata = {"order_id": told.order, **told.metadata}
        self._payouts.begin()
        return _done(
            self._books.pay(told.amount, told.currency.lower(), metadata, manual=told.hold, foreign=told.foreign)
        )

    async def _dispute(self, request: Request) -> Response:
        told = await _told(request, OfPayment)
        charge = self._books.charges[self._books.intent(told.payment)["latest_charge"]]
        return _done(self._books.dispute(charge, told.reason))

    async def _close(self, request: Request) -> Response:
        told = await _told(request, Ending)
        return _done(self._books.close_dispute(request.path_params["id"], won=told.won))

    async def _fail_refund(self, request: Request) -> Response:
        return _done(self._books.fail_refund(request.path_params["id"]))

    async def _pay_out(self, request: Request) -> Response:
        told = await _told(request, PayOut)
        made = self._payouts.pay_out(all_of_it=told.at_once)
        if made is not None and told.at_once:
            self._payouts.tell_lines(made)
            self._payouts.arrive(made)
        return _done({"payout": None if made is None else made["id"]})

    async def _fail_payout(self, request: Request) -> Response:
        return _done(self._payouts.fail(request.path_params["id"]))

    async def _key(self, request: Request) -> Response:
        return _done({"key": self._keys.restricted(frozenset((await _told(request, Allowed)).permissions))})

    async def _roll(self, request: Request) -> Response:
        self._webhooks.roll(request.path_params["id"])
        return _done({"rolled": True})

    async def _tell(self, request: Request) -> Response:
        """The books for a judge. `refunds_twice`: refunds of one payment that are the same to the last metadata."""
        same = Counter(
            (each["charge"], each["amount"], tuple(sorted(each["metadata"].items())))
            for each in self._books.refunds.values()
            if each["metadata"]
        )
        return _done(
            {
                "payments": list(self._books.intents.values()),
                "refunds": list(self._books.refunds.values()),
                "disputes": list(self._books.disputes.values()),
                "transactions": list(self._books.transactions.values()),
                "payouts": list(self._payouts.payouts.values()),
                "webhook_endpoints": list(self._webhooks.endpoints.values()),
                "refunds_twice": sum(count - 1 for count in same.values()),
                "balance_minor": sum(each["net"] for each in self._books.transactions.values()),
            }
        )


async def _told(request: Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.body() or b"{}", type=kind)


def _done(content: Json) -> Response:
    return ok(content)
