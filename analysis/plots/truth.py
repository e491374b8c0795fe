"""Figures of truth-like features: what a probe says, how many there are, and what a distractor does.

Shapes: n pairs, K directions, R random directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.plots.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MARKERS,
    MUTED,
    RED,
    SERIES,
    new_figure,
    require_lines,
    set_title,
    style_axes,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recursion:
    """One recursive search.

    Attributes:
        name: Of the network.
        losses: float64[K], held out.
        accuracies: float64[K], held out; NaN without labels.
        random_losses: float64[R].
        random_accuracies: float64[R].
    """

    name: str
    losses: Floats
    accuracies: Floats
    random_losses: Floats
    random_accuracies: Floats


@dataclass(frozen=True, eq=False)
class CountLine:
    """Counts over a size.

    Attributes:
        name: What was counted.
        sizes: float64[m].
        counts: float64[m], above 0.
        kind: "law" for a closed form (a line), "exact" for filled and "sampled" for open marks.
    """

    name: str
    sizes: Floats
    counts: Floats
    kind: str


@dataclass(frozen=True, eq=False)
class SweepDots:
    """One quantity of a distractor sweep, one dot for each strength and seed, float64[m] each."""

    name: str
    strengths: Floats
    scores: Floats


def contrast_histograms(panels: Mapping[str, tuple[Floats, Floats]], *, title: str) -> Figure:
    """Draws how often a probe says p⁺ of one side and 1 − p⁻ by the other.

    Args:
        panels: Name -> (p⁺ float64[n], p⁻ float64[n]).
        title: What is shown.
    """
    require_lines(list(panels), figure="contrast_histograms")
    figure = new_figure(1.0 + 3.2 * len(panels), 4.2)
    grid = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    edges = np.linspace(0.0, 1.0, 21)
    for axes, (name, (plus, minus)) in zip(grid, panels.items(), strict=True):
        shares = np.histogram2d(1.0 - minus, plus, bins=(edges, edges))[0] / len(plus)
        # On a square-root scale, as a sure probe has all its pairs in two corners and a silent one has none there.
        image = axes.imshow(
            shares, origin="lower", extent=(0, 1, 0, 1), cmap="Blues", norm=PowerNorm(0.5, vmin=0.0, vmax=0.5)
        )
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (5, 3)))
        axes.set_title(name, fontsize=10, color=INK, loc="left")
        style_axes(axes, x_label="p(x+)", y_label="1 - p(x-)" if axes is grid[0] else "")
    bar = figure.colorbar(image, ax=list(grid), shrink=0.8, pad=0.02)
    bar.set_label("share of pairs", fontsize=9, color=INK)
    set_title(figure, title, "on the diagonal: consistent; in its corners: consistent and sure")
    return figure


def recursion_curves(searches: Sequence[Recursion], *, tau: float, title: str) -> Figure:
    """Draws held-out loss and accuracy of directions in the order in which they were found."""
    require_lines(searches, figure="recursion_curves")
    labelled = any(np.isfinite(one.accuracies).any() for one in searches)
    figure = new_figure(9.4 if labelled else 5.4, 4.3)
    grid = figure.subplots(1, 2 if labelled else 1, squeeze=False)[0]
    for index, one in enumerate(searches):
        color, marker = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)]
        for axes, scores, drawn in zip(
            grid, (one.losses, one.accuracies), (one.random_losses, one.random_accuracies), strict=False
        ):
            place = np.arange(1, len(scores) + 1)
            axes.plot(place, scores, color=color, marker=marker, ms=5, lw=1.4, label=one.name)
            axes.axhspan(*np.quantile(drawn, (0.05, 0.95)), color=color, alpha=0.10, lw=0)
    for axes in grid:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    grid[0].axhline(tau, color=INK, lw=1.0, ls=(0, (5, 3)))
    grid[0].axhline(0.25, color=MUTED, lw=1.0, ls=":")
    style_axes(grid[0], x_label="direction, orthogonal to all before", y_label="held-out CCS loss", grid="y")
    grid[0].set_ylim(bottom=0.0)
    if labelled:
        grid[1].axhline(0.5, color=MUTED, lw=1.0, ls=":")
        grid[1].set_ylim(0.3, 1.03)
        style_axes(grid[1], x_label="direction, orthogonal to all before", y_label="balanced accuracy", grid="y")
    grid[0].legend(frameon=False, fontsize=8)
    set_title(
        figure, title, f"dashed: {tau:g}, below which a direction counts; dotted: silent probe, coin; bands: 5-95 % of "
        "random directions"
    )  # fmt: skip
    return figure


def count_curves(panels: Mapping[str, tuple[str, Sequence[CountLine]]], *, title: str) -> Figure:
    """Draws numbers of truth-like features on a log axis.

    Args:
        panels: Name -> (name of the size, lines).
        title: What is shown.
    """
    require_lines(list(panels), figure="count_curves")
    figure = new_figure(0.4 + 4.3 * len(panels), 4.2)
    for axes, (name, (x_label, lines)) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
    ):
        for index, line in enumerate(lines):
            _draw_counts(axes, line, color=SERIES[index % len(SERIES)])
        axes.set_yscale("log", base=2)
        axes.set_title(name, fontsize=10, color=INK, loc="left")
        style_axes(axes, x_label=x_label, y_label="truth-like features", grid="y")
        axes.legend(frameon=False, fontsize=8)
    set_title(figure, title, "lines: closed form; filled: counted exactly; open: hit by sampling, a lower bound")
    return figure


def distractor_curves(panels: Mapping[str, Sequence[SweepDots]], *, title: str) -> Figure:
    """Draws what searches tell as a planted flip grows, each seed a dot, means joined.

    Args:
        panels: Name -> lines, at most three, such as the accuracies about the labels and about the planted signs.
        title: What is shown.
    """
    require_lines(list(panels), figure="distractor_curves")
    figure = new_figure(1.0 + 4.3 * len(panels), 4.2)
    grid = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axes, (name, lines) in zip(grid, panels.items(), strict=True):
        _draw_sweep(axes, lines)
        axes.set_title(name, fontsize=10, color=INK, loc="left")
        style_axes(
            axes, x_label="planted flip / widest flip of the pairs",
            y_label="balanced accuracy" if axes is grid[0] else "", grid="y",
        )  # fmt: skip
    set_title(figure, title, "grey: as wide as the widest flip; dotted: accuracy of a coin")
    return figure


def _draw_sweep(axes: Axes, lines: Sequence[SweepDots]) -> None:
    """On a logarithmic scale but for 0, where nothing is planted."""
    axes.axvline(1.0, color=FAINT, lw=4, zorder=0)
    axes.axhline(0.5, color=MUTED, lw=1.0, ls=":")
    for line, color, marker in zip(lines, (BLUE, RED, GREEN), MARKERS, strict=False):
        strengths = np.unique(line.strengths)
        means = [line.scores[line.strengths == strength].mean() for strength in strengths]
        axes.plot(line.strengths, line.scores, ls="", marker=marker, ms=5, mfc=color, mec="none", alpha=0.4)
        axes.plot(strengths, means, color=color, lw=1.6, label=line.name)
    least = min(line.strengths[line.strengths > 0.0].min() for line in lines)
    axes.set_xscale("symlog", linthresh=least, linscale=0.5)
    ticks = np.unique(np.concatenate([line.strengths for line in lines]))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(0.3, 1.05)
    axes.legend(frameon=False, fontsize=9, loc="lower right")


def _draw_counts(axes: Axes, line: CountLine, *, color: str) -> None:
    if line.kind == "law":
        axes.plot(line.sizes, line.counts, color=color, lw=1.4, label=line.name)
        return
    face = color if line.kind == "exact" else "white"
    axes.plot(line.sizes, line.counts, ls="", marker="o", ms=6, mfc=face, mec=color, mew=1.2, label=line.name)
