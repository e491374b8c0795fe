"""Values against exact values.

Shapes: n states.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.plots.style import INK, MARKERS, SERIES, new_figure, require_lines, set_title, style_axes
from envs.errors import UserError

MAX_LEVELS = 40
Floats = NDArray[np.float64]


def value_scatter(
    panels: Mapping[str, Mapping[str, tuple[Floats, Floats]]],
    *,
    title: str,
    x_label: str = "V* (discounted reward)",
    y_label: str = "V (discounted reward)",
    subtitle: str = "dashed: V = V*; solid: mean of V; slope: least squares of V on V*, all points at once",
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
