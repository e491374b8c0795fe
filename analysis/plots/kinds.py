"""How many agents are of which kind, as stacked bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.style import BLUE, FAINT, GREEN, INK, MUTED, RED, new_figure, require_lines, set_title, style_axes

KIND_COLOURS = {"RT": RED, "IR": BLUE, "NS": GREEN, "other": MUTED, "ambiguous": FAINT}
Bars = Mapping[str, Mapping[str, int]]
"""Label of a bar -> kind -> number of agents."""


def kind_bars(
    panels: Mapping[tuple[str, str], Bars], *, title: str, x_label: str, subtitle: str = "", kinds: Sequence[str] = ()
) -> Figure:
    """Draws one panel for each row and column name, bars from left to right, kinds from below.

    Args:
        panels: (row name, column name) -> bars.
        title: What is shown.
        x_label: What the labels of the bars are.
        subtitle: How to read it.
        kinds: Kinds from below upwards; those of `KIND_COLOURS` where left out.
    """
    require_lines(list(panels), figure="kind_bars")
    rows, columns = (list(dict.fromkeys(key[axis] for key in panels)) for axis in (0, 1))
    figure = new_figure(1.6 + 1.75 * len(columns), 1.6 + 1.15 * len(rows))
    grid = figure.subplots(len(rows), len(columns), sharex="col", sharey=True, squeeze=False)
    for (row, column), bars in panels.items():
        i, j = rows.index(row), columns.index(column)
        _stack(grid[i, j], bars, kinds or list(KIND_COLOURS))
        style_axes(grid[i, j], x_label=x_label if i == len(rows) - 1 else "", y_label=row if j == 0 else "")
        if i == 0:
            grid[i, j].set_title(column, fontsize=10, color=INK, loc="left")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    set_title(figure, title, subtitle)
    return figure


def _stack(axes: Axes, bars: Bars, kinds: Sequence[str]) -> None:
    below = np.zeros(len(bars))
    for kind in kinds:
        heights = np.array([counts.get(kind, 0) for counts in bars.values()], np.float64)
        axes.bar(
            range(len(bars)), heights, bottom=below, width=0.78, color=KIND_COLOURS.get(kind, MUTED), label=kind,
            edgecolor="white", linewidth=0.6,
        )  # fmt: skip
        below += heights
    axes.set_xticks(range(len(bars)), labels=list(bars))
