"""CDE finds what V reads, and is fooled by a copy; the split by the space read tells the two apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.instruments import toy
from analysis.instruments.cde import (
    CausalDirections,
    CdeSettings,
    ablation_effect,
    causal_directions,
    patch_effect,
    squared_difference,
    symmetric_kl,
)
from analysis.instruments.erasers import mean_projection, orthonormal_rows
from analysis.instruments.readout import SplitEffect, space_read, split_effect
from envs.errors import UserError

QUICK = CdeSettings(num_steps=600, window=100)


def pairs(copy_scale: float, *, seed: int, num_rows: int = 3000) -> toy.Pairs:
    return toy.concept_pairs(num_rows, copy_scale=copy_scale, stream=np.random.default_rng(seed))


def learnt(data: toy.Pairs, *, seed: int) -> CausalDirections:
    return causal_directions(
        data.before, data.after, toy.concept_value, num_directions=1, seed=seed, settings=QUICK
    )


def split_of(basis: np.ndarray, copy_scale: float) -> SplitEffect:
    """On pairs that were not learnt from."""
    data = pairs(copy_scale, seed=9)
    read = space_read(data.before, toy.concept_value)
    return split_effect(basis, read, before=data.before, after=data.after, value_of=toy.concept_value)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_planted_direction_is_found(seed: int) -> None:
    found = learnt(pairs(0.0, seed=0), seed=seed)
    assert abs(found.basis[0, 0]) > 0.95
    assert found.losses[-1] < 0.1 * found.losses[0]
    split = split_of(found.basis, 0.0)
    assert split.patch == pytest.approx(1.0, abs=0.03)
    assert split.patch_read == pytest.approx(1.0, abs=0.03)
    assert split.fraction_read > 0.9 and not split.is_illusory
    assert abs(split.patch - split.ablation) < 0.1


def test_a_copy_that_v_does_not_read_makes_a_patch_succeed_along_a_direction_that_is_not_its_code() -> None:
    data = pairs(3.0, seed=0)
    cde = learnt(data, seed=0).basis
    rows, labels = np.concatenate([data.before, data.after]), np.concatenate([data.labels, 1 - data.labels])
    means = mean_projection(rows, labels).read
    assert 0.3 < abs(cde[0, 0]) < 0.92
    assert abs(means[0, 0]) == pytest.approx(1.0 / np.sqrt(10.0), abs=0.01)
    for basis, fraction in ((cde, None), (means, 0.1)):
        split = split_of(basis, 3.0)
        assert split.patch == pytest.approx(1.0, abs=0.06)
        assert split.patch_unread == pytest.approx(0.0, abs=1e-6)
        assert split.patch_read == pytest.approx(1.0, abs=0.06)
        assert split.is_illusory == (split.fraction_read < 0.5)
        assert fraction is None or split.fraction_read == pytest.approx(fraction, abs=0.01)
    assert split_of(means, 3.0).is_illusory


def test_the_copy_alone_has_no_effect_and_the_code_alone_all_of_it() -> None:
    for axis, expected in ((1, 0.0), (0, 1.0)):
        split = split_of(np.eye(32)[axis : axis + 1], 3.0)
        assert split.patch == pytest.approx(expected, abs=1e-6)
        assert split.ablation == pytest.approx(expected, abs=1e-6)
        assert split.fraction_read == pytest.approx(expected, abs=1e-6)


def test_the_space_read_is_the_span_of_the_coordinates_in_the_formula() -> None:
    read = space_read(pairs(0.0, seed=2).before, toy.concept_value)
    np.testing.assert_allclose(read.T @ read, np.diag((np.arange(32) == 0) | (np.arange(32) == 2)), atol=1e-9)


def test_the_space_read_of_a_linear_readout_is_its_row_whatever_the_scale_of_features() -> None:
    row = np.random.default_rng(0).normal(size=5)
    features = np.random.default_rng(1).normal(size=(200, 5)) * [1.0, 100.0, 0.01, 1.0, 0.0]
    weights = torch.from_numpy(row)
    read = space_read(features, lambda h: h @ weights)
    expected = row * [1.0, 1.0, 1.0, 1.0, 0.0]
    np.testing.assert_allclose(np.abs(read), np.abs(orthonormal_rows(expected)), atol=1e-9)


def test_logits_are_swapped_under_the_symmetric_divergence() -> None:
    def logits(features: Tensor) -> Tensor:
        return torch.stack([features[:, 0], -features[:, 0], 0.1 * features[:, 2]], dim=1)

    data = pairs(0.0, seed=3)
    found = causal_directions(
        data.before, data.after, logits, num_directions=1, seed=0, settings=QUICK, discrepancy=symmetric_kl
    )
    assert abs(found.basis[0, 0]) > 0.95


def test_discrepancies_equal_their_formulas() -> None:
    p, q = (torch.log(torch.tensor([rows])) for rows in ([0.2, 0.8], [0.5, 0.5]))
    assert float(symmetric_kl(p, q)) == pytest.approx((0.2 - 0.5) * np.log(0.4) + (0.8 - 0.5) * np.log(1.6), rel=1e-5)
    assert float(symmetric_kl(p, p)) == 0.0
    assert float(squared_difference(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0]))) == 2.5


def test_the_same_seed_learns_the_same_bits() -> None:
    data = pairs(0.0, seed=4, num_rows=200)
    settings = CdeSettings(num_steps=20, window=10)
    found = [
        causal_directions(data.before, data.after, toy.concept_value, num_directions=2, seed=5, settings=settings)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(found[0].basis, found[1].basis)
    np.testing.assert_allclose(found[0].basis @ found[0].basis.T, np.eye(2), atol=1e-12)


def test_pairs_that_tell_nothing_are_refused() -> None:
    data = pairs(0.0, seed=0, num_rows=50)
    with pytest.raises(UserError, match="the same at both members of all 50 pairs"):
        patch_effect(np.eye(32)[:1], data.before, data.before, value_of=toy.concept_value)
    with pytest.raises(UserError, match="give the two members row by row"):
        ablation_effect(np.eye(32)[:1], data.before, data.after[:-1], value_of=toy.concept_value)
    with pytest.raises(UserError, match="reads nothing"):
        space_read(data.before, lambda h: 0.0 * h[:, 0])
