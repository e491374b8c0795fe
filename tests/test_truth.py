"""Truth-like features: CCS against a plain reference, counts against closed forms, planted and null pairs."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from analysis.instruments.contrast_pairs import ContrastPairs, contrast_pairs, side_means
from analysis.instruments.truth import CcsProbe, CcsSettings, ccs_loss, fit_ccs, published_chance, read_ccs
from analysis.instruments.truth_counts import (
    bits_to_choose,
    count_labelings,
    count_sign_vectors,
    cover_count,
    one_hot_facts,
    sample_labelings,
)
from analysis.instruments.truth_directions import direction_losses, sign_consistency, truth_like_share
from analysis.instruments.truth_distractor import beside_distractor, distractor_sweep, flip_width
from analysis.instruments.truth_recursive import RecursiveCcs, distinct_answers, recursive_ccs
from analysis.instruments.truth_toy import context_pairs, noise_pairs, planted_pairs
from analysis.plots.truth import CountLine, SweepDots, count_curves, distractor_curves
from envs.errors import UserError


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def reference_ccs(
    plus: np.ndarray, minus: np.ndarray, starts: np.ndarray, *, num_epochs: int
) -> tuple[np.ndarray, float]:
    """Burns et al. as they say it, one start after the other, gradients by autograd, AdamW by torch."""
    plus, minus = torch.from_numpy(plus - plus.mean(axis=0)), torch.from_numpy(minus - minus.mean(axis=0))
    best: tuple[np.ndarray, float] | None = None
    for start in starts.T:
        theta = torch.tensor(start[:-1], requires_grad=True)
        bias = torch.tensor(start[-1], requires_grad=True)
        optimiser = torch.optim.AdamW([theta, bias], lr=1e-2, weight_decay=1e-2)
        for _ in range(num_epochs + 1):
            p0, p1 = torch.sigmoid(plus @ theta + bias), torch.sigmoid(minus @ theta + bias)
            loss = (torch.min(p0, p1) ** 2).mean() + ((p0 - (1 - p1)) ** 2).mean()
            fitted, last = theta.detach().numpy().copy(), float(loss.detach())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if best is None or last < best[1]:
            best = fitted, last
    assert best is not None
    return best


def told_beside(distractor: float, *, seed: int, num_pairs: int = 500, num_features: int = 32) -> ContrastPairs:
    """A truth of 1.5 in the first feature, a distractor in the last one, noise of .3 in all: the reference's pairs."""
    pairs = planted_pairs(num_pairs, num_features - 1, truth=1.5, seed=seed)
    return beside_distractor(pairs, distractor, seed=seed, noise=0.3)[0]


@pytest.mark.parametrize("distractor", [0.0, 1.5])
def test_the_search_agrees_with_a_plain_reference(distractor: float) -> None:
    pairs = told_beside(distractor, num_pairs=200, num_features=12, seed=4)
    probe = fit_ccs(pairs, seed=7, settings=CcsSettings(num_starts=4, num_epochs=250))
    starts = np.random.default_rng(7).uniform(-(12**-0.5), 12**-0.5, size=(13, 4))
    direction, loss = reference_ccs(pairs.plus, pairs.minus, starts, num_epochs=250)
    np.testing.assert_allclose(probe.direction, direction, atol=1e-8)
    assert probe.train_loss == pytest.approx(loss, abs=1e-10)


@pytest.mark.parametrize(
    ("prob_plus", "prob_minus", "loss"), [(0.5, 0.5, 0.25), (0, 0, 1), (1, 1, 2), (1, 0, 0), (0, 1, 0)]
)
def test_loss_values(prob_plus: float, prob_minus: float, loss: float) -> None:
    assert ccs_loss(np.full(9, float(prob_plus)), np.full(9, float(prob_minus))) == loss


def test_every_binary_feature_of_the_question_has_no_loss() -> None:
    """Farquhar et al. 2023, Theorem 1: p(x+) = g, p(x-) = 1 - g, whatever g."""
    for seed in range(5):
        feature = np.random.default_rng(seed).integers(2, size=50).astype(float)
        assert ccs_loss(feature, 1.0 - feature) == 0.0
    assert ccs_loss(feature, feature) > 0.4


def test_the_accuracy_of_papers_and_ours_by_chance() -> None:
    for num_pairs, chance in ((20, 0.587), (100, 0.540), (500, 0.518)):
        assert published_chance(num_pairs) == pytest.approx(chance, abs=0.002)
    train, test = noise_pairs(40, 4, seed=1), noise_pairs(20, 4, seed=2)
    ours, published = [], []
    for seed in range(300):
        probe = CcsProbe(normal(4, seed=seed), 0.0, side_means(train), np.nan)
        flips = np.random.default_rng(seed).choice([-1, 1], size=60)
        reading = read_ccs(probe, _relabelled(train, flips[:40]), _relabelled(test, flips[40:]))
        ours.append(reading.accuracy)
        published.append(reading.published_accuracy)
    assert np.mean(ours) == pytest.approx(0.5, abs=3 * np.std(ours) / 300**0.5)
    assert np.mean(published) == pytest.approx(published_chance(20), abs=3 * np.std(published) / 300**0.5)


