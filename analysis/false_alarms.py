"""How often the rules would say what is not so: simulated studies of arms that are copies of one another.

Per-seed scores are drawn, nothing is trained. An arm's scores have one of the shapes of `SHAPES`; all arms of a study
are independent copies, so that every contrast between them is truly 0. Then
- a false alarm: some verdict of a family (the contrasts of one test, or its arms against 0, in all its worlds: what
  Holm's procedure runs over) says "distinguishable";
- the size of "equivalent": how often it is said of a difference that equals the margin;
- coverage: how often the t interval holds the true mean.
The margin is taken as 0 for false alarms, the worst case: a margin only takes "distinguishable" away.

`python -m analysis.false_alarms` prints the tables that docs/comparison.md quotes.

Shapes: M studies, N seeds, H hypotheses of a family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.arms import CONTRASTS
from analysis.markdown import table
from analysis.verdicts import EQUIVALENCE_LEVEL, MIN_SEEDS

Floats = NDArray[np.float64]

NUM_STUDIES = 2000
NUM_COVERED = 100_000
SEEDS = (5, 10, 20)


@dataclass(frozen=True)
class Shape:
    """How an arm's scores are spread over seeds: `draw` gives float64 of a size, and `mean` is their true mean."""

    draw: Callable[[np.random.Generator, tuple[int, ...]], Floats]
    mean: float


def _beta(a: float, b: float) -> Shape:
    return Shape(lambda generator, size: generator.beta(a, b, size), a / (a + b))


def _clipped(mean: float, sd: float) -> Shape:
    """A normal score cut off at 1: E min(x, 1) = mean - sd (phi(z) - z (1 - Phi(z))), z = (1 - mean) / sd."""
    z = (1.0 - mean) / sd
    lost = float(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) - z * special.ndtr(-z))
    return Shape(lambda generator, size: np.minimum(generator.normal(mean, sd, size), 1.0), mean - sd * lost)


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "normal": Shape(lambda generator, size: generator.normal(size=size), 0.0),
        "uniform": _beta(1, 1),
        "Beta(2, 2), a hump": _beta(2, 2),
        "normal, cut off at a ceiling": _clipped(0.9, 0.1),
        "Beta(1/2, 1/2), U-shaped": _beta(0.5, 0.5),
        "Beta(18, 2), near a ceiling": _beta(18, 2),
        "Beta(8, 1), at a ceiling": _beta(8, 1),
    }
)


def false_alarm_rate(shape: Shape, *, family: str, num_worlds: int, generator: np.random.Generator) -> float:
    """Share of 2,000 studies with 20 seeds in which any verdict of the family says "distinguishable".

    Args:
        shape: Of every arm's scores.
        family: "contrasts" (the primary ones) or "against 0" (arms whose true mean is 0).
        num_worlds: Worlds that Holm's procedure runs over together.
        generator: Of the scores.
    """
    return float(distinguishable(copies(shape, family=family, num_worlds=num_worlds, generator=generator)).mean())


def copies(shape: Shape, *, family: str, num_worlds: int, generator: np.random.Generator) -> Floats:
    """Differences (or scores minus their mean), float[M, H, N], of studies in which every hypothesis is true."""
    arms = sorted({arm for first, second, _ in CONTRASTS for arm in (first, second)})
    scores = shape.draw(generator, (num_worlds, len(arms), NUM_STUDIES, MIN_SEEDS))
    if family == "against 0":
        return np.concatenate(scores - shape.mean).swapaxes(0, 1)
    pairs = [(arms.index(first), arms.index(second)) for first, second, _ in CONTRASTS]
    return np.stack([world[first] - world[second] for world in scores for first, second in pairs], axis=1)


