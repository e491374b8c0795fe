"""Approximately truth-like directions: how many of all directions say the opposite of most pairs' two sides.

A direction θ is consistent on a pair if θ·x⁺ and θ·x⁻, each side centred, have opposite signs. Its CCS loss is the
least over the length of θ, since a direction has none.

Shapes: n pairs, d features, R directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import beta

from analysis.instruments.contrast_pairs import ContrastPairs, require_contrast, side_means
from analysis.instruments.truth import ccs_loss

Floats = NDArray[np.float64]
LENGTHS = (0.25, 1.0, 2.0, 4.0, 8.0, 16.0, np.inf)
"""Lengths of θ that are tried, in units of 1/(spread of θ·x); ∞ leaves signs alone, with p = ½ at 0."""


@dataclass(frozen=True)
class TruthLikeShare:
    """How many random directions are truth-like.

    Attributes:
        share_consistent: Share with opposite signs on at least (1 − ε) of the pairs, in [0, 1].
        consistent_high: 95 % upper bound of that share (Clopper-Pearson); 3/R where none was found.
        share_low_loss: Share with a CCS loss below τ.
        low_loss_high: Its upper bound.
        least_loss: The smallest loss that was seen.
        num_directions: R.
    """

    share_consistent: float
    consistent_high: float
    share_low_loss: float
    low_loss_high: float
    least_loss: float
    num_directions: int


def random_directions(num_features: int, num_directions: int, *, seed: int) -> Floats:
    """Uniformly random unit directions, float64[R, d]."""
    drawn = np.random.default_rng(seed).normal(size=(num_directions, num_features))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def truth_like_share(
    pairs: ContrastPairs, *, seed: int, num_directions: int = 2000, epsilon: float = 0.05, tau: float = 0.1
) -> TruthLikeShare:
    """Estimates the share of directions of R^d that are truth-like on these pairs.

    Args:
        pairs: Centred here by their own means; labels are not read.
        seed: Of the directions.
        num_directions: R. Where none is found the share is below about 3/R, and no more is known.
        epsilon: Share of pairs that may be inconsistent.
        tau: Bound on the loss.

    Raises:
        UserError: Pairs that are all alike.
    """
    centred = pairs.centred(side_means(pairs))
    require_contrast(centred)
    directions = random_directions(pairs.plus.shape[1], num_directions, seed=seed)
    consistent = sign_consistency(centred, directions) >= 1.0 - epsilon
    losses = direction_losses(centred, directions)
    return TruthLikeShare(
        float(consistent.mean()),
        _upper_bound(int(consistent.sum()), num_directions),
        float((losses < tau).mean()),
        _upper_bound(int((losses < tau).sum()), num_directions),
        float(losses.min()),
        num_directions,
    )


def sign_consistency(centred: ContrastPairs, directions: Floats) -> Floats:
    """Share of pairs whose sides have opposite signs along each direction, float64[R]; a side at 0 has none."""
    plus, minus = np.sign(_along(centred.plus, directions)), np.sign(_along(centred.minus, directions))
    return np.asarray((plus * minus < 0.0).mean(axis=0))


def direction_losses(centred: ContrastPairs, directions: Floats) -> Floats:
    """CCS loss without bias of each direction at the best of `LENGTHS`, float64[R], at most .25 plus rounding."""
    plus, minus = _along(centred.plus, directions), _along(centred.minus, directions)
    spread = np.sqrt((plus**2 + minus**2).mean(axis=0) / 2.0)
    spread[spread == 0.0] = 1.0
    losses = [ccs_loss(_probs(plus / spread, length), _probs(minus / spread, length)) for length in LENGTHS]
    return np.asarray(np.min([*losses, np.full(len(directions), 0.25)], axis=0))


def _along(side: Floats, directions: Floats) -> Floats:
    """What directions read of a side, float64[n, R], with rounding at 0 taken off."""
    along = side @ directions.T
    size = np.linalg.norm(side, axis=1, keepdims=True) * np.linalg.norm(directions, axis=1)
    return np.where(np.abs(along) <= 1e-12 * size, 0.0, along)


def _probs(scaled: Floats, length: float) -> Floats:
    return np.asarray((np.sign(scaled) + 1.0) / 2.0 if np.isinf(length) else expit(length * scaled))


def _upper_bound(found: int, drawn: int) -> float:
    return 1.0 if found == drawn else float(beta.ppf(0.95, found + 1, drawn - found))
