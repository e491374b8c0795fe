"""FruitTask against a plain-Python model, the numbering of its starts, exact values by trying all orders."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_models import assert_kernel_agrees, cell_number, cells_of, distance, interior, moved, walls_of
from scipy import stats

from envs import GridVectorEnv, UserError, make_world
from envs.noise import integer, level_key
from envs.tabular import enumerate_world, value_iteration

SMALL = {"size": 3, "num_locations": 4, "num_fruits": 2}
PUBLISHED = [(1, 1), (1, 10), (2, 3), (4, 7), (5, 5), (6, 8), (7, 3), (8, 8), (9, 9), (10, 1)]


def cell_at(number):
    return int(number) // 64, int(number) % 64


def fruits_of(row):
    """Locations that hold fruit in a row, ascending."""
    return tuple(i for i in range(len(row) - 2) if int(row[-1]) >> i & 1)


class FruitModel:
    """FruitTask written a second time; the engine's start is read from the first row."""

    def __init__(self, config, *, level, row):
        self.config = config
        free, key = interior(config.size), level_key(level)
        self.locations = PUBLISHED
        if config.layout == "random":
            self.locations = [free.pop(integer(key, i, len(free))) for i in range(config.num_locations)]
        self.agent = cell_at(row[0])
        self.fruits = set(fruits_of(row))

    def step(self, action, draws):
        self.agent = moved(self.agent, action, self.config.size)
        eaten = {i for i in self.fruits if self.locations[i] == self.agent}
        self.fruits -= eaten
        return float(len(eaten)), min(eaten, default=-1), not self.fruits

    def observation(self):
        config = self.config
        planes = np.zeros((config.num_locations + 2, config.size + 2, config.size + 2), np.uint8)
        planes[(0, *self.agent)] = 1
        for i in self.fruits:
            planes[(1 + i, *self.locations[i])] = 1
        planes[-1] = walls_of(config.size)
        return planes, np.zeros(0, np.float32)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    "options",
    [
        SMALL,
        {"size": 2, "num_locations": 3, "num_fruits": 3, "time_limit": 5},
        {"size": 4, "num_locations": 12, "num_fruits": 7},
        {"layout": "published"},
        {},
    ],
)
def test_kernel_agrees_with_the_plain_python_model(options, split):
    def make_model(world, level, row):
        return FruitModel(world.config, level=level, row=row)

    assert_kernel_agrees("FruitTask", options, make_model, split=split)


@given(st.integers(2, 12), st.data())
@settings(max_examples=60, deadline=None)
def test_locations_are_distinct_and_the_agent_starts_on_none(size, data):
    num_locations = data.draw(st.integers(1, min(12, size**2 - 1)))
    num_fruits = data.draw(st.integers(1, num_locations))
    world = make_world("FruitTask", size=size, num_locations=num_locations, num_fruits=num_fruits)
    start = data.draw(st.integers(0, world.num_starts - 1))
    (row,) = world.begin([data.draw(st.integers(0, 2**34))], [start])
    cells = [cell_at(number) for number in row[:-1]]
    assert len(set(cells)) == num_locations + 1 and set(cells) <= set(interior(size))
    planes = world.observe(row[None])["planes"][0]
    assert [cells_of(planes, plane=1 + i) for i in fruits_of(row)] == [[cells[1 + i]] for i in fruits_of(row)]
    assert len(fruits_of(row)) == planes[1:-1].sum() == num_fruits


@pytest.mark.parametrize(("num_locations", "num_fruits"), [(1, 1), (4, 2), (5, 5), (7, 3), (10, 5), (12, 1)])
def test_starts_number_all_pairs_of_fruits_and_cells(num_locations, num_fruits):
    """In order: sets by their largest member first, as the combinatorial number system has them, then cells."""
    world = make_world("FruitTask", size=4, num_locations=num_locations, num_fruits=num_fruits)
    rows = world.begin(np.full(world.num_starts, 5), np.arange(world.num_starts))
    places = [cell_number(*cell) for cell in interior(4) if cell_number(*cell) not in rows[0, 1:-1]]
    sets = sorted(itertools.combinations(range(num_locations), num_fruits), key=lambda chosen: chosen[::-1])
    assert world.num_starts == math.comb(num_locations, num_fruits) * (16 - num_locations)
    assert [(fruits_of(row), row[0]) for row in rows] == list(itertools.product(sets, places))
    assert (rows[:, 1:-1] == rows[0, 1:-1]).all()


