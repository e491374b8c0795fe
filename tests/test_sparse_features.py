"""Known answers of sparse features: planted ones are found, and the comments' controls fool nobody."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from analysis.instruments import sparse_baselines as baselines
from analysis.instruments import sparse_metrics as metrics
from analysis.instruments.sparse_agreement import agreement_of
from analysis.instruments.sparse_autoencoder import AutoencoderSettings
from analysis.instruments.sparse_contexts import context_aurocs, feature_table
from analysis.instruments.sparse_controls import Control, controls, toy_data
from analysis.instruments.sparse_data import Readouts, SparseData, split_by_state, split_data
from analysis.instruments.sparse_features import SparsePlan, sparse_features
from analysis.instruments.sparse_fits import alive_dictionary, fit_autoencoders
from analysis.instruments.sparse_toys import (
    dozen_gaussians,
    isotropic_noise,
    matched_noise,
    planted_features,
    random_points,
    shuffled_coordinates,
)
from analysis.instruments.sparse_training import standard_of, train_autoencoders
from envs.errors import UserError

QUICK = AutoencoderSettings(2, num_steps=60)
# What the reference ran: 4000 steps of 512 rows.
FULL = {"num_steps": 4000, "batch_size": 512, "learning_rate": 1e-3}


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_unexplained_variance_is_one_for_the_mean_zero_for_itself_and_blind_to_an_offset() -> None:
    h, noise = normal(500, 6) * np.arange(1, 7), normal(500, 6, seed=1)
    mean = np.broadcast_to(h.mean(axis=0), h.shape)
    assert metrics.unexplained(h, mean) == pytest.approx(1.0)
    assert metrics.unexplained(h, h) == 0.0
    assert metrics.unexplained(h + 100.0, h + noise + 100.0) == pytest.approx(metrics.unexplained(h, h + noise))
    # Averaging quotients of rows is another number.
    quotients = (noise**2).sum(axis=1) / ((h - mean) ** 2).sum(axis=1)
    assert abs(metrics.unexplained(h, h + noise) - quotients.mean()) > 0.01


def test_unexplained_variance_can_count_each_state_once() -> None:
    h = np.array([[0.0], [0.0], [0.0], [2.0]])
    guess = np.array([[0.0], [0.0], [0.0], [1.0]])
    assert metrics.unexplained(h, guess) == pytest.approx(1.0 / 3.0)
    assert metrics.unexplained(h, guess, weights=np.array([1.0, 1.0, 1.0, 3.0]) / 3.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("num_units", "num_of", "num_among", "cosine"),
    [(2, 16, 16, 0.963), (2, 16, 64, 0.998), (8, 16, 64, 0.741), (32, 12, 64, 0.407), (32, 64, 128, 0.445),
     (64, 128, 512, 0.371), (256, 512, 512, 0.189)],
)  # fmt: skip
def test_random_dictionaries_agree_by_dimension_alone(
    num_units: int, num_of: int, num_among: int, cosine: float
) -> None:
    found = baselines.random_cosine(num_of, num_among, like=num_units, seed=0, num_draws=20)
    assert found == pytest.approx(cosine, abs=0.015)


def test_directions_with_a_covariance_agree_better_where_rows_spread_in_few_directions() -> None:
    flat = normal(2000, 32) * (np.arange(32) < 4)
    uniform, shaped = (baselines.random_cosine(64, 64, like=like, seed=0) for like in (32, flat))
    assert shaped > 0.9 > 0.5 > uniform
    assert baselines.random_cosine(64, 64, like=normal(2000, 32), seed=0) == pytest.approx(uniform, abs=0.02)


def test_cosines_are_signed_and_matching_is_the_best_one() -> None:
    ours, theirs = normal(4, 5), normal(4, 5, seed=1)
    assert metrics.mean_max_cosine(ours, -ours) < 1.0
    assert metrics.mean_max_cosine(ours, np.vstack([theirs, 3.0 * ours])) == pytest.approx(1.0)
    table = metrics.cosines(ours, theirs)
    best = max(np.mean([table[i, j] for i, j in enumerate(order)]) for order in itertools.permutations(range(4)))
    assert metrics.matched_cosine(ours, theirs) == pytest.approx(best)
    assert metrics.matched_cosine(ours[:2], np.vstack([theirs, ours])) == pytest.approx(1.0)
    assert metrics.num_distinct(np.vstack([ours, 1.01 * ours + 1e-3, -ours])) == 8
    with pytest.raises(UserError, match=r"\(0, 5\)"):
        metrics.mean_max_cosine(ours[:0], theirs)
    with pytest.raises(UserError, match="at least two seeds"):
        metrics.cross_seed_cosine([ours])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), num_of=st.integers(1, 9), num_among=st.integers(9, 12))
def test_cosines_do_not_depend_on_the_basis_or_on_order_and_matching_is_the_stricter(
    seed: int, num_of: int, num_among: int
) -> None:
    ours, theirs = normal(num_of, 6, seed=seed), normal(num_among, 6, seed=seed + 1)
    turn = np.linalg.qr(normal(6, 6, seed=seed + 2))[0]
    found = metrics.mean_max_cosine(ours, theirs)
    assert metrics.mean_max_cosine(ours[::-1] @ turn, 2.0 * theirs[::-1] @ turn) == pytest.approx(found)
    assert metrics.matched_cosine(ours, theirs) <= found + 1e-12
    assert metrics.mean_max_cosine(ours, np.vstack([theirs, -theirs])) >= found


def test_recovered_value_is_one_for_itself_zero_for_the_mean_and_known_for_a_lost_half() -> None:
    h = normal(4000, 4) + 3.0
    mean = np.broadcast_to(h.mean(axis=0), h.shape)
    first = np.where(np.arange(4) < 2, h, mean)
    weights = np.array([1.0, 0.0, 2.0, 0.0])
    share = 1.0 - (4.0 * h[:, 2].var()) / (h @ weights).var()
    assert metrics.recovered(h, h, readout=lambda x: x @ weights) == pytest.approx(1.0)
    assert metrics.recovered(h, mean, readout=lambda x: x @ weights) == pytest.approx(0.0)
    assert metrics.recovered(h, 0.0 * h, readout=lambda x: x @ weights) < -1.0
    assert metrics.recovered(h, first, readout=lambda x: x @ weights) == pytest.approx(share)
    columns = metrics.recovered(h, first, readout=lambda x: x)
    np.testing.assert_allclose(columns, [1.0, 1.0, 0.0, 0.0], atol=1e-12)
    assert np.isnan(metrics.recovered(h, first, readout=lambda x: np.ones(len(x))))
    for guess, expected in ((h, 1.0), (mean, 0.0)):
        assert metrics.recovered_policy(h, guess, logits=lambda x: 3.0 * x) == pytest.approx(expected)
    assert 0.0 < metrics.recovered_policy(h, first, logits=lambda x: x) < 1.0
    assert metrics.divergence(np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])) == pytest.approx(
        [0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)]
    )


@cache
def outcome_of(name: str) -> Mapping[str, float]:
    return {control.name: control for control in controls()}[name].compute()


@pytest.mark.parametrize("control", controls(), ids=lambda control: control.name)
def test_a_planted_control_comes_out_as_it_must(control: Control) -> None:
    outcome = outcome_of(control.name)
    assert control.holds(outcome), f"{control.name} must be: {control.must}; it is {dict(outcome)}"
    # Order with a margin, beside the control's own bounds.
    if "true found" in outcome:
        assert outcome["cosine between seeds"] > outcome["of noise"] + 0.1
        assert outcome["true found"] > 0.98
    else:
        assert abs(outcome["cosine between seeds"] - outcome["of noise"]) < 0.05


def test_a_dozen_gaussians_look_found_from_one_side_alone() -> None:
    outcome = outcome_of("a dozen Gaussians")
    assert outcome["true found, L1"] > 0.95 and outcome["learned true, L1"] < 0.85
    assert outcome["distinct, L1"] > 4 * outcome["distinct"]
    assert outcome["unexplained"] == pytest.approx(outcome["floor of unexplained"], abs=0.01)
    assert outcome["unexplained by k-means"] == pytest.approx(outcome["floor of unexplained"], abs=0.01)


def test_planted_features_are_found_by_l1_beside_more_false_ones() -> None:
    toy = planted_features(num_rows=6000, seed=0)
    job = AutoencoderSettings(128, penalty=0.2, num_steps=1000)
    model, frozen = train_autoencoders(toy.activations, [(job, 0), (replace(job, frozen="decoder"), 0)])
    found = metrics.mean_max_cosine(toy.features, model.dictionary)
    assert found >= 0.95
    assert found > metrics.mean_max_cosine(toy.features, frozen.dictionary) + 0.3
    assert metrics.mean_max_cosine(model.dictionary, toy.features) < found - 0.05


def test_topk_passes_random_directions_on_noise_and_not_the_same_training_on_noise() -> None:
    data = toy_data(isotropic_noise(num_rows=3000, seed=1).activations)
    fit = fit_autoencoders(data, [AutoencoderSettings(128, num_active=4)], num_seeds=2, num_noise_seeds=2, seed=0)[0]
    agreement = fit.agreement
    assert agreement.cross_seed > max(agreement.random_uniform, agreement.random_shaped) + 0.04
    assert agreement.verdict.startswith("no features")
    assert replace(agreement, noise=np.nan, cross_seed=0.6).verdict.startswith("no verdict")
    assert not replace(agreement, noise=np.nan, cross_seed=0.6).has_features
    assert replace(agreement, cross_seed=0.6).verdict.startswith("seeds agree")
    assert "lookup table" in replace(agreement, cross_seed=0.6, features_per_state=1.5).verdict


def test_few_rows_are_learned_and_not_what_made_them() -> None:
    losses = []
    for num_rows in (300, 2000):
        data = toy_data(isotropic_noise(num_rows=num_rows, seed=0).activations)
        fit = fit_autoencoders(data, [AutoencoderSettings(128, num_active=4)], num_seeds=1, seed=0)[0]
        losses.append((fit.loss_train, fit.loss_test))
    (few_train, few_test), (many_train, many_test) = losses
    assert few_test > 5.0 * few_train and many_test < 2.0 * many_train
    assert few_test > many_test and few_train < many_train


def test_classical_coders_have_their_known_answers() -> None:
    h = normal(3000, 6) * np.array([5.0, 4.0, 3.0, 1.0, 1.0, 1.0])
    spread = np.sort(np.linalg.eigvalsh(np.cov(h, rowvar=False)))[::-1]
    coder = baselines.principal_components(h, num_active=2)
    assert metrics.unexplained(h, coder.decode(coder.encode(h))) == pytest.approx(1.0 - spread[:2].sum() / spread.sum())
    sources = baselines.independent_components(
        random_points(num_rows=5000, seed=0, num_units=3).activations, num_active=3, seed=0
    )
    assert np.abs(sources.dictionary).max(axis=0).min() > 0.999
    np.testing.assert_allclose(sources.decode(sources.encode(h[:, :3])), h[:, :3], atol=1e-9)
    one = replace(sources, num_active=1)
    assert metrics.mean_active(one.encode(h[:, :3])) == 1.0
    toy = dozen_gaussians(num_rows=2000, seed=0)
    centres = baselines.nearest_centres(toy.activations, num_features=12, seed=0)
    assert metrics.mean_max_cosine(toy.features, centres.dictionary) > 0.99
    codes = np.maximum(normal(200, 6), 0.0)
    square = np.linalg.qr(normal(6, 6))[0]
    exact = baselines.PursuitCoder(np.full(6, 2.0), square, num_active=6)
    np.testing.assert_allclose(exact.encode(codes @ square + 2.0), codes, atol=1e-9)
    np.testing.assert_allclose(exact.decode(codes), codes @ square + 2.0)
    pursuit = baselines.random_pursuit(h, num_features=40, num_active=3, seed=0)
    left = [metrics.unexplained(h, (c := replace(pursuit, num_active=k)).decode(c.encode(h))) for k in (1, 3, 9)]
    assert 1.0 > left[0] > left[1] > left[2]


def test_shuffling_keeps_every_unit_and_noise_keeps_the_covariance() -> None:
    h = normal(4000, 5) @ normal(5, 5, seed=1)
    shuffled, noise = shuffled_coordinates(h, seed=0), matched_noise(h, num_rows=100_000, seed=0)
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(h, axis=0))
    off_diagonal = np.corrcoef(shuffled, rowvar=False) - np.eye(5)
    assert np.abs(off_diagonal).max() < 0.06 < np.abs(np.corrcoef(h, rowvar=False) - np.eye(5)).max()
    np.testing.assert_allclose(np.cov(noise, rowvar=False), np.cov(h, rowvar=False), atol=0.2)


def test_a_split_by_state_leaves_no_state_on_both_sides() -> None:
    states = np.random.default_rng(0).integers(40, size=500)
    held_out = split_by_state(states, share=0.25, seed=1)
    assert not np.intersect1d(states[held_out], states[~held_out]).size
    assert len(np.unique(states[held_out])) == 10
    assert np.array_equal(held_out, split_by_state(states, share=0.25, seed=1))
    with pytest.raises(UserError, match="split_by_state"):
        split_data(normal(500, 3), states, held_out=np.arange(500) % 2 == 0)
    with pytest.raises(UserError, match="1 distinct state"):
        split_by_state(np.zeros(5, dtype=np.int64), share=0.5, seed=0)
    with pytest.raises(UserError, match="train_states"):
        SparseData(normal(5, 2), normal(5, 2), np.arange(4), np.arange(5, 10))
    with pytest.raises(UserError, match="training rows have 2 units and held-out rows 3"):
        SparseData(normal(5, 2), normal(5, 3), np.arange(5), np.arange(5, 10))


def test_aurocs_are_scikit_learns() -> None:
    scores, contexts = np.maximum(normal(300, 4), 0.0), np.random.default_rng(0).integers(-1, 3, size=300)
    found = context_aurocs(scores, contexts, names=np.arange(4))
    known = contexts >= 0
    for unit, context in itertools.product(range(4), range(3)):
        reference = roc_auc_score(contexts[known] == context, scores[known, unit])
        assert found[unit, context] == pytest.approx(reference)
    assert np.isnan(found[:, 3]).all()


def contextual(num_rows: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, contexts and the directions of three contexts, among other features in 24 dimensions."""
    toy = planted_features(num_rows=num_rows, seed=0, num_units=24, num_features=30, num_active=2.0)
    contexts = np.random.default_rng(0).integers(3, size=num_rows)
    directions = np.linalg.qr(normal(24, 24, seed=5))[0][:3]
    return toy.activations + 1.5 * directions[contexts], contexts, directions


