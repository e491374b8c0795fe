"""How a value table's variance divides between situation, context and their interaction, and how many terms it takes.

A monolith that fits V* has V*'s interaction and V*'s rank, so both are read in excess of V*'s own, never against 0.

Shapes: M situations, C contexts, n_1 ... n_k points along k factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.instruments.value_tables import checked_table, checked_weights
from envs.errors import UserError

Floats = NDArray[np.float64]
Factors = tuple[int, ...]


@dataclass(frozen=True)
class ContextAnova:
    """Shares of the variance of a table f(s, c) = mean + a(s) + b(c) + i(s, c); all NaN for a constant table.

    Attributes:
        situation: Share of a.
        context: Share of b.
        interaction: Share of i. The three add up to 1.
    """

    situation: float
    context: float
    interaction: float


@dataclass(frozen=True)
class TableSpectrum:
    """How many products g_k(c) v_k(s) a table is the sum of, beyond its mean.

    Attributes:
        shares: C numbers or fewer, descending: squared singular values of √p_s (f(s, c) − mean) over their sum. The
            first k add up to the share of the variance that the best sum of k products explains. NaN for a constant
            table.
        effective_rank: exp(−Σ share ln share), between 1 and C.
    """

    shares: tuple[float, ...]
    effective_rank: float

    def explained(self, num_terms: int) -> float:
        """Share of the variance that the best sum of so many products explains."""
        return float(np.sum(self.shares[:num_terms]))


def sobol_indices(table: Floats, weights: Sequence[Floats | None] | None = None) -> Mapping[Factors, float]:
    """Shares of a function's variance by set of factors (Sobol 1993), exact on a full grid.

    With independent factors x_i, f = Σ_u f_u(x_u), f_u = E[f | x_u] − Σ_{v ⊂ u} f_v, and S_u = Var f_u / Var f.

    Args:
        table: float64[n_1, ..., n_k], f on the product of the factors' points, k ≥ 1.
        weights: Probabilities float64[n_i] of each factor's points, or None for equal ones; normalised here.

    Returns:
        (i, j, ...) -> S of that set of axes, for every set but the empty one; they add up to 1. All NaN for a constant
        function.

    Raises:
        UserError: Values that are not finite, or weights that do not fit.

    Ishigami's function (a = 7, b = .1) has S_0 = .3139, S_1 = .4424, S_02 = .2437 and all others 0.
    """
    weights = [None] * table.ndim if weights is None else weights
    if table.ndim < 1 or len(weights) != table.ndim:
        raise UserError(f"the table has {table.ndim} factors, but weights are given for {len(weights)}; give one each")
    if not np.isfinite(table).all():
        raise UserError("the table holds values that are not finite; a diverged network has no variance to divide")
    probs = [checked_weights(w, n, of="points") for w, n in zip(weights, table.shape, strict=True)]
    parts: dict[Factors, Floats] = {(): _mean_over(table, range(table.ndim), probs)}
    for size in range(1, table.ndim + 1):
        for factors in combinations(range(table.ndim), size):
            rest = [axis for axis in range(table.ndim) if axis not in factors]
            below = sum(part for lower, part in parts.items() if set(lower) < set(factors))
            parts[factors] = _mean_over(table, rest, probs) - below
    variances = {factors: _square(part, probs) for factors, part in parts.items() if factors}
    total = _square(table - parts[()], probs)
    if total <= (1e-14 * max(1.0, float(np.abs(table).max()))) ** 2:
        return dict.fromkeys(variances, float("nan"))
    return {factors: variance / total for factors, variance in variances.items()}


def context_anova(table: Floats, *, weights: Floats | None = None) -> ContextAnova:
    """Splits a value table by functional analysis of variance: `sobol_indices` of two factors, p(s, c) = w_s / C.

    Args:
        table: float64[M, C], V or V* of each situation under each context.
        weights: float64[M], at least 0, normalised here; uniform where left out.

    Returns:
        `ContextAnova`. Additive tables give interaction < 1e-12, products of centred factors give 1.

    Raises:
        UserError: A table that is not [M, C >= 2] and finite, or weights that do not fit it.

    Cannot show: that V is sharded. V* has an interaction share of its own wherever reward depends on context; read
    V's share in excess of V*'s, never against 0.
    """
    shares = sobol_indices(table, (checked_table(table, weights), None))
    return ContextAnova(shares[(0,)], shares[(1,)], shares[(0, 1)])


def table_spectrum(table: Floats, *, weights: Floats | None = None) -> TableSpectrum:
    """How many products of a function of the context and one of the situation a value table is made of.

    Args:
        table: float64[M, C].
        weights: float64[M], as in `context_anova`.

    Returns:
        `TableSpectrum`. A product of centred factors has effective rank 1, an additive table at most 2.

    Raises:
        UserError: As `context_anova`.

    Cannot show: that V computes such products. A monolith that copies V*'s table has V*'s spectrum.
    """
    probs = checked_table(table, weights)
    centred = np.sqrt(probs)[:, None] * (table - probs @ table.mean(axis=1))
    squares = np.linalg.svd(centred, compute_uv=False) ** 2
    if squares.sum() <= (1e-14 * max(1.0, float(np.abs(table).max()))) ** 2 * table.shape[1]:
        return TableSpectrum((float("nan"),) * len(squares), float("nan"))
    shares = squares / squares.sum()
    present = shares[shares > 0]
    return TableSpectrum(tuple(shares.tolist()), float(np.exp(-(present * np.log(present)).sum())))


def _mean_over(table: Floats, axes: Sequence[int], probs: Sequence[Floats]) -> Floats:
    """The mean over some factors, whose axes stay with length 1."""
    for axis in axes:
        table = np.moveaxis(np.tensordot(table, probs[axis], axes=(axis, 0))[..., None], -1, axis)
    return table


def _square(part: Floats, probs: Sequence[Floats]) -> float:
    """E f_u², where a factor that f_u does not depend on has length 1."""
    return float(_mean_over(part**2, [axis for axis, n in enumerate(part.shape) if n > 1], probs).item())