def test_the_engine_draws_fruits_and_cells_uniformly():
    env = GridVectorEnv(make_world("FruitTask", **SMALL, num_levels=1), 6000)
    env.reset(seed=1)
    rows = env.get_state().rows
    _, counts = np.unique(rows[:, [0, -1]], axis=0, return_counts=True)
    assert len(counts) == 6 * 5 and stats.chisquare(counts).pvalue > 1e-4


def test_each_location_has_its_component_and_its_event():
    world = make_world("FruitTask", **SMALL)
    cells = [cell_number(*cell) for cell in ((2, 1), (2, 2), (2, 3), (1, 1))]
    row = np.array([[cell_number(1, 2), *cells, 0b1010]], np.int16)
    outcomes, down, left = world.expand(row), 2, 3
    assert outcomes.event[0, [down, left], 0].tolist() == [1, 3]
    assert outcomes.components[0, :, 0].tolist() == [[0] * 4, [0] * 4, [0, 1, 0, 0], [0, 0, 0, 1]]
    assert outcomes.next_rows[0, [down, left], 0, -1].tolist() == [0b1000, 0b0010]
    assert not outcomes.terminated.any()
    last = world.expand(outcomes.next_rows[0, [left], 0])
    assert not last.terminated.any()
    at_last = np.array([[cell_number(1, 2), *cells, 0b0010]], np.int16)
    assert world.expand(at_last).terminated[0, :, 0].tolist() == [False, False, True, False]


def best_order(agent, cells, *, discount):
    """Return of the best order of eating, by trying all: each fruit pays when the walk so far arrives."""
    best = 0.0
    for order in itertools.permutations(cells):
        lengths = np.cumsum([distance(one, other) for one, other in itertools.pairwise([agent, *order])])
        best = max(best, float((discount ** (lengths - 1.0)).sum()))
    return best


@pytest.mark.parametrize(
    ("options", "level", "num_checked"),
    [({"size": 4, "num_locations": 5, "num_fruits": 3}, 3, 110), ({}, 0, 60), ({"layout": "published"}, 0, 60)],
)
def test_value_of_a_start_is_that_of_the_best_order(options, level, num_checked):
    """Also for whole levels of the default and of the published task, with 22,680 starts and 252 sets of fruits."""
    world = make_world("FruitTask", **options)
    mdp = enumerate_world(world, [level])
    values = value_iteration(mdp).values
    starts = np.random.default_rng(0).permutation(world.num_starts)[:num_checked]
    rows = world.begin(np.full(num_checked, level), starts)
    expected = [best_order(cell_at(r[0]), [cell_at(r[1 + i]) for i in fruits_of(r)], discount=0.95) for r in rows]
    assert values[mdp.start_state[starts]] == pytest.approx(expected, abs=1e-9)


def test_states_of_the_published_task():
    """All sets of 1 to 5 remaining fruits, with the agent at any cell where none of them lies."""
    world = make_world("FruitTask", layout="published")
    mdp = enumerate_world(world, [0])
    assert mdp.num_states == sum(math.comb(10, left) * (100 - left) for left in range(1, 6))
    assert [cell_at(number) for number in mdp.rows[0, 1:-1]] == PUBLISHED


def test_published_levels_are_all_the_same():
    world = make_world("FruitTask", layout="published")
    levels = [0, 1, world.levels("test").first]
    assert (np.ptp(world.begin(levels, 7), axis=0) == 0).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_locations": 13}, "num_locations is 13, allowed is an integer from 1 to 12"),
        ({"size": 3, "num_locations": 9}, "num_locations is 9, allowed is an integer from 1 to 8"),
        ({"num_fruits": 11}, "num_fruits is 11, allowed is an integer from 1 to 10"),
        ({"num_fruits": 0}, "num_fruits is 0"),
        ({"layout": "publish"}, "Did you mean 'published'"),
        ({"layout": "published", "size": 9}, "'published' has size 10 and num_locations 10, not 9 and 10"),
        ({"layout": "published", "num_locations": 9}, "not 10 and 9"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(UserError, match=match):
        make_world("FruitTask", **options)
