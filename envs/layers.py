"""Exact solutions of worlds whose rows hold their clock: state by state, layer by layer, from the end backwards.

Layer t holds every row that an episode can have after t steps, ends included, and all steps lead from one layer to the
next. So one pass backwards solves any number of objectives, whose weights may change with t,

    Q_j(s, a) = Σ_o p(o | s, a) [w_j(t) · components(o) + γ_j V_j(next(o))],   V_j(s) = max_a Q_j(s, a),   V_j(end) = 0,

and one pass forwards evaluates a policy. `envs.tabular` solves any world, and keeps all transitions in memory.

Shape key: S states, R entries of a row, A actions, J objectives, C components, T steps, M starts, N rows asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from envs import layer_kernels, row_kernels
from envs.compilation import WORLD_FUNCTIONS, compile_templates
from envs.errors import UserError
from envs.layer_kernels import NO_LAYER
from envs.row_index import RowIndex
from envs.rows import MAX_CUTS, World
from envs.states import Floats, Integers, Rows

Flags = npt.NDArray[np.bool_]
RowPolicy = Callable[[Rows], Floats]
Worth = Callable[[Rows], Floats]

TOLERANCE = 1e-9
"""Actions whose value is this close to the best are optimal: what rounding can do is far less."""
_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class Layers:
    """All states that starts can lead to, in layers.

    Attributes:
        world: The world.
        index: The states' rows, numbered layer by layer.
        ended: bool[S], whether the episode is over.
        offsets: int64[T + 2]; layer t holds the states offsets[t] to offsets[t + 1] - 1, t = 0 .. T.
        start_state: int64[M], all in layer 0.
    """

    world: World
    index: RowIndex
    ended: Flags
    offsets: Integers
    start_state: Integers

    @property
    def rows(self) -> Rows:
        """int16[S, R]; not to be written to."""
        return self.index.rows

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.index)

    @property
    def num_steps(self) -> int:
        """T."""
        return len(self.offsets) - 2

    def layer(self, t: int) -> slice:
        """The states of layer t."""
        return slice(int(self.offsets[t]), int(self.offsets[t + 1]))

    def find(self, rows: Rows) -> Integers:
        """Numbers int64[N] of states; UserError for a row that the starts do not lead to."""
        found = self.index.find(rows)
        if (found < 0).any():
            unknown = int(np.flatnonzero(found < 0)[0])
            raise UserError(
                f"Row {unknown} of {len(rows)} is none of the {self.num_states} states that the starts lead to; solve "
                "from starts that lead there."
            )
        return found


@dataclass(frozen=True, eq=False)
class LayeredSolution:
    """Optimal values and optimal action sets of several objectives.

    Attributes:
        values: float64[S, J]; at ends 0, or what they are worth.
        optimal: bool[S, A, J], all actions within TOLERANCE of the best; none at ends.
    """

    values: Floats
    optimal: Flags


@dataclass(frozen=True, eq=False)
class Play:
    """What a policy does on average.

    Attributes:
        visits: float64[S], probability of being in a state of layer t after t steps.
        paid: float64[T, C], expected components of step t.
    """

    visits: Floats
    paid: Floats


def list_layers(world: World, starts: Rows, *, max_states: int = 30_000_000) -> Layers:
    """List what any actions and any chance reach from starts int16[M, R], which are first rows of episodes.

    Raises:
        UserError: More than `max_states` states, or a step that leads back: rows without a clock.
    """
    index, reach, offsets = RowIndex(world.row_size), _loops(world.module)["reach_rows"], [0]
    start_state = index.intern(world.checked(starts))
    ended, scratch = np.zeros(0, np.bool_), _scratch(world)[:4]
    while len(index) > offsets[-1]:
        first, last = offsets[-1], len(index)
        offsets.append(last)
        while first < last:
            index.reserve(len(index) + max(_CHUNK, len(index) // 2))
            ended = np.concatenate([ended, np.zeros(len(index.arrays[0]) - len(ended), np.bool_)])
            sizes = (world.num_actions, last, len(index))
            first, count, failure = reach(
                world.kernel_config, sizes, (first, last), (*index.arrays, ended), scratch
            )
            index.adopt(count)
            _refuse(world, failure, count, max_states=max_states)
    return Layers(world, index, ended[: len(index)].copy(), np.array(offsets), start_state)


def back_up(
    layers: Layers,
    weights: Floats,
    *,
    allowed: Flags | None = None,
    discounts: npt.ArrayLike | None = None,
    worth: Worth | None = None,
) -> LayeredSolution:
    """Optimal values and action sets of objectives that are weighted sums of the world's components.

    Args:
        layers: All states.
        weights: float64[J, C], or float64[T, J, C] for weights that change with t.
        allowed: bool[S, A], which actions may be taken; at least one in every state that is no end.
        discounts: γ of each objective, float64[J], or one for all; the world's own where None.
        worth: Rows int16[N, R] -> float64[N, J], what being in a state adds to its value, ends included; nothing where
            None.
    """
    world, loop = layers.world, _loops(layers.world.module)["back_up_rows"]
    weights = np.broadcast_to(weights, (layers.num_steps, *weights.shape[-2:]))
    gammas = np.array(np.broadcast_to(world.discount if discounts is None else discounts, weights.shape[1]), np.float64)
    values = np.zeros((layers.num_states, weights.shape[1]))
    optimal = np.zeros((layers.num_states, world.num_actions, weights.shape[1]), np.bool_)
    permitted = np.zeros((0, world.num_actions), np.bool_) if allowed is None else np.ascontiguousarray(allowed)
    scratch, index = _scratch(world, num_objectives=weights.shape[1]), (*layers.index.arrays, layers.ended)
    for t in range(layers.num_steps, -1, -1):
        span = layers.layer(t)
        if t < layers.num_steps:
            task = (weights[t].copy(), gammas, TOLERANCE, permitted, values, optimal)
            loop(world.kernel_config, (span.start, span.stop), index, task, scratch)
        if worth is not None:
            values[span] += worth(layers.rows[span])
    return LayeredSolution(values, optimal)


def play(layers: Layers, policy: RowPolicy, *, start_probability: Floats | None = None) -> Play:
    """Evaluate a policy by passing probability forwards; what it never visits is never asked for.

    Args:
        layers: All states.
        policy: π, rows int16[N, R] -> float64[N, A], rows of sum 1.
        start_probability: float64[M]; uniform where None.
    """
    world, loop = layers.world, _loops(layers.world.module)["push_rows"]
    count = len(layers.start_state)
    law = np.full(count, 1 / count) if start_probability is None else start_probability
    visits, paid = np.zeros(layers.num_states), np.zeros((layers.num_steps, len(world.component_names)))
    np.add.at(visits, layers.start_state, law)
    scratch, index = _scratch(world, num_objectives=1), (*layers.index.arrays, layers.ended)
    for t in range(layers.num_steps):
        for span in _chunks(layers.layer(t)):
            asked = np.flatnonzero((visits[span] > 0) & ~layers.ended[span])
            probs = np.zeros((span.stop - span.start, world.num_actions))
            probs[asked] = policy(layers.rows[span][asked])
            loop(world.kernel_config, (span.start, span.stop), index, (probs, visits, paid[t]), scratch)
    return Play(visits, paid)


def _chunks(span: slice) -> Iterator[slice]:
    for first in range(span.start, span.stop, _CHUNK):
        yield slice(first, min(first + _CHUNK, span.stop))


def _scratch(world: World, *, num_objectives: int = 1) -> tuple[npt.NDArray[Any], ...]:
    """Draws, cuts, counts, components, a row, and values of actions."""
    channels = max(world.num_channels, 1)
    return (
        np.zeros(channels), np.zeros((channels, MAX_CUTS)), np.zeros(world.num_channels, np.int64),
        np.zeros(len(world.component_names)), np.zeros(world.row_size, np.int16),
        np.zeros((world.num_actions, num_objectives)),
    )  # fmt: skip


def _refuse(world: World, failure: int, count: int, *, max_states: int) -> None:
    if failure == NO_LAYER:
        raise UserError(
            f"A step of {world.name} leads back to an earlier row, so that rows hold no clock; solve it with "
            "envs.tabular."
        )
    if count > max_states:
        raise UserError(
            f"{world.name} has more than {max_states} states from these starts; give fewer starts, a shorter horizon, "
            "or a larger max_states."
        )


@functools.cache
def _loops(module: str) -> Mapping[str, Callable[..., Any]]:
    return compile_templates(module, (row_kernels, layer_kernels), functions=WORLD_FUNCTIONS)