@pytest.mark.parametrize("reads", ["contexts", "something else"])
def test_a_feature_of_context_tells_it_recurs_and_moves_the_value(reads: str) -> None:
    h, contexts, directions = contextual()
    other = np.linalg.qr(normal(24, 24, seed=5))[0][3]
    weights = directions.T @ np.array([1.0, -1.0, 0.5]) if reads == "contexts" else other
    states = np.arange(len(h))
    data = split_data(
        h, states, held_out=split_by_state(states, share=0.25, seed=0), contexts=contexts,
        readouts=Readouts(value=lambda x: np.tanh(x @ weights)),
    )  # fmt: skip
    fit = fit_autoencoders(data, [AutoencoderSettings(48, num_active=3)], num_seeds=3, seed=0)[0]
    table = feature_table(fit, data, seed=0)
    both = table.tells_context & table.recurs
    assert set(table.context[both]) == {0, 1, 2}
    nearest = metrics.max_cosines(fit.models[0].dictionary[both], directions - directions.mean(axis=0))
    assert nearest.min() > 0.8
    assert 0.0 < table.context_share < 0.5 and np.isfinite(table.random_context_share)
    # What this V reads tells two of the three contexts apart best.
    assert len(set(table.context[table.is_context_feature])) >= 2 if reads == "contexts" else True
    assert table.is_context_feature.any() == (reads == "contexts")
    ablated = np.isfinite(table.effect)
    assert (table.effect[ablated].max() > table.random_effect[ablated].max()) == (reads == "contexts")


