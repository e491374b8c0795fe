"""Known answers, coverage, floors and agreement with scipy for the statistics of per-seed scores."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.aggregates import (
    bootstrap_interval,
    improvement_interval,
    iqm,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
)
from analysis.equivalence import tost, tost_welch
from analysis.multiple_tests import benjamini_hochberg, holm, holm_levels
from analysis.permutation import sign_flip_test, two_sample_test
from analysis.power import Effect, difference_power, equivalence_power, seeds_needed
from analysis.statistics import (
    interval_over_seeds,
    mean_by_seed,
    paired_differences,
    paired_t_test,
    pointwise_intervals,
    seeds_text,
    t_interval,
    welch,
)
from envs.errors import UserError

X = np.array([[1, 2], [2, 2], [1, 1], [2, 1]], dtype=float)
Y = np.array([[1, 1], [2, 2], [3, 3]], dtype=float)


def column(values: object) -> np.ndarray:
    return np.asarray(values, dtype=float)[:, None]


# --- the unit is the seed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [t_interval, paired_t_test, iqm, optimality_gap, sign_flip_test])
@pytest.mark.parametrize("shape", [(5, 3, 100), (500,), (5000, 1), (5, 0), ()])
def test_episodes_as_runs_are_refused(function, shape):
    with pytest.raises(ValueError, match=r"seed"):
        function(np.zeros(shape))


TWO_ARMS = {
    "welch": lambda x, y: welch(x, y),
    "tost_welch": lambda x, y: tost_welch(x, y, margin=1.0),
    "two_sample_test": two_sample_test,
    "probability_of_improvement": probability_of_improvement,
    "improvement_interval": lambda x, y: improvement_interval(x, y, generator=np.random.default_rng(0)),
    "tost": lambda x, _: tost(x, margin=1.0),
    "bootstrap_interval": lambda x, _: bootstrap_interval(x, generator=np.random.default_rng(0)),
    "performance_profile": lambda x, _: performance_profile(x, [0.5]),
}


@pytest.mark.parametrize("name", TWO_ARMS)
@pytest.mark.parametrize("shape", [(12, 3, 100), (500,), (5000, 1)])
def test_episodes_as_runs_are_refused_in_either_arm(name, shape):
    runs = np.ones((12, 3)) if len(shape) == 3 else np.ones((12, 1))
    with pytest.raises(ValueError, match=r"seed"):
        TWO_ARMS[name](np.zeros(shape), runs)
    if name not in ("tost", "bootstrap_interval", "performance_profile"):
        with pytest.raises(ValueError, match=r"seed"):
            TWO_ARMS[name](runs, np.zeros(shape))


def test_non_finite_scores_are_refused_with_their_place():
    with pytest.raises(ValueError, match=r"row 2, task 1 is nan"):
        t_interval([[0, 1], [0, 1], [0, math.nan]])


def test_mean_by_seed_gives_each_seed_one_row():
    means, seeds = mean_by_seed([1.0, 3.0, 10.0], [7, 7, 2])
    assert seeds == (2, 7)
    assert means.tolist() == [[10.0], [2.0]]
    with pytest.raises(ValueError, match="one seed for each row"):
        mean_by_seed([1.0, 2.0], [1])


def test_paired_differences_keep_common_seeds_only():
    assert paired_differences({3: 1.0, 1: 2.0, 9: 5.0}, {1: 0.5, 3: 1.0, 4: 0.0}) == {1: 1.5, 3: 0.0}


# --- intervals ------------------------------------------------------------------------------------------------------


def test_t_interval_and_test_agree_with_scipy():
    generator = np.random.default_rng(0)
    scores = generator.normal(0.3, 1, size=(12, 3))
    reference = stats.ttest_1samp(scores.mean(axis=1), 0)
    expected = reference.confidence_interval(0.95)
    test = paired_t_test(scores)
    assert (test.interval.low, test.interval.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert test.p_value == pytest.approx(reference.pvalue, rel=1e-10)
    assert test.interval == t_interval(scores)


def test_welch_agrees_with_scipy():
    generator = np.random.default_rng(1)
    x, y = generator.normal(0, 1, (7, 2)), generator.normal(0.5, 3, (15, 2))
    reference = stats.ttest_ind(x.mean(axis=1), y.mean(axis=1), equal_var=False)
    expected = reference.confidence_interval(0.9)
    test = welch(x, y, level=0.9)
    assert test.p_value == pytest.approx(reference.pvalue, rel=1e-10)
    assert test.degrees_of_freedom == pytest.approx(reference.df, rel=1e-12)
    assert (test.interval.low, test.interval.high) == pytest.approx((expected.low, expected.high), rel=1e-10)


def test_seeds_that_agree_exactly_are_degenerate_but_defined():
    zero, one = paired_t_test(np.zeros((20, 1))), paired_t_test(np.ones((20, 1)))
    assert (zero.p_value, zero.interval.low, zero.interval.high) == (1.0, 0.0, 0.0)
    assert (one.p_value, one.interval.low, one.interval.high) == (0.0, 1.0, 1.0)
    assert tost(np.zeros((20, 1)), margin=0.1).equivalent
    assert welch(np.ones((3, 1)), np.ones((3, 1))).p_value == 1.0


SCORES = {
    "normal": (lambda g, size: g.normal(size=size), 0.0),
    "uniform": (lambda g, size: g.uniform(size=size), 0.5),
    "beta(2, 2)": (lambda g, size: g.beta(2, 2, size=size), 0.5),
}


def coverage(samples, truth):
    """Share of rows of [studies, seeds] whose t interval holds the truth: the formula, first held to the function."""
    half = stats.t.ppf(0.975, samples.shape[1] - 1) * samples.std(axis=1, ddof=1) / samples.shape[1] ** 0.5
    for row, width in zip(samples[:100], half, strict=False):
        interval = t_interval(row[:, None])
        assert (interval.low, interval.high) == pytest.approx((row.mean() - width, row.mean() + width), abs=1e-12)
    return np.mean(np.abs(samples.mean(axis=1) - truth) <= half)


@pytest.mark.parametrize("num_seeds", [5, 10, 20])
@pytest.mark.parametrize("name", SCORES)
def test_the_default_interval_covers_what_it_says(name, num_seeds):
    draw, truth = SCORES[name]
    samples = draw(np.random.default_rng([2, num_seeds]), (100_000, num_seeds))
    assert 0.93 <= coverage(samples, truth) <= 0.97


def test_coverage_on_skewed_scores_is_printed_not_gated():
    for num_seeds in (5, 10, 20):
        covered = coverage(np.random.default_rng(3).lognormal(size=(20_000, num_seeds)), math.exp(0.5))
        print(f"coverage of the 95 % t interval on lognormal scores, {num_seeds} seeds: {covered:.3f}")


def test_a_planted_narrow_interval_fails_the_coverage_gate():
    """Episodes as runs: 20 copies of each of 5 seeds' scores, the fault that the gate must see."""
    samples = np.random.default_rng(4).normal(size=(1000, 5, 1)).repeat(20, axis=1)
    assert np.mean([not t_interval(scores).excludes(0) for scores in samples]) < 0.5


