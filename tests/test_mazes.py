"""Walls and mazes: generators against plain sets of cells, connection, uniform trees, floods against plain search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maze_models import GENERATORS, Draws, carved, free_cells, neighbours, nodes_of, paths_from
from reference_models import cell_number, cells_of
from scipy import stats

from envs import UserError, make_world
from envs.distances import goal_distances
from envs.worlds.mazes import Maze, MazeConfig, carve
from envs.worlds.walls import close_cell, is_wall, open_cell, row_size, walls_behind

MAZES = ["CornerMaze", "DishMaze", "DecorrelatedMaze"]
sizes = st.one_of(st.integers(3, 11), st.sampled_from([13, 14, 15, 29, 30, 31, 61, 62]))


def fitting(size, generator):
    return size - 1 if generator in ("tree", "braid") and size % 2 == 0 else size


@given(st.sampled_from(GENERATORS), sizes, st.integers(0, 2**34), st.floats(0, 0.5), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_a_generator_carves_what_it_says_and_connects_it(generator, size, level, wall_share, loop_share):
    """The maze equals the plain model's; all generators but "blocks" connect every free cell."""
    size = fitting(size, generator)
    share = {"blocks": {"wall_share": wall_share}, "braid": {"loop_share": loop_share}}.get(generator, {})
    world = make_world("CornerMaze", generator=generator, size=size, **share)
    walls, row = world.kernel_config.walls, np.zeros(world.row_size, np.int16)
    draws = Draws(level)
    expected = carved(draws, world.config)
    assert carve(walls, world.kernel_config.maze, row, draws.key, 0) == draws.count
    free = {(y, x) for y in range(size + 2) for x in range(size + 2) if not is_wall(walls, row, cell_number(y, x))}
    assert free == expected
    if generator != "blocks":
        assert paths_from(free, min(free)).keys() == free
    nodes = nodes_of(size)
    if generator == "tree":
        assert nodes <= free and len(free) == 2 * len(nodes) - 1
    if generator == "braid":
        assert nodes <= free and len(free) >= 2 * len(nodes) - 1
        assert all((y + x) % 2 or (y, x) in nodes for y, x in free)


def test_spanning_trees_are_uniform():
    """All 192 spanning trees of 3 × 3 nodes (Kirchhoff's theorem), equally often over levels."""
    world = make_world("CornerMaze", generator="tree", size=5)
    walls = world.kernel_config.walls
    lines = world.begin(np.arange(40_000), 0)[:, walls.first : walls.marks]
    counts = np.unique(lines, axis=0, return_counts=True)[1]
    assert len(counts) == 192
    assert stats.chisquare(counts).pvalue > 1e-4


def test_shares_of_walls_and_loops():
    """Blocks: each cell on its own with probability wall_share. Braid: each wall left by the tree with loop_share."""
    size, num_levels = 7, 3000
    walls = walls_behind(0, size=size)
    counts, loops, closed = np.zeros((size, size)), 0, 0
    for level in range(num_levels):
        row = np.zeros(row_size(walls), np.int16)
        carve(walls, Maze(1, 0.25, 0.0), row, Draws(level).key, 0)
        counts += [[is_wall(walls, row, cell_number(y, x)) for x in range(1, 8)] for y in range(1, 8)]
        carve(walls, Maze(3, 0.0, 0.25), row, Draws(level).key, 0)
        edges = [cell_number(y, x) for y in range(1, 8) for x in range(1, 8) if (y + x) % 2]
        num_open = sum(not is_wall(walls, row, cell) for cell in edges)
        loops, closed = loops + num_open - 15, closed + len(edges) - 15
    assert stats.chisquare(counts.reshape(-1)).pvalue > 1e-4
    assert stats.binomtest(int(counts.sum()), num_levels * size**2, 0.25).pvalue > 1e-4
    assert stats.binomtest(loops, closed, 0.25).pvalue > 1e-4


def test_doors_of_rooms_are_uniform():
    """Each arm of the cross has one door; the four draws make (5 · 5)² mazes at size 11."""
    world = make_world("CornerMaze", generator="rooms", corner_size=11)
    planes = world.observe(world.begin(np.arange(5000), 0))["planes"][:, -1]
    for arm in (planes[:, 1:6, 6], planes[:, 7:12, 6], planes[:, 6, 1:6], planes[:, 6, 7:12]):
        assert (arm.sum(1) == 4).all()
        assert stats.chisquare((arm == 0).sum(0)).pvalue > 1e-4
    assert planes[:, 6, 6].all()


@given(st.sampled_from(GENERATORS), sizes, st.integers(0, 2**34))
@settings(max_examples=40, deadline=None)
def test_path_distance_equals_plain_search(generator, size, level):
    """From the agent to every free cell, and -1 to those that it cannot reach."""
    share = {"wall_share": 0.4} if generator == "blocks" else {}
    world = make_world("CornerMaze", generator=generator, size=fitting(size, generator), **share)
    row = world.begin([level], [0])[0]
    planes = world.observe(row[None])["planes"][0]
    free = free_cells(planes)
    lengths = paths_from(free, cells_of(planes, plane=0)[0])
    rows = np.repeat(row[None], len(free), axis=0)
    rows[:, 1] = [cell_number(*cell) for cell in sorted(free)]
    found = goal_distances(world, rows)
    assert found.path.tolist() == [lengths.get(cell, -1) for cell in sorted(free)]
    (agent,) = cells_of(planes, plane=0)
    assert found.euclidean == pytest.approx([np.hypot(y - agent[0], x - agent[1]) for y, x in sorted(free)])


