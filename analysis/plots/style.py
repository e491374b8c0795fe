"""How all figures look, and how they are written.

Figures are built with `matplotlib.figure.Figure` and drawn by Agg. Nothing here touches pyplot or rcParams, so a figure
is a function of its data alone. Colours are Okabe and Ito's, which people with colour-blindness can tell apart.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.statistics import ANY, interval_over_seeds
from envs.errors import UserError
from envs.storage import write_bytes

INK, MUTED, FAINT = "#222222", "#6b6b6b", "#d9d9d9"
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
SERIES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class SeedScores:
    """One line of a figure over training seeds.

    Attributes:
        name: What was scored.
        scores: float64[number of seeds].
        interval: Its ends as computed by the caller, or None where there are too few seeds for one.
        note: Text at the right margin, such as a verdict.
    """

    name: str
    scores: NDArray[np.float64]
    interval: tuple[float, float] | None = None
    note: str = ""


def seed_scores(
    name: str, per_seed: Mapping[int, float], *, note: str = "", bounds: tuple[float, float] = ANY
) -> SeedScores:
    """One line of a figure, with its 95 % t interval over seeds, cut to the bounds of its scores."""
    interval = interval_over_seeds(per_seed, bounds=bounds)
    return SeedScores(name, np.array(list(per_seed.values())), None if interval is None else interval.ends, note)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches."""
    figure = Figure(figsize=(width, height), dpi=160, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, *, x_label: str = "", y_label: str = "", grid: str = "") -> None:
    """Plain axes: two spines, labels, and a faint grid along `grid` ("x", "y" or "")."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
    axes.set_xlabel(x_label, fontsize=10, color=INK)
    axes.set_ylabel(y_label, fontsize=10, color=INK)
    axes.set_axisbelow(True)
    if grid == "x":
        axes.xaxis.grid(True, color=FAINT, linewidth=0.6)
    elif grid == "y":
        axes.yaxis.grid(True, color=FAINT, linewidth=0.6)


def set_title(figure: Figure, title: str, subtitle: str = "") -> None:
    """A bold title at the left, and under it plain lines that say how to read the figure."""
    num_lines = subtitle.count("\n") + 1 if subtitle else 0
    # Empty lines of the title make the layout leave room for the subtitle, which needs another weight.
    figure.suptitle(title + "\n" * num_lines, x=0.012, ha="left", fontsize=12, fontweight="bold", color=INK)
    if subtitle:
        top = 1.0 - 0.27 / figure.get_figheight()
        figure.text(0.012, top, subtitle, ha="left", va="top", fontsize=9, color=MUTED, linespacing=1.35)


def seed_dots(axes: Axes, line: SeedScores, *, position: float, color: str) -> None:
    """Draws seeds as dots and over them the mean with its interval; vertical spread within a line means nothing."""
    golden = (np.arange(1, len(line.scores) + 1) * 0.6180339887498949) % 1.0
    dots = position + (golden - 0.5) * 0.4
    axes.plot(line.scores, dots, ls="", marker="o", ms=4.5, mfc=color, mec="white", mew=0.4, alpha=0.6, zorder=3)
    if line.interval is not None:
        axes.plot(line.interval, [position, position], color=INK, lw=2.2, solid_capstyle="butt", zorder=4)
    axes.plot([line.scores.mean()], [position], ls="", marker="D", ms=6.5, mfc=color, mec=INK, mew=1.1, zorder=5)


def require_lines(lines: Sequence[object], *, figure: str) -> None:
    """Refuses to draw a figure of nothing."""
    if not lines:
        raise UserError(f"{figure} was given nothing to draw; at least one line is needed")


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Writes a PNG in one step: a reader sees the old file or the new one, and equal figures give equal bytes.

    Raises:
        UserError: Another suffix than .png, or a folder that cannot be written.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise UserError(f"figures are written as .png, but the file is named {path.name!r}; rename it")
    write_bytes(path, png_of(figure))
    return path


def png_of(figure: Figure) -> bytes:
    """A figure as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    # The bytes are those of `savefig`, which draws everything twice.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()
