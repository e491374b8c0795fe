"""How often the rules would say what is not so, for scores as spread as those of a study that was run.

`analysis.false_alarms` draws scores of stated shapes. Here the study's own per-seed scores (and differences), each less
its mean over seeds, are the population that every hypothesis of a family truly has; seeds are drawn anew from it with
replacement, the same seeds for all hypotheses, so that what arms have in common stays. A verdict "distinguishable" is
then a false alarm.

`python -m analysis.studies.measured_alarms SCORES.csv` prints the table for a comparison's scores.

Shapes: M studies, H hypotheses of a family, N seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars

from analysis.arms import ARMS, contrasts_among
from analysis.false_alarms import NUM_STUDIES, Floats, distinguishable
from analysis.markdown import table
from analysis.statistics import paired_differences
from analysis.studies.line_test import LineTest, PerSeed
from analysis.studies.tests import TESTS
from analysis.verdicts import MIN_SEEDS

Family = Mapping[str, PerSeed]


@dataclass(frozen=True)
class Alarms:
    """False alarms of one family of verdicts.

    Attributes:
        test: Such as "T5".
        family: "contrasts" or "against 0".
        num_hypotheses: In all the test's worlds together, as Holm's procedure runs.
        margin: Of the test.
        at_margin: Share of studies with a false alarm under the rule as it is.
        without_margin: The same where the margin is taken as 0, the worst case.
    """

    test: str
    family: str
    num_hypotheses: int
    margin: float
    at_margin: float
    without_margin: float


def measured_alarms(scores: polars.DataFrame, *, seed: int = 0) -> list[Alarms]:
    """False alarms of every family of verdicts whose scores are given.

    Args:
        scores: Columns test, reading, line, seed, value, as in a comparison's scores.csv.
        seed: Of the simulated studies.
    """
    found: list[Alarms] = []
    for test in TESTS.values():
        for name, margin, family in _families(test, scores):
            generator = np.random.default_rng([seed, len(found)])
            studies = redrawn(family, generator=generator)
            rates = [float(distinguishable(studies, margin=m).mean()) for m in (margin, 0.0)]
            found.append(Alarms(test.key, name, studies.shape[1], margin, *rates))
    return found


def redrawn(family: Family, *, generator: np.random.Generator) -> Floats:
    """2,000 studies of 20 seeds in which every hypothesis of the family is true, float[M, H, N].

    Args:
        family: Hypothesis -> {seed: score or difference}; seeds that all of them have are used.
        generator: Draws the seeds.
    """
    shared = sorted(set.intersection(*(set(per_seed) for per_seed in family.values())))
    scores = np.array([[per_seed[seed] for seed in shared] for per_seed in family.values()])
    centred = scores - scores.mean(axis=1, keepdims=True)
    drawn = generator.integers(len(shared), size=(NUM_STUDIES, MIN_SEEDS))
    return np.asarray(centred[:, drawn].swapaxes(0, 1))


def _families(test: LineTest, scores: polars.DataFrame) -> Iterator[tuple[str, float, Family]]:
    """Name, margin and hypotheses of each family of verdicts of a test, over all its worlds."""
    by_world = {world: _lines(test, world, scores) for world in test.worlds}
    if test.against_zero is not None:
        tested = {
            (world, line): per_seed
            for world, lines in by_world.items()
            for line, per_seed in lines.items()
            if (arm := ARMS.get(line.split(" (")[0])) is not None and not arm.control
        }
        if tested:
            yield "against 0", test.against_zero, {f"{line}, {world}": s for (world, line), s in tested.items()}
    contrasts = {
        f"{first} - {second}, {world}": paired_differences(lines[first], lines[second])
        for world, lines in by_world.items()
        for first, second, _ in contrasts_among(list(lines))
    }
    if test.contrasts and contrasts:
        yield "contrasts", test.prediction.margin, contrasts


def _lines(test: LineTest, world: str, scores: polars.DataFrame) -> dict[str, dict[int, float]]:
    """Line -> {seed: score} of a test in one of its worlds."""
    key = f"{test.key}, {world}" if len(test.worlds) > 1 else test.key
    found: dict[str, dict[int, float]] = {}
    for row in scores.filter((polars.col("test") == key) & (polars.col("reading") == "score")).iter_rows(named=True):
        found.setdefault(row["line"], {})[row["seed"]] = row["value"]
    return found


def words(alarms: list[Alarms]) -> str:
    """The table as Markdown."""
    head = ["test", "family", "hypotheses", "margin", "false alarms", "with margin 0"]
    rows = [
        [a.test, a.family, str(a.num_hypotheses), f"{a.margin:g}", f"{100 * a.at_margin:.1f} %",
         f"{100 * a.without_margin:.1f} %"]
        for a in alarms
    ]  # fmt: skip
    return table(head, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How often the rules raise false alarms on scores as spread as these.")
    parser.add_argument("scores", help="scores.csv of a comparison")
    print(words(measured_alarms(polars.read_csv(parser.parse_args().scores))))
