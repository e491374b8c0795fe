"""A score against a dose, every seed shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.plots.style import (
    INK,
    MARKERS,
    SERIES,
    new_figure,
    require_lines,
    seed_scores,
    set_title,
    style_axes,
)
from analysis.statistics import ANY


@dataclass(frozen=True)
class DoseSeries:
    """Scores at each dose.

    Attributes:
        name: What was scored.
        doses: float64[D], ascending.
        scores: D arrays float64[number of seeds], any number of seeds at each dose.
        intervals: D pairs, or None where there are too few seeds for an interval.
    """

    name: str
    doses: NDArray[np.float64]
    scores: Sequence[NDArray[np.float64]]
    intervals: Sequence[tuple[float, float] | None]


def dose_series(
    name: str,
    doses: Sequence[float],
    by_dose: Iterable[Mapping[int, float]],
    *,
    bounds: tuple[float, float] = ANY,
) -> DoseSeries:
    """Scores by seed at each dose, with their 95 % t intervals over seeds, cut to the bounds of the scores."""
    found = [seed_scores(name, per_seed, bounds=bounds) for per_seed in by_dose]
    return DoseSeries(
        name, np.array(doses, dtype=np.float64), [one.scores for one in found], [one.interval for one in found]
    )


def dose_response(
    series: Sequence[DoseSeries],
    *,
    title: str,
    x_label: str,
    y_label: str,
    others: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    subtitle: str = "",
    tick_labels: Sequence[str] | None = None,
) -> Figure:
    """Draw seeds as dots, their means with intervals joined by a line, and other numbers as open marks.

    Args:
        series: At most six.
        title: What is shown.
        x_label: The dose, with its unit.
        y_label: The score, with its unit.
        others: Name -> (doses, scores) that stand beside, such as published ones or the exact optimum; at most six.
        subtitle: How to read the figure.
        tick_labels: What stands at the doses, ascending; None for their numbers.
    """
    require_lines(series, figure="dose_response")
    figure = new_figure(7.2, 4.6)
    axes = figure.subplots()
    width = 0.012 * (max(one.doses.max() for one in series) - min(one.doses.min() for one in series) or 1.0)
    for index, one in enumerate(series):
        _draw(axes, one, index=index, shift=(2 * index - len(series) + 1) * width, width=width)
    for index, (name, (places, levels)) in enumerate((others or {}).items()):
        color = SERIES[index % len(series)]
        axes.plot(places, levels, color=color, lw=1.0, ls=":", marker=MARKERS[index], ms=7, mfc="none", label=name)
    style_axes(axes, x_label=x_label, y_label=y_label, grid="y")
    axes.set_ylim(bottom=0.0)
    axes.set_xticks(sorted({float(dose) for one in series for dose in one.doses}), labels=tick_labels)
    # Below the axes, where it hides no seed.
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=9, loc="outside lower center", ncols=3)
    set_title(figure, title, subtitle)
    return figure


def _draw(axes: Axes, one: DoseSeries, *, index: int, shift: float, width: float) -> None:
    """Dots of one series, spread sidewards so that none hides another, and its means over them."""
    color, marker = SERIES[index], MARKERS[index]
    for dose, scores, interval in zip(one.doses + shift, one.scores, one.intervals, strict=True):
        spread = ((np.arange(1, len(scores) + 1) * 0.618034) % 1.0 - 0.5) * width * 1.6
        axes.plot(dose + spread, scores, ls="", marker=marker, ms=4.5, mfc=color, mec="white", mew=0.4, alpha=0.6)
        if interval is not None:
            axes.plot([dose, dose], interval, color=INK, lw=2.0, solid_capstyle="butt", zorder=4)
    means = [scores.mean() for scores in one.scores]
    axes.plot(one.doses + shift, means, color=color, lw=1.8, marker="D", ms=6, mec=INK, label=one.name, zorder=5)
