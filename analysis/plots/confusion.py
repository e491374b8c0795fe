"""What a probe takes for what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
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
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.6 else INK
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=9, color=color)
    axes.set_xticks(range(num_classes), class_names)
    axes.set_yticks(range(num_classes), class_names)
    style_axes(axes, x_label="told", y_label="true")
    figure.colorbar(image, ax=axes, label="share of the true class")
    set_title(figure, title, subtitle)
    return figure
