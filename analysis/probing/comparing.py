"""Probes of several runs side by side: value heads, with differences over training seeds.

The unit is the training seed. Where two heads have at least two seeds in common, the difference is taken within seeds
and its interval is Student's over them; where they have none in common it is Welch's. One seed has no interval.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.multiple_tests import holm
from analysis.probing.report import ProbeReport, Subject
from analysis.statistics import TTest, paired_differences, paired_t_test, seed_column, welch
from envs.errors import UserError

PerSeed = Mapping[int, float]


@dataclass(frozen=True)
class Difference:
    """One number of one head minus the same of another.

    Attributes:
        instrument: Whose number it is.
        number: Its name.
        first: The head that is subtracted.
        second: The other one.
        estimate: Mean difference; NaN where a head has no score.
        test: None where there is no interval.
        reason: How the interval was made, or why there is none.
        adjusted: Holm's p value over all differences that have one; NaN where this has none.
    """

    instrument: str
    number: str
    first: str
    second: str
    estimate: float
    test: TTest | None
    reason: str
    adjusted: float = float("nan")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Probes of several runs.

    Attributes:
        reports: As given.
        scores: (instrument, number) -> head -> seed -> score; scores that are not defined are left out.
        differences: Of every head after the first against the first, and so on for all pairs.
    """

    reports: tuple[ProbeReport, ...]
    scores: Mapping[tuple[str, str], Mapping[str, PerSeed]]
    differences: tuple[Difference, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """In the order in which they were given."""
        return tuple(dict.fromkeys(report.subject.head for report in self.reports))

    def rows(self) -> list[dict[str, Any]]:
        """Every score, one row for each run and number."""
        return [
            {"instrument": reading.instrument, "number": name, "head": report.subject.head,
             "seed": report.subject.seed, "score": score}
            for report in self.reports for reading in report.readings for name, score in reading.numbers.items()
        ]  # fmt: skip


def compare_reports(reports: Sequence[ProbeReport]) -> Comparison:
    """Put probes side by side; raises as `require_comparable`."""
    require_comparable([report.subject for report in reports])
    scores: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for report in reports:
        for reading in report.readings:
            for name, score in reading.numbers.items():
                heads = scores.setdefault((reading.instrument, name), {})
                per_seed = heads.setdefault(report.subject.head, {})
                if score is not None:
                    per_seed[report.subject.seed] = score
    differences = [
        _difference(key, heads, pair) for key, heads in scores.items() for pair in itertools.combinations(heads, 2)
    ]
    return Comparison(tuple(reports), scores, _adjusted(differences))


def require_comparable(subjects: Sequence[Subject]) -> None:
    """Refuse runs that cannot stand side by side.

    Raises:
        UserError: Fewer than two, different environments, or two runs of one head with the same seed.
    """
    if len(subjects) < 2:
        raise UserError(f"There is {len(subjects)} run, but side by side takes at least two.")
    seen: set[tuple[str, int]] = set()
    for one in subjects:
        if (one.env_id, one.options) != (subjects[0].env_id, subjects[0].options):
            raise UserError(
                f"The runs are of different environments, {_place(subjects[0])} and {_place(one)}; their numbers do "
                "not compare, so probe them one by one."
            )
        if (one.head, one.seed) in seen:
            raise UserError(
                f"Two runs are of head {one.head} with seed {one.seed}, but a seed counts once; leave one out, or "
                "train another seed."
            )
        seen.add((one.head, one.seed))


def _place(subject: Subject) -> str:
    return f"{subject.env_id} {dict(subject.options)}" if subject.options else subject.env_id


def _difference(key: tuple[str, str], heads: Mapping[str, PerSeed], pair: tuple[str, str]) -> Difference:
    """The second head minus the first, with the interval that their seeds allow."""
    first, second = heads[pair[0]], heads[pair[1]]
    within = paired_differences(second, first)
    if len(within) >= 2:
        test = paired_t_test(seed_column(within, "The difference"))
        unpaired = len(first.keys() ^ second.keys())
        rest = f", {unpaired} runs without a partner left out" if unpaired else ""
        return Difference(*key, *pair, test.difference, test, f"paired over {len(within)} seeds{rest}")
    if min(len(first), len(second)) >= 2:
        test = welch(seed_column(second, pair[1]), seed_column(first, pair[0]))
        return Difference(*key, *pair, test.difference, test, f"Welch, {len(second)} and {len(first)} seeds")
    estimate = float(np.mean(list(second.values())) - np.mean(list(first.values()))) if first and second else np.nan
    few = min(pair, key=lambda head: len(heads[head]))
    reason = f"no interval: {few} has {len(heads[few])} seed(s), and an interval over seeds needs at least 2"
    return Difference(*key, *pair, estimate, None, reason)


def _adjusted(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """With Holm's p values over all differences that have a test."""
    p_values = [one.test.p_value for one in differences if one.test is not None]
    adjusted = iter(holm(p_values))
    return tuple(one if one.test is None else dataclasses.replace(one, adjusted=next(adjusted)) for one in differences)
