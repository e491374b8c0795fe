"""Gauss-Seidel sweeps to the solution of V(s) = max_a [r(s, a) + γ Σ_o p(o | s, a) V(next(s, a, o))], V = 0 at the end.

Three things keep sweeps few where news has far to travel, and one keeps them cheap:
- Equations are solved for what a state gets from returning to itself: with q the probability of staying in s, that of
  (s, a) is divided by 1 - γ q and loses those outcomes. The solution stays as it is.
- Sweeps go through the states in ascending and in descending order by turns.
- After 24 sweeps, and whenever their number has tripled since, states are sorted by falling value, so that a sweep goes
  from a goal outwards. Every eighth one still goes back, for worlds in which values fall along the way to an end.
- Every outcome has arrays of its own: a loop over a tuple is unrolled, which saves a third of a sweep.

Shapes: S states, A actions, O outcomes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.enumeration import TabularMDP

Floats = NDArray[np.float64]
States = NDArray[np.int32]

_FIRST_SORTING, _BACK_EVERY = 24, 8


class Equations(NamedTuple):
    """V(s) = max_a [gain(s, a) + Σ_o weight(s, a, o) V(next(s, a, o))].

    Attributes:
        next_state: O arrays int32[S, A], -1 for termination.
        weight: O arrays float64[S, A], >= 0, their sum at most γ.
        gain: float64[S, A].
    """

    next_state: tuple[States, ...]
    weight: tuple[Floats, ...]
    gain: Floats


def equations_of(mdp: TabularMDP, reward: Floats, gamma: float) -> Equations:
    """The equations of a process with expected reward float64[S, A], solved for returns from a state to itself.

    γ times the probability of staying must be below 1.
    """
    stays = mdp.next_state == np.arange(mdp.num_states, dtype=np.int32)[:, None, None]
    scale = 1 / (1 - gamma * np.where(stays, mdp.probability, 0.0).sum(axis=2))
    weight = np.where(stays, 0.0, gamma * scale[:, :, None] * mdp.probability)
    return Equations(_by_outcome(mdp.next_state), _by_outcome(weight), scale * reward)


def solve_equations(equations: Equations, *, change_limit: float) -> tuple[Floats, int]:
    """Sweep from V = 0 until no value changes by more than a limit, or by more than rounding makes it change.

    Args:
        equations: What to solve.
        change_limit: Largest change, >= 0, that is small enough.

    Returns:
        V as float64[S], and the number of sweeps.
    """
    values, order = np.zeros(len(equations.gain)), np.arange(len(equations.gain))
    num_sweeps, next_sorting, forward = 0, _FIRST_SORTING, False
    while True:
        change = _sweep(values, *equations, forward)
        num_sweeps += 1
        if change <= max(change_limit, 4 * np.finfo(float).eps * np.abs(values).max(initial=0.0)):
            break
        if num_sweeps == next_sorting:
            falling = np.argsort(-values, kind="stable")
            values, order, equations = values[falling], order[falling], _reordered(equations, falling)
            next_sorting *= 3
        forward = not forward if num_sweeps < _FIRST_SORTING else num_sweeps % _BACK_EVERY != _BACK_EVERY - 1
    result = np.empty_like(values)
    result[order] = values
    return result, num_sweeps


def _by_outcome(table: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    return tuple(np.ascontiguousarray(table[:, :, o]) for o in range(table.shape[2]))


def _reordered(equations: Equations, order: NDArray[np.int64]) -> Equations:
    """The equations of the states order[0], order[1], ..., which become the states 0, 1, ..."""
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    next_state, weight = (tuple(map(np.empty_like, tables)) for tables in equations[:2])
    _reorder(*equations[:2], order, rank, next_state, weight)
    return Equations(next_state, weight, equations.gain[order])


@njit(cache=True)
def _reorder(
    next_state: tuple[States, ...],
    weight: tuple[Floats, ...],
    order: NDArray[np.int64],
    rank: States,
    new_next_state: tuple[States, ...],
    new_weight: tuple[Floats, ...],
) -> None:
    for i in range(order.size):
        for o in range(len(next_state)):
            for a in range(next_state[o].shape[1]):
                following = next_state[o][order[i], a]
                new_next_state[o][i, a] = rank[following] if following >= 0 else -1
                new_weight[o][i, a] = weight[o][order[i], a]


@njit(cache=True)
def _sweep(
    values: Floats, next_state: tuple[States, ...], weight: tuple[Floats, ...], gain: Floats, forward: bool
) -> float:
    """One pass in place; returns the largest change of a value."""
    largest = 0.0
    for i in range(values.size):
        s = i if forward else values.size - 1 - i
        best = -np.inf
        for a in range(gain.shape[1]):
            action_value = gain[s, a]
            for o in range(len(next_state)):
                following = next_state[o][s, a]
                if following >= 0:
                    action_value += weight[o][s, a] * values[following]
            best = max(best, action_value)
        largest = max(largest, abs(best - values[s]))
        values[s] = best
    return largest
