"""Controls come first: which metrics are admitted, and where an arm lies between the two controls.

A metric on a 0..1 scale is admitted only if it tells the known sharded network (POS) from the known unsharded one
(NEG-F), says of an untrained network (RAND) what it says of NEG-F, and falls as POS's gate is blurred. Where a test
names its own planted positive and null, that pair takes the places of POS, NEG-F and RAND.

Shape key: every mapping {seed: number} goes from a training seed to that seed's one number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.statistics import Interval, Scores, paired_differences, seed_column, t_interval

PerSeed = Mapping[int, float]

MIN_SEEDS = 10
SEPARATION = 0.5
NULL_MARGIN = 0.1
LEVEL = 0.9
DOSES = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Leaks of POS's gate that must be run, the first of them POS itself."""


@dataclass(frozen=True)
class Admission:
    """Whether a metric is admitted, with its numbers.

    Attributes:
        admitted: all conditions hold.
        separation: 90 % interval of mean(POS - NEG-F); its lower end must be >= .5.
        null: 90 % interval of mean(RAND - NEG-F); must lie in [-.1, .1]. None where the test plants its own pair.
        dose_means: (dose, mean score) in ascending order of the dose; () where no doses were run.
        reasons: the conditions that fail, in words; () if admitted.
    """

    admitted: bool
    separation: Interval
    null: Interval | None
    dose_means: tuple[tuple[float, float], ...]
    reasons: tuple[str, ...]


def admit_metric(
    positive: PerSeed,
    *,
    negative: PerSeed,
    untrained: PerSeed | None,
    by_dose: Mapping[float, PerSeed] | None = None,
    pair: tuple[str, str] = ("POS", "NEG-F"),
) -> Admission:
    """Apply the admission rule to one metric.

    The "lower 90 % bound" of the rule is read as the lower end of the two-sided 90 % t interval of the per-seed
    paired differences, the stricter reading. "Ordered by dose" means: the mean never rises with the dose epsilon of
    the gate (1 - epsilon) one_hot + epsilon / K, and falls from the first dose to the last.

    Args:
        positive: POS's score for each seed, on the metric's 0..1 scale.
        negative: NEG-F's.
        untrained: RAND's; None for a test that plants a pair of its own in the place of all three.
        by_dose: dose epsilon -> {seed: score}. It is asked for wherever `untrained` is.
        pair: What the positive and the negative are called.

    Returns:
        The decision. Fewer than 10 common seeds are never enough.

    Raises:
        ValueError: fewer than 2 common seeds, or a score that is not finite.
    """
    apart = " - ".join(pair)
    separation = t_interval(seed_column(paired_differences(positive, negative), apart), level=LEVEL)
    null = None
    if untrained is not None:
        null = t_interval(seed_column(paired_differences(untrained, negative), "RAND - NEG-F"), level=LEVEL)
    means = tuple((dose, float(np.mean(list(scores.values())))) for dose, scores in sorted((by_dose or {}).items()))
    num_seeds = min(interval.num_seeds for interval in (separation, null) if interval is not None)
    faults = (
        (num_seeds < MIN_SEEDS, f"{num_seeds} common seeds, but {MIN_SEEDS} are needed"),
        (
            separation.low < SEPARATION,
            f"{apart} has a lower 90 % bound of {separation.low:.3g}, below {SEPARATION:g}",
        ),
        (null is not None and max(-null.low, null.high) > NULL_MARGIN, _null_fault(null)),
        (untrained is not None and not set(DOSES) <= set(by_dose or ()), "the gate-leak dose was not run"),
        (not _ordered([mean for _, mean in means]), "the means are not ordered by the dose"),
    )
    reasons = tuple(reason for present, reason in faults if present)
    return Admission(not reasons, separation, null, means, reasons)


def planted_fault(
    lines: Mapping[str, PerSeed], positive: str, null: str, *further_nulls: str, margin: float
) -> str | None:
    """Why a test with planted agents may not be read; None where they come out.

    The lower end of the 90 % t interval of mean(positive - null) must exceed the margin, and that of each null alone
    must lie inside it.

    Args:
        lines: Line -> {seed: score}, the planted agents among them.
        positive: Line of the planted positive.
        null: Line of the planted null.
        *further_nulls: Others that must score inside the margin as well.
        margin: The test's margin, > 0.
    """
    nulls = (null, *further_nulls)
    if any(len(lines.get(name, {})) < 2 for name in (positive, *nulls)):
        return "planted agents are missing"
    apart = seed_column(paired_differences(lines[positive], lines[null]), f"{positive} - {null}")
    if t_interval(apart, level=LEVEL).low <= margin:
        return f"the planted {positive} is not told from the planted {null}"
    outside = [name for name in nulls if not t_interval(seed_column(lines[name], name), level=LEVEL).inside(margin)]
    return f"{' and '.join(outside)} score outside the margin" if outside else None


def _null_fault(null: Interval | None) -> str:
    if null is None:
        return ""
    return f"RAND - NEG-F has the 90 % interval {null.low:.3g} to {null.high:.3g}, not inside +-{NULL_MARGIN:g}"


def position_between(arm: PerSeed, *, low: PerSeed, high: PerSeed, level: float = 0.95) -> Interval:
    """Where an arm lies between a low and a high control, in percent: 100 mean(arm - low) / mean(high - low).

    Fieller's interval on the seeds that all three have: the set of r for which the t test of
    (arm - low) - r (high - low) against 0 is not rejected.

    Args:
        arm: {seed: score}, for instance MONO.
        low: the known null, NEG-F.
        high: the known positive, POS.
        level: confidence, in (0, 1).

    Returns:
        The interval in percent; it may reach beyond 0 and 100.

    Raises:
        ValueError: fewer than 2 common seeds, or high - low is not clearly above 0, so that the set is unbounded.
    """
    common = arm.keys() & low.keys() & high.keys()
    above_low = seed_column({seed: arm[seed] - low[seed] for seed in common}, "Arm - low control").ravel()
    span = seed_column({seed: high[seed] - low[seed] for seed in common}, "High - low control").ravel()
    bounds = _fieller(above_low, span, level=level)
    estimate = 100 * float(above_low.mean() / span.mean())
    return Interval(estimate, 100 * bounds[0], 100 * bounds[1], level, "Fieller on paired seeds", len(common))


def _ordered(means: list[float]) -> bool:
    if len(means) < len(DOSES):
        return True
    return all(later <= earlier for earlier, later in zip(means, means[1:], strict=False)) and means[-1] < means[0]


def _fieller(above_low: Scores, span: Scores, *, level: float) -> tuple[float, float]:
    """The roots r of (mean(x) - r mean(s))^2 = t^2 (v_xx - 2 r v_xs + r^2 v_ss), v the covariance of the means."""
    covariance = np.cov(above_low, span) / span.size
    quantile = float(special.stdtrit(span.size - 1, (1 + level) / 2)) ** 2
    leading = float(span.mean() ** 2 - quantile * covariance[1, 1])
    if leading <= 0 or span.mean() <= 0:
        raise ValueError(
            f"The controls differ by {span.mean():.3g} on average over {span.size} seeds, not clearly above 0, so a "
            "position between them has no bounds; use an admitted metric."
        )
    middle = float(above_low.mean() * span.mean() - quantile * covariance[0, 1])
    constant = float(above_low.mean() ** 2 - quantile * covariance[0, 0])
    root = max(0.0, middle**2 - leading * constant) ** 0.5
    return (middle - root) / leading, (middle + root) / leading
