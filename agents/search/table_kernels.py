"""Templates of a search whose model and leaves are tables: all simulations of one tree run in one go.

Nothing is looked up in Python between two simulations and one tree stays in the cache, so this is the fast search for
enumerated worlds, and the one to test rules with.

Shape key: B trees, N nodes, X states, A actions, O outcomes, n simulations.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.search.walks import add_child, due_outcome, walk_down, walk_up


class TableArrays(NamedTuple):
    """A finite world and what its states are held to be worth.

    Attributes:
        next_state: int32[X, A, O]; −1 where the episode ends.
        probability: float64[X, A, O]; an outcome of probability 0 is never visited.
        reward: float64[X, A, O].
        logits: float64[X, A], the prior's.
        probs: float64[X, A], their softmax.
        values: float64[X], of leaves.
    """

    next_state: NDArray[np.int32]
    probability: NDArray[np.float64]
    reward: NDArray[np.float64]
    logits: NDArray[np.float64]
    probs: NDArray[np.float64]
    values: NDArray[np.float64]


def search_tables(tree, rules, root, model, work):
    """Grow all trees, whose roots are evaluated, by as many simulations as the schedule has rows.

    `root` is (noise[B, A], schedule[n, m + 1]), `work` is (states int32[B, N] with the roots' set, leaves, scores[A]).
    """
    noise, schedule = root
    states, leaves, scores = work
    for b in range(states.shape[0]):
        for simulation in range(schedule.shape[0]):
            walk_down(tree, rules, b, (noise, schedule, simulation), leaves, scores)
            if leaves.child[b] == 0:
                _expand(tree, rules, b, model, states, leaves)
            walk_up(tree, rules, b, leaves.child[b])


def _expand(tree, rules, b, model, states, leaves):
    node, action, outcome = leaves.node[b], leaves.action[b], leaves.outcome[b]
    state = states[b, node]
    if outcome < 0:
        total = 0
        for o in range(model.probability.shape[2]):
            tree.outcomes[b, node, action, o].probability = model.probability[state, action, o]
            if model.probability[state, action, o] > 0.0:
                total = o + 1
        tree.edges[b, node, action].num_outcomes = total
        outcome = due_outcome(tree, b, node, action)
    successor = model.next_state[state, action, outcome]
    reward = model.reward[state, action, outcome] * rules.reward_weight
    child = add_child(tree, leaves, b, outcome, reward, successor < 0)
    states[b, child] = successor
    if successor < 0:
        return
    added = tree.nodes[b, child]
    added.raw_value = added.value = added.weighted = model.values[successor]
    for a in range(model.logits.shape[1]):
        edge = tree.edges[b, child, a]
        edge.prior_logit, edge.prior_prob = model.logits[successor, a], model.probs[successor, a]


PARTS = (_expand,)
LOOPS = (search_tables,)