def _relabelled(pairs: ContrastPairs, labels: np.ndarray) -> ContrastPairs:
    return contrast_pairs(pairs.plus, pairs.minus, labels)


def test_other_pairs_are_centred_by_the_training_means() -> None:
    pairs = planted_pairs(200, 5, truth=1.5, seed=0)
    probe = fit_ccs(pairs, seed=0, settings=CcsSettings(num_epochs=200))
    shifted = ContrastPairs(pairs.plus + 3.0 * probe.direction, pairs.minus, pairs.labels)
    assert read_ccs(probe, pairs, shifted).loss > read_ccs(probe, pairs, pairs).loss + 0.3
    one = pairs[:2]
    np.testing.assert_allclose(probe.probs(one)[0], probe.probs(pairs)[0][:2])


def found_beside(distractor: float, *, seed: int, num_epochs: int = 500) -> tuple[float, float, float, float]:
    """|cos| with the truth and with the distractor, accuracy and loss on other pairs, in the features' own unit."""
    train, test = (told_beside(distractor, seed=2 * seed + part) for part in (0, 1))
    probe = fit_ccs(train, seed=seed, settings=CcsSettings(num_epochs=num_epochs))
    cosines, reading = np.abs(probe.direction) / np.linalg.norm(probe.direction), read_ccs(probe, train, test)
    return cosines[0], cosines[-1], reading.accuracy, reading.loss


def test_truth_alone_is_found() -> None:
    cos_truth, _, accuracy, loss = found_beside(0.0, seed=0, num_epochs=1000)
    assert loss == pytest.approx(0.004, abs=0.003)
    assert cos_truth == pytest.approx(0.95, abs=0.03)
    assert accuracy == 1.0


def test_a_strong_distractor_is_found_in_its_place_and_with_an_equal_one_the_seed_decides() -> None:
    for seed in range(3):
        cos_truth, cos_distractor, accuracy, loss = found_beside(4.0, seed=seed)
        assert cos_distractor == pytest.approx(0.97, abs=0.03) and cos_truth < 0.1
        assert abs(accuracy - 0.5) < 0.1 and loss < 0.01
    equal = [found_beside(1.5, seed=seed) for seed in range(6)]
    found_truth = [cos_truth > cos_distractor for cos_truth, cos_distractor, *_ in equal]
    assert any(found_truth) and not all(found_truth)
    assert all((one[2] > 0.95) == found for one, found in zip(equal, found_truth, strict=True))


def test_a_sweep_gives_the_planted_flip_where_it_is_the_widest_and_the_truth_where_it_is_not() -> None:
    train, test = (planted_pairs(400, 15, truth=1.5, seed=seed) for seed in (0, 1))
    assert flip_width(train) == pytest.approx((1.5**2 + 0.3**2 / 2) ** 0.5, rel=0.03)
    quick = CcsSettings(num_starts=3, num_epochs=300)
    swept = distractor_sweep(train, test, (0.0, 0.5, 2.0), seeds=(0, 1), noise=0.3, settings=quick)
    assert [(one.strength, one.seed) for one in swept] == list(itertools.product((0.0, 0.5, 2.0), (0, 1)))
    for one in swept:
        told, planted = (one.accuracy, one.distractor_accuracy)[:: 1 if one.strength < 1.0 else -1]
        assert told > 0.99 and abs(planted - 0.5) < 0.1 and one.loss < 0.01
        assert np.abs(one.direction).argmax() == (0 if one.strength < 1.0 else 15)
    small = (ContrastPairs(part.plus * 1e-3, part.minus * 1e-3, part.labels) for part in (train, test))
    (scaled,) = distractor_sweep(*small, (0.5,), seeds=(0,), noise=0.3e-3, settings=quick)
    np.testing.assert_allclose(scaled.direction, swept[2].direction, atol=1e-6)


def test_a_distractor_flips_between_the_sides_and_says_nothing_of_the_labels() -> None:
    pairs = planted_pairs(2000, 4, truth=1.5, seed=3)
    told, planted = beside_distractor(pairs, 2.0, seed=3)
    np.testing.assert_array_equal(told.plus[:, -1], np.where(planted.labels, 2.0, -2.0))
    np.testing.assert_array_equal(told.plus[:, -1], -told.minus[:, -1])
    np.testing.assert_array_equal(told.plus[:, :-1], pairs.plus)
    assert abs(np.mean(told.labels == planted.labels) - 0.5) < 3 * (0.25 / 2000) ** 0.5


