"""Tails of units: quantiles against two laws, log-survival, Hill plots, exponents, and the map of contributions.

Every line is one unit, so that no figure shows pooled units.

Shapes: m distances, K ranks, d units, n states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import special

from analysis.plots.style import FAINT, INK, MUTED, SERIES, new_figure, require_lines, set_title, style_axes

Floats = NDArray[np.float64]
Lines = Mapping[str, Sequence[Floats]]
"""Name of a network -> distances float64[m] of each of its units."""

EXPONENT_AXIS = (0.7, 10.0)
"""Exponents beyond are drawn at its ends."""


@dataclass(frozen=True, eq=False)
class Exponents:
    """Exponents of the units of one layer.

    Attributes:
        name: Layer and network.
        betas: float64[d].
        intervals: float64[d, 2].
        is_found: bool[d], drawn in red: units that are not normal, as the subtitle says.
    """

    name: str
    betas: Floats
    intervals: Floats
    is_found: NDArray[np.bool_]


def tail_shapes(units: Lines, *, title: str, subtitle: str = "") -> Figure:
    """Four panels: quantiles against the normal and against Laplace's law, -ln S against r and against r^2.

    A straight line in a panel is that panel's law: normal in the first and the last one, Laplace's (or an exponential
    tail) in the two between them. Quantiles are of distances, scaled to the law's own scale.

    Args:
        units: At most six networks; the first one's units are drawn last, on top.
        title: What is shown.
        subtitle: How to read it.
    """
    require_lines(list(units), figure="tail_shapes")
    figure = new_figure(10.4, 8.4)
    grid = figure.subplots(2, 2).ravel()
    panels: tuple[tuple[str, str, str, Callable[[Floats], tuple[Floats, Floats]]], ...] = (
        ("against the normal law", "quantile of |N(0, 1)|", "distance / root mean square", _normal_quantiles),
        ("against Laplace's law", "quantile of |Laplace(1)|", "distance / mean distance", _laplace_quantiles),
        ("survival against distance", "distance / root mean square", "-ln share at or beyond", _survival),
        ("survival against its square", "(distance / root mean square)²", "-ln share at or beyond", _square_survival),
    )
    for axes, (name, x_label, y_label, transform) in zip(grid, panels, strict=True):
        _draw_units(axes, units, transform)
        axes.set_title(name, fontsize=10, color=INK, loc="left")
        style_axes(axes, x_label=x_label, y_label=y_label)
        if transform in (_normal_quantiles, _laplace_quantiles):
            top = axes.get_xlim()[1]
            axes.plot([0, top], [0, top], color=INK, lw=1.1, ls=(0, (5, 3)), zorder=9)
            axes.set(xlim=(0, top), ylim=(0, 1.6 * top))
    grid[0].legend(frameon=False, fontsize=9, loc="upper left")
    set_title(figure, title, subtitle)
    return figure


def hill_plot(curves: Mapping[str, Sequence[tuple[Floats, Floats]]], *, title: str, subtitle: str = "") -> Figure:
    """Hill's index against the share of values used, one line a unit: flat lines alone are power laws.

    Args:
        curves: Network -> (share of values float64[K], index float64[K]) of each unit; at most six networks.
        title: What is shown.
        subtitle: How to read it.
    """
    require_lines(list(curves), figure="hill_plot")
    figure = new_figure(7.2, 4.6)
    axes = figure.subplots()
    for index, (name, lines) in reversed(list(enumerate(curves.items()))):
        for number, (share, found) in enumerate(lines):
            label = name if number == 0 else None
            axes.plot(100 * share, found, color=SERIES[index], lw=1.0, alpha=_alpha(len(lines)), label=label)
    style_axes(
        axes, x_label="values used, the largest first (% of a unit's distances)", y_label="Hill's index", grid="y"
    )
    axes.set(xscale="log", yscale="log")
    ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20) if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    _solid_legend(axes)
    set_title(figure, title, subtitle)
    return figure


def unit_exponents(layers: Sequence[Exponents], *, title: str, subtitle: str = "", num_columns: int = 0) -> Figure:
    """The exponent of each unit with its interval, one panel a layer, units in order of their exponents.

    Args:
        layers: In order, row by row.
        title: What is shown.
        subtitle: How to read it.
        num_columns: Panels side by side; 0 for all.
    """
    require_lines(layers, figure="unit_exponents")
    across = num_columns or len(layers)
    down = -(-len(layers) // across)
    width = 1.4 if down > 1 else 2.5
    figure = new_figure(max(6.4, 0.6 + width * across), 1.2 + 3.2 * down)
    grid = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for number, (axes, layer) in enumerate(zip(grid, layers, strict=False)):
        _draw_exponents(axes, layer, y_label="" if number % across else "exponent β")
    for axes in grid[len(layers) :]:
        axes.set_visible(False)
    set_title(figure, title, subtitle)
    return figure


def _draw_exponents(axes: Axes, layer: Exponents, *, y_label: str) -> None:
    order = np.argsort(layer.betas)
    place, betas = np.arange(len(order)), layer.betas[order].clip(*EXPONENT_AXIS)
    colors = np.where(layer.is_found[order], SERIES[1], SERIES[0]).tolist()
    low, high = layer.intervals[order].clip(*EXPONENT_AXIS).T
    axes.vlines(place, low, high, colors=colors, lw=1.0, alpha=0.5)
    axes.scatter(place, betas, c=colors, s=9, zorder=3)
    for level in (1, 2):
        axes.axhline(level, color=INK, lw=1.0, ls=(0, (5, 3)), zorder=1)
    axes.set_title(layer.name, fontsize=9, color=INK, loc="left")
    style_axes(axes, x_label=f"{len(order)} units", y_label=y_label)
    axes.set(yscale="log", ylim=EXPONENT_AXIS, xticks=[])
    axes.set_yticks([1, 2, 4, 8], ["1 (Laplace)", "2 (normal)", "4", "8"])
    axes.minorticks_off()


def contribution_map(
    contributions: Floats, *, title: str, subtitle: str = "", max_units: int = 40, max_states: int = 300
) -> Figure:
    """Contributions to V as colours: units in order of variance down, states in order of V across.

    Args:
        contributions: float64[n, d], in units of value.
        title: What is shown.
        subtitle: How to read it.
        max_units: The rest is left out; the figure says so.
        max_states: Shown, evenly spaced among all in order of V.
    """
    spread = contributions.std(axis=0)
    order = np.argsort(-spread)[: min(max_units, int((spread > 0).sum()))]
    require_lines(order.tolist(), figure="contribution_map")
    by_value = np.argsort(contributions.sum(axis=1), kind="stable")
    states = by_value[np.linspace(0, len(by_value) - 1, min(len(by_value), max_states)).round().astype(int)]
    centred = (contributions - contributions.mean(axis=0))[np.ix_(states, order)]
    limit = float(np.quantile(np.abs(centred), 0.995)) or 1.0
    figure = new_figure(8.2, 1.8 + 0.11 * len(order))
    axes = figure.subplots()
    image = axes.imshow(centred.T, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
    bar.set_label("contribution - its mean (value)", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8)
    rest = contributions.shape[1] - len(order)
    y_label = f"units by variance{f' ({rest} more)' if rest else ''}"
    style_axes(axes, x_label=f"{len(states)} states in order of V, lowest first", y_label=y_label)
    axes.set(xticks=[], yticks=[])
    set_title(figure, title, subtitle)
    return figure


def _draw_units(axes: Axes, units: Lines, transform: Callable[[Floats], tuple[Floats, Floats]]) -> None:
    """All units of all networks, the first network on top."""
    for index, (name, lines) in reversed(list(enumerate(units.items()))):
        for number, distances in enumerate(lines):
            x, y = transform(np.sort(distances))
            label = name if number == 0 else None
            axes.plot(x, y, color=SERIES[index], lw=0.9, alpha=_alpha(len(lines)), label=label)
    axes.grid(True, color=FAINT, lw=0.6)


def _solid_legend(axes: Axes) -> None:
    """A legend whose lines can be seen though those of the figure are faint."""
    for line in axes.legend(frameon=False, fontsize=9, loc="best", labelcolor=MUTED).get_lines():
        line.set(alpha=1.0, linewidth=2.0)


def _alpha(num_lines: int) -> float:
    return float(np.clip(6.0 / max(num_lines, 1), 0.25, 0.9))


def _places(ordered: Floats) -> Floats:
    """The share of distances below each, taken at its middle."""
    return (np.arange(len(ordered)) + 0.5) / len(ordered)


def _normal_quantiles(ordered: Floats) -> tuple[Floats, Floats]:
    return special.ndtri(0.5 + 0.5 * _places(ordered)), ordered / np.sqrt((ordered**2).mean())


def _laplace_quantiles(ordered: Floats) -> tuple[Floats, Floats]:
    return -np.log1p(-_places(ordered)), ordered / ordered.mean()


def _survival(ordered: Floats) -> tuple[Floats, Floats]:
    return ordered / np.sqrt((ordered**2).mean()), -np.log1p(-_places(ordered))


def _square_survival(ordered: Floats) -> tuple[Floats, Floats]:
    return ordered**2 / (ordered**2).mean(), -np.log1p(-_places(ordered))
