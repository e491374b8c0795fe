"""Known answers of tails: exponents, laws, tests of shape, indices, sums of contributions, atoms, the pooled trap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.instruments import tail_plants
from analysis.instruments.contribution_sum import contribution_sum
from analysis.instruments.shape_laws import FITS, fit_gennorm, fit_laplace, fit_logistic, fit_normal, fit_t
from analysis.instruments.shape_tests import anderson_darling, normal_p_value, vuong
from analysis.instruments.tail_index import hill, log_survival, ranks_of
from analysis.instruments.tails import UnitShape, discoveries, tails, unit_shapes
from analysis.instruments.unit_betas import TailSettings, unit_betas
from analysis.instruments.unit_distances import unit_distances
from envs.errors import UserError

MANY = 20_000
LAWS = {
    "normal": lambda g, size: g.normal(size=size),
    "laplace": lambda g, size: g.laplace(size=size),
    "logistic": lambda g, size: g.logistic(size=size),
    "t5": lambda g, size: g.standard_t(5, size),
    "t3": lambda g, size: g.standard_t(3, size),
}


def generator(*names: int) -> np.random.Generator:
    return np.random.default_rng([7, *names])


def distances(values: np.ndarray) -> np.ndarray:
    return np.abs(values - np.median(values))


def sample(law: str, size: int = MANY) -> np.ndarray:
    return LAWS[law](generator(list(LAWS).index(law)), size)


def episodes(num_episodes: int, length: int) -> np.ndarray:
    return np.repeat(np.arange(num_episodes), length)


def betas(shapes: tuple[UnitShape, ...]) -> np.ndarray:
    return np.array([shape.beta for shape in shapes])


# --- laws and exponents -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "beta"), [("normal", 2.03), ("laplace", 0.995), ("logistic", 1.44), ("t5", 1.27), ("t3", 0.94)]
)
def test_fitted_exponents_of_known_laws(law: str, beta: float) -> None:
    """The standard error at 20,000 values is about .016 beta."""
    assert fit_gennorm(distances(sample(law))).shape == pytest.approx(beta, rel=0.05)


def test_exponents_come_in_the_order_of_the_tails() -> None:
    fitted = [fit_gennorm(distances(sample(law))).shape for law in ("t3", "laplace", "t5", "logistic", "normal")]
    assert fitted == sorted(fitted)
    assert fitted[-1] > fitted[1] + 0.9


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_fits_agree_with_scipy(law: str, scale: float) -> None:
    values = scale * sample(law, 300)
    centre = float(np.median(values))
    r = np.abs(values - centre)
    for fit, reference in ((fit_normal, stats.norm), (fit_laplace, stats.laplace), (fit_logistic, stats.logistic)):
        expected = reference.fit(values, floc=centre)
        assert fit(r).scale == pytest.approx(expected[-1], rel=1e-6)
        assert fit(r).log_density == pytest.approx(reference.logpdf(values, *expected), rel=1e-5, abs=1e-5)
    for fit, reference in ((fit_gennorm, stats.gennorm), (fit_t, stats.t)):
        own, expected = fit(r), reference.fit(values / scale, floc=centre / scale)
        rival = reference.logpdf(values / scale, *expected).sum() - len(values) * np.log(scale)
        assert own.log_likelihood >= rival - 1e-5
        assert own.log_density == pytest.approx(
            reference.logpdf(values, own.shape, loc=centre, scale=own.scale), rel=1e-9, abs=1e-9
        )
        if expected[0] < 100:  # a t of so many degrees is normal, and they are not determined
            assert own.shape == pytest.approx(expected[0], rel=1e-3)


def test_aic_names_the_law_and_cannot_tell_logistic_from_t() -> None:
    for law, best in (("normal", "normal"), ("laplace", "laplace"), ("t3", "t")):
        fits = {name: fit(distances(sample(law))) for name, fit in FITS.items()}
        assert min(fits, key=lambda name: fits[name].aic) == best
    logistic = {name: fit(distances(sample("logistic"))) for name, fit in FITS.items()}
    assert logistic["t"].shape == pytest.approx(7.3, abs=1.0)
    assert abs(logistic["t"].aic - logistic["logistic"].aic) < 30 < logistic["normal"].aic - logistic["logistic"].aic
    assert abs(vuong(logistic["t"], logistic["logistic"]).z) < 3


# --- tests of shape ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("law", "gap"), [("laplace", 0.5 * np.log(np.pi) - 0.5), ("normal", -0.04842)])
def test_expected_gap_between_laplace_and_normal(law: str, gap: float) -> None:
    r = distances(sample(law))
    found = vuong(fit_laplace(r), fit_normal(r))
    assert found.gap == pytest.approx(gap, abs=3 * abs(found.gap / found.z))
    assert found.gap == pytest.approx(gap, abs=0.012)


@pytest.mark.parametrize(
    ("size", "laplace", "normal"), [(50, 0.17, 0.27), (100, 0.34, 0.50), (200, 0.57, 0.71), (500, 0.94, 0.98)]
)
def test_power_of_vuongs_test(size: int, laplace: float, normal: float) -> None:
    """Shares of 1,000 samples in which the right law wins with |z| > 1.96."""
    for law, power, sign in (("laplace", laplace, 1), ("normal", normal, -1)):
        draws = (distances(values) for values in LAWS[law](generator(size), (1000, size)))
        found = np.mean([sign * vuong(fit_laplace(r), fit_normal(r)).z > 1.96 for r in draws])
        assert found == pytest.approx(power, abs=0.08)


def test_likelihood_ratio_test_has_its_size_and_power() -> None:
    def rejected(law: str) -> float:
        draws = (distances(values) for values in LAWS[law](generator(1), (600, 300)))
        return float(np.mean([normal_p_value(fit_normal(r), fit_gennorm(r)) < 0.05 for r in draws]))

    assert rejected("normal") == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 600))
    assert rejected("laplace") > 0.95


def test_anderson_darling_agrees_with_scipy_and_statsmodels() -> None:
    from statsmodels.stats.diagnostic import normal_ad

    for law in LAWS:
        for size in (20, 100, 300):
            values = LAWS[law](generator(size), size)
            statistic, p_value = anderson_darling(values)
            reference = stats.anderson(values, "norm", method="interpolate")
            assert statistic == pytest.approx(reference.statistic, rel=1e-8)
            assert p_value == pytest.approx(normal_ad(values)[1], rel=1e-8)
            if 0.011 < reference.pvalue < 0.149:  # scipy interpolates a table that ends at both
                assert p_value == pytest.approx(reference.pvalue, rel=0.15)


def test_anderson_darling_has_its_critical_values() -> None:
    """Size at the nominal levels; the table gives .561, .631, .752, .873, 1.035 for 15, 10, 5, 2.5, 1 %."""
    found = np.array([anderson_darling(values) for values in generator(2).normal(size=(4000, 200))])
    for point, level in zip((0.561, 0.631, 0.752, 0.873, 1.035), (0.15, 0.10, 0.05, 0.025, 0.01), strict=True):
        noise = 3 * np.sqrt(level * (1 - level) / 4000)
        assert np.mean(found[:, 0] > point) == pytest.approx(level, abs=noise + 0.1 * level)
        assert np.mean(found[:, 1] < level) == pytest.approx(level, abs=noise + 0.1 * level)


# --- tail index -------------------------------------------------------------------------------------------------------


def test_hill_finds_a_power_law_and_drifts_on_others() -> None:
    ranks = np.array([50, 200, 1000, 4000])
    pareto = hill(generator(3).pareto(3, MANY) + 1, ranks)
    assert pareto.index[2] == pytest.approx(3, abs=3 * 3 / np.sqrt(1000))
    assert not pareto.drifts
    for law, expected in (("laplace", (7.2, 6.1, 3.9, 2.4)), ("normal", (12.9, 9.2, 5.8, 3.4))):
        found = hill(distances(sample(law)), ranks)
        assert found.drifts
        assert (np.diff(found.index) < 0).all()
        assert np.all(np.abs(found.index - expected) < 3 * np.array(expected) / np.sqrt(ranks))
        assert found.index[0] > pareto.index[0] + 2


def test_hill_is_the_maximum_likelihood_exponent_above_its_threshold() -> None:
    r = generator(4).pareto(2, 500) + 1
    found, ordered = hill(r, np.array([100])), np.sort(r)[::-1]
    assert found.index[0] == pytest.approx(stats.pareto.fit(ordered[:100], floc=0, fscale=ordered[100])[0], rel=1e-6)
    with pytest.raises(UserError, match="ranks 10 to 500 of 500"):
        hill(r, np.array([10, 500]))


def test_log_survival_is_a_line_in_r_for_laplace_and_in_its_square_for_normal() -> None:
    laplace, normal = (log_survival(distances(sample(law))) for law in ("laplace", "normal"))
    assert (laplace.linear, laplace.square) == pytest.approx((0.999, 0.985), abs=0.01)
    assert (normal.linear, normal.square) == pytest.approx((0.993, 0.999), abs=0.01)
    assert laplace.linear > laplace.square + 0.004
    assert normal.square > normal.linear + 0.002


def test_log_survival_takes_a_lattice_without_jitter() -> None:
    lattice = log_survival(np.round(distances(sample("laplace")), 1))
    assert lattice.linear > 0.99 > lattice.square + 0.004


# --- sums of contributions --------------------------------------------------------------------------------------------


def sums(plant, num_units: int = 100, **changes):
    values = plant(MANY, num_units, stream=generator(30))
    return contribution_sum(
        values, episodes(500, 40), stream=generator(6), num_resamples=100, num_shuffles=1, **changes
    )


def test_many_small_independent_contributions_and_their_nulls() -> None:
    """Known answers for 100 independent Laplace units and for 100 copies of one."""
    many, copies, large = (
        sums(plant) for plant in (tail_plants.many_small_independent, tail_plants.copies_of_one, tail_plants.one_large)
    )
    assert many.n_eff == pytest.approx(99.97, abs=0.15)
    assert many.ratio == pytest.approx(1.0, abs=3 * np.sqrt(2 / MANY))
    assert np.ptp(many.ratio_interval) == pytest.approx(2 * 1.96 * np.sqrt(2 / MANY), rel=0.35)
    assert many.n_eff_interval[0] < many.n_eff < many.n_eff_interval[1]
    assert many.top_shares == pytest.approx((0.01, 0.05, 0.10), rel=0.1)
    assert copies.ratio == pytest.approx(100.0)
    assert copies.n_eff == pytest.approx(100.0)
    assert copies.ratio_shuffled[0] == pytest.approx(1.0, abs=0.05)
    assert large.top_shares[0] == pytest.approx(0.99, abs=0.002)
    assert large.n_eff == pytest.approx(1.02, abs=0.02)
    assert large.ratio == pytest.approx(1.0, abs=0.01)
    assert copies.ratio > many.ratio + 50
    assert many.n_eff > large.n_eff + 50


@pytest.mark.parametrize(("num_units", "kurtosis"), [(10, 0.3), (100, 0.03)])
def test_kurtosis_of_a_sum_is_the_mean_over_n_eff(num_units: int, kurtosis: float) -> None:
    found = sums(tail_plants.many_small_independent, num_units)
    assert found.mean_kurtosis == pytest.approx(3.0, abs=0.5)
    assert found.kurtosis_independent == pytest.approx(kurtosis, rel=0.2)
    assert found.kurtosis == pytest.approx(kurtosis, abs=3 * np.sqrt(24 / MANY) * (1 + 1.8 * kurtosis))
    assert found.kurtosis_interval[0] < found.kurtosis < found.kurtosis_interval[1]


def test_contributions_that_cancel_have_a_ratio_below_one() -> None:
    one = generator(8).normal(size=(4000, 1))
    found = contribution_sum(
        np.hstack([one, 0.1 * generator(9).normal(size=(4000, 1)) - one, np.zeros((4000, 1))]),
        np.arange(4000),
        stream=generator(6),
    )
    assert found.ratio == pytest.approx(0.005, abs=0.001)
    assert (found.num_contributions, found.num_silent) == (2, 1)


def test_measures_equal_their_formulas() -> None:
    values = generator(10).normal(size=(300, 7)) * np.arange(1, 8) + 5.0
    found = contribution_sum(values, np.arange(300), stream=generator(6))
    variances = values.var(axis=0)
    assert found.n_eff == pytest.approx(variances.sum() ** 2 / (variances**2).sum())
    assert found.ratio == pytest.approx(values.sum(axis=1).var() / variances.sum())
    assert found.kurtosis == pytest.approx(stats.kurtosis(values.sum(axis=1)))
    assert found.kurtosis_independent == pytest.approx(
        (variances**2 * stats.kurtosis(values)).sum() / variances.sum() ** 2
    )


# --- units ------------------------------------------------------------------------------------------------------------


def test_units_are_read_one_by_one_because_pooled_ones_fake_heavy_tails() -> None:
    """The trap: normal units of different scale look like Laplace's law, and like t, if pooled; by unit they do not."""
    rng = generator(11)
    half = np.concatenate([rng.normal(size=MANY), 3 * rng.normal(size=MANY)])
    assert fit_gennorm(distances(half)).shape == pytest.approx(1.03, abs=0.05)
    assert stats.kurtosis(half) == pytest.approx(1.92, abs=0.15)
    units = tail_plants.normal_of_many_scales(500, 200, stream=rng)
    pooled = {name: fit(distances(units.ravel())) for name, fit in FITS.items()}
    assert pooled["normal"].aic > max(pooled[name].aic for name in ("laplace", "t", "gennorm")) + 1000
    assert pooled["t"].shape == pytest.approx(2.2, abs=0.5)
    shapes = unit_shapes(units[:, :40], np.arange(500), seed=0)
    assert np.median(betas(shapes)) == pytest.approx(2.0, abs=0.1)
    assert np.mean(discoveries([shapes])) < 0.05
    assert np.mean([abs(shape.kurtosis) < 1 for shape in shapes]) > 0.95
    with pytest.raises(UserError, match="pooled units"):
        unit_shapes(units.ravel(), np.arange(units.size), seed=0)


