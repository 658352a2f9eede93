"""The table of moves: whatever is tried in whatever order, a task only goes where the table lets it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.agents import lifecycle
from entrepot.agents.lifecycle import (
    BY_MOVE,
    ENDS,
    RULES,
    Kind,
    Move,
    NotYourMove,
    State,
    Who,
    WrongMove,
    allowed,
    judge,
)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "task-lifecycle.md"
WAY = (State.PENDING, State.AWAITING_APPROVAL, State.APPROVED, State.IN_PROGRESS, State.COMPLETED)
standings = st.frozensets(st.sampled_from(list(Who)))
steps = st.lists(st.tuples(st.sampled_from(list(Move)), standings), max_size=40)


def test_every_move_has_one_rule() -> None:
    assert {rule.move for rule in RULES} == set(Move)
    assert len(RULES) == len(Move)


@given(st.sampled_from(list(Kind)), steps)
def test_a_task_only_goes_its_way(kind: Kind, tried: list[tuple[Move, frozenset[Who]]]) -> None:
    state, path = State.PENDING, [State.PENDING]
    for move, standing in tried:
        try:
            rule = judge(move, state, kind, standing)
        except (NotYourMove, WrongMove):
            assert move not in allowed(state, kind, standing)
            continue
        assert move in allowed(state, kind, standing)
        assert rule.who & standing
        state = rule.to or state
        path.append(state)
    for before, after in itertools.pairwise(path):
        if after is State.REJECTED:
            assert before in (State.PENDING, State.AWAITING_APPROVAL)
        elif before is not after:
            back = (before, after) == (State.APPROVED, State.AWAITING_APPROVAL)
            assert back or WAY.index(after) == WAY.index(before) + 1
    if State.REJECTED in path:
        assert path[-1] is State.REJECTED
    if State.COMPLETED in path:
        assert path[path.index(State.COMPLETED) :] == [State.COMPLETED] * (len(path) - path.index(State.COMPLETED))
    assert State.APPROVED in path or state not in (State.IN_PROGRESS, State.COMPLETED)


@given(st.sampled_from(list(Move)), st.sampled_from(list(State)), st.sampled_from(list(Kind)))
def test_who_is_nothing_to_a_task_may_do_nothing(move: Move, state: State, kind: Kind) -> None:
    with pytest.raises(NotYourMove):
        judge(move, state, kind, ())


def test_only_admins_and_the_hub_approve_and_assign() -> None:
    for move in (Move.APPROVE, Move.ASSIGN):
        assert BY_MOVE[move].who == {Who.ADMIN, Who.HUB}
    assert BY_MOVE[Move.REJECT].who == {Who.ADMIN}
    assert BY_MOVE[Move.COMPLETE].who == {Who.ASSIGNEE, Who.ADMIN}


def test_nothing_leaves_an_end() -> None:
    for rule in RULES:
        assert rule.to in ENDS or not rule.sources & ENDS


def test_a_refusal_says_what_would_be_possible() -> None:
    with pytest.raises(WrongMove, match=r"This task is pending; it can be completed only while it is in progress\."):
        judge(Move.COMPLETE, State.PENDING, Kind.WORK, {Who.ADMIN})
    with pytest.raises(NotYourMove, match="Only an admin or the assignee may do that"):
        judge(Move.COMPLETE, State.PENDING, Kind.WORK, {Who.CREATOR})
    with pytest.raises(WrongMove, match="The hub carries this task out itself"):
        judge(Move.ASSIGN, State.APPROVED, Kind.ACTION, {Who.ADMIN})


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == lifecycle.page()
