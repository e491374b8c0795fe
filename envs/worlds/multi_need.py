"""MultiNeed: one of K needs is current, and only the object of the current need pays.

A level draws the agent's start and the cells of K objects, all distinct, in an open room. An episode draws the current
need, which is its context. Reaching the needed object gives component need_k = 1, event k, and ends the episode. Other
objects do nothing, or cost `wrong_cost` for each step that ends on one of them. With `drift` > 0 each object moves one
cell to the right with that probability at every step, on a channel of its own, and comes back in at the left wall;
objects may then share a cell.

Without drift and with free wrong objects V* = γ^(distance − 1), and a level has size² · K states (while the need stays
shown or hidden). Hidden performance equals reward.

Row: [agent, object_0 .. object_{K-1}, need, fresh]; fresh is 1 until the first transition where the need is shown only
first, else 0.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, type-var, operator"
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from envs.errors import require_choice, require_integer, require_number
from envs.family import Family
from envs.noise import integer, level_key
from envs.rows import World
from envs.worlds.cells import ACTION_NAMES, MAX_SIZE, draw_cell, free_cell, move, room_background, shift_right

CONTEXTS = ("shown", "hidden", "first")
_SHOWN, _HIDDEN, _FIRST = 0, 1, 2


@dataclass(frozen=True)
class MultiNeedConfig:
    """Options of MultiNeed.

    Attributes:
        size: Interior cells per side, 2 to 62.
        num_objects: K, objects and needs, 1 to 8, fewer than the cells.
        context: Whether the need is "shown" at every step, "hidden", or shown only at the "first" observation.
        num_levels: Levels of each split, at least 1.
        wrong_cost: Cost of a step that ends on an object that is not needed; 0 logs neither component nor event for it.
        drift: Probability that an object moves at a step, 0 to 1.
        discount: γ, 0 to 1.
        time_limit: Steps until truncation, at least 1.
    """

    size: int = 7
    num_objects: int = 4
    context: str = "shown"
    num_levels: int = 1000
    wrong_cost: float = 0.0
    drift: float = 0.0
    discount: float = 0.95
    time_limit: int = 64

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_integer("size", self.size, low=2, high=MAX_SIZE)
        require_integer("num_objects", self.num_objects, low=1, high=min(8, self.size**2 - 1))
        require_choice("context", self.context, choices=CONTEXTS)
        require_integer("num_levels", self.num_levels, low=1, high=2**31)
        require_number("wrong_cost", self.wrong_cost, low=0.0, high=1e6)
        require_number("drift", self.drift, low=0.0, high=1.0)
        require_number("discount", self.discount, low=0.0, high=1.0)
        require_integer("time_limit", self.time_limit, low=1, high=2**31 - 1)


class Numbers(NamedTuple):
    """What the numba functions read."""

    size: int
    num_objects: int
    context: int
    costly: bool
    drift: float


@njit
def begin(config, row, level, start):
    """Draw distinct cells from the level; the start is the need."""
    key = level_key(level)
    count = config.num_objects + 1
    for i in range(count):
        row[i] = free_cell(row[:i], integer(key, i, config.size**2 - i), config.size)
    row[count] = start
    row[count + 1] = 1 if config.context == _FIRST else 0


@njit
def transition(config, row, action, draws, components):
    """Agent moves, objects drift, then the needed object pays and the others cost."""
    num_objects = config.num_objects
    row[0] = move(row[0], action, config.size)
    if config.drift > 0.0:
        for i in range(num_objects):
            if draws[i] < config.drift:
                row[1 + i] = shift_right(row[1 + i], config.size)
    need = row[num_objects + 1]
    row[num_objects + 2] = 0
    if row[1 + need] == row[0]:
        components[need] = 1.0
        return need, True
    event = -1
    if config.costly:
        for i in range(num_objects):
            if row[1 + i] == row[0]:
                components[num_objects] += 1.0
                event = num_objects
    return event, False


@njit
def observe(config, row, planes, vector):
    """Agent and objects in their planes, the need one-hot where it is shown."""
    for i in range(config.num_objects + 1):
        draw_cell(planes, i, row[i])
    if config.context == _SHOWN or row[config.num_objects + 2] == 1:
        vector[row[config.num_objects + 1]] = 1.0


@njit
def breakpoints(config, row, action, channel, cuts):
    """Each object moves below `drift` and stays above it."""
    if 0.0 < config.drift < 1.0:
        cuts[0] = config.drift
        return 1
    return 0


@njit
def context(config, row):
    """The current need."""
    return row[config.num_objects + 1]


def world(config: MultiNeedConfig) -> World:
    """The world with the given options; components and events are the needs, then "wrong" where it costs."""
    k, costly = config.num_objects, config.wrong_cost > 0
    needs = tuple(f"need_{i}" for i in range(k))
    outcomes = needs + (("wrong",) if costly else ())
    weights = np.array([1.0] * k + [-float(config.wrong_cost)] * costly)
    plane_names = ("agent", *(f"object_{i}" for i in range(k)), "wall")
    return World(
        name="MultiNeed",
        module=__name__,
        config=config,
        kernel_config=Numbers(config.size, k, CONTEXTS.index(config.context), costly, float(config.drift)),
        row_size=k + 3,
        num_channels=k if config.drift > 0 else 0,
        num_starts=k,
        num_levels=config.num_levels,
        plane_names=plane_names,
        grid=(config.size + 2, config.size + 2),
        vector_names=needs,
        component_names=outcomes,
        event_names=outcomes,
        action_names=ACTION_NAMES,
        context_names=needs,
        reward_weights=weights,
        performance_weights=weights.copy(),
        discount=config.discount,
        time_limit=config.time_limit,
        max_outcomes=2**k if 0 < config.drift < 1 else 1,
        background=room_background(config.size, num_planes=len(plane_names)),
    )


FAMILY = Family(
    MultiNeedConfig, world, {"5x5": {"size": 3}, "Hidden": {"context": "hidden"}, "First": {"context": "first"}}
)
