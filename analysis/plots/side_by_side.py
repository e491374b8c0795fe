"""Numbers of several arms over training seeds, one small panel for each number."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from analysis.plots.style import SERIES, SeedScores, new_figure, require_lines, seed_dots, set_title, style_axes


def seed_panels(
    panels: Mapping[str, Sequence[SeedScores]], *, title: str, subtitle: str = "", num_columns: int = 2
) -> Figure:
    """Draws every seed of every arm, with the mean and its interval where there is one; each panel has its own scale.

    Args:
        panels: What is scored -> arms, from top to bottom.
        title: What is shown.
        subtitle: How intervals were made.
        num_columns: Panels side by side.

    Raises:
        UserError: No panel.
    """
    require_lines(list(panels), figure="seed_panels")
    num_rows = -(-len(panels) // num_columns)
    most = max(len(lines) for lines in panels.values())
    deepest = max(_label(line.name).count("\n") for lines in panels.values() for line in lines)
    figure = new_figure(4.6 * num_columns, 1.0 + num_rows * (0.75 + (0.32 + 0.15 * deepest) * most))
    grid = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axes, (name, lines) in zip(grid, panels.items(), strict=False):
        for index, line in enumerate(lines):
            seed_dots(axes, line, position=-index, color=SERIES[index % len(SERIES)])
        axes.set_yticks([-index for index in range(len(lines))], [_label(line.name) for line in lines])
        axes.set_ylim(-len(lines) + 0.4, 0.6)
        axes.set_title(textwrap.fill(name, 42), fontsize=9.5, loc="left")
        style_axes(axes, grid="x")
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    set_title(figure, title, subtitle)
    return figure


def _label(name: str) -> str:
    """A name that leaves room for what it names."""
    return textwrap.fill(name, 24)
