"""What an order would cost: a task in the second version, an answer at once in the first."""

from __future__ import annotations

from entrepot.channels.contract import (
    Api,
    CostsState,
    EstimateReceipt,
    MakingCosts,
    MakingDraft,
    Payload,
    UnexpectedAnswer,
)
from entrepot.connectors.printful import calls, drafts
from entrepot.connectors.printful.calls import send
from entrepot.connectors.printful.orders import costs_of
from entrepot.connectors.printful.reading import data_of, inner, optional_text, result_of, text


async def start(api: Api, wanted: MakingDraft) -> EstimateReceipt:
    """Begin to work out the costs, or return them where they come at once."""
    drafts.check(wanted)
    if drafts.goes_by_first_version(wanted):
        reply = await send(api, calls.old_estimate(drafts.old_estimate_body(wanted)))
        return EstimateReceipt(costs=costs_of(inner(result_of(reply), "costs")))
    return receipt_of(data_of(await send(api, calls.start_estimate(drafts.estimate_body(wanted)))))


async def follow(api: Api, handle: str) -> MakingCosts | None:
    """Return the costs, or None while the task goes on."""
    return receipt_of(data_of(await send(api, calls.get_estimate(handle)))).costs


def receipt_of(task: Payload) -> EstimateReceipt:
    """Return what a task has come to."""
    status = optional_text(task, "status")
    if status == "pending":
        return EstimateReceipt(handle=text(task, "id"))
    if status == "failed":
        return EstimateReceipt(costs=MakingCosts(CostsState.FAILED))
    if status != "completed":
        raise UnexpectedAnswer(f"Printful has a status of estimates that is not known here: {status[:40]!r}")
    return EstimateReceipt(costs=costs_of(inner(task, "costs")))
