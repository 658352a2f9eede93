"""The account's books: payments, refunds, disputes, and the balance with its transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from entrepot_sandbox.stripe import money
from entrepot_sandbox.stripe.answers import Ids, Json, bad, missing
from entrepot_sandbox.stripe.objects import charge_object, dispute_object, intent_object, refund_object, transaction

Changed = Callable[[str, Json], None]
AVAILABLE_AFTER_S = 2 * 86_400


class Books:
    """Every object by its id, in the order in which they were made. `changed(topic, object)` is told of each change.

    `now` is the time of Stripe in whole seconds, `scaled` makes a wait as long as the sandbox's clock says.
    """

    def __init__(
        self, ids: Ids, home: str, now: Callable[[], int], scaled: Callable[[float], float], changed: Changed
    ) -> None:  # fmt: skip
        self._ids, self.home, self.now, self._scaled, self._changed = ids, home, now, scaled, changed
        self.intents: dict[str, Json] = {}
        self.charges: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.disputes: dict[str, Json] = {}
        self.transactions: dict[str, Json] = {}
        self._foreign: set[str] = set()
        """Charges by cards from abroad, which cost more."""

    def thing(self, id: str) -> Json | None:
        """Return what an id names, of all that can stand behind a transaction."""
        shelf = {"ch": self.charges, "re": self.refunds, "dp": self.disputes}.get(id.partition("_")[0], {})
        return shelf.get(id)

    # ---- payments --------------------------------------------------------------------------------------

    def pay(
        self, amount: int, currency: str, metadata: dict[str, str], *, manual: bool = False, foreign: bool = False
    ) -> Json:  # fmt: skip
        """Have a buyer pay; `manual`: the money is held only. Raises StripeError."""
        if not money.known(currency) or not money.is_payable(amount, currency):
            raise bad(f"A card cannot be charged {amount} {currency}.", code="amount_too_small", param="amount")
        charge = charge_object(self._ids.new("ch"), self.now(), amount, currency, metadata)
        intent = intent_object(self._ids.new("pi"), self.now(), amount, currency, metadata, charge["id"], manual=manual)
        intent["client_secret"] = self._ids.new(f"{intent['id']}_secret")
        charge["payment_intent"] = intent["id"]
        self.charges[charge["id"]], self.intents[intent["id"]] = charge, intent
        if foreign:
            self._foreign.add(charge["id"])
        if manual:
            self._changed("payment_intent.amount_capturable_updated", intent)
        else:
            self._take(intent, charge, amount)
        return intent

    def capture(self, id: str, amount: int | None) -> Json:
        """Take a held payment. Raises StripeError."""
        intent = self.intent(id)
        if intent["status"] != "requires_capture":
            raise self._wrong_state(intent, "captured")
        if amount is not None and amount > intent["amount_capturable"]:
            raise bad(
                "The amount is greater than what can be captured.", code="amount_too_large", param="amount_to_capture"
            )
        self._take(intent, self.charges[intent["latest_charge"]], amount or intent["amount_capturable"])
        self._changed("charge.captured", self.charges[intent["latest_charge"]])
        return intent

    def cancel(self, id: str) -> Json:
        """Release a held payment. Raises StripeError."""
        intent = self.intent(id)
        if intent["status"] not in ("requires_capture", "requires_payment_method"):
            raise self._wrong_state(intent, "canceled")
        charge = self.charges[intent["latest_charge"]]
        intent |= {"status": "canceled", "canceled_at": self.now(), "amount_capturable": 0}
        charge |= {"refunded": True, "amount_refunded": charge["amount"]}
        self._changed("payment_intent.canceled", intent)
        return intent

    def intent(self, id: str) -> Json:
        """Return a payment intent. Raises StripeError."""
        if id not in self.intents:
            raise missing("payment_intent", id, "intent")
        return self.intents[id]

    def _take(self, intent: Json, charge: Json, amount: int) -> None:
        intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
        charge |= {"captured": True, "amount_captured": amount}
        units = money.exchanged(amount, charge["currency"], self.home)
        fee = money.fee(units, self.home, foreign=charge["id"] in self._foreign)
        charge["balance_transaction"] = self.book("charge", units, charge, fee=fee, currency=charge["currency"])["id"]
        self._changed("payment_intent.succeeded", intent)

    def _wrong_state(self, intent: Json, done: str) -> Exception:
        words = f"This PaymentIntent could not be {done} because it has a status of {intent['status']}."
        return bad(words, code="payment_intent_unexpected_state")

    # ---- refunds ---------------------------------------------------------------------------------------

    def refund(self, charge: Json, amount: int | None, reason: str, metadata: dict[str, str]) -> Json:
        """Give money back. Raises StripeError."""
        if not charge["captured"]:
            raise bad("This payment does not have a successful charge to refund.", code="charge_not_refundable")
        if charge["disputed"] and self._is_taken_back(charge):
            raise bad(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
        left = charge["amount_captured"] - charge["amount_refunded"]
        if left == 0:
            raise bad(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        amount = left if amount is None else amount
        if amount > left:
            raise bad(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount")
        made = refund_object(self._ids.new("re"), self.now(), amount, charge, reason, metadata)
        self.refunds[made["id"]] = made
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        units = money.exchanged(amount, charge["currency"], self.home)
        made["balance_transaction"] = self.book("refund", -units, made, currency=charge["currency"])["id"]
        self._changed("refund.created", made)
        self._changed("charge.refunded", charge)
        return made

    def fail_refund(self, id: str) -> Json:
        """Have the buyer's bank send a refund back. Raises StripeError."""
        made = self.refunds.get(id)
        if made is None or made["status"] != "succeeded":
            raise missing("refund", id)
        charge = self.charges[made["charge"]]
        units = -self.transactions[made["balance_transaction"]]["amount"]
        back = self.book("refund_failure", units, made, currency=made["currency"])
        made |= {
            "status": "failed",
            "failure_reason": "expired_or_canceled_card",
            "failure_balance_transaction": back["id"],
        }
        charge["amount_refunded"] -= made["amount"]
        charge["refunded"] = False
        self._changed("charge.refund.updated", made)
        return made

    # ---- disputes --------------------------------------------------------------------------------------

    def dispute(self, charge: Json, reason: str) -> Json:
        """Have the buyer's bank take a payment back. Raises StripeError."""
        if not charge["captured"] or charge["disputed"]:
            raise bad("This charge cannot be disputed.")
        made = dispute_object(self._ids.new("dp"), self.now(), charge, reason)
        self.disputes[made["id"]] = made
        charge["disputed"] = True
        units = money.exchanged(made["amount"], charge["currency"], self.home)
        taken = self.book(
            "adjustment", -units, made, fee=money.DISPUTE_FEE, currency=charge["currency"], category="dispute"
        )
        made["balance_transactions"] = [taken]
        self._changed("charge.dispute.created", made)
        self._changed("charge.dispute.funds_withdrawn", made)
        return made

    def close_dispute(self, id: str, *, won: bool) -> Json:
        """End a dispute; a won one gives the money back, not the fee. Raises StripeError."""
        made = self.disputes.get(id)
        if made is None or made["status"] in ("won", "lost"):
            raise missing("dispute", id)
        made["status"] = "won" if won else "lost"
        if won:
            units = -made["balance_transactions"][0]["amount"]
            back = self.book("adjustment", units, made, currency=made["currency"], category="dispute_reversal")
            made["balance_transactions"] = [*made["balance_transactions"], back]
            self._changed("charge.dispute.funds_reinstated", made)
        self._changed("charge.dispute.closed", made)
        return made

    def _is_taken_back(self, charge: Json) -> bool:
        return any(each["charge"] == charge["id"] and each["status"] != "won" for each in self.disputes.values())

    # ---- the balance -----------------------------------------------------------------------------------

    def book(
        self, kind: str, amount: int, source: Json, *, fee: int = 0, currency: str = "", category: str = ""
    ) -> Json:  # fmt: skip
        """Write a transaction of the balance; what comes in is available after two days, what goes out at once."""
        now = self.now()
        ready = now + (int(self._scaled(AVAILABLE_AFTER_S)) if amount > 0 and kind != "payout_failure" else 0)
        found = money.rate(currency or self.home, self.home)
        made = transaction(
            self._ids.new("txn"), now, kind, amount, self.home, source["id"], fee, category or kind, ready
        )
        made["exchange_rate"] = None if found is None else float(found)
        self.transactions[made["id"]] = made
        return made

    def totals(self) -> dict[str, Any]:
        """Return the balance as Stripe tells it."""
        for each in self.transactions.values():
            if each["available_on"] <= self.now():
                each["status"] = "available"
        sums = {"available": 0, "pending": 0}
        for each in self.transactions.values():
            sums[each["status"]] += each["net"]
        return {
            "object": "balance",
            "livemode": False,
            **{
                name: [{"amount": units, "currency": self.home, "source_types": {"card": units}}]
                for name, units in sums.items()
            },
        }
