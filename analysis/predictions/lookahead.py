"""What V1 does with a value function, whoever it is: a predictor, a fitted V or a planted agent.

A value function maps rows int16[N, S] of a world to float[N]. Shapes: N rows, A actions, S row size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.predictions.crossed_states import Rows
from analysis.predictions.parts import Floats, Ints
from envs.rows import World
from envs.worlds.cells import ROW_STRIDE

ValueFunction = Callable[[Rows], Floats]


def action_values(world: World, rows: Rows, value: ValueFunction) -> Floats:
    """E[R + discount * V(s')] per action, V = 0 after the end: float[N, A]."""
    outcome = world.expand(rows)
    values, possible = np.zeros(outcome.probability.shape), outcome.probability > 0
    values[possible] = value(outcome.next_rows[possible])
    paid = outcome.components @ world.reward_weights
    ahead = paid + world.discount * np.where(outcome.terminated, 0.0, values)
    return np.asarray((outcome.probability * ahead).sum(axis=2))


def preference(world: World, rows: Rows, value: ValueFunction) -> Floats:
    """V beside the present object of lower index minus V beside the other, float[N]: what each is worth once near."""
    present = np.sort(np.argsort(rows[:, 1:-1] < 0, axis=1, kind="stable")[:, :2], axis=1)
    first, second = (
        value(_beside(rows, present[:, which], other=present[:, 1 - which], size=world.config.size)) for which in (0, 1)
    )
    return np.asarray(first - second)


def _beside(rows: Rows, target: Ints, *, other: Ints, size: int) -> Rows:
    """The rows with the agent on the free cell beside the target that is nearest to where it stood."""
    index = np.arange(len(rows))
    agent, goal, taken = rows[:, 0], rows[index, 1 + target], rows[index, 1 + other]
    y, x = (goal // ROW_STRIDE)[:, None] + [-1, 0, 0, 1], (goal % ROW_STRIDE)[:, None] + [0, -1, 1, 0]
    length = np.abs(y - (agent // ROW_STRIDE)[:, None]) + np.abs(x - (agent % ROW_STRIDE)[:, None])
    blocked = (y < 1) | (y > size) | (x < 1) | (x > size) | (y * ROW_STRIDE + x == taken[:, None])
    nearest = np.where(blocked, np.iinfo(np.int64).max, length).argmin(axis=1)
    moved = rows.copy()
    moved[:, 0] = y[index, nearest] * ROW_STRIDE + x[index, nearest]
    return moved


def first_reached(world: World, rows: Rows, value: ValueFunction) -> Ints:
    """The object that V1 reaches first from each row, -1 if none within the time limit: int64[N]."""
    reached = np.full(len(rows), -1, dtype=np.int64)
    alive, rows = np.arange(len(rows)), rows.copy()
    for _ in range(world.time_limit):
        if not len(alive):
            break
        action = action_values(world, rows[alive], value).argmax(axis=1)
        outcome = world.expand(rows[alive])
        index = np.arange(len(alive))
        rows[alive] = outcome.next_rows[index, action, 0]
        reached[alive] = outcome.event[index, action, 0]
        alive = alive[~outcome.terminated[index, action, 0]]
    return reached
