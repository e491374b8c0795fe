"""A searched tree for people: its edges as records, and as indented text.

Shape key: B trees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agents.search.batched import SearchResult


@dataclass(frozen=True)
class Edge:
    """One outcome of one action, as the search knows it.

    Attributes:
        depth: of the node that it leads from; 0 at the root.
        node: where it leads from.
        child: where it leads to.
        action: which action.
        outcome: which of the action's outcomes.
        num_outcomes: how many outcomes the action has.
        prior: π(a).
        visits: N_a, of the action.
        q: Q(s, a).
        outcome_visits: N_ao.
        probability: p_o.
        reward: r_o.
        value: V of the child.
        raw_value: v̂ of the child, before anything was found below it.
        terminated: the episode ends there.
    """

    depth: int
    node: int
    child: int
    action: int
    outcome: int
    num_outcomes: int
    prior: float
    visits: int
    q: float
    outcome_visits: int
    probability: float
    reward: float
    value: float
    raw_value: float
    terminated: bool


def edges_of(
    found: SearchResult, index: int = 0, *, node: int = 0, max_depth: int | None = None
) -> Iterator[Edge]:
    """The visited edges of tree `index`, depth first from a node, the most visited action first.

    Args:
        found: a search.
        index: which tree, in [0, B).
        node: where to begin; depths are counted from it.
        max_depth: how many actions deep; None for all.
    """
    # A list in place of recursion: a tree can be as deep as it has simulations.
    waiting = _edges_at(found, (index, node), depth=0)
    while waiting:
        edge = waiting.pop()
        yield edge
        if max_depth is None or edge.depth + 1 < max_depth:
            waiting += _edges_at(found, (index, edge.child), depth=edge.depth + 1)


def _edges_at(found: SearchResult, place: tuple[int, int], *, depth: int) -> list[Edge]:
    """The visited edges of one node (tree, node), the first one last."""
    tree, edges = found.tree, []
    visits = tree.visits[place]
    for action in sorted((a for a in range(len(visits)) if visits[a]), key=lambda a: (-visits[a], a)):
        edge = (*place, action)
        for outcome in range(int(tree.num_outcomes[edge])):
            child = int(tree.child[(*edge, outcome)])
            if child == 0:
                continue
            edges.append(Edge(
                depth, place[1], child, action, outcome, int(tree.num_outcomes[edge]), float(tree.prior_probs[edge]),
                int(visits[action]), float(tree.q[edge]), int(tree.outcome_visits[(*edge, outcome)]),
                float(tree.probability[(*edge, outcome)]), float(tree.reward[(*edge, outcome)]),
                float(tree.value[place[0], child]), float(tree.raw_value[place[0], child]),
                bool(tree.terminated[place[0], child]),
            ))  # fmt: skip
    return edges[::-1]


def tree_text(
    found: SearchResult, index: int = 0, *, action_names: tuple[str, ...], max_depth: int | None = None
) -> str:
    """Tree `index` as indented lines: visits, prior and Q of every action tried, outcomes where there are several.

    Args:
        found: a search.
        index: which tree, in [0, B).
        action_names: of the world.
        max_depth: how many actions deep; None for all.
    """
    tree = found.tree
    lines = [
        f"root: value {tree.value[index, 0]:+.3f} (evaluated {tree.raw_value[index, 0]:+.3f}), "
        f"{int(tree.visits[index, 0].sum())} simulations, chooses {action_names[int(found.actions[index])]}"
    ]
    for edge in edges_of(found, index, max_depth=max_depth):
        lines.append("  " * (edge.depth + 1) + _words(edge, action_names))
    return "\n".join(lines)


def _words(edge: Edge, action_names: tuple[str, ...]) -> str:
    line = f"{action_names[edge.action]}: {edge.visits} visits, prior {edge.prior:.3f}, Q {edge.q:+.3f}"
    if edge.num_outcomes > 1:
        line += f", outcome {edge.outcome} (p {edge.probability:.3f}, {edge.outcome_visits} visits)"
    if edge.reward:
        line += f", reward {edge.reward:+g}"
    return line + (", ends" if edge.terminated else f", value {edge.value:+.3f} (evaluated {edge.raw_value:+.3f})")
