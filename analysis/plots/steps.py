"""What changes along one training, panel by panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from analysis.plots.style import MARKERS, MUTED, SERIES, new_figure, require_lines, set_title, style_axes

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StepLine:
    """One quantity along training.

    Attributes:
        name: Its label.
        steps: float64[T], ascending.
        values: float64[T].
        band: float64[T, 2], low and high at each step.
    """

    name: str
    steps: Floats
    values: Floats
    band: Floats


@dataclass(frozen=True)
class StepPanel:
    """Quantities in one unit.

    Attributes:
        y_label: Quantity and unit.
        lines: At most six.
        references: Named horizontal lines.
    """

    y_label: str
    lines: Sequence[StepLine]
    references: Mapping[str, float]


def step_panels(panels: Sequence[StepPanel], *, title: str, subtitle: str, x_label: str) -> Figure:
    """Draw panels side by side, each line with its band; colours are by place in a panel.

    Raises:
        UserError: No panel.
    """
    require_lines(panels, figure="step_panels")
    figure = new_figure(4.2 * len(panels), 4.0)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw(axes, panel, x_label=x_label)
    set_title(figure, title, subtitle)
    return figure


def _draw(axes: Axes, panel: StepPanel, *, x_label: str) -> None:
    for name, level in panel.references.items():
        axes.axhline(level, color=MUTED, lw=1.1, ls=(0, (5, 3)), zorder=1)
        axes.annotate(
            name, (0.995, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=9, color=MUTED
        )
    for line, color, marker in zip(panel.lines, SERIES, MARKERS, strict=False):
        axes.fill_between(line.steps, line.band[:, 0], line.band[:, 1], color=color, alpha=0.15, lw=0)
        axes.plot(line.steps, line.values, color=color, lw=1.8, marker=marker, ms=4.5, label=line.name)
    style_axes(axes, x_label=x_label, y_label=panel.y_label, grid="y")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(frameon=False, fontsize=9, loc="best")
