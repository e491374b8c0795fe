"""Exact solutions of finite worlds: value iteration, policy evaluation, occupancy.

Tables come from `enumerate_world`, so from the world's own kernel. Rows hold no clock: the engine's time limit is no
part of the decision process, and a value here is that of an episode which only the world itself ends. The `horizon`
arguments bring a limit back where it matters.

Shapes: S states, A actions, O outcomes, C components, M starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.enumeration import TabularMDP, enumerate_world, state_index
from envs.errors import UserError
from envs.gauss_seidel import equations_of, solve_equations
from envs.markov_chain import has_cycle, solve_chain, transition_matrix

__all__ = [
    "Solution",
    "TabularMDP",
    "enumerate_world",
    "expected_reward",
    "occupancy",
    "policy_evaluation",
    "start_value",
    "state_index",
    "transition_matrix",
    "value_iteration",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Solution:
    """Optimal values, with what they may be wrong by.

    Attributes:
        values: float64[S], V*(s) = max_a Q*(s, a); the equality holds bitwise.
        action_values: float64[S, A], Q*.
        optimal_actions: bool[S, A]: no action whose computed value is within twice the error bound (and rounding) of
            the best is left out, so every optimal action is in.
        error_bound: No value or action value is farther than this from the exact one.
        num_sweeps: Passes over all states that were made.
    """

    values: Floats
    action_values: Floats
    optimal_actions: NDArray[np.bool_]
    error_bound: float
    num_sweeps: int


def expected_reward(mdp: TabularMDP) -> Floats:
    """r(s, a) = Σ_o p(o | s, a) Σ_c w_c components(s, a, o, c), as float64[S, A]."""
    reward: Floats = np.einsum("sao,sao->sa", mdp.probability, mdp.components @ mdp.reward_weights)
    return reward


def value_iteration(mdp: TabularMDP, *, discount: float | None = None, tolerance: float = 1e-10) -> Solution:
    """Solve V*(s) = max_a [r(s, a) + γ Σ_o p(o | s, a) V*(next(s, a, o))], V* = 0 after termination.

    Gauss-Seidel sweeps (`envs.gauss_seidel`), then one Jacobi step V' = T V, whose residual gives
    |V' - V*| <= γ |V' - V| / (1 - γ), all norms being maxima over states (Puterman, "Markov Decision Processes",
    section 6.3). At γ = 1 the state graph must be free of cycles; the result is then exact up to rounding.

    Args:
        mdp: The process.
        discount: γ in [0, 1]; the world's own where None.
        tolerance: Bound on the error of every value, > 0.

    Returns:
        The solution; its `error_bound` is <= `tolerance`.

    Raises:
        UserError: γ outside [0, 1]; γ = 1 with a cycle; a tolerance that float64 cannot reach at this γ.
    """
    gamma = _checked_discount(mdp, discount)
    if gamma == 1 and has_cycle(mdp):
        raise UserError("value_iteration: discount 1 needs a world that returns to no state; give a discount below 1.")
    reward, contraction = expected_reward(mdp), gamma / (1 - gamma) if gamma < 1 else np.inf
    # Half of what the bound allows; the other half is for rounding.
    change_limit = 0.5 * tolerance / contraction if contraction > 0 else np.inf
    values, sweeps = solve_equations(equations_of(mdp, reward, gamma), change_limit=change_limit)
    action_values = reward + gamma * _expectation(mdp, values)
    improved = action_values.max(axis=1)
    residual = np.abs(improved - values).max(initial=0.0)
    bound = float(residual * contraction) if residual > 0 and gamma < 1 else 0.0
    if not bound <= tolerance:
        raise UserError(
            f"value_iteration: at discount {gamma} rounding leaves an error bound of {bound:.2g}, above the tolerance "
            f"{tolerance:.2g}; ask for a tolerance of at least {2 * bound:.2g}."
        )
    slack = 2 * bound + 16 * np.finfo(float).eps * np.abs(improved)[:, None]
    return Solution(improved, action_values, action_values >= improved[:, None] - slack, bound, sweeps)


def policy_evaluation(
    mdp: TabularMDP, policy_probs: Floats, *, discount: float | None = None, horizon: int | None = None
) -> Floats:
    """Solve V(s) = Σ_a π(a | s) [r(s, a) + γ Σ_o p(o | s, a) V(next(s, a, o))] by sparse LU decomposition.

    Args:
        mdp: The process.
        policy_probs: π, float64[S, A], rows sum to 1.
        discount: γ in [0, 1]; the world's own where None.
        horizon: Count rewards of the first `horizon` steps only (what an episode cut there returns); None: no limit.

    Returns:
        float64[S].

    Raises:
        UserError: π is not a policy; γ = 1 without a horizon under a policy that need not terminate.
    """
    gamma = _checked_discount(mdp, discount)
    transitions = transition_matrix(mdp, policy_probs)
    reward: Floats = (policy_probs * expected_reward(mdp)).sum(axis=1)
    if horizon is None:
        return solve_chain(transitions, reward, gamma)
    values = np.zeros_like(reward)
    for _ in range(horizon):
        values = reward + gamma * (transitions @ values)
    return values


def occupancy(mdp: TabularMDP, policy_probs: Floats, *, horizon: int | None, discount: float = 1.0) -> Floats:
    """Expected visits per episode, d(s) = Σ_{t < horizon} γ^t P(s_t = s), from the start distribution.

    At γ = 1 the sum over states is the expected length of an episode, and d / d.sum() is the distribution of a state
    drawn at random from many episodes; with γ below 1 and no horizon, d · r_π is the start value.

    Args:
        mdp: The process.
        policy_probs: π, float64[S, A], rows sum to 1.
        horizon: The engine's time limit, or None for episodes that only the world ends.
        discount: γ in [0, 1]; here the default is 1, not the world's own.

    Returns:
        float64[S], >= 0. States that are visited after termination or truncation do not count.

    Raises:
        UserError: π is not a policy; γ = 1 without a horizon under a policy that need not terminate.
    """
    gamma = _checked_discount(mdp, discount)
    transitions = transition_matrix(mdp, policy_probs)
    visits: Floats = np.zeros(mdp.num_states)
    np.add.at(visits, mdp.start_state, mdp.start_probability)
    if horizon is None:
        return np.maximum(solve_chain(transitions, visits, gamma, transpose=True), 0.0)
    total = np.zeros(mdp.num_states)
    for _ in range(horizon):
        total += visits
        visits = gamma * (visits @ transitions)
        if not visits.any():
            break
    return total


def start_value(mdp: TabularMDP, values: Floats) -> float:
    """Σ_m P(start m) V(start m): the value of an episode before its level and start are drawn."""
    return float(mdp.start_probability @ values[mdp.start_state])


def _expectation(mdp: TabularMDP, values: Floats) -> Floats:
    """Σ_o p(o | s, a) V(next) as float64[S, A]; the appended 0 is what index -1, termination, reads."""
    expected: Floats = np.einsum("sao,sao->sa", mdp.probability, np.append(values, 0.0)[mdp.next_state])
    return expected


def _checked_discount(mdp: TabularMDP, discount: float | None) -> float:
    """The discount to use, after its range was checked."""
    gamma = mdp.discount if discount is None else discount
    if not 0 <= gamma <= 1:
        raise UserError(f"discount is {gamma}; it must lie in [0, 1].")
    return float(gamma)