def test_planted_laplace_units_are_found_and_planted_normal_ones_are_not() -> None:
    groups = episodes(400, 5)
    heavy = unit_shapes(tail_plants.many_small_independent(2000, 40, stream=generator(12)), groups, seed=0)
    light = unit_shapes(generator(13).normal(size=(2000, 40)), groups, seed=0)
    found = discoveries([heavy, light])
    assert np.mean(found[0]) == 1.0
    assert np.mean(found[1]) <= 0.1
    assert betas(light).min() > betas(heavy).max() + 0.3
    assert np.mean(["laplace" in shape.best_laws for shape in heavy]) > 0.8
    assert np.mean(["normal" in shape.best_laws for shape in light]) > 0.8
    assert np.mean([shape.laplace_over_normal for shape in heavy]) > 2
    assert np.mean([shape.laplace_over_normal for shape in light]) < -2


@pytest.mark.parametrize("law", ["normal", "laplace"])
def test_intervals_cover_the_exponent_though_rows_of_an_episode_agree(law: str) -> None:
    """Values that are constant within an episode, but for a trace: as much evidence as there are episodes."""
    groups, truth = episodes(200, 6), {"normal": 2.0, "laplace": 1.0}[law]
    units = LAWS[law](generator(14), (200, 60))[groups] + 0.01 * generator(15).normal(size=(1200, 60))
    quick = TailSettings(num_resamples=200)
    clustered = unit_shapes(units, groups, seed=0, settings=quick)
    as_rows = unit_shapes(units[:, :20], np.arange(1200), seed=0, settings=quick)

    def covered(shapes: tuple[UnitShape, ...]) -> float:
        return float(np.mean([shape.beta_interval[0] < truth < shape.beta_interval[1] for shape in shapes]))

    assert covered(clustered) == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / 60))
    assert covered(as_rows) < 0.75
    if law == "normal":
        assert np.mean([shape.p_normal < 0.05 for shape in clustered]) < 0.12
        assert np.mean([shape.p_normal < 0.05 for shape in as_rows]) > 0.3


