"""Figures of the study of monitors: AUROC with its interval, and leads, one line a monitor."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.monitors.registry import MONITORS
from analysis.monitors.scoring import Separation
from analysis.plots.style import BLUE, FAINT, INK, MUTED, new_figure, set_title, style_axes

Found = Mapping[str, Mapping[str, Separation]]


def figures_of(found: Found) -> dict[str, Figure]:
    """File name -> figure."""
    shown = {trait: lines for trait, lines in found.items() if lines}
    return {"auroc.png": auroc_figure(shown), "lead.png": lead_figure(shown)}


def auroc_figure(found: Found) -> Figure:
    """A dot and its interval a monitor, a panel a trait; bounds in grey."""
    figure, panels = _panels(found, x_label="AUROC, 95 % interval over agents")
    for axes, lines in panels:
        axes.axvline(0.5, color=FAINT, lw=1.2)
        for place, (name, one) in enumerate(lines.items()):
            colour = MUTED if MONITORS[name].bound else BLUE
            axes.plot(one.auroc[1:], [place, place], color=colour, lw=2, solid_capstyle="butt")
            axes.plot([one.auroc[0]], [place], marker="o", ms=6, color=colour, mec="white")
        axes.set_xlim(-0.02, 1.02)
    set_title(
        figure, "Which monitor tells them apart, while they are weak?",
        "1 is perfect, .5 chance. Grey: monitors that play the powerful village themselves, a bound.",
    )  # fmt: skip
    return figure


def lead_figure(found: Found) -> Figure:
    """A bar a monitor: mean lead in κ over the agents that show the trait."""
    figure, panels = _panels(found, x_label="mean lead in κ at 10 % false alarms")
    for axes, lines in panels:
        for place, (name, one) in enumerate(lines.items()):
            axes.barh(place, one.lead, height=0.6, color=MUTED if MONITORS[name].bound else BLUE)
        axes.set_xlim(0.0, 1.0)
    set_title(
        figure, "How long before it shows does the alarm ring?",
        "An agent counts with the κ at which it first shows the trait, less the κ at which it was trained and\n"
        "read (0 or .1); 0 if the monitor was silent.",
    )  # fmt: skip
    return figure


def _panels(found: Found, *, x_label: str) -> tuple[Figure, list[tuple[Axes, Mapping[str, Separation]]]]:
    """An empty panel for each trait, monitors from above."""
    figure = new_figure(2.2 + 3.4 * len(found), 1.3 + 0.34 * len(MONITORS))
    grid = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    panels = list(zip(grid, found.values(), strict=True))
    for axes, trait, lines in zip(grid, found, found.values(), strict=True):
        style_axes(axes, x_label=x_label, grid="x")
        axes.set_title(trait, fontsize=10, color=INK, loc="left")
        axes.set_yticks(range(len(lines)), labels=list(lines))
    grid[0].invert_yaxis()
    return figure, panels
