"""The best policy without memory against all policies, tried one by one; the one with memory against all histories."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.beliefs import hides_best_action, hides_state, observation_numbers
from envs.enumeration import TabularMDP, enumerate_world
from envs.errors import UserError
from envs.memoryless import memoryless_optimum
from envs.registry import make_world
from envs.tabular import policy_evaluation, start_value, value_iteration


def make_mdp(next_state, reward, *, starts, discount=0.9) -> TabularMDP:
    """A deterministic process by hand: next_state [S, A] with -1 for the end, reward [S, A]."""
    next_state = np.asarray(next_state, np.int32)[:, :, None]
    return TabularMDP(
        rows=np.arange(len(next_state), dtype=np.int16)[:, None],
        start_state=np.array(starts),
        start_probability=np.full(len(starts), 1 / len(starts)),
        next_state=next_state,
        probability=np.ones(next_state.shape),
        components=np.asarray(reward, float)[:, :, None, None],
        event=np.full(next_state.shape, -1, np.int16),
        discount=discount,
        reward_weights=np.ones(1),
    )


def best_of_all_policies(mdp, observation):
    """The largest start value over every function from observations to actions, by playing them all side by side."""
    _, seen = np.unique(observation, return_inverse=True)
    policies = np.array(list(itertools.product(range(mdp.num_actions), repeat=seen.max() + 1)), np.int8)
    # The appended state is the end.
    next_state = np.append(
        np.where(mdp.next_state < 0, mdp.num_states, mdp.next_state)[:, :, 0],
        [[mdp.num_states] * mdp.num_actions],
        axis=0,
    )
    reward = np.append(mdp.components[:, :, 0] @ mdp.reward_weights, np.zeros((1, mdp.num_actions)), axis=0)
    seen, everyone = np.append(seen, 0), np.arange(len(policies))
    total = np.zeros(len(policies))
    for start in np.unique(mdp.start_state):
        state, factor = np.full(len(policies), start), mdp.start_probability[mdp.start_state == start].sum()
        while factor > 1e-10 and (state < mdp.num_states).any():
            action = policies[everyone, seen[state]]
            total += factor * reward[state, action]
            state, factor = next_state[state, action], factor * mdp.discount
    return total.max()


def best_of_all_histories(mdp, observation, *, depth):
    """The best return of the first `depth` steps over all functions of the history: a tree without any sharing."""
    next_state, reward = mdp.next_state[:, :, 0], mdp.components[:, :, 0, 0]

    def branch(particles, depth):
        groups = {}
        for state, weight in particles:
            groups.setdefault(observation[state], []).append((state, weight))
        return sum(best(group, depth) for group in groups.values())

    def best(group, depth):
        if depth == 0:
            return 0.0
        values = []
        for action in range(mdp.num_actions):
            after = [(next_state[s, action], w) for s, w in group if next_state[s, action] >= 0]
            earned = sum(w * reward[s, action] for s, w in group)
            values.append(earned + mdp.discount * branch(after, depth - 1))
        return max(values)

    return branch(list(zip(mdp.start_state, mdp.start_probability, strict=True)), depth)


def corridor(*, length, start, discount):
    """A corridor with the goal at either end, hidden which; state 2 * cell + side, actions left and right."""
    next_state = np.zeros((2 * length, 2), int)
    reward = np.zeros((2 * length, 2))
    for cell, side, action in itertools.product(range(length), range(2), range(2)):
        to = min(max(cell + 2 * action - 1, 0), length - 1)
        goal = (0, length - 1)[side]
        next_state[2 * cell + side, action] = -1 if to == goal else 2 * to + side
        reward[2 * cell + side, action] = float(to == goal)
    mdp = make_mdp(next_state, reward, starts=[2 * start, 2 * start + 1], discount=discount)
    return mdp, np.arange(2 * length) // 2


def test_a_corridor_needs_memory_to_turn_round():
    """Without memory one end is all that can be had; with it, the other end is as far as the corridor is long."""
    mdp, cells = corridor(length=6, start=2, discount=0.9)
    found = memoryless_optimum(mdp, cells)
    assert found.value == pytest.approx(0.5 * 0.9, abs=1e-9)
    assert found.with_memory == pytest.approx(0.5 * 0.9 + 0.5 * 0.9 ** (2 + 5 - 1), abs=1e-9)
    assert found.needs_memory and hides_state(cells)
    assert start_value(mdp, value_iteration(mdp).values) == pytest.approx(0.5 * 0.9 + 0.5 * 0.9**2, abs=1e-9)


def test_what_is_seen_needs_no_memory():
    """Where every state looks different, all three optima are one."""
    mdp, _ = corridor(length=6, start=2, discount=0.9)
    found = memoryless_optimum(mdp, np.arange(12))
    best = start_value(mdp, value_iteration(mdp).values)
    assert (found.value, found.with_memory) == pytest.approx((best, best), abs=1e-9)
    assert not found.needs_memory and not hides_state(np.arange(12))


def test_rewards_of_a_round_count_for_ever():
    """Three states in a ring that look alike, one action each way: 1 at every third step is 1 / (1 - γ^3)."""
    mdp = make_mdp([[1, 2], [2, 0], [0, 1]], [[0, 0], [0, 0], [1, 0]], starts=[0])
    found = memoryless_optimum(mdp, np.zeros(3, int))
    assert found.value == pytest.approx(0.9**2 / (1 - 0.9**3), abs=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=120, deadline=None)
def test_random_processes_equal_brute_force(seed):
    """Ends, rounds, splitting and merging trajectories, negative rewards, several starts in one state."""
    rng = np.random.default_rng(seed)
    num_states, num_seen = int(rng.integers(2, 8)), int(rng.integers(1, 5))
    mdp = make_mdp(
        rng.integers(-1, num_states, (num_states, 2)),
        rng.integers(-2, 3, (num_states, 2)),
        starts=rng.integers(0, num_states, int(rng.integers(1, 5))),
        discount=0.5,
    )
    weights = rng.random(len(mdp.start_state))
    mdp = dataclasses.replace(mdp, start_probability=weights / weights.sum())
    observation = rng.integers(0, num_seen, num_states)
    found = memoryless_optimum(mdp, observation)
    assert found.value == pytest.approx(best_of_all_policies(mdp, observation), abs=1e-8)
    assert start_value(mdp, policy_evaluation(mdp, found.policy_probs)) == pytest.approx(found.value, abs=1e-8)
    same = observation[:, None] == observation[None]
    assert (found.policy_probs[:, None] == found.policy_probs[None])[same].all(), "what looks alike acts alike"
    # What lies beyond the tree is at most 2 · .5^10 / (1 - .5).
    assert found.with_memory == pytest.approx(best_of_all_histories(mdp, observation, depth=10), abs=0.005)
    assert found.value <= found.with_memory + 1e-9


ROOMS = [
    {"size": 2, "num_objects": 2, "context": "hidden"},
    {"size": 2, "num_objects": 3, "context": "hidden", "wrong_cost": 0.3},
    {"size": 2, "num_objects": 2, "context": "first"},
    {"size": 2, "num_objects": 2, "context": "hidden", "continuing": True},
]


@pytest.mark.parametrize("options", ROOMS)
def test_tiny_rooms_equal_brute_force(options):
    world = make_world("MultiNeed", discount=0.6, **options)
    for level in range(2):
        mdp = enumerate_world(world, [level])
        observation = observation_numbers(world, mdp.rows)
        assert hides_state(observation)
        found = memoryless_optimum(mdp, observation)
        assert found.value == pytest.approx(best_of_all_policies(mdp, observation), abs=1e-9)


def test_levels_that_look_alike_share_their_policy():
    """Two levels that differ by the agent's start alone; what is best in each cannot be had in both."""
    world = make_world("MultiNeed", size=3, num_objects=2, context="hidden", discount=0.5)
    rows = world.begin([13, 225], 0)
    assert (rows[0, 1:] == rows[1, 1:]).all() and rows[0, 0] != rows[1, 0]

    def solved(levels):
        mdp = enumerate_world(world, levels)
        observation = observation_numbers(world, mdp.rows)
        return mdp, observation, memoryless_optimum(mdp, observation)

    mdp, observation, found = solved([13, 225])
    assert found.value == pytest.approx(best_of_all_policies(mdp, observation), abs=1e-9)
    assert found.value < np.mean([solved([level])[2].value for level in (13, 225)]) - 0.01
    assert start_value(mdp, policy_evaluation(mdp, found.policy_probs)) == pytest.approx(found.value, abs=1e-9)


