"""Known answers of the smallest network with superposition (Elhage et al. 2022)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.instruments.superposition import feature_dimensions, train_superposition
from envs.errors import UserError


def regular(num_corners):
    angles = 2 * np.pi * np.arange(num_corners) / num_corners
    return np.stack([np.cos(angles), np.sin(angles)])


TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).T
SQUARE = np.concatenate([regular(4), np.full((1, 4), 2**-0.5)])
TWIST = np.array([[1, -1, 0], [1, 1, 0], [0, 0, 2**0.5]]) / 2**0.5


@pytest.mark.parametrize(
    ("columns", "share"),
    [
        (np.eye(3), 1), (np.array([[1, -1]]), 1 / 2), (regular(3), 2 / 3), (TETRAHEDRON, 3 / 4), (regular(5), 2 / 5),
        (np.concatenate([SQUARE, np.diag([1, 1, -1]) @ TWIST @ SQUARE], axis=1), 3 / 8),
    ],
    ids=["alone", "antipodal pair", "triangle", "tetrahedron", "pentagon", "square antiprism"],
)  # fmt: skip
def test_share_of_a_dimension(columns, share):
    """Σ_i D_i is the number of units for these figures; turning and scaling change no share."""
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((len(columns), len(columns))))[0]
    np.testing.assert_allclose(feature_dimensions(3 * turn @ columns), share, atol=1e-12)
    assert feature_dimensions(np.eye(2)[:, :1] * 0).tolist() == [0]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_five_sparse_features_in_two_units_make_a_regular_pentagon():
    found = train_superposition(num_features=5, num_units=2, presence=0.05, seed=0, num_steps=1500)
    angles = np.sort(np.degrees(np.arctan2(found.weights[1], found.weights[0])))
    np.testing.assert_allclose(np.diff(angles), 72, atol=4)
    np.testing.assert_allclose(feature_dimensions(found.weights), 2 / 5, atol=0.02)


def test_dense_features_are_not_superposed():
    """The planted null: of five dense features the two that matter most are held, each with a dimension to itself."""
    weigh = 0.7 ** np.arange(5)
    found = train_superposition(
        num_features=5, num_units=2, presence=1.0, seed=0, num_steps=1500, importance=weigh.tolist()
    )
    lengths = np.linalg.norm(found.weights, axis=0)
    assert lengths[:2].min() > 0.8 and lengths[2:].max() < 0.2
    np.testing.assert_allclose(feature_dimensions(found.weights)[:2], 1, atol=0.1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"presence": 0.0}, r"presence is 0\.0"), ({"importance": [1.0]}, r"importance is \[1\.0\]; give 2"),
        ({"importance": [1.0, np.nan]}, "2 finite numbers"), ({"importance": [1.0, -1.0]}, "2 finite numbers from 0"),
        ({"num_units": 0}, "num_units is 0"), ({"num_steps": 0}, "num_steps is 0"),
        ({"num_units": 1.5}, r"num_units is 1\.5"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        train_superposition(**{"num_features": 2, "num_units": 1, "presence": 0.5, "seed": 0, **wrong})


@pytest.mark.parametrize("wrong", [[[np.nan, 1.0]], [[np.inf, 1.0]], [1.0, 2.0]])
def test_columns_without_a_share_are_refused(wrong):
    with pytest.raises(UserError, match="weights"):
        feature_dimensions(wrong)
