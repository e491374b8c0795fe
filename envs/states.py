"""What states, levels and outcomes are made of.

Shape key: N rows or envs, S row size, A actions, O outcomes, C components.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from envs.errors import UserError

FIRST_TEST_LEVEL = 2**32

Rows = npt.NDArray[np.int16]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Observations = dict[str, npt.NDArray[Any]]


def observation_of(planes: npt.NDArray[np.uint8], vector: npt.NDArray[np.float32]) -> Observations:
    """What an observation consists of: planes [..., P, H, W], and vector [..., V] where the world has one (V > 0)."""
    return {"planes": planes, "vector": vector} if vector.shape[-1] else {"planes": planes}


@njit
def first_of_split(level: int) -> int:
    """The first id of the split that a level belongs to; behind it the levels of a split count from 0."""
    return FIRST_TEST_LEVEL if level >= FIRST_TEST_LEVEL else 0


@dataclass(frozen=True)
class Levels:
    """A block of level ids; the level of an episode is first + floor(count · u), u from the episode's key.

    Attributes:
        first: First id, in [0, 2^62).
        count: Number of ids, in [1, 2^53).
    """

    first: int
    count: int

    def __post_init__(self) -> None:
        """Refuse an empty or unrepresentable block."""
        if not 0 <= self.first < 2**62:
            raise UserError(f"Levels.first is {self.first}, allowed is 0 to 2^62 - 1; give the first id of the block.")
        if not 1 <= self.count < 2**53:
            raise UserError(f"Levels.count is {self.count}, allowed is 1 to 2^53 - 1; give at least one level.")

    def ids(self) -> Integers:
        """All ids of the block, int64[count], ascending."""
        return np.arange(self.first, self.first + self.count, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class EnvState:
    """All that an engine of N envs needs to go on exactly as before; search and enumeration see `rows` alone.

    Attributes:
        rows: int16[N, S], the Markov state.
        seed: int64[N], seed of the env's stream, in [0, 2^63).
        env: int64[N], index that separates the streams of envs under one seed.
        episode: int64[N], number of the episode.
        level: int64[N], level of the episode.
        clock: int32[N], steps taken in the episode.
        pending: bool[N], the episode has ended and the env waits for its reset.
    """

    rows: Rows
    seed: Integers
    env: Integers
    episode: Integers
    level: Integers
    clock: npt.NDArray[np.int32]
    pending: npt.NDArray[np.bool_]

    def copy(self) -> EnvState:
        """A state that shares no memory with this one."""
        return EnvState(*(getattr(self, field.name).copy() for field in dataclasses.fields(self)))

    @classmethod
    def empty(cls, num_envs: int, row_size: int) -> EnvState:
        """Zeros for `num_envs` envs with rows of `row_size`."""
        counts = {name: np.zeros(num_envs, np.int64) for name in ("seed", "env", "episode", "level")}
        rows = np.zeros((num_envs, row_size), np.int16)
        return cls(rows, **counts, clock=np.zeros(num_envs, np.int32), pending=np.zeros(num_envs, np.bool_))


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Every outcome of every action; the last outcomes of an action are padding with probability 0.

    Attributes:
        next_rows: int16[N, A, O, S].
        probability: float64[N, A, O], sums to 1 over O.
        components: float64[N, A, O, C], reward = components · reward_weights.
        event: int64[N, A, O], -1 where there is none.
        terminated: bool[N, A, O].
    """

    next_rows: npt.NDArray[np.int16]
    probability: Floats
    components: Floats
    event: Integers
    terminated: npt.NDArray[np.bool_]