def test_without_contexts_or_value_nothing_is_counted() -> None:
    data = toy_data(contextual(800)[0])
    fit = fit_autoencoders(data, [AutoencoderSettings(16, num_active=2, num_steps=50)], num_seeds=2, seed=0)[0]
    table = feature_table(fit, data, seed=0)
    assert np.isnan(table.context_share) and not table.is_context_feature.any()
    single = feature_table(replace(fit, models=fit.models[:1]), data, seed=0)
    assert not single.recurs.any() and np.isnan(single.recurrence).all()


def test_a_report_is_the_same_for_the_same_seed_and_holds_all_baselines() -> None:
    data = toy_data(planted_features(num_rows=600, seed=0, num_units=10, num_features=12).activations)
    plan = SparsePlan(num_features=20, other_widths=(10,), num_seeds=2, training=QUICK)
    one, two = (sparse_features(data, seed=3, plan=plan) for _ in range(2))
    assert one.shown.settings.name == "TopK 4" and one.compared[1].settings.name == "L1 0.1"
    assert [repr(fit.reconstruction) for fit in one.compared] == [repr(fit.reconstruction) for fit in two.compared]
    assert repr(one.baselines) == repr(two.baselines)
    assert {each.name for each in one.baselines} == {
        "PCA", "ICA", "k-means", "random dictionary", "frozen decoder", "frozen encoder",
    }  # fmt: skip
    assert len(one.others) == 4 + 3
    assert one.shown.agreement.features_per_state == pytest.approx(20 / 450)
    few = sparse_features(data, seed=3, plan=plan, is_compared_only=True)
    assert repr(few.compared[0].reconstruction) == repr(one.shown.reconstruction)
    assert not few.others and not few.baselines


