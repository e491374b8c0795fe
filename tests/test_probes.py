"""Known answers of linear probes: chance, planted accuracy, control tasks, leaks between steps, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from analysis.instruments import held_out
from analysis.instruments.control_task import control_labels, state_ids
from analysis.instruments.probe_growth import accuracy_by_groups
from analysis.instruments.probe_input import drop_constant, refuse_few_states
from analysis.instruments.probes import ProbeSettings, linear_probe
from envs.errors import UserError

QUICK = ProbeSettings(num_folds=3, penalties=(0.1, 1.0))


def episodes(num_episodes: int, length: int) -> np.ndarray:
    return np.repeat(np.arange(num_episodes), length)


def planted(mean: float, *, num_rows: int, num_features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes whose first coordinate has means ±mean and variance 1; the others are noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=num_rows)
    features = rng.normal(size=(num_rows, num_features))
    features[:, 0] += mean * (2 * labels - 1)
    return features, labels


def test_noise_is_read_at_chance_with_no_selectivity() -> None:
    rng = np.random.default_rng(0)
    groups = episodes(400, 10)
    settings = ProbeSettings(penalties=(0.1, 1.0))
    result = linear_probe(rng.normal(size=(4000, 8)), rng.integers(2, size=4000), groups, seed=1, settings=settings)
    assert abs(result.accuracy - 0.5) < 3 * np.sqrt(0.25 / 400)
    assert abs(result.selectivity) < 0.05
    assert abs(result.auroc - 0.5) < 0.05
    assert result.interval[0] < 0.5 < result.interval[1]
    assert (result.chance, result.num_groups, result.num_classes) == (0.5, 400, 2)


@pytest.mark.parametrize("mean", [0.5, 1.0])
def test_planted_mean_is_read_with_probability_phi(mean: float) -> None:
    features, labels = planted(mean, num_rows=20_000, num_features=4, seed=2)
    result = linear_probe(features, labels, episodes(2000, 10), seed=0, settings=ProbeSettings(penalties=(1.0,)))
    assert result.accuracy == pytest.approx(norm.cdf(mean), abs=0.01)
    assert result.auroc == pytest.approx(norm.cdf(mean * np.sqrt(2)), abs=0.01)
    assert result.interval[0] < norm.cdf(mean) < result.interval[1]
    assert result.selectivity == pytest.approx(norm.cdf(mean) - 0.5, abs=0.02)


def test_three_planted_coordinates_add_up() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(2, size=20_000)
    features = rng.normal(size=(20_000, 3)) + np.outer(2 * labels - 1, [1.5, 1.0, 0.6])
    result = linear_probe(features, labels, episodes(2000, 10), seed=0, settings=ProbeSettings(penalties=(1.0,)))
    assert result.accuracy == pytest.approx(0.9713, abs=0.01)


def test_one_hot_states_have_no_selectivity_and_are_flagged() -> None:
    rng = np.random.default_rng(4)
    num_states = 40
    state = rng.integers(num_states, size=3000)
    truth = rng.permutation(np.arange(num_states) % 2)
    arguments = (np.eye(num_states)[state], truth[state], episodes(300, 10))
    with pytest.raises(UserError, match="40 distinct states for 40 features"):
        linear_probe(*arguments, seed=0, states=state)
    blind = ProbeSettings(states_per_dimension=0.0, penalties=(10.0,))
    result = linear_probe(*arguments, seed=0, states=state, settings=blind)
    assert result.accuracy == 1.0
    assert result.control_accuracy == 1.0
    assert result.selectivity == 0.0
    assert result.control_coverage == 1.0
    assert any("no selectivity" in flag for flag in result.flags)
    assert any("fewer than 4(d + 1)" in flag for flag in result.flags)


def leaky_episodes(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """100 episodes of 50 steps; one random label and one offset per episode: a step-level split leaks the episode."""
    rng = np.random.default_rng(seed)
    groups = episodes(100, 50)
    offsets, labels = rng.normal(size=(100, 32)), rng.permutation(np.arange(100) % 2)
    return offsets[groups] + 0.3 * rng.normal(size=(5000, 32)), labels[groups], groups


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model",
    [KNeighborsClassifier(5), MLPClassifier((64,), learning_rate_init=0.01, max_iter=20, random_state=0)],
    ids=["kNN", "MLP"],
)
def test_held_out_episodes_close_the_leak_that_held_out_steps_leave_open(model: object) -> None:
    features, labels, groups = leaky_episodes(5)
    stream = np.random.default_rng(0)

    def fit(h: np.ndarray, z: np.ndarray, _: np.ndarray) -> object:
        return model.fit(h, z)

    accuracy = {}
    for name, units in (("steps", np.arange(len(labels))), ("episodes", groups)):
        folds = held_out.group_folds(labels, units, num_folds=3, stream=stream)
        found = held_out.held_out_predictions(features, labels, units, folds=folds, fit=fit)
        accuracy[name] = held_out.balanced_accuracy(labels, found.predicted)
    assert accuracy["steps"] > 0.99
    assert abs(accuracy["episodes"] - 0.5) < 3 * np.sqrt(0.25 / 100)


def test_linear_probe_of_random_episode_labels_reads_chance() -> None:
    features, labels, groups = leaky_episodes(6)
    result = linear_probe(features, labels, groups, seed=0, settings=ProbeSettings(penalties=(0.01, 1.0)))
    assert abs(result.accuracy - 0.5) < 3 * np.sqrt(0.25 / 100)
    assert result.interval[0] < 0.5 < result.interval[1]


def test_the_confusion_of_a_probe_holds_its_accuracy() -> None:
    stream = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2, 2], 150)[stream.permutation(600)]
    h = stream.normal(size=(600, 2)) + 4.0 * np.eye(3, 2)[labels] * (labels < 2)[:, None]
    found = linear_probe(h, labels, np.arange(600) // 5, seed=0, settings=QUICK)
    confusion = np.array(found.confusion)
    np.testing.assert_allclose(confusion.sum(axis=1), 1.0)
    assert np.diag(confusion).mean() == pytest.approx(found.accuracy)
    assert np.diag(confusion).min() > 0.9 > np.triu(confusion, 1).max() + 0.8


def test_accuracy_grows_with_the_episodes_fitted_on_and_stays_at_chance_in_noise() -> None:
    stream = np.random.default_rng(4)
    labels, episodes = stream.integers(2, size=2000), np.arange(2000) // 10
    noise = stream.normal(size=(2000, 60))
    planted = noise + np.eye(60)[0] * (2.0 * labels - 1.0)[:, None]
    grown, flat = (accuracy_by_groups(h, labels, episodes, seed=0) for h in (planted, noise))
    assert list(grown) == [20, 40, 80, 160]
    few, *_, many = grown.values()
    assert many > few + 0.03 and many == pytest.approx(0.84, abs=0.06)
    assert all(abs(accuracy - 0.5) < 3.0 * np.sqrt(0.25 / 400) for accuracy in flat.values())


def test_imbalance_is_worth_nothing_and_costs_nothing() -> None:
    rng = np.random.default_rng(7)
    labels = (rng.random(4000) < 0.1).astype(int)
    noise = rng.normal(size=(4000, 3))
    result = linear_probe(noise, labels, episodes(400, 10), seed=0, settings=QUICK)
    assert abs(result.accuracy - 0.5) < 0.1
    noise[:, 0] += 0.8 * (2 * labels - 1)
    result = linear_probe(noise, labels, episodes(400, 10), seed=0, settings=QUICK)
    assert result.accuracy == pytest.approx(norm.cdf(0.8), abs=0.05)


def test_control_of_states_that_never_recur_is_flagged() -> None:
    features, labels = planted(1.0, num_rows=1000, num_features=3, seed=8)
    result = linear_probe(features, labels, episodes(100, 10), seed=0, settings=QUICK)
    assert result.control_coverage == 0.0
    assert any("could not be memorised" in flag for flag in result.flags)


def test_uniform_weighting_counts_each_state_once() -> None:
    # State 0 is seen 90 times and always read wrong, states 1..9 once each and read right.
    labels = np.array([0] * 99)
    predicted = np.array([1] * 90 + [0] * 9)
    ids = np.array([0] * 90 + list(range(1, 10)))
    assert held_out.balanced_accuracy(labels, predicted) == pytest.approx(9 / 99)
    weights = held_out.uniform_over_states(ids)
    assert held_out.balanced_accuracy(labels, predicted, weights=weights) == pytest.approx(0.9)


def test_more_classes_have_a_lower_chance_and_the_same_blind_auroc() -> None:
    rng = np.random.default_rng(9)
    labels = rng.integers(4, size=2000)
    noise = rng.normal(size=(2000, 4))
    found, blind = (
        linear_probe(features, labels + 10, episodes(200, 10), seed=0, settings=QUICK)
        for features in (np.eye(4)[labels] + 0.3 * noise, noise)
    )
    assert (found.chance, found.num_classes) == (0.25, 4)
    assert found.accuracy > 0.9
    assert found.auroc > 0.98
    assert blind.auroc == pytest.approx(0.5, abs=0.04)
    assert blind.accuracy == pytest.approx(0.25, abs=0.04)


def test_auroc_is_scikit_learns_macro_mean() -> None:
    rng = np.random.default_rng(12)
    labels, probability = np.arange(90) % 3, rng.dirichlet(np.ones(3), size=90)
    given = held_out.HeldOut(probability.argmax(axis=1), probability)
    expected = roc_auc_score(labels, probability, multi_class="ovr")
    assert held_out.mean_auroc(labels, given, np.zeros(90, int)) == pytest.approx(expected)


def separable_share(num_points: int, dimension: int) -> float:
    """Cover's (1965) share of the labelings of points in general position that a homogeneous readout can fit."""
    return 2 * sum(math.comb(num_points - 1, k) for k in range(dimension)) / 2**num_points


