"""Erasers but LEACE, the counterexamples that fool them, and the report that says what is left and what it cost."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm, spearmanr
from sklearn.linear_model import LogisticRegression

from analysis.instruments import toy
from analysis.instruments.erasers import (
    change_size,
    class_gap,
    mean_ablation,
    mean_projection,
    orthonormal_rows,
    random_subspace,
    scaled_to,
)
from analysis.instruments.erasure import judge, standard_erasers
from analysis.instruments.erasure_cost import costing, order_within
from analysis.instruments.erasure_data import Activations, split_activations
from analysis.instruments.inlp import inlp
from analysis.instruments.leace import fit_leace
from analysis.instruments.rlace import RlaceSettings, onto_fantope, rlace
from analysis.instruments.robust_probes import best_threshold_accuracy, linear_gain, probe_accuracies
from analysis.instruments.translation import equal_geometric_medians, equal_means, equal_medians, geometric_median
from envs.errors import UserError


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- counterexamples A, B and C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", [0.1, 0.01])
def test_a_has_equal_means_and_a_threshold_that_reads_it(tail: float) -> None:
    data = toy.two_point(200_000, tail=tail, stream=rng(0))
    three_sigma = 3.0 * np.sqrt(tail * (1.0 - tail) / 200_000)
    assert best_threshold_accuracy(data.features[:, 0], data.labels) == pytest.approx(1.0 - tail, abs=three_sigma)
    merged = equal_medians(data.features, data.labels)(data.features, data.labels)
    assert best_threshold_accuracy(merged[:, 0], data.labels) == pytest.approx(0.5 + tail / 2.0, abs=0.005)


def test_a_in_its_smallest_form_teaches_a_logistic_regression_nothing() -> None:
    """Twenty rows, e = .1, with means of exactly 0: at weight 0 the convex loss is least, and a threshold reads .90."""
    values = np.concatenate([np.repeat([1.0, -9.0], [9, 1]), np.repeat([-1.0, 9.0], [9, 1])])[:, None]
    labels = np.repeat([1, 0], 10)
    assert np.abs(LogisticRegression(C=1e6).fit(values, labels).coef_).max() < 1e-6
    assert best_threshold_accuracy(values[:, 0], labels) == pytest.approx(0.9)
    np.testing.assert_array_equal(equal_means(values, labels)(values, labels), values)


def test_b_is_read_with_the_known_accuracy_and_better_at_equal_medians() -> None:
    data = toy.uniform_or_exponential(200_000, width=3.0, stream=rng(1))
    known = 0.75 - np.log(2.0) / 4.0
    assert best_threshold_accuracy(data.features[:, 0], data.labels) == pytest.approx(known, abs=0.004)
    merged = equal_medians(data.features, data.labels)(data.features, data.labels)
    at_equal_medians = best_threshold_accuracy(merged[:, 0], data.labels)
    assert at_equal_medians == pytest.approx(0.592, abs=0.004)
    assert at_equal_medians > known + 0.008


def test_c_is_gone_for_a_linear_probe_and_there_for_every_robust_one() -> None:
    """C with exactly equal means: LEACE finds nothing to take away."""
    train, test = (toy.two_point_in_noise(8000, stream=rng(seed)) for seed in (2, 3))
    mirrored = np.concatenate([train.features, -train.features]), np.concatenate([train.labels, train.labels])
    eraser = fit_leace(np.concatenate([mirrored[0], mirrored[0]]), np.concatenate([mirrored[1], 1 - mirrored[1]]))
    assert eraser.num_dimensions == 0
    np.testing.assert_array_equal(eraser(train.features), train.features)
    accuracies = probe_accuracies((train.features, train.labels), (test.features, test.labels), seed=0)
    assert abs(accuracies["linear"] - 0.5) < 0.03
    assert accuracies["clip"] == pytest.approx(0.90, abs=0.01)
    assert accuracies["ramp"] == pytest.approx(0.90, abs=0.01)
    # A readout that is right on nine rows of ten and very wrong on the tenth saves no loss.
    assert abs(linear_gain((train.features, train.labels), (test.features, test.labels))) < 0.01
    # More than .90: a sum of thresholds also finds the bands in which the outliers of either class lie.
    assert accuracies["stump"] > 0.89


def test_noise_is_read_by_none() -> None:
    data = toy.shifted_normals(6000, num_features=20, stream=rng(4))
    accuracies = probe_accuracies(
        (data.features[:4000], data.labels[:4000]), (data.features[4000:], data.labels[4000:]), seed=0
    )
    assert max(abs(accuracy - 0.5) for accuracy in accuracies.values()) < 3.0 * np.sqrt(0.25 / 2000)


def test_a_planted_shift_is_read_by_all_with_probability_phi() -> None:
    train, test = (toy.shifted_normals(8000, num_features=4, shifts=[1.0], stream=rng(seed)) for seed in (5, 6))
    accuracies = probe_accuracies((train.features, train.labels), (test.features, test.labels), seed=0)
    for name, accuracy in accuracies.items():
        assert accuracy == pytest.approx(norm.cdf(1.0), abs=0.02), name
    # E log2(1 + exp(-2 x)), x ~ N(1, 1): what the true posterior does not save.
    grid = np.linspace(-9.0, 11.0, 4001)
    lost = np.trapezoid(np.log2(1.0 + np.exp(-2.0 * grid)) * norm.pdf(grid, 1.0), grid)
    gain = linear_gain((train.features, train.labels), (test.features, test.labels))
    assert gain == pytest.approx(1.0 - lost, abs=0.02)
    assert class_gap(train.features, train.labels) == pytest.approx(2.0 / np.sqrt(2.0), abs=0.05)


# --- translation ------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**20), st.integers(3, 60), st.sampled_from([1.0, 1e6]))
def test_no_threshold_on_a_readout_with_equal_medians_passes_three_quarters(seed: int, half: int, tail: float) -> None:
    stream = rng(seed)
    values = stream.standard_normal(2 * (2 * half + 1)) * np.where(stream.random(2 * (2 * half + 1)) < 0.3, tail, 1.0)
    labels = stream.permutation(np.repeat([0, 1], 2 * half + 1))
    merged = equal_medians(values[:, None], labels)(values[:, None], labels)[:, 0]
    # With 2 m + 1 rows of a class at most m + 1 of them lie on one side of their median, itself included.
    assert best_threshold_accuracy(np.round(merged, 9), labels) <= 0.5 + (half + 1) / (2 * half + 1) / 2.0 + 1e-12


def test_the_bound_of_three_quarters_is_tight() -> None:
    half = 5000
    values = np.concatenate([-np.ones(half), np.zeros(half + 1), np.zeros(half + 1), np.ones(half)])
    labels = np.repeat([0, 1], 2 * half + 1)
    merged = equal_medians(values[:, None], labels)(values[:, None], labels)[:, 0]
    assert best_threshold_accuracy(merged, labels) == pytest.approx(0.75, abs=1e-3)


def test_translations_make_their_centres_equal() -> None:
    data = toy.shifted_normals(999, num_features=5, shifts=(2.0, 1.0), mixing=rng(0).normal(size=(5, 5)), stream=rng(1))
    rows, labels = data.features, data.labels
    directions = rng(2).normal(size=(2, 5))
    along = orthonormal_rows(directions).T
    centres = {
        equal_means: lambda part: part.mean(axis=0),
        equal_medians: lambda part: np.median(part, axis=0),
        equal_geometric_medians: lambda part: geometric_median(part),
        (lambda h, z: equal_medians(h, z, directions)): lambda part: np.median(part @ along, axis=0),
    }
    for fit, centre in centres.items():
        translation = fit(rows, labels)
        moved = translation(rows, labels)
        before, after = (np.abs(centre(h[labels == 1]) - centre(h[labels == 0])).max() for h in (rows, moved))
        assert after < 1e-4 < 0.1 < before
        assert translation.needs_labels and translation.num_dimensions in (1, 2)
    np.testing.assert_allclose(equal_means(rows, labels)(rows, labels).mean(axis=0), rows.mean(axis=0), atol=1e-12)
    with pytest.raises(UserError, match="class 7 was not there"):
        equal_means(rows, labels)(rows, labels + 7)


def test_the_geometric_median_is_the_point_of_least_distance() -> None:
    points = rng(3).standard_t(1.5, size=(101, 3))

    def distance(at: np.ndarray) -> float:
        return float(np.sqrt(((points - at) ** 2).sum(axis=1)).sum())

    found = minimize(distance, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    np.testing.assert_allclose(geometric_median(points), found.x, atol=1e-4)
    # More than half of all points in one place are its median, also where the steps would divide by 0.
    heavy = np.concatenate([np.zeros((60, 2)), rng(4).random((50, 2))])
    np.testing.assert_allclose(geometric_median(heavy), 0.0, atol=1e-6)
    # Five of ten points lie at the mean, where the search starts; the pull of the others does not move them.
    at_start = np.array([[0.0, 0.0]] * 5 + [[4.0, 0.0]] + [[-1.0, 0.0]] * 4)
    np.testing.assert_array_equal(geometric_median(at_start), 0.0)


# --- mean projection, INLP and RLACE ----------------------------------------------------------------------------------


def test_mean_projection_equals_its_formula_and_leaves_everything_orthogonal_alone() -> None:
    data = toy.shifted_normals(500, num_features=6, shifts=(1.0, 2.0), stream=rng(0))
    means = [data.features[data.labels == k].mean(axis=0) for k in (0, 1)]
    u = (means[1] - means[0]) / np.linalg.norm(means[1] - means[0])
    expected = data.features - np.outer((data.features - data.features.mean(axis=0)) @ u, u)
    eraser = mean_projection(data.features, data.labels)
    np.testing.assert_allclose(eraser(data.features), expected, atol=1e-12)
    np.testing.assert_allclose(eraser.matrix @ eraser.matrix, eraser.matrix, atol=1e-12)
    everything = mean_ablation(data.features, np.eye(6))(data.features)
    np.testing.assert_allclose(everything, np.broadcast_to(data.features.mean(axis=0), (500, 6)), atol=1e-12)


def test_a_random_rival_moves_activations_as_far() -> None:
    rows = rng(0).normal(size=(300, 8)) * np.arange(1, 9)
    rival = scaled_to(random_subspace(rows, 2, stream=rng(1)), rows, size=1.7)
    assert change_size(rows, rival(rows)) == pytest.approx(1.7)
    assert np.linalg.matrix_rank(rival(rows) - rows) == rival.num_dimensions == 2


@pytest.fixture(scope="module")
def traces() -> dict[str, object]:
    """INLP on three planted coordinates in isotropic noise, and on the same mixed by a random matrix."""
    found: dict[str, object] = {}
    for name, mixing in (("isotropic", None), ("mixed", rng(5).normal(size=(30, 30)))):
        options = {"num_features": 30, "shifts": (1.5, 1.0, 0.6), "mixing": mixing}
        train, test = (toy.shifted_normals(10_000, **options, stream=rng(seed)) for seed in (0, 1))
        found[name] = inlp(
            train.features, train.labels, held_out=(test.features, test.labels), num_steps=6, tolerance=-1.0
        )
        erased = [mean_projection(train.features, train.labels)(part.features) for part in (train, test)]
        found[f"{name}, one mean projection"] = probe_accuracies(
            (erased[0], train.labels), (erased[1], test.labels), seed=0, probes=["linear"]
        )["linear"]
    return found


def test_inlp_converges_on_isotropic_noise_and_removes_too_much_elsewhere(traces: dict[str, object]) -> None:
    isotropic, mixed = traces["isotropic"].accuracies, traces["mixed"].accuracies
    assert isotropic[0] == pytest.approx(norm.cdf(1.9), abs=0.01)
    assert isotropic[1] < 0.60 and max(isotropic[2:]) < 0.53
    assert mixed[0] == pytest.approx(norm.cdf(1.9), abs=0.01)
    assert min(mixed[:3]) > 0.90 and mixed[5] > 0.75
    assert abs(traces["isotropic, one mean projection"] - 0.5) < 0.03
    assert abs(traces["mixed, one mean projection"] - 0.5) < 0.03


def test_inlp_projects_onto_what_none_of_its_classifiers_read(traces: dict[str, object]) -> None:
    for name in ("isotropic", "mixed"):
        trace = traces[name]
        basis = np.concatenate(trace.bases)
        np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-12)
        projection = trace.eraser(6).matrix
        np.testing.assert_allclose(projection @ projection, projection, atol=1e-12)
        np.testing.assert_allclose(basis @ projection, 0.0, atol=1e-12)
        assert np.linalg.matrix_rank(projection) == 30 - len(basis)
        assert trace.eraser(2).num_dimensions == 2
    assert len(np.concatenate(traces["mixed"].bases)) == 6


def test_the_fantope_s_nearest_point_is_in_it_and_no_other_is_nearer() -> None:
    given_matrix = rng(0).normal(size=(5, 5))
    given_matrix = given_matrix + given_matrix.T
    nearest = onto_fantope(given_matrix, 2)
    values = np.linalg.eigvalsh(nearest)
    assert np.trace(nearest) == pytest.approx(2.0) and values.min() > -1e-9 and values.max() < 1.0 + 1e-9
    distance = np.linalg.norm(nearest - given_matrix)
    for seed in range(20):
        other = random_subspace(np.eye(5), 2, stream=rng(seed)).read
        assert distance <= np.linalg.norm(0.3 * other.T @ other + 0.7 * nearest - given_matrix) + 1e-12


def run_rlace(num_steps: int, *, seed: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Accuracy after RLACE, its direction, and mean projection's."""
    train, test = (toy.shifted_normals(3000, num_features=30, shifts=(1.5, 0.8, 0.4), stream=rng(s)) for s in (0, 1))
    found = rlace(
        train.features, train.labels, held_out=(test.features, test.labels), num_dimensions=1, seed=seed,
        settings=RlaceSettings(num_steps=num_steps, tolerance=0.0),
    )  # fmt: skip
    return found.accuracy, found.eraser.read[0], mean_projection(train.features, train.labels).read[0]


