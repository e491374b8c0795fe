"""Depth in a halfspace: known depths, plain models, and what it bounds for classes whose medians are merged."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.instruments.halfspace_depth import accuracy_bound, halfspace_depth
from analysis.instruments.robust_probes import best_threshold_accuracy
from analysis.instruments.translation import equal_geometric_medians, equal_medians, geometric_median
from envs.errors import UserError

Floats = np.ndarray


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def polygon(num_corners: int) -> Floats:
    turns = 2.0 * np.pi * np.arange(num_corners) / num_corners
    return np.column_stack([np.cos(turns), np.sin(turns)])


def simplex(width: int) -> Floats:
    """The d + 1 corners of a regular simplex about 0, of length 1, in d dimensions."""
    corners = np.eye(width + 1) - 1.0 / (width + 1)
    within = corners @ np.linalg.svd(corners)[2][:width].T
    return within / np.linalg.norm(within, axis=1, keepdims=True)


def radon_point(points: Floats) -> Floats:
    """A point that is in the hulls of two disjoint sets of d + 2 points, so that any halfspace about it holds two."""
    affine = np.linalg.svd(np.column_stack([points, np.ones(len(points))]).T)[2][-1]
    part = np.maximum(affine, 0.0)
    return part @ points / part.sum()


def best_linear_accuracy(rows: Floats, labels: Floats, *, seed: int = 0) -> float:
    """Of thresholds along random directions and the normals of planes through d rows, tilted a little both ways."""
    width = rows.shape[1]
    stream = rng(seed)
    normals = [
        np.linalg.svd(np.diff(rows[list(some)], axis=0), full_matrices=True)[2][-1]
        for some in itertools.islice(itertools.combinations(range(len(rows)), width), 300)
    ]
    tilted = [normal + 1e-7 * sign * stream.normal(size=width) for normal in normals for sign in (0.0, 1.0, -1.0)]
    directions = [*tilted, *stream.normal(size=(200, width))]
    return max(best_threshold_accuracy(np.round(rows @ each, 12), labels) for each in directions)


def merged(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Two classes whose given centres are at 0 already."""
    return np.concatenate([first, second]), np.repeat([0, 1], [len(first), len(second)])