LOGNORMAL_IQM = (
    2 * math.exp(0.5) * (stats.norm.cdf(stats.norm.ppf(0.75) - 1) - stats.norm.cdf(stats.norm.ppf(0.25) - 1))
)
LAWS = {
    "normal": (lambda g, size: g.normal(size=size), 0.0, 0.0),
    "lognormal": (lambda g, size: g.lognormal(size=size), math.exp(0.5), LOGNORMAL_IQM),
}
COVERAGE = {
    ("normal", "t"): (0.95, 0.94, 0.95, 0.95, 0.95),
    ("normal", "mean"): (0.74, 0.82, 0.89, 0.92, 0.94),
    ("normal", "iqm"): (0.74, 0.89, 0.93, 0.93, 0.95),
    ("lognormal", "t"): (0.85, 0.82, 0.86, 0.88, 0.89),
    ("lognormal", "mean"): (0.63, 0.71, 0.82, 0.87, 0.89),
    ("lognormal", "iqm"): (0.76, 0.89, 0.92, 0.95, 0.93),
}
"""Share of nominal 95 % intervals that hold the truth, from 3, 5, 10, 20 and 50 seeds of one task."""


def percentile_interval(scores, aggregate, generator):
    """The bootstrap below its smallest number of seeds, where the function refuses it: the same, written out."""
    drawn = np.sort(scores[generator.integers(len(scores), size=(500, len(scores)))], axis=1)
    cut = len(scores) // 4 if aggregate == "iqm" else 0
    return np.quantile(drawn[:, cut : len(scores) - cut].mean(axis=1), [0.025, 0.975])


