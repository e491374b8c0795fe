"""Probes of several runs side by side: value heads, with differences over training seeds.

Runs are of one group that differ in nothing but their seed (`subject.group_names`): a head, or a head under one of
several settings. The unit is the training seed. Where two groups have at least two seeds in common, the
difference is taken within seeds and its interval is Student's over them; where they have none in common it is Welch's.
One seed has no interval.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.multiple_tests import holm
from analysis.probing.report import ProbeReport
from analysis.probing.subject import Subject, group_names
from analysis.statistics import TTest, paired_differences, paired_t_test, seed_column, welch
from envs.errors import UserError

PerSeed = Mapping[int, float]


@dataclass(frozen=True)
class Difference:
    """One number of one group minus the same of another.

    Attributes:
        instrument: Whose number it is.
        number: Its name.
        first: The group that is subtracted.
        second: The other one.
        estimate: Mean difference; NaN where a group has no score.
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
        groups: Group -> seed -> its probe, in the order in which they were given.
        scores: (instrument, number) -> group -> seed -> score; scores that are not defined are left out.
        differences: Of every group after the first against the first, and so on for all pairs.
    """

    groups: Mapping[str, Mapping[int, ProbeReport]]
    scores: Mapping[tuple[str, str], Mapping[str, PerSeed]]
    differences: tuple[Difference, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Every score, one row for each run and number."""
        return [
            {"instrument": reading.instrument, "number": name, "group": group, "head": report.subject.head,
             "seed": seed, "score": score}
            for group, reports in self.groups.items() for seed, report in reports.items()
            for reading in report.readings for name, score in reading.numbers.items()
        ]  # fmt: skip


def compare_reports(reports: Sequence[ProbeReport]) -> Comparison:
    """Put probes side by side; raises as `require_comparable`."""
    subjects = [report.subject for report in reports]
    require_comparable(subjects)
    groups: dict[str, dict[int, ProbeReport]] = {}
    scores: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for group, report in zip(group_names(subjects), reports, strict=True):
        groups.setdefault(group, {})[report.subject.seed] = report
        for reading in report.readings:
            for name, score in reading.numbers.items():
                per_seed = scores.setdefault((reading.instrument, name), {}).setdefault(group, {})
                if score is not None:
                    per_seed[report.subject.seed] = score
    differences = [
        _difference(key, of_groups, pair)
        for key, of_groups in scores.items() for pair in itertools.combinations(of_groups, 2)
    ]  # fmt: skip
    return Comparison(groups, scores, _adjusted(differences))


def require_comparable(subjects: Sequence[Subject]) -> None:
    """Refuse runs that cannot stand side by side.

    Raises:
        UserError: Fewer than two, different environments, or two runs of one group with the same seed.
    """
    if len(subjects) < 2:
        raise UserError(f"There is {len(subjects)} run, but side by side takes at least two.")
    seen: set[tuple[str, int]] = set()
    for one, group in zip(subjects, group_names(subjects), strict=True):
        if (one.env_id, one.options) != (subjects[0].env_id, subjects[0].options):
            raise UserError(
                f"The runs are of different environments, {_place(subjects[0])} and {_place(one)}; their numbers do "
                "not compare, so probe them one by one."
            )
        if (group, one.seed) in seen:
            raise UserError(
                f"Two runs are of head {group} with seed {one.seed}, but a seed counts once; leave one out, or train "
                "another seed."
            )
        seen.add((group, one.seed))


def _place(subject: Subject) -> str:
    return f"{subject.env_id} {dict(subject.options)}" if subject.options else subject.env_id


def _difference(key: tuple[str, str], groups: Mapping[str, PerSeed], pair: tuple[str, str]) -> Difference:
    """The second group minus the first, with the interval that their seeds allow."""
    first, second = groups[pair[0]], groups[pair[1]]
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
    few = min(pair, key=lambda group: len(groups[group]))
    reason = f"no interval: {few} has {len(groups[few])} seed(s), and an interval over seeds needs at least 2"
    return Difference(*key, *pair, estimate, None, reason)


def _adjusted(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """With Holm's p values over all differences that have a test."""
    p_values = [one.test.p_value for one in differences if one.test is not None]
    adjusted = iter(holm(p_values))
    return tuple(one if one.test is None else dataclasses.replace(one, adjusted=next(adjusted)) for one in differences)
