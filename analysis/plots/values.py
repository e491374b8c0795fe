"""Values against exact values, and policies drawn on their grid.

Shapes: n states, H rows, W columns, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.plots.style import (
    FAINT,
    INK,
    MARKERS,
    MUTED,
    ORANGE,
    SERIES,
    new_figure,
    require_lines,
    set_title,
    style_axes,
)
from envs.errors import UserError

MAX_LEVELS = 40
VALUE_COLOURS = ("#fdf6dc", "#f4da8a", ORANGE)
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def value_scatter(
    panels: Mapping[str, Mapping[str, tuple[Floats, Floats]]],
    *,
    title: str,
    x_label: str = "V* (discounted reward)",
    y_label: str = "V (discounted reward)",
    subtitle: str = "dashed: V = V*; solid: mean of V; slope: least squares of V on V*",
) -> Figure:
    """Draws V against V*, one panel per context (or arm) and one colour per pairing, with the slope of each.

    Args:
        panels: Panel title -> series name -> (V* float64[n], V float64[n]).
        title: What is shown.
        x_label: Quantity and unit.
        y_label: Quantity and unit.
        subtitle: How to read it.

    Returns:
        The figure, all panels on equal scales.

    Raises:
        UserError: No panel, or more than six series in one.
    """
    require_lines(list(panels), figure="value_scatter")
    if max(len(series) for series in panels.values()) > len(SERIES):
        raise UserError(f"a panel holds more than {len(SERIES)} series, which cannot be told apart; use more panels")
    columns = min(len(panels), 4)
    rows = -(-len(panels) // columns)
    figure = new_figure(max(4.6, 0.5 + 3.0 * columns), 1.0 + 3.1 * rows)
    grid = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)).ravel()
    low, high = _common_range(panels)
    for number, (axes, (name, series)) in enumerate(zip(grid, panels.items(), strict=False)):
        axes.plot([low, high], [low, high], color=INK, lw=1.0, ls=(0, (5, 3)), zorder=1)
        for index, (label, (optimal, values)) in enumerate(series.items()):
            _draw_series(axes, optimal, values, label=label, index=index)
        axes.set_title(name, fontsize=10, color=INK, loc="left")
        axes.legend(frameon=False, fontsize=8, loc="upper left", handletextpad=0.2, borderaxespad=0.1)
        in_last_row, in_first_column = number + columns >= len(panels), number % columns == 0
        style_axes(axes, x_label=x_label if in_last_row else "", y_label=y_label if in_first_column else "")
        axes.tick_params(labelbottom=in_last_row)
        axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    set_title(figure, title, subtitle)
    return figure


def _draw_series(axes: Axes, optimal: Floats, values: Floats, *, label: str, index: int) -> None:
    """Points of one series, faint where they are many, their means where V* has few values, and the slope."""
    alpha = float(np.clip(60.0 / max(len(values), 1), 0.03, 0.8))
    centred = optimal - optimal.mean()
    slope = f"{(centred @ values) / (centred @ centred):.2f}" if float(centred @ centred) > 1e-18 else "undefined"
    marker, color = MARKERS[index], SERIES[index]
    axes.plot(optimal, values, ls="", marker=marker, ms=4, mfc=color, mec="none", alpha=alpha, zorder=2)
    levels, level = np.unique(optimal.round(9), return_inverse=True)
    if 1 < len(levels) <= MAX_LEVELS:
        # Series that lie on each other hide each other's dots; their means at each value of V* stay visible.
        means = np.bincount(level, values) / np.bincount(level)
        axes.plot(levels, means, marker=marker, ms=5, lw=1.4, color=color, mec="white", mew=0.7, zorder=3 + index)
    axes.plot([], [], ls="", marker=marker, ms=6, color=color, label=f"{label}: slope {slope}".lstrip(": "))


def _common_range(panels: Mapping[str, Mapping[str, tuple[Floats, Floats]]]) -> tuple[float, float]:
    """Smallest range that holds all values, widened by 4 %."""
    every = np.concatenate([np.concatenate(pair) for series in panels.values() for pair in series.values()])
    pad = 0.04 * max(float(np.ptp(every)), 1e-9)
    return float(every.min()) - pad, float(every.max()) + pad


def policy_field(
    policy_probs: Floats,
    directions: Sequence[tuple[int, int]],
    *,
    title: str,
    walls: Bools | None = None,
    objects: Mapping[str, tuple[int, int]] | None = None,
    values: Floats | None = None,
    value_label: str = "V (discounted reward)",
    subtitle: str = "arrow: mean move under the policy, longest where it is certain",
) -> Figure:
    """Draws the mean move sum_a pi(a | cell) direction_a of a policy at every cell where the agent may stand.

    Args:
        policy_probs: float64[H, W, A], rows of probabilities; NaN at cells that are not drawn.
        directions: A pairs (row step, column step), rows counted downwards.
        title: What is shown, with the context.
        walls: bool[H, W], drawn dark.
        objects: Name -> (row, column), written in its cell.
        values: float64[H, W], the cell's colour; NaN leaves a cell white.
        value_label: Quantity and unit of the colour.
        subtitle: How to read it.

    Returns:
        The figure.

    Raises:
        UserError: Shapes that do not fit each other.
    """
    height, width, num_actions = policy_probs.shape
    if num_actions != len(directions):
        raise UserError(f"the policy has {num_actions} actions, but {len(directions)} directions were given")
    figure = new_figure(0.9 + 0.52 * width + (0.9 if values is not None else 0.0), 1.2 + 0.52 * height)
    axes = figure.subplots()
    if values is not None:
        _draw_values(figure, axes, values, label=value_label)
    move = policy_probs @ np.asarray(directions, dtype=np.float64)
    walls = np.zeros((height, width), dtype=np.bool_) if walls is None else walls
    inside: Bools = np.asarray(np.isfinite(move).all(axis=2) & ~walls)
    for cell in (objects or {}).values():
        inside[cell] = False
    _draw_cells(axes, walls)
    rows, columns = np.nonzero(inside)
    down, right = move[rows, columns].T
    axes.quiver(
        columns, rows, right, -down, pivot="mid", color=INK, units="xy", angles="uv", scale=1.25, width=0.055, zorder=3
    )
    _draw_objects(axes, objects or {})
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    set_title(figure, title, subtitle)
    return figure


def _draw_values(figure: Figure, axes: Axes, values: Floats, *, label: str) -> None:
    """Colours the cells by value, with a scale that stays light enough for dark arrows."""
    image = axes.imshow(values, cmap=LinearSegmentedColormap.from_list("value", VALUE_COLOURS), zorder=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.03)
    bar.set_label(label, fontsize=10, color=INK)
    bar.ax.tick_params(labelsize=9, colors=MUTED, labelcolor=INK)
    bar.outline.set_visible(False)


def _draw_cells(axes: Axes, walls: Bools) -> None:
    """Thin grid lines, and walls as dark cells."""
    for row, column in np.ndindex(*walls.shape):
        face = MUTED if walls[row, column] else "none"
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=face, edgecolor=FAINT, lw=0.8, zorder=1))


def _draw_objects(axes: Axes, objects: Mapping[str, tuple[int, int]]) -> None:
    """Each object as a coloured mark with its name's first letter or number."""
    for index, (name, (row, column)) in enumerate(objects.items()):
        color = SERIES[index % len(SERIES)]
        axes.plot(column, row, marker="o", ms=21, mfc=color, mec=INK, mew=1.0, zorder=4)
        axes.annotate(
            name, (column, row), ha="center", va="center", fontsize=9, fontweight="bold", color="white", zorder=5
        )
