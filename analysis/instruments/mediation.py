"""How much of what the context does to V goes through the linear context code of an activation.

An eraser is fitted on the activations of some levels' minimal pairs and applied to those of other levels. What V then
still does when nothing but the context changes did not go through what was erased.

Shapes: M situations, C contexts, d units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import numpy_generator
from analysis.instruments.context import swap_effect
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Erase = Callable[[Floats], Floats]
FitEraser = Callable[[Floats, Ints], Erase]
"""From activations [n, d] and labels [n] to a map of activations [n, d] without the label, such as `fit_leace`."""


@dataclass(frozen=True)
class Mediation:
    """What an erasure leaves of a context's effect on V, on levels that it was not fitted on.

    Attributes:
        mediated: 1 − E[ΔV' ΔV] / E[ΔV²] over ordered pairs of contexts of a situation, V' after the erasure: 1 where
            V no longer moves, 0 where it moves as before, above 1 where it moves the other way. NaN where V never
            moved.
        interval: Percentile bootstrap over levels of this one network, not over training seeds.
        values_moved: sqrt E[(V' − V)²] / sd V; what the erasure does to V beyond the swaps shows here.
        size: sqrt E|h' − h|².
        num_dimensions: Rank of the change.
        num_situations: Held-out situations.
    """

    mediated: float
    interval: tuple[float, float]
    values_moved: float
    size: float
    num_dimensions: int
    num_situations: int


def halves(groups: Ints, *, seed: int) -> NDArray[np.bool_]:
    """Whether each row is in the random half of the groups on which erasers are fitted, bool[n].

    Raises:
        UserError: Fewer than two groups.
    """
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise UserError(f"there are {len(names)} levels, but erasers are fitted on some and judged on others; take two")
    return np.asarray((numpy_generator(seed, "mediation", "halves").permutation(len(names)) < len(names) // 2)[index])


def fit_on_pairs(fit: FitEraser, activations: Floats) -> Erase:
    """An eraser of the context from activations float64[M, C, d], each context as often as the others."""
    num_situations, num_contexts, width = activations.shape
    return fit(activations.reshape(-1, width), np.tile(np.arange(num_contexts), num_situations))


def mediation(
    activations: Floats,
    erased: Floats,
    *,
    value_of: Callable[[Floats], Floats],
    groups: Ints,
    seed: int,
) -> Mediation:
    """Compares V's moves before and after an erasure.

    Args:
        activations: float64[M, C, d] of held-out situations.
        erased: float64[M, C, d], the same after the erasure.
        value_of: V from [M · C, d] to [M · C], row by row.
        groups: int64[M], levels.
        seed: Of the resamples.

    Returns:
        `Mediation`.

    Cannot show: that V reads the context linearly where much is mediated, since an eraser also takes along what is
    correlated with the context, nor that it does not read it where little is, since the code may not be linear. The
    same number for a random subspace of equal size says what any change of that size does.
    """
    num_situations, num_contexts, width = activations.shape
    before, after = (
        value_of(h.reshape(-1, width)).reshape(num_situations, num_contexts) for h in (activations, erased)
    )
    effect = swap_effect(after, before, seed=seed, groups=groups)
    change = (erased - activations).reshape(-1, width)
    spread = float(before.std())
    low, high = effect.slope_interval
    return Mediation(
        mediated=1.0 - effect.slope,
        interval=(1.0 - high, 1.0 - low),
        values_moved=float(np.sqrt(((after - before) ** 2).mean()) / spread) if spread > 0 else float("nan"),
        size=float(np.sqrt((change**2).sum(axis=1).mean())),
        num_dimensions=int(np.linalg.matrix_rank(change - change.mean(axis=0), tol=1e-4 * np.linalg.norm(change))),
        num_situations=num_situations,
    )


def without_context(activations: Floats) -> Floats:
    """Each situation's mean over contexts in all of them, float64[M, C, d]: the planted positive, which mediates 1."""
    return np.repeat(activations.mean(axis=1, keepdims=True), activations.shape[1], axis=1)


def random_change(activations: Floats, *, num_dimensions: int, size: float, seed: int) -> Floats:
    """Activations moved within a random subspace: the null of an erasure of as many dimensions and the same size.

    h' = h − a B'B (h − mean), with B orthonormal and uniformly random, and a such that sqrt E|h' − h|² = `size`.
    """
    width = activations.shape[-1]
    drawn = numpy_generator(seed, "mediation", "subspace").normal(size=(width, num_dimensions))
    basis = np.linalg.qr(drawn)[0]
    inside = (activations - activations.reshape(-1, width).mean(axis=0)) @ basis @ basis.T
    length = float(np.sqrt((inside**2).sum(axis=-1).mean()))
    return np.asarray(activations - (size / length if length > 0 else 0.0) * inside)