def test_weights_of_starts_count():
    """A goal that is nearly always on the left is gone for on the left."""
    mdp, cells = corridor(length=6, start=2, discount=0.9)
    for share, expected in [(0.9, 0.9 * 0.9), (0.1, 0.9 * 0.9**2), (1.0, 0.9)]:
        weighted = dataclasses.replace(mdp, start_probability=np.array([share, 1 - share]))
        assert memoryless_optimum(weighted, cells).value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "hides"), [("MultiNeed", False), ("MultiNeed-Hidden", True), ("CrossedHistory", False)]
)
def test_which_worlds_hide_their_state(name, hides):
    world = make_world(name)
    mdp = enumerate_world(world, range(3))
    assert hides_state(observation_numbers(world, mdp.rows)) is hides


@pytest.mark.parametrize(
    ("name", "hides"), [("FruitTask-7x7", False), ("MultiNeed-Hidden", True), ("MultiNeed-First", True)]
)
def test_what_is_hidden_matters_where_no_action_is_best_in_all_that_looks_alike(name, hides):
    """FruitTask hides where fruit was eaten, and so the level, which then makes no difference to what is best."""
    world = make_world(name)
    mdp = enumerate_world(world, range(10))
    numbers, solution = observation_numbers(world, mdp.rows), value_iteration(mdp)
    assert hides_state(numbers) and hides_best_action(numbers, solution.optimal_actions) is hides
    if not hides:
        chosen = np.zeros((numbers.max() + 1, mdp.num_actions), bool)
        chosen[numbers] = True
        np.logical_and.at(chosen, numbers, solution.optimal_actions)
        policy = np.eye(mdp.num_actions)[chosen.argmax(axis=1)][numbers]
        assert policy_evaluation(mdp, policy) == pytest.approx(solution.values, abs=1e-6), "one policy of what is seen"


