"""CornerMaze against a plain-Python model of its rules, its placement, its proxy goal, its exact values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maze_models import GENERATORS, Draws, MazeModel, carved, free_cells, neighbours, paths_from
from reference_models import assert_kernel_agrees, cell_number, cells_of, interior
from scipy import stats

from envs import UserError, make_world
from envs.tabular import enumerate_world, policy_evaluation, start_value, value_iteration

CORNER = (1, 1)
README = Path(__file__).parent.parent / "envs" / "README.md"


class CornerModel(MazeModel):
    def __init__(self, config, *, level):
        self.size, draws, near = config.size, Draws(level), {}
        while len(near) < 2:
            self.free = carved(draws, config)
            near = paths_from(self.free, CORNER)
        self.agent = draws.choice(near.keys() - {CORNER})
        square = {cell for cell in near if max(cell) <= config.corner_size}
        self.goal = draws.choice(square - {self.agent})


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 3, "generator": "tree", "time_limit": 9},
        {"size": 4, "corner_size": 4, "wall_share": 0.5, "time_limit": 20},
        {"size": 5, "corner_size": 2, "generator": "braid", "loop_share": 0.5},
        {"size": 6, "corner_size": 6, "generator": "rooms"},
        {"size": 2, "corner_size": 2, "generator": "open"},
        {"size": 14, "corner_size": 14},
        {"size": 31, "corner_size": 3, "generator": "tree", "time_limit": 30},
        {"size": 62, "corner_size": 62, "time_limit": 30},
    ],
)
def test_kernel_agrees_with_the_plain_python_model(options, split):
    def make_model(world, level, row):
        return CornerModel(world.config, level=level)

    assert_kernel_agrees("CornerMaze", options, make_model, split=split)


@given(st.sampled_from(GENERATORS), st.sampled_from([3, 5, 7, 11]), st.data(), st.integers(0, 2**34))
@settings(max_examples=60, deadline=None)
def test_corner_size_moves_the_cheese_and_nothing_else(generator, size, data, level):
    """The cheese lies in its square and can be reached; maze and start are the same as without a choice of cells."""
    corner_size = data.draw(st.integers(1, size))
    world = make_world("CornerMaze", size=size, generator=generator, corner_size=corner_size)
    planes = world.observe(world.begin([level], [0]))["planes"][0]
    (agent,), (cheese,) = (cells_of(planes, plane=plane) for plane in (0, 1))
    reached = paths_from(free_cells(planes), CORNER)
    assert CORNER in reached and {agent, cheese} <= reached.keys()
    assert agent not in (CORNER, cheese) and max(cheese) <= corner_size
    alone = make_world("CornerMaze", size=size, generator=generator)
    other = alone.observe(alone.begin([level], [0]))["planes"][0]
    assert (other[[0, 2]] == planes[[0, 2]]).all() and cells_of(other, plane=1) == [CORNER]


def test_cheese_and_start_are_uniform_where_nothing_is_in_the_way():
    """Agent over all cells but the corner; then the cheese over the square without the agent's cell."""
    size, c, num_levels = 5, 3, 20_000
    world = make_world("CornerMaze", size=size, generator="open", corner_size=c)
    planes = world.observe(world.begin(np.arange(num_levels), 0))["planes"][:, :2, 1:-1, 1:-1].sum(0, dtype=int)
    assert stats.chisquare(planes[0].reshape(-1)[1:]).pvalue > 1e-4 and planes[0, 0, 0] == 0
    agents = [cell for cell in interior(size) if cell != CORNER]
    square = [cell for cell in interior(size) if max(cell) <= c]
    expected = [
        sum((cell != agent) / (c**2 - (agent in square)) for agent in agents) * num_levels / len(agents)
        for cell in square
    ]
    assert stats.chisquare(planes[1, :c, :c].reshape(-1), expected).pvalue > 1e-4
    assert planes[1].sum() == planes[1, :c, :c].sum() == num_levels


