"""LEACE: the theorem's claims, the authors' package where its defaults do not bite, and right where they do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from concept_erasure import LeaceFitter as PeerFitter
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from analysis.instruments import toy
from analysis.instruments.concept_input import class_means, one_hot
from analysis.instruments.erasers import AffineEraser, mean_projection
from analysis.instruments.leace import LeaceFitter, fit_leace
from analysis.instruments.robust_probes import probe_accuracies
from envs.errors import UserError


def gap(features: np.ndarray, labels: np.ndarray) -> float:
    """Largest difference between class means, over features."""
    return float(np.ptp(class_means(features, one_hot(labels, int(labels.max()) + 1)), axis=0).max())


def peer(features: np.ndarray, labels: np.ndarray, **options: object) -> object:
    indicators = np.eye(int(labels.max()) + 1)[labels]
    return PeerFitter.fit(torch.from_numpy(features), torch.from_numpy(indicators), **options).eraser


def correlated(num_rows: int, num_features: int, *, num_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features of unlike scale, in which classes differ by means along several directions."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(num_rows) % num_classes)
    features = rng.normal(size=(num_rows, num_features)) + 2.0 * rng.normal(size=(num_classes, num_features))[labels]
    return features @ rng.normal(size=(num_features, num_features)) + rng.normal(size=num_features), labels


@pytest.fixture(scope="module")
def suite() -> tuple[np.ndarray, np.ndarray]:
    """The data of the package's own tests."""
    return make_classification(2048, 128, random_state=42)


