"""FruitTask: cells where fruit may lie, each a reward component of its own, and fruit in some of them.

A level draws `num_locations` cells. An episode draws `num_fruits` of them to hold fruit, and a cell for the agent,
who never starts on a location. Eating the fruit at location i gives component fruit_i = 1 and event i; the episode ends
when all are eaten. So V* = max over the orders of eating of Σ_k γ^(t_k - 1), where t_k is the length of the walk up to
the k-th fruit: a walk that meets a later fruit on its way makes another order, which is worth no less.

The dose is `num_fruits`, the components that an episode pays: with 1 one alone, with `num_locations` all.

Layouts:
- "random": the level draws the locations.
- "published": every level has the ten locations of the authors' code, in their order, in 10 × 10 cells. (Their DQN has
  γ = .85 and their HRA γ = .99; here γ is that of all our worlds.)

Starts: start = subset · (cells - locations) + place. `subset` numbers the sets of locations that hold fruit in the
combinatorial number system (Knuth (2011), TAOCP 4A, section 7.2.1.3, theorem L), `place` numbers the cells that are no
location, row by row. Both are bijections, so that the uniform start of an episode is a uniform pair.

Row: [agent, location_0 .. location_{n-1}, fruits]; bit i of `fruits` is set while location i holds fruit.

Source: van Seijen et al. (2017), arXiv 1706.04208, section 4.1: the fruit task of the Hybrid Reward Architecture.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, type-var, operator"
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from envs.errors import UserError, require_choice, require_integer
from envs.family import Family
from envs.noise import integer, level_key
from envs.rows import World
from envs.worlds.absent import no_chance, no_context
from envs.worlds.cells import (
    ACTION_NAMES,
    MAX_SIZE,
    ROW_STRIDE,
    draw_cell,
    free_cell,
    is_among,
    is_interior,
    move,
    room_background,
    unchanged,
)
from envs.worlds.options import WorldConfig

LAYOUTS = ("random", "published")
_PUBLISHED_SIZE = 10
_PUBLISHED_PLACES = ((0, 0), (0, 9), (1, 2), (3, 6), (4, 4), (5, 7), (6, 2), (7, 7), (8, 8), (9, 0))
_PUBLISHED_CELLS = tuple(ROW_STRIDE * (y + 1) + x + 1 for y, x in _PUBLISHED_PLACES)
_MAX_LOCATIONS = 12
_LETTERS = "abcdefghijkl"


@dataclass(frozen=True)
class FruitTaskConfig(WorldConfig):
    """Options of FruitTask.

    Attributes:
        size: Interior cells per side, 2 to 62.
        num_locations: Cells where fruit may lie, 1 to 12, fewer than the cells.
        num_fruits: Fruits of an episode, 1 to `num_locations`.
        layout: "random" or "published".
        num_levels: Levels of each split, at least 1; about 30 of the default size can be solved together.
    """

    size: int = 10
    num_locations: int = 10
    num_fruits: int = 5
    layout: str = "random"
    num_levels: int = 10
    time_limit: int = 300

    def __post_init__(self) -> None:
        """Refuse values out of range, and another room than the published one for its locations."""
        super().__post_init__()
        require_integer("size", self.size, low=2, high=MAX_SIZE)
        require_integer("num_locations", self.num_locations, low=1, high=min(_MAX_LOCATIONS, self.size**2 - 1))
        require_integer("num_fruits", self.num_fruits, low=1, high=self.num_locations)
        require_choice("layout", self.layout, choices=LAYOUTS)
        published = (_PUBLISHED_SIZE, len(_PUBLISHED_PLACES))
        if self.layout == "published" and (self.size, self.num_locations) != published:
            raise UserError(
                f"layout 'published' has size {published[0]} and num_locations {published[1]}, not {self.size} and "
                f"{self.num_locations}; leave both at these values, or choose layout 'random'."
            )


class Numbers(NamedTuple):
    """What the numba functions read."""

    size: int
    num_locations: int
    num_fruits: int
    published: bool


@njit
def begin(config, row, level, start):
    """The locations from the level; fruits and the agent's cell from the start."""
    key, count = level_key(level), config.num_locations
    num_cells = config.size**2
    for i in range(count):
        if config.published:
            row[1 + i] = _PUBLISHED_CELLS[i]
        else:
            row[1 + i] = free_cell(row[1 : 1 + i], integer(key, i, num_cells - i), config.size)
    num_places = num_cells - count
    row[0] = free_cell(row[1 : 1 + count], start % num_places, config.size)
    row[1 + count] = _subset_of_rank(start // num_places, count, config.num_fruits)


@njit
def _subset_of_rank(rank, size, count):
    """Bits of the rank-th set of `count` among `size` things.

    From the last thing down: the sets without it, binomial(i, count) many, come first.
    """
    bits = 0
    for i in range(size - 1, -1, -1):
        num_without = _binomial(i, count)
        if rank >= num_without:
            rank -= num_without
            count -= 1
            bits += 1 << i
    return bits


@njit
def _binomial(n, k):
    """Number of sets of k among n things; 0 where k > n."""
    result = 1
    for i in range(k):
        result = result * (n - i) // (i + 1)
    return result


@njit
def transition(config, row, action, draws, components):
    """The agent moves and eats the fruit that lies there; the last one ends the episode."""
    row[0] = move(row[0], action, config.size)
    last = 1 + config.num_locations
    for i in range(config.num_locations):
        if row[1 + i] == row[0] and row[last] >> i & 1:
            components[i] = 1.0
            row[last] -= 1 << i
            return i, row[last] == 0
    return -1, False


@njit
def observe(config, row, planes, vector):
    """The agent, and each fruit in the plane of its location."""
    draw_cell(planes, 0, row[0])
    fruits = row[1 + config.num_locations]
    for i in range(config.num_locations):
        if fruits >> i & 1:
            draw_cell(planes, 1 + i, row[1 + i])


breakpoints, context = no_chance, no_context


@njit
def possible(config, row, first, ended):
    """The level's locations, no more fruits than there were, none where the agent stands; the last ends the episode."""
    count = config.num_locations
    if not unchanged(row, first, 1, 1 + count) or not is_interior(row[0], config.size):
        return False
    fruits, num_left = row[1 + count], 0
    for i in range(count):
        left = fruits >> i & 1
        num_left += left
        if left and row[1 + i] == row[0]:
            return False
    if fruits >> count != 0 or num_left > config.num_fruits or (num_left == 0) != ended:
        return False
    return not ended or is_among(row[0], row[1 : 1 + count])


def world(config: FruitTaskConfig) -> World:
    """The world with the given options; components and events are the locations."""
    count = config.num_locations
    fruits = tuple(f"fruit_{i}" for i in range(count))
    return World(
        name="FruitTask",
        module=__name__,
        config=config,
        kernel_config=Numbers(config.size, count, config.num_fruits, config.layout == "published"),
        row_size=count + 2,
        num_starts=math.comb(count, config.num_fruits) * (config.size**2 - count),
        num_levels=config.num_levels,
        plane_names=("agent", *fruits, "wall"),
        component_names=fruits,
        event_names=fruits,
        action_names=ACTION_NAMES,
        reward_weights=np.ones(count),
        performance_weights=np.ones(count),
        discount=config.discount,
        time_limit=config.time_limit,
        background=room_background(config.size, num_planes=count + 2),
        glyphs={(name,): letter for name, letter in zip(fruits, _LETTERS, strict=False)},
    )


FAMILY = Family(
    FruitTaskConfig,
    world,
    {
        "7x7": {"size": 5, "num_locations": 4, "num_fruits": 2},
        "Published": {"layout": "published", "num_levels": 1},
        "Fruits1": {"num_fruits": 1},
        "Fruits10": {"num_fruits": 10},
    },
    dose=("num_fruits",),
)
