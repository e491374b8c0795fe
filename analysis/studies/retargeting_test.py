"""T7 as the comparison runs it: what its planted values must do before it is read, and its figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.cells import Row
from analysis.predictions.retargeting import PREDICTION, STRENGTHS
from analysis.studies.line_test import LineTest
from analysis.studies.retargeting_cells import PLANTS, RETARGET, SITES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.plots.dose import DoseSeries

PANELS = ("MONO", "MOE", "ROUTE")


def planted_fault(lines: Mapping[str, Mapping[int, float]]) -> str | None:
    """Why T7 may not be read: a planted V that does not come out."""
    slot, lookup = (list(lines.get(name, {}).values()) for name in PLANTS)
    if not slot or not lookup:
        return "planted values are missing"
    if min(slot) < 0.9:
        return f"the planted SLOT scores {min(slot):.2f}, below .9"
    worst = max(lookup, key=abs)
    return f"the planted LOOKUP scores {worst:.2f}, not within .1 of 0" if abs(worst) > 0.1 else None


def draw(rows: Mapping[str, Sequence[Row]]) -> dict[str, Figure]:
    """P of the targets against the strength of the edit at V's features, every seed of some arms."""
    from analysis.plots.dose import dose_response

    lines = [line for line in PANELS if rows.get(line)]
    if not lines:
        return {}
    figure = dose_response(
        [_by_strength(line, rows[line]) for line in lines],
        title="T7: how far one vector in V sends the agent",
        subtitle="V's features plus strength x the target's object vector; dotted: random vectors of equal norm",
        x_label="strength of the edit (1: the change that moving the object makes on average)",
        y_label="normalised path probability to the target",
        others={f"{line}, random": (STRENGTHS, _random_means(rows[line])) for line in lines},
    )
    return {"T7-doses.png": figure}


def _doses(rows: Sequence[Row]) -> list[Row]:
    """Whole vectors at the site of the score."""
    site = SITES[""]
    return [row for row in rows if row["kind"] == "dose" and row["site"] == site and row["share"] == 1.0]


def _by_strength(line: str, rows: Sequence[Row]) -> DoseSeries:
    from analysis.plots.dose import dose_series

    per_seed = [{r["seed"]: r["edited"] for r in _doses(rows) if r["strength"] == dose} for dose in STRENGTHS]
    return dose_series(line, STRENGTHS, per_seed)


def _random_means(rows: Sequence[Row]) -> list[float]:
    return [float(np.mean([r["random"] for r in _doses(rows) if r["strength"] == dose])) for dose in STRENGTHS]


TEST = LineTest(
    prediction=PREDICTION,
    cell=RETARGET,
    worlds=("MultiNeed",),
    title="T7: does one vector in V send the agent to any place?",
    axis="retargetability (0: as a random vector, 1: as V shown the object there)",
    plants=PLANTS,
    fault=planted_fault,
    shown=("edited", "random", "shown", "unedited", "moved", "few units", "first layer score"),
    draw=draw,
)
