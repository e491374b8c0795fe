"""What V comes to hold, side by side: the marks of `training` of several runs, over training seeds.

Runs of one group are averaged mark by mark, so that their marks must be at the same steps; at a mark that one of them
has no number for, the curve has a gap.

Shapes: N seeds, T marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from analysis.plots.curves import CurvePanel, LearningCurve, curve_panels
from analysis.probing.reading import plain
from analysis.probing.report import ProbeReport
from analysis.probing.training_figures import QUANTITIES, Quantity
from analysis.statistics import pointwise_intervals

Groups = Mapping[str, Mapping[int, ProbeReport]]
Marks = Sequence[Mapping[str, Any]]
"""The rows of `training` of one run, float or None each."""


def figures(groups: Groups) -> dict[str, Figure]:
    """The curves of all groups, a row of panels for each layer; none where no run has marks."""
    found = _same_marks(groups)
    every = [[_panel(found, layer, one) for layer in _layers(found)] for one in QUANTITIES]
    known = [column for column in every if any(panel.curves for panel in column)]
    if not known:
        return {}
    drawn = curve_panels(
        list(zip(*known, strict=True)), title="What V comes to hold, by group",
        subtitle="mark by mark, for groups of runs that differ in nothing but the seed", x_label="gradient steps of V",
    )  # fmt: skip
    return {"compare_training_curves": drawn}


def rows(groups: Groups) -> list[dict[str, Any]]:
    """The mean over seeds, from two on with Student's interval, by group, layer, quantity and mark."""
    found = _same_marks(groups)
    return [
        {"group": group, "layer": layer, "quantity": one.column, **row}
        for group, runs in found.items() for layer in _layers({group: runs}) for one in QUANTITIES
        for row in _rows_of(_curve(group, runs, layer=layer, column=one.column))
    ]  # fmt: skip


def remarks(groups: Groups) -> list[str]:
    """Which groups have no curve or no interval, and why."""
    said = []
    for group, runs in _marks(groups).items():
        steps = {seed: _steps(marks) for seed, marks in runs.items()}
        if len(set(steps.values())) > 1:
            marks = "; ".join(f"seed {seed} at {', '.join(map(str, at))}" for seed, at in steps.items())
            said.append(f"training: no curve of {group}, whose runs were kept at different steps ({marks}).")
        elif len(runs) == 1:
            said.append(f"training: the curve of {group} is of one seed and has no interval, which takes two or more.")
    return said


def seeds_word(runs: Sized) -> str:
    """How many there are."""
    return f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"


def _marks(groups: Groups) -> dict[str, dict[int, Marks]]:
    """Rows by group and seed, of the runs and groups that have any."""
    found: dict[str, dict[int, Marks]] = {}
    for group, reports in groups.items():
        for seed, report in reports.items():
            for reading in report.readings:
                if reading.instrument == "training" and reading.rows:
                    found.setdefault(group, {})[seed] = reading.rows
    return found


def _same_marks(groups: Groups) -> dict[str, dict[int, Marks]]:
    """Of the groups whose runs were kept at the same steps."""
    return {
        group: runs for group, runs in _marks(groups).items() if len({_steps(marks) for marks in runs.values()}) == 1
    }


def _steps(marks: Marks) -> tuple[int, ...]:
    return tuple(sorted({row["step"] for row in marks}))


def _layers(found: Mapping[str, Mapping[int, Marks]]) -> tuple[str, ...]:
    every = (row["layer"] for runs in found.values() for marks in runs.values() for row in marks)
    return tuple(dict.fromkeys(every))


def _panel(found: Mapping[str, Mapping[int, Marks]], layer: str, one: Quantity) -> CurvePanel:
    """One quantity of one layer, without curves where no group has it; V's own stand beside the first layer alone."""
    curves = [_curve(group, runs, layer=layer, column=one.column) for group, runs in found.items()]
    is_known = any(np.isfinite(curve.scores).any() for curve in curves)
    is_repeated = one.is_of_v and layer != _layers(found)[0]
    references = {**one.references, **(_chance(found) if one.column == "accuracy" else {})}
    title = one.label if one.is_of_v else f"{layer}: {one.label}"
    return CurvePanel(title, curves if is_known and not is_repeated else [], references)


def _curve(group: str, runs: Mapping[int, Marks], *, layer: str, column: str) -> LearningCurve:
    """float64[N, T], NaN where a run has no number."""
    lines = [[row for row in marks if row["layer"] == layer] for marks in runs.values()]
    scores = np.array([[row.get(column) for row in line] for line in lines], dtype=np.float64)
    steps = np.array([row["step"] for row in lines[0]], dtype=np.float64)
    return LearningCurve(f"{group}, {seeds_word(runs)}", steps, scores)


def _chance(found: Mapping[str, Mapping[int, Marks]]) -> dict[str, float]:
    """Of the first run that says it; all are of one world."""
    every = (row.get("chance") for runs in found.values() for marks in runs.values() for row in marks)
    return next(({"chance": float(level)} for level in every if level is not None), {})


def _rows_of(curve: LearningCurve) -> Iterator[dict[str, Any]]:
    num_seeds, mean = len(curve.scores), curve.scores.mean(axis=0)
    ends = pointwise_intervals(curve.scores) if num_seeds > 1 else np.full((len(mean), 2), np.nan)
    for step, middle, (low, high) in zip(curve.steps, mean, ends, strict=True):
        numbers = {"step": int(step), "mean": middle, "low": low, "high": high, "num_seeds": num_seeds}
        yield {name: plain(number) for name, number in numbers.items()}