def test_the_package_s_own_test(suite: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = suite
    majority = np.bincount(labels).max() / len(labels)
    probe = LogisticRegression(max_iter=1000, tol=1e-7)
    assert probe.fit(features, labels).score(features, labels) == pytest.approx(0.887, abs=0.002)
    eraser = fit_leace(features, labels)
    erased = eraser(features)
    assert probe.fit(erased, labels).score(erased, labels) == pytest.approx(majority, abs=1e-9)
    assert np.abs(probe.coef_).max() < 1e-4
    assert gap(erased, labels) < 1e-13
    projection = eraser.matrix
    assert np.linalg.matrix_rank(np.eye(128) - projection) == eraser.num_dimensions == 1
    np.testing.assert_allclose(projection @ projection, projection, atol=1e-12)
    np.testing.assert_allclose(erased.mean(axis=0), features.mean(axis=0), atol=1e-12)


def test_it_changes_activations_less_than_any_rival(suite: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = suite
    shrunk = peer(features, labels)(torch.from_numpy(features)).numpy()
    ours, theirs, orthogonal = (
        float(((rows - features) ** 2).mean())
        for rows in (fit_leace(features, labels)(features), shrunk, mean_projection(features, labels)(features))
    )
    assert (ours, theirs, orthogonal) == pytest.approx((0.02795, 0.02817, 0.03227), abs=2e-5)
    assert ours < theirs < orthogonal


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_it_equals_the_package_where_its_defaults_do_not_bite(num_classes: int) -> None:
    features, labels = correlated(3000, 24, num_classes=num_classes, seed=num_classes)
    ours, theirs = fit_leace(features, labels), peer(features, labels, shrinkage=False)
    assert ours.num_dimensions == num_classes - 1
    np.testing.assert_allclose(ours.matrix, theirs.P.numpy(), atol=1e-6)
    np.testing.assert_allclose(ours(features), theirs(torch.from_numpy(features)).numpy(), atol=1e-6)


def test_a_rare_concept_is_erased_where_the_package_returns_the_identity() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(50_000) < 50).astype(np.int64)
    features = rng.normal(size=(50_000, 16))
    features[:, 0] += 2.0 * labels
    theirs = peer(features, labels)(torch.from_numpy(features)).numpy()
    assert gap(features, labels) > 1.7
    assert gap(theirs, labels) == pytest.approx(gap(features, labels))
    assert gap(fit_leace(features, labels)(features), labels) < 1e-12


def test_two_classes_have_a_closed_form() -> None:
    features, labels = correlated(2000, 10, num_classes=2, seed=7)
    centred = features - features.mean(axis=0)
    covariance = centred.T @ centred / len(features)
    with_label = centred.T @ (labels - labels.mean()) / len(features)
    weights = np.linalg.solve(covariance, with_label)
    expected = features - np.outer(centred @ weights, with_label) / (with_label @ weights)
    np.testing.assert_allclose(fit_leace(features, labels)(features), expected, atol=1e-11)


def test_chunks_in_any_size_give_the_same_eraser_as_all_rows_at_once() -> None:
    features, labels = correlated(9000, 6, num_classes=3, seed=1)
    features = features + np.linspace(0.0, 50.0, len(features))[:, None]
    fitter = LeaceFitter(6, 3)
    for start, stop in ((0, 1), (1, 40), (40, 5000), (5000, 9000)):
        fitter.update(features[start:stop], one_hot(labels[start:stop], 3))
    np.testing.assert_allclose(fitter.eraser().matrix, fit_leace(features, labels).matrix, atol=1e-10)
    np.testing.assert_allclose(fitter.eraser().centre, features.mean(axis=0), atol=1e-10)


def test_on_fresh_rows_a_probe_reads_more_the_fewer_rows_there_were() -> None:
    """The planted coordinate is read at .84; after erasing at .69, .56 and .51 (in the sample always at chance)."""
    rng = np.random.default_rng(3)
    fresh = toy.shifted_normals(12_000, num_features=64, shifts=[1.0], stream=rng)
    read = []
    for num_rows in (200, 2000, 20_000):
        known = toy.shifted_normals(num_rows, num_features=64, shifts=[1.0], stream=rng)
        erased = fit_leace(known.features, known.labels)(fresh.features)
        train, test = (erased[:6000], fresh.labels[:6000]), (erased[6000:], fresh.labels[6000:])
        read.append(probe_accuracies(train, test, seed=0, probes=["linear"])["linear"])
    assert read[0] == pytest.approx(0.69, abs=0.05)
    assert read[1] == pytest.approx(0.56, abs=0.03)
    assert read[2] == pytest.approx(0.51, abs=0.02)
    assert read[0] > read[1] + 0.05 > read[2] + 0.07


@settings(max_examples=25, deadline=None)
@given(
    num_classes=st.integers(2, 4),
    num_features=st.integers(1, 8),
    scale=st.sampled_from([1e-8, 1.0, 1e8]),
    seed=st.integers(0, 2**16),
)
def test_no_gap_is_left_and_the_rank_is_below_the_number_of_classes(
    num_classes: int, num_features: int, scale: float, seed: int
) -> None:
    """With units on unlike scales, one that never fires and one that repeats another."""
    features, labels = correlated(400, num_features, num_classes=num_classes, seed=seed)
    features[:, 0] *= scale
    features = np.column_stack([features, np.full(400, 3.0), features[:, 0]])
    eraser = fit_leace(features, labels)
    erased = eraser(features)
    spread = features.std(axis=0)
    assert gap(erased / np.where(spread > 0.0, spread, 1.0), labels) < 1e-6
    assert eraser.num_dimensions <= num_classes - 1
    np.testing.assert_array_equal(erased[:, -2], features[:, -2])
    np.testing.assert_allclose(eraser(erased) / scale, erased / scale, atol=1e-4 * max(1.0, 1.0 / scale))


def test_units_that_never_vary_stay_as_they_are_to_the_last_bit() -> None:
    features, labels = correlated(400, 3, num_classes=4, seed=7624)
    features[:, 0] *= 1e8
    features = np.column_stack([features, np.full(400, 3.0), features[:, 0]])
    np.testing.assert_array_equal(fit_leace(features, labels)(features)[:, 3], 3.0)


def test_numbers_can_be_erased_too() -> None:
    """A concept that is a number, such as a distance: no linear readout predicts it afterwards."""
    rng = np.random.default_rng(5)
    features = rng.normal(size=(2000, 6))
    distance = features[:, :1] + 0.1 * rng.normal(size=(2000, 1))
    erased = LeaceFitter(6, 1).update(features, distance).eraser()(features)
    assert np.abs(np.corrcoef(erased.T, distance[:, 0])[-1, :-1]).max() < 1e-10


def test_equal_means_leave_the_data_as_they_are() -> None:
    """Data with exactly equal class means: nothing is linearly there, and nothing is taken away."""
    half = np.random.default_rng(0).normal(size=(200, 5))
    eraser = fit_leace(np.concatenate([half, half]), np.repeat([0, 1], 200))
    assert isinstance(eraser, AffineEraser)
    assert eraser.num_dimensions == 0
    np.testing.assert_array_equal(eraser(half), half)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda h, z: (np.where(h == h[0, 0], np.nan, h), z), "in features, the first nan in row 0, column 0"),
        (lambda h, z: (h, z * 0), "one class only"),
        (lambda h, z: (h[:6], z[:6]), "6 rows are too few"),
        (lambda h, z: (h * 0.0, z), "all 5 features are constant"),
        (lambda h, z: (h, z[:-1]), r"labels have shape \(39,\)"),
        (lambda h, z: (h, z + 0.5), "dtype float64"),
        (lambda h, z: (h[:, 0], z), "features have shape"),
    ],
)
def test_input_that_means_nothing_is_refused(spoil: object, message: str) -> None:
    features, labels = correlated(40, 5, num_classes=2, seed=0)
    with pytest.raises(UserError, match=message):
        fit_leace(*spoil(features, labels))


def test_a_fitter_refuses_another_shape_than_announced() -> None:
    with pytest.raises(UserError, match=r"this fitter takes \[n, 5\] and \[n, 2\]"):
        LeaceFitter(5, 2).update(np.zeros((3, 4)), np.zeros((3, 2)))
