"""Arms, layers and predictors side by side, with their nulls drawn in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    SeedScores,
    new_figure,
    require_lines,
    seed_dots,
    set_title,
    style_axes,
)


@dataclass(frozen=True)
class ProbeBar:
    """One layer's probe for `probe_bars`.

    Attributes:
        layer: Its name.
        accuracy: Balanced accuracy held out, in [0, 1].
        interval: Its ends within this network.
        control_accuracy: The same probe on the control task.
        is_baseline: Whether the layer is a null (untrained net, raw observation).
    """

    layer: str
    accuracy: float
    interval: tuple[float, float]
    control_accuracy: float
    is_baseline: bool = False


def arms_dots(
    lines: Sequence[SeedScores],
    *,
    title: str,
    x_label: str,
    bands: Mapping[str, tuple[float, float]] | None = None,
    null: float | None = None,
    margin: float | None = None,
    subtitle: str = "",
    planted: Collection[str] = (),
) -> Figure:
    """Draws every seed of every arm between the bands of the known negative and the known positive.

    Args:
        lines: Arms from top to bottom; `note` (a verdict) stands at the right.
        title: What is shown.
        x_label: Quantity and unit of the score.
        bands: Intervals of controls such as NEG-F and POS, drawn over the whole height.
        null: Value that means no effect, drawn as a line.
        margin: Smallest effect of interest on either side of `null`, drawn as dotted lines.
        subtitle: How intervals were made, and how many seeds there are.
        planted: Names of lines that do not stretch the axis; where their mean lies beyond it, its number stands there.

    Returns:
        The figure.

    Raises:
        UserError: No arm.
    """
    require_lines(lines, figure="arms_dots")
    figure = new_figure(8.2, 2.05 + 0.46 * len(lines))
    axes = figure.subplots()
    for (name, (low, high)), color in zip((bands or {}).items(), (ORANGE, GREEN, BLUE), strict=False):
        axes.axvspan(low, high, color=color, alpha=0.2, lw=1.5, zorder=0, label=f"{name} band")
    _draw_null(axes, null, margin)
    for index, line in enumerate(lines):
        seed_dots(axes, line, position=-index, color=BLUE)
        _right_note(axes, line.note, position=-index)
    others = [line for line in lines if line.name not in planted]
    if others and len(others) < len(lines):
        _limit(axes, others, null=null or 0.0, margin=margin or 0.0)
        for index, line in enumerate(lines):
            _tell_if_beyond(axes, float(line.scores.mean()), position=-index)
    _name_lines(axes, [line.name for line in lines])
    style_axes(axes, x_label=x_label, grid="x")
    _seed_legend(figure, axes)
    set_title(figure, title, subtitle)
    return figure


def _limit(axes: Axes, lines: Sequence[SeedScores], *, null: float, margin: float) -> None:
    """Ends the axis a little beyond all seeds of some lines, and beyond null ± margin."""
    low = min(null - margin, *(float(line.scores.min()) for line in lines))
    high = max(null + margin, *(float(line.scores.max()) for line in lines))
    axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def _tell_if_beyond(axes: Axes, mean: float, *, position: float) -> None:
    """Writes a mean at the end of the axis that it lies beyond."""
    low, high = axes.get_xlim()
    if low <= mean <= high:
        return
    end, text, align = (1.0, f"{mean:.2f} →", "right") if mean > high else (0.0, f"← {mean:.2f}", "left")
    axes.annotate(
        text, (end, position), xycoords=("axes fraction", "data"), xytext=(-4 if end else 4, 0),
        textcoords="offset points", ha=align, va="center", fontsize=9, color=BLUE,
    )  # fmt: skip


def probe_bars(
    bars: Sequence[ProbeBar],
    *,
    chance: float,
    title: str,
    subtitle: str = "",
    x_label: str = "balanced accuracy, held out",
    control_name: str = "control task",
) -> Figure:
    """Draws what a linear probe reads from each layer, beside its control task and chance.

    Args:
        bars: Layers from top to bottom.
        chance: 1/K, drawn as a line; bars start there, since less shows nothing.
        title: What is shown.
        subtitle: What the intervals vary over.
        x_label: Quantity and unit.
        control_name: What `ProbeBar.control_accuracy` is.

    Returns:
        The figure.

    Raises:
        UserError: No layer.
    """
    require_lines(bars, figure="probe_bars")
    figure = new_figure(7.2, 2.0 + 0.44 * len(bars))
    axes = figure.subplots()
    for index, bar in enumerate(bars):
        color = MUTED if bar.is_baseline else BLUE
        axes.barh(-index, bar.accuracy - chance, left=chance, height=0.62, color=color, alpha=0.55, lw=0)
        axes.plot(bar.interval, [-index, -index], color=INK, lw=2.0, solid_capstyle="butt", zorder=4)
        axes.plot(bar.control_accuracy, -index, ls="", marker="o", ms=7, mfc="white", mec=ORANGE, mew=2.0, zorder=5)
        _right_note(axes, f"{bar.accuracy:.2f}   {control_name.split()[0]} {bar.control_accuracy:.2f}", position=-index)
    axes.axvline(chance, color=INK, lw=1.1, ls=(0, (5, 3)), zorder=3)
    _name_lines(axes, [bar.layer for bar in bars])
    style_axes(axes, x_label=x_label, grid="x")
    axes.set_xlim(
        min([chance, *(bar.interval[0] for bar in bars), *(bar.control_accuracy for bar in bars)]) - 0.03, 1.02
    )
    axes.plot([], [], color=BLUE, lw=7, alpha=0.55, label="trained network")
    axes.plot([], [], color=MUTED, lw=7, alpha=0.55, label="baseline")
    axes.plot([], [], ls="", marker="o", ms=7, mfc="white", mec=ORANGE, mew=2.0, label=control_name)
    axes.plot([], [], color=INK, lw=1.1, ls=(0, (5, 3)), label=f"chance ({chance:.2f})")
    figure.legend(frameon=False, fontsize=9, ncols=4, loc="outside lower center")
    set_title(figure, title, subtitle)
    return figure


def predictor_bars(
    lines: Sequence[SeedScores],
    *,
    title: str,
    x_label: str = "held-out log-likelihood above the mean's (nats per state)",
    baseline: float = 0.0,
    ceiling: tuple[str, float] | None = None,
    subtitle: str = "",
) -> Figure:
    """Draws how well each predictor (and each stack of predictors) foretells a held-out agent.

    Args:
        lines: Predictors from top to bottom, scores per seed in nats per state.
        title: What is shown.
        x_label: Quantity and unit.
        baseline: Score of the constant prediction, from which bars start.
        ceiling: Name and score of the best that can be hoped for: another seed of the same architecture.
        subtitle: How intervals were made, and how many seeds there are.

    Returns:
        The figure.

    Raises:
        UserError: No predictor.
    """
    require_lines(lines, figure="predictor_bars")
    figure = new_figure(8.2, 2.05 + 0.46 * len(lines))
    axes = figure.subplots()
    for index, line in enumerate(lines):
        axes.barh(-index, line.scores.mean() - baseline, left=baseline, height=0.62, color=BLUE, alpha=0.25, lw=0)
        seed_dots(axes, line, position=-index, color=BLUE)
        _right_note(axes, line.note or f"{line.scores.mean():.2f}", position=-index)
    axes.axvline(baseline, color=INK, lw=1.1, zorder=2)
    if ceiling is not None:
        axes.axvline(ceiling[1], color=GREEN, lw=1.6, ls=(0, (5, 3)), zorder=2, label=ceiling[0])
    _name_lines(axes, [line.name for line in lines])
    style_axes(axes, x_label=x_label, grid="x")
    _seed_legend(figure, axes)
    set_title(figure, title, subtitle)
    return figure


def _seed_legend(figure: Figure, axes: Axes) -> None:
    """Explains dots, bar and whatever else of the axes has a label, under the axes."""
    axes.plot([], [], ls="", marker="o", ms=4.5, mfc=BLUE, mec="white", alpha=0.6, label="one seed")
    axes.plot([], [], color=INK, lw=2.2, marker="D", ms=6.5, mfc=BLUE, mec=INK, label="mean with interval")
    figure.legend(frameon=False, fontsize=9, ncols=6, loc="outside lower center", columnspacing=1.4, handletextpad=0.5)


def _name_lines(axes: Axes, names: Sequence[str]) -> None:
    """Writes the names down the left side, the first on top."""
    axes.set_yticks([-index for index in range(len(names))], names)
    axes.set_ylim(-len(names) + 0.4, 0.6)
    axes.tick_params(axis="y", length=0)


def _right_note(axes: Axes, note: str, *, position: float) -> None:
    """Writes a note at the right of the axes."""
    axes.annotate(
        note,
        (1.0, position),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        ha="left",
        va="center",
        fontsize=9,
        color=INK,
    )


def _draw_null(axes: Axes, null: float | None, margin: float | None) -> None:
    """Line of no effect, and dotted lines one margin away."""
    if null is None:
        return
    axes.axvline(null, color=INK, lw=1.1, ls=(0, (5, 3)), zorder=1, label="no effect")
    if margin is not None:
        axes.axvline(null - margin, color=MUTED, lw=1.0, ls=(0, (1, 2)), zorder=1)
        axes.axvline(null + margin, color=MUTED, lw=1.0, ls=(0, (1, 2)), zorder=1, label=f"margin ±{margin:g}")
