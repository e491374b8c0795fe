"""Policies as arrows and numbers as colours, drawn on the cells of their grid.

Vector fields of an original and an edited policy with their difference, and heat maps of where an edit sends an agent,
are drawn as in Mini, Turner et al. (2023), arXiv 2310.08043.

Shapes: H rows, W columns, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.plots.style import FAINT, INK, MUTED, ORANGE, RED, SERIES, new_figure, require_lines, set_title
from envs.errors import UserError

VALUE_COLOURS = ("#fdf6dc", "#f4da8a", ORANGE)
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Cells = Mapping[str, tuple[int, int]]


def policy_field(
    policy_probs: Floats,
    directions: Sequence[tuple[int, int]],
    *,
    title: str,
    walls: Bools | None = None,
    objects: Cells | None = None,
    values: Floats | None = None,
    value_label: str = "V (discounted reward)",
    subtitle: str = "arrow: mean move under the policy, longest where it is certain",
) -> Figure:
    """Draws the mean move sum_a pi(a | cell) direction_a of a policy at every cell where the agent may stand.

    Args:
        policy_probs: float64[H, W, A], rows of probabilities; NaN at cells that are not drawn.
        directions: A pairs (row step, column step), rows counted downwards.
        title: What is shown, with the context.
        walls: bool[H, W], drawn dark.
        objects: Name -> (row, column), written in its cell.
        values: float64[H, W], the cell's colour; NaN leaves a cell white.
        value_label: Quantity and unit of the colour.
        subtitle: How to read it.

    Returns:
        The figure.

    Raises:
        UserError: Shapes that do not fit each other.
    """
    moves = net_moves(policy_probs, directions)
    height, width = moves.shape[:2]
    figure = new_figure(0.9 + 0.52 * width + (0.9 if values is not None else 0.0), 1.2 + 0.52 * height)
    axes = figure.subplots()
    if values is not None:
        _colour_bar(figure, _draw_values(axes, values), [axes], label=value_label)
    _draw_arrows(axes, moves, walls=walls, objects=objects or {})
    set_title(figure, title, subtitle)
    return figure


def vector_fields(
    original: Floats,
    edited: Floats,
    directions: Sequence[tuple[int, int]],
    *,
    title: str,
    edited_name: str = "edited",
    walls: Bools | None = None,
    objects: Cells | None = None,
    subtitle: str = "arrow: mean move, longest where the choice is certain; difference: at half that scale",
) -> Figure:
    """Draws the net vectors of two policies side by side, and the difference of the vectors.

    Args:
        original: float64[H, W, A], rows of probabilities; NaN at cells that are not drawn.
        edited: The same under an edit.
        directions: A pairs (row step, column step), rows counted downwards.
        title: What is shown.
        edited_name: Of the second panel.
        walls: bool[H, W], drawn dark.
        objects: Name -> (row, column), written in its cell.
        subtitle: How to read it.

    Raises:
        UserError: Shapes that do not fit each other.
    """
    if original.shape != edited.shape:
        raise UserError(f"the fields have shapes {original.shape} and {edited.shape}; give both on one grid")
    first, second = net_moves(original, directions), net_moves(edited, directions)
    # A difference may be twice as long as an arrow of either, and would reach into the next cell.
    panels = {"original": (first, INK), edited_name: (second, INK), "difference": ((second - first) / 2, RED)}
    figure, grid = _panels(len(panels), first.shape[:2])
    for axes, (name, (moves, color)) in zip(grid, panels.items(), strict=True):
        axes.set_title(name, fontsize=10, color=INK, loc="left")
        _draw_arrows(axes, moves, walls=walls, objects=objects or {}, color=color)
    set_title(figure, title, subtitle)
    return figure


def heat_maps(
    panels: Mapping[str, Floats],
    *,
    title: str,
    label: str,
    walls: Bools | None = None,
    objects: Cells | None = None,
    subtitle: str = "",
    limits: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """Draws numbers of cells as colours, one panel beside the other on one scale, with the mean of each.

    Args:
        panels: Name -> float64[H, W]; NaN leaves a cell white.
        title: What is shown.
        label: Quantity and unit of the colour.
        walls: bool[H, W], drawn dark.
        objects: Name -> (row, column), written in its cell.
        subtitle: How to read it.
        limits: Ends of the scale.

    Raises:
        UserError: No panel.
    """
    require_lines(list(panels), figure="heat_maps")
    figure, grid = _panels(len(panels), next(iter(panels.values())).shape)
    for axes, (name, values) in zip(grid, panels.items(), strict=True):
        axes.set_title(f"{name}\nmean {np.nanmean(values):.2f}", fontsize=10, color=INK, loc="left")
        image = _draw_values(axes, values, limits=limits)
        _draw_cells(axes, values.shape, walls)
        _draw_objects(axes, objects or {})
    _colour_bar(figure, image, grid, label=label)
    set_title(figure, title, subtitle)
    return figure


def net_moves(policy_probs: Floats, directions: Sequence[tuple[int, int]]) -> Floats:
    """sum_a pi(a | cell) direction_a, float64[H, W, 2]; UserError where actions and directions differ in number."""
    if policy_probs.shape[-1] != len(directions):
        raise UserError(f"the policy has {policy_probs.shape[-1]} actions, but {len(directions)} directions were given")
    moves: Floats = policy_probs @ np.asarray(directions, dtype=np.float64)
    return moves


def _panels(count: int, shape: tuple[int, ...]) -> tuple[Figure, list[Axes]]:
    """Room for `count` grids [H, W] side by side."""
    height, width = shape[:2]
    figure = new_figure(0.9 + count * 0.34 * width, 1.3 + 0.34 * height)
    return figure, list(np.atleast_1d(figure.subplots(1, count)))


def _draw_arrows(axes: Axes, moves: Floats, *, walls: Bools | None, objects: Cells, color: str = INK) -> None:
    """An arrow for each cell of moves [H, W, 2] that is known, free and without an object."""
    shown: Bools = np.asarray(np.isfinite(moves).all(axis=2))
    if walls is not None:
        shown &= ~walls
    for cell in objects.values():
        shown[cell] = False
    _draw_cells(axes, moves.shape, walls)
    rows, columns = np.nonzero(shown)
    down, right = moves[rows, columns].T
    axes.quiver(
        columns, rows, right, -down, pivot="mid", color=color, units="xy", angles="uv", scale=1.25, width=0.055,
        zorder=3,
    )  # fmt: skip
    _draw_objects(axes, objects)


def _draw_values(axes: Axes, values: Floats, *, limits: tuple[float | None, float | None] = (None, None)) -> AxesImage:
    """Colours the cells by value, with a scale that stays light enough for dark arrows."""
    colours = LinearSegmentedColormap.from_list("value", VALUE_COLOURS)
    return axes.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1], zorder=0)


def _colour_bar(figure: Figure, image: AxesImage, grid: Sequence[Axes], *, label: str) -> None:
    bar = figure.colorbar(image, ax=list(grid), shrink=0.8, pad=0.03)
    bar.set_label(label, fontsize=10, color=INK)
    bar.ax.tick_params(labelsize=9, colors=MUTED, labelcolor=INK)
    bar.outline.set_visible(False)


def _draw_cells(axes: Axes, shape: tuple[int, ...], walls: Bools | None) -> None:
    """Thin grid lines, walls as dark cells, and no axes."""
    height, width = shape[:2]
    for row, column in np.ndindex(height, width):
        face = MUTED if walls is not None and walls[row, column] else "none"
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=face, edgecolor=FAINT, lw=0.8, zorder=1))
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_objects(axes: Axes, objects: Mapping[str, tuple[int, int]]) -> None:
    """Each object as a coloured mark with its name's first letter or number."""
    for index, (name, (row, column)) in enumerate(objects.items()):
        color = SERIES[index % len(SERIES)]
        axes.plot(column, row, marker="o", ms=21, mfc=color, mec=INK, mew=1.0, zorder=4)
        axes.annotate(
            name, (column, row), ha="center", va="center", fontsize=9, fontweight="bold", color="white", zorder=5
        )
