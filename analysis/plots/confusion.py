"""Shares as coloured cells with their numbers: what a probe takes for what, and the like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from analysis.plots.style import INK, new_figure, require_lines, set_title, style_axes


def confusion_map(
    shares: NDArray[np.float64], class_names: Sequence[str], *, title: str, subtitle: str = ""
) -> Figure:
    """Draws how often each class (row) is told as each (column), with the numbers in the cells.

    Args:
        shares: float64[K, K], rows adding up to 1.
        class_names: K names.
        title: What is shown.
        subtitle: How to read it.

    Raises:
        UserError: No class.
    """
    require_lines(class_names, figure="confusion_map")
    num_classes = len(class_names)
    figure = new_figure(3.6 + 0.55 * num_classes, 2.2 + 0.5 * num_classes)
    axes = figure.subplots()
    image = draw_shares(axes, shares)
    axes.set_xticks(range(num_classes), class_names)
    axes.set_yticks(range(num_classes), class_names)
    style_axes(axes, x_label="told", y_label="true")
    figure.colorbar(image, ax=axes, label="share of the true class")
    set_title(figure, title, subtitle)
    return figure


def draw_shares(axes: Axes, shares: NDArray[np.float64]) -> AxesImage:
    """Shares [rows, columns] between 0 and 1 as colours on one scale, with the number in each cell; NaN is empty."""
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), share in np.ndenumerate(shares):
        color, text = "white" if share > 0.6 else INK, "" if np.isnan(share) else f"{share:.2f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color=color)
    return image
