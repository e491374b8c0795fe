"""How far the goal is as the crow flies and on foot, at start states and along optimal trajectories.

For the maze worlds, whose rows begin with the agent's cell and the goal's (the cheese's) and keep their walls as
`envs.worlds.walls` does.

Shapes: N rows, S row size.
"""

# mypy: disable-error-code="call-arg, call-overload"
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import stats

from envs.enumeration import LevelIds, level_numbers
from envs.errors import UserError
from envs.rows import World
from envs.states import Integers, Rows
from envs.worlds.cells import MAX_SIZE, ROW_STRIDE
from envs.worlds.walls import path_distance


@dataclass(frozen=True)
class GoalDistances:
    """Distances from the agent to the goal.

    Attributes:
        euclidean: float64[N], in cells.
        path: int64[N], steps of a shortest path; -1 where there is none.
    """

    euclidean: NDArray[np.float64]
    path: Integers

    def rank_correlation(self) -> float:
        """Spearman's ρ of the two, ties at their mean rank; NaN where one of them is constant."""
        return float(stats.spearmanr(self.euclidean, self.path).statistic)


def goal_distances(world: World, rows: Rows) -> GoalDistances:
    """Both distances at rows int16[N, S].

    Raises:
        UserError: If the world is no maze.
    """
    walls = getattr(world.kernel_config, "walls", None)
    if walls is None:
        raise UserError(f"{world.name} keeps no walls in its rows; choose CornerMaze, DishMaze or DecorrelatedMaze.")
    agent, goal = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
    euclidean = np.hypot(agent // ROW_STRIDE - goal // ROW_STRIDE, agent % ROW_STRIDE - goal % ROW_STRIDE)
    return GoalDistances(euclidean, _path_distances(walls, rows.copy()))


def optimal_trajectories(world: World, levels: LevelIds) -> Rows:
    """Rows int16[N, S] that a shortest way to the goal visits in the given levels, starts included and goals not.

    Of several shortest ways the one is taken whose first step has the lowest action, and so on at each step. Needs no
    solution of the world: where only the goal pays, a shortest way is optimal.

    Raises:
        UserError: If the world is no maze, or there is no level.
    """
    rows = world.begin(level_numbers(levels), 0)
    visited = [rows]
    while len(rows):
        outcomes = world.expand(rows)
        following = outcomes.next_rows[:, :, 0]
        path = goal_distances(world, following.reshape(-1, world.row_size)).path.reshape(len(rows), -1)
        chosen = np.arange(len(rows)), path.argmin(axis=1)
        rows = following[chosen][~outcomes.terminated[:, :, 0][chosen]]
        visited.append(rows)
    return np.concatenate(visited)


@njit
def _path_distances(walls: Any, rows: Rows) -> Integers:
    lengths = np.empty(rows.shape[0], np.int64)
    for n in range(rows.shape[0]):
        lengths[n] = path_distance(walls, rows[n], rows[n, 0], rows[n, 1], MAX_SIZE**2)
    return lengths
