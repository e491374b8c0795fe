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


NODE = np.dtype(
    [
        ("raw_value", "f8"), ("value", "f8"), ("weighted", "f8"), ("visits", "i4"), ("parent", "i4"),
        ("action", "i2"), ("outcome", "i2"), ("terminated", "?"),
    ],
    align=True,
)  # fmt: skip
EDGE = np.dtype(
    [("prior_logit", "f8"), ("prior_prob", "f8"), ("q", "f8"), ("visits", "i4"), ("num_outcomes", "i4")], align=True
)
OUTCOME = np.dtype([("probability", "f8"), ("reward", "f8"), ("child", "i4"), ("visits", "i4")], align=True)


class Tree(NamedTuple):
    """B trees side by side, in records, so that what is read together lies together; properties give the columns.

    Attributes:
        num_nodes: int32[B], nodes in use; the others hold zeros.
        nodes: NODE[B, N].
        edges: EDGE[B, N, A].
        outcomes: OUTCOME[B, N, A, O].
    """

    num_nodes: Counts
    nodes: NDArray[np.void]
    edges: NDArray[np.void]
    outcomes: NDArray[np.void]

    @classmethod
    def empty(cls, num_trees: int, num_nodes: int, *, num_actions: int, num_outcomes: int) -> Tree:
        """Trees of one root each, which is not evaluated yet."""
        edges = (num_trees, num_nodes, num_actions)
        nodes = np.zeros((num_trees, num_nodes), NODE)
        nodes["parent"][:, 0] = -1
        outcomes = np.zeros((*edges, num_outcomes), OUTCOME)
        return cls(np.ones(num_trees, np.int32), nodes, np.zeros(edges, EDGE), outcomes)

    @property
    def parent(self) -> Counts:
        """int32[B, N], the node that this one hangs from; −1 at the root."""
        return self.nodes["parent"]

    @property
    def terminated(self) -> NDArray[np.bool_]:
        """bool[B, N], the episode has ended; such a node has no children."""
        return self.nodes["terminated"]

    @property
    def raw_value(self) -> Floats:
        """float64[B, N], v̂, what the leaf's evaluation said; 0 where terminated and the tree holds rewards."""
        return self.nodes["raw_value"]

    @property
    def value(self) -> Floats:
        """float64[B, N], V, with what the search has found below."""
        return self.nodes["value"]

    @property
    def prior_logits(self) -> Floats:
        """float64[B, N, A], −inf for an illegal action."""
        return self.edges["prior_logit"]

    @property
    def prior_probs(self) -> Floats:
        """float64[B, N, A], π, the softmax of the logits."""
        return self.edges["prior_prob"]

    @property
    def visits(self) -> Counts:
        """int32[B, N, A], N_a."""
        return self.edges["visits"]

    @property
    def q(self) -> Floats:
        """float64[B, N, A], Q(s, a); 0 where there is no visit."""
        return self.edges["q"]

    @property
    def num_outcomes(self) -> Counts:
        """int32[B, N, A], outcomes of the edge; 0 until its first visit."""
        return self.edges["num_outcomes"]

    @property
    def child(self) -> Counts:
        """int32[B, N, A, O], the node of each outcome; 0 where it has not been visited."""
        return self.outcomes["child"]

    @property
    def probability(self) -> Floats:
        """float64[B, N, A, O], p_o; 0 until the edge's first visit."""
        return self.outcomes["probability"]

    @property
    def reward(self) -> Floats:
        """float64[B, N, A, O], r_o; 0 where not visited."""
        return self.outcomes["reward"]

    @property
    def outcome_visits(self) -> Counts:
        """int32[B, N, A, O], N_ao."""
        return self.outcomes["visits"]


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
