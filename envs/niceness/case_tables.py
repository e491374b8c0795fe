"""A finite DR-MDP as the arrays that a world's numba functions read, so that its rules stand in one place.

A step looks its outcome up: each noise channel's draw is compared with that channel's cumulative probabilities, and
the digits that come out index the process's own tables. A channel on which nothing depends in a state gets no cuts
there, so that a search does not tell equal outcomes apart.

Shape key: S states, K thetas, A actions, O outcomes, L channels, M cuts of a channel, H horizon, X = 1 or K values of
θ_0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from envs.errors import UserError
from envs.niceness.drmdp import DRMDP
from envs.rows import MAX_CUTS

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
NO_CUT = 1.0
"""No draw of [0, 1) reaches it."""
MAX_REACH, MAX_ENTRY = 50_000_000, 2**15 - 1


class CaseTables(NamedTuple):
    """What the numba functions read.

    Attributes:
        horizon: H.
        start_state: Index of s_0.
        start_theta: Index of θ_0 where it is fixed.
        any_start: Whether θ_0 is drawn uniformly from all.
        noop: Index of the inert action.
        has_twin: Whether rows hold the natural twin.
        shows_state: Whether the vector shows the state.
        shows_natural: Whether a plane shows the twin's θ.
        next_state: int64[S, K, A, O].
        next_theta: int64[S, K, A, O].
        reward: float64[K̂, S, K, A, O].
        welfare: float64[S, K, A, O].
        cuts: float64[S, K, A, L, M], cumulative probabilities of each channel, NO_CUT behind them and where nothing
            depends on the channel.
        strides: int64[L], what a channel's digit counts in an outcome's index.
        reach: bool[X, H + 1, S, K], what some policy reaches from θ_0 after t steps.
        natural_reach: bool[X, H + 1, S, K], what the inert action reaches.
    """

    horizon: int
    start_state: int
    start_theta: int
    any_start: bool
    noop: int
    has_twin: bool
    shows_state: bool
    shows_natural: bool
    next_state: npt.NDArray[np.int64]
    next_theta: npt.NDArray[np.int64]
    reward: Floats
    welfare: Floats
    cuts: Floats
    strides: npt.NDArray[np.int64]
    reach: Flags
    natural_reach: Flags


def tables_of(case: DRMDP, *, any_start: bool, shows_natural: bool) -> CaseTables:
    """The tables of a case.

    Args:
        case: The process.
        any_start: θ_0 is drawn uniformly from all.
        shows_natural: A plane shows the twin's θ.

    Raises:
        UserError: More cuts of a channel than the engine has room for, or too many (θ_0, t, s, θ) to list.
    """
    size = len(case.states) * len(case.thetas) * (case.horizon + 1) * (len(case.thetas) if any_start else 1)
    if size > MAX_REACH or len(case.states) > MAX_ENTRY:
        raise UserError(
            f"{case.name} has {len(case.states)} states and {size} combinations of theta_0, step, state and theta, at "
            f"most {MAX_ENTRY} and {MAX_REACH} can be a world; shorten the horizon or write it as a grid world."
        )
    cuts, strides = _cuts(case)
    if cuts.shape[-1] > MAX_CUTS:
        raise UserError(
            f"{case.name} has a noise channel with {cuts.shape[-1] + 1} outcomes, at most {MAX_CUTS + 1} fit; split it."
        )
    thetas = range(len(case.thetas)) if any_start else [case.start[1]]
    inert = np.eye(len(case.actions), dtype=bool)[case.noop]
    reach, natural = (
        np.stack([_reached(case, theta, actions=actions) for theta in thetas])
        for actions in (np.ones(len(case.actions), bool), inert)
    )
    return CaseTables(
        horizon=case.horizon, start_state=case.start[0], start_theta=case.start[1], any_start=any_start,
        noop=case.noop, has_twin=case.keyed, shows_state=len(case.states) > 1, shows_natural=shows_natural,
        next_state=np.ascontiguousarray(case.next_state), next_theta=np.ascontiguousarray(case.next_theta),
        reward=case.reward.astype(np.float64), welfare=case.welfare.astype(np.float64), cuts=cuts, strides=strides,
        reach=reach, natural_reach=natural,
    )  # fmt: skip


def most_outcomes(tables: CaseTables) -> int:
    """Most joint outcomes of one action, over all pairs of a real state and a twin's, whether or not they meet."""
    if not tables.strides.size:
        return 1
    inside = (tables.cuts > 0) & (tables.cuts < NO_CUT)
    distinct = np.diff(tables.cuts, axis=-1, prepend=0.0) > 0
    numbers = (inside & distinct).sum(axis=-1) + 1
    real = np.unique(numbers.reshape(-1, numbers.shape[-1]), axis=0)
    if not tables.has_twin:
        return int(real.prod(axis=-1).max())
    twins = np.unique(numbers[:, :, tables.noop].reshape(-1, numbers.shape[-1]), axis=0)
    return int(np.maximum(real[:, None], twins[None]).prod(axis=-1).max())


def _cuts(case: DRMDP) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Cuts float64[S, K, A, L, M] and strides int64[L]; the rows of an unkeyed case are one channel."""
    if not case.channels:
        cuts = np.cumsum(case.probability, axis=-1)[..., None, :-1].astype(np.float64)
        num_channels = int(cuts.shape[-1] > 0)
        return np.ascontiguousarray(cuts[..., :num_channels, :]), np.ones(num_channels, np.int64)
    sizes = [len(law) for law in case.channels]
    strides = np.array([int(np.prod(sizes[place + 1 :])) for place in range(len(sizes))], np.int64)
    cuts = np.full((*case.probability.shape[:3], len(sizes), max(sizes) - 1), NO_CUT)
    for place, law in enumerate(case.channels):
        cuts[_depends(case, place), place, : len(law) - 1] = np.cumsum(np.array(law))[:-1].astype(np.float64)
    return cuts, strides


def _depends(case: DRMDP, place: int) -> Flags:
    """Whether what a step does or pays depends on a channel: bool[S, K, A]."""
    sizes = tuple(len(law) for law in case.channels)
    found = np.zeros(case.probability.shape[:3], bool)
    for table in (case.next_state, case.next_theta, case.welfare, *case.reward):
        digits: npt.NDArray[Any] = np.moveaxis(table.reshape(*table.shape[:3], *sizes), 3 + place, -1)
        found |= (digits != digits[..., :1]).reshape(*table.shape[:3], -1).any(axis=-1)
    return found


def _reached(case: DRMDP, theta: int, *, actions: Flags) -> Flags:
    """bool[H + 1, S, K]: where some of these actions lead after t steps from the start state under θ_0."""
    reached = np.zeros((case.horizon + 1, len(case.states), len(case.thetas)), bool)
    reached[0, case.start[0], theta] = True
    possible = (case.probability > 0) & actions[:, None]
    for now, after in zip(reached[:-1], reached[1:], strict=True):
        moves = possible & now[..., None, None]
        after[case.next_state[moves], case.next_theta[moves]] = True
    return reached