@pytest.mark.slow
@pytest.mark.parametrize(("law", "method"), COVERAGE)
def test_coverage_of_intervals_by_seeds(law, method):
    draw, mean, middle = LAWS[law]
    for num_seeds, expected in zip((3, 5, 10, 20, 50), COVERAGE[law, method], strict=True):
        generator, held = np.random.default_rng([18, num_seeds]), []
        for _ in range(1000):
            scores = draw(generator, (num_seeds, 1))
            if method == "t":
                low, high = t_interval(scores).ends
            elif num_seeds < 10:
                low, high = percentile_interval(scores[:, 0], method, generator)
            else:
                low, high = bootstrap_interval(scores, method, generator=generator, num_resamples=500).ends
            held.append(low <= (middle if method == "iqm" else mean) <= high)
        assert np.mean(held) == pytest.approx(expected, abs=0.045), (num_seeds, np.mean(held))


# --- aggregates -----------------------------------------------------------------------------------------------------


def test_known_answers_of_the_reference_package():
    assert (iqm(X), iqm(Y)) == (1.5, 2.0)
    assert probability_of_improvement(X, Y) == pytest.approx(1 / 3)
    assert iqm(column([1.0, 2.0, 6.0])) == 3.0  # int(.25 * 3) = 0: nothing is cut
    assert optimality_gap(column([0.5, 2.0])) == 0.25
    assert performance_profile(X, [0.5, 1.0, 1.5, 2.0]).tolist() == [1.0, 0.5, 0.5, 0.0]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_iqm_is_scipys_trimmed_mean(values):
    assert iqm(column(values)) == pytest.approx(stats.trim_mean(values, 0.25), abs=1e-9)


def test_aggregates_of_several_tasks_agree_with_the_definitions_of_the_reference_package():
    """There IQM is the trimmed mean of the whole matrix, PoI the mean of Mann and Whitney's U / (n m) over tasks."""
    generator = np.random.default_rng(19)
    for num_runs, num_tasks in ((3, 1), (5, 4), (10, 7), (11, 3)):
        x, y = generator.normal(0.3, 1, (num_runs, num_tasks)), generator.normal(0, 1, (num_runs + 2, num_tasks))
        x[0], y[0] = 0.0, 0.0  # ties
        assert iqm(x) == pytest.approx(stats.trim_mean(x, 0.25, axis=None), abs=1e-12)
        assert optimality_gap(x) == pytest.approx(1 - np.mean(np.minimum(x, 1)))
        wins = [
            stats.mannwhitneyu(x[:, task], y[:, task], alternative="greater").statistic / x[:, 0].size / y[:, 0].size
            for task in range(num_tasks)
        ]
        assert probability_of_improvement(x, y) == pytest.approx(np.mean(wins))


def test_aggregates_agree_with_rliable_where_it_is_installed():
    metrics = pytest.importorskip("rliable.metrics")
    x, y = np.random.default_rng(20).normal(size=(2, 9, 5))
    assert iqm(x) == pytest.approx(metrics.aggregate_iqm(x))
    assert optimality_gap(x) == pytest.approx(metrics.aggregate_optimality_gap(x))
    assert probability_of_improvement(x, y) == pytest.approx(metrics.probability_of_improvement(x, y))


def test_probability_of_improvement_is_mann_whitney():
    generator = np.random.default_rng(5)
    x, y = generator.integers(0, 5, (9, 1)), generator.integers(0, 5, (6, 1))
    statistic = stats.mannwhitneyu(x.ravel(), y.ravel()).statistic
    assert probability_of_improvement(x, y) == pytest.approx(statistic / 54)
    assert probability_of_improvement(y, x) == pytest.approx(1 - statistic / 54)


def test_the_bootstrap_agrees_with_scipy_and_depends_on_its_generator_only():
    scores = np.random.default_rng(6).normal(size=(25, 1))
    first, second = (bootstrap_interval(scores, "mean", generator=np.random.default_rng(7)) for _ in range(2))
    reference = stats.bootstrap((scores.ravel(),), np.mean, method="percentile", rng=np.random.default_rng(8))
    assert first == second
    bounds = (reference.confidence_interval.low, reference.confidence_interval.high)
    assert (first.low, first.high) == pytest.approx(bounds, abs=0.03)


def test_strata_are_resampled_by_themselves_unless_seeds_are_whole():
    """Two tasks that mirror each other: whole seeds always average to 0, independent strata do not."""
    scores = np.random.default_rng(9).normal(size=(12, 1)) * np.array([[1.0, -1.0]])
    whole = bootstrap_interval(scores, "mean", generator=np.random.default_rng(0), whole_seeds=True)
    apart = bootstrap_interval(scores, "mean", generator=np.random.default_rng(0))
    assert whole.high - whole.low < 1e-12 < 0.1 < apart.high - apart.low


