"""Stripe's requests, built from values. Pure: each function returns the Call, nothing is sent here.

Bodies are forms; lists are asked for newest first, the only order that Stripe has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from urllib.parse import quote, urlencode

from entrepot.channels.contract import Call
from entrepot.connectors.stripe.manifest import API_VERSION, TOPICS

PAGE = 100
"""Most objects in one list."""
ENDPOINT_TITLE = "Entrepot"
ENDPOINT_KEY = "entrepot_key"
"""The metadata of an endpoint that holds the key under which it was made."""
REFUND_MARK = "entrepot_refund"
"""The metadata of a refund that holds our key of it: Stripe forgets Idempotency-Keys after a day, metadata never."""
NO_SUCH_PAYMENT = "pi_entrepot_connection_test"
NO_SUCH_ENDPOINT = "we_entrepot_connection_test"
_KEY_LENGTH_MAX = 255

Form = Sequence[tuple[str, str]]


def retrieve_balance() -> Call:
    """The account's balance, which tells the key's mode and the currencies."""
    return _get("retrieveBalance", "/v1/balance")


# ---- payments ------------------------------------------------------------------------------------------


def retrieve_payment(payment_ref: str) -> Call:
    """A payment intent with its charge, or a charge that was made without one."""
    if is_charge(payment_ref):
        return _get("retrieveCharge", f"/v1/charges/{_part(payment_ref)}")
    return _get("retrievePaymentIntent", f"/v1/payment_intents/{_part(payment_ref)}", _EXPAND_CHARGE)


def search_payments(name: str, order_ref: str, page: str) -> Call:
    """Payment intents by a metadata value. Stripe's search lags a minute or so behind."""
    escaped = order_ref.replace("\\", "\\\\").replace("'", "\\'")
    query = [("query", f"metadata['{name}']:'{escaped}'"), ("limit", str(PAGE)), ("expand[]", "data.latest_charge")]
    return _get("searchPaymentIntents", "/v1/payment_intents/search", query + ([("page", page)] if page else []))


def capture_payment(payment_ref: str, amount: int | None, key: str) -> Call:
    """Take an authorised payment (None: all of it)."""
    form = [*_EXPAND_CHARGE, *([] if amount is None else [("amount_to_capture", str(amount))])]
    return _post("capturePaymentIntent", f"/v1/payment_intents/{_part(payment_ref)}/capture", form, f"capture-{key}")


def cancel_payment(payment_ref: str, key: str) -> Call:
    """Release a payment that was not captured."""
    path = f"/v1/payment_intents/{_part(payment_ref)}/cancel"
    return _post("cancelPaymentIntent", path, _EXPAND_CHARGE, f"cancel-{key}")


# ---- refunds and disputes ------------------------------------------------------------------------------


def create_refund(
    payment_ref: str, amount: int | None, reason: str, metadata: Mapping[str, str], key: str
) -> Call:  # fmt: skip
    """Give an amount (None: the rest) of a payment back."""
    form = [
        (_subject(payment_ref), payment_ref),
        *([] if amount is None else [("amount", str(amount))]),
        *([("reason", reason)] if reason else []),
        *((f"metadata[{name}]", value) for name, value in metadata.items()),
    ]
    return _post("createRefund", "/v1/refunds", form, f"refund-{key}")


def list_refunds(payment_ref: str, page: str = "") -> Call:
    """The refunds of a payment."""
    return _list("listRefunds", "/v1/refunds", PAGE, [(_subject(payment_ref), payment_ref)], page)


def list_disputes(since: int, page: str, limit: int = PAGE) -> Call:
    """Disputes opened since (seconds since 1970)."""
    return _list("listDisputes", "/v1/disputes", limit, _since(since), page)


# ---- the account ---------------------------------------------------------------------------------------


def list_transactions(since: int, page: str, limit: int = PAGE) -> Call:
    """Lines of the account booked since (seconds since 1970), with what made them."""
    return _list("listBalanceTransactions", "/v1/balance_transactions", limit, [*_since(since), *_EXPAND_SOURCE], page)


def list_payout_transactions(payout_ref: str, page: str) -> Call:
    """The lines that an automatic payout brought to the bank."""
    return _list(
        "listBalanceTransactions", "/v1/balance_transactions", PAGE, [("payout", payout_ref), *_EXPAND_SOURCE], page
    )


def list_payouts(since: int, page: str, limit: int = PAGE) -> Call:
    """Payouts made since (seconds since 1970)."""
    return _list("listPayouts", "/v1/payouts", limit, _since(since), page)


# ---- webhook endpoints ---------------------------------------------------------------------------------


def list_endpoints(page: str = "") -> Call:
    """The account's webhook endpoints."""
    return _list("listWebhookEndpoints", "/v1/webhook_endpoints", PAGE, (), page)


def create_endpoint(url: str, key: str) -> Call:
    """Subscribe `url` to every topic. Its answer alone has the signing secret, and for a day its repetition."""
    form = [
        ("url", url),
        ("api_version", API_VERSION),
        ("description", ENDPOINT_TITLE),
        (f"metadata[{ENDPOINT_KEY}]", key),
        *(("enabled_events[]", topic) for topic in TOPICS),
    ]
    return _post("createWebhookEndpoint", "/v1/webhook_endpoints", form, f"endpoint-{key}")


def repair_endpoint(endpoint_id: str) -> Call:
    """Switch an endpoint on, for every topic."""
    form = [("disabled", "false"), *(("enabled_events[]", topic) for topic in TOPICS)]
    return _post("updateWebhookEndpoint", f"/v1/webhook_endpoints/{_part(endpoint_id)}", form, "")


def delete_endpoint(endpoint_id: str) -> Call:
    """Remove an endpoint."""
    path = f"/v1/webhook_endpoints/{_part(endpoint_id)}"
    return Call("deleteWebhookEndpoint", "DELETE", path, idempotent=True)


# ---- parts ---------------------------------------------------------------------------------------------

_EXPAND_CHARGE = (("expand[]", "latest_charge"),)
_EXPAND_SOURCE = (("expand[]", "data.source"),)


def is_charge(payment_ref: str) -> bool:
    """Return whether a payment's id is that of a charge (`ch_`, or `py_` for other ways to pay), made without an intent."""
    return payment_ref.startswith(("ch_", "py_"))


def _subject(payment_ref: str) -> str:
    return "charge" if is_charge(payment_ref) else "payment_intent"


def _since(since: int) -> Form:
    return [("created[gte]", str(since))] if since > 0 else []


def _part(id: str) -> str:
    return quote(id, safe="")


def _list(operation: str, path: str, limit: int, query: Form = (), page: str = "") -> Call:
    return _get(operation, path, [*query, ("limit", str(limit)), *([("starting_after", page)] if page else [])])


def _get(operation: str, path: str, query: Form = ()) -> Call:
    return Call(operation, "GET", path, query=tuple(query), idempotent=True)


def _post(operation: str, path: str, form: Form, key: str) -> Call:
    # Without a key it only sets a state: repeating it is harmless too.
    headers = {"content-type": "application/x-www-form-urlencoded"}
    if key:
        headers["idempotency-key"] = key if len(key) <= _KEY_LENGTH_MAX else sha256(key.encode()).hexdigest()
    return Call(operation, "POST", path, headers=headers, body=urlencode(list(form)).encode(), idempotent=True)