def test_few_distinct_states_let_a_readout_fit_any_labels() -> None:
    """Known answers in d = 10, against a linear programme per labeling; and where the refusal stands on that curve."""
    rng, num_draws = np.random.default_rng(13), 80
    for num_points, expected in ((10, 1.0), (15, 0.910), (20, 0.5), (30, 0.031)):
        share = separable_share(num_points, 10)
        assert share == pytest.approx(expected, abs=0.0005)
        signed = rng.normal(size=(num_draws, num_points, 10)) * rng.choice([-1, 1], size=(num_draws, num_points, 1))
        fitted = [
            linprog(np.zeros(10), -rows, -np.ones(num_points), bounds=(None, None)).status == 0 for rows in signed
        ]
        assert np.mean(fitted) == pytest.approx(share, abs=3 * np.sqrt(share * (1 - share) / num_draws) + 1e-9)
    for num_features in (2, 10, 100):
        dimension = num_features + 1  # the intercept
        assert separable_share(dimension, dimension) == 1.0
        assert separable_share(4 * dimension, dimension) < 0.035
        refuse_few_states(4 * dimension, num_features, states_per_dimension=4)
        with pytest.raises(UserError, match=f"at least {4 * dimension} distinct states"):
            refuse_few_states(4 * dimension - 1, num_features, states_per_dimension=4)


