"""Figures of a comparison: arms between their controls, V against V* by pairing, T0's predictors, learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from analysis.plots import (
    LearningCurve,
    SeedScores,
    arms_dots,
    learning_curves,
    predictor_bars,
    save_figure,
    value_scatter,
)
from analysis.statistics import interval_over_seeds
from analysis.studies.comparison_scores import Lines, PerSeed, Scores, TestScores
from analysis.studies.comparison_tables import STACKS
from analysis.studies.comparison_words import readable_words

AXES = {
    "T0": "gain of the shard law (nats per held-out state)",
    "CrossedHistory": "V(matched) - V(mismatched), in sd(V*)",
    "T3": "ablation locality (0: spread evenly, 1: one context a part)",
    "T5": "credit locality 1 - min(I, 1), E frozen",
}
TITLES = {
    "T0": "T0: does the shard law help to predict V on never-trained pairings?",
    "CrossedHistory": "CrossedHistory: is V lower on pairings that it never trained?",
    "T3": "T3: does removing one part of V damage one context only?",
    "T5": "T5: does learning in one context leave V alone in the others?",
}
PANELS = ("MONO", "MOE", "ROUTE", "ROUTE-RAND")


def draw(scores: Scores, folder: Path) -> tuple[Path, ...]:
    """Write every figure that the scores allow into `folder`; returns the paths."""
    figures: dict[str, Figure] = {
        f"{key}.png": arms_figure(test, scores) for key, test in scores.tests.items() if any(test.lines.values())
    }
    if scores.values:
        figures["values.png"] = values_figure(scores)
    if "T0" in scores.tests and "MONO" in scores.tests["T0"].lines:
        figures["T0-predictors.png"] = predictors_figure(scores.tests["T0"], "MONO")
    figures |= {f"fit-{world}.png": curves_figure(world, curves) for world, curves in scores.curves.items()}
    for name, figure in figures.items():
        save_figure(figure, folder / name)
    return tuple(folder / name for name in figures)


def arms_figure(test: TestScores, scores: Scores) -> Figure:
    """Every seed of every arm, the controls as bands, and the verdict against 0 where the test has one."""
    words = readable_words(test)
    lines = [seed_scores(name, per_seed, note=words.get(name, "")) for name, per_seed in test.lines.items() if per_seed]
    admitted = "" if test.admission is None else f"; metric {'admitted' if test.admission.admitted else 'NOT admitted'}"
    return arms_dots(
        lines,
        title=TITLES[test.prediction.key],
        x_label=AXES[test.prediction.key],
        bands=bands(test.lines),
        null=0.0,
        margin=test.prediction.margin,
        subtitle=f"{scores.num_seeds} seeds, 95 % t intervals{admitted}",
    )


def bands(lines: Lines) -> Mapping[str, tuple[float, float]]:
    """95 % intervals of the known positive and the known negative."""
    found = {name: interval_over_seeds(lines.get(name, {})) for name in ("NEG-F", "POS")}
    return {name: interval.ends for name, interval in found.items() if interval is not None}


def seed_scores(name: str, per_seed: PerSeed, *, note: str = "") -> SeedScores:
    """One line of a figure, with its 95 % t interval over seeds."""
    interval = interval_over_seeds(per_seed)
    return SeedScores(name, np.array(list(per_seed.values())), None if interval is None else interval.ends, note)


def values_figure(scores: Scores) -> Figure:
    """V against V* for trained and never-trained pairings, one panel an arm."""
    panels = {}
    for line in [name for name in scores.values if name in PANELS]:
        rows = scores.values[line]
        panels[line] = {
            pairing: (
                np.array([row["optimum"] for row in rows if row["pairing"] == pairing]),
                np.array([row["value"] for row in rows if row["pairing"] == pairing]),
            )
            for pairing in ("matched", "mismatched")
        }
    return value_scatter(panels, title="V against V* on trained (matched) and never-trained (mismatched) pairings")


def predictors_figure(test: TestScores, line: str) -> Figure:
    """How well each predictor, and each stack of them, foretells a held-out agent of one arm."""
    bars = [seed_scores(label, test.extra[f"values nats_{key}"][line]) for key, label in STACKS.items()]
    baseline = float(np.mean(list(test.extra["values nats_abd"][line].values())))
    return predictor_bars(
        bars,
        title=f"T0: who predicts the V of {line} on never-trained pairings?",
        x_label="held-out log-likelihood (nats per state)",
        baseline=baseline,
        subtitle="stacked on the other seeds' agents; line: a + b + d",
    )


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
