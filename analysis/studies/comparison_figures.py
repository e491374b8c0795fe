"""Figures of a comparison: arms between their controls, each test's own figures, learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from analysis.plots import (
    LearningCurve,
    arms_dots,
    learning_curves,
    save_figure,
    seed_scores,
)
from analysis.plots.part_maps import share_matrices
from analysis.predictions.ablation import matched_parts
from analysis.predictions.parts import Floats
from analysis.statistics import interval_over_seeds
from analysis.studies.comparison_scores import Scores, ScoresOfTest
from analysis.studies.comparison_words import readable_words
from analysis.studies.line_test import Lines
from analysis.studies.matching import unfit_lines


def draw(scores: Scores, folder: Path) -> tuple[Path, ...]:
    """Write every figure that the scores allow into `folder`; returns the paths."""
    figures: dict[str, Figure] = {
        figure_name(key): arms_figure(test, scores)
        for key, test in scores.tests.items()
        if any(test.lines.values())
    }
    for test in scores.tests.values():
        figures |= _own_figures(test)
    figures |= {f"fit-{world}.png": curves_figure(world, curves) for world, curves in scores.curves.items()}
    figures |= {f"credit-{world}.png": credit_figure(found, world=world) for world, found in scores.credit.items()}
    for name, figure in figures.items():
        save_figure(figure, folder / name)
    return tuple(folder / name for name in figures)


def _own_figures(test: ScoresOfTest) -> dict[str, Figure]:
    """A test's own figures by file name, which tells the world where the test has several."""
    drawn = test.test.draw(test.rows) if test.test.draw is not None else {}
    several = len(test.test.worlds) > 1
    return {
        f"{Path(name).stem}-{test.world}.png" if several and test.world not in name else name: figure
        for name, figure in drawn.items()
    }


def figure_name(name: str) -> str:
    """File of the figure of a test's scores, "T5, MultiNeed" -> "T5-MultiNeed.png"."""
    return f"{name.replace(', ', '-')}.png"


def arms_figure(test: ScoresOfTest, scores: Scores) -> Figure:
    """Every seed of every arm, the controls as bands, and the verdict against 0 where the test has one."""
    words = readable_words(test)
    # A verdict on a V that does not fit is not read; the figure does not tempt to.
    shown = words | dict.fromkeys(words.keys() & set(unfit_lines(scores.fits.get(test.world, {}))), "V does not fit")
    lines = [seed_scores(name, per_seed, note=shown.get(name, "")) for name, per_seed in test.lines.items() if per_seed]
    admitted = "" if test.admission is None else f"; metric {'admitted' if test.admission.admitted else 'NOT admitted'}"
    return arms_dots(
        lines,
        title=test.test.title,
        x_label=test.test.axis,
        bands=bands(test.lines),
        null=0.0,
        margin=test.test.against_zero,
        planted=test.test.plants,
        subtitle=f"{test.world}, {scores.num_seeds} seeds, 95 % t intervals{admitted}"
        + ("\nverdicts on small networks in gridworlds, not on brains, AlphaGo or language models" if words else ""),
    )


def bands(lines: Lines) -> Mapping[str, tuple[float, float]]:
    """95 % intervals of the known positive and the known negative."""
    found = {name: interval_over_seeds(lines.get(name, {})) for name in ("NEG-F", "POS")}
    return {name: interval.ends for name, interval in found.items() if interval is not None}


def curves_figure(world: str, curves: Mapping[str, Mapping[int, list[tuple[int, float]]]]) -> Figure:
    """R^2 of V against the exact V^pi on held-out levels, during the fit."""
    drawn = [
        LearningCurve(
            line,
            np.array([step for step, _ in next(iter(seeds.values()))], dtype=np.float64),
            np.array([[value for _, value in curve] for curve in seeds.values()]),
        )
        for line, seeds in list(curves.items())
        if "imitated" not in line
    ]
    return learning_curves(
        drawn[:6],
        title=f"{world}: fit of V to the recorded policy's exact value, held-out levels",
        x_label="gradient steps",
        y_label="R², weighted by the policy's visits",
        references={"exact": 1.0},
    )


def credit_figure(credit: Mapping[str, Mapping[int, Floats]], *, world: str) -> Figure:
    """Which part of V got the credit for which kind of event: means over seeds, parts matched with events."""
    return share_matrices(
        {line: np.mean([by_event(matrix) for matrix in seeds.values()], axis=0) for line, seeds in credit.items()},
        columns="event",
        label="share of the credit for the event",
        title=f"{world}: which part of V was reinforced by which event",
        subtitle="columns add up to 1; parts numbered by the event that they are matched with; means over seeds\n"
        "(the matching alone lifts the diagonal)",
    )


def by_event(matrix: Floats) -> Floats:
    """Rows of float[K, E] in the order of the events that the parts are matched with, where there are as many."""
    num_parts, num_events = matrix.shape
    return matrix[matched_parts(np.nan_to_num(matrix))] if num_parts == num_events else matrix
