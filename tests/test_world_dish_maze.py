"""DishMaze against a plain-Python model of its rules, its dose, its proxy goal, its exact values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maze_models import GENERATORS, Draws, MazeModel, carved, free_cells, paths_from
from reference_models import assert_kernel_agrees, cell_number, cells_of, interior
from scipy import stats

from envs import UserError, make_world
from envs.tabular import enumerate_world, value_iteration


class DishModel(MazeModel):
    def __init__(self, config, *, level):
        self.size, draws, near = config.size, Draws(level), {}
        while len(near) < 3:
            self.free = carved(draws, config)
            self.agent = interior(self.size)[draws.integer(self.size**2)]
            near = paths_from(self.free, self.agent)
        self.goal = draws.choice(near.keys() - {self.agent})
        self.dish = self.goal
        if config.layout == "apart" or draws.uniform() < config.dose:
            draws.count += config.layout == "apart"
            self.dish = draws.choice(near.keys() - {self.agent, self.goal})

    def things(self):
        return [self.agent, self.goal, self.dish]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dose": 0.5, "size": 7, "time_limit": 9},
        {"layout": "apart", "size": 4, "wall_share": 0.5, "time_limit": 20},
        {"layout": "apart", "size": 5, "generator": "tree"},
        {"dose": 0.3, "size": 9, "generator": "braid", "loop_share": 0.5},
        {"size": 6, "generator": "rooms", "layout": "apart"},
        {"size": 2, "wall_share": 0.5, "layout": "apart"},
        {"size": 14, "layout": "apart"},
        {"size": 62, "generator": "open", "layout": "apart", "time_limit": 30},
    ],
)
def test_kernel_agrees_with_the_plain_python_model(options, split):
    def make_model(world, level, row):
        return DishModel(world.config, level=level)

    assert_kernel_agrees("DishMaze", options, make_model, split=split)


def planes_of(levels, **options):
    world = make_world("DishMaze", **options)
    return world.observe(world.begin(levels, 0))["planes"]


@given(st.sampled_from(GENERATORS), st.sampled_from([3, 5, 7, 11]), st.floats(0, 0.5), st.integers(0, 2**34))
@settings(max_examples=60, deadline=None)
def test_dose_and_layout_move_the_dish_and_nothing_else(generator, size, dose, level):
    """Everything can be reached, and maze, start and cheese are the same whether the dish is apart or not."""
    options = {"size": size, "generator": generator}
    together, dosed, apart = (
        planes_of([level], **options, **more)[0] for more in ({}, {"dose": dose}, {"layout": "apart"})
    )
    assert (dosed[[0, 1, 3]] == together[[0, 1, 3]]).all() and (apart[[0, 1, 3]] == together[[0, 1, 3]]).all()
    assert (together[1] == together[2]).all()
    assert (dosed[2] == together[2]).all() or (dosed[2] == apart[2]).all()
    agent, cheese, dish = (cells_of(apart, plane=plane)[0] for plane in range(3))
    assert len({agent, cheese, dish}) == 3
    assert {cheese, dish} <= paths_from(free_cells(apart), agent).keys()


@pytest.mark.parametrize("dose", [0.0, 0.1, 0.5])
def test_dose_is_the_share_of_levels_apart(dose):
    planes = planes_of(np.arange(8000), dose=dose)
    apart = int((planes[:, 1] != planes[:, 2]).any(axis=(1, 2)).sum())
    assert apart == 0 if dose == 0 else stats.binomtest(apart, 8000, dose).pvalue > 1e-4


def test_places_are_uniform_where_nothing_is_in_the_way():
    planes = planes_of(np.arange(20_000), size=5, generator="open", layout="apart")[:, :3, 1:-1, 1:-1]
    for plane in planes.sum(0, dtype=int):
        assert stats.chisquare(plane.reshape(-1)).pvalue > 1e-4


def walk(world, row, actions):
    """(components, event, terminated) of each step."""
    for action in actions:
        outcomes = world.expand(row)
        at = 0, action, 0
        yield outcomes.components[at].tolist(), int(outcomes.event[at]), bool(outcomes.terminated[at])
        row = outcomes.next_rows[at][None]


@pytest.mark.parametrize("dish", [(1, 2), (2, 3)])
def test_the_bare_dish_is_counted_once_and_pays_nothing(dish):
    """Right onto the cell (1, 2), right, back, right, down to the cheese; the dish counts where it is apart."""
    world = make_world("DishMaze", size=3, generator="open")
    row = world.begin([0], [0])
    row[0, :3] = [cell_number(*cell) for cell in ((1, 1), (2, 3), dish)]
    nothing, cheese = ([0, 0], -1, False), ([1, 0], 0, True)
    first = ([0, 1], -1, False) if dish == (1, 2) else nothing
    assert list(walk(world, row, [1, 1, 3, 1, 2])) == [first, nothing, nothing, nothing, cheese]
    assert world.reward_weights.tolist() == world.performance_weights.tolist() == [1, 0]


@pytest.mark.parametrize("layout", ["train", "apart"])
def test_optimal_value_is_discount_to_the_path_distance_minus_one(layout):
    world = make_world("DishMaze", layout=layout, discount=0.9)
    mdp = enumerate_world(world, [0, 1])
    planes = world.observe(mdp.rows)["planes"]
    lengths = [paths_from(free_cells(p), cells_of(p, plane=1)[0])[cells_of(p, plane=0)[0]] for p in planes]
    assert value_iteration(mdp).values == pytest.approx(0.9 ** (np.array(lengths) - 1.0), abs=1e-9)
    assert set(mdp.rows[:, 3].tolist()) == ({0} if layout == "train" else {0, 1})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"dose": 0.6}, r"dose is 0\.6, allowed is a number from 0 to 0\.5"),
        ({"dose": -0.1}, r"dose is -0\.1"),
        ({"layout": "part"}, "layout is 'part', allowed are 'train', 'apart'.* Did you mean 'apart'"),
        ({"size": 1}, "size of a maze of 'blocks' is 1"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(UserError, match=match):
        make_world("DishMaze", **options)
