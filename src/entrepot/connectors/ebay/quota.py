"""Calls of eBay's daily quotas: a refusal that lasts is told from one that passes."""

from __future__ import annotations

from datetime import datetime

from entrepot.channels.contract import Api, Call, ConnectorError, Payload, QuotaExhausted, RateLimited, Reply
from entrepot.channels.replies import parse_time
from entrepot.connectors.ebay import calls
from entrepot.connectors.ebay.errors import LIMIT_REACHED
from entrepot.connectors.ebay.manifest import CALLS_PER_DAY
from entrepot.connectors.ebay.reading import body_of, objects, optional_text, whole


async def send(api: Api, call: Call) -> Reply:
    """Send a call. Raises QuotaExhausted, with the time when it is back, where eBay says that the day's calls are used up.

    eBay's refusal is the same for a burst and for the day, so what is left is asked (that has a quota of its own).
    """
    try:
        return await api.send(call)
    except RateLimited as error:
        if error.code != LIMIT_REACHED:
            raise
        back_at = await _back_at(api, call)
        if back_at is None:
            raise
        detail = f"eBay takes no more {call.operation} calls until {back_at:%d %b %H:%M} UTC."
        raise QuotaExhausted(detail, code=error.code, back_at=back_at) from error


async def _back_at(api: Api, call: Call) -> datetime | None:
    name = next((name for name, (_, _, operations) in CALLS_PER_DAY.items() if call.operation in operations), None)
    if name is None:
        return None
    try:
        body = body_of(await api.send(calls.rate_limits(CALLS_PER_DAY[name][1], name)))
        return used_up_until(body)
    except ConnectorError:
        return None


def used_up_until(body: Payload) -> datetime | None:
    """Return when calls are allowed again, None where some are left. Pure."""
    rates = [
        rate
        for api in objects(body, "rateLimits")
        for resource in objects(api, "resources")
        for rate in objects(resource, "rates")
    ]
    resets = [
        parse_time(optional_text(rate, "reset"))
        for rate in rates
        if whole(rate, "remaining") == 0 and optional_text(rate, "reset")
    ]
    return max(resets, default=None)
