"""Numbers about codes, reconstructions and dictionaries.

Shapes: n rows, d units, K features, R readouts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from envs.errors import UserError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def unexplained(activations: Floats, reconstructed: Floats, *, weights: Floats | None = None) -> float:
    """FVU = E|h - h^|^2 / E|h - mean h|^2, numerator and denominator averaged apart.

    The mean is that of these rows. Averaging quotients of rows, or measuring the variance about 0, gives other numbers,
    and both have been bugs of libraries.

    Args:
        activations: float64[n, d].
        reconstructed: float64[n, d].
        weights: float64[n] of the rows, such as `held_out.uniform_over_states`; equal where left out.

    Returns:
        0 for a perfect reconstruction, 1 for the mean; NaN where all rows are equal.
    """
    w = np.full(len(activations), 1.0 / len(activations)) if weights is None else weights / weights.sum()
    spread = float(w @ ((activations - w @ activations) ** 2).sum(axis=1))
    return float(w @ ((activations - reconstructed) ** 2).sum(axis=1)) / spread if spread > 0 else float("nan")


def mean_active(codes: Floats) -> float:
    """L0: how many codes of a row are not 0, on average."""
    return float((codes != 0).sum(axis=1).mean())


def firing_rates(codes: Floats) -> Floats:
    """Share of rows in which each feature is not 0, float64[K]; a feature at 0 is dead on these rows."""
    return np.asarray((codes != 0).mean(axis=0))


def cosines(first: Floats, second: Floats) -> Floats:
    """Cosines [K1, K2] between rows of two dictionaries [K1, d] and [K2, d]."""
    return _directions(first) @ _directions(second).T


def max_cosines(of: Floats, among: Floats) -> Floats:
    """Signed cosine of every row of `of` with its nearest row of `among`, float64[K1]; codes are >= 0, so sign counts.

    Raises:
        UserError: A dictionary without features, or of another width.
    """
    if not len(of) or not len(among) or of.shape[1] != among.shape[1]:
        raise UserError(
            f"dictionaries have shapes {of.shape} and {among.shape}; both need at least one feature and the same units"
        )
    return np.asarray(cosines(of, among).max(axis=1))


def num_distinct(dictionary: Floats, *, cosine: float = 0.9) -> int:
    """How many rows are left when each that points within `cosine` of one that is left already is struck out.

    Training may serve one direction by two features that share its rows; they are alive, and one too many.
    """
    left: list[int] = []
    for row, similarity in enumerate(cosines(dictionary, dictionary)):
        if not left or similarity[left].max() < cosine:
            left.append(row)
    return len(left)


def mean_max_cosine(of: Floats, among: Floats) -> float:
    """MMCS: mean over rows of `of` of the largest signed cosine with a row of `among`.

    From true to learned it says how many of the true features were found, and 64 features find a dozen with ease; from
    learned (alive) to true it says how many of the learned ones are true. Neither means anything without the same for
    random dictionaries (`sparse_baselines.random_directions`): .96 for 16 against 16 in two dimensions.
    """
    return float(max_cosines(of, among).mean())


def matched_cosine(first: Floats, second: Floats) -> float:
    """MCC: mean signed cosine under the best one-to-one matching (Hungarian) of the smaller dictionary into the larger.

    SAELens takes |cos|; codes here are >= 0, so a feature and its opposite are two features.
    """
    max_cosines(first, second)  # for its checks
    similarity = cosines(first, second)
    return float(similarity[linear_sum_assignment(similarity, maximize=True)].mean())


def cross_seed_cosine(dictionaries: Sequence[Floats]) -> float:
    """Mean over all ordered pairs of dictionaries of their MMCS.

    Raises:
        UserError: Fewer than two dictionaries.
    """
    if len(dictionaries) < 2:
        raise UserError(f"{len(dictionaries)} dictionary was given; agreement over seeds needs at least two seeds")
    pairs = [(a, b) for i, a in enumerate(dictionaries) for j, b in enumerate(dictionaries) if i != j]
    return float(np.mean([mean_max_cosine(a, b) for a, b in pairs]))


def recovered(activations: Floats, reconstructed: Floats, *, readout: Callable[[Floats], Floats]) -> Floats:
    """Share of a readout that survives: 1 - E|V(h^) - V(h)|^2 / E|V(mean h) - V(h)|^2.

    The mean is the reference; a vector of zeros is further off where activations are >= 0, and flatters.

    Args:
        activations: float64[n, d].
        reconstructed: float64[n, d].
        readout: Maps activations [n, d] to numbers [n], or [n, R] for several readouts.

    Returns:
        float64[] or [R]: 1 where nothing is lost, 0 where the mean does as well, negative below; NaN where a readout
        is the same on all rows.
    """
    values = readout(activations)
    lost, whole = (((readout(h) - values) ** 2).sum(axis=0) for h in (reconstructed, _means(activations)))
    return _share_kept(lost, whole)


def recovered_policy(activations: Floats, reconstructed: Floats, *, logits: Callable[[Floats], Floats]) -> float:
    """1 - E KL(pi(h) || pi(h^)) / E KL(pi(h) || pi(mean h)) for a policy pi = softmax(logits [n, A]).

    Returns:
        As `recovered`.
    """
    original = logits(activations)
    lost, whole = (divergence(original, logits(h)).sum() for h in (reconstructed, _means(activations)))
    return float(_share_kept(lost, whole))


def divergence(logits: Floats, others: Floats) -> Floats:
    """KL(softmax(logits) || softmax(others)) of every row [n, A], in nats, float64[n]."""
    first, second = _log_softmax(logits), _log_softmax(others)
    return np.asarray((np.exp(first) * (first - second)).sum(axis=1))


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _means(activations: Floats) -> Floats:
    """The mean row, as often as there are rows."""
    return np.broadcast_to(activations.mean(axis=0), activations.shape)


def _share_kept(lost: Floats, whole: Floats) -> Floats:
    """1 - lost / whole, NaN where the whole is no more than rounding."""
    return np.asarray(np.where(whole > 1e-18, 1.0 - lost / np.maximum(whole, 1e-18), np.nan))


def _directions(dictionary: Floats) -> Floats:
    """Rows of length 1; a row of zeros stays, and has cosine 0 with everything."""
    norms = np.linalg.norm(dictionary, axis=1, keepdims=True)
    return np.asarray(dictionary / np.where(norms > 0, norms, 1.0))