def test_the_bootstrap_refuses_few_seeds_and_unknown_names():
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="3 seeds.*t_interval"):
        bootstrap_interval(np.zeros((3, 1)), generator=generator)
    with pytest.raises(UserError, match="Did you mean 'iqm'"):
        bootstrap_interval(np.zeros((10, 1)), "iqn", generator=generator)


def test_improvement_interval_holds_its_estimate_and_shifts_with_the_arms():
    generator = np.random.default_rng(10)
    x, y = generator.normal(2, 1, (20, 2)), generator.normal(0, 1, (20, 2))
    interval = improvement_interval(x, y, generator=generator)
    assert 0.5 < interval.low <= interval.estimate <= interval.high <= 1
    assert interval.estimate == probability_of_improvement(x, y)


# --- permutation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "floor"), [(3, 0.05), (4, 0.0143), (5, 0.0040), (8, 7.8e-5)])
def test_two_sample_floor(size, floor):
    test = two_sample_test(column(np.arange(size) + 100.0), column(np.arange(size)))
    assert test.p_greater == 1 / math.comb(2 * size, size)
    assert test.p_greater == pytest.approx(floor, rel=0.02)
    assert test.p_two_sided == 2 * test.p_greater


def test_two_of_two_beat_two_of_two_one_time_in_six():
    assert two_sample_test(column([3, 4]), column([1, 2])).p_greater == pytest.approx(1 / 6)


