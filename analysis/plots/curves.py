"""Scores against training, every seed shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from analysis.plots.style import INK, MUTED, SERIES, new_figure, require_lines, set_title, style_axes
from analysis.statistics import pointwise_intervals
from envs.errors import UserError


@dataclass(frozen=True)
class LearningCurve:
    """Scores of one arm during training.

    Attributes:
        name: Its label.
        steps: float64[T], ascending.
        scores: float64[number of seeds, T].
    """

    name: str
    steps: NDArray[np.float64]
    scores: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CurvePanel:
    """Curves of one quantity.

    Attributes:
        title: What is shown.
        curves: At most six; a name has the same place in all panels of a figure.
        references: Named horizontal lines.
    """

    title: str
    curves: Sequence[LearningCurve]
    references: Mapping[str, float]


def learning_curves(
    curves: Sequence[LearningCurve],
    *,
    title: str,
    x_label: str = "environment steps",
    y_label: str = "return per episode",
    references: Mapping[str, float] | None = None,
) -> Figure:
    """Draws each seed as a thin line, and the mean with its pointwise 95 % t interval where there are 3 seeds or more.

    Args:
        curves: At most six, in the order of the legend.
        title: What is shown.
        x_label: Quantity and unit.
        y_label: Quantity and unit.
        references: Named horizontal lines, such as the exact optimum.

    Returns:
        The figure.

    Raises:
        UserError: No curve, more curves than colours, or steps and scores of different lengths.
    """
    require_lines(curves, figure="learning_curves")
    figure = new_figure(6.8, 4.2)
    axes = figure.subplots()
    _draw_panel(axes, curves, references or {}, x_label=x_label, y_label=y_label)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9, loc="lower right")
    set_title(figure, title, _caption(curves))
    return figure


def curve_panels(rows: Sequence[Sequence[CurvePanel]], *, title: str, subtitle: str, x_label: str) -> Figure:
    """Small multiples of `learning_curves`, row by row; raises as it does.

    Args:
        rows: Panels from top to bottom and left to right; one without curves leaves its place empty.
        title: What is shown.
        subtitle: How to read it; what lines and bands are is said below.
        x_label: Quantity and unit.
    """
    require_lines([curve for row in rows for panel in row for curve in panel.curves], figure="curve_panels")
    figure = new_figure(max(6.8, 3.6 * len(rows[0])), 1.4 + 3.0 * len(rows))
    named: dict[str, Line2D] = {}
    for line, row in zip(figure.subplots(len(rows), len(rows[0]), squeeze=False), rows, strict=True):
        for axes, panel in zip(line, row, strict=True):
            axes.set_visible(bool(panel.curves))
            _draw_panel(axes, panel.curves, panel.references, x_label=x_label, y_label="")
            axes.set_title(panel.title, fontsize=9.5, color=INK, loc="left")
            handles, names = axes.get_legend_handles_labels()
            named |= dict(zip(names, handles, strict=True))
    figure.legend(
        list(named.values()), list(named), loc="outside lower left", ncols=min(3, len(named)), frameon=False, fontsize=9
    )
    caption = _caption([curve for row in rows for panel in row for curve in panel.curves])
    set_title(figure, title, f"{subtitle}\n{caption}")
    return figure


def _draw_panel(
    axes: Axes, curves: Sequence[LearningCurve], references: Mapping[str, float], *, x_label: str, y_label: str
) -> None:
    if len(curves) > len(SERIES):
        raise UserError(f"{len(curves)} curves in one figure; at most {len(SERIES)} can be told apart, so draw several")
    for name, level in references.items():
        axes.axhline(level, color=MUTED, lw=1.1, ls=(0, (5, 3)), zorder=1)
        axes.annotate(
            name, (0.995, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=9, color=MUTED
        )
    for curve, color in zip(curves, SERIES, strict=False):
        _draw_curve(axes, curve, color=color)
    style_axes(axes, x_label=x_label, y_label=y_label, grid="y")
    axes.margins(x=0.02)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _draw_curve(axes: Axes, curve: LearningCurve, *, color: str) -> None:
    """One arm: seeds thin, mean thick, interval as a band."""
    if curve.scores.ndim != 2 or curve.scores.shape[1:] != curve.steps.shape or not len(curve.scores):
        raise UserError(
            f"curve {curve.name!r} has steps {curve.steps.shape} and scores {curve.scores.shape}; "
            "scores must be [seeds, steps]"
        )
    mean, num_seeds = curve.scores.mean(axis=0), len(curve.scores)
    if num_seeds > 1:
        axes.plot(curve.steps, curve.scores.T, color=color, lw=0.7, alpha=0.45, zorder=2)
    if num_seeds >= 3:
        axes.fill_between(curve.steps, *pointwise_intervals(curve.scores).T, color=color, alpha=0.18, lw=0, zorder=1)
    axes.plot(curve.steps, mean, color=color, lw=2.2, label=curve.name, zorder=3)


def _caption(curves: Sequence[LearningCurve]) -> str:
    """Says how many seeds there are, and what band and lines are."""
    num_seeds = sorted({len(curve.scores) for curve in curves})
    count = "1 seed" if num_seeds == [1] else f"{'–'.join(map(str, sorted({num_seeds[0], num_seeds[-1]})))} seeds"
    if num_seeds[-1] == 1:
        return count
    band = "; band: pointwise 95 % t interval over seeds" if num_seeds[-1] >= 3 else ""
    return f"{count}; thin: each seed, thick: their mean{band}"
