"""Enumeration, value iteration, policy evaluation and occupancy against known answers, brute force and simulation."""

from __future__ import annotations

import dataclasses
import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import gauss_seidel
from envs.enumeration import TabularMDP, enumerate_world, state_index
from envs.errors import UserError
from envs.registry import make_world
from envs.row_index import RowIndex
from envs.rows import World
from envs.states import Levels
from envs.tabular import expected_reward, occupancy, policy_evaluation, start_value, transition_matrix, value_iteration
from envs.vector import GridVectorEnv


def make_mdp(
    next_state: np.ndarray, reward: np.ndarray, *, discount: float, probability=None, starts=(0,)
) -> TabularMDP:
    """An MDP by hand: next_state [S, A, O], reward [S, A, O]."""
    next_state = np.asarray(next_state, np.int32)
    outcomes = next_state.shape[2]
    return TabularMDP(
        rows=np.arange(next_state.shape[0], dtype=np.int16)[:, None],
        start_state=np.array(starts),
        start_probability=np.full(len(starts), 1 / len(starts)),
        next_state=next_state,
        probability=np.full(next_state.shape, 1 / outcomes) if probability is None else probability,
        components=np.asarray(reward, float)[..., None],
        event=np.full(next_state.shape, -1, np.int16),
        discount=discount,
        reward_weights=np.ones(1),
    )


def random_mdp(seed: int, *, discount: float, num_states: int = 4) -> TabularMDP:
    generator = np.random.default_rng(seed)
    shape = (num_states, 2, 2)
    return make_mdp(
        generator.integers(-1, num_states, shape),
        generator.normal(size=shape),
        discount=discount,
        probability=generator.dirichlet([1, 1], shape[:2]),
    )


def gamblers_ruin(goal: int) -> TabularMDP:
    """States 0..goal-2 stand for a fortune of 1..goal-1; the one action wins or loses 1 with even chances."""
    fortune = np.arange(1, goal)
    next_state = np.stack([fortune - 2, np.where(fortune + 1 == goal, -1, fortune)], axis=1)[:, None, :]
    reward = np.zeros(next_state.shape)
    reward[-1, 0, 1] = 1.0
    return make_mdp(next_state, reward, discount=1.0, starts=range(goal - 1))


def uniform_policy(mdp: TabularMDP) -> np.ndarray:
    return np.full((mdp.num_states, mdp.num_actions), 1 / mdp.num_actions)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=80), st.integers(1, 5))
def test_row_index_numbers_rows_in_order_of_appearance(entries: list[tuple[int, int]], num_parts: int) -> None:
    rows, index, first = np.array(entries, np.int16), RowIndex(2), {}
    for part in np.array_split(rows, num_parts):
        expected = [first.setdefault(tuple(row), len(first)) for row in part.tolist()]
        assert index.intern(part).tolist() == expected
    assert len(index) == len(first)
    assert index.rows.tolist() == [list(row) for row in first]
    assert index.find(np.array([[9, 9]], np.int16)).tolist() == [-1]


def test_value_of_a_reward_for_ever() -> None:
    mdp = make_mdp([[[0]]], [[[1.0]]], discount=0.9)
    assert value_iteration(mdp).values == pytest.approx([10.0], abs=1e-9)
    assert policy_evaluation(mdp, np.ones((1, 1))) == pytest.approx([10.0], abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_value_iteration_equals_the_best_of_all_policies(seed: int) -> None:
    mdp = random_mdp(seed, discount=0.9)
    tables = [np.eye(2)[list(choice)] for choice in itertools.product(range(2), repeat=mdp.num_states)]
    values = np.array([policy_evaluation(mdp, table) for table in tables])
    solution = value_iteration(mdp)
    np.testing.assert_allclose(solution.values, values.max(axis=0), atol=1e-9)
    assert (solution.values == solution.action_values.max(axis=1)).all()
    best = solution.optimal_actions / solution.optimal_actions.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(policy_evaluation(mdp, best), solution.values, atol=1e-9)


@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-8])
@pytest.mark.parametrize("seed", range(5))
def test_the_error_bound_holds(seed: int, tolerance: float) -> None:
    mdp = random_mdp(seed, discount=0.99, num_states=30)
    rough, exact = value_iteration(mdp, tolerance=tolerance), value_iteration(mdp, tolerance=1e-11)
    assert rough.error_bound <= tolerance
    assert np.abs(rough.values - exact.values).max() <= rough.error_bound + exact.error_bound
    assert np.abs(rough.action_values - exact.action_values).max() <= rough.error_bound + exact.error_bound
    assert (rough.optimal_actions | ~exact.optimal_actions).all()


