"""DecorrelatedMaze: how far the goal is as the crow flies says nothing about how far the way to it is.

A level draws a tree maze, the agent's start and the goal. Reaching the goal gives component goal = 1, event goal, and
ends the episode.

Agent and goal are nodes of the tree, cells of odd row and odd column. Over start states their Euclidean distance and
the length of the path between them are independent. A path is at least as long as the Manhattan distance and, counted
in nodes, of its parity, and both would tie the two; so a level first takes a displacement of (a, b) nodes, a ≥ b ≥ 0,
a + b even and at most `reach`, and a path of reach, reach + 2, .. or 3 · reach − 2 nodes. Reach is 4, and 6 from size
11. Level i of either split takes path number i mod reach and displacement number i div reach, modulo theirs. So each
combination occurs equally often, and over whole turns of them any correlation of the two is 0 exactly.

The dose is the share of such levels: all of them by default. In the others the two are tied, and of D displacements the
one that has k nearer ones takes path number floor(k · reach / D). A level has the same agent and goal under every dose;
where it is tied only the walls differ.

The agent's node and the direction to the goal are drawn uniformly from those inside. The path is the loop-erased random
walk between them, drawn until it has its length, and the other nodes join it by Wilson's algorithm: a spanning tree
drawn uniformly from all in which the path has this length.

On the way to the goal both distances fall to 0 together, so over the states of a trajectory they are correlated all the
same; `envs.distances` measures both.

V* = γ^(path distance − 1). Hidden performance equals reward.

Row: [agent, goal, walls.., marks..]; the marks are zero.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, type-var, operator"
from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from envs.errors import require_number, require_odd
from envs.family import Family
from envs.noise import integer, level_key, uniform
from envs.rows import World
from envs.states import first_of_split
from envs.worlds.absent import no_chance, no_context
from envs.worlds.cells import ACTION_NAMES, MAX_SIZE, draw_cell, room_background, unchanged
from envs.worlds.mazes import branch_length, grow_tree, node_cell, open_branch, walk_to_tree
from envs.worlds.options import WorldConfig
from envs.worlds.walls import (
    Walls,
    clear_marks,
    draw_walls,
    fill_walls,
    is_free,
    move,
    open_cell,
    row_size,
    walls_behind,
)

_NUM_ENTRIES = 2
_NUM_TURNS = 8
_DOSE_CHANNEL = 1
"""The draws that place and carve are those of channel 0, so that no dose changes them."""


@dataclass(frozen=True)
class DecorrelatedMazeConfig(WorldConfig):
    """Options of DecorrelatedMaze.

    Attributes:
        size: Interior cells per side, odd, 7 to 61.
        dose: Probability that displacement and path length of a level are independent and not tied, 0 to 1.
    """

    size: int = 11
    dose: float = 1.0
    discount: float = 0.99
    time_limit: int = 128

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        require_odd("size", self.size, low=7, high=MAX_SIZE - 1)
        require_number("dose", self.dose, low=0.0, high=1.0)


class Numbers(NamedTuple):
    """What the numba functions read."""

    walls: Walls
    reach: int
    num_displacements: int
    dose: float


@njit
def begin(config, row, level, start):
    """Take displacement and path length from the level's place in the turn; draw the path, then the tree around it."""
    walls, key = config.walls, level_key(level)
    index = level - first_of_split(level)
    displacement = _displacement(config, index // config.reach % config.num_displacements)
    number = index % config.reach
    if uniform(key, 0, _DOSE_CHANNEL) >= config.dose:
        number = _tied_number(config, displacement)
    path = config.reach + 2 * number
    counter = _place(walls, row, key, displacement)
    fill_walls(walls, row)
    clear_marks(walls, row)
    open_cell(walls, row, int(row[1]))
    agent, length = int(row[0]), -1
    while length != path:
        counter = walk_to_tree(walls, row, agent, key, counter)
        length = branch_length(walls, row, agent)
    open_branch(walls, row, agent)
    grow_tree(walls, row, key, counter)
    clear_marks(walls, row)


@njit
def _displacement(config, index):
    """The index-th pair (a, b) of the module's docstring that the room has space for; (0, 0) behind the last."""
    for a in range(1, min(config.reach, config.walls.size // 2) + 1):
        for b in range(a % 2, min(a, config.reach - a) + 1, 2):
            if index == 0:
                return a, b
            index -= 1
    return 0, 0


@njit
def _tied_number(config, displacement):
    """Number of the path of a displacement where the two are tied: it rises with the Euclidean distance."""
    num_nearer = 0
    for i in range(config.num_displacements):
        a, b = _displacement(config, i)
        num_nearer += int(a**2 + b**2 < displacement[0] ** 2 + displacement[1] ** 2)
    return num_nearer * config.reach // config.num_displacements


@njit
def _place(walls, row, key, displacement):
    """Draw nodes and turns of the displacement until both ends are inside; returns the number of the next draw."""
    side, counter = (walls.size + 1) // 2, 0
    while True:
        node = integer(key, counter, side**2)
        dy, dx = _turned(displacement, integer(key, counter + 1, _NUM_TURNS))
        counter += 2
        if 0 <= node // side + dy < side and 0 <= node % side + dx < side:
            row[0], row[1] = node_cell(walls, node), node_cell(walls, node + side * dy + dx)
            return counter


@njit
def _turned(displacement, turn):
    """(dy, dx) of a displacement after one of the eight turns and mirror images of a square."""
    a, b = displacement
    dy, dx = (a, b) if turn & 1 else (b, a)
    return dy if turn & 2 else -dy, dx if turn & 4 else -dx


@njit
def transition(config, row, action, draws, components):
    """The agent moves; the goal pays 1 and ends the episode."""
    row[0] = move(config.walls, row, row[0], action)
    if row[0] == row[1]:
        components[0] = 1.0
        return 0, True
    return -1, False


@njit
def observe(config, row, planes, vector):
    """Agent, goal and inner walls in their planes."""
    draw_cell(planes, 0, row[0])
    draw_cell(planes, 1, row[1])
    draw_walls(config.walls, row, planes)


breakpoints, context = no_chance, no_context


@njit
def possible(config, row, first, ended):
    """The level's goal and maze, and at the goal the episode ends."""
    return unchanged(row, first, 1, row.size) and is_free(config.walls, row, row[0]) and (row[0] == row[1]) == ended


def world(config: DecorrelatedMazeConfig) -> World:
    """The world with the given options."""
    walls, reach = walls_behind(_NUM_ENTRIES, size=config.size), 6 if config.size >= 11 else 4
    numbers = Numbers(walls, reach, 0, float(config.dose))
    num_displacements = next(i for i in itertools.count() if _displacement(numbers, i) == (0, 0))
    return World(
        name="DecorrelatedMaze",
        module=__name__,
        config=config,
        kernel_config=numbers._replace(num_displacements=num_displacements),
        row_size=row_size(walls),
        num_levels=config.num_levels,
        plane_names=("agent", "goal", "wall"),
        component_names=("goal",),
        event_names=("goal",),
        action_names=ACTION_NAMES,
        reward_weights=np.ones(1),
        performance_weights=np.ones(1),
        discount=config.discount,
        time_limit=config.time_limit,
        background=room_background(config.size, num_planes=3),
        glyphs={("goal",): "g"},
    )


FAMILY = Family(
    DecorrelatedMazeConfig,
    world,
    {
        "9x9": {"size": 7},
        "17x17": {"size": 15},
        "13x13-Dose0": {"dose": 0.0},
        "13x13-Dose50": {"dose": 0.5},
    },
    dose=("dose",),
)
