"""What an erasure leaves to be read and what it costs V."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.plots.style import (
    BLUE,
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
class ErasedLine:
    """One method in the figure of accuracies.

    Attributes:
        name: Its label.
        dimensions: float64[J], ascending: how many were taken away.
        accuracies: Panel -> float64[J].
    """

    name: str
    dimensions: Floats
    accuracies: Mapping[str, Floats]


def accuracy_figure(
    lines: Sequence[ErasedLine], *, before: Mapping[str, float], chance: float, title: str, subtitle: str = ""
) -> Figure:
    """Draws accuracy against dimensions taken away: a panel for each kind of probe, a line for each method from 0 on.

    Args:
        lines: At most six.
        before: Panel -> accuracy with nothing taken away.
        chance: 1 / K.
        title: What is shown.
        subtitle: How to read it.
    """
    require_lines(lines, figure="accuracy_figure")
    figure = new_figure(3.0 * len(before) + 1.9, 3.5)
    panels = figure.subplots(1, len(before), sharey=True, squeeze=False)[0]
    for panel, (probe, start) in zip(panels, before.items(), strict=True):
        panel.axhline(chance, color=MUTED, lw=1.0, ls=(0, (5, 3)), zorder=1)
        for line, color, marker in zip(lines, SERIES, MARKERS, strict=False):
            places, levels = np.append(0.0, line.dimensions), np.append(start, line.accuracies[probe])
            panel.plot(places, levels, color=color, lw=1.3, alpha=0.8)
            panel.plot(places[1:], levels[1:], ls="", marker=marker, ms=6.5, color=color, mec="white", label=line.name)
        panel.plot([0.0], [start], ls="", marker="o", ms=7, color=INK, zorder=5, label="nothing taken away")
        panel.set_title(probe, fontsize=10, loc="left", color=INK)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        style_axes(panel, x_label="dimensions taken away", grid="y")
    panels[0].set_ylabel("balanced accuracy on fresh rows", fontsize=10, color=INK)
    panels[0].annotate("chance", (0.02, chance), xycoords=("axes fraction", "data"), ha="left", va="bottom",
                       fontsize=9, color=MUTED)  # fmt: skip
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=9)
    set_title(figure, title, subtitle)
    return figure


@dataclass(frozen=True)
class ErasedPoint:
    """One method in the figure of costs.

    Attributes:
        name: Its label.
        change: ‖Δh‖ relative to the spread of h.
        value_change: In sd V.
        random_value_change: Of random subspaces of the same rank and ‖Δh‖.
    """

    name: str
    change: float
    value_change: float
    random_value_change: float


def cost_figure(points: Sequence[ErasedPoint], *, title: str, subtitle: str = "") -> Figure:
    """Draws how far V moves against how far activations do; a grey line leads to random subspaces of the same size.

    Args:
        points: The methods.
        title: What is shown.
        subtitle: How to read it.
    """
    require_lines(points, figure="cost_figure")
    figure = new_figure(6.6, 3.9)
    axes = figure.subplots()
    for index, point in enumerate(points):
        color = SERIES[index % len(SERIES)]
        axes.plot([point.change] * 2, [point.random_value_change, point.value_change], color=MUTED, lw=0.8, zorder=1)
        axes.plot(
            [point.change], [point.random_value_change], ls="", marker="o", ms=6, mfc="white", mec=MUTED, zorder=2,
            label="random subspaces" if index == 0 else None,
        )  # fmt: skip
        marker = MARKERS[(index + index // len(SERIES)) % len(MARKERS)]
        place = [point.change], [point.value_change]
        axes.plot(*place, ls="", marker=marker, ms=7.5, color=color, mec="white", label=point.name)
    style_axes(axes, x_label="‖Δh‖ / spread of h", y_label="RMS ΔV / sd V", grid="y")
    axes.set_xlim(left=0.0)
    axes.set_ylim(bottom=0.0)
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    set_title(figure, title, subtitle)
    return figure


@dataclass(frozen=True, eq=False)
class AxisView:
    """Two classes seen along the axis between their means before erasing.

    Attributes:
        name: Such as "before" and "after LEACE".
        along: float64[n], the part of h along the axis.
        across: float64[n], the part along another axis.
        is_second: bool[n], the class.
        accuracy: Of the best threshold along the axis.
        bound: What no threshold along it exceeds.
    """

    name: str
    along: Floats
    across: Floats
    is_second: NDArray[np.bool_]
    accuracy: float
    bound: float


def axis_figure(
    views: Sequence[AxisView], *, class_names: tuple[str, str], title: str, subtitle: str = "", num_bins: int = 28
) -> Figure:
    """Draws 2-d histograms of two classes: hue says which class a cell holds, darkness how many rows.

    Args:
        views: Of the same rows, drawn on the same axes.
        class_names: Of the classes.
        title: What is shown.
        subtitle: How to read it.
        num_bins: Of either axis.
    """
    require_lines(views, figure="axis_figure")
    figure = new_figure(3.4 * len(views) + 0.6, 3.7)
    panels = figure.subplots(1, len(views), sharex=True, sharey=True, squeeze=False)[0]
    spans = [np.quantile(np.concatenate([getattr(view, side) for view in views]), [0.002, 0.998])
             for side in ("along", "across")]  # fmt: skip
    edges = [np.linspace(low, high + 1e-12 * max(1.0, abs(high)), num_bins + 1) for low, high in spans]
    for panel, view in zip(panels, views, strict=True):
        _draw_view(panel, view, edges=edges)
        reading = f"best threshold {view.accuracy:.2f}, at most {view.bound:.2f}"
        panel.set_title(f"{view.name}\n{reading}", fontsize=10, loc="left", color=INK)
        style_axes(panel, x_label="along the axis between class means")
    panels[0].set_ylabel("along the widest other axis", fontsize=10, color=INK)
    for place, (name, color) in enumerate(zip(class_names, (BLUE, RED), strict=True)):
        panels[0].annotate(name, (0.03, 0.96 - 0.075 * place), xycoords="axes fraction", color=color, fontsize=9,
                           va="top", fontweight="bold")  # fmt: skip
    set_title(figure, title, subtitle)
    return figure


def _draw_view(axes: Axes, view: AxisView, *, edges: Sequence[Floats]) -> None:
    """One histogram as an image, white where there are no rows."""
    first, second = (
        np.histogram2d(view.along[rows], view.across[rows], bins=edges)[0] for rows in (~view.is_second, view.is_second)
    )
    count = first + second
    share = np.divide(second, count, out=np.zeros_like(count), where=count > 0)[..., None]
    hue = (1.0 - share) * np.array(to_rgb(BLUE)) + share * np.array(to_rgb(RED))
    depth = (np.sqrt(count / max(count.max(), 1.0)) * 0.85 + 0.15 * (count > 0))[..., None]
    image = np.clip(1.0 - depth * (1.0 - hue), 0.0, 1.0)
    extent = (edges[0][0], edges[0][-1], edges[1][0], edges[1][-1])
    axes.imshow(image.swapaxes(0, 1), origin="lower", extent=extent, aspect="auto", interpolation="nearest")