def test_the_harness_reads_chance_where_a_split_by_steps_reads_everything() -> None:
    """One random label per episode, and features that name the episode: held out by step they are looked up."""
    rng, groups = np.random.default_rng(14), episodes(60, 20)
    labels = rng.permutation(np.arange(60) % 2)[groups]
    codes = np.eye(60)[groups] + 0.02 * rng.normal(size=(1200, 60))
    by_step, by_episode = (
        linear_probe(codes, labels, units, seed=0, settings=ProbeSettings(num_folds=3, penalties=(1.0,)))
        for units in (np.arange(1200), groups)
    )
    assert by_step.accuracy > 0.99
    assert abs(by_episode.accuracy - 0.5) < 3 * np.sqrt(0.25 / 60)


def test_same_seed_same_result_and_another_seed_another_control() -> None:
    features, labels = planted(0.5, num_rows=600, num_features=3, seed=10)
    first, again, other = (linear_probe(features, labels, episodes(60, 10), seed=s, settings=QUICK) for s in (3, 3, 4))
    assert first == again
    assert first.control_accuracy != other.control_accuracy
    np.random.seed(0)  # noqa: NPY002 (the global generator must not matter)
    assert linear_probe(features, labels, episodes(60, 10), seed=3, settings=QUICK) == first


def test_intervals_say_what_they_vary_over() -> None:
    features, labels = planted(0.5, num_rows=600, num_features=3, seed=10)
    meaning = linear_probe(features, labels, episodes(60, 10), seed=3, settings=QUICK).interval_meaning
    assert "bootstrap over the held-out groups of one trained network" in meaning
    assert "not an interval over training seeds" in meaning


def test_interval_over_groups_is_wider_than_over_steps() -> None:
    """Labels that are right or wrong for whole episodes carry the evidence of episodes, not of steps."""
    rng = np.random.default_rng(11)
    groups = episodes(40, 50)
    labels = (np.arange(40) % 2)[groups]
    predicted = np.where(rng.random(40)[groups] < 0.7, labels, 1 - labels)
    widths = {}
    for name, units in (("episodes", groups), ("steps", np.arange(2000))):
        draws = held_out.resampled_groups(units.max() + 1, 500, stream=rng)
        widths[name] = np.ptp(
            np.quantile(held_out.resampled_accuracy(labels, predicted, units, draws=draws), [0.025, 0.975])
        )
    assert widths["episodes"] > 4 * widths["steps"]


