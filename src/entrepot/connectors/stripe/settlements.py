"""The lines of the account, and which of them each payout brought to the bank.

A line does not name its payout. So a pull goes in three steps: lines booked since the last time; payouts made since the
oldest that can still change; and for each automatic payout whose lines are known by now, those lines again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from entrepot.channels.contract import Api, Page, Payout, PayoutStatus, SettlementItem
from entrepot.channels.replies import parse_time
from entrepot.connectors.stripe import calls
from entrepot.connectors.stripe.lines import lines_of
from entrepot.connectors.stripe.mapping import payout_of
from entrepot.connectors.stripe.paging import OVERLAP_S, SETTLE, created, decoded, encoded, now_of
from entrepot.connectors.stripe.reading import at, list_of, moment, text

PAID_MAY_FAIL = timedelta(days=10)
"""How long a payout that was paid is looked at again: a bank may send it back within five business days."""
TOLD_FOR = timedelta(days=30)
_OVER = frozenset({"failed", "canceled"})


class _Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times are seconds since 1970 by Stripe's clock."""

    step: Literal["lines", "payouts", "members"] = "lines"
    page: str = ""
    """The last id read inside of a list."""
    began: int = 0
    since: int = 0
    """Lines booked from here on."""
    seen: int = 0
    """The latest line seen."""
    payouts_since: int = 0
    payouts_open: int = 0
    """The oldest payout seen that can still change or whose lines are not known yet; 0 where there is none."""
    payouts_seen: int = 0
    payouts_page: str = ""
    """The payout after which the list goes on, once the lines of those before are read."""
    waiting: tuple[str, ...] = ()
    """Payouts whose lines are to be read in this pull; the first is being read."""
    told: tuple[tuple[str, int], ...] = ()
    """Payouts whose lines were told, with when they were made: those that the next pull will see again."""


async def pull(api: Api, cursor: str | None, order_names: Sequence[str]) -> Page[SettlementItem]:
    """Return a page of lines; see `PullsSettlements`."""
    place = decoded(cursor, _Place)
    if cursor is None and (since := api.settings.get("settlements_since", "")):
        start = int(parse_time(since).timestamp())
        place = _Place(since=start, payouts_since=start)
    if place.step == "lines":
        return await _lines(api, place, order_names)
    if place.step == "payouts":
        return await _payouts(api, place)
    return await _members(api, place, order_names)


async def _lines(api: Api, place: _Place, order_names: Sequence[str]) -> Page[SettlementItem]:
    reply = await api.send(calls.list_transactions(place.since, place.page))
    found, more = list_of(reply)
    began = place.began or int(now_of(reply).timestamp())
    seen = max([place.seen, *(created(each) for each in found)])
    page = text(found[-1], "id") if more and found else ""
    following = _with(place, began=began, seen=seen, page=page, step="lines" if page else "payouts")
    return Page(lines_of(found, order_names), encoded(following), more=True)


async def _payouts(api: Api, place: _Place) -> Page[SettlementItem]:
    reply = await api.send(calls.list_payouts(place.payouts_since, place.payouts_page))
    found, more = list_of(reply)
    told = {id for id, _ in place.told}
    fresh = [each for each in found if _lines_known(each) and text(each, "id") not in told]
    payouts = tuple(payout_of(each) for each in found)
    now = at(place.began) or now_of(reply)
    later = [
        created(each)
        for each, payout in zip(found, payouts, strict=True)
        if _lines_to_come(each) or _may_change(payout, now)
    ]
    page = text(found[-1], "id") if more and found else ""
    following = _with(
        place,
        payouts_page=page,
        step="members" if fresh else "payouts",
        payouts_seen=max([place.payouts_seen, *(created(each) for each in found)]),
        payouts_open=min([*later, *([place.payouts_open] if place.payouts_open else [])], default=0),
        # The oldest first: what is told of a payout does not wait for the latest.
        waiting=tuple(text(each, "id") for each in reversed(fresh)),
        # Those of long ago are not seen again, or if they are, are told again: that is harmless, and the cursor stays short.
        told=place.told
        + tuple((text(each, "id"), created(each)) for each in fresh if now - moment(each, "created") < TOLD_FOR),
    )
    if page or following.waiting:
        return Page(payouts, encoded(following), more=True)
    return _ended(payouts, following)


async def _members(api: Api, place: _Place, order_names: Sequence[str]) -> Page[SettlementItem]:
    payout, *others = place.waiting
    found, more = list_of(await api.send(calls.list_payout_transactions(payout, place.page)))
    items = lines_of(found, order_names, payout)
    page = text(found[-1], "id") if more and found else ""
    following = _with(place, page=page, waiting=place.waiting if page else tuple(others))
    if following.waiting:
        return Page(items, encoded(following), more=True)
    if following.payouts_page:
        return Page(items, encoded(_with(following, step="payouts")), more=True)
    return _ended(items, following)


def _ended(items: tuple[SettlementItem, ...], place: _Place) -> Page[SettlementItem]:
    since = max(place.since, place.seen - OVERLAP_S)
    latest = max(place.payouts_since, place.payouts_seen)
    payouts_since = min(latest, place.payouts_open) if place.payouts_open else latest
    told = tuple((id, made) for id, made in place.told if made >= payouts_since)
    now = at(place.began)
    return Page(
        items,
        encoded(_Place(since=since, payouts_since=payouts_since, told=told)),
        more=False,
        complete_until=None if now is None else now - SETTLE,
    )


def _lines_known(payout: Mapping[str, Any]) -> bool:
    return payout.get("automatic") is True and payout.get("reconciliation_status") == "completed"


def _lines_to_come(payout: Mapping[str, Any]) -> bool:
    waits = payout.get("automatic") is True and payout.get("reconciliation_status") == "in_progress"
    return waits and payout.get("status") not in _OVER


def _may_change(payout: Payout, now: datetime) -> bool:
    if payout.status is PayoutStatus.PENDING:
        return True
    return payout.status is PayoutStatus.PAID and now - payout.at < PAID_MAY_FAIL


def _with(place: _Place, **changes: Any) -> _Place:
    return msgspec.structs.replace(place, **changes)