def slippery_room(size: int, *, step_reward: float) -> TabularMDP:
    """A room with 15 % walls whose goal in the corner pays 1; every step pays or costs, moves slip to either side."""
    free = np.pad(np.random.default_rng(0).random((size, size)) >= 0.15, 1)
    cells = np.argwhere(free)
    number = np.full(free.shape, -1)
    number[free] = np.arange(len(cells))
    reached = np.stack([number[cells[:, 0] + dy, cells[:, 1] + dx] for dy, dx in ((-1, 0), (0, 1), (1, 0), (0, -1))], 1)
    reached = np.where(reached < 0, np.arange(len(cells))[:, None], reached)
    next_state = np.stack([np.roll(reached, turn, axis=1) for turn in (0, 1, -1)], axis=2)
    at_goal = next_state == len(cells) - 1
    reward = np.where(at_goal, 1.0, step_reward)
    probability = np.broadcast_to([0.8, 0.1, 0.1], next_state.shape)
    return make_mdp(np.where(at_goal, -1, next_state), reward, discount=0.99, probability=probability)


def by_policy_iteration(mdp: TabularMDP) -> np.ndarray:
    """V* from LU decompositions alone."""
    policy = np.zeros(mdp.num_states, int)
    while True:
        values = policy_evaluation(mdp, np.eye(mdp.num_actions)[policy])
        following = np.append(values, 0.0)[mdp.next_state]
        action_values = expected_reward(mdp) + mdp.discount * (mdp.probability * following).sum(axis=2)
        if (action_values.max(axis=1) <= values + 1e-12).all():
            return values
        policy = action_values.argmax(axis=1)