def test_resampled_exponents_equal_fits_of_resamples() -> None:
    """The bootstrap adds up powers by group; fitting each resample's rows by themselves must give the same numbers."""
    from analysis.instruments.held_out import resampled_groups
    from analysis.instruments.shape_bootstrap import resampled_betas

    rng = generator(16)
    r, starts = np.abs(rng.laplace(size=600)), np.arange(0, 600, 4)
    draws = resampled_groups(150, 20, stream=rng)
    fast = resampled_betas(r, starts, beta=fit_gennorm(r).shape, draws=draws)
    plain = [
        fit_gennorm(np.concatenate([np.tile(r[4 * g : 4 * g + 4], k) for g, k in enumerate(row)])) for row in draws
    ]
    assert fast == pytest.approx([fit.shape for fit in plain], rel=1e-3)


def test_the_likelihood_ratio_test_keeps_its_size_on_rectified_units_of_correlated_rows() -> None:
    """Drawing a row among those that are not 0 would take small values too often, and reject half of these units."""
    groups = episodes(400, 6)
    units = 0.9 * generator(27).normal(size=(400, 80))[groups] + 0.436 * generator(28).normal(size=(2400, 80))
    shapes = unit_shapes(np.maximum(units, 0), groups, seed=0, settings=TailSettings(num_resamples=2))
    assert np.mean([shape.p_normal < 0.05 for shape in shapes]) < 0.13  # 3 standard errors
    assert np.mean([shape.num_independent for shape in shapes]) == pytest.approx(200, abs=10)


