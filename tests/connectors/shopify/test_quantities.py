"""Quantities set by comparison: stale ones, refusals and lost answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.connectors.scripted import AT, Answer, reply
from tests.connectors.shopify.calls import api_of, failed, sent
from tests.connectors.shopify.test_contract import change

from entrepot.channels.contract import (
    OutcomeUnknown,
    PushOutcome,
    QuantityBatch,
)
from entrepot.connectors.shopify import CONNECTOR


def set_reply(*errors: tuple[str, int | None]) -> Answer:
    listed = [
        {
            "code": code,
            "field": None if index is None else ["input", "quantities", str(index), "changeFromQuantity"],
            "message": f"said {code}",
        }
        for code, index in errors
    ]
    return reply({"data": {"inventorySetQuantities": {"inventoryAdjustmentGroup": None, "userErrors": listed}}})


def batch(*numbers: int) -> QuantityBatch:
    return QuantityBatch("batch-7", tuple(change(n, 5, 6) for n in numbers), AT)


def outcomes(results: Sequence[Any]) -> dict[str, str]:
    return {result.external_id: result.outcome.value for result in results}


async def test_a_batch_is_compared_set_and_keyed() -> None:
    api = api_of(set_reply())
    receipt = await CONNECTOR.push_quantities(api, batch(701, 702))
    assert outcomes(receipt.results) == {"701": "applied", "702": "applied"}
    assert [result.reported for result in receipt.results] == [5, 5]
    variables = sent(api, 0)
    assert variables["key"] == "batch-7"
    assert variables["input"]["quantities"][1] == {
        "inventoryItemId": "gid://shopify/InventoryItem/902",
        "locationId": "gid://shopify/Location/11",
        "quantity": 5,
        "changeFromQuantity": 6,
    }
    assert api.calls[0].idempotent


async def test_stale_ones_do_not_keep_their_neighbours() -> None:
    refused = set_reply(("CHANGE_FROM_QUANTITY_STALE", 1), ("INVALID_INVENTORY_ITEM", 3))
    api = api_of(refused, set_reply(("CHANGE_FROM_QUANTITY_STALE", 0)), set_reply())
    receipt = await CONNECTOR.push_quantities(api, batch(701, 702, 703, 704))
    assert outcomes(receipt.results) == {"701": "stale", "702": "stale", "703": "applied", "704": "refused"}
    assert [sent(api, i)["key"] for i in range(3)] == ["batch-7", "batch-7/1", "batch-7/2"]
    assert "import the listings again" in receipt.results[3].detail


async def test_what_is_left_after_the_last_round_is_failed() -> None:
    api = api_of(*[set_reply(("CHANGE_FROM_QUANTITY_STALE", 0))] * 4)
    receipt = await CONNECTOR.push_quantities(api, batch(1, 2, 3, 4, 5))
    assert outcomes(receipt.results) == {"1": "stale", "2": "stale", "3": "stale", "4": "stale", "5": "failed"}


async def test_an_answer_lost_in_a_later_round_is_unknown_for_the_rest_only() -> None:
    refused = set_reply(("CHANGE_FROM_QUANTITY_STALE", 0))
    receipt = await CONNECTOR.push_quantities(api_of(refused, OutcomeUnknown()), batch(1, 2))
    assert outcomes(receipt.results) == {"1": "stale", "2": "unknown"}
    slowed = await CONNECTOR.push_quantities(api_of(refused, reply({}, 429)), batch(1, 2))
    assert outcomes(slowed.results) == {"1": "stale", "2": "failed"}


@pytest.mark.parametrize("answer", [reply({}, 502), reply(failed("INTERNAL_SERVER_ERROR"))])
async def test_a_failure_that_may_come_after_the_write_is_unknown(answer: Answer) -> None:
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.push_quantities(api_of(answer), batch(1))


async def test_a_batch_that_shopify_still_works_on_is_unknown() -> None:
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.push_quantities(api_of(set_reply(("IDEMPOTENCY_CONCURRENT_REQUEST", None))), batch(1))


async def test_a_key_that_failed_before_leaves_all_unknown() -> None:
    answer = set_reply(("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", None))
    receipt = await CONNECTOR.push_quantities(api_of(answer), batch(1, 2))
    assert outcomes(receipt.results) == {"1": "unknown", "2": "unknown"}


async def test_an_objection_to_no_one_in_particular_is_to_all() -> None:
    stale = await CONNECTOR.push_quantities(api_of(set_reply(("CHANGE_FROM_QUANTITY_STALE", None))), batch(1, 2))
    assert outcomes(stale.results) == {"1": "stale", "2": "stale"}
    wrong = await CONNECTOR.push_quantities(api_of(set_reply(("INVALID_REASON", None))), batch(1, 2))
    assert outcomes(wrong.results) == {"1": "refused", "2": "refused"}


async def test_a_change_that_cannot_be_addressed_keeps_nobody() -> None:
    unread = change(2, 5, None)
    mixed = QuantityBatch("b", (change(1, 5, 6), unread), AT)
    receipt = await CONNECTOR.push_quantities(api_of(set_reply()), mixed)
    assert outcomes(receipt.results) == {"1": "applied", "2": "failed"}
    assert receipt.results[0].outcome is PushOutcome.APPLIED
