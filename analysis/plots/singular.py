"""Figures of singular directions: gains, what is read where, what meets what, and what V loses.

Shapes: r directions, P planes, H rows and W columns of the grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.plots.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    ORANGE,
    RED,
    new_figure,
    require_lines,
    set_title,
    style_axes,
)
from envs.errors import UserError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerGains:
    """The singular values of one layer.

    Attributes:
        name: Of the layer.
        trained: float64[r], descending.
        untrained: float64[r], of the same layer before training.
        edge: Where the noise of its untrained entries ends; None where they are not independent.
    """

    name: str
    trained: Floats
    untrained: Floats
    edge: float | None = None


@dataclass(frozen=True, eq=False)
class AblationDots:
    """What V loses with each direction of one layer.

    Attributes:
        name: Of the layer, or of the network.
        gain: float64[r].
        effect: float64[r], in standard deviations of V.
        threshold: What random directions reach.
    """

    name: str
    gain: Floats
    effect: Floats
    threshold: float


def gain_spectra(layers: Sequence[LayerGains], *, title: str) -> Figure:
    """Draws the gains of each layer, trained and untrained, with the edge of the noise."""
    require_lines(layers, figure="gain_spectra")
    figure = new_figure(0.6 + 3.4 * len(layers), 3.9)
    for axes, layer in zip(np.atleast_1d(figure.subplots(1, len(layers))), layers, strict=True):
        for gains, name, color, face in (
            (layer.untrained, "untrained", MUTED, "white"),
            (layer.trained, "trained", BLUE, BLUE),
        ):
            place = np.arange(1, len(gains) + 1)
            axes.plot(place, gains, color=color, lw=0.8, marker="o", ms=4, mfc=face, mec=color, label=name)
        if layer.edge is not None:
            axes.axhline(layer.edge, color=ORANGE, lw=1.4, ls=(0, (5, 3)), label="edge of noise")
        axes.set_title(layer.name, fontsize=10, color=INK, loc="left")
        axes.set_ylim(bottom=0.0)
        style_axes(axes, x_label="direction", y_label="gain (singular value)", grid="y")
        axes.legend(frameon=False, fontsize=8)
    set_title(figure, title, "edge: what the largest singular value of the untrained noise exceeds in 5 % of draws")
    return figure


def read_maps(maps: Mapping[str, Floats], *, plane_names: Sequence[str], title: str, label: str) -> Figure:
    """Draws what each direction reads on the grid, one row for each direction and one column for each plane.

    Args:
        maps: Name of the direction -> float64[P, H, W]; NaN, where nothing varies, is left grey.
        plane_names: P names.
        title: What is shown.
        label: Quantity and unit of the colour.

    Raises:
        UserError: No map, or names that do not fit it.
    """
    require_lines(list(maps), figure="read_maps")
    shape = next(iter(maps.values())).shape
    if len(shape) != 3 or shape[0] != len(plane_names):
        raise UserError(f"a map has shape {shape} for {len(plane_names)} plane names; give [planes, rows, columns]")
    known = np.concatenate([values[np.isfinite(values)] for values in maps.values()])
    limit = float(np.abs(known).max()) if len(known) else 1.0
    cell = float(np.clip(1.3 / max(shape[1:]), 0.12, 0.34))
    figure = new_figure(max(5.4, 1.6 + shape[0] * cell * (shape[2] + 0.9)), 1.3 + len(maps) * cell * (shape[1] + 1.2))
    grid = figure.subplots(len(maps), shape[0], squeeze=False)
    for row, (name, values) in zip(grid, maps.items(), strict=True):
        row[0].set_ylabel(name, fontsize=9, color=INK, rotation=0, ha="right", va="center")
        for axes, plane in zip(row, values, strict=True):
            axes.set_facecolor(FAINT)
            image = axes.imshow(plane, cmap="RdBu_r", vmin=-limit or -1.0, vmax=limit or 1.0)
            _bare(axes)
    for axes, plane_name in zip(grid[0], plane_names, strict=True):
        axes.set_title(plane_name, fontsize=9, color=INK)
    bar = figure.colorbar(image, ax=list(grid.ravel()), shrink=0.8, pad=0.02)
    bar.set_label(label, fontsize=9, color=INK)
    set_title(
        figure,
        title,
        "grey: the input never varies; a direction has no sign of its own, so colours compare within a row alone",
    )
    return figure


def alignment_matrices(matrices: Mapping[str, Floats], *, title: str, written: str, read: str) -> Figure:
    """Draws |write_i · read_j| of consecutive layers side by side, such as trained and untrained.

    Args:
        matrices: Name -> float64[r, r'] in [0, 1].
        title: What is shown.
        written: Axis name of the first layer's directions.
        read: Axis name of the second layer's.
    """
    require_lines(list(matrices), figure="alignment_matrices")
    figure = new_figure(1.2 + 3.3 * len(matrices), 4.2)
    panels = np.atleast_1d(figure.subplots(1, len(matrices)))
    for axes, (name, matrix) in zip(panels, matrices.items(), strict=True):
        image = axes.imshow(matrix, cmap="Greys", vmin=0.0, vmax=1.0, interpolation="nearest")
        axes.set_title(f"{name}: largest {matrix.max():.2f}", fontsize=10, color=INK, loc="left")
        style_axes(axes, x_label=read, y_label=written)
    bar = figure.colorbar(image, ax=list(panels), shrink=0.8, pad=0.02)
    bar.set_label("|write · read|", fontsize=9, color=INK)
    set_title(figure, title, "by descending gain; 1: the second layer reads just what the first one writes")
    return figure


def ablated_directions(panels: Sequence[AblationDots], *, title: str, y_label: str) -> Figure:
    """Draws what V loses with every direction against the direction's gain, with what random directions reach."""
    require_lines(panels, figure="ablated_directions")
    figure = new_figure(0.6 + 3.6 * len(panels), 4.0)
    grid = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axes, one in zip(grid, panels, strict=True):
        matters = one.effect > one.threshold
        for chosen, color, name in ((~matters, FAINT, "no more than random"), (matters, RED, "more than random")):
            axes.plot(one.gain[chosen], one.effect[chosen], ls="", marker="o", ms=6, mfc=color, mec=INK, mew=0.6,
                      label=f"{name}: {int(chosen.sum())}")  # fmt: skip
        axes.axhline(one.threshold, color=MUTED, lw=1.2, ls=(0, (5, 3)))
        axes.set_title(one.name, fontsize=10, color=INK, loc="left")
        style_axes(axes, x_label="gain of the direction", y_label=y_label if axes is grid[0] else "", grid="y")
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    set_title(
        figure, title, "all directions; dashed: the largest of as many random directions, exceeded by chance in 5 %"
    )
    return figure


def _bare(axes: Axes) -> None:
    """A map without axes."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(FAINT)
