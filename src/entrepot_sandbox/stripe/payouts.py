"""Payouts: each day what is available goes to the bank; an hour later Stripe tells which lines were in it."""

from __future__ import annotations

from collections.abc import Callable

from entrepot_sandbox.marketplace import Desk
from entrepot_sandbox.stripe.answers import Ids, Json, missing
from entrepot_sandbox.stripe.books import Books, Changed
from entrepot_sandbox.stripe.objects import DAY, payout_object

LINES_TOLD_AFTER_S = 3_600
ARRIVES_AFTER_S = 2 * DAY


class Payouts:
    """The schedule begins with the first payment."""

    def __init__(self, desk: Desk, books: Books, ids: Ids, changed: Changed) -> None:
        self._desk, self._books, self._ids, self._changed = desk, books, ids, changed
        self.payouts: dict[str, Json] = {}
        self._in: dict[str, str] = {}
        """Which payout a transaction was in."""
        self._running = False

    def begin(self) -> None:
        """Start the schedule, once."""
        if not self._running:
            self._running = True
            self._desk.spawn(self._each_day())

    async def _each_day(self) -> None:
        while True:
            await self._desk.sleep(DAY)
            made = self.pay_out()
            if made is not None:
                self._desk.spawn(self._follow(made))

    async def _follow(self, made: Json) -> None:
        await self._desk.sleep(LINES_TOLD_AFTER_S)
        self.tell_lines(made)
        await self._desk.sleep(ARRIVES_AFTER_S - LINES_TOLD_AFTER_S)
        self.arrive(made)

    def pay_out(self, *, all_of_it: bool = False) -> Json | None:
        """Send what is available (`all_of_it`: what is pending too) to the bank; None where there is nothing to send."""
        self._books.totals()
        ready = [
            each
            for each in self._books.transactions.values()
            if each["id"] not in self._in and (all_of_it or each["status"] == "available") and each["type"] != "payout"
        ]
        amount = sum(each["net"] for each in ready)
        if amount <= 0:
            return None
        now = self._books.now()
        arrives = now + int(self._desk.world.clock.scaled(ARRIVES_AFTER_S))
        made = payout_object(self._ids.new("po"), now, amount, self._books.home, arrives)
        booked = self._books.book("payout", -amount, made)
        made["balance_transaction"] = booked["id"]
        self.payouts[made["id"]] = made
        for each in (*ready, booked):
            each["status"], each["available_on"] = "available", min(each["available_on"], now)
            self._in[each["id"]] = made["id"]
        self._changed("payout.created", made)
        return made

    def tell_lines(self, made: Json) -> None:
        """Have Stripe know which lines were in a payout."""
        made["reconciliation_status"] = "completed"
        self._changed("payout.reconciliation_completed", made)

    def arrive(self, made: Json) -> None:
        """Have the bank take a payout."""
        if made["status"] == "in_transit":
            made["status"] = "paid"
            self._changed("payout.paid", made)

    def fail(self, id: str) -> Json:
        """Have the bank send a payout back; what it held goes with the next one. Raises StripeError."""
        made = self.payouts.get(id)
        if made is None or made["status"] == "failed":
            raise missing("payout", id)
        back = self._books.book("payout_failure", made["amount"], made)
        made |= {
            "status": "failed",
            "failure_code": "account_closed",
            "failure_message": "The bank account has been closed.",
            "failure_balance_transaction": back["id"],
        }
        self._changed("payout.failed", made)
        return made

    def lines_of(self, id: str) -> Callable[[Json], bool]:
        """Return what tells whether a transaction was in a payout. Raises StripeError."""
        if id not in self.payouts:
            raise missing("payout", id, "payout")
        told = self.payouts[id]["reconciliation_status"] == "completed"
        return lambda each: told and self._in.get(each["id"]) == id
