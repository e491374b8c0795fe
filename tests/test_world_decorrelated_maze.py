"""DecorrelatedMaze against a plain-Python model, and what it is for: distances that do not go together."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from maze_models import Draws, MazeModel, free_cells, grown_tree, loop_erased_walk, nodes_of, paths_from
from reference_models import assert_kernel_agrees, cells_of

from envs import UserError, make_world
from envs.distances import goal_distances, optimal_trajectories
from envs.noise import uniform
from envs.rows import FIRST_TEST_LEVEL
from envs.tabular import enumerate_world, value_iteration

README = Path(__file__).parent.parent / "envs" / "README.md"
SPLITS = ["train", "test"]


def combinations(size):
    """Every (displacement, path length), in nodes, in the order in which levels take them."""
    reach = 4 if size < 11 else 6
    pairs = itertools.product(range((size + 1) // 2), repeat=2)
    displacements = [(a, b) for a, b in pairs if b <= a and 0 < a + b <= reach and (a + b) % 2 == 0]
    return list(itertools.product(displacements, range(reach, 3 * reach, 2)))


def tied_path(size, displacement):
    """The path length, in nodes, of a displacement in a level where the two are tied."""
    displacements = sorted({pair for pair, _ in combinations(size)}, key=lambda pair: np.hypot(*pair))
    lengths = sorted({path for _, path in combinations(size)})
    return lengths[displacements.index(displacement) * len(lengths) // len(displacements)]


class DecorrelatedModel(MazeModel):
    def __init__(self, config, *, level):
        self.size, draws = config.size, Draws(level)
        every = combinations(self.size)
        displacement, path = every[level % FIRST_TEST_LEVEL % len(every)]
        if uniform(draws.key, 0, 1) >= config.dose:
            path = tied_path(self.size, displacement)
        self.agent, self.goal = self.placed(draws, displacement)
        way = []
        while len(way) != 2 * path + 1:
            way = loop_erased_walk(draws, self.size, start=self.agent, free={self.goal})
        self.free = grown_tree(draws, self.size, free=set(way))

    def placed(self, draws, displacement):
        nodes = sorted(nodes_of(self.size))
        while True:
            y, x = nodes[draws.integer(len(nodes))]
            turn = draws.integer(8)
            dy, dx = displacement if turn % 2 else reversed(displacement)
            goal = y + 2 * (dy if turn // 2 % 2 else -dy), x + 2 * (dx if turn // 4 else -dx)
            if goal in nodes:
                return (y, x), goal


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("options", [{}, {"size": 7, "time_limit": 9}, {"size": 15, "dose": 0.5}, {"dose": 0.0}])
def test_kernel_agrees_with_the_plain_python_model(options, split):
    def make_model(world, level, row):
        return DecorrelatedModel(world.config, level=level)

    assert_kernel_agrees("DecorrelatedMaze", options, make_model, split=split)


def start_distances(world, levels):
    return goal_distances(world, world.begin(levels, 0))


@pytest.mark.parametrize("size", [7, 11])
@pytest.mark.parametrize("split", SPLITS)
def test_start_distances_are_uncorrelated_over_ten_thousand_levels(size, split):
    """|Spearman| ≤ .02 of Euclidean and path distance, though both vary widely."""
    world = make_world("DecorrelatedMaze", size=size, num_levels=10_000)
    found = start_distances(world, world.levels(split).ids())
    assert abs(found.rank_correlation()) <= 0.02
    assert found.euclidean.max() >= 2 * found.euclidean.min() and found.path.max() >= 2.5 * found.path.min()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("generator", "correlation"), [("blocks", 0.916), ("tree", 0.66), ("open", 0.978)])
def test_control_an_ordinary_maze_correlates_them(generator, correlation, split):
    """The same measure on CornerMaze with the cheese anywhere, where nothing was done about it."""
    world = make_world("CornerMaze", generator=generator, corner_size=11, num_levels=2000)
    found = start_distances(world, world.levels(split).ids()).rank_correlation()
    assert found == pytest.approx(correlation, abs=0.05)


@pytest.mark.parametrize(("size", "tied"), [(7, 1.0), (11, 0.98), (15, 0.99)])
def test_the_dose_is_the_share_of_levels_in_which_distances_are_independent(size, tied):
    """The correlation falls from almost 1 to 0 in proportion; agent and goal are the same under every dose."""
    levels = np.arange(4800)
    worlds = [make_world("DecorrelatedMaze", size=size, dose=dose) for dose in (0.0, 0.25, 0.5, 1.0)]
    rows = [world.begin(levels, 0) for world in worlds]
    found = [goal_distances(world, first).rank_correlation() for world, first in zip(worlds, rows, strict=True)]
    assert found == pytest.approx([tied, 0.75 * tied, 0.5 * tied, 0.0], abs=0.03)
    assert all((first[:, :2] == rows[0][:, :2]).all() for first in rows)
    independent = [(first != rows[0]).any(axis=1) for first in rows]
    assert (independent[1] <= independent[2]).all() and (independent[2] <= independent[3]).all()


@pytest.mark.parametrize("size", [7, 9, 11, 13, 15, 61])
def test_one_turn_holds_every_combination_once(size):
    """So over whole turns the two are independent, not only uncorrelated; both splits begin with a whole turn."""
    world, every = make_world("DecorrelatedMaze", size=size), combinations(size)
    for first in (0, FIRST_TEST_LEVEL):
        rows = world.begin(first + np.arange(len(every)), 0)
        (ay, ax), (gy, gx) = (np.divmod(rows[:, i].astype(int), 64) for i in (0, 1))
        sides = np.sort(np.abs([ay - gy, ax - gx]), axis=0)
        found = zip(*sides[::-1] // 2, goal_distances(world, rows).path // 2, strict=True)
        assert [((a, b), path) for a, b, path in found] == every
    assert start_distances(world, np.arange(len(every))).rank_correlation() == pytest.approx(0, abs=1e-12)


def test_along_optimal_trajectories_they_are_correlated_as_the_page_says():
    """Both fall to 0 together; the trajectories are the shortest ways, one state a step."""
    world = make_world("DecorrelatedMaze")
    levels = np.arange(4800)
    rows = optimal_trajectories(world, levels)
    found = [start_distances(world, levels), goal_distances(world, rows)]
    assert len(rows) == found[0].path.sum() and found[1].path.min() == 1
    printed = re.search(r"levels 0 to 4799: ([\d.]+) at starts, ([\d.]+) along optimal", README.read_text())
    assert [distances.rank_correlation() for distances in found] == pytest.approx(
        [float(number) for number in printed.groups()], abs=6e-4
    )
    tied = re.search(r"At starts it is ([\d.]+) with `dose=0.5` and ([\d.]+) with `dose=0`", README.read_text())
    doses = [start_distances(make_world("DecorrelatedMaze", dose=dose), levels) for dose in (0.5, 0.0)]
    assert [found.rank_correlation() for found in doses] == pytest.approx([float(n) for n in tied.groups()], abs=6e-4)


def test_few_levels_are_balanced_in_whole_turns_alone_as_the_page_says():
    text = " ".join(README.read_text().split())
    printed = re.search(r"Over the first 10 levels the correlation at starts is (\S+), over (.*?); where", text)
    named = [(10, printed[1]), *(part.split() for part in re.split(", over | and over ", printed[2]))]
    assert len(named) == 5
    for num_levels, number in named:
        found = start_distances(make_world("DecorrelatedMaze"), np.arange(int(num_levels))).rank_correlation()
        assert found == pytest.approx(float(number), abs=6e-4)
    turns = re.search(r"of (\d+) levels at the default size \((\d+) in `9x9`, (\d+) in `17x17`\)", text)
    assert [int(turn) for turn in turns.groups()] == [len(combinations(size)) for size in (11, 7, 15)]


def test_trajectories_are_those_of_the_solved_world():
    """Every action taken is optimal by value iteration, and V* = γ^(path distance − 1) at every state."""
    world = make_world("DecorrelatedMaze", discount=0.9)
    mdp = enumerate_world(world, [3])
    values = {row.tobytes(): value for row, value in zip(mdp.rows, value_iteration(mdp).values, strict=True)}
    rows = optimal_trajectories(world, [3])
    found = np.array([values[row.tobytes()] for row in rows])
    assert found == pytest.approx(0.9 ** np.arange(len(rows) - 1, -1, -1.0), abs=1e-9)
    planes = world.observe(mdp.rows)["planes"]
    lengths = [paths_from(free_cells(p), cells_of(p, plane=1)[0])[cells_of(p, plane=0)[0]] for p in planes]
    assert list(values.values()) == pytest.approx(0.9 ** (np.array(lengths) - 1.0), abs=1e-9)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"size": 5}, "size is 5, allowed is an odd integer from 7 to 61; the nearest is 7"),
        ({"size": 8}, "size is 8, allowed is an odd integer from 7 to 61; the nearest is 7"),
        ({"size": 63}, "size is 63"),
        ({"dose": 1.1}, r"dose is 1\.1, allowed is a number from 0 to 1"),
        ({"num_levels": 0}, "num_levels is 0"),
        ({"discount": -0.1}, r"discount is -0\.1"),
        ({"time_limit": 0}, "time_limit is 0"),
        ({"generator": "open"}, "DecorrelatedMaze has no option 'generator'"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(UserError, match=match):
        make_world("DecorrelatedMaze", **options)
