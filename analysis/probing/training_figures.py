"""The figures of `training`: each quantity against gradient steps of V, and the exponent of every unit at each mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from analysis.instruments.probes import ProbeResult
from analysis.plots import tails as tail_plots
from analysis.plots.steps import StepLine, StepPanel, step_panels
from analysis.probing.training_words import by_layer

if TYPE_CHECKING:
    from analysis.probing.training import Mark


@dataclass(frozen=True)
class Quantity:
    """What is followed along a training.

    Attributes:
        column: Its column in the rows of a mark.
        band: The column of its interval in one network.
        label: Quantity and unit.
        references: Named levels.
        is_of_v: Whether it is V's alone, and the same in the rows of all layers.
    """

    column: str
    band: str
    label: str
    references: Mapping[str, float]
    is_of_v: bool = False


QUANTITIES = (
    Quantity("accuracy", "interval", "balanced accuracy for the context", {}),
    Quantity("selectivity", "selectivity_interval", "selectivity", {"control task": 0.0}),
    Quantity("beta", "beta_quartiles", "β of units: median", {"normal": 2.0, "Laplace": 1.0}),
    Quantity("slope", "slope_interval", "ΔV / ΔV* as the context is swapped", {"V*": 1.0, "blind": 0.0}, is_of_v=True),
)


def figures(marks: Sequence[Mark], layer_0: ProbeResult | None, *, source: str) -> dict[str, Figure]:
    """By file name; exponents are left out where no unit could be read."""
    drawn = {"training": step_figure(marks, layer_0, source=source)}
    if any(len(mark.betas.units) for mark in marks):
        drawn["training_exponents"] = exponents_figure(marks, source=source)
    return drawn


def step_figure(marks: Sequence[Mark], layer_0: ProbeResult | None, *, source: str) -> Figure:
    """Accuracy, selectivity, the slope of swaps, and exponents against gradient steps of V; panels that are known."""
    rows = {layer: [mark.row() for mark in line] for layer, line in by_layer(marks).items()}
    levels = {} if layer_0 is None else {"chance": layer_0.chance, "raw observation": layer_0.accuracy}
    panels = []
    for one in QUANTITIES:
        lines = {"V": next(iter(rows.values()))} if one.is_of_v else rows
        known = [_line(name, line, one) for name, line in lines.items() if all(one.column in row for row in line)]
        if known:
            panels.append(StepPanel(one.label, known, levels if one.column == "accuracy" else one.references))
    subtitle = f"states {source}\nband: bootstrap over held-out groups of this one network; of β, quartiles of units"
    return step_panels(panels, title="What V comes to hold", subtitle=subtitle, x_label="gradient steps of V")


def _line(name: str, rows: Sequence[Mapping[str, object]], one: Quantity) -> StepLine:
    return StepLine(name, *(np.array([row[key] for row in rows], np.float64) for key in ("step", one.column, one.band)))


def exponents_figure(marks: Sequence[Mark], *, source: str) -> Figure:
    """One row of panels a layer, one panel a mark; the same units may stand in another order in the next panel."""
    lines = by_layer(marks)
    return tail_plots.unit_exponents(
        [_exponents(mark) for line in lines.values() for mark in line],
        title="Exponents of units, by layer and gradient steps of V",
        subtitle=f"states {source}; units in order of β at each mark\nlines: 95 % bootstrap over episodes of this one "
        "network; red: an interval that does not hold 2",
        num_columns=max(len(line) for line in lines.values()),
    )


def _exponents(mark: Mark) -> tail_plots.Exponents:
    low, high = mark.betas.intervals.T
    apart = (low > 2.0) | (high < 2.0)
    return tail_plots.Exponents(f"{mark.layer}\n{mark.step:,} steps", mark.betas.estimates, mark.betas.intervals, apart)
