"""The tree of a batched search: which node hangs where, how often it was visited, and what it is worth.

Node 0 is the root of every tree. A child of an edge (s, a) is one chance outcome o of it; the outcome that a visit
takes is argmax_o p_o·(N_a + 1) − N_ao, so that frequencies follow probabilities as closely as whole numbers can, and

    Q(s, a) = Σ_o p_o·(r_o + γ·V_o) / Σ_o p_o  over the outcomes o visited,
    V(s)    = (v̂(s) + Σ_a N_a·Q(s, a)) / (1 + Σ_a N_a),

which in a deterministic world is the mean of all returns that were backed up through s.

Shape key: B trees, N nodes, A actions, O outcomes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
