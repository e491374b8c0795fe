"""Spectra side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from analysis.plots.style import MARKERS, SERIES, new_figure, require_lines, set_title, style_axes
from envs.errors import UserError


def spectrum_lines(
    lines: Mapping[str, Sequence[float]], *, title: str, x_label: str, y_label: str, subtitle: str = ""
) -> Figure:
    """Draws each spectrum as a line over the numbers 1, 2, ... of its entries.

    Args:
        lines: Name -> entries in descending order; at most six.
        title: What is shown.
        x_label: What the entries count.
        y_label: What an entry is.
        subtitle: How to read it.

    Raises:
        UserError: No line, or more than six.
    """
    require_lines(list(lines), figure="spectrum_lines")
    if len(lines) > len(SERIES):
        raise UserError(f"{len(lines)} spectra in one figure; at most {len(SERIES)} can be told apart, so draw several")
    figure = new_figure(6.0, 3.6)
    axes = figure.subplots()
    for (name, entries), color, marker in zip(lines.items(), SERIES, MARKERS, strict=False):
        axes.plot(range(1, len(entries) + 1), entries, color=color, marker=marker, ms=5, lw=1.4, label=name)
    longest = max(len(entries) for entries in lines.values())
    axes.set_xticks(range(1, longest + 1) if longest <= 12 else axes.get_xticks())
    axes.set_ylim(bottom=0.0)
    axes.legend(frameon=False, fontsize=9)
    style_axes(axes, x_label=x_label, y_label=y_label, grid="y")
    set_title(figure, title, subtitle)
    return figure
