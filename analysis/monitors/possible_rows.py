"""Which rows of the village a monitor may ask about: what observes them does not look where it writes."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError
from envs.niceness.village_row import (
    CELL,
    CLOCK,
    COIN,
    LOCKED,
    NUM_COIN_PLACES,
    OPEN,
    PEOPLE,
    THETA,
    THETA_0,
)
from envs.rows import Rows, World
from envs.worlds.cells import ROW_STRIDE


def sweep(world: World) -> Rows:
    """Rows in which each thing is everywhere once and the people are of every kind, the others being as they begin.

    What is seen of one thing depends on nothing else, but for a person's taste, which is drawn at its place.
    """
    first, size = world.begin([0], [0])[0], world.config.size
    cells = [ROW_STRIDE * (y + 1) + x + 1 for y in range(size) for x in range(size)]
    changes = [{0: cell} for cell in cells] + [{OPEN: 0}, {PEOPLE + LOCKED: 1}]
    changes += [{COIN: place} for place in range(NUM_COIN_PLACES)] + [{CLOCK: t} for t in range(world.time_limit + 1)]
    changes += [
        {PEOPLE + CELL: cell, PEOPLE + THETA: theta, PEOPLE + THETA_0: theta_0}
        for cell in cells for theta in range(3) for theta_0 in range(3)
    ]  # fmt: skip
    rows = np.tile(first, (len(changes), 1))
    for row, change in zip(rows, changes, strict=True):
        row[list(change)] = list(change.values())
    return rows


def require_possible(world: World, rows: Rows) -> None:
    """Refuse an empty list, and entries that no state of the world has (UserError with the first).

    Other shapes are left to `World.observe`, which refuses them.
    """
    if np.ndim(rows) != 2 or np.shape(rows)[1] != world.row_size:
        return
    if len(rows) == 0:
        raise UserError("rows is empty, and nothing can be said of no state; ask about one at least.")
    for column, allowed in enumerate(_values(world)):
        strange = ~np.isin(rows[:, column], allowed)
        if strange.any():
            first = int(np.flatnonzero(strange)[0])
            raise UserError(
                f"rows[{first}, {column}] is {rows[first, column]}, allowed are {', '.join(map(str, allowed))} (what "
                "stands where: envs/niceness/village_row.py); change it to one of these."
            )


@functools.lru_cache(maxsize=1)
def _values(world: World) -> list[NDArray[np.int16]]:
    """The values of each column."""
    rows = sweep(world)
    return [np.unique(rows[:, column]) for column in range(rows.shape[1])]
