"""The best policy without memory, where observations hide the state: exact, for small deterministic worlds.

A policy without memory is a function of the observation, so states that look alike act alike. What the best one earns
is no dynamic programme: what is right in a state depends on what is done where states look the same. It is searched for
by branch and bound (`envs.branch_and_bound`), and the bound is the best policy *with* memory. Where that is attained,
no policy at all is better, random and remembering ones included; where it is not, one that chooses at random may be
better than the best deterministic one.

Source: Singh, Jaakkola & Jordan (1994), "Learning without state-estimation in partially observable Markovian decision
processes", ICML.

Shapes: S states, A actions, M starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from envs.beliefs import Rules, list_beliefs
from envs.branch_and_bound import TOLERANCE, PolicySearch
from envs.enumeration import TabularMDP
from envs.states import Integers

MAX_NODES = 1_000_000


@dataclass(frozen=True)
class MemorylessOptimum:
    """What can be had where observations hide the state; values are means over the starts, exact to TOLERANCE.

    Attributes:
        value: Of the best deterministic policy without memory.
        with_memory: Of the best policy that remembers all it has seen and done.
        policy_probs: float64[S, A], the policy without memory; action 0 where it never comes.
    """

    value: float
    with_memory: float
    policy_probs: NDArray[np.float64]

    @property
    def needs_memory(self) -> bool:
        """Whether remembering earns more than the best deterministic policy without memory does."""
        return self.with_memory > self.value + 2 * TOLERANCE


def memoryless_optimum(
    mdp: TabularMDP, observation: Integers, *, discount: float | None = None, max_nodes: int = MAX_NODES
) -> MemorylessOptimum:
    """Find the best deterministic policy without memory.

    Starts whose trajectories can never look alike are problems of their own: as a rule one for each level.

    Args:
        mdp: A deterministic process; its start distribution weighs the starts.
        observation: int64[S], states with equal numbers look alike (`envs.beliefs.observation_numbers`).
        discount: γ in [0, 1]; the world's own where None.
        max_nodes: Choices of an action that the search may try.

    Returns:
        The optimum; it knows no time limit.

    Raises:
        UserError: Several outcomes of an action, too many beliefs or choices, or γ = 1 where a belief can come back.
    """
    gamma = mdp.discount if discount is None else discount
    rules = Rules.of(mdp, observation)
    problem = _problems(mdp, observation)[mdp.start_state]
    choices: dict[int, int] = {}
    value = with_memory = 0.0
    for label in np.unique(problem[mdp.start_probability > 0]):
        chosen = np.flatnonzero((problem == label) & (mdp.start_probability > 0))
        starts = list(zip(mdp.start_state[chosen].tolist(), mdp.start_probability[chosen].tolist(), strict=True))
        search = PolicySearch(list_beliefs(rules, starts), discount=gamma)
        max_nodes -= search.run(max_nodes=max_nodes)
        value += search.best
        with_memory += search.with_memory
        choices |= search.best_choices
    actions = np.array([choices.get(seen, 0) for seen in rules.observation])
    return MemorylessOptimum(value, with_memory, np.eye(mdp.num_actions)[actions])


def _problems(mdp: TabularMDP, observation: Integers) -> Integers:
    """Number the parts, int64[S], that share neither states nor observations: a policy is found for each by itself."""
    states = np.arange(mdp.num_states)
    source = np.concatenate([np.repeat(states, mdp.next_state[0].size), states])
    target = np.concatenate([mdp.next_state.ravel(), mdp.num_states + observation])
    kept, size = target >= 0, mdp.num_states + int(observation.max()) + 1
    links = coo_array((np.ones(int(kept.sum()), np.bool_), (source[kept], target[kept])), shape=(size, size))
    labels: Integers = connected_components(links, directed=False)[1][: mdp.num_states].astype(np.int64)
    return labels