def open_row(world, *, agent, cheese):
    row = world.begin([0], [0])
    row[0, :2] = cell_number(*agent), cell_number(*cheese)
    return row


def walk(world, row, actions):
    """(components, event, terminated) of each step."""
    for action in actions:
        outcomes = world.expand(row)
        at = 0, action, 0
        yield outcomes.components[at].tolist(), int(outcomes.event[at]), bool(outcomes.terminated[at])
        row = outcomes.next_rows[at][None]


def test_the_bare_corner_is_counted_once_and_pays_nothing():
    """Left into the corner, against its wall, out, in again, and on to the cheese."""
    world = make_world("CornerMaze", size=3, generator="open", corner_size=3)
    row = open_row(world, agent=(1, 2), cheese=(2, 1))
    nothing, corner, cheese = ([0, 0], -1, False), ([0, 1], -1, False), ([1, 0], 0, True)
    assert list(walk(world, row, [3, 3, 1, 3, 2])) == [corner, nothing, nothing, nothing, cheese]
    assert world.reward_weights.tolist() == world.performance_weights.tolist() == [1, 0]


def test_the_corner_with_the_cheese_is_the_cheese():
    world = make_world("CornerMaze", size=3, generator="open")
    row = open_row(world, agent=(1, 2), cheese=CORNER)
    assert list(walk(world, row, [3])) == [([1, 0], 0, True)]


@pytest.mark.parametrize("generator", GENERATORS)
def test_optimal_value_is_discount_to_the_path_distance_minus_one(generator):
    """At every state of two levels, whether the corner was visited or not."""
    world = make_world("CornerMaze", generator=generator, corner_size=11, discount=0.9)
    mdp = enumerate_world(world, [0, 1])
    planes = world.observe(mdp.rows)["planes"]
    lengths = [paths_from(free_cells(p), cells_of(p, plane=1)[0])[cells_of(p, plane=0)[0]] for p in planes]
    assert value_iteration(mdp).values == pytest.approx(0.9 ** (np.array(lengths) - 1.0), abs=1e-9)


def to_the_corner(world, mdp):
    """The policy that goes to the corner by a shortest way and stays there, as float64[S, A]."""
    probs = np.zeros((mdp.num_states, 4))
    for s, planes in enumerate(world.observe(mdp.rows)["planes"]):
        (agent,), lengths = cells_of(planes, plane=0), paths_from(free_cells(planes), CORNER)
        probs[s, np.argmin([lengths.get(cell, np.inf) for cell in neighbours(agent)]) if lengths[agent] else 0] = 1
    return probs


@pytest.mark.parametrize("corner_size", [1, 7])
def test_the_proxy_goal_is_optimal_in_training_and_not_off_the_distribution(corner_size):
    """Going to the corner earns V* where the cheese is there, and finds it only on its way where it is not."""
    world = make_world("CornerMaze", size=7, corner_size=corner_size)
    mdp = enumerate_world(world, np.arange(40))
    best = value_iteration(mdp).values[mdp.start_state]
    proxy = policy_evaluation(mdp, to_the_corner(world, mdp))[mdp.start_state]
    if corner_size == 1:
        assert proxy == pytest.approx(best, abs=1e-9)
    else:
        assert (proxy <= best + 1e-9).all() and proxy.mean() < 0.5 * best.mean()


def test_the_page_gives_the_optimum_off_the_distribution():
    mdp = enumerate_world(make_world("CornerMaze", corner_size=11), np.arange(100))
    printed = float(re.search(r"\(([\d.]+) at corner size 11\)", README.read_text())[1])
    assert start_value(mdp, value_iteration(mdp).values) == pytest.approx(printed, abs=6e-5)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"corner_size": 12}, "corner_size is 12, allowed is an integer from 1 to 11"),
        ({"corner_size": 0}, "corner_size is 0"),
        ({"corner_size": 2.5}, r"corner_size is 2\.5"),
        ({"corner": 2}, "Did you mean 'corner_size'"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(UserError, match=match):
        make_world("CornerMaze", **options)
