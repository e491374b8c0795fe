"""Singular directions: identities, known answers, planted positives and nulls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.instruments import singular_angles as angles
from analysis.instruments.singular import (
    SingularDirections,
    alignment,
    data_weighted_directions,
    effective_number,
    interface_gain,
    near_groups,
    singular_directions,
)
from analysis.instruments.singular_ablation import ablation_effects
from analysis.instruments.singular_maps import correlation_maps, jacobian_maps
from analysis.instruments.singular_null import noise_edge, noise_threshold, spike, spiked_matrix
from envs.errors import UserError


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_the_matrix_of_the_comments_reads_one_thing_alone() -> None:
    weight = np.full((2, 2), 0.5)
    found = singular_directions(weight)
    np.testing.assert_allclose(found.gain, [1.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(found.read[0], np.full(2, 0.5**0.5))
    np.testing.assert_array_equal(weight[:, 0], weight[:, 1])
    np.testing.assert_array_equal(found.groups, [0, 1])


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_directions_rebuild_the_layer_and_have_their_sign(rows: int, columns: int, seed: int) -> None:
    weight = normal(rows, columns, seed=seed)
    found = singular_directions(weight)
    np.testing.assert_allclose((found.write.T * found.gain) @ found.read, weight, atol=1e-12)
    np.testing.assert_allclose(found.read @ found.read.T, np.eye(len(found)), atol=1e-12)
    assert (found.read[np.arange(len(found)), np.abs(found.read).argmax(axis=1)] > 0).all()
    # Neither the sign nor anything else depends on how the layer is turned at its output.
    turned = singular_directions(-weight)
    np.testing.assert_allclose(turned.read, found.read, atol=1e-7)
    np.testing.assert_allclose(turned.write, -found.write, atol=1e-7)


def test_near_equal_gains_keep_their_span_and_nothing_else() -> None:
    exact, reads = np.eye(3)[:2], []
    for seed in range(20):
        found = singular_directions(np.diag([3.0, 3.0, 1.0]) + 1e-6 * normal(3, 3, seed=seed))
        np.testing.assert_array_equal(found.groups, [0, 0, 1])
        assert len(found.top(1)) == 2
        assert (np.cos(angles.principal_angles(found.top(1).read, exact)) ** 2).mean() > 1 - 1e-9
        reads.append(found.read[0])
    cosines = np.abs(np.array(reads) @ reads[0])
    assert cosines.min() < 0.5


def test_groups_run_on_where_neighbours_are_near() -> None:
    np.testing.assert_array_equal(
        near_groups(np.array([1.0, 0.96, 0.92, 0.8, 1e-17, 1e-18]), zero=1e-16), [0, 0, 0, 1, 2, 2]
    )


def test_convolutions_are_read_as_patches() -> None:
    kernel = np.zeros((3, 2, 3, 3))
    kernel[1, 0, 1, 2] = 5.0
    found = singular_directions(kernel)
    assert found.read[0].reshape(2, 3, 3)[0, 1, 2] == pytest.approx(1.0)
    assert abs(found.write[0, 1]) == pytest.approx(1.0)


def test_the_data_weighted_version_ranks_by_what_varies() -> None:
    weight, features = np.diag([10.0, 2.0, 1.0]), normal(4000, 3) * [0.0, 1.0, 3.0] + 7.0
    plain, weighted = singular_directions(weight), data_weighted_directions(weight, features)
    assert plain.read[0, 0] == pytest.approx(1.0)
    assert len(weighted) == 2 and abs(weighted.write[0, 2]) > 0.99
    outputs = (features - features.mean(axis=0)) @ weight.T
    activity = weighted.activity(features - features.mean(axis=0))
    np.testing.assert_allclose(activity.std(axis=0, ddof=1), 1.0)
    np.testing.assert_allclose((activity * weighted.gain) @ weighted.write, outputs, atol=1e-9)
    # Differential: the same as principal components of the output.
    variances = np.linalg.eigvalsh(np.cov(outputs, rowvar=False))[::-1]
    np.testing.assert_allclose(weighted.gain**2, variances[:2], rtol=1e-9)


@pytest.mark.parametrize(
    ("strength", "gain", "write_overlap", "read_overlap"), [(0.5, 1.707, 0.0, 0.0), (1.5, 1.993, 0.624, 0.737)]
)
def test_the_spiked_model(strength: float, gain: float, write_overlap: float, read_overlap: float) -> None:
    shape, std = (800, 400), 800**-0.5
    predicted = spike(strength, shape, std=std)
    assert predicted.visible == (strength > 0.5**0.25)
    np.testing.assert_allclose(
        [predicted.gain, predicted.write_overlap, predicted.read_overlap],
        [gain, write_overlap, read_overlap],
        atol=1e-3,
    )
    matrix, write, read = spiked_matrix(strength, shape, std=std, seed=3)
    found = singular_directions(matrix)
    assert found.gain[0] == pytest.approx(gain, abs=0.03)
    assert (found.write[0] @ write) ** 2 == pytest.approx(write_overlap, abs=0.03)
    assert (found.read[0] @ read) ** 2 == pytest.approx(read_overlap, abs=0.03)


@given(st.integers(5, 500), st.integers(5, 500), st.floats(0.1, 10.0))
@settings(max_examples=40, deadline=None)
def test_the_spiked_model_does_not_care_which_way_a_matrix_lies(rows: int, columns: int, strength: float) -> None:
    one, other = spike(strength, (rows, columns), std=0.1), spike(strength, (columns, rows), std=0.1)
    assert one.gain == pytest.approx(other.gain) and one.visible == other.visible
    assert one.write_overlap == pytest.approx(other.read_overlap, abs=1e-9)
    assert one.gain >= noise_edge((rows, columns), std=0.1) * (1 - 1e-9)


def test_noise_passes_its_threshold_in_one_draw_of_twenty() -> None:
    shape, draws = (24, 32), 600
    tops = np.array([np.linalg.norm(spiked_matrix(0.0, shape, std=2.0, seed=seed)[0], 2) for seed in range(draws)])
    rate = float((tops > noise_threshold(shape, std=2.0)).mean())
    assert abs(rate - 0.05) < 3 * (0.05 * 0.95 / draws) ** 0.5
    planted = np.linalg.norm(spiked_matrix(40.0, shape, std=2.0, seed=0)[0], 2)
    assert planted > noise_threshold(shape, std=2.0) > np.median(tops)


def test_principal_angles_of_equal_and_of_orthogonal_subspaces() -> None:
    axes = np.eye(5)
    np.testing.assert_allclose(angles.principal_angles(axes[:2], [[1, 1, 0, 0, 0], [1, -1, 0, 0, 0]]), 0.0, atol=1e-7)
    np.testing.assert_allclose(angles.principal_angles(axes[:2], axes[3:]), np.pi / 2)
    tilted = [[np.cos(0.3), 0, 0, np.sin(0.3), 0]]
    np.testing.assert_allclose(angles.principal_angles(axes[:2], tilted), 0.3)


def test_overlap_beside_its_chance() -> None:
    axes = np.eye(12)
    inside, random = (
        angles.overlap(axes[:2], axes[:4], seed=0),
        angles.overlap(normal(2, 12), normal(4, 12, seed=1), seed=0),
    )
    assert inside.share == pytest.approx(1.0) and inside.chance == pytest.approx(4 / 12)
    assert inside.share > inside.chance_high > inside.chance
    shares = [angles.overlap(normal(2, 12, seed=s), axes[:4], seed=0, num_draws=1).share for s in range(300)]
    assert np.mean(shares) == pytest.approx(random.chance, abs=3 * np.std(shares) / 300**0.5)
    assert np.mean(np.array(shares) > inside.chance_high) == pytest.approx(0.05, abs=0.06)


def test_parts_that_read_apart_and_a_monolith_that_reads_them_all() -> None:
    axes = np.eye(20)
    apart, alike = [axes[:2], axes[2:4], axes[4:6]], [axes[:2]] * 3
    matrix, between = angles.part_overlaps(apart, seed=0)
    np.testing.assert_allclose(matrix, np.eye(3), atol=1e-12)
    assert between.share < between.chance < angles.part_overlaps(alike, seed=0)[1].share
    assert angles.overlap_with_span(axes[1:5], apart, seed=0).share == pytest.approx(1.0)
    assert angles.overlap_with_span(axes[8:12], apart, seed=0).share == pytest.approx(0.0, abs=1e-12)


def test_functions_are_compared_whatever_their_basis() -> None:
    activity = normal(400, 3)
    assert angles.function_overlap(activity, activity @ normal(3, 3, seed=1) + 5.0) == pytest.approx(1.0)
    assert angles.function_overlap(activity, normal(400, 3, seed=2)) < 0.05
    # Differential: for one function it is the R² of its regression on the others.
    mixed = activity[:, :1] + normal(400, 1, seed=3)
    centred, target = activity - activity.mean(axis=0), mixed[:, 0] - mixed.mean()
    fitted = centred @ np.linalg.lstsq(centred, target, rcond=None)[0]
    assert angles.function_overlap(activity, mixed) == pytest.approx(fitted @ fitted / (target @ target))


def test_maps_find_the_planted_cell() -> None:
    planes = (np.random.default_rng(0).random((500, 2, 4, 5)) < 0.3).astype(float)
    planes[:, 1, 0] = 1.0
    activity = np.stack([planes[:, 0, 2, 3] + 0.5 * normal(500), np.zeros(500)], axis=1)
    maps = correlation_maps(activity, planes)
    assert np.unravel_index(np.nanargmax(np.abs(maps[0])), maps[0].shape) == (0, 2, 3)
    assert maps[0, 0, 2, 3] == pytest.approx(np.corrcoef(activity[:, 0], planes[:, 0, 2, 3])[0, 1])
    assert np.isnan(maps[0, 1, 0]).all() and np.isnan(maps[1]).all()
    assert np.isfinite(maps[0, 0]).all()


def test_jacobians_of_linear_and_of_rectified_encoders() -> None:
    weight, reads = torch.from_numpy(normal(4, 6)), torch.from_numpy(normal(2, 4, seed=1))
    inputs = torch.from_numpy(normal(50, 6, seed=2))
    np.testing.assert_allclose(jacobian_maps(lambda x: x @ weight.T, inputs, reads), reads @ weight)
    active = ((inputs @ weight.T) > 0).double()
    expected = torch.einsum("rd,nd,di->ri", reads, active, weight) / 50
    np.testing.assert_allclose(jacobian_maps(lambda x: (x @ weight.T).relu(), inputs, reads), expected)


def test_ablating_a_direction_is_subtracting_it_from_the_layer() -> None:
    weight, features = normal(6, 8), normal(300, 8, seed=1) + 1.0
    found = singular_directions(weight)

    def value_of(h: np.ndarray) -> np.ndarray:
        return np.maximum(h @ weight.T, 0.0) @ np.arange(1.0, 7.0)

    effects = ablation_effects(value_of, features, found.read, seed=0, num_bases=2)
    for i in range(len(found)):
        cut = weight - found.gain[i] * np.outer(found.write[i], found.read[i])
        change = np.maximum(features @ cut.T, 0.0) @ np.arange(1.0, 7.0) - value_of(features)
        assert effects.effect[i] == pytest.approx((change**2).mean() ** 0.5 / value_of(features).std())
        assert effects.moved[i] == pytest.approx(change.std() / value_of(features).std())


def test_setting_a_direction_to_its_mean_is_subtracting_it_about_there() -> None:
    features, reads = normal(300, 8, seed=1) + 3.0, singular_directions(normal(6, 8)).read
    mean = features.mean(axis=0)

    def value_of(h: np.ndarray) -> np.ndarray:
        return np.maximum(h, 2.0).sum(axis=1)

    about_mean = ablation_effects(value_of, features, reads, seed=0, centre=mean, num_bases=2)
    moved = ablation_effects(lambda h: value_of(h + mean), features - mean, reads, seed=0, num_bases=2)
    np.testing.assert_allclose(about_mean.effect, moved.effect)
    np.testing.assert_allclose(about_mean.threshold, moved.threshold)
    assert about_mean.effect.max() < ablation_effects(value_of, features, reads, seed=0, num_bases=2).effect.max()


def test_the_one_direction_that_v_reads_is_found_among_all_and_random_ones_are_not() -> None:
    def value_of(h: np.ndarray) -> np.ndarray:
        return h[:, 2] + h[:, 3]

    features, contexts = normal(400, 64), np.arange(400) % 2
    features[:, 3] += contexts
    planted = ablation_effects(value_of, features, np.eye(64), seed=0, contexts=contexts)
    np.testing.assert_array_equal(np.flatnonzero(planted.matters), [2, 3])
    np.testing.assert_array_equal(np.flatnonzero(planted.matters_for_context), [3])
    assert planted.moved[2] > planted.threshold + 0.1 > planted.moved[4] + 0.1
    nulls = []
    for seed in range(40):
        random = np.linalg.qr(normal(16, 16, seed=seed))[0]
        nulls.append(ablation_effects(value_of, features[:, :16], random, seed=seed).matters.any())
    assert np.mean(nulls) < 0.05 + 3 * (0.05 * 0.95 / 40) ** 0.5


def test_alignment_is_one_where_a_layer_reads_what_the_one_before_writes() -> None:
    first, free = normal(10, 6), normal(5, 10, seed=1)
    before = singular_directions(first)
    reader = singular_directions(np.outer(np.arange(1.0, 4.0), before.write[2]))
    assert alignment(before, reader)[2, 0] == pytest.approx(1.0)
    assert alignment(before, reader)[1, 0] == pytest.approx(0.0, abs=1e-12)
    assert alignment(before, singular_directions(free)).mean() == pytest.approx((2 / (np.pi * 10)) ** 0.5, abs=0.1)


def test_what_passes_an_interface() -> None:
    one, other = np.outer(np.eye(8)[0], normal(5)), np.outer(normal(3, seed=1), np.eye(8)[0])
    assert interface_gain(one, other) == pytest.approx(8.0)
    assert interface_gain(np.roll(one, 1, axis=0), other) == pytest.approx(0.0)
    unrelated = [interface_gain(normal(8, 20, seed=s), normal(20, 8, seed=100 + s)) for s in range(50)]
    assert np.mean(unrelated) == pytest.approx(1.0, abs=0.05)


def test_effective_numbers() -> None:
    assert effective_number([3.0, 3.0, 3.0, 0.0]) == pytest.approx(3.0)
    assert effective_number([3.0, 0.0]) == pytest.approx(1.0)


def broken(value: float) -> np.ndarray:
    matrix = normal(40, 4)
    matrix[3, 2] = value
    return matrix


DIRECTIONS = singular_directions(normal(3, 4))
REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "NaN weights": (lambda: singular_directions(broken(np.nan)), "first nan in row 3, column 2"),
    "no matrix": (lambda: singular_directions(np.zeros(4)), r"shape \(4,\)"),
    "all 0": (lambda: singular_directions(np.zeros((3, 3))), "all 0"),
    "wrong layer": (
        lambda: data_weighted_directions(normal(3, 5), normal(40, 4)),
        "reads 5 features, but the data has 4",
    ),
    "constant": (lambda: data_weighted_directions(normal(3, 4), np.ones((9, 4))), "constant over these features"),
    "not in line": (lambda: alignment(DIRECTIONS, singular_directions(normal(2, 5))), "writes 3 features .* reads 5"),
    "no spread": (lambda: noise_edge((3, 3), std=0.0), "std is 0"),
    "other space": (lambda: angles.principal_angles(normal(2, 4), normal(2, 5)), "4 and 5 dimensions"),
    "one part": (lambda: angles.part_overlaps([normal(2, 4)], seed=0), "1 part"),
    "few states": (lambda: angles.function_overlap(normal(10, 2), normal(10, 2, seed=1)), "at least 16"),
    "no planes": (lambda: correlation_maps(normal(9, 2), normal(9, 4)), r"shape \(9, 4\)"),
    "other states": (lambda: correlation_maps(normal(9, 2), normal(8, 1, 2, 2)), "9 states of activity and 8"),
    "constant V": (
        lambda: ablation_effects(lambda h: np.ones(len(h)), normal(40, 4), np.eye(4), seed=0),
        "deviation of 0",
    ),
    "unit length": (lambda: ablation_effects(lambda h: h[:, 0], normal(40, 4), 2 * np.eye(4), seed=0), "length 2"),
    "contexts": (
        lambda: ablation_effects(lambda h: h[:, 0], normal(40, 4), np.eye(4), seed=0, contexts=np.zeros(40, int)),
        "1 values for 40 states",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses_what_would_give_a_number_that_means_nothing(name: str) -> None:
    call, message = REFUSALS[name]
    with pytest.raises(UserError, match=message):
        call()


def test_a_result_is_the_same_for_the_same_seed() -> None:
    def run() -> SingularDirections:
        return singular_directions(spiked_matrix(3.0, (20, 10), std=0.1, seed=5)[0])

    np.testing.assert_array_equal(run().read, run().read)
