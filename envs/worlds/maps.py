"""Worlds from ASCII maps: an author draws the levels and writes the transition rule; the rest is made here.

Level i of a split shows map i modulo the number of maps of that split, so a level never changes with the seed.

Row: [agent, map, then an entry for each object]. Cells are packed as in `envs.worlds.cells`; an object that a map
lacks, or that a transition has taken away, is at -1. An author may keep entries of the world's own behind these.

Maps are constants: they are frozen into the compiled kernels, whose names carry a hash of them.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, type-var, operator"
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from envs.rows import World
from envs.states import first_of_split
from envs.worlds.ascii_maps import FIRST_OBJECT, Maps, read_maps
from envs.worlds.cells import ACTION_NAMES, ROW_STRIDE, draw_cell
from envs.worlds.options import WorldConfig

__all__ = ["Maps", "NoNumbers", "map_functions", "map_world", "read_maps"]


def map_functions(maps: Maps) -> tuple[Any, Any, Any, Any]:
    """The numba functions `begin`, `observe` and `possible` of a world from maps, and `move` for its transition.

    `move(row, action)` gives the cell that the agent would come to (0 up, 1 right, 2 down, 3 left); before a wall it
    is the agent's own. Objects are drawn while their entry is a cell, walls as the row's map has them. `possible` asks
    for the level's map and an agent in a free cell of it; what else a row may hold is up to the transition.
    """
    rows, walls, num_train = maps.rows, maps.walls, maps.num_train
    num_test, num_entries = len(rows) - num_train, rows.shape[1]
    plane_of = np.zeros(num_entries, np.int64)
    for index, entries in enumerate(maps.entries.values()):
        plane_of[list(entries)] = 1 + index
    # Indexed by the number of a cell, so that a move needs no division.
    padding = ((0, 0), (0, 0), (0, ROW_STRIDE - walls.shape[2]))
    is_wall = np.pad(walls, padding, constant_values=1).reshape(len(rows), -1)

    @njit
    def begin(config, row, level, start):
        first = first_of_split(level)
        index = level - first
        shown = num_train + index % num_test if first else index % num_train
        for entry in range(num_entries):
            row[entry] = rows[shown, entry]

    @njit
    def observe(config, row, planes, vector):
        draw_cell(planes, 0, row[0])
        for entry in range(FIRST_OBJECT, num_entries):
            if row[entry] >= 0:
                draw_cell(planes, plane_of[entry], row[entry])
        last = planes.shape[0] - 1
        for y in range(planes.shape[1]):
            for x in range(planes.shape[2]):
                planes[last, y, x] = walls[row[1], y, x]

    @njit
    def move(row, action):
        down, right = int(action == 2) - int(action == 0), int(action == 1) - int(action == 3)
        cell = row[0] + ROW_STRIDE * down + right
        return row[0] if is_wall[row[1], cell] else cell

    @njit
    def possible(config, row, first, ended):
        return row[1] == first[1] and 0 <= row[0] < is_wall.shape[1] and not is_wall[row[1], row[0]]

    return begin, observe, possible, move


class NoNumbers(NamedTuple):
    """What the numba functions read of a config without options of its own."""


def map_world(maps: Maps, config: WorldConfig, *, name: str, module: str, rewards: Mapping[str, float]) -> World:
    """A world from maps: four moves, one start, no chance, no context, no vector.

    Args:
        maps: What `begin` and `observe` of the module were made from.
        config: Options. Those of a subclass reach the numba functions by `replace(world, kernel_config=...)` of
            `dataclasses`, which changes any other field of the world as well.
        name: Registry name.
        module: `__name__` of the module.
        rewards: Name of each reward component and event -> its weight in the reward and in the hidden performance.
    """
    names, weights = tuple(rewards), np.array(list(rewards.values()), np.float64)
    planes = ("agent", *maps.objects.values(), "wall")
    return World(
        name=name,
        module=module,
        config=config,
        kernel_config=NoNumbers(),
        row_size=maps.rows.shape[1],
        num_levels=config.num_levels,
        plane_names=planes,
        component_names=names,
        event_names=names,
        action_names=ACTION_NAMES,
        reward_weights=weights,
        performance_weights=weights.copy(),
        discount=config.discount,
        time_limit=config.time_limit,
        background=np.zeros((len(planes), *maps.walls.shape[1:]), np.uint8),
        glyphs={(name,): letter for letter, name in maps.objects.items()},
    )