# --- the depth --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_corners", range(3, 9))
def test_the_centre_of_a_regular_polygon(num_corners: int) -> None:
    """A half-turn holds half of the corners, rounded down: 1/3 of a triangle, 1/2 of a square, 2/5 of a pentagon."""
    assert halfspace_depth(polygon(num_corners), [0.0, 0.0]) == (num_corners // 2) / num_corners
    assert halfspace_depth(polygon(num_corners), polygon(num_corners)[0]) == 1.0 / num_corners


@pytest.mark.parametrize("width", range(1, 6))
def test_the_centre_of_a_simplex_holds_one_corner_in_d_plus_1(width: int) -> None:
    assert halfspace_depth(simplex(width), np.zeros(width)) == 1.0 / (width + 1)
    assert halfspace_depth(simplex(width), 2.0 * simplex(width)[0]) == 0.0


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_a_set_symmetric_about_a_point_has_depth_one_half(width: int) -> None:
    half = rng(width).standard_t(2, size=(5, width))
    symmetric = np.concatenate([half, -half])
    assert halfspace_depth(symmetric + 3.0, np.full(width, 3.0)) == 0.5
    # Rows at the point itself are in every halfspace: (5 + 2) / 12.
    assert halfspace_depth(np.concatenate([symmetric, np.zeros((2, width))]), np.zeros(width)) == 7 / 12


@given(st.integers(0, 2**20), st.integers(1, 25))
@settings(max_examples=40, deadline=None)
def test_on_a_line_and_in_the_plane_it_agrees_with_counting(seed: int, num_points: int) -> None:
    """On small integers, so that points coincide and stand on common lines."""
    points = rng(seed).integers(-2, 3, size=(num_points, 2)).astype(float)
    on_line = points[:, :1]
    assert halfspace_depth(on_line, [0.0]) == min((on_line >= 0.0).mean(), (on_line <= 0.0).mean())
    # Lines through such points are .3 radians apart, so one of many directions falls between any two.
    turns = np.arange(500) / 500 * 2.0 * np.pi + 0.001
    plain = (points @ [np.cos(turns), np.sin(turns)] >= 0.0).mean(axis=0).min()
    assert halfspace_depth(points, [0.0, 0.0]) == pytest.approx(plain)


@pytest.mark.parametrize(("width", "seed"), [*itertools.product([2, 3, 4], range(4))])
def test_no_direction_finds_less_and_some_direction_finds_as_little(width: int, seed: int) -> None:
    """Gaussian points in d = 2 to 4 against many directions; the same under any linear map and in a wider space."""
    points = rng(seed).normal(size=(9, width))
    depth = halfspace_depth(points, np.zeros(width))
    seen = (points @ rng(1).normal(size=(width, 20_000)) >= 0.0).mean(axis=0)
    assert depth == pytest.approx(seen.min())
    turned = points @ rng(2).normal(size=(width, width + 1))
    assert halfspace_depth(turned, np.zeros(width + 1)) == depth


# --- the bound --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**20), st.sampled_from([1, 2, 3]))
@settings(max_examples=12, deadline=None)
def test_merged_at_points_as_deep_as_tukeys_medians_no_threshold_passes_the_bound(seed: int, width: int) -> None:
    """Of 2 (d + 1) points a Radon point of any d + 2 has depth 1/(d + 1), what a Tukey median has at least."""
    stream = rng(seed)
    clouds = []
    for scale in (1.0, stream.choice([0.01, 1.0])):
        cloud = scale * stream.standard_t(1.5, size=(2 * (width + 1), width))
        clouds.append(cloud - radon_point(cloud[: width + 2]))
        assert halfspace_depth(clouds[-1], np.zeros(width)) >= 1.0 / (width + 1) - 1e-12
    rows, labels = merged(*clouds)
    bound = accuracy_bound(rows, labels, np.zeros(width))
    assert best_linear_accuracy(rows, labels) <= bound + 1e-12
    assert bound <= 1.0 - 1.0 / (2 * (width + 1)) + 1e-12


@pytest.mark.parametrize(("width", "bound"), [(1, 0.75), (2, 5 / 6), (3, 7 / 8), (32, 65 / 66)])
def test_two_simplices_reach_it(width: int, bound: float) -> None:
    """Far side of d corners of the wide one, all of the narrow one on the near side: 1 − 1/(2 (d + 1)), .985 at 32."""
    rows, labels = merged(simplex(width), 0.1 / width * simplex(width))
    reached = best_threshold_accuracy(rows @ -simplex(width)[0], labels)
    assert reached == pytest.approx(bound, abs=1e-12)
    if width <= 3:
        assert accuracy_bound(rows, labels, np.zeros(width)) == pytest.approx(bound, abs=1e-12)
        assert best_linear_accuracy(rows, labels) == pytest.approx(bound, abs=1e-12)


@pytest.mark.parametrize("width", [2, 5])
def test_symmetric_classes_are_told_apart_at_most_at_three_quarters_in_any_dimension(width: int) -> None:
    for seed in range(3):
        halves = rng(seed).standard_t(1.5, size=(2, 4, width)) * np.array([1.0, 0.01])[:, None, None]
        rows, labels = merged(*(np.concatenate([half, -half]) for half in halves))
        assert accuracy_bound(rows, labels, np.zeros(width)) == 0.75
        # The narrow class is on one side of a threshold that has half of the wide one on the other: it is reached.
        assert best_linear_accuracy(rows, labels) == pytest.approx(0.75, abs=1e-12)


def test_of_three_classes_two_lose_their_depth() -> None:
    """1 − (1/2)(2/3) for three classes at a common median on a line, and it is reached."""
    values = np.concatenate([[-1.0, 1.0], [-2.0, 2.0], [-0.1, 0.1]])[:, None]
    labels = np.repeat([0, 1, 2], 2)
    assert accuracy_bound(values, labels, [0.0]) == pytest.approx(2 / 3)
    told = np.select([values[:, 0] < -0.5, values[:, 0] > 1.5], [0, 1], default=2)
    assert np.mean([(told[labels == k] == k).mean() for k in range(3)]) == pytest.approx(2 / 3)
    stream = rng(0)
    rows, labels = stream.standard_t(2, size=(45, 2)), np.repeat([0, 1, 2], 15)
    rows = equal_medians(rows, labels)(rows, labels)
    bound = accuracy_bound(rows, labels, np.median(rows[:15], axis=0))
    assert bound < 0.85
    for _ in range(200):
        told = (rows @ stream.normal(size=(2, 3)) + stream.normal(size=3)).argmax(axis=1)
        accuracy = np.mean([(told[labels == k] == k).mean() for k in range(3)])
        assert accuracy <= bound


def test_where_all_rows_lie_at_the_point_nothing_but_chance_is_left() -> None:
    assert accuracy_bound([[0.0], [0.0], [1.0], [0.0]], [0, 0, 1, 1], [0.0]) == 0.75
    assert accuracy_bound([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]], [0, 1, 2], [0.0, 0.0]) == pytest.approx(2 / 3)


