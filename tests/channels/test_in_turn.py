"""Items written one after another: each has its own result, and nothing is said to be written of which nobody knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.channels.contract import (
    ConnectorError,
    OutcomeUnknown,
    PushOutcome,
    RateLimited,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.channels.in_turn import as_lost, written_in_turn

FAULTS = {"ok": None, "refused": RequestRejected, "lost": OutcomeUnknown, "away": TemporarilyUnavailable}


async def run(plan: list[str]) -> tuple[list[tuple[int, PushOutcome]], list[int]]:
    """Write items that do as planned; return their outcomes, and which were sent."""
    sent: list[int] = []

    async def write(item: int) -> tuple[int, PushOutcome]:
        sent.append(item)
        fault = FAULTS[plan[item]]
        if fault is not None:
            raise fault(plan[item])
        return item, PushOutcome.APPLIED

    def failed(item: int, outcome: PushOutcome, error: ConnectorError) -> tuple[int, PushOutcome]:
        return item, outcome

    return await written_in_turn(range(len(plan)), write, failed), sent


@given(st.lists(st.sampled_from(list(FAULTS)), max_size=8))
async def test_each_item_has_its_own_outcome(plan: list[str]) -> None:
    if plan and plan[0] == "away":
        with pytest.raises(TemporarilyUnavailable):
            await run(plan)
        return
    results, sent = await run(plan)
    assert [item for item, _ in results] == list(range(len(plan)))
    stop = next((n for n, what in enumerate(plan) if what in ("lost", "away")), len(plan))
    assert sent == list(range(min(stop + 1, len(plan)))), "nothing is sent to who does not answer"
    means = {"ok": PushOutcome.APPLIED, "refused": PushOutcome.REFUSED, "lost": PushOutcome.UNKNOWN}
    for item, outcome in results:
        known = means.get(plan[item], PushOutcome.FAILED)
        assert outcome is (PushOutcome.FAILED if item > stop else known)


def test_a_lost_answer_keeps_when_to_ask_again() -> None:
    assert as_lost(RateLimited("slowly", retry_after_s=7)).retry_after_s == 7
    assert as_lost(RequestRejected("no")).retry_after_s is None
