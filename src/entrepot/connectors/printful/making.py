"""Orders made at Printful: draft, confirmation, cancellation. Each step looks first and may be repeated.

Printful keeps an external id unique in a store, and confirms an order only once; on these two rests that nothing is ordered
twice. What a lost answer left behind is found by looking.
"""

from __future__ import annotations

from collections.abc import Sequence

from entrepot.channels.contract import (
    Api,
    Call,
    ConnectorError,
    CostsState,
    MadeOrder,
    MadeShipment,
    MakingConfirmation,
    MakingDraft,
    MakingOutcome,
    MakingResult,
    MakingStatus,
    RateLimited,
    Reply,
    RequestRejected,
    TemporarilyUnavailable,
    TooLate,
    UnexpectedAnswer,
)
from entrepot.connectors.printful import calls, drafts
from entrepot.connectors.printful.calls import send
from entrepot.connectors.printful.errors import EXTERNAL_ID_TAKEN
from entrepot.connectors.printful.orders import (
    lacks_tracking,
    order_of,
    same_order,
    shipment_of,
    with_problems,
    with_tracking,
)
from entrepot.connectors.printful.reading import data_list, data_of, objects, result_of

_CONFIRMED = frozenset(
    {
        MakingStatus.SUBMITTED,
        MakingStatus.MAKING,
        MakingStatus.PARTLY_SHIPPED,
        MakingStatus.SHIPPED,
        MakingStatus.ON_HOLD,
    }
)
_PAGES_MAX = 100
_DONE, _REFUSED = MakingOutcome.DONE, MakingOutcome.REFUSED


async def draft(api: Api, wanted: MakingDraft) -> MakingResult:
    """Have the draft stand at Printful, once."""
    try:
        drafts.check(wanted)
        by_first = drafts.goes_by_first_version(wanted)
        body = drafts.old_order_body(wanted) if by_first else drafts.order_body(wanted)
    except RequestRejected as error:
        return MakingResult(wanted.external_id, _REFUSED, code=error.code, detail=error.detail)
    found = await find(api, wanted.external_id)
    if found is not None:
        return _found(found, wanted)
    lost: ConnectorError | None = None
    try:
        reply = await send(api, calls.create_old_order(body) if by_first else calls.create_order(body))
        if not by_first:
            made = order_of(data_of(reply))
            return MakingResult(wanted.external_id, _DONE, made)
    except RequestRejected as error:
        if error.code != EXTERNAL_ID_TAKEN:
            return MakingResult(wanted.external_id, _REFUSED, code=error.code, detail=error.detail)
        # An earlier call of ours came through after we had looked.
        lost = error
    except (TemporarilyUnavailable, UnexpectedAnswer) as error:
        if certainly_not_done(error):
            raise
        lost = error
    found = await _look_again(api, wanted.external_id)
    if found is not None:
        return _found(found, wanted)
    detail = lost.detail if lost is not None else "Printful took the order and does not show it yet."
    return MakingResult(wanted.external_id, MakingOutcome.UNKNOWN, code="lost", detail=detail)


def _found(found: MadeOrder, wanted: MakingDraft) -> MakingResult:
    if not same_order(found, wanted):
        detail = f"Printful has another order ({found.maker_id}) under the id {wanted.external_id}: it is left alone."
        return MakingResult(wanted.external_id, _REFUSED, found, "another_order", detail)
    if found.status is MakingStatus.CANCELLED:
        detail = f"The order {found.maker_id} was cancelled at Printful: it is not made again under this id."
        return MakingResult(wanted.external_id, _REFUSED, found, "cancelled", detail)
    return MakingResult(wanted.external_id, _DONE, found)


async def confirm(api: Api, wanted: MakingConfirmation) -> MakingResult:
    """Have a draft made, once."""
    drafts.check_external_id(wanted.external_id)
    found = await find(api, wanted.external_id)
    if found is None:
        detail = "Printful does not know the order: make its draft first."
        return MakingResult(wanted.external_id, _REFUSED, code="no_order", detail=detail)
    before = _before_confirming(found, wanted)
    if before is not None:
        return before
    told = await _tell(api, calls.confirm_order(found.maker_id))
    now = await _look_again(api, wanted.external_id)
    if now is not None and now.status in _CONFIRMED:
        return MakingResult(wanted.external_id, _DONE, now)
    if now is not None and now.status is MakingStatus.FAILED and found.status is not MakingStatus.FAILED:
        return _failed(wanted.external_id, now)
    if now is not None and now.status is MakingStatus.CANCELLED:
        return MakingResult(wanted.external_id, _REFUSED, now, "cancelled", now.reason)
    if now is not None and isinstance(told, RequestRejected):
        # A conflict means that something else is going on with the order at this moment.
        outcome = MakingOutcome.NOT_YET if told.code == "409" else _REFUSED
        return MakingResult(wanted.external_id, outcome, now, told.code, told.detail)
    detail = told.detail if isinstance(told, ConnectorError) else "Printful took it and does not show it yet."
    return MakingResult(wanted.external_id, MakingOutcome.UNKNOWN, now, "lost", detail)


