"""Stock moved by the difference: batches, refusals and lost answers."""

from __future__ import annotations

import pytest
from tests.connectors.scripted import Answer, reply
from tests.connectors.square.given import (
    batch,
    body_of,
    change,
    count,
    refusal,
    scripted,
)

from entrepot.channels.contract import (
    Call,
    OutcomeUnknown,
    PushOutcome,
    RateLimited,
    Reply,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.connectors.square import CONNECTOR


async def test_stock_is_moved_by_the_difference() -> None:
    api = scripted([reply({"counts": [count("A", "9"), count("B", "38"), count("B", "2", "LOTHER")]})])
    receipt = await CONNECTOR.push_quantities(api, batch(change("A", 12, 9), change("B", 0, 40)))
    sent = body_of(api.calls[0])
    assert sent["idempotency_key"] == "batch-7"
    moves = [(c["type"], c["adjustment"]) for c in sent["changes"]]
    assert [kind for kind, _ in moves] == ["ADJUSTMENT", "ADJUSTMENT"]
    assert [(a["from_state"], a["to_state"], a["quantity"]) for _, a in moves] == [
        ("IN_STOCK", "SOLD", "3"),
        ("NONE", "IN_STOCK", "40"),
    ]
    assert {a["occurred_at"] for _, a in moves} == {"2026-11-20T11:59:58.250Z"}
    assert {a["location_id"] for _, a in moves} == {"LSHOP1"}
    assert [(r.outcome, r.reported) for r in receipt.results] == [(PushOutcome.APPLIED, 9), (PushOutcome.APPLIED, 38)]


async def test_nothing_to_move_calls_nobody_and_no_count_is_refused() -> None:
    receipt = await CONNECTOR.push_quantities(scripted([]), batch(change("A", 5, 5), change("B", None, 5)))
    assert [r.outcome for r in receipt.results] == [PushOutcome.APPLIED, PushOutcome.REFUSED]


async def test_one_bad_variation_that_square_names_does_not_stop_its_neighbours() -> None:
    api = scripted([refusal("NOT_FOUND", field="changes[1].adjustment.catalog_object_id"), reply({"counts": []})])
    receipt = await CONNECTOR.push_quantities(api, batch(change("A", 1, 0), change("B", 1, 0), change("C", 1, 0)))
    assert [r.outcome.value for r in receipt.results] == ["applied", "refused", "applied"]
    assert receipt.results[1].code == "NOT_FOUND"
    first, second = (body_of(call) for call in api.calls)
    assert [c["adjustment"]["catalog_object_id"] for c in second["changes"]] == ["A", "C"]
    assert first["idempotency_key"] != second["idempotency_key"]


async def test_one_bad_variation_that_square_does_not_name_is_found_by_halving_repeatably() -> None:
    def answer(call: Call) -> Reply:
        bad = any(c["adjustment"]["catalog_object_id"] == "C" for c in body_of(call)["changes"])
        return refusal("INVALID_VALUE") if bad else reply({"counts": []})

    runs = []
    for _ in range(2):
        api = scripted([answer] * 5)
        receipt = await CONNECTOR.push_quantities(api, batch(*(change(v, 1, 0) for v in "ABCD")))
        assert {r.external_id[0]: r.outcome.value for r in receipt.results} == {
            "A": "applied",
            "B": "applied",
            "C": "refused",
            "D": "applied",
        }
        runs.append(api.calls)
    assert runs[0] == runs[1]
    keys = [body_of(call)["idempotency_key"] for call in runs[0]]
    assert len(set(keys)) == len(keys) == 5
    assert all(len(key) <= 128 for key in keys)


@pytest.mark.parametrize("error", [TemporarilyUnavailable(), OutcomeUnknown(), reply({}, 503)])
async def test_a_lost_answer_asks_for_the_same_batch_again(error: Answer) -> None:
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.push_quantities(scripted([error]), batch(change("A", 1, 0)))


@pytest.mark.parametrize("status", [429, 401, 503])
async def test_trouble_after_a_part_was_written_is_told_as_unknown(status: int) -> None:
    answers: list[Answer] = [refusal("INVALID_VALUE"), reply({"counts": []}), reply({}, status)]
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.push_quantities(scripted(answers), batch(change("A", 1, 0), change("B", 1, 0)))


async def test_being_asked_to_slow_down_before_anything_was_written_is_told_as_that() -> None:
    with pytest.raises(RateLimited):
        await CONNECTOR.push_quantities(scripted([reply({}, 429)]), batch(change("A", 1, 0)))


@pytest.mark.parametrize("code", ["INVALID_TIME", "IDEMPOTENCY_KEY_REUSED"])
async def test_a_refused_time_or_key_leaves_the_outcome_open(code: str) -> None:
    receipt = await CONNECTOR.push_quantities(scripted([refusal(code)]), batch(change("A", 1, 0), change("B", 1, 0)))
    assert {r.outcome for r in receipt.results} == {PushOutcome.UNKNOWN}


async def test_a_wrong_location_is_everyones_trouble() -> None:
    api = scripted([refusal("INVALID_VALUE", field="changes[0].adjustment.location_id")])
    with pytest.raises(RequestRejected):
        await CONNECTOR.push_quantities(api, batch(change("A", 1, 0), change("B", 1, 0)))