# --- atoms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("mean", "beta"), [(1.5, 2.0), (0.5, 2.0), (0.0, 2.0), (-0.5, 1.65), (-1.0, 1.44), (-2.0, 1.22)]
)
def test_the_zeros_of_a_rectified_unit_are_an_atom(sign: int, mean: float, beta: float) -> None:
    values = sign * np.maximum(mean + generator(17).normal(size=(40_000, 1)), 0)
    (shape,) = unit_shapes(values, np.arange(40_000), seed=0, settings=TailSettings(num_resamples=2))
    assert shape.beta == pytest.approx(beta, abs=3 * 2.25 * beta / np.sqrt(shape.num_distances))
    assert (shape.atoms, shape.is_one_sided) == ((0.0,), True)
    assert shape.atom_share == pytest.approx(stats.norm.cdf(-mean), abs=0.01)
    assert np.isnan(shape.p_anderson)


def test_an_atom_that_is_not_left_out_passes_for_a_heavy_tail() -> None:
    values = generator(18).normal(size=(5000, 1)) * (generator(19).random((5000, 1)) < 0.5)
    groups, loose = np.arange(5000), TailSettings(atom_share=0.9)
    (kept,), (left_out,) = (unit_shapes(values, groups, seed=0, settings=s) for s in (loose, TailSettings()))
    assert kept.beta < 0.7 < 1.8 < left_out.beta < 2.2
    assert (left_out.is_one_sided, left_out.atom_share) == (False, pytest.approx(0.5, abs=0.03))


