"""Every state that a world can reach from given levels, listed from the world's own kernel into dense tables.

States are numbered in breadth-first order from the starts. There is no second copy of a world's rules: rows come from
`World.begin`, everything else from `World.expand`.

Shapes: S states, A actions, O outcomes, C components, R entries of a row, M starts, N rows asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError
from envs.row_index import RowIndex
from envs.rows import World
from envs.states import Integers, Levels

LevelIds = Levels | Sequence[int] | Integers

_CHUNK_ENTRIES = 1 << 23
"""Entries of `next_rows` made at once (16 MiB): enough to fill a kernel, little beside the tables."""


@dataclass(frozen=True)
class TabularMDP:
    """A finite Markov decision process with its rows.

    An outcome o of (s, a) has probability p(o | s, a); those that pad the O axis have probability 0, next state -1,
    components 0 and event -1. Sums over o of p are 1.

    Attributes:
        rows: int16[S, R], all distinct; S x 0 where states have no rows.
        start_state: int64[M]; for an enumerated world M = levels x starts, level-major.
        start_probability: float64[M], sum 1.
        next_state: int32[S, A, O]; -1 where the episode terminates.
        probability: float64[S, A, O].
        components: float64[S, A, O, C], named reward components of the outcome.
        event: int16[S, A, O], reinforcement event, -1 for none.
        discount: γ in [0, 1].
        reward_weights: float64[C]; reward = components @ reward_weights.
    """

    rows: NDArray[np.int16]
    start_state: NDArray[np.int64]
    start_probability: NDArray[np.float64]
    next_state: NDArray[np.int32]
    probability: NDArray[np.float64]
    components: NDArray[np.float64]
    event: NDArray[np.int16]
    discount: float
    reward_weights: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse tables that contradict themselves."""
        shape = self.next_state.shape
        named = {
            "probability": self.probability.shape,
            "event": self.event.shape,
            "components": self.components.shape[:3],
        }
        for name, other in named.items():
            if other != shape:
                raise UserError(f"TabularMDP: {name} has shape {other}, next_state {shape}; make them agree.")
        if self.components.shape[3:] != self.reward_weights.shape:
            raise UserError(
                f"TabularMDP: {self.components.shape[3]} components but {self.reward_weights.size} reward weights; "
                "give one weight for each component."
            )
        error = np.abs(self.probability.sum(axis=2) - 1).max(initial=0.0)
        if not error <= 1e-9 or self.probability.min(initial=0.0) < 0:
            raise UserError(f"TabularMDP: outcome probabilities miss 1 by {error:.3g}; they must be >= 0 and sum to 1.")
        if not (self.next_state.min(initial=-1) >= -1 and self.next_state.max(initial=-1) < shape[0] == len(self.rows)):
            raise UserError(f"TabularMDP: next_state must lie in [-1, {len(self.rows)}), the number of rows.")

    @property
    def num_states(self) -> int:
        """S."""
        return int(self.next_state.shape[0])

    @property
    def num_actions(self) -> int:
        """A."""
        return int(self.next_state.shape[1])


def enumerate_world(
    world: World, levels: Levels | Sequence[int] | Integers, *, max_states: int = 2_000_000
) -> TabularMDP:
    """List all states that any actions and any chance reach from the starts of the given levels.

    All levels and all starts of a level are equally likely, as the engine draws them.

    Args:
        world: The world.
        levels: A `Levels` block or level ids.
        max_states: Where to give up.

    Returns:
        Tables whose state s stands at `rows[s]`; start l * num_starts + i is start i of the l-th level.

    Raises:
        UserError: More than `max_states` states, or no level.
    """
    level_ids = level_numbers(levels)
    starts = np.tile(np.arange(world.num_starts), level_ids.size)
    index = RowIndex(world.row_size)
    start_state = index.intern(world.begin(np.repeat(level_ids, world.num_starts), starts))
    chunks: list[tuple[NDArray[np.generic], ...]] = []
    chunk_size = max(1, _CHUNK_ENTRIES // (world.num_actions * world.max_outcomes * world.row_size))
    expanded = 0
    while expanded < len(index):
        rows = index.rows[expanded : expanded + chunk_size].copy()
        chunks.append(_expand(world, rows, index))
        expanded += len(rows)
        if len(index) > max_states:
            raise UserError(
                f"World {world.name!r} has more than {max_states} states on {level_ids.size} levels; "
                "give fewer levels, a smaller config, or a larger max_states."
            )
    next_state, probability, components, event = (np.concatenate(part) for part in zip(*chunks, strict=True))
    return TabularMDP(
        rows=index.rows.copy(),
        start_state=start_state,
        start_probability=np.full(start_state.size, 1 / start_state.size),
        next_state=next_state,
        probability=probability,
        components=components,
        event=event,
        discount=float(world.discount),
        reward_weights=np.asarray(world.reward_weights, np.float64),
    )


def level_numbers(levels: LevelIds) -> NDArray[np.int64]:
    """Level ids int64[L] of a `Levels` block or a sequence of ids; UserError where there are none."""
    ids = levels.ids() if isinstance(levels, Levels) else np.asarray(levels, np.int64).reshape(-1)
    if ids.size == 0:
        raise UserError("No level was given; an enumeration needs at least one level id.")
    return ids


def state_index(mdp: TabularMDP, rows: NDArray[np.int16]) -> NDArray[np.int64]:
    """Number of the state at each row.

    Args:
        mdp: An enumerated world.
        rows: int16[N, R].

    Returns:
        int64[N] in [0, S).

    Raises:
        UserError: A row is not one of the states.
    """
    return state_finder(mdp)(rows)


def state_finder(mdp: TabularMDP) -> Callable[[NDArray[np.int16]], NDArray[np.int64]]:
    """`state_index` for many calls: the rows are indexed once."""
    return row_finder(mdp.rows)


def row_finder(known: NDArray[np.int16]) -> Callable[[NDArray[np.int16]], NDArray[np.int64]]:
    """The position of rows among known ones, int16[S, R], all distinct; UserError for one that is none of them."""
    index = RowIndex.of(known)

    def find(rows: NDArray[np.int16]) -> NDArray[np.int64]:
        found = index.find(rows)
        unknown = np.flatnonzero(found < 0)
        if unknown.size:
            raise UserError(
                f"{unknown.size} of {found.size} rows are not among the {len(known)} enumerated states "
                f"(the first is at position {unknown[0]}); enumerate the levels that they come from."
            )
        return found

    return find


def _expand(world: World, rows: NDArray[np.int16], index: RowIndex) -> tuple[NDArray[np.generic], ...]:
    """Tables of one chunk of states; successors are interned on the way."""
    outcomes = world.expand(rows)
    alive = (outcomes.probability > 0) & ~outcomes.terminated
    next_state = np.full(alive.shape, -1, np.int32)
    next_state[alive] = index.intern(outcomes.next_rows[alive])
    return next_state, outcomes.probability, outcomes.components, outcomes.event.astype(np.int16)
