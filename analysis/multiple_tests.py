"""Several tests at once: Holm's step-down procedure for few contrasts, Benjamini and Hochberg's for many units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p values: p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)) (Holm 1979).

    Returns:
        In the order given. Rejecting where p~ <= alpha keeps the chance of any false rejection at or below alpha,
        whatever the dependence between the tests.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, np.arange(p.size, 0, -1) * p[order]))
    return tuple(float(value) for value in adjusted)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Benjamini and Hochberg's adjusted p values: p~_(i) = min_{j >= i} min(1, m p_(j) / j) (1995).

    Returns:
        In the order given. Rejecting where p~ <= q keeps the expected share of false ones among the rejections at or
        below q, for independent tests and for positively dependent ones.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(-p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(np.minimum(1.0, p.size * p[order] / np.arange(p.size, 0, -1)))
    return tuple(float(value) for value in adjusted)


def holm_levels(p_values: Sequence[float], *, alpha: float = 0.05) -> tuple[float, ...]:
    """The size at which Holm's procedure tests each hypothesis, in the order given.

    alpha_(i) = alpha / (m - i + 1) down to the first p_(r) > alpha_(r), and alpha_(r) from there on. So the
    1 - alpha_i interval of hypothesis i excludes 0 iff Holm rejects that hypothesis.

    What these intervals cannot show: they agree with the tests, but do not cover all means at once.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = alpha / np.arange(p.size, 0, -1)
    kept = np.flatnonzero(p[order] > steps)
    if kept.size:
        steps[kept[0] :] = steps[kept[0]]
    levels = np.empty_like(p)
    levels[order] = steps
    return tuple(float(level) for level in levels)
