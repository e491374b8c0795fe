"""Templates of the walks down a tree and back up. See `envs.compilation`, and `agents.search.tree` for what is kept.

Shape key: B trees, N nodes, A actions, O outcomes, M evaluations.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.search.rules import decide, next_action
from agents.search.tree import Counts


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
        if tree.edges[b, node, action].num_outcomes > 0:
            outcome = due_outcome(tree, b, node, action)
            child = tree.outcomes[b, node, action, outcome].child
        if child == 0 or tree.nodes[b, child].terminated:
            break
        node = child
        action = next_action(tree, rules, b, node, root, scores)
    leaves.node[b], leaves.action[b], leaves.outcome[b], leaves.child[b] = node, action, outcome, child


def due_outcome(tree, b, node, action):
    """argmax_o p_o·(N_a + 1) − N_ao; the lowest outcome among equals."""
    edge = tree.edges[b, node, action]
    if edge.num_outcomes == 1:
        return 0
    count = edge.visits + 1.0
    best, best_score = 0, -np.inf
    for o in range(edge.num_outcomes):
        outcome = tree.outcomes[b, node, action, o]
        score = outcome.probability * count - outcome.visits
        if score > best_score:
            best, best_score = o, score
    return best


def add_child(tree, leaves, b, outcome, reward, terminated):
    """Hang a new node on the edge that the walk has come to; returns its number."""
    node, action = leaves.node[b], leaves.action[b]
    child = tree.num_nodes[b]
    tree.num_nodes[b] = child + 1
    added, branch = tree.nodes[b, child], tree.outcomes[b, node, action, outcome]
    added.parent, added.action, added.outcome, added.terminated = node, action, outcome, terminated
    branch.child, branch.reward = child, reward
    leaves.outcome[b], leaves.child[b] = outcome, child
    return child


def walk_up(tree, rules, b, leaf):
    """Count one visit on every edge from the leaf to the root of tree b, and bring Q and V up to date.

    A node keeps N and v̂ + Σ_a N_a·Q(s, a), so that only the edge that was taken is looked at.
    """
    number = leaf
    while number > 0:
        node = tree.nodes[b, number]
        parent, edge = tree.nodes[b, node.parent], tree.edges[b, node.parent, node.action]
        outcome = tree.outcomes[b, node.parent, node.action, node.outcome]
        before = edge.visits * edge.q
        edge.visits += 1
        outcome.visits += 1
        if edge.num_outcomes == 1:
            edge.q = outcome.reward + rules.discount * node.value
        else:
            edge.q = _mean_over_outcomes(tree, rules, b, node.parent, node.action)
        parent.visits += 1
        parent.weighted += edge.visits * edge.q - before
        parent.value = parent.weighted * rules.inverse[parent.visits + 1]
        number = node.parent


def _mean_over_outcomes(tree, rules, b, node, action):
    mass, weighted = 0.0, 0.0
    for o in range(tree.edges[b, node, action].num_outcomes):
        outcome = tree.outcomes[b, node, action, o]
        if outcome.visits > 0:
            mass += outcome.probability
            successor = tree.nodes[b, outcome.child].value
            weighted += outcome.probability * (outcome.reward + rules.discount * successor)
    return weighted / mass


def turn_all(tree, rules, root, leaves, work):
    """In every tree: store the new evaluation, back it up, and walk down to the leaf of the next simulation.

    One pass, since a tree is in the cache then. `work` is (scores[A], trees[M], nodes[M], logits[M, A], values[M]) with
    M evaluations in the order of trees; `root` is that of `next_action`, None after the last simulation. Returns −1, or
    the first tree whose evaluation is not finite.
    """
    scores, trees, nodes, logits, values = work
    i = 0
    for b in range(tree.num_nodes.size):
        if i < trees.size and trees[i] == b:
            if not write_evaluation(tree, b, nodes[i], logits, values, i):
                return b
            i += 1
        walk_up(tree, rules, b, leaves.child[b])
        if root is not None:
            walk_down(tree, rules, b, root, leaves, scores)
    return -1


def decide_all(tree, rules, noise, scores, decisions):
    """Write the action int64[B] and the improved policy float64[B, A] of every tree."""
    actions, policy = decisions
    for b in range(actions.size):
        actions[b] = decide(tree, rules, b, noise, scores)
        for a in range(scores.size):
            policy[b, a] = scores[a]


def write_evaluations(tree, nodes, logits, values):
    """Store logits[B, A] and values[B] at one node of every tree; returns −1, or the first that is not finite."""
    for b in range(nodes.size):
        if not write_evaluation(tree, b, nodes[b], logits, values, b):
            return b
    return -1


def write_evaluation(tree, b, node, logits, values, i):
    """Store row i of logits[M, A] and values[M]; returns whether it is finite but for logits of −inf."""
    top, sound = -np.inf, np.isfinite(values[i])
    for a in range(logits.shape[1]):
        sound &= logits[i, a] < np.inf
        if logits[i, a] > top:
            top = logits[i, a]
    if not sound or top == -np.inf:
        return False
    norm = 0.0
    for a in range(logits.shape[1]):
        edge = tree.edges[b, node, a]
        edge.prior_logit = logits[i, a]
        edge.prior_prob = np.exp(logits[i, a] - top)
        norm += edge.prior_prob
    for a in range(logits.shape[1]):
        tree.edges[b, node, a].prior_prob /= norm
    evaluated = tree.nodes[b, node]
    evaluated.raw_value = evaluated.value = evaluated.weighted = values[i]
    return True


PARTS = (walk_down, due_outcome, add_child, walk_up, write_evaluation, _mean_over_outcomes)
LOOPS = (turn_all, write_evaluations, decide_all)