def test_rlace_ends_where_mean_projection_is() -> None:
    accuracy, direction, of_means = run_rlace(600, seed=0)
    assert abs(accuracy - 0.5) < 0.04
    assert abs(direction @ of_means) > 0.97


@pytest.mark.slow
def test_rlace_agrees_over_seeds_on_good_data() -> None:
    runs = [run_rlace(8000, seed=seed) for seed in (0, 1)]
    assert all(abs(accuracy - 0.5) < 0.03 for accuracy, _, _ in runs)
    assert abs(runs[0][1] @ runs[1][1]) > 0.995
    assert all(abs(direction @ of_means) > 0.995 for _, direction, of_means in runs)


# --- the report -------------------------------------------------------------------------------------------------------


def value_of(rows: np.ndarray) -> np.ndarray:
    """A V that reads the concept's coordinate and one other."""
    return np.asarray(rows[:, 0] + 0.5 * rows[:, 5])


def logits_of(rows: np.ndarray) -> np.ndarray:
    return np.stack([rows[:, 0], np.zeros(len(rows))], axis=1)


def planted(shifts: tuple[float, ...], *, seed: int = 0) -> Activations:
    data = toy.shifted_normals(4000, num_features=8, shifts=shifts, stream=rng(seed))
    return split_activations(data.features, data.labels, np.arange(4000) // 10, seed=0)


def test_a_report_tells_a_planted_concept_from_a_planted_null() -> None:
    data = planted((2.0,))
    report = judge(data, standard_erasers(data), seed=0, value_of=value_of, logits_of=logits_of)
    assert report.num_rows == (2000, 1000, 1000) and report.chance == 0.5
    assert min(report.before.values()) > 0.95
    by_name = {erasure.name: erasure for erasure in report.erasures}
    for name in ("equal means", "mean projection", "LEACE"):
        erasure = by_name[name]
        assert not report.readable(erasure), erasure.accuracies
        assert erasure.num_dimensions == 1
        # V reads what was taken away, and little of a random direction: most of its change is the concept's.
        assert erasure.cost.value_change > erasure.random_cost.value_change + 0.3
        assert erasure.random_accuracy > 0.95
        assert erasure.random_cost.change == pytest.approx(erasure.cost.change)
    assert by_name["LEACE"].cost.greedy < 0.7
    null = planted(())
    report = judge(null, {"LEACE": fit_leace(*null.part(null.fit))}, seed=0, value_of=value_of)
    assert max(abs(accuracy - 0.5) for accuracy in report.before.values()) < 3.0 * np.sqrt(0.25 / 1000)
    # One dimension of eight goes all the same; it does to V what a random one does.
    erasure = report.erasures[0]
    assert erasure.cost.change == pytest.approx(np.sqrt(1.0 / 8.0), abs=0.05)
    assert erasure.cost.value_change < erasure.random_cost.value_change + 0.2
    assert erasure.cost.greedy is None


def test_a_report_is_not_fooled_by_c() -> None:
    """Counterexample C after LEACE: linear at chance, and still the report says by whom it is read."""
    data = toy.two_point_in_noise(6000, num_features=6, stream=rng(1))
    rows = split_activations(data.features, data.labels, np.arange(6000) // 10, seed=0)
    report = judge(rows, {"LEACE": fit_leace(*rows.part(rows.fit))}, seed=0)
    still = report.readable(report.erasures[0])
    assert "linear" not in still
    assert {"clip", "stump", "ramp"} <= set(still)


def test_parts_share_no_episode_and_the_same_seed_gives_the_same_report() -> None:
    data = planted((1.0,))
    episodes = [set(part // 10) for part in (data.fit, data.train, data.test)]
    assert not (episodes[0] & episodes[1] or episodes[0] & episodes[2] or episodes[1] & episodes[2])
    assert sum(map(len, episodes)) == 400
    erasers = {"LEACE": fit_leace(*data.part(data.fit))}
    reports = [judge(data, erasers, seed=1, value_of=value_of) for _ in range(2)]
    assert dataclasses.asdict(reports[0].erasures[0].cost) == dataclasses.asdict(reports[1].erasures[0].cost)
    assert repr(reports[0]) == repr(reports[1])


def test_rounding_left_by_an_erasure_is_not_read() -> None:
    """A feature that is the label exactly: what LEACE leaves of it is rounding, which depends on the label."""
    data = toy.shifted_normals(2000, num_features=3, stream=rng(0))
    rows = np.column_stack([data.features, data.labels + 0.1])
    erased = fit_leace(rows, data.labels)(rows)
    accuracies = probe_accuracies((erased[:1000], data.labels[:1000]), (erased[1000:], data.labels[1000:]), seed=0)
    assert max(accuracies.values()) < 0.57


def test_costs_are_what_they_say() -> None:
    rows, contexts = rng(0).normal(size=(400, 3)), np.arange(400) % 2
    measure = costing(rows, contexts, value_of=lambda h: h[:, 0], logits_of=lambda h: h)
    shifted = measure.cost(rows + np.array([2.0, 0.0, 0.0]))
    assert shifted.value_change == pytest.approx(2.0 / rows[:, 0].std())
    assert shifted.value_order == pytest.approx(1.0)
    assert shifted.change == pytest.approx(2.0 / np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean()))
    assert measure.cost(-rows).value_order == pytest.approx(-1.0)
    assert measure.cost(rows * 0.0).value_order == 0.0
    assert measure.cost(rows[:, [1, 2, 0]]).greedy == 0.0
    expected = np.mean([spearmanr(rows[contexts == c, 0], rows[contexts == c, 1]).statistic for c in (0, 1)])
    assert order_within(rows[:, 0], rows[:, 1], contexts) == pytest.approx(expected)
    with pytest.raises(UserError, match="V is 1 on all 400 rows"):
        costing(rows, contexts, value_of=lambda h: np.ones(len(h)))
    with pytest.raises(UserError, match="not finite"):
        costing(rows, contexts, value_of=lambda h: np.full(len(h), np.nan))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda h, z, g: (h, z, g[:-1]), "groups have shape"),
        (lambda h, z, g: (h, z, g * 0), "class 0 occurs in 1 groups"),
        (lambda h, z, g: (h[:20], z[:20], g[:20]), "10 rows are too few: half of 20"),
        (lambda h, z, g: (h + np.where(np.eye(len(h), 1, -3), np.inf, 0), z, g), "in features, the first inf in row 3"),
    ],
)
def test_rows_that_cannot_be_split_are_refused(spoil: object, message: str) -> None:
    data = toy.shifted_normals(400, num_features=12, stream=rng(0))
    with pytest.raises(UserError, match=message):
        split_activations(*spoil(data.features, data.labels, np.arange(400)), seed=0)


def test_probes_and_thresholds_refuse_what_they_cannot_tell() -> None:
    data = toy.shifted_normals(200, num_features=3, stream=rng(0))
    rows = (data.features, data.labels)
    with pytest.raises(UserError, match="'linear'"):
        probe_accuracies(rows, rows, seed=0, probes=["linaer"])
    with pytest.raises(UserError, match="test rows have 2 features"):
        probe_accuracies(rows, (data.features[:, :2], data.labels), seed=0)
    with pytest.raises(UserError, match="the labels hold 3"):
        best_threshold_accuracy(data.features[:, 0], np.arange(200) % 3)
