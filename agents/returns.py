"""Returns, advantages and event shares along time, with `terminated` and `truncated` kept apart.

Shape key: T rows in time order, N columns, C... trailing axes, E reinforcement events. Every function takes time on
axis 0 and any further axes behind it. Row t is one transition (s_t, a_t, r_t, s_{t+1}); `next_value_t` is V(s_{t+1}) of
the state that the action led to, never of the state that a reset put in its place.

One chain of rows may hold many episodes end to end: `continuation` is 0 at the last row of each, and nothing flows
across it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.episodes import Episodes

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def discounts(terminated_t: Flags, discount: float) -> Floats:
    """discount_t = γ·(1 − terminated_t): 0 after the end of the world, γ after a mere time limit.

    Args:
        terminated_t: bool[T, ...].
        discount: γ in [0, 1].
    """
    return np.where(terminated_t, 0.0, discount)


def continuation(terminated_t: Flags, truncated_t: Flags) -> Floats:
    """1 where row t+1 carries on the episode of row t, else 0; 0 at the last row, since nothing was recorded after it.

    Args:
        terminated_t: bool[T, ...].
        truncated_t: bool[T, ...].
    """
    follows = (~(terminated_t | truncated_t)).astype(np.float64)
    follows[-1:] = 0.0
    return follows


def lambda_returns(
    reward_t: Floats, next_value_t: Floats, *, discount_t: Floats, continuation_t: Floats, trace: float
) -> Floats:
    """G_t = r_t + discount_t·[(1 − λ_t)·V(s_{t+1}) + λ_t·G_{t+1}], λ_t = λ·continuation_t.

    At an end that is no termination (time limit, end of the buffer) λ_t = 0, so the return bootstraps from V(s_{t+1})
    there. λ = 1 is the Monte-Carlo return that bootstraps at truncations alone; λ = 0 is the one-step return.

    Args:
        reward_t: float[T, ...].
        next_value_t: float[T, ...], V of the successor; read only where discount_t > 0 and λ_t < 1, must be finite
            everywhere.
        discount_t: float[T, ...], from `discounts`.
        continuation_t: float[T, ...] of {0, 1}, from `continuation`.
        trace: λ in [0, 1].

    Returns:
        float64[T, ...]; empty for T = 0.

    Source: Sutton & Barto (2018), eq. 12.24, with the discount of the transition in place of a constant γ.
    """
    shape = np.shape(reward_t)
    returns: Floats = _lambda_scan(
        _columns(reward_t, shape), _columns(next_value_t, shape), _columns(discount_t, shape),
        _columns(continuation_t, shape), float(trace),
    ).reshape(shape)
    return returns


def returns_to_go(episodes: Episodes) -> tuple[Floats, Flags]:
    """What followed each recorded step, Σ_i γ^i·r_{t+i} to the end of its episode, and where all of it was seen.

    Args:
        episodes: any.

    Returns:
        float64[n], and bool[n]: False in episodes that a time limit cut.
    """
    last = episodes.offsets[1:] - 1
    terminated, truncated = np.zeros((2, episodes.num_steps), dtype=np.bool_)
    terminated[last], truncated[last] = episodes.terminated, ~episodes.terminated
    following = lambda_returns(
        episodes.rewards, np.zeros(episodes.num_steps), discount_t=discounts(terminated, episodes.discount),
        continuation_t=continuation(terminated, truncated), trace=1.0,
    )  # fmt: skip
    return following, np.repeat(episodes.terminated, np.diff(episodes.offsets))


def n_step_returns(
    reward_t: Floats, next_value_t: Floats, *, discount_t: Floats, continuation_t: Floats, num_steps: int
) -> Floats:
    """G¹_t = r_t + discount_t·V(s_{t+1}); Gⁿ_t = r_t + discount_t·Gⁿ⁻¹_{t+1} inside an episode, G¹_t at its last row.

    With num_steps ≥ T this is the λ-return at λ = 1.

    Args:
        reward_t: float[T, ...].
        next_value_t: float[T, ...].
        discount_t: float[T, ...].
        continuation_t: float[T, ...] of {0, 1}.
        num_steps: n ≥ 1.

    Raises:
        ValueError: num_steps < 1.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}; n-step returns need at least 1 step.")
    one_step = reward_t + discount_t * next_value_t
    returns = one_step
    for _ in range(num_steps - 1):
        shifted = np.concatenate([returns[1:], np.zeros_like(returns[:1])])
        returns = np.where(continuation_t > 0, reward_t + discount_t * shifted, one_step)
    return returns