def _before_confirming(found: MadeOrder, wanted: MakingConfirmation) -> MakingResult | None:
    """Return the result where nothing is to be sent: done already, not possible, or not yet. Pure."""
    id, costs = wanted.external_id, found.costs
    if found.status in _CONFIRMED:
        return MakingResult(id, _DONE, found)
    if found.status is MakingStatus.CANCELLED:
        return MakingResult(id, _REFUSED, found, "cancelled", found.reason)
    if found.status is MakingStatus.FAILED and not wanted.again:
        return _failed(id, found)
    if costs.state is CostsState.CALCULATING:
        return MakingResult(id, MakingOutcome.NOT_YET, found, "costs", "Printful still works out what it costs.")
    if costs.state is CostsState.FAILED:
        detail = "Printful could not work out what the order costs: look at it in Printful's dashboard."
        return MakingResult(id, _REFUSED, found, "costs", detail)
    if wanted.cost_max is None:
        return None
    if costs.currency != wanted.currency:
        detail = f"The order costs {costs.total} {costs.currency}; the limit is in {wanted.currency or 'no currency'}."
        return MakingResult(id, _REFUSED, found, "currency", detail)
    if costs.total is not None and costs.total > wanted.cost_max:
        detail = f"The order costs {costs.total} {costs.currency}, more than the {wanted.cost_max} allowed."
        return MakingResult(id, _REFUSED, found, "cost_above_limit", detail)
    return None


def _failed(external_id: str, order: MadeOrder) -> MakingResult:
    return MakingResult(external_id, _REFUSED, order, "failed", order.reason)


async def cancel(api: Api, external_id: str) -> MakingResult:
    """Cancel an order while Printful lets us.

    The first version cancels and keeps the order, so its external id stays taken: a draft of ours that comes late is not
    made anew. Only an order that failed may have to be deleted instead.
    """
    drafts.check_external_id(external_id)
    found = await find(api, external_id)
    if found is None:
        return MakingResult(external_id, _DONE, code="no_order", detail="Printful has no such order.")
    if found.status is MakingStatus.CANCELLED:
        return MakingResult(external_id, _DONE, found)
    if found.status in (MakingStatus.MAKING, MakingStatus.PARTLY_SHIPPED, MakingStatus.SHIPPED):
        return _too_late(external_id, found)
    told = await _tell(api, calls.cancel_order(found.maker_id))
    if isinstance(told, RequestRejected) and found.status is MakingStatus.FAILED:
        told = await _tell(api, calls.delete_order(found.maker_id))
        if not isinstance(told, ConnectorError):
            return MakingResult(external_id, _DONE, code="deleted", detail="The order that had failed was deleted.")
    now = await _look_again(api, external_id)
    if now is not None and now.status is MakingStatus.CANCELLED:
        return MakingResult(external_id, _DONE, now)
    if now is not None and isinstance(told, RequestRejected):
        return _too_late(external_id, now, told)
    detail = told.detail if isinstance(told, ConnectorError) else "Printful took it and does not show it yet."
    return MakingResult(external_id, MakingOutcome.UNKNOWN, now, "lost", detail)


def _too_late(external_id: str, order: MadeOrder, error: RequestRejected | None = None) -> MakingResult:
    detail = f"Printful cannot cancel the order any more: it is {order.channel_status}."
    if error is not None:
        detail = f"{detail} ({error.detail})"
    return MakingResult(external_id, MakingOutcome.TOO_LATE, order, error.code if error else "too_late", detail)


# ---- reading -----------------------------------------------------------------------------------------------------


async def find(api: Api, external_id: str) -> MadeOrder | None:
    """Return the order with our id, None where Printful has none."""
    try:
        order = order_of(data_of(await send(api, calls.get_order(external_id))))
    except RequestRejected as error:
        if is_not_found(error):
            return None
        raise
    return order if order.status is not MakingStatus.FAILED else with_problems(order, await _items(api, order.maker_id))


async def read(api: Api, external_ids: Sequence[str]) -> tuple[MadeOrder, ...]:
    """Return these orders; unknown ones are left out."""
    found = [await find(api, each) for each in dict.fromkeys(external_ids)]
    return tuple(each for each in found if each is not None)


async def read_shipments(api: Api, external_id: str) -> tuple[MadeShipment, ...]:
    """Return the parcels of an order. Tracking numbers that the second version does not tell come of the first."""
    found: list[MadeShipment] = []
    for _ in range(_PAGES_MAX):
        try:
            page = data_list(await send(api, calls.shipments(external_id, len(found))))
        except RequestRejected as error:
            if is_not_found(error):
                return ()
            raise
        found += [shipment_of(each) for each in page]
        if len(page) < calls.PAGE:
            break
    if any(lacks_tracking(each) and each.order_maker_id for each in found):
        order_id = next(each.order_maker_id for each in found if each.order_maker_id)
        old = objects(result_of(await send(api, calls.get_old_order(order_id))), "shipments")
        found = [with_tracking(each, old) if lacks_tracking(each) else each for each in found]
    return tuple(found)


async def _items(api: Api, order_id: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    for _ in range(_PAGES_MAX):
        page = data_list(await send(api, calls.order_items(order_id, len(items))))
        items += [dict(each) for each in page]
        if len(page) < calls.PAGE:
            break
    return items


async def _look_again(api: Api, external_id: str) -> MadeOrder | None:
    """Return the order as it is now; None where it is not there or cannot be seen: the step is not over then."""
    try:
        return await find(api, external_id)
    except ConnectorError:
        return None


async def _tell(api: Api, call: Call) -> Reply | RequestRejected | TemporarilyUnavailable | UnexpectedAnswer:
    """Send a write whose effect is looked up afterwards. Raises where certainly nothing was done."""
    try:
        return await send(api, call)
    except (RequestRejected, UnexpectedAnswer) as error:
        return error
    except TemporarilyUnavailable as error:
        if certainly_not_done(error):
            raise
        return error


def certainly_not_done(error: ConnectorError) -> bool:
    """Return whether a write that ended so has certainly changed nothing."""
    return isinstance(error, RateLimited | TooLate)


def is_not_found(error: RequestRejected) -> bool:
    """Return whether Printful says that there is no such thing."""
    return error.code == "404"