def test_both_ends_of_a_clipped_unit_are_atoms() -> None:
    read = unit_distances(np.clip(2 * generator(20).normal(size=3000), -1, 1), atom_share=0.02)
    assert (read.atoms, read.is_one_sided) == ((-1.0, 1.0), False)
    assert len(read.values) == pytest.approx(3000 * 0.383, abs=90)


def test_units_with_too_few_values_are_counted_and_not_read() -> None:
    rng = generator(21)
    values = np.stack(
        [rng.normal(size=2000), np.maximum(rng.normal(size=2000) - 3, 0), np.zeros(2000), rng.integers(9, size=2000)],
        axis=1,
    )
    found = tails(values, episodes(200, 10), seed=0)
    assert [shape.unit for shape in found.units] == [0]
    assert found.num_unread == 3
    assert found.sums.num_silent == 1


# --- reports, refusals ------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_report_and_order_of_rows_and_names_of_groups_do_not_matter() -> None:
    values, groups = generator(22).laplace(size=(600, 3)), episodes(150, 4)
    first, again = (tails(values, groups, seed=3) for _ in range(2))
    assert repr(first) == repr(again)
    renamed = tails(values, 1000 - groups[::-1][::-1] * -3, seed=3)
    assert repr(renamed) == repr(first)
    order = generator(23).permutation(600)
    mixed = tails(values[order], groups[order], seed=3)
    assert betas(mixed.units) == pytest.approx(betas(first.units), rel=1e-6)
    assert mixed.sums.ratio == pytest.approx(first.sums.ratio)