# --- what other medians do not promise --------------------------------------------------------------------------------


def test_equal_geometric_medians_bound_nothing() -> None:
    """Twenty rows of class 1 lie far to both sides and a little below 0, one above: their pulls on 0 cancel."""
    side = np.sqrt(399.0)
    wide = np.concatenate([np.tile([[side, -1.0], [-side, -1.0]], (10, 1)), [[0.0, 1.0]]])
    np.testing.assert_allclose(geometric_median(wide), 0.0, atol=1e-4)
    assert halfspace_depth(wide, [0.0, 0.0]) == pytest.approx(1 / 21)
    rows, labels = merged(wide, 0.01 * polygon(4))
    kept = equal_geometric_medians(rows, labels)(rows, labels)
    np.testing.assert_allclose(kept, rows, atol=1e-3)
    told = best_threshold_accuracy(kept[:, 1], labels)
    assert told == pytest.approx(1.0 - 1.0 / 42.0)
    assert told > 5 / 6 + 0.1 and told > 0.75 + 0.2


def test_equal_medians_of_each_feature_bound_no_sum_of_two() -> None:
    """All of class 1 but the row at the medians lies below the diagonal through them."""
    wide = np.concatenate([np.tile([[1.0, -2.0], [-2.0, 1.0]], (10, 1)), [[0.0, 0.0]]])
    rows, labels = merged(wide, 0.01 * polygon(4))
    kept = equal_medians(rows, labels)(rows, labels)
    np.testing.assert_allclose(kept, rows, atol=1e-12)
    assert max(best_threshold_accuracy(feature, labels) for feature in kept.T) <= 0.75
    assert best_threshold_accuracy(kept.sum(axis=1), labels) == pytest.approx(1.0 - 1.0 / 42.0)
    assert halfspace_depth(wide, [0.0, 0.0]) == pytest.approx(1 / 21)


def test_equal_medians_of_each_feature_bound_no_sum_of_three() -> None:
    """The medians of three corners are 0, outside of their triangle: the sum of the features tells all."""
    rows, labels = merged(np.eye(3), 0.01 * np.concatenate([np.eye(3), -np.eye(3)]))
    kept = equal_medians(rows, labels)(rows, labels)
    np.testing.assert_array_equal(kept, rows)
    assert max(best_threshold_accuracy(feature, labels) for feature in kept.T) <= 0.75
    assert best_threshold_accuracy(kept.sum(axis=1), labels) == 1.0
    assert accuracy_bound(kept, labels, np.zeros(3)) == 1.0


REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "NaN": (lambda: halfspace_depth([[np.nan]], [0.0]), "1 values that are not finite in points"),
    "a point that is not finite": (lambda: halfspace_depth([[1.0]], [np.inf]), "not finite in the point"),
    "other features": (lambda: halfspace_depth(np.ones((3, 2)), [0.0]), "has 1 features, but the rows have 2"),
    "too long": (lambda: halfspace_depth(np.ones((1001, 3)), np.zeros(3)), "1001 rows of 3 features .* fewer rows"),
    "one class": (lambda: accuracy_bound(np.ones((3, 1)), [1, 1, 1], [0.0]), "one class only"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses_what_has_no_depth(name: str) -> None:
    call, message = REFUSALS[name]
    with pytest.raises(UserError, match=message):
        call()