def test_plans_and_dead_dictionaries_are_refused_or_said() -> None:
    with pytest.raises(UserError, match="num_seeds is 1"):
        SparsePlan(num_seeds=1)
    with pytest.raises(UserError, match="num_active is 9, allowed is an integer from 1 to 8"):
        SparsePlan(num_features=8, active=(4, 9))
    with pytest.raises(UserError, match="penalties is ()"):
        SparsePlan(penalties=())
    dead = agreement_of([np.empty((0, 4))] * 2, noise=(), like=normal(50, 4), features_per_state=0.1, seed=0)
    assert dead.verdict.startswith("no verdict: fewer than two seeds") and not dead.has_features


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "least", "unexplained", "num_active"),
    [({"penalty": 0.1}, 0.95, 0.061, 10.7), ({"penalty": 0.2}, 0.95, 0.100, 6.5), ({"penalty": 0.4}, 0.95, 0.197, 4.4),
     ({"penalty": 1.0}, 0.88, 0.615, 2.4), ({"num_active": 3}, 0.97, 0.106, 2.9)],
    ids=str,
)  # fmt: skip
def test_planted_features_at_full_size(kind: dict, least: float, unexplained: float, num_active: float) -> None:
    toy = planted_features(num_rows=50_000, seed=0)
    spread = standard_of(toy.activations).spread
    kind = {name: each / spread if name == "penalty" else each for name, each in kind.items()}
    model = train_autoencoders(toy.activations, [(AutoencoderSettings(128, **kind, **FULL), 0)])[0]
    codes = model.encode(toy.activations)
    assert metrics.mean_max_cosine(toy.features, model.dictionary) >= least
    assert metrics.unexplained(toy.activations, model.decode(codes)) == pytest.approx(unexplained, rel=0.1)
    assert metrics.mean_active(codes) == pytest.approx(num_active, rel=0.25)