def test_the_total_of_many_units_is_normal_though_the_units_are_not() -> None:
    found = tails(tail_plants.many_small_independent(2000, 25, stream=generator(24)), np.arange(2000), seed=0)
    assert found.total is not None
    assert found.total.beta == pytest.approx(1.95, abs=0.35)
    assert found.total.beta > betas(found.units).max() + 0.3
    assert np.mean(discoveries([found.units])) == 1.0


@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_shapes_do_not_depend_on_unit_and_origin(scale: float, shift: float, seed: int) -> None:
    values = np.random.default_rng(seed).standard_t(4, (200, 1))
    quick = TailSettings(num_resamples=2)
    (plain,), (moved,) = (
        unit_shapes(v, np.arange(200), seed=0, settings=quick) for v in (values, scale * values + shift)
    )
    assert moved.beta == pytest.approx(plain.beta, rel=1e-3)
    assert moved.kurtosis == pytest.approx(plain.kurtosis, rel=1e-6, abs=1e-6)
    assert moved.p_anderson == pytest.approx(plain.p_anderson, rel=1e-4)
    assert moved.aic == pytest.approx(plain.aic, rel=1e-3, abs=1e-3)


def test_discoveries_are_those_of_one_family() -> None:
    """Units at p < .03 are no discovery among 80 normal ones, though a layer of them alone would say so."""
    shapes = unit_shapes(generator(25).normal(size=(200, 80)), np.arange(200), seed=0)
    alone = [shape for shape in shapes if shape.p_normal < 0.03][:3]
    assert alone
    assert discoveries([alone]) == ((True,) * len(alone),)
    assert not any(discoveries([alone, shapes])[0])
    assert discoveries([]) == ()


REFUSALS = {
    "pooled": ({"contributions": np.zeros(300)}, "pooled units of different scale have heavy tails"),
    "nan": (
        {"contributions": np.full((300, 3), np.nan)},
        "900 values that are not finite in contributions, the first nan in row 0, column 0",
    ),
    "lengths": ({"groups": np.arange(299)}, r"groups have shape \(299,\)"),
    "names": ({"groups": np.linspace(0, 1, 300)}, "dtype float64"),
    "few groups": ({"groups": episodes(30, 10)}, "there are 30 groups"),
    "silent": ({"contributions": np.zeros((300, 3))}, "0 of 3 contributions vary"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_name_the_value_seen(name: str) -> None:
    changed, message = REFUSALS[name]
    arguments = {"contributions": generator(26).normal(size=(300, 3)), "groups": np.arange(300)} | changed
    with pytest.raises(UserError, match=message):
        tails(**arguments, seed=0)


def test_ranks_of_a_hill_plot_lie_inside_the_sample() -> None:
    for size in (50, 51, 400, 20_000):
        ranks = ranks_of(size)
        assert 2 <= ranks[0] < ranks[-1] < size
        assert (np.diff(ranks) > 0).all()


def test_planted_exponents_lie_in_the_intervals_of_their_units():
    """Ten units of each law: an interval of 95 % misses one in twenty."""
    rng, groups = np.random.default_rng(3), np.repeat(np.arange(400), 3)
    planted = {1.0: rng.laplace(size=(1200, 10)), 2.0: rng.normal(size=(1200, 10))}
    planted[4.0] = stats.gennorm(4.0).rvs(size=(1200, 10), random_state=rng)
    held = {}
    for beta, values in planted.items():
        found = unit_betas(values, groups, seed=0)
        assert [one.unit for one in found] == list(range(10))
        held[beta] = [one.interval[0] <= beta <= one.interval[1] for one in found]
        assert all(one.interval[0] < one.beta < one.interval[1] for one in found)
    assert all(sum(inside) >= 8 for inside in held.values()), held
