"""Trying a connection, and saying in plain words what is wrong with it."""

from __future__ import annotations

from entrepot.channels.contract import (
    Api,
    CheckReport,
    ConnectorError,
    CredentialsRejected,
    RateLimited,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.connectors.shopify import mapping, queries, shapes, stock
from entrepot.connectors.shopify.calls import ask

NEEDED = ("read_orders", "read_products", "read_inventory", "write_inventory", "read_locations")
"""Permissions without which the connection cannot do its main job."""

FOR_PARCELS = ("read_merchant_managed_fulfillment_orders", "write_merchant_managed_fulfillment_orders")
FOR_LISTINGS = ("write_products",)
FOR_HISTORY = "read_all_orders"


async def check(api: Api) -> CheckReport:
    """Try the connection: the shop, the token, the permissions, the location."""
    shop = api.settings.get("shop", "")
    try:
        location = mapping.gid_of("Location", stock.location_of(api))
        data, _ = await ask(api, queries.CHECK, shapes.Check, {"location": location})
    except ConnectorError as error:
        return CheckReport(ok=False, summary=_words(error, shop), details=(error.detail,))
    account = f"{data.shop.name} ({data.shop.myshopify_domain})"
    missing = lacking(NEEDED, data.current_app_installation.access_scopes)
    if missing:
        summary = f"The app may not do all that is needed in {account}. Grant it: {', '.join(missing)}."
        return CheckReport(ok=False, summary=summary, account=account)
    if data.location is None:
        summary = f"{account} has no location {api.settings.get('location_id')}: choose one of its locations."
        return CheckReport(ok=False, summary=summary, account=account)
    if not data.location.is_active:
        summary = f"The location {data.location.name} of {account} is switched off: choose an active one."
        return CheckReport(ok=False, summary=summary, account=account)
    details = []
    if lacking(FOR_PARCELS, data.current_app_installation.access_scopes):
        details.append(f"Parcels cannot be told to Shopify until the app is granted {', '.join(FOR_PARCELS)}.")
    if lacking(FOR_LISTINGS, data.current_app_installation.access_scopes):
        details.append(f"Products and prices cannot be written until the app is granted {', '.join(FOR_LISTINGS)}.")
    if lacking((FOR_HISTORY,), data.current_app_installation.access_scopes):
        details.append(f"Only orders of the last 60 days can be read (without {FOR_HISTORY}).")
    summary = f"Connected to {account}, stock at {data.location.name}."
    return CheckReport(ok=True, summary=summary, account=account, details=tuple(details))


def lacking(needed: tuple[str, ...], granted: list[shapes.Scope]) -> tuple[str, ...]:
    """Return the permissions that were not granted; a `write_` one includes its `read_` one."""
    handles = {scope.handle for scope in granted}
    handles |= {f"read_{handle.removeprefix('write_')}" for handle in handles if handle.startswith("write_")}
    return tuple(each for each in needed if each not in handles)


def _words(error: ConnectorError, shop: str) -> str:
    by_code = {
        "401": f"Shopify does not accept the access token for {shop}: make a new one and enter it.",
        "402": f"The shop {shop} is frozen until its owner pays Shopify.",
        "404": f"Shopify knows no shop {shop}: check the name (something.myshopify.com).",
        "423": f"The shop {shop} is locked by Shopify: its owner must speak to Shopify's support.",
        "SHOP_INACTIVE": f"The shop {shop} is closed.",
    }
    if error.code in by_code:
        return by_code[error.code]
    if error.code in ("403", "ACCESS_DENIED"):
        return f"The app may not do all that is needed in {shop}: grant it {', '.join(NEEDED)}."
    if isinstance(error, CredentialsRejected):
        return f"Shopify refuses our credentials for {shop}: connect it again."
    if isinstance(error, RateLimited):
        return "Shopify asks us to slow down: try again in a minute."
    if isinstance(error, TemporarilyUnavailable):
        return f"{shop} does not answer properly at the moment. If that lasts, check the shop's name."
    if isinstance(error, UnexpectedAnswer):
        return f"What answers at {shop} is not Shopify's admin API: check the shop's name (something.myshopify.com)."
    return f"Shopify refuses the request: {error.detail}"
