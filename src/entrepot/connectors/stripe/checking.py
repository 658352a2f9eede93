"""The connection test: the key, its mode, and every permission that the hub needs, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrepot.channels.contract import (
    Api,
    Call,
    CheckReport,
    ConnectorError,
    CredentialsRejected,
    RequestRejected,
    UnexpectedAnswer,
)
from entrepot.connectors.stripe import calls
from entrepot.connectors.stripe.errors import PermissionMissing
from entrepot.connectors.stripe.money import currency_of
from entrepot.connectors.stripe.reading import an, list_of, objects

READS: tuple[tuple[str, Call], ...] = (
    ("Balance transaction sources: read", calls.list_transactions(0, "", limit=1)),
    ("Payouts: read", calls.list_payouts(0, "", limit=1)),
    ("Disputes: read", calls.list_disputes(0, "", limit=1)),
)
WRITES: tuple[tuple[str, Call], ...] = (
    ("Charges and Refunds: write", calls.create_refund(calls.NO_SUCH_PAYMENT, None, "", {}, "connection-test")),
    ("Payment Intents: write", calls.cancel_payment(calls.NO_SUCH_PAYMENT, "connection-test")),
    ("Webhook Endpoints: write", calls.repair_endpoint(calls.NO_SUCH_ENDPOINT)),
)
"""They name what does not exist, so nothing can come of them: Stripe looks at the permission first, then for the thing."""


async def check(api: Api) -> CheckReport:
    """Try the key. Never raises ConnectorError."""
    try:
        balance = an(await api.send(calls.retrieve_balance()), "balance")
        missing: list[str] = []
    except PermissionMissing:
        balance, missing = {}, ["Balance: read"]
    except ConnectorError as error:
        return CheckReport(False, error.detail)
    wanted, found = api.settings.get("mode", "live"), _mode(balance)
    if found and found != wanted:
        return CheckReport(False, f"The key is for Stripe's {found} mode, but this connection is set to {wanted}.")
    try:
        missing += [title for title, call in READS if not await _may_read(api, call)]
        missing += [title for title, call in WRITES if not await _may_write(api, call)]
    except ConnectorError as error:
        return CheckReport(False, f"Stripe does not answer the test as it should: {error.detail}")
    if missing:
        words = "The restricted key lacks permissions; add them in Stripe, Developers, API keys: "
        return CheckReport(False, f"{words}{', '.join(missing)}.", details=tuple(missing))
    currencies = sorted({currency_of(each) for name in ("available", "pending") for each in objects(balance, name)})
    details = (f"Mode {found}", *([f"Balance in {', '.join(currencies)}"] if currencies else []))
    return CheckReport(True, f"Connected to Stripe in {found} mode.", account=f"Stripe ({found})", details=details)


async def _may_read(api: Api, call: Call) -> bool:
    try:
        list_of(await api.send(call))
    except CredentialsRejected:
        return False
    return True


async def _may_write(api: Api, call: Call) -> bool:
    try:
        await api.send(call)
    except CredentialsRejected:
        return False
    except RequestRejected as error:
        if error.code in ("resource_missing", "404"):
            return True
        raise
    raise UnexpectedAnswer("it changed something that does not exist")


def _mode(balance: Mapping[str, Any]) -> str:
    live = balance.get("livemode")
    return "" if live is None else "live" if live is True else "test"