@pytest.mark.parametrize(
    ("num_pairs", "num_features", "train", "held_out"), [(50, 200, 0.0, 0.465), (500, 32, 0.165, 0.193)]
)
def test_noise_fits_where_pairs_are_few_and_does_not_hold(
    num_pairs: int, num_features: int, train: float, held_out: float
) -> None:
    pairs, others = noise_pairs(num_pairs, num_features, seed=1), noise_pairs(2000, num_features, seed=2)
    probe = fit_ccs(pairs, seed=0)
    reading = read_ccs(probe, pairs, others)
    assert probe.train_loss == pytest.approx(train, abs=0.01)
    assert reading.loss == pytest.approx(held_out, abs=0.06)
    assert (reading.loss > 0.25) == (num_pairs < num_features)
    assert abs(reading.accuracy - 0.5) < 0.05


@pytest.mark.parametrize("width", [4, 6, 10])
def test_every_sign_vector_is_truth_like_and_normalisation_takes_two_away(width: int) -> None:
    facts = one_hot_facts(width)
    assert count_sign_vectors(facts, normalise=False) == 2**width
    assert count_sign_vectors(facts, normalise=True) == 2**width - 2


@pytest.mark.parametrize(("n", "d", "count"), [(10, 3, 92), (6, 6, 64), (5, 8, 32), (8, 4, 128)])
def test_covers_count_in_general_position(n: int, d: int, count: int) -> None:
    points = normal(n, d)
    assert cover_count(n, d) == count == count_labelings(points)
    # Some regions are narrow at (8, 4), and sampling misses them; it never finds too many.
    assert 0.85 * count <= sample_labelings(points, num_directions=100_000, seed=0) <= count


def test_the_count_agrees_with_a_programme_for_each_labeling() -> None:
    points = normal(7, 3, seed=2)
    points[3] = points[0] + points[1]
    points[5] = -2.0 * points[4]

    def separable(labels: tuple[int, ...]) -> bool:
        signed = -np.array(labels)[:, None] * points
        return bool(linprog(np.zeros(3), A_ub=signed, b_ub=-np.ones(7), bounds=(None, None)).success)

    found = sum(separable(labels) for labels in itertools.product((-1, 1), repeat=7))
    assert count_labelings(points) == found < cover_count(7, 3)
    assert sample_labelings(points, num_directions=50_000, seed=0) <= found


@given(st.integers(1, 7), st.integers(1, 4), st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_counts_do_not_depend_on_basis_scale_or_order(n: int, d: int, seed: int) -> None:
    points = normal(n, d, seed=seed)
    turned = np.random.default_rng(seed).permutation(points @ (normal(d, d, seed=1) + 3 * np.eye(d))) * 7.0
    assert count_labelings(points) == count_labelings(turned) == cover_count(n, d)


def test_bits_and_a_pair_without_difference() -> None:
    assert bits_to_choose(300, 300) == 300.0
    assert 10 < bits_to_choose(300, 32) < 300
    assert count_labelings([[1.0, 0.0], [0.0, 0.0]]) == 0


def searched(num_flipping: int) -> RecursiveCcs:
    pairs = context_pairs(500, 16, num_flipping=num_flipping, seed=1)
    return recursive_ccs(
        pairs[:300], pairs[300:], num_directions=6, seed=0, settings=CcsSettings(num_epochs=500, num_starts=5)
    )


def test_planted_features_that_flip_with_the_context_are_counted_and_an_additive_code_is_not() -> None:
    none, one, two = (searched(count) for count in range(3))
    assert [int(found.distinct.sum()) for found in (none, one, two)] == [0, 1, 2]
    # Orthogonality alone counts what is left of the same feature again.
    assert int(two.consistent.sum()) > 2 and int(none.consistent.sum()) == 0
    assert two.readings[0].loss + 0.1 < none.random_losses.min()
    np.testing.assert_allclose(two.directions @ two.directions.T, np.eye(6), atol=1e-10)
    assert max(reading.accuracy for reading in two.readings) > 0.95
    assert min(reading.loss for reading in none.readings) > none.tau


def test_a_search_is_the_same_in_any_unit_of_activation() -> None:
    pairs = context_pairs(200, 8, num_flipping=1, seed=1)
    small = ContrastPairs(pairs.plus * 1e-3, pairs.minus * 1e-3, pairs.labels)
    one, other = (
        recursive_ccs(p[:120], p[120:], num_directions=2, seed=0, settings=CcsSettings(num_epochs=200))
        for p in (pairs, small)
    )
    np.testing.assert_allclose([r.loss for r in one.readings], [r.loss for r in other.readings], rtol=1e-6)
    np.testing.assert_allclose(one.probes[0].direction, other.probes[0].direction * 1e-3, rtol=1e-5)


def test_answers_count_once_up_to_their_sign() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 200)) < 0.5
    noisy = first ^ (rng.random(200) < 0.1)
    answers = np.stack([first, ~noisy, second, first])
    np.testing.assert_array_equal(distinct_answers(answers, np.array([1, 1, 1, 1], bool)), [1, 0, 1, 0])
    np.testing.assert_array_equal(distinct_answers(answers, np.array([0, 1, 1, 1], bool)), [0, 1, 1, 0])


