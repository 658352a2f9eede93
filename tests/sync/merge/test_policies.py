"""Policies, what people are advised, and what is learned from their decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from entrepot.sync.merge import values
from entrepot.sync.merge.learning import ENOUGH, Decision, learn
from entrepot.sync.merge.policies import (
    Policy,
    PolicyDoesNotFit,
    Question,
    Source,
    advise,
    decide,
    fits,
    merge_both,
    preview,
    sum_of_deltas,
)
from entrepot.sync.merge.rules import Side
from entrepot.sync.merge.values import FieldKind

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def euros(minor: int) -> Any:
    return values.minor(minor, "EUR")


def prices(ours: int, theirs: int, *others: int, **more: Any) -> Question:
    return Question(
        FieldKind.MONEY, euros(1000), Source("hub", euros(ours), NOW), Source("shopify", euros(theirs), LATER, 80),
        tuple(Source("amazon", euros(o)) for o in others), **more,
    )  # fmt: skip


def texts(ours: str = "a", theirs: str = "b") -> Question:
    return Question(FieldKind.TEXT, "x", Source("hub", ours, NOW), Source("shopify", theirs, LATER, 80))


@pytest.mark.parametrize(
    ("policy", "question", "value"),
    [
        (Policy.LAST_WRITE, texts(), "b"),
        (Policy.SOURCE_PRIORITY, texts(), "a"),
        (Policy.LOWEST, prices(1200, 1100), euros(1100)),
        (Policy.LOWEST, prices(1100, 1200), euros(1100)),
        (Policy.MEAN, prices(1200, 1101), euros(1150)),
        (Policy.MEDIAN, prices(1200, 1100, 2000), euros(1200)),
        (Policy.MEAN, prices(1200, 1100, 1300), euros(1200)),
    ],
)
def test_what_policies_decide(policy: Policy, question: Question, value: Any) -> None:
    answer = decide(policy, question)
    assert answer is not None
    assert answer.value == value
    assert answer.reason


def test_what_policies_leave_to_people() -> None:
    untold = replace(texts(), theirs=Source("shopify", "b", None, 80))
    assert decide(Policy.LAST_WRITE, untold) is None
    assert decide(Policy.MANUAL, texts()) is None
    for policy in (Policy.LOWEST, Policy.MEAN, Policy.MEDIAN, Policy.WEIGHTED):
        assert decide(policy, texts()) is None
    assert decide(Policy.WEIGHTED, prices(1, 2)) is None
    foreign = replace(prices(1, 2), theirs=Source("shopify", values.minor(2, "USD"), NOW))
    assert decide(Policy.LOWEST, foreign) is None


def test_ties_go_by_priority_then_by_time_and_never_by_order() -> None:
    same_time = replace(texts(), theirs=Source("shopify", "b", NOW, 80))
    assert decide(Policy.LAST_WRITE, same_time).value == "a"  # type: ignore[union-attr]
    same_rank = replace(texts(), theirs=Source("shopify", "b", LATER, 100))
    assert decide(Policy.SOURCE_PRIORITY, same_rank).value == "b"  # type: ignore[union-attr]
    one, other = Source("alpha", "a", NOW, 50), Source("beta", "b", NOW, 50)
    ends = {
        decide(Policy.SOURCE_PRIORITY, Question(FieldKind.TEXT, "x", *pair)).value  # type: ignore[union-attr]
        for pair in ((one, other), (other, one))
    }
    assert len(ends) == 1


def test_policies_for_numbers_fit_numbers_only() -> None:
    fits(Policy.LOWEST, FieldKind.MONEY)
    fits(Policy.LAST_WRITE, FieldKind.TEXT)
    with pytest.raises(PolicyDoesNotFit):
        fits(Policy.MEDIAN, FieldKind.TEXT)


def test_tags_changed_on_both_sides_are_merged() -> None:
    asked = Question(
        FieldKind.TAGS, ["a", "b"], Source("hub", ["a", "b", "c"], NOW), Source("shopify", ["b", "d"], NOW)
    )
    assert merge_both(asked) == ["b", "c", "d"]
    answer = advise(asked)
    assert answer is not None
    assert (answer.side, answer.value) == (Side.VALUE, ["b", "c", "d"])
    alone = replace(asked, theirs=Source("shopify", ["a", "b"], NOW))
    assert merge_both(alone) is None
    assert merge_both(texts()) is None


def test_quantities_add_both_changes() -> None:
    assert sum_of_deltas(FieldKind.NUMBER, "40", "34", "37") == "31"
    assert sum_of_deltas(FieldKind.NUMBER, "3", "0", "1") is None
    assert sum_of_deltas(FieldKind.NUMBER, None, "0", "1") is None


def test_weights_are_off_until_there_is_enough_then_lean_to_who_was_right() -> None:
    ours_right = [Decision(euros(1000 + n), euros(1300), euros(1001 + n)) for n in range(ENOUGH)]
    assert learn(FieldKind.MONEY, ours_right[:-1]).weight_of_ours is None
    learned = learn(FieldKind.MONEY, ours_right)
    assert learned.weight_of_ours is not None
    assert learned.weight_of_ours > 0.99
    answer = decide(Policy.WEIGHTED, prices(1000, 1100, learned=learned))
    assert answer is not None
    assert 1000 <= answer.value["minor"] <= 1001
    even = [Decision(euros(900), euros(1100), euros(1000)) for _ in range(ENOUGH)]
    middle = decide(Policy.WEIGHTED, prices(1000, 1100, learned=learn(FieldKind.MONEY, even)))
    assert middle is not None
    assert middle.value == euros(1050)
    assert learn(FieldKind.MONEY, [Decision("", euros(1), euros(1))] * 20).decisions == 0


def test_texts_are_learned_by_how_often_which_side_was_chosen() -> None:
    theirs = [Decision("a", "b", "b")] * 12
    asked = replace(texts(), learned=learn(FieldKind.TEXT, theirs))
    answer = decide(Policy.WEIGHTED, asked)
    assert answer is not None
    assert (answer.side, advise(asked)) == (Side.THEIRS, answer)
    torn = replace(texts(), learned=learn(FieldKind.TEXT, [*theirs, *[Decision("a", "b", "a")] * 12]))
    assert decide(Policy.WEIGHTED, torn) is None


def test_a_preview_compares_with_what_people_decided() -> None:
    past = [(prices(1200, 1100), euros(1100)), (prices(1200, 1100), euros(1200)), (texts(), "a")]
    found = preview(Policy.LOWEST, past)
    assert (found.decided, found.same_as_people, found.other, found.left_to_people) == (2, 1, 1, 1)
