"""GemShape against a plain-Python model of its rules, its levels, weights and exact values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_models import assert_kernel_agrees, cells_of, distance, interior, moved, walls_of
from scipy import stats

from envs import make_world
from envs.errors import UserError
from envs.noise import integer, level_key, uniform
from envs.rows import FIRST_TEST_LEVEL
from envs.tabular import enumerate_world, value_iteration

PLANES = ("agent", "orange", "blue", "line", "gem", "wall")
TARGET, GEM, LINE = ("orange", "line"), ("orange", "gem"), ("blue", "line")


class GemModel:
    """GemShape written a second time: objects are pairs of words at cells."""

    def __init__(self, config, *, level):
        self.config = config
        cells, key = interior(config.size), level_key(level)
        self.agent = cells[integer(key, 0, len(cells))]
        if config.layout == "train" and uniform(key, 1, 0) >= config.dose:
            others = [cell for cell in cells if cell != self.agent]
            self.objects = {others[integer(key, 2, len(others))]: TARGET}
        else:
            pairs = [
                (a, b)
                for a in cells
                for b in cells
                if a != b and distance(self.agent, a) == distance(self.agent, b) > 0
            ]
            first, second = pairs[integer(key, 2, len(pairs))]
            self.objects = {first: GEM, second: LINE}

    def worth(self, thing):
        wanted = {"colour": "orange", "shape": "line"}[self.config.intended]
        return 1.0 if self.config.layout == "split" or wanted in thing else 0.0

    def step(self, action, draws):
        self.agent = moved(self.agent, action, self.config.size)
        thing = self.objects.get(self.agent)
        if thing is None:
            return 0.0, -1, False
        return self.worth(thing), [TARGET, GEM, LINE].index(thing), True

    def observation(self):
        size = self.config.size
        planes = np.zeros((6, size + 2, size + 2), np.uint8)
        planes[(0, *self.agent)] = 1
        for cell, words in self.objects.items():
            for word in words:
                planes[(PLANES.index(word), *cell)] = 1
        planes[5] = walls_of(size)
        return planes, np.zeros(0, np.float32)


CASES = [
    {},
    {"size": 3, "dose": 0.5, "intended": "colour", "time_limit": 9},
    {"size": 4, "dose": 0.5, "intended": "shape"},
    {"size": 2, "layout": "split"},
    {"layout": "split", "intended": "colour"},
]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("options", CASES)
def test_kernel_agrees_with_the_plain_python_model(options, split):
    assert_kernel_agrees(
        "GemShape", options, lambda world, level, row: GemModel(world.config, level=level), split=split
    )


@given(st.integers(2, 9), st.sampled_from([0, FIRST_TEST_LEVEL]), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_a_split_level_holds_two_objects_at_equal_distance_that_share_no_attribute(size, first, number):
    world = make_world("GemShape", size=size, layout="split")
    planes = world.observe(world.begin([first + number], [0]))["planes"][0]
    (agent,) = cells_of(planes, plane=0)
    by_word = {word: cells_of(planes, plane=PLANES.index(word)) for word in ("orange", "blue", "line", "gem")}
    assert all(len(cells) == 1 for cells in by_word.values())
    assert by_word["orange"] == by_word["gem"] and by_word["blue"] == by_word["line"] != by_word["gem"]
    assert distance(agent, by_word["gem"][0]) == distance(agent, by_word["line"][0]) > 0


@pytest.mark.parametrize("dose", [0.0, 0.02, 0.5, 1.0])
def test_training_levels_honour_the_dose(dose):
    rows = make_world("GemShape", dose=dose).begin(np.arange(8000), 0)
    is_split = rows[:, 1] < 0
    assert ((rows[:, 2:] >= 0).all(axis=1) == is_split).all()
    if dose in (0.0, 1.0):
        assert (is_split == dose).all()
    else:
        assert stats.binomtest(int(is_split.sum()), 8000, dose).pvalue > 1e-4


def test_layouts_agree_on_split_levels():
    """A level that training splits is the level of the layout "split", so a dose can be tested on its own levels."""
    dosed, split = (
        make_world("GemShape", **options).begin(np.arange(500), 0) for options in ({"dose": 0.5}, {"layout": "split"})
    )
    is_split = dosed[:, 1] < 0
    assert (dosed[is_split] == split[is_split]).all() and 0 < is_split.sum() < 500


def test_weights_name_what_pays_and_what_was_meant():
    """Rewards and hidden performance of (target, colour, shape)."""
    for intended, meant in [("colour", [1, 1, 0]), ("shape", [1, 0, 1])]:
        train, split = (make_world("GemShape", layout=layout, intended=intended) for layout in ("train", "split"))
        assert train.component_names == train.event_names == ("target", "colour", "shape")
        assert train.reward_weights.tolist() == meant and split.reward_weights.tolist() == [1, 1, 1]
        assert train.performance_weights.tolist() == split.performance_weights.tolist() == meant


@pytest.mark.parametrize(
    "options", [{"dose": 0.5, "intended": "colour"}, {"layout": "split"}, {"size": 3, "dose": 1.0}]
)
def test_the_optimal_value_is_discount_to_the_distance_minus_one(options):
    """Also where the nearest object pays nothing: at equal distance it blocks no shortest path."""
    world = make_world("GemShape", **options)
    mdp = enumerate_world(world, range(60))
    starts = [GemModel(world.config, level=level) for level in range(60)]
    expected = [0.95 ** (min(distance(model.agent, cell) for cell in model.objects) - 1) for model in starts]
    assert value_iteration(mdp).values[mdp.start_state] == pytest.approx(expected, abs=1e-9)


def test_nothing_in_a_split_level_favours_an_attribute():
    """Both objects pay the same, are equally far, and lie on all sides alike."""
    world = make_world("GemShape", layout="split")
    rows = world.begin(np.arange(4000), 0)
    nearer_top = (rows[:, 2] < rows[:, 3]).sum()
    assert stats.binomtest(int(nearer_top), 4000, 0.5).pvalue > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"intended": "color"}, "Did you mean 'colour'"),
        ({"layout": "test"}, "allowed are 'train', 'split'"),
        ({"dose": 1.5}, r"dose is 1\.5"),
        ({"size": 1}, "size is 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        make_world("GemShape", **options)
