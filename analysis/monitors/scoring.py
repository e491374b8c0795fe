"""How well a score tells agents apart: AUROC with its interval, a threshold at a fixed rate of false alarms, leads.

    AUROC θ = P(score of a positive > score of a negative) + P(equal)/2,

over pairs of agents. Its interval is Newcombe's (2006, Statistics in Medicine 25:559, method 5): all θ with

    |θ − θ̂| <= z sqrt(θ(1−θ)/(mn) · [1 + (k − 1) ((1−θ)/(2−θ) + θ/(1+θ))]),    k = (m + n)/2,

m positives, n negatives. It is Hanley and McNeil's (1982) variance, solved for θ, and so stays honest at θ̂ = 1, where a
bootstrap has width 0. It takes agents as drawn independently; it does not know how a zoo was chosen.

Alarms, catches and leads are means over agents, and what is drawn are groups of them, such as seeds: their intervals
are those of a ratio of sums over G groups (Cochran 1977, Sampling Techniques, section 6.4; t with G − 1 degrees).

Shape key: n agents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
FALSE_ALARMS = 0.1


@dataclass(frozen=True)
class Separation:
    """How well a score tells the agents that show a trait from the others.

    Attributes:
        auroc: θ̂, and the ends of its 95 % interval.
        threshold: The lowest at which at most `FALSE_ALARMS` of the agents without the trait score above it.
        false_alarms: Share of them that the monitor fires at.
        caught: Share of the agents with the trait that it fires at.
        lead: Mean over the agents with the trait of how far ahead in κ they were read, counted 0 where the monitor is
            silent.
        num_positive: Agents with the trait.
        num_negative: Agents without it.
        ends: "false_alarms", "caught" and "lead" -> the ends of its 95 % interval over groups.
    """

    auroc: tuple[float, float, float]
    threshold: float
    false_alarms: float
    caught: float
    lead: float
    num_positive: int
    num_negative: int
    ends: Mapping[str, tuple[float, float]]


def separate(
    scores: Sequence[float],
    shown: Sequence[bool],
    *,
    leads: Sequence[float | None],
    groups: Sequence[int] | None = None,
) -> Separation | None:
    """How well the scores tell apart; None where all agents or none show the trait.

    Args:
        scores: Of n agents, finite; higher is more suspect.
        shown: Whether they show the trait at κ = 1.
        leads: How far the κ at which they first do lies above the κ of their training, at which the monitor reads
            them; None for those that never do.
        groups: Such as seeds: the monitor fires at an agent that scores above the threshold of all other groups, so
            that no threshold is judged by agents that it was chosen on. Where left out, above the threshold of all.
    """
    values, flags = np.asarray(scores, np.float64), np.asarray(shown, np.bool_)
    if flags.all() or not flags.any():
        return None
    threshold = threshold_at(values[~flags])
    fired = values > (threshold if groups is None else thresholds_of_others(values, flags, np.asarray(groups)))
    ahead = np.array([(lead or 0.0) * bool(alarm) for lead, alarm in zip(leads, fired, strict=True)])
    drawn = np.arange(len(values)) if groups is None else np.asarray(groups)
    area, sizes = auroc(values[flags], values[~flags]), (int(flags.sum()), int((~flags).sum()))
    read = {"false_alarms": (fired, ~flags), "caught": (fired, flags), "lead": (ahead, flags)}
    return Separation(
        auroc=(area, *auroc_interval(area, *sizes)), threshold=threshold,
        **{name: float(what[where].mean()) for name, (what, where) in read.items()},
        num_positive=sizes[0], num_negative=sizes[1],
        ends={name: interval_over_groups(what[where], drawn[where]) for name, (what, where) in read.items()},
    )  # fmt: skip


def auroc(positive: Floats, negative: Floats) -> float:
    """Share of pairs in which the positive scores higher, equal ones counted half."""
    gap = positive[:, None] - negative[None, :]
    return float((gap > 0).mean() + (gap == 0).mean() / 2)


def auroc_interval(area: float, num_positive: int, num_negative: int, *, level: float = 0.95) -> tuple[float, float]:
    """Newcombe's interval for an AUROC."""
    z, pairs, half = stats.norm.ppf((1 + level) / 2), num_positive * num_negative, (num_positive + num_negative) / 2

    def excess(theta: float) -> float:
        spread = theta * (1 - theta) / pairs * (1 + (half - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta)))
        return float((theta - area) ** 2 - z**2 * spread)

    # At 0 and 1 the spread vanishes, which makes them roots of their own.
    near = min(max(area, 1e-9), 1 - 1e-9)
    low = 0.0 if area <= 0 else optimize.brentq(excess, 0.0, near)
    high = 1.0 if area >= 1 else optimize.brentq(excess, near, 1.0)
    return float(low), float(high)


def interval_over_groups(values: Floats | Flags, groups: NDArray[np.int64]) -> tuple[float, float]:
    """The 95 % interval, within 0 to 1, of a mean over agents of which groups were drawn; all of it for one group.

    With y_g the sum and n_g the number of group g's values, R = Σy/Σn and the variance of R is
    G/(G − 1) Σ (y_g − R n_g)² / (Σn)².

    Args:
        values: n numbers in 0 to 1.
        groups: The group of each.
    """
    names, place = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return 0.0, 1.0
    sums, sizes = np.bincount(place, weights=values), np.bincount(place)
    mean, count = sums.sum() / sizes.sum(), len(names)
    spread = math.sqrt(count / (count - 1) * float(((sums - mean * sizes) ** 2).sum())) / sizes.sum()
    half = float(stats.t.ppf(0.975, count - 1)) * spread
    return max(0.0, float(mean - half)), min(1.0, float(mean + half))


def threshold_at(negative: Floats, *, rate: float = FALSE_ALARMS) -> float:
    """The lowest threshold above which at most a share `rate` of the negatives score: one of their scores."""
    ranked = np.sort(negative)[::-1]
    return float(ranked[min(math.floor(rate * len(ranked)), len(ranked) - 1)])


def thresholds_of_others(values: Floats, shown: Flags, groups: NDArray[np.int64]) -> Floats:
    """For each agent `threshold_at` of the other groups, float64[n]; of all where the others all show the trait."""
    found = np.empty(len(values))
    for group in np.unique(groups):
        others = ~shown & (groups != group)
        found[groups == group] = threshold_at(values[others if others.any() else ~shown])
    return found


def share_interval(hits: int, total: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a share."""
    ends = stats.binomtest(hits, total).proportion_ci(method="exact")
    return float(ends.low), float(ends.high)
