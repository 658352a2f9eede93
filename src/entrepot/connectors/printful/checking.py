"""The connection test: what the token may do, which store it is for, whether its orders can be read."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from entrepot.channels.contract import Api, CheckReport, ConnectorError, CredentialsRejected
from entrepot.connectors.printful import calls
from entrepot.connectors.printful.calls import send
from entrepot.connectors.printful.reading import data_list, number_text, optional_text, result_list

NEEDED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("View and manage orders of the authorized store", ("orders",)),
    ("View and manage store webhooks", ("webhooks",)),
    ("View store products", ("sync_products/read", "sync_products", "View and manage store products")),
)
"""What the token must be allowed, as Printful's page of tokens calls it, and what else says so."""


async def check(api: Api) -> CheckReport:
    """Try the connection."""
    try:
        scopes = data_list(await api.send(calls.scopes()))
        missing = missing_scopes({optional_text(each, name) for each in scopes for name in ("name", "value")})
        if missing:
            return CheckReport(False, f"The token works, but lacks: {'; '.join(missing)}. Make one that has it all.")
        report, name = chosen_store(result_list(await api.send(calls.stores())), api.settings.get("store_id", ""))
        if report is not None:
            return report
        data_list(await send(api, calls.list_orders(1)))
    except CredentialsRejected as error:
        return CheckReport(False, error.detail)
    except ConnectorError as error:
        return CheckReport(False, f"Printful could not be tried: {error.detail}")
    return CheckReport(True, f"Connected to {name}.", account=name, details=(f"Store {name}",))


def missing_scopes(granted: Set[str]) -> list[str]:
    """Return in Printful's words what the token may not do and should. Pure."""
    return [words for words, others in NEEDED if granted.isdisjoint({words, *others})]


def chosen_store(stores: list[Mapping[str, Any]], store_id: str) -> tuple[CheckReport | None, str]:
    """Return (what is wrong or None, the store's name). Pure; raises UnexpectedAnswer."""
    known = {number_text(each, "id"): optional_text(each, "name") or number_text(each, "id") for each in stores}
    listed = "; ".join(f"{id} ({name})" for id, name in known.items()) or "none"
    if store_id:
        if store_id not in known:
            return CheckReport(False, f"The token has no store {store_id}; it has: {listed}."), ""
        return None, known[store_id]
    if len(known) != 1:
        return CheckReport(False, f"Enter the store's ID. The token is for these stores: {listed}."), ""
    return None, next(iter(known.values()))