def advantages(
    reward_t: Floats, value_t: Floats, next_value_t: Floats, *, discount_t: Floats, continuation_t: Floats, trace: float
) -> Floats:
    """Â_t = G_t − V(s_t) = Σ_i (Π discount·λ)·δ_{t+i}, δ_t = r_t + discount_t·V(s_{t+1}) − V(s_t).

    Args:
        reward_t: float[T, ...].
        value_t: float[T, ...], V(s_t).
        next_value_t: float[T, ...], V(s_{t+1}).
        discount_t: float[T, ...].
        continuation_t: float[T, ...] of {0, 1}.
        trace: λ in [0, 1].

    Source: Schulman et al. (2016), eq. 16, arXiv 1506.02438. Within an episode V(s_{t+1}) must equal value_{t+1}; only
    then is the difference from the λ-return the generalised advantage estimate.
    """
    targets = lambda_returns(
        reward_t, next_value_t, discount_t=discount_t, continuation_t=continuation_t, trace=trace
    )
    return targets - value_t


def event_shares(
    reward_t: Floats,
    event_t: NDArray[np.int64],
    *,
    continuation_t: Floats,
    num_events: int,
    decay: float,
    withheld_t: Flags | None = None,
) -> Floats:
    """Which reinforcement events the outcome after each step came from.

    S^e_t = |r_t|·1[event_t = e] + γλ·S^e_{t+1} within the episode; share^e_t = S^e_t / Σ_e S^e_t; 1/E where the sum is
    0; NaN where a reward whose label is withheld enters the sum (then no part can be named, and every part takes the
    credit).

    Args:
        reward_t: float[T].
        event_t: int[T] in [−1, E); −1: no event.
        continuation_t: float[T] of {0, 1}.
        num_events: E ≥ 1.
        decay: γλ in [0, 1].
        withheld_t: bool[T], the label of this step's event is withheld.

    Returns:
        float64[T, E], rows sum to 1 or are NaN.

    Raises:
        ValueError: an event outside [−1, E), or E < 1.

    A share says which event followed, not which state caused it: with γλ = 1 the first step of an episode and the last
    weigh the same.
    """
    if num_events < 1 or np.any((event_t < -1) | (event_t >= num_events)):
        raise ValueError(f"events are {np.unique(event_t).tolist()}; allowed are -1 .. {num_events - 1}.")
    hidden = np.zeros(len(event_t), bool) if withheld_t is None else withheld_t
    labels = np.where(hidden, num_events, event_t)
    size = np.abs(reward_t)[:, None] * (labels[:, None] == np.arange(num_events + 1))
    chain = decay * continuation_t
    sums = decayed_sums(size, chain)
    total = sums[:, :num_events].sum(axis=1, keepdims=True)
    shares: Floats = np.full((len(event_t), num_events), 1.0 / num_events)
    np.divide(sums[:, :num_events], total, out=shares, where=total > 0)
    shares[sums[:, num_events] > 0] = np.nan
    return shares


def decayed_sums(size: Floats, chain_t: Floats) -> Floats:
    """S_t = size_t + chain_t·S_{t+1}, float64[T, E], for sizes float[T, E] and chain_t float[T], 0 at ends."""
    sums: Floats = _decayed_sums(np.ascontiguousarray(size, np.float64), np.ascontiguousarray(chain_t, np.float64))
    return sums


def _columns(part: Any, shape: tuple[int, ...]) -> Floats:
    full = np.broadcast_to(np.asarray(part, np.float64), shape)
    width = int(np.prod(shape[1:], dtype=np.int64))
    return np.ascontiguousarray(full).reshape(shape[0], width)


@njit(cache=True)
def _lambda_scan(reward: Any, next_value: Any, discount: Any, follows: Any, trace: float) -> Any:
    returns = np.empty_like(reward)
    for t in range(reward.shape[0] - 1, -1, -1):
        for n in range(reward.shape[1]):
            ahead = next_value[t, n]
            # A row without a successor never reads the row below it, so garbage there cannot leak in as 0 · NaN.
            if follows[t, n] > 0.0:
                ahead = (1.0 - trace) * next_value[t, n] + trace * returns[t + 1, n]
            returns[t, n] = reward[t, n]
            if discount[t, n] > 0.0:
                returns[t, n] += discount[t, n] * ahead
    return returns


@njit(cache=True)
def _decayed_sums(size: Any, chain: Any) -> Any:
    sums = np.empty_like(size)
    for t in range(size.shape[0] - 1, -1, -1):
        for e in range(size.shape[1]):
            sums[t, e] = size[t, e]
            if chain[t] > 0.0:
                sums[t, e] += chain[t] * sums[t + 1, e]
    return sums
