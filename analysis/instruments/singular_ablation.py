"""What V loses with each direction of a layer: all of them, scored blindly, against random directions.

Subtracting gain_i · write_i read_iᵀ from W is the same as taking read_i out of what W reads:

    (W − gain_i write_i read_iᵀ) h = W (h − read_i (read_i · h)),

so V is asked for at the second argument, whatever else lies between (a gate that reads the same h is ablated with it).
Rectified features are far from 0, and so is V there; setting read_i · h to its mean c · read_i instead stays nearer to
where states lie.

Shapes: n states, d features, r directions, C contexts, R random bases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.instruments.arrays import finite_matrix
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ValueOf = Callable[[Floats], Floats]
"""V of features float64[n, d], float64[n]."""


@dataclass(frozen=True, eq=False)
class AblationEffects:
    """What ablating each direction does to V, in standard deviations of V over the states.

    Attributes:
        effect: float64[r], sqrt mean ΔV², the blind criterion.
        moved: float64[r], standard deviation of ΔV: what is left of the effect beside a constant.
        by_context: float64[r], standard deviation over contexts of the mean ΔV in each; NaN without contexts.
        threshold: What the largest `moved` of r random orthonormal directions exceeds in 1 of R + 1 cases.
        context_threshold: The same of `by_context`; NaN without contexts.
    """

    effect: Floats
    moved: Floats
    by_context: Floats
    threshold: float
    context_threshold: float

    @property
    def matters(self) -> NDArray[np.bool_]:
        """bool[r], whether V moves more than under any random direction."""
        return self.moved > self.threshold

    @property
    def matters_for_context(self) -> NDArray[np.bool_]:
        """bool[r], whether V's mean in contexts moves more than under any random direction."""
        return self.by_context > self.context_threshold


def ablation_effects(
    value_of: ValueOf,
    features: ArrayLike,
    reads: ArrayLike,
    *,
    seed: int,
    contexts: Ints | None = None,
    centre: Floats | None = None,
    num_bases: int = 19,
) -> AblationEffects:
    """Takes each direction out of the features and asks V again.

    Args:
        value_of: V of features; called r (R + 1) + 1 times.
        features: float[n, d], what the layer reads.
        reads: float[r, d] of unit length: all directions, not some that look like something.
        seed: Of the random bases.
        contexts: int64[n], of each state.
        centre: float64[d], to whose activity directions are set; 0 where left out, which is to subtract them from W.
        num_bases: R; 19 give every direction together a chance of 5 % to pass for one that matters.

    Returns:
        `AblationEffects`.

    Raises:
        UserError: Shapes that do not fit, reads of another length, values not finite, or a V that is constant.

    Cannot show: that a direction stands for something. Ablated features may lie where no state lies, and V there is
    an extrapolation.
    """
    rows, directions = finite_matrix("features", features, min_rows=2), finite_matrix("reads", reads)
    _check(rows, directions, contexts)
    origin = np.zeros(rows.shape[1]) if centre is None else centre
    plain = value_of(rows)
    spread = float(plain.std())
    if not np.isfinite(plain).all() or spread <= 1e-12 * max(1.0, float(np.abs(plain).max())):
        raise UserError(f"V has a standard deviation of {spread} over these states, so no loss can be told from none")
    member = None if contexts is None else _membership(contexts)
    rng = np.random.default_rng(seed)
    bases = [np.linalg.qr(rng.normal(size=(rows.shape[1], min(directions.shape))))[0].T for _ in range(num_bases)]
    scores = partial(_scores, value_of, rows - origin, origin=origin, plain=plain, member=member)
    null = np.array([scores(turned)[1:].max(axis=1) for turned in bases])
    effect, moved, by_context = scores(directions) / spread
    threshold, context_threshold = null.max(axis=0) / spread
    return AblationEffects(effect, moved, by_context, float(threshold), float(context_threshold))


def _scores(
    value_of: ValueOf, shifted: Floats, reads: Floats, *, origin: Floats, plain: Floats, member: Floats | None
) -> Floats:
    """Root mean square and standard deviation of ΔV, and the deviation of its context means, float64[3, r]."""
    changes = np.stack([value_of(origin + shifted - np.outer(shifted @ read, read)) - plain for read in reads])
    means = np.full((len(reads), 1), np.nan) if member is None else changes @ member
    return np.stack([np.sqrt((changes**2).mean(axis=1)), changes.std(axis=1), means.std(axis=1)])


def _membership(contexts: Ints) -> Floats:
    """float64[n, C] that averages over the states of each context."""
    _, index = np.unique(contexts, return_inverse=True)
    member = np.eye(int(index.max()) + 1)[index]
    return np.asarray(member / member.sum(axis=0))


def _check(rows: Floats, reads: Floats, contexts: Ints | None) -> None:
    if reads.shape[1] != rows.shape[1]:
        raise UserError(f"the reads have {reads.shape[1]} entries for {rows.shape[1]} features; give the layer's own")
    length = np.linalg.norm(reads, axis=1)
    if np.abs(length - 1.0).max() > 1e-6:
        raise UserError(
            f"a read has length {length[np.abs(length - 1.0).argmax()]:.4g}; only directions of length 1 can be taken "
            "out, so give those of the weights, or scale them"
        )
    if contexts is not None and (contexts.shape != (len(rows),) or len(np.unique(contexts)) < 2):
        raise UserError(
            f"contexts have shape {contexts.shape} and {len(np.unique(contexts))} values for {len(rows)} states; give "
            "one for each state, at least two different ones, or None"
        )
