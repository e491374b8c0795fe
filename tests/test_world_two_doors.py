"""TwoDoors against a plain-Python model, what training shows and what it does not, exact values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_models import assert_kernel_agrees, cell_number, cells_of, distance, moved, walls_of
from scipy import stats

from envs import UserError, make_world
from envs.noise import integer, level_key, uniform
from envs.rows import FIRST_TEST_LEVEL
from envs.tabular import enumerate_world, value_iteration

CROSSED_PAIRS = ["AC", "AD", "BC", "BD"]


class DoorsModel:
    """TwoDoors written a second time."""

    def __init__(self, config, *, level):
        self.config = config
        first = level // FIRST_TEST_LEVEL * FIRST_TEST_LEVEL
        if config.layout == "crossed":
            self.pair = CROSSED_PAIRS[(level - first) % 4]
            key = level_key(first + (level - first) // 4)
        else:
            key = level_key(level)
            crossed = uniform(key, 1, 0) < config.dose
            self.pair = CROSSED_PAIRS[integer(key, 0, 4)] if crossed else ["AB", "CD"][integer(key, 0, 2)]
        middle = (config.size + 1) // 2
        doors = {0: (1, middle), 1: (middle, config.size), 2: (config.size, middle), 3: (middle, 1)}
        one = integer(key, 2, 4)
        others = [(one + turn) % 4 for turn in (1, 2, 3)]
        self.agent = (middle, middle)
        self.objects = dict(zip(self.pair, (doors[one], doors[others[integer(key, 3, 3)]]), strict=True))

    def step(self, action, draws):
        self.agent = moved(self.agent, action, self.config.size)
        for name, cell in self.objects.items():
            if cell == self.agent:
                return self.config.rewards["ABCD".index(name)], "ABCD".index(name), True
        return 0.0, -1, False

    def observation(self):
        planes = np.zeros((6, self.config.size + 2, self.config.size + 2), np.uint8)
        planes[(0, *self.agent)] = 1
        for name, cell in self.objects.items():
            planes[(1 + "ABCD".index(name), *cell)] = 1
        planes[-1] = walls_of(self.config.size)
        return planes, np.zeros(0, np.float32)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 3, "dose": 0.5, "rewards": (3, 0.5, 0, 7), "time_limit": 4},
        {"size": 9, "layout": "crossed"},
    ],
)
def test_kernel_agrees_with_the_plain_python_model(options, split):
    def make_model(world, level, row):
        model = DoorsModel(world.config, level=level)
        expected = "crossed" if model.pair in CROSSED_PAIRS else model.pair
        assert world.context_names[world.context_of(row[None])[0]] == expected
        return model

    assert_kernel_agrees("TwoDoors", options, make_model, split=split)


def present(world, row):
    """Name -> cell of the objects that a row shows."""
    planes = world.observe(row[None])["planes"][0]
    return {name: cell for i, name in enumerate("ABCD") for cell in cells_of(planes, plane=1 + i)}


@given(st.integers(1, 30), st.integers(0, 2**34), st.sampled_from(["train", "crossed"]), st.sampled_from([0, 0.5, 1]))
@settings(max_examples=60, deadline=None)
def test_two_objects_stand_in_two_doors_as_far_from_the_centre(half, level, layout, dose):
    world = make_world("TwoDoors", size=2 * half + 1, layout=layout, dose=dose if layout == "train" else 0)
    (row,) = world.begin([level], [0])
    objects, middle = present(world, row), half + 1
    doors = {(1, middle), (middle, 1), (middle, world.config.size), (world.config.size, middle)}
    assert len(objects) == 2 and len(set(objects.values()) & doors) == 2
    assert row[0] == cell_number(middle, middle)
    assert {distance((middle, middle), cell) for cell in objects.values()} == {half}
    assert layout == "train" or "".join(objects) in CROSSED_PAIRS


@pytest.mark.parametrize("dose", [0.0, 0.1, 1.0])
def test_training_shows_crossed_pairs_with_the_dose(dose):
    world = make_world("TwoDoors", dose=dose)
    rows = world.begin(np.arange(8000), 0)
    pairs = np.array(["".join(np.array(list("ABCD"))[row[1:] >= 0]) for row in rows])
    crossed = np.isin(pairs, CROSSED_PAIRS)
    assert stats.binomtest(int(crossed.sum()), 8000, dose).pvalue > 1e-4
    assert (world.context_of(rows) == 2).tolist() == crossed.tolist()
    for names, kind in ((["AB", "CD"], ~crossed), (CROSSED_PAIRS, crossed)):
        counts = [int((pairs[kind] == name).sum()) for name in names]
        assert sum(counts) == kind.sum() and (not kind.any() or stats.chisquare(counts).pvalue > 1e-4)


def test_doors_are_uniform_and_apart_from_the_pair():
    rows = make_world("TwoDoors").begin(np.arange(12_000), 0)
    shown = np.sort(rows[:, 1:], axis=1)[:, 2:]
    swapped = np.where(rows[:, 1] >= 0, rows[:, 1] > rows[:, 2], rows[:, 3] > rows[:, 4])
    _, placement = np.unique(np.column_stack([shown, swapped]), axis=0, return_inverse=True)
    table = np.histogram2d(placement, rows[:, 1] >= 0, bins=(12, 2))[0]
    assert table.min() > 0 and stats.chisquare(table.sum(1)).pvalue > 1e-4
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_crossed_levels_are_minimal_pairs():
    """Four neighbouring levels: all crossed pairs, in the same doors in the same order."""
    world = make_world("TwoDoors", layout="crossed")
    for first in (0, FIRST_TEST_LEVEL):
        shown = [present(world, row) for row in world.begin(first + np.arange(80), 0)]
        for n in range(0, 80, 4):
            block = shown[n : n + 4]
            assert ["".join(objects) for objects in block] == CROSSED_PAIRS
            assert len({tuple(objects.values()) for objects in block}) == 1


@pytest.mark.parametrize("rewards", [(1.0, 0.9, 0.2, 0.1), (0.3, 0.1, 5.0, 2.0)])
@pytest.mark.parametrize("size", [3, 5, 9])
def test_value_of_a_start_is_that_of_the_better_object(rewards, size):
    world = make_world("TwoDoors", size=size, layout="crossed", rewards=rewards)
    levels = FIRST_TEST_LEVEL + np.arange(12)
    mdp = enumerate_world(world, levels)
    values = value_iteration(mdp).values[mdp.start_state]
    best = [max(rewards["ABCD".index(name)] for name in pair) for pair in CROSSED_PAIRS]
    assert values == pytest.approx(np.tile(best, 3) * 0.95 ** ((size - 1) / 2 - 1))


def test_an_optimal_agent_keeps_the_true_order_across_pairs():
    """B before C, although in training B always was the worse and C always the better of its pair."""
    world = make_world("TwoDoors", layout="crossed")
    mdp = enumerate_world(world, [FIRST_TEST_LEVEL + 2])
    start = mdp.start_state[0]
    objects = present(world, mdp.rows[start])
    assert list(objects) == ["B", "C"]
    towards_b = [distance(moved((3, 3), action, 5), objects["B"]) == 1 for action in range(4)]
    assert value_iteration(mdp).optimal_actions[start].tolist() == towards_b


def test_one_step_ends_the_episode_at_size_three_and_at_no_other():
    for size, num_ends in ((3, 2), (5, 0)):
        world = make_world("TwoDoors", size=size)
        outcomes = world.expand(world.begin(np.arange(50), 0))
        assert (outcomes.terminated[:, :, 0].sum(axis=1) == num_ends).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"size": 6}, r"size is 6, allowed is an odd integer from 3 to 61; the nearest is 5\."),
        ({"rewards": (1, 2, 3)}, r"rewards is \(1, 2, 3\), allowed are four numbers"),
        ({"rewards": 1.0}, r"rewards is 1\.0, of type float, allowed is a tuple or list of four numbers"),
        ({"rewards": np.ones(4)}, r"rewards is array\(\[1\., 1\., 1\., 1\.\]\), of type ndarray, allowed is a tuple"),
        ({"rewards": (1, 0.9, -0.2, 0.1)}, r"reward of C is -0\.2, allowed is a number from 0"),
        ({"rewards": (1, 0.9, "x", 0.1)}, "reward of C is 'x'"),
        ({"dose": 1.5}, r"dose is 1\.5"),
        ({"layout": "cross"}, "Did you mean 'crossed'"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(UserError, match=match):
        make_world("TwoDoors", **options)
