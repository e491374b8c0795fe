"""The demo's last words: what was found, against which null, and what was not shown."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.measuring import Measured
from analysis.commands.printing import wrapped
from analysis.probing.outcomes import OutcomeFit, outcome_sentence
from analysis.probing.report import ProbeReport
from analysis.statistics import interval_over_seeds
from analysis.studies.comparison import ComparisonResult
from analysis.studies.comparison_scores import ScoresOfTest
from analysis.studies.comparison_words import SCOPE, with_interval
from analysis.studies.line_test import PerSeed
from analysis.verdicts import MIN_SEEDS


@dataclass(frozen=True)
class Trained:
    """The trained agent of the demo.

    Attributes:
        env_id: Where it was trained.
        line: Its greedy D against the optimum.
        before: Mean return of the same network before training, sampled.
        fit: Its V against the outcomes of held-out episodes.
        figure: Its learning curve.
    """

    env_id: str
    line: Measured
    before: float
    fit: OutcomeFit
    figure: Path | None


def conclusion(trained: Trained, result: ComparisonResult, report: ProbeReport | None) -> list[str]:
    """Lines of at most 120 columns, under two headings."""
    tests = result.scores.tests.values()
    found = [_training_sentence(trained), f"- Its V: {outcome_sentence(trained.fit)}", _seeds_sentence(result)]
    found += [sentence for test in tests for sentence in _test_sentences(test)]
    found += [] if report is None else probe_sentences(report)
    limits = [f"- {test.prediction.key} does not show {test.prediction.does_not_show}." for test in tests]
    limits += [f"- One agent on {trained.env_id} says nothing of other seeds, nor of worlds where planning is hard."]
    limits += [] if report is None else [f"- {sentence}" for sentence in report.not_shown]
    sentences = ["WHAT WAS FOUND", *found, "", "WHAT WAS NOT SHOWN", *limits, f"- {SCOPE}"]
    return [line for sentence in sentences for line in wrapped(sentence)]


def probe_sentences(report: ProbeReport) -> list[str]:
    """One sentence on what can be read from V's hidden layer, and one on what V does with it, each with its null."""
    readouts = {
        row["kind"]: f"{row['accuracy']:.2f}"
        for row in report.reading("readability").rows
        if "accuracy" in row and (row["layer"] == "V's hidden layer" or row["kind"] == "raw")
    }
    sentences = []
    if "trained" in readouts:
        sentences.append(
            f"- {report.title}: the context is read from V's hidden layer with balanced accuracy "
            f"{readouts['trained']}. Null: {readouts.get('untrained', '–')} from the same layer before training, "
            f"{readouts.get('raw', '–')} from the observation itself, which shows it."
        )
    for swap in report.reading("context").rows[:1]:
        sentences.append(
            f"- Swapping nothing but the context moves that V by {swap['rms']:.3f} (root mean square), and context by "
            f"situation is {swap['interaction_share']:.3f} of its variance. Null: V* moves by "
            f"{swap['rms_optimal']:.3f}, and its share is {swap['interaction_share_optimal']:.3f}."
        )
    return sentences


def _training_sentence(trained: Trained) -> str:
    earned, share = float(np.mean(trained.line.played.returns)), trained.line.share
    best = "" if share is None else f", {share:.1%} of the optimum ({trained.line.optimum.words})"
    return f"- {trained.env_id}: D earns {earned:.3f}{best}. Null: {trained.before:.3f}, the same network untrained."


def _test_sentences(test: ScoresOfTest) -> list[str]:
    """A test's question, what its arms gave, and its controls; the table above has every line."""
    prediction = test.prediction
    arms = {line: per_seed for line, per_seed in test.lines.items() if per_seed and line not in test.test.plants}
    planted = {line: test.lines.get(line) for line in test.test.plants}
    plants = {line: with_interval(per_seed) for line, per_seed in planted.items() if per_seed}
    sentences = [f"- {prediction.key}: {prediction.question}", f"  {prediction.metric}."]
    if not arms:
        return [*sentences, "  No cell of it finished, so there is nothing to say."]
    highest = max(arms, key=lambda line: statistics.fmean(arms[line].values()))
    shown = dict.fromkeys((next(iter(arms)), highest))
    apart = [line for line, per_seed in arms.items() if _excludes_zero(per_seed)]
    scores = "; ".join(f"{line} {with_interval(arms[line])}" for line in shown)
    sentences += [
        f"  {scores}, the highest of {len(arms)}. Intervals that exclude 0 (not corrected for {len(arms)} looks): "
        f"{', '.join(apart) or 'none'}.",
        f"  Null: {prediction.null}.",
    ]
    return [*sentences, *(f"  Planted: {line} {text}." for line, text in plants.items())]


def _excludes_zero(per_seed: PerSeed) -> bool:
    interval = interval_over_seeds(per_seed)
    return interval is not None and interval.excludes(0.0)


def _seeds_sentence(result: ComparisonResult) -> str:
    seeds, failed = result.scores.num_seeds, len(result.study.failed)
    lost = f" {failed} cells failed, so that some numbers are missing." if failed else ""
    if seeds >= MIN_SEEDS:
        return f"- The comparison's verdicts stand in {result.folder / 'summary.txt'}.{lost}"
    return (
        f"- The comparison has {seeds} seeds, too few for a verdict (the rule asks for {MIN_SEEDS}): what follows are "
        f"estimates with 95 % intervals over seeds.{lost}"
    )
