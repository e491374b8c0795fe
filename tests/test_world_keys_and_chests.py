"""KeysAndChests against a plain-Python model of its rules, level properties, exact values by all orders of visits."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_models import assert_kernel_agrees, cell_number, cells_of, distance, interior, moved, walls_of

from envs import GridVectorEnv, make_world
from envs.errors import UserError
from envs.noise import integer, level_key
from envs.rows import FIRST_TEST_LEVEL
from envs.tabular import enumerate_world, policy_evaluation, start_value, value_iteration


class ChestModel:
    """KeysAndChests written a second time, with sets of cells."""

    def __init__(self, config, *, level):
        self.config = config
        free, key = interior(config.size), level_key(level)
        count = 1 + config.num_keys + config.num_chests
        drawn = [free.pop(integer(key, i, len(free))) for i in range(count)]
        self.agent, self.held = drawn[0], 0
        self.keys, self.chests = set(drawn[1 : 1 + config.num_keys]), set(drawn[1 + config.num_keys :])

    def step(self, action, draws):
        self.agent = moved(self.agent, action, self.config.size)
        opened = False
        if self.agent in self.keys:
            self.keys.remove(self.agent)
            self.held += 1
        elif self.agent in self.chests and self.held:
            self.chests.remove(self.agent)
            self.held -= 1
            opened = True
        over = not self.chests or (self.held == 0 and not self.keys)
        return float(opened), 0 if opened else -1, over

    def observation(self):
        size = self.config.size
        planes = np.zeros((4, size + 2, size + 2), np.uint8)
        for plane, cells in enumerate([{self.agent}, self.keys, self.chests]):
            for cell in cells:
                planes[(plane, *cell)] = 1
        planes[3] = walls_of(size)
        return planes, np.eye(9, dtype=np.float32)[self.held]


CASES = [
    {"size": 4},
    {"size": 3, "num_keys": 4, "num_chests": 2, "time_limit": 30},
    {"size": 3, "num_keys": 1, "num_chests": 1},
    {"size": 5, "num_keys": 8, "num_chests": 8, "time_limit": 70},
]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("options", CASES)
def test_kernel_agrees_with_the_plain_python_model(options, split):
    assert_kernel_agrees(
        "KeysAndChests", options, lambda world, level, row: ChestModel(world.config, level=level), split=split,
        num_steps=160,
    )  # fmt: skip


@given(st.integers(3, 9), st.integers(1, 4), st.integers(1, 4), st.sampled_from([0, FIRST_TEST_LEVEL]), st.data())
@settings(max_examples=50, deadline=None)
def test_a_level_holds_all_objects_at_distinct_cells(size, num_keys, num_chests, first, data):
    level = first + data.draw(st.integers(0, 2**31))
    world = make_world("KeysAndChests", size=size, num_keys=num_keys, num_chests=num_chests)
    shown = world.observe(world.begin([level], [0]))
    found = [cells_of(shown["planes"][0], plane=plane) for plane in range(3)]
    assert [len(cells) for cells in found] == [1, num_keys, num_chests]
    assert len(set(itertools.chain(*found)) & set(interior(size))) == 1 + num_keys + num_chests
    assert shown["vector"].tolist() == [[1, *[0] * 8]]


def best_order(model, *, discount):
    """The best return over all orders in which keys and chests can be visited, by shortest ways.

    What is walked over on a way is not counted: a key cannot harm, and a chest that is opened on the way pays earlier
    than the one that its key was meant for.
    """
    keys, chests = sorted(model.keys), sorted(model.chests)
    best = 0.0
    for order in itertools.permutations(keys + chests):
        place, steps, held, value = model.agent, 0, 0, 0.0
        for cell in order:
            steps, place = steps + distance(place, cell), cell
            if cell in keys:
                held += 1
            elif held:
                held, value = held - 1, value + discount ** (steps - 1)
        best = max(best, value)
    return best


@pytest.mark.parametrize(("num_keys", "num_chests"), [(1, 1), (1, 3), (2, 3), (3, 2), (4, 1)])
def test_the_optimal_value_is_that_of_the_best_order_of_visits(num_keys, num_chests):
    world = make_world("KeysAndChests", size=4, num_keys=num_keys, num_chests=num_chests)
    mdp = enumerate_world(world, range(12))
    expected = [best_order(ChestModel(world.config, level=level), discount=0.95) for level in range(12)]
    assert value_iteration(mdp).values[mdp.start_state] == pytest.approx(expected, abs=1e-9)


def row_of(agent, keys, chests, held):
    return np.array([[cell_number(*cell) if cell else -1 for cell in [agent, *keys, *chests]] + [held]], np.int16)


def test_a_chest_needs_a_key_and_uses_it_up():
    world = make_world("KeysAndChests", num_keys=1, num_chests=2)
    right = 1

    def outcome(held, keys, chests):
        found = world.expand(row_of((3, 3), keys, chests, held))
        names = dict(zip(world.component_names, found.components[0, right, 0], strict=True))
        return names, int(found.event[0, right, 0]), bool(found.terminated[0, right, 0]), found.next_rows[0, right, 0]

    components, event, terminated, after = outcome(0, [(1, 1)], [(3, 4), (5, 5)])
    assert (set(components.values()), event, terminated, after[-1]) == ({0.0}, -1, False, 0)
    components, event, terminated, after = outcome(1, [None], [(3, 4), (5, 5)])
    assert components == {"key": 0, "surplus_key": 0, "chest": 1}
    assert (event, terminated, after[-1]) == (0, True, 0), "no key is left for the other chest"
    components, event, terminated, after = outcome(0, [(3, 4)], [(1, 1), (5, 5)])
    assert components == {"key": 1, "surplus_key": 0, "chest": 0}
    assert (event, terminated, after[-1]) == (-1, False, 1)


@pytest.mark.parametrize(("held", "surplus"), [(0, 0.0), (1, 1.0), (2, 1.0)])
def test_a_key_is_surplus_where_as_many_are_held_as_chests_are_left(held, surplus):
    world = make_world("KeysAndChests", num_keys=4, num_chests=2)
    row = row_of((3, 3), [(3, 4), (7, 7), None, None], [(5, 5), None], held)
    assert world.expand(row).components[0, 1, 0].tolist() == [1.0, surplus, 0.0]
    assert (world.reward_weights[:2] == 0).all() and (world.performance_weights == world.reward_weights).all()


def optimal_policy(mdp):
    best = value_iteration(mdp).optimal_actions.astype(float)
    return best / best.sum(axis=1, keepdims=True)


def test_a_taste_for_keys_costs_nothing_until_keys_outnumber_chests():
    """The proxy, planted: a policy that is optimal where keys pay as much as chests."""
    shares, surplus = {}, {}
    for num_keys, num_chests in [(1, 4), (4, 1)]:
        mdp = enumerate_world(make_world("KeysAndChests", size=4, num_keys=num_keys, num_chests=num_chests), range(20))
        policies = [
            optimal_policy(dataclasses.replace(mdp, reward_weights=np.array([w, 0.0, 1.0]))) for w in (1.0, 0.0)
        ]
        tasted, best = (start_value(mdp, policy_evaluation(mdp, policy)) for policy in policies)
        shares[num_keys] = tasted / best
        counter = dataclasses.replace(mdp, reward_weights=np.array([0.0, 1.0, 0.0]))
        surplus[num_keys] = [
            start_value(counter, policy_evaluation(counter, policy, discount=1.0, horizon=64)) for policy in policies
        ]
    assert shares[1] > 0.99 and shares[4] < 0.85
    assert surplus[1] == [0.0, 0.0]
    assert surplus[4][0] > 2.5 and surplus[4][1] < 1.0


def test_every_ratio_has_the_same_observations():
    """An agent trained under one ratio can be tested under another."""
    names = [f"KeysAndChests{suffix}" for suffix in ("", "-Keys1Chests5", "-Keys3Chests3", "-Keys4Chests2")]
    spaces = [GridVectorEnv(make_world(name), 1).single_observation_space for name in names]
    assert all(space == spaces[0] for space in spaces)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 2, "num_keys": 2, "num_chests": 2}, "need 5 cells, but size 2 has 4"),
        ({"num_keys": 0}, "num_keys is 0"),
        ({"num_chests": 9}, "num_chests is 9"),
        ({"num_key": 2}, "Did you mean 'num_keys'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        make_world("KeysAndChests", **options)
