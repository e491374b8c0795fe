"""The tree of a batched search: arrays that say which node hangs where, and templates of the walks down and up.

Node 0 is the root of every tree. A child of an edge (s, a) is one chance outcome o of it; the outcome that a visit
takes is argmax_o p_o·(N_a + 1) − N_ao, so that frequencies follow probabilities as closely as whole numbers can, and

    Q(s, a) = Σ_o p_o·(r_o + γ·V_o) / Σ_o p_o  over the outcomes o visited,
    V(s)    = (v̂(s) + Σ_a N_a·Q(s, a)) / (1 + Σ_a N_a),

which in a deterministic world is the mean of all returns that were backed up through s.

Shape key: B trees, N nodes, A actions, O outcomes.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.search.rules import decide, next_action

Floats = NDArray[np.float64]
Counts = NDArray[np.int32]


class Tree(NamedTuple):
    """B trees side by side.

    Attributes:
        num_nodes: int32[B], nodes in use; the others hold zeros.
        parent: int32[B, N], node that this one hangs from; −1 at the root.
        parent_action: int32[B, N], and under which action,
        parent_outcome: int32[B, N], and which outcome of it.
        terminated: bool[B, N], the episode has ended; such a node has no children.
        raw_value: float64[B, N], v̂, what the leaf's evaluation said; 0 where terminated and the tree holds rewards.
        value: float64[B, N], V, with what the search has found below.
        prior_logits: float64[B, N, A], −inf for an illegal action.
        prior_probs: float64[B, N, A], their softmax π.
        visits: int32[B, N, A], N_a.
        q: float64[B, N, A], Q(s, a); 0 where there is no visit.
        num_outcomes: int32[B, N, A], outcomes of the edge; 0 until its first visit.
        child: int32[B, N, A, O], the node of each outcome; 0 where it has not been visited.
        probability: float64[B, N, A, O], p_o; 0 until the first visit.
        reward: float64[B, N, A, O], r_o; 0 where not visited.
        outcome_visits: int32[B, N, A, O], N_ao.
    """

    num_nodes: Counts
    parent: Counts
    parent_action: Counts
    parent_outcome: Counts
    terminated: NDArray[np.bool_]
    raw_value: Floats
    value: Floats
    prior_logits: Floats
    prior_probs: Floats
    visits: Counts
    q: Floats
    num_outcomes: Counts
    child: Counts
    probability: Floats
    reward: Floats
    outcome_visits: Counts

    @classmethod
    def empty(cls, num_trees: int, num_nodes: int, *, num_actions: int, num_outcomes: int) -> Tree:
        """Trees of one root each, which is not evaluated yet."""
        nodes, edges = (num_trees, num_nodes), (num_trees, num_nodes, num_actions)
        outcomes = (*edges, num_outcomes)
        parent = np.zeros(nodes, np.int32)
        parent[:, 0] = -1
        return cls(
            np.ones(num_trees, np.int32), parent, np.zeros(nodes, np.int32), np.zeros(nodes, np.int32),
            np.zeros(nodes, np.bool_), np.zeros(nodes), np.zeros(nodes), np.zeros(edges), np.zeros(edges),
            np.zeros(edges, np.int32), np.zeros(edges), np.zeros(edges, np.int32), np.zeros(outcomes, np.int32),
            np.zeros(outcomes), np.zeros(outcomes), np.zeros(outcomes, np.int32),
        )  # fmt: skip


class Leaves(NamedTuple):
    """Where the walk down has come to in each tree.

    Attributes:
        node: int32[B], the last node that was there already.
        action: int32[B], the action chosen at it.
        outcome: int32[B], the outcome that is due; −1 where the edge has had no visit, so that its outcomes are
            unknown.
        child: int32[B], the node that the simulation ends at: one that has terminated, or a new one, as soon as
            `add_child` has made it; 0 before.
    """

    node: Counts
    action: Counts
    outcome: Counts
    child: Counts

    @classmethod
    def empty(cls, num_trees: int) -> Leaves:
        """Room for the leaves of B trees."""
        return cls(*(np.zeros(num_trees, np.int32) for _ in cls._fields))


def walk_down(tree, rules, b, root, leaves, scores):
    """Follow the rules from the root of tree b to an outcome that has no node yet, or to one that has terminated."""
    node, outcome, child = 0, 0, 0
    action = next_action(tree, rules, b, node, root, scores)
    while True:
        outcome, child = -1, 0
        if tree.num_outcomes[b, node, action] > 0:
            outcome = due_outcome(tree, b, node, action)
            child = tree.child[b, node, action, outcome]
        if child == 0 or tree.terminated[b, child]:
            break
        node = child
        action = next_action(tree, rules, b, node, root, scores)
    leaves.node[b], leaves.action[b], leaves.outcome[b], leaves.child[b] = node, action, outcome, child


def due_outcome(tree, b, node, action):
    """argmax_o p_o·(N_a + 1) − N_ao; the lowest outcome among equals."""
    count = tree.visits[b, node, action] + 1.0
    best, best_score = 0, -np.inf
    for o in range(tree.num_outcomes[b, node, action]):
        score = tree.probability[b, node, action, o] * count - tree.outcome_visits[b, node, action, o]
        if score > best_score:
            best, best_score = o, score
    return best


def add_child(tree, leaves, b, outcome, reward, terminated):
    """Hang a new node on the edge that the walk has come to; returns its number."""
    node, action = leaves.node[b], leaves.action[b]
    child = tree.num_nodes[b]
    tree.num_nodes[b] = child + 1
    tree.parent[b, child], tree.parent_action[b, child], tree.parent_outcome[b, child] = node, action, outcome
    tree.child[b, node, action, outcome] = child
    tree.reward[b, node, action, outcome] = reward
    tree.terminated[b, child] = terminated
    leaves.outcome[b], leaves.child[b] = outcome, child
    return child


def walk_up(tree, rules, b, leaf):
    """Count one visit on every edge from the leaf to the root of tree b, and bring Q and V up to date."""
    node = leaf
    while node > 0:
        parent, action = tree.parent[b, node], tree.parent_action[b, node]
        tree.visits[b, parent, action] += 1
        tree.outcome_visits[b, parent, action, tree.parent_outcome[b, node]] += 1
        _update_q(tree, rules, b, parent, action)
        total, weighted = 1.0, tree.raw_value[b, parent]
        for a in range(tree.visits.shape[2]):
            total += tree.visits[b, parent, a]
            weighted += tree.visits[b, parent, a] * tree.q[b, parent, a]
        tree.value[b, parent] = weighted / total
        node = parent


def _update_q(tree, rules, b, node, action):
    mass, weighted = 0.0, 0.0
    for o in range(tree.num_outcomes[b, node, action]):
        if tree.outcome_visits[b, node, action, o] > 0:
            probability = tree.probability[b, node, action, o]
            mass += probability
            successor = tree.value[b, tree.child[b, node, action, o]]
            weighted += probability * (tree.reward[b, node, action, o] + rules.discount * successor)
    tree.q[b, node, action] = weighted / mass


def walk_all_down(tree, rules, root, leaves, scores):
    """Choose the leaf of one simulation in every tree."""
    for b in range(tree.num_nodes.size):
        walk_down(tree, rules, b, root, leaves, scores)


def walk_all_up(tree, rules, leaves):
    """Back up from the leaves of all trees."""
    for b in range(tree.num_nodes.size):
        walk_up(tree, rules, b, leaves.child[b])


def decide_all(tree, rules, noise, scores, decisions):
    """Write the action int64[B] and the improved policy float64[B, A] of every tree."""
    actions, policy = decisions
    for b in range(actions.size):
        actions[b] = decide(tree, rules, b, noise, scores)
        for a in range(scores.size):
            policy[b, a] = scores[a]


def write_evaluations(tree, trees, nodes, logits, values):
    """Store what the evaluation says of M nodes, `nodes[i]` of tree `trees[i]`: logits[M, A] and values[M]."""
    for i in range(trees.size):
        write_evaluation(tree, trees[i], nodes[i], logits, values, i)


def write_evaluation(tree, b, node, logits, values, i):
    """Store row i of logits[M, A] and values[M] at a node."""
    num_actions = logits.shape[1]
    top = -np.inf
    for a in range(num_actions):
        top = max(top, logits[i, a])
    norm = 0.0
    for a in range(num_actions):
        tree.prior_logits[b, node, a] = logits[i, a]
        tree.prior_probs[b, node, a] = np.exp(logits[i, a] - top)
        norm += tree.prior_probs[b, node, a]
    for a in range(num_actions):
        tree.prior_probs[b, node, a] /= norm
    tree.raw_value[b, node] = values[i]
    tree.value[b, node] = values[i]


PARTS = (walk_down, due_outcome, add_child, walk_up, write_evaluation, _update_q)
LOOPS = (walk_all_down, walk_all_up, write_evaluations, decide_all)
