"""The Markov chain that a policy makes of a finite decision process.

Shapes: S states, A actions, O outcomes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, eye_array
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.sparse.linalg import splu

from envs.enumeration import TabularMDP
from envs.errors import UserError

Floats = NDArray[np.float64]


def transition_matrix(mdp: TabularMDP, policy_probs: Floats) -> csr_array:
    """P_π[s, s'] = Σ_a π(a | s) Σ_o p(o | s, a) 1[next = s'] as a sparse [S, S]; row sums are 1 - P(termination).

    Raises:
        UserError: `policy_probs` is not a policy over this process's states and actions.
    """
    _check_policy(mdp, policy_probs)
    weight = (policy_probs[:, :, None] * mdp.probability).ravel()
    target = mdp.next_state.ravel()
    source = np.repeat(np.arange(mdp.num_states), target.size // max(mdp.num_states, 1))
    keep = (target >= 0) & (weight > 0)
    shape = (mdp.num_states, mdp.num_states)
    return csr_array((weight[keep], (source[keep], target[keep])), shape=shape)


def solve_chain(transitions: csr_array, right: Floats, gamma: float, *, transpose: bool = False) -> Floats:
    """Solve (I - γ P) x = right, or with P transposed; at γ = 1 every state must lead out of P."""
    if gamma == 1:
        _check_ends(transitions)
    system = csc_array(eye_array(right.size, format="csc") - gamma * transitions)
    return np.asarray(splu(system).solve(right, trans="T" if transpose else "N"))


def _check_ends(transitions: csr_array) -> None:
    """Refuse a Markov chain in which some state never terminates: walk back from termination."""
    exits = np.flatnonzero(transitions.sum(axis=1) < 1 - 1e-12)
    size = transitions.shape[0]
    source, target = transitions.tocoo().coords
    back = (np.concatenate([target, np.full(exits.size, size)]), np.concatenate([source, exits]))
    graph = csr_array((np.ones(back[0].size), back), shape=(size + 1, size + 1))
    stuck = size + 1 - breadth_first_order(graph, size, return_predecessors=False).size
    if stuck:
        raise UserError(
            f"At discount 1 without a horizon every state must lead to termination, but {stuck} of {size} never do "
            "under this policy; give a horizon or a discount below 1."
        )


def has_cycle(mdp: TabularMDP) -> bool:
    """Tell whether some state can be returned to under some actions."""
    graph = transition_matrix(mdp, np.full(mdp.next_state.shape[:2], 1 / mdp.num_actions))
    num_strong = connected_components(graph, connection="strong", return_labels=False)
    return bool(num_strong < mdp.num_states or graph.diagonal().any())


def _check_policy(mdp: TabularMDP, policy_probs: Floats) -> None:
    """Refuse what is no table of probabilities over this process's actions."""
    shape = mdp.next_state.shape[:2]
    if policy_probs.shape != shape:
        raise UserError(f"policy_probs has shape {policy_probs.shape}; this process takes {shape}, states x actions.")
    error = np.abs(policy_probs.sum(axis=1) - 1).max(initial=0.0)
    if not error <= 1e-6 or policy_probs.min(initial=0.0) < 0:
        raise UserError(f"policy_probs: a row misses 1 by {error:.3g}; rows must be >= 0 and sum to 1.")