def test_observations_are_numbered_by_what_is_seen():
    world = make_world("MultiNeed", size=3, num_objects=2, context="first")
    mdp = enumerate_world(world, range(3))
    numbers, shown = observation_numbers(world, mdp.rows), world.observe(mdp.rows)
    for n in range(0, mdp.num_states, 7):
        same = (shown["planes"] == shown["planes"][n]).all(axis=(1, 2, 3)) & (
            shown["vector"] == shown["vector"][n]
        ).all(1)
        assert (same == (numbers == numbers[n])).all()


@pytest.mark.parametrize("context", ["hidden", "first"])
def test_the_page_gives_the_optima_of_what_is_hidden(context):
    page = (Path(__file__).parent.parent / "envs" / "README.md").read_text()
    given = re.search(rf"^\| `{context}` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", page, flags=re.MULTILINE)
    world = make_world("MultiNeed", context=context)
    mdp = enumerate_world(world, range(50))
    found = memoryless_optimum(mdp, observation_numbers(world, mdp.rows))
    computed = [start_value(mdp, value_iteration(mdp).values), found.with_memory, found.value]
    assert [float(number) for number in given.groups()] == pytest.approx(computed, abs=6e-5)


def test_what_cannot_be_searched_is_refused():
    world = make_world("MultiNeed", size=3, num_objects=2, context="hidden", drift=0.2)
    mdp = enumerate_world(world, [0])
    with pytest.raises(UserError, match=r"pairs of state and action have several outcomes"):
        memoryless_optimum(mdp, observation_numbers(world, mdp.rows))
    mdp, cells = corridor(length=6, start=2, discount=0.9)
    with pytest.raises(UserError, match="choices that max_nodes allows"):
        memoryless_optimum(mdp, cells, max_nodes=3)
    with pytest.raises(UserError, match="one number for each of the 12 states"):
        memoryless_optimum(mdp, cells[:5])
    with pytest.raises(UserError, match="discount 1"):
        memoryless_optimum(mdp, cells, discount=1.0)
