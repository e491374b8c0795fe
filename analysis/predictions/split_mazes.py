"""The test mazes of T4: DishMaze with the dish away from the cheese, every state of them, and where a policy ends.

Shapes: M mazes, F cells of the room, S = 2 M F states, A actions, E = 2 objects. The state (maze, exchange, rank of the
agent's cell) has the number (2 maze + exchange) F + rank; exchange 1 is the same maze with its objects exchanged.

A walk ends where the agent first stands beside an object: one step on V1 would see whether it pays, and V had no say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from analysis.predictions.parts import Floats, Ints
from envs.rows import World
from envs.states import Rows
from envs.worlds.cells import ROW_STRIDE

CHEESE, DISH = 0, 1
MIN_APART = 4
_OBJECTS = slice(1, 3)


@dataclass(frozen=True, eq=False)
class SplitMazes:
    """Mazes with two objects, each of them also with the objects exchanged.

    Attributes:
        rows: int16[S, row], the agent on every cell.
        following: int64[S, A], the state after each action.
        distances: int64[S, E], steps to cheese and dish.
        starts: int64[M, 2 exchanges, 2], two cells, each at equal distance from both objects.
        discount: γ.
        time_limit: Steps of a walk.
    """

    rows: Rows
    following: Ints
    distances: Ints
    starts: Ints
    discount: float
    time_limit: int

    @property
    def exchanged(self) -> Ints:
        """0 or 1 for each state, int64[S]."""
        return np.arange(len(self.rows)) // (len(self.rows) // (2 * len(self.starts))) % 2


def split_mazes(world: World, *, num_mazes: int) -> SplitMazes:
    """Test levels with objects at least four steps apart, and two cells so that are equally far from both objects.

    Of all such cells of a maze the two farthest from each other are its starts, so that their ways share little. No
    shortest way to one object passes beside the other.

    Args:
        world: DishMaze of layout "apart" without inner walls.
        num_mazes: M, at most: of the first 10 M levels those that have such cells.
    """
    rank = np.arange(world.config.size**2)
    cells = np.asarray((rank // world.config.size + 1) * ROW_STRIDE + rank % world.config.size + 1, np.int64)
    levels = world.levels("test").first + np.arange(min(10 * num_mazes, world.num_levels))
    first = world.begin(levels, 0)
    starts = np.array([_farthest(cells, pair) for pair in first[:, _OBJECTS].astype(np.int64)])
    chosen = np.flatnonzero(starts[:, 0] >= 0)[:num_mazes]
    rows = np.tile(first[chosen][:, None, None], (1, 2, len(cells), 1))
    rows[..., 0] = cells
    rows[:, 1, :, _OBJECTS] = rows[:, 0, :, _OBJECTS][..., ::-1]
    offset = np.arange(2 * len(chosen)).reshape(-1, 2, 1) * len(cells)
    return _with_moves(world, rows.reshape(-1, world.row_size), offset + starts[chosen][:, None])


def _farthest(cells: Ints, objects: Ints) -> tuple[int, int]:
    """Ranks of the two cells farthest from each other among those equally far from both objects; (-1, -1) if near."""
    if _distance(objects[0], objects[1]) < MIN_APART:
        return -1, -1
    first, second = (_distance(cells, cell) for cell in objects)
    equal = np.flatnonzero(first == second)
    apart = _distance(cells[equal][:, None], cells[equal])
    if apart.max(initial=0) < MIN_APART:
        return -1, -1
    one, other = np.unravel_index(apart.argmax(), apart.shape)
    return int(equal[one]), int(equal[other])


def _with_moves(world: World, rows: Rows, starts: Ints) -> SplitMazes:
    size = world.config.size
    agent = world.expand(rows).next_rows[:, :, 0, 0].astype(np.int64)
    return SplitMazes(
        rows=rows,
        following=np.arange(len(rows))[:, None] // size**2 * size**2 + (agent // ROW_STRIDE - 1) * size
        + agent % ROW_STRIDE - 1,
        distances=object_distances(rows),
        starts=starts,
        discount=world.discount,
        time_limit=world.time_limit,
    )  # fmt: skip


def object_distances(rows: Rows) -> Ints:
    """Steps from the agent to cheese and dish in a room without inner walls, int64[N, E]."""
    return _distance(rows[:, :1].astype(np.int64), rows[:, _OBJECTS].astype(np.int64))


def _distance(first: Ints, second: Ints) -> Ints:
    rows, columns = (first // ROW_STRIDE - second // ROW_STRIDE, first % ROW_STRIDE - second % ROW_STRIDE)
    return np.asarray(np.abs(rows) + np.abs(columns), np.int64)


def greedy(mazes: SplitMazes, values: Floats) -> Floats:
    """V1 where nothing pays at the next step: the action to the state of highest V, the first among equals."""
    return np.asarray(np.eye(mazes.following.shape[1])[values[mazes.following].argmax(axis=1)])


def soft(mazes: SplitMazes, values: Floats, temperature: float) -> Floats:
    """The policy softmax(V(s')/temperature), float[S, A]."""
    scores = values[mazes.following]
    odds = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Ends:
    """Where a policy ends from every start, exactly.

    Attributes:
        probability: float64[M, 2 exchanges, 2 starts, E], of coming beside each object within the time limit.
        efficiency: float64[M, 2, 2], mean of discount^(steps - fewest), 0 where none is met: 1 for shortest ways.
    """

    probability: Floats
    efficiency: Floats


def ends_of(mazes: SplitMazes, policy: Floats) -> Ends:
    """Follow a policy, float[S, A], backwards from the time limit."""
    beside = (mazes.distances == 1).astype(np.float64)
    onwards = np.where(beside.any(axis=1, keepdims=True), 0.0, policy)
    first = np.arange(0, policy.size + 1, policy.shape[1])
    step = csr_array((onwards.ravel(), mazes.following.ravel(), first), shape=(len(policy), len(policy)))
    probability, worth = beside, beside.sum(axis=1)
    for _ in range(mazes.time_limit):
        probability = beside + step @ probability
        worth = beside.sum(axis=1) + mazes.discount * (step @ worth)
    shortest = mazes.discount ** (mazes.distances[mazes.starts, 0] - 1.0)
    return Ends(probability[mazes.starts], worth[mazes.starts] / shortest)


def sampled(ends: Ends, *, rng: np.random.Generator) -> Ends:
    """One walk from each start: the object that it meets has probability 1."""
    draw = rng.random(ends.probability.shape[:-1])[..., None]
    upper = ends.probability.cumsum(axis=-1)
    met = (draw < upper) & (draw >= upper - ends.probability)
    return Ends(met.astype(np.float64), ends.efficiency)
