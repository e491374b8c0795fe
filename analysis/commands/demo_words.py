"""The demo's last words: what was found, against which null, and what was not shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.commands.returns import Line
from analysis.probe_report import ProbeReport
from analysis.studies.comparison import ComparisonResult
from analysis.studies.comparison_scores import TestScores
from analysis.studies.comparison_words import SCOPE, with_interval
from analysis.verdicts import MIN_SEEDS


@dataclass(frozen=True)
class Trained:
    """The trained agent of the demo.

    Attributes:
        env_id: Where it was trained.
        line: Its greedy D against the optimum.
        before: Mean return of the same network before training, sampled.
        figure: Its learning curve.
    """

    env_id: str
    line: Line
    before: float
    figure: Path | None


def conclusion(trained: Trained, result: ComparisonResult, report: ProbeReport | None) -> list[str]:
    """The sentences, under three headings."""
    lines = ["WHAT WAS FOUND", _training_sentence(trained)]
    lines += [_test_sentence(test) for test in result.scores.tests.values()]
    lines += [] if report is None else [f"- {report.title}: {report.found[-1]}"]
    lines += ["", "NO VERDICT", _seeds_sentence(result), "", "WHAT WAS NOT SHOWN"]
    lines += [f"- {test.prediction.key} does not show {test.prediction.does_not_show}." for test in
              result.scores.tests.values()]  # fmt: skip
    lines += [f"- One agent on {trained.env_id} says nothing of other seeds, nor of worlds where planning is hard."]
    lines += [] if report is None else [f"- {sentence}" for sentence in report.not_shown]
    return [*lines, f"- {SCOPE}"]


def _training_sentence(trained: Trained) -> str:
    earned, share = float(np.mean(trained.line.played.returns)), trained.line.share
    best = "" if share is None else f", {share:.1%} of the optimum ({trained.line.optimum.words})"
    return f"- {trained.env_id}: D earns {earned:.3f}{best}; null: {trained.before:.3f}, the same network untrained."


def _test_sentence(test: TestScores) -> str:
    prediction = test.prediction
    scores = "; ".join(f"{line} {with_interval(per_seed)}" for line, per_seed in test.lines.items() if per_seed)
    return f"- {prediction.key}: {prediction.question} {prediction.metric}: {scores}. Null: {prediction.null}."


def _seeds_sentence(result: ComparisonResult) -> str:
    seeds = result.scores.num_seeds
    if seeds >= MIN_SEEDS:
        return f"- {result.folder / 'summary.txt'} holds the verdicts."
    failed = len(result.study.failed)
    lost = f" {failed} cells failed, so that some numbers are missing." if failed else ""
    return f"- {seeds} seeds are too few for a verdict (the rule asks for {MIN_SEEDS}): these are estimates.{lost}"