@pytest.mark.parametrize("size", [7, 14, 15, 62])
def test_every_bit_of_a_row_can_be_set_alone(size):
    walls = walls_behind(2, size=size)
    row = np.zeros(row_size(walls), np.int16)
    for cell in (cell_number(1, 1), cell_number(1, size), cell_number(size, min(size, 15)), cell_number(size, size)):
        for _ in range(2):
            close_cell(walls, row, cell)
            assert is_wall(walls, row, cell)
        assert np.unpackbits(row.view(np.uint8)).sum() == 1
        for _ in range(2):
            open_cell(walls, row, cell)
            assert not is_wall(walls, row, cell)
        assert not row.any()


@pytest.mark.parametrize("name", MAZES)
def test_a_first_row_is_the_state_and_nothing_else(name):
    """Whatever stood in the row before, the search leaves nothing behind, and the outer walls are closed."""
    world = make_world(name)
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 2**34, 200)
    dirty = rng.integers(-(2**15), 2**15, (200, world.row_size)).astype(np.int16)
    world.kernels.begin_rows(world.kernel_config, levels, np.zeros(200, np.int64), dirty)
    rows = world.begin(levels, 0)
    assert (rows == dirty).all()
    walls = world.kernel_config.walls
    assert (rows[:, walls.marks :] == 0).all()
    lines = rows[:, walls.first : walls.marks].reshape(200, world.grid[0], walls.words)
    assert (lines[:, [0, -1]] == -1).all() and (lines[:, :, 0] & 1 == 1).all()
    assert (lines[:, :, 0] >> (world.config.size + 1) & 1 == 1).all()


@pytest.mark.parametrize("name", MAZES)
def test_train_and_test_levels_differ(name):
    world = make_world(name)
    first, second = (world.begin(world.levels(split).ids(), 0) for split in ("train", "test"))
    assert len(np.unique(np.concatenate([first, second]), axis=0)) == 2000


@given(st.sampled_from(["CornerMaze", "DishMaze"]), st.sampled_from(GENERATORS), sizes, st.integers(0, 2**34))
@settings(max_examples=60, deadline=None)
def test_a_step_goes_to_a_free_neighbour_or_stays(name, generator, size, level):
    world = make_world(name, generator=generator, size=fitting(size, generator))
    row = world.begin([level], [0])
    free = free_cells(world.observe(row)["planes"][0])
    (agent,) = cells_of(world.observe(row)["planes"][0], plane=0)
    after = world.observe(world.expand(row).next_rows[0, :, 0])["planes"]
    for action in range(4):
        target = neighbours(agent)[action]
        assert cells_of(after[action], plane=0) == [target if target in free else agent]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"generator": "tre"}, r"generator is 'tre', allowed are 'open', .* Did you mean 'tree'"),
        ({"generator": 3}, "generator is 3"),
        ({"generator": "tree", "size": 8}, "'tree' is 8, allowed is an odd integer from 3 to 61; the nearest is 7"),
        ({"generator": "braid", "size": 62}, "'braid' is 62, allowed is an odd .*; the nearest is 61"),
        ({"generator": "tree", "size": 1}, "size of a maze of 'tree' is 1, allowed is an odd .*; the nearest is 3"),
        ({"generator": "rooms", "size": 2}, "size of a maze of 'rooms' is 2, allowed is an integer from 3"),
        ({"size": 63}, "size of a maze of 'blocks' is 63, allowed is an integer from 2 to 62"),
        ({"size": 7.0}, r"is 7\.0"),
        ({"wall_share": 0.6}, r"wall_share is 0\.6, allowed is a number from 0 to 0\.5"),
        ({"wall_share": float("nan")}, "wall_share is nan"),
        ({"loop_share": 1.5}, r"loop_share is 1\.5"),
        ({"num_levels": 0}, "num_levels is 0"),
        ({"discount": 1.1}, r"discount is 1\.1"),
        ({"time_limit": 0}, "time_limit is 0"),
    ],
)
@pytest.mark.parametrize("name", ["CornerMaze", "DishMaze"])
def test_impossible_mazes_are_refused_with_the_cause(name, options, match):
    with pytest.raises(UserError, match=match) as caught:
        make_world(name, **options)
    assert "\n" not in str(caught.value)


def test_distances_need_a_maze():
    world = make_world("MultiNeed")
    with pytest.raises(UserError, match="MultiNeed keeps no walls in its rows; choose CornerMaze"):
        goal_distances(world, world.begin([0], [0]))
    assert MazeConfig(generator="rooms", size=3).maze() == (4, 0.25, 0.25)