@pytest.mark.slow
def test_a_dozen_gaussians_at_full_size() -> None:
    toy = dozen_gaussians(num_rows=20_000, seed=0)
    spread = standard_of(toy.activations).spread
    jobs = [
        (AutoencoderSettings(64, **kind, **FULL), 0)
        for kind in ({"num_active": 1}, {"penalty": 1.0 / spread}, {"penalty": 0.3 / spread})
    ]
    single, *many = train_autoencoders(toy.activations, jobs)
    alive = [alive_dictionary(model, model.encode(toy.activations)) for model in (single, *many)]
    assert metrics.num_distinct(alive[0]) == 12 and len(alive[0]) <= 14
    assert (
        metrics.mean_max_cosine(toy.features, alive[0])
        > 0.999
        < 0.001 + metrics.mean_max_cosine(alive[0], toy.features)
    )
    assert metrics.unexplained(toy.activations, single.decode(single.encode(toy.activations))) == pytest.approx(
        0.092, abs=0.004
    )
    for found, most in zip(alive[1:], (0.8, 0.4), strict=True):
        assert metrics.mean_max_cosine(toy.features, found) > 0.94 > most > metrics.mean_max_cosine(found, toy.features)
        assert len(found) > 50


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_rows", "train", "test"),
    [(500, (0.0, 0.02), (0.5, 0.8)), (5000, (0.25, 0.33), (0.44, 0.56)), (50_000, (0.36, 0.42), (0.4, 0.46))],
)
def test_isotropic_noise_at_full_size(num_rows: int, train: tuple[float, float], test: tuple[float, float]) -> None:
    h = isotropic_noise(num_rows=num_rows + 5000, seed=0).activations
    model = train_autoencoders(h[:num_rows], [(AutoencoderSettings(512, num_active=4, **FULL), 0)])[0]
    seen, fresh = (metrics.unexplained(x, model.decode(model.encode(x))) for x in (h[:num_rows], h[num_rows:]))
    assert train[0] < seen < train[1] and test[0] < fresh < test[1]
    # Better than PCA on noise, which has nothing to find.
    assert fresh < 0.875
