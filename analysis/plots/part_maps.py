"""Parts of a value head, pictured: what each one's removal damages, and where on the grid it speaks.

Shapes: P parts, C contexts, H rows and W columns of the grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.plots.confusion import draw_shares
from analysis.plots.fields import Cells
from analysis.plots.style import BLUE, INK, MUTED, RED, new_figure, require_lines, set_title

Floats = NDArray[np.float64]
SIGNED = LinearSegmentedColormap.from_list("signed", (BLUE, "#f7f7f7", RED))


def share_matrices(panels: Mapping[str, Floats], *, columns: str, label: str, title: str, subtitle: str = "") -> Figure:
    """Draws shares between 0 and 1, part (row) by context or event (column), a panel for each arm on one scale.

    Args:
        panels: Name -> float64[P, C]; NaN leaves a cell empty.
        columns: What a column stands for.
        label: Of the colour: what is shared.
        title: What is shown.
        subtitle: How to read it.

    Raises:
        UserError: No panel.
    """
    require_lines(list(panels), figure="share_matrices")
    across = min(len(panels), 4)
    down = -(-len(panels) // across)
    figure = new_figure(1.2 + 2.3 * across, 1.0 + 2.5 * down)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (name, shares) in zip(grid, panels.items(), strict=False):
        image = draw_shares(axes, shares)
        axes.set_title(name, fontsize=10, color=INK, loc="left")
        axes.set_xticks(range(shares.shape[1]))
        axes.set_yticks(range(shares.shape[0]), [f"part {part}" for part in range(shares.shape[0])])
        axes.set_xlabel(columns, fontsize=9, color=INK)
        axes.tick_params(length=0, labelsize=8, labelcolor=INK)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    bar = figure.colorbar(image, ax=list(grid), shrink=0.7)
    bar.set_label(label, fontsize=9, color=INK)
    set_title(figure, title, subtitle)
    return figure


def part_maps(
    contributions: Floats, context_names: Sequence[str], *, title: str, objects: Cells | None = None, subtitle: str = ""
) -> Figure:
    """Draws what each part (row) adds to V with the agent at each cell, under each context (column), on one scale.

    Args:
        contributions: float64[P, C, H, W]; NaN leaves a cell white.
        context_names: C names.
        title: What is shown.
        objects: Name -> (row, column), written in its cell.
        subtitle: How to read it.

    Raises:
        UserError: No part.
    """
    require_lines(list(contributions), figure="part_maps")
    num_parts, num_contexts = contributions.shape[:2]
    figure = new_figure(1.6 + 1.7 * num_contexts, 1.0 + 1.75 * num_parts)
    grid = figure.subplots(num_parts, num_contexts, squeeze=False)
    limit = max(float(np.nanmax(np.abs(contributions))), np.finfo(float).tiny)
    for (part, context), axes in np.ndenumerate(grid):
        image = axes.imshow(contributions[part, context], cmap=SIGNED, vmin=-limit, vmax=limit)
        for name, (row, column) in (objects or {}).items():
            axes.text(column, row, name, ha="center", va="center", fontsize=9, fontweight="bold", color=INK)
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_color(MUTED)
        if part == 0:
            axes.set_title(context_names[context], fontsize=10, color=INK)
        if context == 0:
            axes.set_ylabel(f"part {part}", fontsize=10, color=INK)
    bar = figure.colorbar(image, ax=grid, shrink=0.6)
    bar.set_label("contribution to V (discounted reward)", fontsize=9, color=INK)
    set_title(figure, title, subtitle)
    return figure
