"""Whether seeds find the same features, beside what would agree without any.

Shapes: n rows, d units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.instruments.sparse_baselines import random_cosine
from analysis.instruments.sparse_metrics import cross_seed_cosine

Floats = NDArray[np.float64]
MARGIN = 0.05
"""Seeds must agree by this much more than every baseline before anything is called a feature."""


@dataclass(frozen=True)
class Agreement:
    """Cosines of features with the nearest ones of another dictionary (MMCS), all as means over ordered pairs.

    Attributes:
        cross_seed: Of the alive features of two seeds; NaN where there are no two seeds with one.
        random_uniform: Of as many directions drawn uniformly.
        random_shaped: Of as many directions drawn with the covariance of the rows, which agree better where rows spread
            in few directions.
        noise: Of the alive features of the same autoencoders trained on normal noise of this mean and covariance; NaN
            where that was not done. Training spreads a dictionary out, and two that are evenly spread agree better
            than two at random: TopK does by .05 to .08 on isotropic noise in 32 dimensions.
        features_per_state: K over distinct states trained on; from 1 upwards the dictionary can be a lookup table.
    """

    cross_seed: float
    random_uniform: float
    random_shaped: float
    noise: float
    features_per_state: float

    @property
    def baseline(self) -> float:
        """The largest of the baselines that are known."""
        known = [each for each in (self.random_uniform, self.random_shaped, self.noise) if not np.isnan(each)]
        return max(known, default=np.nan)

    @property
    def excess(self) -> float:
        """How much better seeds agree than the largest baseline."""
        return self.cross_seed - self.baseline

    @property
    def has_features(self) -> bool:
        """Whether `excess` is at least `MARGIN`, and noise is among the baselines."""
        return bool(self.excess >= MARGIN and not np.isnan(self.noise))

    @property
    def verdict(self) -> str:
        """What this says, in words; "no features" where `excess` is below `MARGIN`."""
        if np.isnan(self.excess):
            return "no verdict: fewer than two seeds have a feature that fires"
        numbers = f"cosine between seeds {self.cross_seed:.2f}, of the largest baseline {self.baseline:.2f}"
        if self.excess < MARGIN:
            return f"no features: {numbers}"
        if np.isnan(self.noise):
            return f"no verdict: {numbers}, but the same training on noise was not tried"
        table = f"; {self.features_per_state:.2g} features for each state can be a lookup table"
        return f"seeds agree: {numbers}{table if self.features_per_state >= 1 else ''}"


def agreement_of(
    dictionaries: Sequence[Floats],
    *,
    noise: Sequence[Floats],
    like: Floats,
    features_per_state: float,
    seed: int,
) -> Agreement:
    """Compares the alive features of several seeds.

    Args:
        dictionaries: One float64[alive, d] for each seed.
        noise: The same of autoencoders trained on noise; () where there are none.
        like: float64[n, d], rows that say how random directions should spread.
        features_per_state: See `Agreement`.
        seed: Of the random directions.
    """
    count = round(float(np.mean([len(each) for each in dictionaries])))
    return Agreement(
        cross_seed=_cosine(dictionaries),
        random_uniform=random_cosine(count, count, like=like.shape[1], seed=seed) if count else np.nan,
        random_shaped=random_cosine(count, count, like=like, seed=seed) if count else np.nan,
        noise=_cosine(noise),
        features_per_state=features_per_state,
    )


def _cosine(dictionaries: Sequence[Floats]) -> float:
    alive = [each for each in dictionaries if len(each)]
    return cross_seed_cosine(alive) if len(alive) > 1 else np.nan
