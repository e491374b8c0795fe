"""A row of the village: how an episode begins, what is seen of it, which rows can be.

Row of one half: [agent, library, source_A, source_B, source_E, open, coin, clock, last action, then for each person
cell, θ, θ_0, locked]. Cells as in `envs.worlds.cells`; coin is one of four places, -1 without coins; the last action
is -1 unless it is shown.

Planes: agent, the three sources, the library open and closed, the coin where there are coins, then for each person
three that mark its cell by θ and three that do so by θ_0; walls. Vector: for each person θ and θ_0 one-hot and whether
it is locked; then t / T, the last action one-hot and θ^nat one-hot, where they are shown.

Shape key: P persons.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, type-var, operator"
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.noise import integer, level_key
from envs.states import Rows
from envs.worlds.cells import cell_of_rank, draw_cell, free_cell, is_interior, unchanged

WAIT, HELP, PERSUADE, GUARD, DOOR = 4, 5, 8, 9, 10
ACTIONS = ("up", "right", "down", "left", "wait", "help_A", "help_B", "help_E", "persuade", "guard", "door")
EVENTS = ("help_A", "help_B", "help_E", "make_A", "make_B", "make_E", "coin")
MAKE_EVENT, COIN_EVENT = 3, 6
A, B, E = 0, 1, 2
LIBRARY, SOURCES, OPEN, COIN, CLOCK, LAST_ACTION, PEOPLE = 1, 2, 5, 6, 7, 8, 9
CELL, THETA, THETA_0, LOCKED, STRIDE = 0, 1, 2, 3, 4
RT, IR, WELFARE, KEPT, CHANGED, PAY = 0, 1, 2, 3, 4, 5
NUM_COIN_PLACES = 4


class Numbers(NamedTuple):
    """What the numba functions read; `thetas` is every person's first taste, packed as in `context`, -1 for any."""

    size: int
    num_persons: int
    random_layout: bool
    thetas: int
    o: float
    h: float
    e: float
    harmful: int
    drift: bool
    study_start: int
    study_period: int
    door: bool
    kappa_p: float
    kappa_g: float
    reach: int
    speed: int
    persons_per_action: int
    horizon: int
    coins: bool
    show_last_action: bool
    show_natural: bool


def thetas_of(rows: Rows, num_persons: int) -> NDArray[np.int64]:
    """What everybody wants, int64[..., P], in rows int16[..., R] of one half, or that begin with one."""
    found: NDArray[np.int64] = rows[..., PEOPLE + THETA : PEOPLE + STRIDE * num_persons : STRIDE].astype(np.int64)
    return found


def first_thetas_of(rows: Rows, num_persons: int) -> NDArray[np.int64]:
    """What everybody wanted first, int64[..., P], as `thetas_of`."""
    found: NDArray[np.int64] = rows[..., PEOPLE + THETA_0 : PEOPLE + STRIDE * num_persons : STRIDE].astype(np.int64)
    return found


@njit
def begin(config, row, level, start):
    """Places from the layout or the level, tastes from the config or the start."""
    size, last, middle = config.size, config.size - 1, config.size // 2
    row[0] = cell_of_rank(middle * size + middle, size)
    if config.random_layout:
        _scatter(config, row, level_key(level))
    else:
        row[LIBRARY] = cell_of_rank(last * size, size)
        row[SOURCES + A] = cell_of_rank(0, size)
        row[SOURCES + B] = cell_of_rank(last, size)
        row[SOURCES + E] = cell_of_rank(middle * size + middle - 1, size)
    row[OPEN], row[CLOCK], row[LAST_ACTION] = 1, 0, -1
    row[COIN] = 0 if config.coins else -1
    thetas = start if config.thetas < 0 else config.thetas
    for i in range(config.num_persons):
        person = PEOPLE + STRIDE * i
        if not config.random_layout:
            # The corners at A, opposite of it, and at B.
            rank = last * size + last if i == 1 else last * (i // 2)
            row[person + CELL] = cell_of_rank(rank, size)
        row[person + THETA] = row[person + THETA_0] = thetas % 3
        row[person + LOCKED] = 0
        thetas //= 3


@njit
def _scatter(config, row, key):
    """The library in a corner, sources in other cells, all apart and apart from the agent; people anywhere else."""
    size = config.size
    corner = integer(key, 0, 4)
    row[LIBRARY] = cell_of_rank((size - 1) * (size * (corner // 2) + corner % 2), size)
    for k in range(SOURCES, SOURCES + 3):
        row[k] = free_cell(row[:k], integer(key, k, size * size - k), size)
    for i in range(config.num_persons):
        place = integer(key, SOURCES + 3 + i, size * size - 1)
        row[PEOPLE + STRIDE * i + CELL] = free_cell(row[LIBRARY : LIBRARY + 1], place, size)


@njit
def coin_cell(place, size):
    """Cell of a place for coins: the middles of the upper, lower and right edge, and the lower right corner."""
    last, middle = size - 1, size // 2
    y = (0, last, middle, last)[place]
    x = (middle, middle, last, last)[place]
    return cell_of_rank(y * size + x, size)


@njit
def context(config, row):
    """What the people want: Σ_i θ_i 3^i."""
    packed = 0
    for i in range(config.num_persons - 1, -1, -1):
        packed = 3 * packed + row[PEOPLE + STRIDE * i + THETA]
    return packed


@njit
def observe(config, row, planes, vector):
    """What everybody sees, whatever the objective."""
    draw_cell(planes, 0, row[0])
    for k in range(3):
        draw_cell(planes, 1 + k, row[SOURCES + k])
    draw_cell(planes, 5 - row[OPEN], row[LIBRARY])
    if config.coins:
        draw_cell(planes, 6, coin_cell(row[COIN], config.size))
    first = 6 + int(config.coins)
    for i in range(config.num_persons):
        person, plane, place = PEOPLE + STRIDE * i, first + 6 * i, 7 * i
        draw_cell(planes, plane + row[person + THETA], row[person + CELL])
        draw_cell(planes, plane + 3 + row[person + THETA_0], row[person + CELL])
        vector[place + row[person + THETA]] = 1.0
        vector[place + 3 + row[person + THETA_0]] = 1.0
        vector[place + 6] = row[person + LOCKED]
    last = 7 * config.num_persons
    vector[last] = row[CLOCK] / config.horizon
    if row[LAST_ACTION] >= 0:
        vector[last + 1 + row[LAST_ACTION]] = 1.0


@njit
def possible(config, row, first, ended):
    """The level's places, a clock that has run out where the episode has ended, and people who can be as they are."""
    clock, last, inside = row[CLOCK], row[LAST_ACTION], is_interior(row[0], config.size)
    if not unchanged(row, first, LIBRARY, SOURCES + 3) or not inside or not 0 <= row[OPEN] <= 1:
        return False
    if not 0 <= clock <= config.horizon or (clock == config.horizon) != ended or (row[OPEN] == 0 and not config.door):
        return False
    if config.coins != (row[COIN] >= 0) or row[COIN] >= NUM_COIN_PLACES or row[COIN] < -1:
        return False
    if not -1 <= last < len(ACTIONS) or (config.show_last_action and clock > 0) != (last >= 0):
        return False
    for i in range(config.num_persons):
        person = PEOPLE + STRIDE * i
        cell, theta, theta_0, locked = row[person], row[person + THETA], row[person + THETA_0], row[person + LOCKED]
        known = 0 <= theta < 3 and 0 <= theta_0 < 3 and 0 <= locked <= 1 and is_interior(cell, config.size)
        if not known or (config.thetas >= 0 and theta_0 != first[person + THETA_0]):
            return False
    return True
