"""Whatever is lost, late, doubled or reordered: hub and channels come to the same state, the same whatever the order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sync.merge.simulation import World, run

from entrepot.sync.merge.policies import Policy

POLICIES = (Policy.LAST_WRITE, Policy.SOURCE_PRIORITY, Policy.MANUAL)


@pytest.mark.parametrize("policy", POLICIES)
def test_random_edits_on_all_sides_converge(policy: Policy) -> None:
    for seed in range(700):
        run(seed, policy)
        run(seed, policy, unique=False, races=True)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_a_hundred_thousand_runs_converge(part: int) -> None:
    for seed in range(part * 10_000, (part + 1) * 10_000):
        run(seed, POLICIES[seed % 3], unique=seed % 2 == 0, races=seed % 5 == 0)


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 200), policy=st.sampled_from(POLICIES))
@settings(max_examples=200, deadline=None)
def test_long_histories_converge(seed: int, steps: int, policy: Policy) -> None:
    run(seed, policy, steps=steps)


@pytest.mark.parametrize("policy", [Policy.LAST_WRITE, Policy.SOURCE_PRIORITY])
def test_edits_made_before_any_was_heard_end_alike_in_every_order(policy: Policy) -> None:
    """The same edits, told in 60 different orders with different faults: one result."""
    for edits in range(30):
        ends = set()
        for order in range(60):
            world = World(edits, policy)
            for _ in range(world.chance.randrange(1, 5)):
                who = world.chance.randrange(3)
                if who == 2:
                    world.edit_hub()
                else:
                    world.edit_channel(world.channels[who])
            world.chance.seed(order)
            for _ in range(world.chance.randrange(20)):
                _hear_or_write(world)
            world.settle()
            ends.add(world.ours)
        assert len(ends) == 1, f"edits {edits}: {ends}"


def _hear_or_write(world: World) -> None:
    channel, happens = world.chance.choice(world.channels), world.chance.randrange(3)
    if happens == 0:
        world.take(channel, world.read(channel))
    elif happens == 1:
        world.merge(channel)
    else:
        world.write(channel, world.chance.choice(("", "busy", "lost", "dropped")))


def test_an_edit_everywhere_costs_one_write_for_each_other_channel() -> None:
    world = World(1)
    world.edit_hub()
    assert world.settle() == 2
    world.edit_channel(world.channels[0])
    assert world.settle() == 1