def test_random_directions_are_truth_like_where_a_feature_is_prominent_and_not_in_noise() -> None:
    prominent = truth_like_share(context_pairs(300, 16, num_flipping=1, seed=0), seed=0)
    noise = truth_like_share(noise_pairs(300, 16, seed=0), seed=0)
    assert prominent.share_low_loss > noise.low_loss_high + 0.02
    assert prominent.share_consistent > noise.consistent_high
    assert noise.share_low_loss == 0.0 and noise.low_loss_high == pytest.approx(3 / 2000, rel=0.01)
    assert prominent.least_loss < noise.least_loss - 0.1


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_losses_of_directions_have_no_sign_and_no_sides(seed: int) -> None:
    pairs, directions = noise_pairs(30, 5, seed=seed), normal(8, 5, seed=seed)
    swapped = ContrastPairs(pairs.minus, pairs.plus)
    losses = direction_losses(pairs, directions)
    np.testing.assert_allclose(direction_losses(swapped, directions), losses, rtol=1e-12)
    np.testing.assert_array_equal(sign_consistency(pairs, directions), sign_consistency(pairs, -3.0 * directions))
    assert (losses <= 0.25).all() and (losses >= 0.0).all()
    perfect = ContrastPairs(pairs.plus, -pairs.plus)
    np.testing.assert_array_equal(direction_losses(perfect, directions), 0.0)
    np.testing.assert_array_equal(sign_consistency(perfect, directions), 1.0)


def test_figures_of_counts_and_distractors() -> None:
    sizes = np.arange(2.0, 6.0)
    counted = count_curves(
        {
            "facts": (
                "features d",
                [CountLine("2^d", sizes, 2**sizes, "law"), CountLine("found", sizes, 2**sizes, "exact")],
            )
        },
        title="Counts",
    )
    assert counted.axes[0].get_yscale() == "log"
    line = SweepDots("truth", np.array([0.0, 0.0, 4.0]), np.array([0.9, 1.0, 0.5]))
    swept = distractor_curves({"planted": [line], "agent": [line]}, title="Sweep")
    assert [axes.get_title(loc="left") for axes in swept.axes] == ["planted", "agent"]
    (means,) = (drawn.get_ydata() for drawn in swept.axes[0].lines if drawn.get_label() == "truth")
    np.testing.assert_allclose(means, [0.95, 0.5])
    with pytest.raises(UserError, match="nothing to draw"):
        distractor_curves({}, title="Sweep")


PAIRS = noise_pairs(20, 3, seed=0)
REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "NaN": (
        lambda: contrast_pairs(np.full((4, 2), np.nan), np.ones((4, 2))),
        r"8 values that are not finite in x\+",
    ),
    "sides": (lambda: contrast_pairs(np.ones((4, 2)), np.ones((5, 2))), r"shape \(4, 2\) and x- has \(5, 2\)"),
    "labels": (lambda: contrast_pairs(np.ones((4, 2)), np.ones((4, 2)), np.ones(3)), r"labels have shape \(3,\) for 4"),
    "one pair": (lambda: contrast_pairs(np.ones((1, 2)), np.ones((1, 2))), "at least 2 row"),
    "all alike": (lambda: fit_ccs(contrast_pairs(np.ones((4, 2)), np.zeros((4, 2))), seed=0), "all 4 pairs are alike"),
    "alike": (lambda: truth_like_share(contrast_pairs(np.ones((4, 2)), np.zeros((4, 2))), seed=0), "pairs are alike"),
    "one label": (
        lambda: read_ccs(fit_ccs(PAIRS, seed=0), PAIRS, contrast_pairs(PAIRS.plus, PAIRS.minus, np.ones(20))),
        "one label only",
    ),
    "no direction left": (lambda: fit_ccs(PAIRS, seed=0, orthogonal_to=np.eye(3)), "leave none to search"),
    "too many points": (lambda: count_labelings(normal(17, 2)), "at most 16 points"),
    "too many to tell apart": (lambda: sample_labelings(normal(63, 2), num_directions=9, seed=0), "at most 62"),
    "too many features": (lambda: count_sign_vectors(one_hot_facts(17), normalise=True), "at most 16 features"),
    "no point": (lambda: cover_count(0, 3), "num_points is 0"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses_what_would_give_a_number_that_means_nothing(name: str) -> None:
    call, message = REFUSALS[name]
    with pytest.raises(UserError, match=message):
        call()