@pytest.mark.parametrize("size", [1, 3, 10, 20])
def test_sign_flip_floor(size):
    test = sign_flip_test(column(np.arange(1, size + 1)))
    assert test.p_greater == 2.0**-size
    assert test.p_two_sided == min(1.0, 2.0 ** (1 - size))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_sign_flips_equal_the_plain_list(values):
    sums = [
        sum(s * v for s, v in zip(signs, values, strict=True))
        for signs in itertools.product([1, -1], repeat=len(values))
    ]
    test = sign_flip_test(column(values))
    assert test.p_greater == np.mean([total >= sum(values) for total in sums])
    assert test.p_two_sided == np.mean([abs(total) >= abs(sum(values)) for total in sums])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.lists(st.integers(0, 4), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_relabellings_equal_the_plain_list(x, y):
    pooled, total = x + y, len(x) + len(y)
    gaps = [
        np.mean([pooled[i] for i in chosen]) - np.mean([pooled[i] for i in range(total) if i not in chosen])
        for chosen in itertools.combinations(range(total), len(x))
    ]
    observed, test = np.mean(x) - np.mean(y), two_sample_test(column(x), column(y))
    assert test.p_greater == pytest.approx(np.mean([gap >= observed - 1e-9 for gap in gaps]))
    assert test.p_two_sided == pytest.approx(np.mean([abs(gap) >= abs(observed) - 1e-9 for gap in gaps]))


def test_permutation_agrees_with_scipy():
    generator = np.random.default_rng(11)
    x, y = generator.normal(0.5, 1, 7), generator.normal(0, 1, 6)
    exact = {"alternative": "greater", "n_resamples": np.inf, "vectorized": False}
    two = stats.permutation_test((x, y), lambda a, b: np.mean(a) - np.mean(b), **exact)
    assert two_sample_test(column(x), column(y)).p_greater == pytest.approx(two.pvalue)
    paired = stats.permutation_test((x,), np.mean, permutation_type="samples", **exact)
    assert sign_flip_test(column(x)).p_greater == pytest.approx(paired.pvalue)


def test_twenty_seeds_an_arm_are_counted_exactly():
    generator = np.random.default_rng(12)
    x, y = generator.normal(0.7, 1, (20, 1)), generator.normal(0, 1, (20, 1))
    test = two_sample_test(x, y)
    assert test.num_arrangements == math.comb(40, 20)
    assert test.p_two_sided == pytest.approx(welch(x, y).p_value, abs=0.01)
    with pytest.raises(ValueError, match="41 seeds"):
        two_sample_test(np.zeros((21, 1)), np.zeros((20, 1)))


def test_permutation_size_is_at_most_nominal():
    samples = np.random.default_rng(13).normal(size=(2000, 6, 1))
    rejected = np.mean([sign_flip_test(scores).p_two_sided <= 0.05 for scores in samples])
    assert 0.015 <= rejected <= 0.045  # the largest attainable size at 6 seeds is 2 / 64


# --- equivalence, power, Holm ---------------------------------------------------------------------------------------


def test_tost_is_two_one_sided_tests():
    scores = np.random.default_rng(14).normal(0.2, 1, (15, 1))
    answer = tost(scores, margin=0.8)
    above = stats.ttest_1samp(scores.ravel(), -0.8, alternative="greater").pvalue
    below = stats.ttest_1samp(scores.ravel(), 0.8, alternative="less").pvalue
    assert answer.p_value == pytest.approx(max(above, below), rel=1e-9)
    assert answer.equivalent == (answer.p_value < 0.05)
    with pytest.raises(ValueError, match="margin is 0"):
        tost(scores, margin=0)


def test_tost_size_at_the_boundary():
    generator = np.random.default_rng(15)
    arms = generator.normal(size=(2000, 2, 10, 1))
    equivalent = np.mean([tost_welch(x + 2.0, y, margin=2.0).equivalent for x, y in arms])
    paired = np.mean([tost(x + 1.0, margin=1.0).equivalent for x in arms[:, 0]])
    assert equivalent == pytest.approx(0.05, abs=0.015)
    assert paired == pytest.approx(0.05, abs=0.015)


@given(st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_equivalence_p_value_and_interval_agree(seed):
    x, y = np.random.default_rng(seed).normal(size=(2, 8, 1))
    answer = tost_welch(x, y, margin=0.9)
    assert answer.equivalent == (answer.p_value < 0.05)


def test_seeds_for_a_difference_and_for_equivalence():
    """Known answers: instruments.md 6.2, from tables of the t test."""
    difference = [
        seeds_needed(lambda n, d=d: difference_power(n, Effect(d, 1.0, False))) for d in (0.5, 0.8, 1, 1.5, 2)
    ]
    margins = (0.5, 1, 1.5, 2)
    equal = [seeds_needed(lambda n, m=m: equivalence_power(n, Effect(0, 1.0, False), margin=m)) for m in margins]
    assert difference == [64, 26, 17, 9, 6]
    assert equal == [70, 18, 9, 6]
    assert seeds_needed(lambda n: difference_power(n, Effect(0.1, 1.0), margin=0.1)) is None


@pytest.mark.parametrize(
    ("num_seeds", "margin", "power"), [(10, 1, 0.4), (10, 0.5, 0.0), (20, 1, 0.85), (20, 0.5, 0.03)]
)
def test_power_of_equivalence_at_ten_and_twenty_seeds(num_seeds, margin, power):
    assert equivalence_power(num_seeds, Effect(0, 1.0, False), margin=margin) == pytest.approx(power, abs=0.015)


def test_power_formula_equals_simulation():
    samples = np.random.default_rng(16).normal(0.5, 1, (3000, 12, 1))
    tests = [paired_t_test(scores) for scores in samples]
    hits = np.mean([t.interval.low > 0 and t.difference > 0.4 for t in tests])
    assert difference_power(12, Effect(0.5, 1.0), margin=0.4) == pytest.approx(hits, abs=0.03)
    equal = np.mean([tost(scores, margin=1.1).equivalent for scores in samples])
    assert equivalence_power(12, Effect(0.5, 1.0), margin=1.1) == pytest.approx(equal, abs=0.03)


def test_power_without_noise_is_certain():
    assert difference_power(2, Effect(0.3, 0.0), margin=0.2) == 1.0
    assert difference_power(2, Effect(0.1, 0.0), margin=0.2) == 0.0
    assert equivalence_power(2, Effect(0.1, 0.0), margin=0.2) == 1.0


def test_common_random_numbers_leave_twice_the_variance_that_the_arms_do_not_share():
    """Var(x - y) = 2 sd^2 (1 - rho): at rho = .9 the paired interval is sqrt(10) times as narrow as Welch's."""
    generator = np.random.default_rng(21)
    shared, own = generator.normal(size=(400, 1)), generator.normal(size=(2, 400, 1))
    x, y = (0.9**0.5 * shared + 0.1**0.5 * noise for noise in own)
    ratio = welch(x, y).standard_error / paired_t_test(x - y).standard_error
    assert ratio == pytest.approx(10**0.5, rel=0.15)


def test_benjamini_hochberg_known_answer():
    p_values = [0.01, 0.04, 0.03, 0.005, 0.8]
    assert benjamini_hochberg(p_values) == pytest.approx((0.025, 0.05, 0.05, 0.025, 0.8))
    assert benjamini_hochberg([]) == ()
    assert all(a <= b for a, b in zip(benjamini_hochberg(p_values), holm(p_values), strict=True))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_benjamini_hochberg_is_scipys(p_values):
    assert benjamini_hochberg(p_values) == pytest.approx(tuple(stats.false_discovery_control(p_values)))


def test_benjamini_hochberg_keeps_its_false_discovery_rate():
    """60 true nulls among 100: the share of false discoveries is at most .05 * 60 / 100, and real effects are found."""
    generator, false_share, found = np.random.default_rng(22), [], []
    for _ in range(300):
        z = generator.normal(size=100) + 3.5 * (np.arange(100) >= 60)
        rejected = np.array(benjamini_hochberg(2 * stats.norm.sf(np.abs(z)))) <= 0.05
        false_share.append(rejected[:60].sum() / max(rejected.sum(), 1))
        found.append(rejected[60:].mean())
    assert np.mean(false_share) == pytest.approx(0.03, abs=3 * np.std(false_share) / np.sqrt(300))
    assert np.mean(found) > 0.7


def test_holm_known_answer():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()
    assert holm_levels([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_holm_levels_and_adjusted_p_values_reject_the_same(p_values):
    adjusted, levels = holm(p_values), holm_levels(p_values)
    for p, p_adjusted, level in zip(p_values, adjusted, levels, strict=True):
        assert (p <= level) == (p_adjusted <= 0.05) or p_adjusted == pytest.approx(0.05)


# --- other packages -----------------------------------------------------------------------


def test_statsmodels_agrees():
    from statsmodels.stats import multitest, power, weightstats

    generator = np.random.default_rng(17)
    for shift, margin in ((0.0, 0.9), (0.5, 0.9), (0.0, 3.0), (2.0, 0.5)):
        x, y, z = generator.normal(shift, 1, 9), generator.normal(0, 2, 9), generator.normal(0, 1, 14)
        unequal = weightstats.ttost_ind(x, z, -margin, margin, usevar="unequal")[0]
        assert tost_welch(column(x), column(z), margin=margin).p_value == pytest.approx(unequal)
        paired = weightstats.ttost_paired(x, y, -margin, margin)[0]
        assert tost(column(x - y), margin=margin).p_value == pytest.approx(paired)
    p_values = [0.2, 0.01, 0.03, 0.03, 0.9]
    assert holm(p_values) == pytest.approx(tuple(multitest.multipletests(p_values, method="holm")[1]))
    assert benjamini_hochberg(p_values) == pytest.approx(tuple(multitest.multipletests(p_values, method="fdr_bh")[1]))
    for num_seeds, effect in ((6, 2.0), (17, 1.0), (64, 0.5)):
        expected = power.TTestIndPower().power(effect, num_seeds, 0.05)
        assert difference_power(num_seeds, Effect(effect, 1.0, False)) == pytest.approx(expected, abs=0.002)


def test_an_interval_ends_where_means_of_bounded_scores_do() -> None:
    """Student's of {0, 1} reaches from -5.9 to 6.9; and inside the bounds it is as it was."""
    wide = t_interval([[0.0], [1.0]])
    assert wide.low < -5 and wide.high > 6
    assert wide.within((0, 1)).ends == (0.0, 1.0) and wide.within((0, 1)).estimate == 0.5
    assert interval_over_seeds({0: 0.0, 1: 1.0}, bounds=(0, 1)) == wide.within((0, 1))
    assert seeds_text({0: 0.0, 1: 1.0}, decimals=1, bounds=(0, 1)) == "0.5 [0.0, 1.0]"
    narrow = t_interval([[0.4], [0.5], [0.6]])
    assert narrow.within((0, 1)) == narrow == interval_over_seeds({0: 0.4, 1: 0.5, 2: 0.6})


def test_pointwise_intervals_are_students_of_each_column() -> None:
    scores = np.array([[1.0, 5.0, np.nan], [2.0, 5.0, 1.0], [3.0, 5.0, 1.0]])
    half = 4.302653 / 3**0.5  # t(.975, 2) sd / sqrt(N)
    found = pointwise_intervals(scores)
    np.testing.assert_allclose(found, [[2 - half, 2 + half], [5, 5], [np.nan, np.nan]], atol=1e-5)
    np.testing.assert_allclose(found[0], t_interval(scores[:, :1]).ends, rtol=1e-12)