REFUSALS = {
    "one class": ({"labels": np.zeros(200, int)}, "one class only"),
    "lengths": ({"labels": np.zeros(199, int)}, r"labels have shape \(199,\)"),
    "float groups": ({"groups": np.zeros(200)}, "groups have dtype float64"),
    "few groups": ({"groups": episodes(4, 50)}, "5 folds over 4 groups"),
    "class in few groups": ({"labels": (episodes(20, 10) == 3).astype(int)}, "class 1 occurs in 1 groups"),
    "flat features": ({"features": np.zeros(200)}, r"shape \(200,\)"),
    "no rows": ({"features": np.zeros((0, 2))}, r"shape \(0, 2\)"),
    "states": ({"states": np.zeros(3, int)}, "states have shape"),
    "few states": ({"states": np.arange(200) % 11}, "at least 12 distinct states"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_name_the_value_seen(name: str) -> None:
    rng = np.random.default_rng(0)
    arguments = {"features": rng.normal(size=(200, 2)), "labels": np.arange(200) % 2, "groups": episodes(20, 10)}
    changed, message = REFUSALS[name]
    with pytest.raises(UserError, match=message):
        linear_probe(**(arguments | changed), seed=0)


def test_refuses_values_that_are_not_finite_and_columns_that_never_change() -> None:
    features, labels = planted(1.0, num_rows=200, num_features=3, seed=0)
    for value in (np.nan, np.inf):
        broken = features.copy()
        broken[7, 2] = value
        with pytest.raises(UserError, match=rf"first {value} in row 7, column 2"):
            linear_probe(broken, labels, episodes(20, 10), seed=0)
    constant = np.hstack([features, np.ones((200, 1))])
    with pytest.raises(UserError, match="1 of 4 features are constant .*column 3"):
        linear_probe(constant, labels, episodes(20, 10), seed=0)
    kept, num_dropped = drop_constant(constant)
    assert num_dropped == 1
    np.testing.assert_array_equal(kept, features)


def test_control_labels_are_a_function_of_the_state_with_the_frequencies_of_the_task() -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice(3, p=[0.6, 0.3, 0.1], size=30_000)
    types = rng.integers(6000, size=30_000)
    control = control_labels(types, labels, stream=np.random.default_rng(0))
    pairs = np.unique(np.stack([types, control]), axis=1)
    assert pairs.shape[1] == len(np.unique(types))
    assert np.allclose(np.bincount(control) / 30_000, [0.6, 0.3, 0.1], atol=0.02)
    assert abs(np.corrcoef(control, labels)[0, 1]) < 0.02


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=30), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_state_ids_agree_exactly_where_rows_agree_and_do_not_depend_on_the_sample(values: list[int], shuffle) -> None:
    rows = np.array(values)[:, None] * np.ones((1, 3))
    ids = state_ids(rows, num_rows=len(rows))
    assert ((ids[:, None] == ids[None, :]) == (rows[:, :1] == rows[:, 0])).all()
    order = list(range(len(rows)))
    shuffle.shuffle(order)
    np.testing.assert_array_equal(state_ids(rows[order], num_rows=len(rows)), ids[order])
    assert state_ids(rows[:1], num_rows=1)[0] == ids[0]


@given(st.integers(2, 6), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_folds_hold_out_whole_groups_and_every_row_once(num_folds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(12, size=120)
    labels = rng.integers(2, size=120)
    folds = held_out.group_folds(labels, groups, num_folds=num_folds, stream=rng)
    assert set(folds) == set(range(num_folds))
    assert all(len(set(folds[groups == g])) == 1 for g in groups)


def test_folds_are_balanced_where_labels_are_constant_within_groups() -> None:
    groups = episodes(100, 7)
    labels = np.random.default_rng(0).permutation(np.arange(100) < 20).astype(int)[groups]
    folds = held_out.group_folds(labels, groups, num_folds=5, stream=np.random.default_rng(0))
    assert all((labels[folds == fold].sum(), (folds == fold).sum()) == (4 * 7, 20 * 7) for fold in range(5))


@pytest.mark.slow
def test_intervals_cover_chance_under_noise() -> None:
    """Without the widening for shared training groups the coverage is .82."""
    quick = ProbeSettings(penalties=(1.0,), num_resamples=500)
    covered = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = rng.integers(2, size=1000)
        result = linear_probe(rng.normal(size=(1000, 4)), labels, episodes(100, 10), seed=seed, settings=quick)
        covered.append(result.interval[0] <= 0.5 <= result.interval[1])
    assert 0.95 - 3 * np.sqrt(0.05 * 0.95 / 200) < np.mean(covered)