@pytest.mark.parametrize("step_reward", [0.0, -0.1, 0.1])
def test_a_room_is_solved_whether_states_are_sorted_or_not(step_reward: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """At -0.1 values fall with the distance from the goal and at 0.1 they rise; each takes more than 24 sweeps."""
    mdp = slippery_room(40, step_reward=step_reward)
    exact, solution = by_policy_iteration(mdp), value_iteration(mdp, tolerance=1e-9)
    np.testing.assert_allclose(solution.values, exact, atol=1e-9)
    assert solution.num_sweeps > gauss_seidel._FIRST_SORTING
    monkeypatch.setattr(gauss_seidel, "_FIRST_SORTING", 10**9)
    unsorted = value_iteration(mdp, tolerance=1e-9)
    np.testing.assert_allclose(unsorted.values, exact, atol=1e-9)
    assert solution.num_sweeps <= unsorted.num_sweeps


def test_returns_to_a_state_are_summed_at_once() -> None:
    """Staying with probability .9 and leaving for a reward of 2 otherwise; plain sweeps would take over a hundred."""
    probability = np.array([[[0.9, 0.1]]])
    solution = value_iteration(make_mdp([[[0, -1]]], [[[1.0, 2.0]]], discount=0.99, probability=probability))
    assert solution.values == pytest.approx([(0.9 + 0.2) / (1 - 0.99 * 0.9)], abs=1e-12)
    assert solution.num_sweeps <= 2


def test_a_tolerance_below_rounding_is_refused() -> None:
    mdp = make_mdp([[[1]], [[0]]], [[[1 / 3]], [[1e6 / 7]]], discount=0.9999)
    with pytest.raises(UserError, match=r"ask for a tolerance of at least"):
        value_iteration(mdp, tolerance=1e-15)


def test_discount_one_needs_a_graph_without_cycles() -> None:
    chain = make_mdp([[[1], [-1]], [[-1], [-1]]], [[[0.0], [1.0]], [[2.0], [0.5]]], discount=1.0)
    assert value_iteration(chain).values.tolist() == [2.0, 2.0]
    with pytest.raises(UserError, match="returns to no state"):
        value_iteration(make_mdp([[[0]]], [[[1.0]]], discount=1.0))


@pytest.mark.parametrize("goal", [2, 5, 20])
def test_gamblers_ruin(goal: int) -> None:
    mdp, fortune = gamblers_ruin(goal), np.arange(1, goal)
    np.testing.assert_allclose(policy_evaluation(mdp, uniform_policy(mdp)), fortune / goal, atol=1e-12)
    visits = occupancy(mdp, uniform_policy(mdp), horizon=None)
    assert visits.sum() == pytest.approx(np.mean(fortune * (goal - fortune)), rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_occupancy_and_values_agree(seed: int) -> None:
    mdp = random_mdp(seed, discount=0.9, num_states=12)
    policy = np.random.default_rng(seed).dirichlet([1, 1], mdp.num_states)
    reward = (policy * expected_reward(mdp)).sum(axis=1)
    values = policy_evaluation(mdp, policy)
    discounted = occupancy(mdp, policy, horizon=None, discount=0.9)
    assert discounted @ reward == pytest.approx(start_value(mdp, values), abs=1e-10)
    np.testing.assert_allclose(values, reward + 0.9 * (transition_matrix(mdp, policy) @ values), atol=1e-10)
    np.testing.assert_allclose(policy_evaluation(mdp, policy, horizon=600), values, atol=1e-9)
    np.testing.assert_allclose(occupancy(mdp, policy, horizon=600, discount=0.9), discounted, atol=1e-9)
    short = occupancy(mdp, policy, horizon=7)
    assert short @ reward == pytest.approx(start_value(mdp, policy_evaluation(mdp, policy, discount=1.0, horizon=7)))
    assert occupancy(mdp, policy, horizon=1).tolist() == [1.0] + [0.0] * 11


def offsets_to_objects(world: World, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps (down, right) from the agent to each object, read off the observation; 99 for absent objects."""
    planes = world.observe(rows)["planes"][:, :-1]
    flat = planes.reshape(*planes.shape[:2], -1)
    y, x = np.divmod(flat.argmax(axis=2), planes.shape[-1])
    present = flat[:, 1:].any(axis=2)
    return tuple(np.where(present, axis[:, 1:] - axis[:, :1], 99) for axis in (y, x))


def nearest_object(world: World, rows: np.ndarray) -> np.ndarray:
    """Path length from the agent to the nearest object."""
    return sum(map(abs, offsets_to_objects(world, rows))).min(axis=1)


@pytest.mark.parametrize("layout", ["train", "crossed", "choice"])
def test_values_of_crossed_history(layout: str) -> None:
    world = make_world("CrossedHistory", layout=layout, **({"dose": 0.3} if layout == "train" else {}))
    mdp = enumerate_world(world, Levels(0, 24))
    np.testing.assert_allclose(value_iteration(mdp).values, 0.95 ** (nearest_object(world, mdp.rows) - 1), rtol=1e-13)


def test_values_and_states_of_multi_need() -> None:
    world = make_world("MultiNeed")
    mdp = enumerate_world(world, range(10))
    # Every cell but the needed object's, for each need of each level; starts are level-major.
    assert mdp.num_states == 10 * 4 * 48
    assert (mdp.rows[mdp.start_state] == world.begin(np.repeat(np.arange(10), 4), np.tile(np.arange(4), 10))).all()
    distances = sum(map(abs, offsets_to_objects(world, mdp.rows)))
    distance = distances[np.arange(mdp.num_states), world.context_of(mdp.rows)]
    np.testing.assert_allclose(value_iteration(mdp).values, 0.95 ** (distance - 1), rtol=1e-13)


def test_optimal_actions_keep_ties() -> None:
    world = make_world("CrossedHistory")
    mdp = enumerate_world(world, Levels(0, 12))
    optimal = value_iteration(mdp).optimal_actions
    down, right = (axis.min(axis=1) for axis in offsets_to_objects(world, mdp.rows))
    assert (optimal == np.stack([down < 0, right > 0, down > 0, right < 0], axis=1)).all()


@pytest.mark.parametrize("options", [{"drift": 0.3, "wrong_cost": 0.2}, {"context": "first"}])
def test_tables_equal_simulation(options: dict[str, float]) -> None:
    """Mean return and length of uniform play, four standard errors, on a world whose rules the tables never saw."""
    world = make_world("MultiNeed", size=3, num_objects=2, time_limit=12, **options)
    mdp = enumerate_world(world, Levels(0, 5))
    uniform = uniform_policy(mdp)
    env, num_envs = GridVectorEnv(world, 20_000, levels=Levels(0, 5)), 20_000
    env.reset(seed=3)
    generator, alive = np.random.default_rng(0), np.ones(num_envs, bool)
    returns, lengths = np.zeros(num_envs), np.zeros(num_envs)
    for _ in range(12):
        _, reward, terminated, truncated, _ = env.step(generator.integers(4, size=num_envs))
        returns += alive * reward
        lengths += alive
        alive &= ~(terminated | truncated)
    expected = start_value(mdp, policy_evaluation(mdp, uniform, discount=1.0, horizon=12))
    assert returns.mean() == pytest.approx(expected, abs=4 * returns.std() / num_envs**0.5)
    expected_length = occupancy(mdp, uniform, horizon=12).sum()
    assert lengths.mean() == pytest.approx(expected_length, abs=4 * lengths.std() / num_envs**0.5)


def test_state_index_finds_rows_and_refuses_others() -> None:
    world = make_world("MultiNeed")
    mdp = enumerate_world(world, [3, 5])
    order = np.random.default_rng(0).permutation(mdp.num_states)
    assert (state_index(mdp, mdp.rows[order]) == order).all()
    with pytest.raises(UserError, match=r"4 of 4 rows are not among the \d+ enumerated states"):
        state_index(mdp, world.begin([7] * 4, range(4)))


def test_enumeration_is_fast() -> None:
    """The bar is a second; it takes some .03 s, so only a change of kind can fail this on a busy machine."""
    world = make_world("MultiNeed")
    value_iteration(enumerate_world(world, [0]))
    begun = time.process_time()
    mdp = enumerate_world(world, Levels(0, 200))
    value_iteration(mdp)
    assert time.process_time() - begun < 1.0
    assert mdp.num_states == 200 * 4 * 48


def test_enumeration_refuses_what_it_cannot_list() -> None:
    world = make_world("MultiNeed")
    with pytest.raises(UserError, match="more than 100 states"):
        enumerate_world(world, [0], max_states=100)
    with pytest.raises(UserError, match="at least one level"):
        enumerate_world(world, [])


def test_bad_tables_and_policies_are_refused() -> None:
    mdp = random_mdp(0, discount=0.9)
    with pytest.raises(UserError, match="probability has shape"):
        dataclasses.replace(mdp, probability=mdp.probability[:, :1])
    with pytest.raises(UserError, match="sum to 1"):
        dataclasses.replace(mdp, probability=mdp.probability * 0.5)
    with pytest.raises(UserError, match="next_state must lie in"):
        dataclasses.replace(mdp, next_state=mdp.next_state + 1)
    with pytest.raises(UserError, match="1 components but 2 reward weights"):
        dataclasses.replace(mdp, reward_weights=np.ones(2))
    with pytest.raises(UserError, match="states x actions"):
        policy_evaluation(mdp, np.ones((4, 3)) / 3)
    with pytest.raises(UserError, match="sum to 1"):
        occupancy(mdp, np.ones((4, 2)), horizon=3)
    with pytest.raises(UserError, match=r"discount is 1.5"):
        value_iteration(mdp, discount=1.5)
    with pytest.raises(UserError, match="every state must lead to termination"):
        policy_evaluation(make_mdp([[[0]]], [[[1.0]]], discount=1.0), np.ones((1, 1)))
