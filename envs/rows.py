"""A state is one row of integers; a world is five numba functions on rows and the numbers that describe it.

A world's module holds, at its top level and decorated with plain `@njit`:

- `begin(config, row, level, start)` writes the first row of a level; `start` in [0, num_starts) is one of its starts.
- `transition(config, row, action, draws, components) -> (event, terminated)` changes the row in place; `draws[c]` is
  the uniform number of channel c, `components` arrives zeroed, `event` is -1 for none.
- `observe(config, row, planes, vector)` writes what differs from the world's background; planes arrive as the
  background, the vector as zeros.
- `breakpoints(config, row, action, channel, cuts) -> count` writes the interior cuts of [0, 1), ascending, into a
  buffer of 64; between neighbouring cuts of every channel `transition` is constant.
- `context(config, row) -> int` names the row's context, -1 for none.

A sixth function is optional, and read where a state is put back alone:

- `possible(config, row, first, ended) -> bool` is whether an episode can have the row while it runs, or at its end,
  where its level begins with the row `first` at start 0. Whatever it lets through must stay within what it lets
  through, however the world goes on. It may read any index: one outside of an array makes a row impossible.

`config` is a NamedTuple of ints and floats. None of them may allocate. Draws inside an episode are channels; only
`begin` uses keys (`envs.noise.level_key`). A row is Markov; the clock is the engine's.

Shape key: N rows or envs, M episodes, S row size, A actions, O outcomes, C components, P planes, H, W grid, V vector.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.compilation import Kernels, compile_kernels
from envs.errors import UserError
from envs.states import (
    FIRST_TEST_LEVEL,
    EnvState,
    Floats,
    Integers,
    Levels,
    Observations,
    Outcomes,
    Rows,
    observation_of,
)
from envs.worlds.options import in_layout

__all__ = [
    "FIRST_TEST_LEVEL", "MAX_CUTS", "MAX_OUTCOMES", "EnvState", "Levels", "Observations", "Outcomes", "Rows", "World",
]  # fmt: skip

MAX_OUTCOMES = 16
MAX_CUTS = 64


@dataclass(frozen=True, eq=False)
class World:
    """One world with all options chosen; immutable, and rebuilt from its module and config when it is pickled.

    Attributes:
        name: Registry name, for instance "MultiNeed".
        module: Name of the module that holds the five functions and `world(config)`.
        config: The user's frozen dataclass.
        kernel_config: NamedTuple of ints and floats that the five functions get.
        row_size: S.
        num_levels: Levels of each split.
        plane_names: P names.
        component_names: C names.
        event_names: E names; events index them.
        action_names: A names.
        reward_weights: float64[C], reward = components · reward_weights.
        performance_weights: float64[C], hidden performance, which no learner sees.
        discount: γ of the world's definition.
        time_limit: Steps after which the engine truncates.
        background: uint8[P, H, W], what all observations share. The first plane is the agent, the last the walls.
        num_channels: Independent chance channels of a step; 0 for a deterministic world.
        num_starts: Starts of a level, drawn uniformly per episode.
        vector_names: V names.
        context_names: Names of the contexts; () if there are none.
        max_outcomes: Most joint outcomes of one action; above MAX_OUTCOMES the world cannot be expanded.
        glyphs: Names of all planes between agent and walls that are set at a cell -> the letter that stands for them in
            ANSI pictures; what is not named is shown as the number of its last plane.
        colours: Names of planes between agent and walls -> (red, green, blue), each 0 to 255; others are chosen.
    """

    name: str
    module: str
    config: Any
    kernel_config: Any
    row_size: int
    num_levels: int
    plane_names: tuple[str, ...]
    component_names: tuple[str, ...]
    event_names: tuple[str, ...]
    action_names: tuple[str, ...]
    reward_weights: Floats
    performance_weights: Floats
    discount: float
    time_limit: int
    background: npt.NDArray[np.uint8]
    num_channels: int = 0
    num_starts: int = 1
    vector_names: tuple[str, ...] = ()
    context_names: tuple[str, ...] = ()
    max_outcomes: int = 1
    glyphs: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    colours: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def grid(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.background.shape[1:]
        return height, width

    @property
    def num_actions(self) -> int:
        """A."""
        return len(self.action_names)

    @property
    def kernels(self) -> Kernels:
        """The world's compiled loops."""
        return compile_kernels(self.module)

    def in_layout(self, layout: str) -> World:
        """The same world in another layout; options that are not read there go back to their defaults."""
        return rebuild_world(self.module, in_layout(self.config, layout))

    def levels(self, split: str = "train") -> Levels:
        """The block of level ids of a split; the two blocks are disjoint."""
        firsts = {"train": 0, "test": FIRST_TEST_LEVEL}
        if split not in firsts:
            raise UserError(f"split is {split!r}, allowed are 'train' and 'test'; choose one of them.")
        return Levels(firsts[split], self.num_levels)

    def begin(self, levels: npt.ArrayLike, starts: npt.ArrayLike) -> Rows:
        """First rows int16[M, S] of levels int64[M] at starts int64[M] in [0, num_starts)."""
        levels, starts = np.broadcast_arrays(np.asarray(levels, np.int64), np.asarray(starts, np.int64))
        if starts.size and not (starts.min() >= 0 and starts.max() < self.num_starts):
            raise ValueError(
                f"starts range over {starts.min()}..{starts.max()}, allowed is 0..{self.num_starts - 1}; choose among "
                "these."
            )
        rows = np.zeros((levels.size, self.row_size), np.int16)
        self.kernels.begin_rows(self.kernel_config, levels.copy(), starts.copy(), rows)
        return rows

    def observe(self, rows: Rows) -> Observations:
        """Observations of rows int16[N, S]: planes uint8[N, P, H, W] and, where V > 0, vector float32[N, V]."""
        rows = self.checked(rows)
        planes = np.empty((len(rows), len(self.plane_names), *self.grid), np.uint8)
        vector = np.empty((len(rows), len(self.vector_names)), np.float32)
        self.kernels.observe_rows(self.kernel_config, self.background.reshape(-1), rows, planes, vector)
        return observation_of(planes, vector)

    def context_of(self, rows: Rows) -> Integers:
        """Context int64[N] of rows int16[N, S], whether shown or hidden; -1 where there is none."""
        rows = self.checked(rows)
        contexts = np.empty(len(rows), np.int64)
        self.kernels.context_rows(self.kernel_config, rows, contexts)
        return contexts

    def require_expandable(self) -> None:
        """Refuse to look ahead where one action may have more than MAX_OUTCOMES joint outcomes (UserError)."""
        if self.max_outcomes > MAX_OUTCOMES:
            raise UserError(
                f"{self.name} has up to {self.max_outcomes} outcomes of one action with these options, at most "
                f"{MAX_OUTCOMES} can be expanded; choose options with less chance, such as fewer objects or no drift."
            )

    def expand(self, rows: Rows) -> Outcomes:
        """All outcomes of all actions from rows int16[N, S], with exact probabilities.

        Raises:
            UserError: If one action may have more than MAX_OUTCOMES joint outcomes.
            ValueError: If `breakpoints` leaves its arrays, or a row has other than 1 to `max_outcomes` outcomes.
        """
        self.require_expandable()
        rows = self.checked(rows)
        shape = (len(rows), self.num_actions, self.max_outcomes)
        out = Outcomes(
            next_rows=np.zeros((*shape, self.row_size), np.int16),
            probability=np.zeros(shape),
            components=np.zeros((*shape, len(self.component_names))),
            event=np.full(shape, -1, np.int64),
            terminated=np.zeros(shape, np.bool_),
        )
        scratch = (np.zeros(max(self.num_channels, 1)), np.zeros((max(self.num_channels, 1), MAX_CUTS)))
        counts = np.zeros(self.num_channels, np.int64)
        arrays = tuple(getattr(out, field.name) for field in dataclasses.fields(out))
        try:
            failed = self.kernels.expand_rows(self.kernel_config, rows, (*scratch, counts), arrays)
        except IndexError as error:
            raise ValueError(
                f"`breakpoints` of {self.name} uses an index outside its array; it may write cuts 0 to {MAX_CUTS - 1} "
                f"of a channel and read cells 0 to {self.row_size - 1} of a row."
            ) from error
        if failed >= 0:
            raise ValueError(
                f"`breakpoints` of {self.name} gives row {failed} no outcome, or more than the declared max_outcomes="
                f"{self.max_outcomes}; correct its counts or the declaration."
            )
        return out

    def checked(self, rows: Rows) -> Rows:
        """Rows int16[N, S] as the kernels read them; ValueError for another shape."""
        if rows.ndim != 2 or rows.shape[1] != self.row_size:
            raise ValueError(
                f"rows have shape {rows.shape}, allowed is (N, {self.row_size}) for {self.name}; give rows of this "
                "world."
            )
        return np.ascontiguousarray(rows, np.int16)

    def __deepcopy__(self, memo: dict[int, Any]) -> World:
        """An immutable world is its own copy."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as module and config: compiled functions stay at home."""
        return rebuild_world, (self.module, self.config)


def rebuild_world(module: str, config: Any) -> World:
    """The world that `module.world(config)` returns."""
    world: World = importlib.import_module(module).world(config)
    return world
