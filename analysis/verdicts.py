"""The decision rules of the comparison: what may be called distinguishable, equivalent, inconclusive, or nothing.

For each contrast, per-seed differences d of the raw metric, and a margin stated before the run:

- distinguishable: the Holm-level t interval of mean(d) excludes 0 and |mean d| > margin;
- equivalent: the 90 % t interval lies inside (-margin, margin);
- inconclusive: neither, with the number of seeds that would decide at power .8;
- no verdict: fewer than ``min_seeds`` seeds.

The first two exclude each other, since an interval inside the margin holds a mean inside it. Holm runs over the
contrasts of one test. The rules of this module are frozen with a study by `RULE_VERSIONS`.

Shape key: every mapping {seed: number} goes from a training seed to that seed's one number, so that episodes cannot
pass as runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from analysis.multiple_tests import holm, holm_levels
from analysis.power import MAX_SEEDS_NEEDED, Effect, difference_power, equivalence_power, seeds_needed
from analysis.statistics import Interval, Scores, paired_t_test, seed_column, t_interval

PerSeed = Mapping[int, float]
Word = Literal["distinguishable", "equivalent", "inconclusive", "no verdict"]

RULE_VERSIONS: Mapping[str, int] = MappingProxyType({"verdict": 1, "admission": 2, "position": 1})
"""Raised by hand when a rule changes; part of every preregistration."""

MIN_SEEDS = 20
POWER = 0.8
EQUIVALENCE_LEVEL = 0.9


@dataclass(frozen=True)
class Verdict:
    """The verdict on one contrast, with everything that it rests on.

    Attributes:
        contrast: its name, such as "MOE - MONO".
        word: the verdict.
        mean: mean of the per-seed differences.
        sd: their standard deviation.
        num_seeds: how many seeds entered.
        missing_seeds: planned seeds without a difference.
        interval: at the level of Holm's procedure for this contrast; excludes 0 iff ``p_holm <= alpha``.
        equivalence_interval: the 90 % interval.
        p_holm: Holm-adjusted p value of the t test against 0.
        margin: the margin, in the metric's unit.
        min_seeds: seeds needed for a verdict.
    """

    contrast: str
    word: Word
    mean: float
    sd: float
    num_seeds: int
    missing_seeds: tuple[int, ...]
    interval: Interval
    equivalence_interval: Interval
    p_holm: float
    margin: float
    min_seeds: int

    @property
    def signed_word(self) -> str:
        """The word, and whether what is distinguishable lies below 0."""
        return f"{self.word}, below 0" if self.word == "distinguishable" and self.mean < 0 else self.word

    @property
    def seeds_to_decide(self) -> int | None:
        """For an inconclusive contrast, the smallest number of seeds that would decide it with power .8.

        Computed with `analysis.power` for the verdict that the observed mean points to (beyond the margin:
        distinguishable at this contrast's Holm level, otherwise equivalent), as if the truth were the observed mean
        and standard deviation; so it is as uncertain as they are.

        Returns:
            The number, above ``num_seeds``; None where 10,000 are not enough, and for every other verdict.
        """
        if self.word != "inconclusive":
            return None
        return seeds_needed(self._power_at, power=POWER, at_least=self.num_seeds + 1)

    def _power_at(self, num_seeds: int) -> float:
        effect = Effect(self.mean, self.sd)
        if abs(effect.mean) > self.margin:
            return difference_power(num_seeds, effect, alpha=1 - self.interval.level, margin=self.margin)
        return equivalence_power(num_seeds, effect, margin=self.margin, alpha=(1 - EQUIVALENCE_LEVEL) / 2)


def decide(
    contrasts: Mapping[str, PerSeed],
    *,
    margin: float,
    seeds: Sequence[int] | None = None,
    min_seeds: int = MIN_SEEDS,
    alpha: float = 0.05,
) -> tuple[Verdict, ...]:
    """Apply the rule to the contrasts of one test, which are the family that Holm corrects for.

    Args:
        contrasts: name -> {seed: difference}, from `analysis.statistics.paired_differences` (or scores against 0).
        margin: > 0, in the metric's unit, fixed beforehand.
        seeds: the planned seeds; those without a difference are named in the verdict.
        min_seeds: fewer seeds give "no verdict". The house rule is 20 to claim a difference.
        alpha: family-wise size for differences; one-sided size of the equivalence test is fixed by its 90 % interval.

    Returns:
        One verdict for each contrast, in the order given.

    Raises:
        ValueError: margin not positive, fewer than 2 seeds, or a difference that is not finite.
    """
    if not margin > 0:
        raise ValueError(f"margin is {margin}, but must be above 0: the smallest difference of interest.")
    tables = {name: seed_column(differences, f"Contrast {name!r}") for name, differences in contrasts.items()}
    p_values = [paired_t_test(table).p_value for table in tables.values()]
    adjusted, levels = holm(p_values), holm_levels(p_values, alpha=alpha)
    return tuple(
        _judge(
            _Evidence(name, table, p_holm, level),
            margin=margin,
            min_seeds=min_seeds,
            missing=tuple(seed for seed in seeds or () if seed not in contrasts[name]),
        )
        for (name, table), p_holm, level in zip(tables.items(), adjusted, levels, strict=True)
    )


def explain(verdict: Verdict) -> str:
    """The verdict in one sentence with its numbers, for tables' notes and the terminal."""
    narrow, wide = verdict.equivalence_interval, verdict.interval
    seen = f"mean {verdict.mean:+.3g} over {verdict.num_seeds} seeds"
    ninety = f"90 % interval {narrow.low:+.3g} to {narrow.high:+.3g}"
    holm_level = f"{100 * wide.level:.4g} % interval after Holm {wide.low:+.3g} to {wide.high:+.3g}"
    sentences: dict[Word, str] = {
        "no verdict": f"{seen}, {ninety}; {verdict.min_seeds} seeds are needed for a verdict",
        "distinguishable": f"{seen}, {holm_level} excludes 0 and the mean exceeds the margin {verdict.margin:g}",
        "equivalent": f"{seen}, {ninety} lies inside the margin {verdict.margin:g}",
        "inconclusive": f"{seen}, {holm_level}, {ninety}, margin {verdict.margin:g}; {_needed(verdict)}",
    }
    missing = f" Missing seeds: {', '.join(map(str, verdict.missing_seeds))}." if verdict.missing_seeds else ""
    below = ", below 0" if verdict.word == "distinguishable" and verdict.mean < 0 else ""
    return f"{verdict.contrast}: {verdict.word}{below} ({sentences[verdict.word]}).{missing}"


@dataclass(frozen=True)
class _Evidence:
    contrast: str
    table: Scores
    p_holm: float
    alpha: float


def _judge(evidence: _Evidence, *, margin: float, min_seeds: int, missing: tuple[int, ...]) -> Verdict:
    interval = t_interval(evidence.table, level=1 - evidence.alpha)
    narrow = t_interval(evidence.table, level=EQUIVALENCE_LEVEL)
    return Verdict(
        contrast=evidence.contrast,
        word=_word(interval, narrow, margin=margin, min_seeds=min_seeds),
        mean=interval.estimate,
        sd=float(evidence.table.std(ddof=1)),
        num_seeds=interval.num_seeds,
        missing_seeds=missing,
        interval=interval,
        equivalence_interval=narrow,
        p_holm=evidence.p_holm,
        margin=margin,
        min_seeds=min_seeds,
    )


def _word(interval: Interval, narrow: Interval, *, margin: float, min_seeds: int) -> Word:
    if interval.num_seeds < min_seeds:
        return "no verdict"
    if interval.excludes(0.0) and abs(interval.estimate) > margin:
        return "distinguishable"
    return "equivalent" if narrow.inside(margin) else "inconclusive"


def _needed(verdict: Verdict) -> str:
    if verdict.seeds_to_decide is None:
        return (
            f"not even {MAX_SEEDS_NEEDED} seeds would decide if the truth were as observed: the mean is at the margin"
        )
    return f"{verdict.seeds_to_decide} seeds would decide with power {POWER:g} if the truth were as observed"
