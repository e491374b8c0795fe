"""A flip that means nothing, planted beside what E's features hold: is V*'s preference found, or the planted one?

As a control the same on planted pairs, where the truth is as sure as the distractor and gives way where that is wider.

Shapes: m points, one for each strength and seed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.instruments import contrast_pairs, truth, truth_distractor, truth_toy
from analysis.instruments.truth_distractor import DistractorPoint, distractor_sweep
from analysis.plots.truth import SweepDots, distractor_curves
from analysis.probing.activity import INTERFACE
from analysis.probing.controls import Outcome, cached_control, code_version
from analysis.probing.instrument import Row
from analysis.probing.material import Material
from analysis.probing.truth_reversals import SEARCH, Reversal, pairs_to_search

Floats = NDArray[np.float64]
STRENGTHS, SEEDS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0), (0, 1, 2)


@dataclass(frozen=True, eq=False)
class Sweep:
    """What searches found beside distractors.

    Attributes:
        strengths: float64[m], in widths of the pairs' own widest flip.
        accuracies: float64[m], about the pairs' labels.
        planted: float64[m], about the distractor's signs.
    """

    strengths: Floats
    accuracies: Floats
    planted: Floats

    @property
    def accuracy_alone(self) -> float:
        """Mean accuracy about the labels with nothing planted."""
        return float(self.accuracies[self.strengths == 0.0].mean())

    @property
    def overtaken_at(self) -> float:
        """The least strength at which searches tell the planted signs better than the labels; NaN where none does."""
        ahead = self.planted - self.accuracies
        tried = np.unique(self.strengths[self.strengths > 0.0])
        lost = [strength for strength in tried if ahead[self.strengths == strength].mean() > 0.0]
        return float(min(lost, default=np.nan))


def agent_sweep(material: Material, reversal: Reversal) -> Sweep | None:
    """Beside E's features of the trained network; None where V* prefers no context, so that there are no labels."""
    if reversal.labels is None:
        return None
    pairs = material.require_pairs()
    train, test, _ = pairs_to_search(pairs, pairs.sample.trained, INTERFACE, reversal=reversal)
    return _sweep(distractor_sweep(train, test, STRENGTHS, seeds=SEEDS, settings=SEARCH))


def planted_sweep() -> Sweep:
    """The control, computed once for each version of the code."""
    version = code_version(contrast_pairs, truth, truth_distractor, truth_toy, sys.modules[__name__])
    outcome = cached_control(f"truth/distractor {STRENGTHS} {SEEDS} {SEARCH}", version, _planted)
    numbers = [[outcome[f"{what} {place}"] for place in range(len(outcome) // 3)] for what in Sweep.__annotations__]
    return Sweep(*map(np.array, numbers))


def _planted() -> Outcome:
    train, test = (truth_toy.planted_pairs(500, 31, truth=1.5, seed=seed) for seed in (0, 1))
    found = _sweep(distractor_sweep(train, test, STRENGTHS, seeds=SEEDS, noise=0.3, settings=SEARCH))
    return {f"{what} {place}": value for what, values in vars(found).items() for place, value in enumerate(values)}


def _sweep(points: Sequence[DistractorPoint]) -> Sweep:
    told = [(point.strength, point.accuracy, point.distractor_accuracy) for point in points]
    return Sweep(*np.array(told).T)


def sweep_rows(agent: Sweep | None, planted: Sweep) -> list[Row]:
    """A row for each sweep."""
    sweeps = {"trained": (INTERFACE, agent), "planted": ("planted: a truth", planted)}
    return [
        {"site": f"{site}, beside a planted flip", "network": network, "first accuracy": sweep.accuracy_alone,
         "overtaken at": sweep.overtaken_at}
        for network, (site, sweep) in sweeps.items() if sweep is not None
    ]  # fmt: skip


def sweep_sentences(agent: Sweep | None, planted: Sweep) -> list[str]:
    """What was found instead, and from which strength on."""
    if agent is None:
        return []
    return [
        f"Beside a planted flip that means nothing, the search over the features that V reads {_gives_way(agent)}; a "
        f"planted truth that is as sure as the flip, which V*'s preference is not, {_gives_way(planted)}. What is "
        "found is what is sure and prominent."
    ]


def _gives_way(sweep: Sweep) -> str:
    start = f"tells with {sweep.accuracy_alone:.2f} which side is better where nothing is planted"
    if np.isnan(sweep.overtaken_at):
        return f"{start} and is misled by no flip up to {STRENGTHS[-1]:g} times as wide as the widest flip there"
    return f"{start} and finds the planted flip instead once it is {sweep.overtaken_at:g} times the widest flip there"


def sweep_figure(agent: Sweep | None, planted: Sweep) -> Figure:
    """Accuracy about the labels and about the planted signs, against the strength of the planted flip."""
    panels = {"planted truth": ("the truth", planted)}
    if agent is not None:
        panels["features that V reads"] = ("which context V* prefers", agent)
    return distractor_curves(
        {
            name: [
                SweepDots(told, sweep.strengths, sweep.accuracies),
                SweepDots("the planted flip", sweep.strengths, sweep.planted),
            ]
            for name, (told, sweep) in panels.items()
        },
        title="What a search tells beside a flip that means nothing",
    )
