"""Exact answers against the power of an agent, with the powers at which they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.style import MARKERS, MUTED, SERIES, new_figure, require_lines, set_title, style_axes

FEW = 20
"""Up to so many powers are marked, since what lies between them was not solved."""


@dataclass(frozen=True)
class Line:
    """One answer.

    Attributes:
        name: Whose.
        powers: Ascending.
        least: Over all optimal policies, at each power.
        most: Over all optimal policies.
    """

    name: str
    powers: Sequence[float]
    least: Sequence[float]
    most: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """Lines over the same axis.

    Attributes:
        lines: At most six.
        y_label: What they show, 0 to 1.
        thresholds: Name -> power at which something changes.
    """

    lines: Sequence[Line]
    y_label: str
    thresholds: Mapping[str, float] = field(default_factory=dict)


def phase_figure(panels: Sequence[Panel], *, title: str, subtitle: str, x_label: str) -> Figure:
    """Draw panels over one power, one above the other."""
    require_lines(panels, figure="phase_figure")
    return phase_grid({x_label: panels}, title=title, subtitle=subtitle)


def phase_grid(columns: Mapping[str, Sequence[Panel]], *, title: str, subtitle: str) -> Figure:
    """Draw a column of panels for each power; between the least and the most of an answer its colour is faint.

    Args:
        columns: Name of a power -> as many panels as in every other column, of the same answers.
        title: What is to be seen.
        subtitle: How to read it.
    """
    num_rows, width = len(next(iter(columns.values()))), 8.4 if len(columns) == 1 else 2.4 * len(columns)
    figure = new_figure(width, 1.3 + 2.2 * num_rows)
    grid = figure.subplots(num_rows, len(columns), sharex="col", squeeze=False)
    for column, (x_label, panels) in enumerate(columns.items()):
        for row, panel in enumerate(panels):
            _draw(grid[row, column], panel)
            x_name, y_name = x_label * (row == num_rows - 1), panel.y_label * (column == 0)
            style_axes(grid[row, column], x_label=x_name, y_label=y_name, grid="y")
            grid[row, column].set_ylim(-0.04, 1.06)
    # Panels show the same answers, so that one legend names them all.
    grid[-1, len(columns) // 2].legend(
        frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=3
    )
    set_title(figure, title, subtitle)
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    for index, line in enumerate(panel.lines):
        # Equal answers would hide each other: later ones are thinner and dashed.
        axes.fill_between(line.powers, line.least, line.most, color=SERIES[index], alpha=0.18, lw=0)
        width, dashes = 2.6 - 0.3 * index, "-" if index < 3 else "--"
        marker = MARKERS[index] if len(line.powers) <= FEW else ""
        axes.plot(
            line.powers, line.least, label=line.name, color=SERIES[index], lw=width, ls=dashes, marker=marker, ms=4
        )
    for height, (name, power) in enumerate(panel.thresholds.items()):
        axes.axvline(power, color=MUTED, lw=0.9, ls=":")
        axes.text(power + 0.006, 1.05 - 0.09 * height, name, fontsize=8, color=MUTED, va="top")
