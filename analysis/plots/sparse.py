"""Figures of sparse features: what codes cost and keep, whether seeds agree, and what features fire on.

Shapes: P penalties, W widths, K features, F shown features, T shown states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.plots.fields import VALUE_COLOURS
from analysis.plots.style import (
    BLUE,
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

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class FrontierLine:
    """One kind of coder at several sparsities.

    Attributes:
        name: Of the kind.
        num_active: L0 at each sparsity.
        unexplained: FVU there.
        is_baseline: Nothing was learned, or half of it, or not an autoencoder.
    """

    name: str
    num_active: Sequence[float]
    unexplained: Sequence[float]
    is_baseline: bool = False


def sparsity_frontier(lines: Sequence[FrontierLine], *, title: str, subtitle: str = "") -> Figure:
    """Draws FVU against L0, both on logarithmic axes; lower and further left is better.

    Raises:
        UserError: No line.
    """
    require_lines(lines, figure="sparsity_frontier")
    figure = new_figure(8.2, 4.8)
    axes = figure.subplots()
    for index, line in enumerate(lines):
        order = np.argsort(line.num_active)
        color = SERIES[index % len(SERIES)]
        axes.plot(
            np.asarray(line.num_active)[order], np.asarray(line.unexplained)[order], label=line.name, color=color,
            marker=MARKERS[index % len(MARKERS)], ms=7, mfc="white" if line.is_baseline else color,
            ls="--" if line.is_baseline else "-", lw=1.2 if line.is_baseline else 2.2, zorder=3,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log")
    axes.axhline(1.0, color=MUTED, lw=1.0, ls=":", zorder=1)
    style_axes(axes, x_label="active codes of a row (L0)", y_label="unexplained variance, held out (FVU)", grid="y")
    figure.legend(loc="outside right upper", fontsize=9, frameon=False)
    set_title(figure, title, subtitle)
    return figure


def agreement_map(
    cosines: Floats,
    num_alive: Floats,
    baselines: Floats,
    *,
    penalties: Sequence[float],
    widths: Sequence[int],
    title: str,
    label: str,
    subtitle: str = "",
) -> Figure:
    """Draws a mean cosine (MMCS) over L1 weight and K as colours, with the number of dead features in each cell.

    Args:
        cosines: float64[P, W]; NaN leaves a cell white.
        num_alive: float64[P, W].
        baselines: float64[P, W], what cosines are above by themselves; in brackets behind them.
        penalties: P L1 weights, rows from top to bottom.
        widths: W numbers of features K, columns.
        title: What is shown.
        label: Which cosine.
        subtitle: How to read it.
    """
    figure = new_figure(2.6 + 1.2 * len(widths), 2.1 + 0.6 * len(penalties))
    axes = figure.subplots()
    colours = LinearSegmentedColormap.from_list("value", VALUE_COLOURS)
    image = axes.imshow(cosines, cmap=colours, aspect="auto")
    for row, column in np.ndindex(*cosines.shape):
        dead = widths[column] - num_alive[row, column]
        text = f"{cosines[row, column]:.2f} ({baselines[row, column]:.2f})\n{dead:.0f} dead"
        axes.annotate(text, (column, row), ha="center", va="center", fontsize=9, color=INK)
    axes.set_xticks(range(len(widths)), [str(width) for width in widths])
    axes.set_yticks(range(len(penalties)), [f"{penalty:g}" for penalty in penalties])
    style_axes(axes, x_label="features K", y_label="L1 weight")
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label(label, fontsize=10, color=INK)
    bar.outline.set_visible(False)
    set_title(figure, title, subtitle)
    return figure


def cosine_histogram(
    own: Floats, baselines: Mapping[str, Floats], *, title: str, x_label: str, subtitle: str = ""
) -> Figure:
    """Draws how near every feature has a neighbour in another dictionary, beside the same of baselines.

    Args:
        own: float64[K], largest cosines; NaN is left out.
        baselines: Name -> float64[any number].
        title: What is shown.
        x_label: Which cosine.
        subtitle: How to read it.

    Raises:
        UserError: No feature has a cosine.
    """
    own = own[np.isfinite(own)]
    require_lines(list(own), figure="cosine_histogram")
    figure = new_figure(7.2, 3.6)
    axes = figure.subplots()
    low = min([own.min()] + [each.min() for each in baselines.values() if len(each)])
    edges = np.linspace(min(low, 0.9), 1.0, 31).tolist()
    axes.hist(own, edges, weights=np.full(len(own), 1.0 / len(own)), color=BLUE, alpha=0.6, label="features")
    for (name, cosines), color in zip(baselines.items(), (ORANGE, *SERIES[1:3]), strict=False):
        weights = np.full(len(cosines), 1.0 / max(len(cosines), 1))
        axes.hist(cosines, edges, weights=weights, histtype="step", color=color, lw=2.0, label=name)
    style_axes(axes, x_label=x_label, y_label="share", grid="y")
    figure.legend(loc="outside right upper", fontsize=9, frameon=False)
    set_title(figure, title, subtitle)
    return figure


def firing_histogram(rates: Floats, *, title: str, subtitle: str = "") -> Figure:
    """Draws how often features fire, log10 of the share of rows, with the number of those that never do."""
    figure = new_figure(7.2, 3.4)
    axes = figure.subplots()
    alive = np.log10(rates[rates > 0])
    edges = np.linspace(min(-4.0, alive.min(initial=0.0)), 0.0, 33).tolist()
    axes.hist(alive, edges, color=BLUE, alpha=0.6)
    style_axes(axes, x_label="share of rows in which a feature fires, log10", y_label="features", grid="y")
    _corner_note(axes, f"{int((rates == 0).sum())} of {len(rates)} features never fire")
    set_title(figure, title, subtitle)
    return figure


def strongest_states(
    pictures: Sequence[Sequence[Picture]], names: Sequence[str], *, title: str, subtitle: str = ""
) -> Figure:
    """Draws the states on which features fire most, one row of pictures for each feature.

    Args:
        pictures: F rows of at most T pictures uint8[height, width, 3], the strongest first.
        names: F texts.
        title: What is shown.
        subtitle: How they were chosen.

    Raises:
        UserError: No feature.
    """
    require_lines(pictures, figure="strongest_states")
    most = max(len(row) for row in pictures)
    figure = new_figure(2.4 + 1.0 * most, 0.9 + 1.05 * len(pictures))
    grid = figure.subplots(len(pictures), most, squeeze=False)
    for axes_row, row, name in zip(grid, pictures, names, strict=True):
        for axes in axes_row:
            axes.set_axis_off()
        for axes, picture in zip(axes_row, row, strict=False):
            axes.imshow(picture, interpolation="nearest")
        axes_row[0].annotate(
            name, (-0.1, 0.5), xycoords="axes fraction", ha="right", va="center", fontsize=9, color=INK
        )
    set_title(figure, title, subtitle)
    return figure


def _corner_note(axes: Axes, text: str) -> None:
    axes.annotate(text, (0.02, 1.03), xycoords="axes fraction", ha="left", va="bottom", fontsize=9, color=MUTED)
