"""One searched tree: what was tried, how often, and what it was found to be worth."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from agents.search.batched import SearchResult
from agents.search.reading import Edge, edges_of
from analysis.plots.style import FAINT, INK, MUTED, new_figure, set_title
from envs.errors import UserError

_LARGEST = 620.0
_COLOURS = "viridis"


def draw_tree(
    found: SearchResult,
    index: int = 0,
    *,
    action_names: Sequence[str],
    title: str,
    subtitle: str = "",
    min_visits: int = 1,
    max_nodes: int = 80,
) -> Figure:
    """Draw tree `index` from left to right.

    A circle is a node, as large as its visits and coloured by its value; a white square is an end. A line is one
    outcome of an action, as wide as its visits, dashed where chance decides; the path of most visits is black.

    Args:
        found: a search.
        index: which tree, in [0, B).
        action_names: of the world.
        title: what is shown.
        subtitle: how to read it.
        min_visits: nodes with fewer visits are left out.
        max_nodes: of the nodes that are left, the most visited ones are drawn.

    Raises:
        UserError: nothing is left to draw.
    """
    edges = _chosen(found, index, min_visits=min_visits, max_nodes=max_nodes)
    if not edges:
        raise UserError(f"The tree has no node with {min_visits} visits to draw; give a smaller min_visits.")
    places = _places(edges)
    values = [float(found.tree.value[index, 0])] + [edge.value for edge in edges]
    shown = [values[0]] + [edge.value for edge in edges if not edge.terminated]
    scale = Normalize(min(shown), max(max(shown), min(shown) + 1e-9))
    figure = new_figure(8.0, max(3.2, 0.8 + 0.26 * len({place[1] for place in places.values()})))
    axes = figure.subplots()
    total = int(found.tree.visits[index, 0].sum())
    best = _best_path(edges)
    for edge in edges:
        _draw_edge(axes, edge, places, total=total, is_best=edge.child in best, action_names=action_names)
    nodes = [(0, total, values[0], False)]
    nodes += [(e.child, e.outcome_visits, v, e.terminated) for e, v in zip(edges, values[1:], strict=True)]
    for node, visits, value, ended in nodes:
        size = 24 + _LARGEST * visits / total / 4
        colour = "white" if ended else mpl.colormaps[_COLOURS](scale(value))
        axes.scatter(*places[node], s=size, color=colour, marker="s" if ended else "o", ec=INK, lw=0.8, zorder=3)
    axes.set_axis_off()
    axes.margins(0.06)
    bar = figure.colorbar(mpl.cm.ScalarMappable(scale, _COLOURS), ax=axes, shrink=0.6, pad=0.02)
    bar.set_label("value of the node", fontsize=9)
    set_title(figure, title, subtitle)
    return figure


def _chosen(found: SearchResult, index: int, *, min_visits: int, max_nodes: int) -> list[Edge]:
    """The edges to draw, depth first; a node is never drawn without its parent, which has as many visits at least."""
    edges = [edge for edge in edges_of(found, index) if edge.outcome_visits >= min_visits]
    if len(edges) > max_nodes:
        ranked = sorted(range(len(edges)), key=lambda i: (-edges[i].outcome_visits, edges[i].depth, i))
        edges = [edges[i] for i in sorted(ranked[:max_nodes])]
    drawn, kept = {0}, []
    for edge in edges:
        if edge.node in drawn:
            drawn.add(edge.child)
            kept.append(edge)
    return kept


def _places(edges: list[Edge]) -> dict[int, tuple[float, float]]:
    """(x, y) of every node: depth to the right, childless nodes one below the other, parents amid their children."""
    children: dict[int, list[int]] = {0: []}
    depth = {0: 0}
    for edge in edges:
        children.setdefault(edge.node, []).append(edge.child)
        depth[edge.child] = edge.depth + 1
    heights: dict[int, float] = {}
    next_row = 0.0
    for edge in edges:
        if not children.get(edge.child):
            heights[edge.child] = next_row
            next_row -= 1.0
    for node in sorted(depth, key=lambda n: -depth[n]):
        if node not in heights:
            heights[node] = float(np.mean([heights[child] for child in children[node]]))
    return {node: (float(depth[node]), heights[node]) for node in depth}


def _best_path(edges: list[Edge]) -> set[int]:
    """The nodes that the most visited outcomes of the most visited actions lead to, from the root on."""
    path: set[int] = set()
    node = 0
    while True:
        here = [edge for edge in edges if edge.node == node]
        if not here:
            return path
        node = max(here, key=lambda edge: (edge.visits, edge.outcome_visits, -edge.action)).child
        path.add(node)


def _draw_edge(
    axes: Axes, edge: Edge, places: dict[int, tuple[float, float]], *, total: int, is_best: bool,
    action_names: Sequence[str],
) -> None:  # fmt: skip
    start, end = places[edge.node], places[edge.child]
    colour = INK if is_best else FAINT
    style = "--" if edge.num_outcomes > 1 else "-"
    axes.plot(
        *zip(start, end, strict=True), color=colour, ls=style, lw=0.6 + 3.0 * edge.outcome_visits / total, zorder=1
    )
    label = action_names[edge.action] + (f", p {edge.probability:.2g}" if edge.num_outcomes > 1 else "")
    label += f" ({edge.outcome_visits})" + (f", reward {edge.reward:+g}" if edge.reward else "")
    x, y = (0.4 * a + 0.6 * b for a, b in zip(start, end, strict=True))
    box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"}
    axes.text(x, y, label, fontsize=7, color=INK if is_best else MUTED, ha="center", va="center", zorder=2, bbox=box)