def distinguishable(differences: Floats, *, margin: float = 0.0, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Whether any verdict of each study says "distinguishable", bool[M]; differences float[M, H, N].

    The rule of `analysis.verdicts.decide` for many studies at once: Holm rejects the hypotheses of smallest p up to the
    first p_(i) > alpha / (H - i + 1), and of those one has |mean| > margin.
    """
    num_hypotheses = differences.shape[1]
    p = 2 * special.stdtr(differences.shape[2] - 1, -np.abs(_t(differences)))
    order = np.argsort(p, axis=1)
    steps = alpha / np.arange(num_hypotheses, 0, -1)
    rejected = np.logical_and.accumulate(np.take_along_axis(p, order, axis=1) <= steps, axis=1)
    beyond = np.take_along_axis(np.abs(differences.mean(axis=2)), order, axis=1) > margin
    return np.asarray((rejected & beyond).any(axis=1))


def equivalence_size(shape: Shape, *, margin: float, generator: np.random.Generator) -> float:
    """How often two arms that differ by the margin are called equivalent, over 2,000 studies with 20 seeds.

    Args:
        shape: Of both arms' scores; one is moved up by the margin.
        margin: > 0, in standard deviations of the difference.
        generator: Of the scores.
    """
    first, second = shape.draw(generator, (2, NUM_STUDIES, MIN_SEEDS))
    differences = first - second
    distance = margin * float(differences.std())
    quantile = float(special.stdtrit(MIN_SEEDS - 1, (1 + EQUIVALENCE_LEVEL) / 2))
    half = quantile * differences.std(axis=1, ddof=1) / MIN_SEEDS**0.5
    mean = differences.mean(axis=1) + distance
    return float(((mean + half < distance) & (mean - half > -distance)).mean())


def coverage(shape: Shape, *, num_seeds: int, contrast: bool, generator: np.random.Generator) -> float:
    """How often the 95 % t interval holds the true mean of an arm, or the true difference of two copies (0)."""
    scores = shape.draw(generator, (NUM_COVERED, num_seeds)) - shape.mean
    if contrast:
        scores = scores - (shape.draw(generator, scores.shape) - shape.mean)
    return float((np.abs(_t(scores)) <= special.stdtrit(num_seeds - 1, 0.975)).mean())


def _t(scores: Floats) -> Floats:
    """Mean / (sd / sqrt(N)) over the last axis; 0 where all scores are 0, infinite where they are equal but not 0."""
    error = scores.std(axis=-1, ddof=1) / scores.shape[-1] ** 0.5
    mean = scores.mean(axis=-1)
    return np.asarray(np.divide(mean, error, out=np.where(mean == 0, 0.0, np.inf), where=error > 0))


def tables(seed: int = 0) -> str:
    """The two tables as Markdown: false alarms and sizes, and coverage."""
    alarms: list[list[str]] = []
    covered: list[list[str]] = []
    for name, shape in SHAPES.items():
        generator = np.random.default_rng([seed, len(alarms)])
        rates = [
            false_alarm_rate(shape, family=family, num_worlds=worlds, generator=generator)
            for family in ("contrasts", "against 0")
            for worlds in (1, 2)
        ]
        sizes = [equivalence_size(shape, margin=margin, generator=generator) for margin in (1.0, 2.0)]
        alarms.append([name, *(f"{100 * number:.1f} %" for number in (*rates, *sizes))])
        cover = [
            coverage(shape, num_seeds=num_seeds, contrast=contrast, generator=generator)
            for contrast in (False, True)
            for num_seeds in SEEDS
        ]
        covered.append([name, *(f"{number:.3f}" for number in cover)])
    seeds = [f"{kind}, {count}" for kind in ("one arm", "contrast") for count in SEEDS]
    families = ["contrasts", "contrasts, two worlds", "against 0", "against 0, two worlds"]
    head = ["scores of an arm", *families, "equivalent, margin 1 sd", "equivalent, margin 2 sd"]
    return table(head, alarms) + "\n\n" + table(["scores of an arm", *seeds], covered)


if __name__ == "__main__":
    print(tables())
