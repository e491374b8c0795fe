"""A flip planted beside what pairs hold: does a search find the labels' feature, or whatever is more prominent?

    x± -> (x±, ± g · strength · width + noise),    g ∈ {−1, 1} at random for each pair

One feature is added that says the opposite of the two sides as consistently as any truth could, and means nothing.
Width is that of the pairs' own widest flip, so that at strength 1 the planted one is as wide.

Shapes: n pairs, d features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import derive_seed, numpy_generator
from analysis.instruments.contrast_pairs import ContrastPairs, feature_size, side_means
from analysis.instruments.truth import CcsSettings, fit_ccs, read_ccs

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DistractorPoint:
    """What a search found beside a distractor.

    Attributes:
        strength: Of the distractor, in widths of the pairs' own widest flip.
        seed: Of distractor and search.
        direction: Unit direction that was found, float64[d + 1], the distractor's feature last.
        accuracy: About the pairs' labels, on held-out pairs; chance ½. NaN without labels.
        distractor_accuracy: About the distractor's signs, on the same pairs.
        loss: On the same pairs.
    """

    strength: float
    seed: int
    direction: Floats
    accuracy: float
    distractor_accuracy: float
    loss: float


def flip_width(pairs: ContrastPairs) -> float:
    """Spread of (x⁺ − x⁻)/2, each side centred, along the direction in which it is widest."""
    halves = pairs.centred(side_means(pairs)).differences / 2.0
    return float(np.linalg.norm(halves, ord=2) / np.sqrt(len(pairs)))


def beside_distractor(
    pairs: ContrastPairs, strength: float, *, seed: int, noise: float = 0.0
) -> tuple[ContrastPairs, ContrastPairs]:
    """Pairs with one more feature, ± strength · g on the two sides, g a fair sign of each pair.

    Args:
        pairs: [n, d].
        strength: In units of the features.
        seed: Of signs and noise.
        noise: Standard deviation of what is added to either side by itself.

    Returns:
        The pairs [n, d + 1] with their own labels, and with the signs g as labels.
    """
    rng = numpy_generator(seed, "distractor")
    signs = rng.choice([-1.0, 1.0], size=len(pairs))
    plus, minus = (
        np.column_stack([side, sign * strength * signs + noise * rng.normal(size=len(pairs))])
        for side, sign in ((pairs.plus, 1.0), (pairs.minus, -1.0))
    )
    return ContrastPairs(plus, minus, pairs.labels), ContrastPairs(plus, minus, signs > 0.0)


def distractor_sweep(
    train: ContrastPairs,
    test: ContrastPairs,
    strengths: Sequence[float],
    *,
    seeds: Sequence[int],
    noise: float = 0.0,
    settings: CcsSettings | None = None,
) -> tuple[DistractorPoint, ...]:
    """Searches beside distractors of several strengths.

    Args:
        train: Pairs to search on.
        test: Held-out pairs.
        strengths: In widths of the training pairs' own widest flip; 0 plants nothing.
        seeds: Each draws other signs and starts.
        noise: As in `beside_distractor`.
        settings: Of each search.

    Returns:
        A point for each strength and seed.

    Cannot show: that what is found at strength 0 is the truth; only by how much another flip must be wider to be found
    in its place.
    """
    width = flip_width(train)
    return tuple(
        _point(train, test, strength, width=width, seed=seed, noise=noise, settings=settings)
        for strength in strengths
        for seed in seeds
    )


def _point(
    train: ContrastPairs,
    test: ContrastPairs,
    strength: float,
    *,
    width: float,
    seed: int,
    noise: float,
    settings: CcsSettings | None,
) -> DistractorPoint:
    told, planted = zip(
        *(
            beside_distractor(part, strength * width, seed=derive_seed(seed, "distractor", name), noise=noise)
            for name, part in (("train", train), ("test", test))
        ),
        strict=True,
    )
    unit = feature_size(train.centred(side_means(train)))
    probe = fit_ccs(told[0], seed=derive_seed(seed, "search"), settings=settings, unit=unit)
    reading = read_ccs(probe, *told)
    return DistractorPoint(
        strength=strength,
        seed=seed,
        direction=probe.direction / np.linalg.norm(probe.direction),
        accuracy=reading.accuracy,
        distractor_accuracy=read_ccs(probe, *planted).accuracy,
        loss=reading.loss,
    )
