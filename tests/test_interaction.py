"""Shares of variance by set of factors, and how many products a value table is made of: known answers, properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.instruments.interaction import context_anova, sobol_indices, table_spectrum
from envs.errors import UserError

TABLES = arrays(np.float64, (4, 3), elements=st.floats(-2, 2).map(lambda x: round(x, 3)))


def test_ishigami() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(24)
    x, y, z = np.meshgrid(*[np.pi * nodes] * 3, indexing="ij")
    table = np.sin(x) + 7.0 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x)
    shares = sobol_indices(table, [weights] * 3)
    known = {(0,): 0.3139, (1,): 0.4424, (0, 2): 0.2437}
    for factors, share in shares.items():
        assert share == pytest.approx(known.get(factors, 0.0), abs=5e-5)
    assert sum(shares.values()) == pytest.approx(1.0)


@given(TABLES, arrays(np.float64, 4, elements=st.floats(0.1, 2.0)))
@settings(max_examples=40, deadline=None)
def test_two_factors_are_the_plain_sums(table: np.ndarray, weights: np.ndarray) -> None:
    p = weights / weights.sum()
    mean = sum(p[s] * table[s, c] / 3 for s in range(4) for c in range(3))
    rows = [sum(table[s]) / 3 - mean for s in range(4)]
    columns = [sum(p[s] * table[s, c] for s in range(4)) - mean for c in range(3)]
    total = sum(p[s] * (table[s, c] - mean) ** 2 / 3 for s in range(4) for c in range(3))
    found = context_anova(table, weights=weights)
    if total < 1e-6:
        return
    assert found.situation == pytest.approx(sum(p[s] * rows[s] ** 2 for s in range(4)) / total, abs=1e-9)
    assert found.context == pytest.approx(sum(c**2 for c in columns) / 3 / total, abs=1e-9)
    assert found.situation + found.context + found.interaction == pytest.approx(1.0)


def test_a_factor_that_nothing_depends_on_has_share_zero() -> None:
    table = np.random.default_rng(0).normal(size=(5, 4))
    shares = sobol_indices(np.repeat(table[:, None], 3, axis=1))
    two = sobol_indices(table)
    assert {f: s for f, s in shares.items() if 1 not in f} == pytest.approx(
        {(0,): two[(0,)], (2,): two[(1,)], (0, 2): two[(0, 1)]}
    )
    assert max(s for f, s in shares.items() if 1 in f) < 1e-12


def test_ranks_of_planted_tables() -> None:
    rng = np.random.default_rng(1)
    situation = rng.normal(size=(200, 4))
    situation -= situation.mean(axis=0)
    context = np.array([-1.5, -0.5, 0.5, 1.5])
    product = table_spectrum(situation[:, :1] * context)
    assert product.effective_rank == pytest.approx(1.0) and product.explained(1) == pytest.approx(1.0)
    additive = table_spectrum(situation[:, :1] + context)
    assert 1.0 < additive.effective_rank <= 2.0 and additive.explained(2) == pytest.approx(1.0)
    free = table_spectrum(np.linalg.qr(situation)[0])
    assert free.effective_rank == pytest.approx(4.0)
    assert additive.effective_rank + 1.0 < free.effective_rank
    assert sum(free.shares) == pytest.approx(1.0)


@given(TABLES)
@settings(max_examples=40, deadline=None)
def test_the_spectrum_ignores_mean_scale_and_repeated_rows(table: np.ndarray) -> None:
    if np.ptp(table) < 1e-3:
        return
    whole = table_spectrum(table)
    assert table_spectrum(3.0 * table - 1.0).shares == pytest.approx(whole.shares, abs=1e-9)
    repeated = table_spectrum(np.repeat(table, [2, 1, 1, 1], axis=0))
    weighted = table_spectrum(table, weights=np.array([2.0, 1.0, 1.0, 1.0]))
    assert repeated.shares == pytest.approx(weighted.shares, abs=1e-9)
    assert 1.0 - 1e-9 <= whole.effective_rank <= 3.0 + 1e-9


def test_constant_tables_have_no_shares() -> None:
    assert np.isnan(table_spectrum(np.full((5, 3), 0.1)).effective_rank)
    assert all(np.isnan(share) for share in sobol_indices(np.full((2, 3, 2), 0.1)).values())


def test_what_means_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="weights are given for 1"):
        sobol_indices(np.zeros((2, 3)), [None])
    with pytest.raises(UserError, match="not finite"):
        sobol_indices(np.array([[0.0, np.nan]]))
    with pytest.raises(UserError, match="each of the 3 points needs a finite weight"):
        sobol_indices(np.zeros((2, 3)), [None, -np.ones(3)])
    with pytest.raises(UserError, match="at least two contexts"):
        table_spectrum(np.zeros((4, 1)))
