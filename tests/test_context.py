"""Known answers of context swaps and of the analysis of variance of value tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.instruments.context import swap_effect
from analysis.instruments.interaction import context_anova
from analysis.instruments.minimal_pairs import context_cells, match_contexts, world_with_pairs
from envs.errors import UserError
from envs.registry import make_world
from envs.tabular import enumerate_world, occupancy, value_iteration

TABLES = arrays(float, (5, 3), elements=st.floats(-10, 10, allow_subnormal=False))


def table(seed: int, shape: tuple[int, int] = (50, 4)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_additive_tables_have_no_interaction() -> None:
    additive = table(0, (50, 1)) + table(1, (1, 4))
    shares = context_anova(additive)
    assert shares.interaction < 1e-12
    assert shares.situation + shares.context == pytest.approx(1.0)


def test_products_of_centred_factors_are_interaction_alone() -> None:
    rows, columns = (factor - factor.mean() for factor in (table(0, (50, 1)), table(1, (1, 4))))
    assert context_anova(rows * columns).interaction == pytest.approx(1.0)


def test_a_one_and_off_table_splits_in_thirds() -> None:
    # f = [[1, 0], [0, 0]]: mean 1/4, a = b = ±1/4, i = ±1/4: each a third of the variance 3/16.
    shares = context_anova(np.array([[1.0, 0.0], [0.0, 0.0]]))
    assert (shares.situation, shares.context, shares.interaction) == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_constant_tables_have_no_shares() -> None:
    assert np.isnan(context_anova(np.full((3, 2), 0.7)).interaction)


@given(TABLES, arrays(float, 5, elements=st.floats(0.01, 1)))
@settings(max_examples=50, deadline=None)
def test_shares_add_up_under_any_weights_and_ignore_scale(values: np.ndarray, weights: np.ndarray) -> None:
    shares = context_anova(values, weights=weights)
    if np.ptp(values) > 1e-3:
        assert shares.situation + shares.context + shares.interaction == pytest.approx(1.0)
        assert context_anova(3.0 * values + 1.0, weights=weights).interaction == pytest.approx(
            shares.interaction, abs=1e-6
        )


def test_weights_count_situations() -> None:
    values = table(2, (3, 4))
    weights = np.array([1.0, 2.0, 1.0])
    repeated = values[[0, 1, 1, 2]]
    assert context_anova(values, weights=weights).interaction == pytest.approx(context_anova(repeated).interaction)
    by_weight = swap_effect(values, 2 * values, seed=0, weights=weights)
    assert by_weight.rms == pytest.approx(swap_effect(repeated, 2 * repeated, seed=0).rms)


def test_swap_of_v_star_itself_has_slope_one() -> None:
    optimal = table(0)
    effect = swap_effect(optimal, optimal, seed=0)
    assert (effect.slope, effect.correlation, effect.explained) == pytest.approx((1.0, 1.0, 1.0))
    assert effect.slope_interval == pytest.approx((1.0, 1.0))
    assert effect.rms == effect.rms_optimal
    assert effect.context_share == effect.context_share_optimal


def test_context_blind_v_has_slope_zero() -> None:
    optimal = table(0)
    effect = swap_effect(np.repeat(optimal.mean(axis=1, keepdims=True), 4, axis=1), optimal, seed=0)
    assert (effect.slope, effect.rms, effect.explained, effect.context_share) == pytest.approx((0, 0, 0, 0), abs=1e-12)
    assert np.isnan(effect.correlation)


def test_halved_context_effect_has_slope_one_half() -> None:
    optimal = table(0)
    effect = swap_effect((optimal + optimal.mean(axis=1, keepdims=True)) / 2 + 5.0, optimal, seed=0)
    assert (effect.slope, effect.correlation, effect.explained) == pytest.approx((0.5, 1.0, 0.75))


def test_unrelated_v_moves_without_correlation() -> None:
    effect = swap_effect(table(1, (3000, 4)), table(2, (3000, 4)), seed=0, num_resamples=500)
    assert abs(effect.slope) < 0.05
    assert effect.slope_interval[0] < 0 < effect.slope_interval[1]
    assert effect.rms == pytest.approx(np.sqrt(2), abs=0.05)


def test_v_star_without_context_leaves_the_slope_undefined() -> None:
    optimal = np.repeat(table(0, (50, 1)), 2, axis=1)
    effect = swap_effect(optimal + np.array([0.1, -0.1]), optimal, seed=0)
    assert np.isnan(effect.slope)
    assert np.isnan(effect.slope_interval).all()
    assert (effect.rms, effect.rms_optimal) == pytest.approx((0.2, 0.0), abs=1e-12)
    assert effect.spread_optimal == pytest.approx(optimal.std())


@given(TABLES, TABLES, arrays(float, 5, elements=st.floats(0.01, 1)))
@settings(max_examples=50, deadline=None)
def test_swap_effect_equals_the_sum_over_ordered_pairs(v: np.ndarray, o: np.ndarray, weights: np.ndarray) -> None:
    p = weights / weights.sum()
    pairs = [(c, d) for c in range(3) for d in range(3) if c != d]
    dv, do = (np.stack([f[:, d] - f[:, c] for c, d in pairs], axis=1) for f in (v, o))
    effect = swap_effect(v, o, seed=0, weights=weights, num_resamples=2)
    assert effect.rms == pytest.approx(np.sqrt(p @ (dv**2).mean(axis=1)), abs=1e-6)
    if effect.rms_optimal > 1e-3:
        assert effect.slope == pytest.approx((p @ (dv * do).mean(axis=1)) / (p @ (do**2).mean(axis=1)), abs=1e-6)
        assert effect.explained == pytest.approx(
            1 - (p @ ((dv - do) ** 2).mean(axis=1)) / (p @ (do**2).mean(axis=1)), rel=1e-6, abs=1e-6
        )


def test_interval_resamples_whole_levels() -> None:
    """With one slope per level, copies of the same situation add no certainty."""
    rng = np.random.default_rng(0)
    levels = np.repeat(np.arange(20), 30)
    optimal = np.repeat(table(3, (20, 2)), 30, axis=0)
    values = optimal * rng.uniform(0.2, 1.8, 20)[levels, None]
    by_level = swap_effect(values, optimal, seed=0, groups=levels).slope_interval
    by_situation = swap_effect(values, optimal, seed=0).slope_interval
    assert np.ptp(by_level) > 3 * np.ptp(by_situation)


@pytest.mark.parametrize(
    ("values", "weights", "message"),
    [
        (np.zeros(3), None, r"shape \(3,\)"),
        (np.zeros((3, 1)), None, "at least two contexts"),
        (np.full((3, 2), np.nan), None, "6 values that are not finite"),
        (np.zeros((3, 2)), np.zeros(3), "sum 0.0"),
        (np.zeros((3, 2)), np.ones(2), r"weights have shape \(2,\)"),
    ],
)
def test_refusals(values: np.ndarray, weights: np.ndarray | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        context_anova(values, weights=weights)
    with pytest.raises(UserError, match=message):
        swap_effect(values, values, seed=0, weights=weights)


def test_tables_of_different_shapes_are_refused() -> None:
    with pytest.raises(UserError, match=r"V has shape \(3, 2\) and V\* \(3, 3\)"):
        swap_effect(np.zeros((3, 2)), np.zeros((3, 3)), seed=0)


def test_minimal_pairs_of_multi_need_are_all_cells_under_all_needs() -> None:
    world = make_world("MultiNeed", size=4, num_objects=3)
    mdp = enumerate_world(world, [0, 1, 2])
    contexts = world.context_of(mdp.rows)
    cells = context_cells(mdp.rows, contexts)
    assert cells.tolist() == [4]
    index, names = match_contexts(mdp.rows, contexts, cells=cells)
    assert names.tolist() == [0, 1, 2]
    assert (contexts[index] == names).all()
    rows = mdp.rows[index].copy()
    rows[:, :, 4] = 0
    assert (rows == rows[:, :1]).all()
    values = value_iteration(mdp).values[index]
    # V* = 0.95^(distance to the needed object - 1): the context decides, so the swap moves V* and V* alone.
    assert swap_effect(values, values, seed=0).slope == pytest.approx(1.0)
    assert context_anova(values).interaction > 0.5
    visits = occupancy(mdp, np.full((mdp.num_states, 4), 0.25), horizon=10)
    assert swap_effect(values, values, seed=0, weights=visits[index].mean(axis=1)).slope == pytest.approx(1.0)


def test_minimal_pairs_of_crossed_history_need_the_crossed_layout() -> None:
    trained = make_world("CrossedHistory", size=4, num_levels=64)
    mdp = enumerate_world(trained, trained.levels("test"))
    contexts = trained.context_of(mdp.rows)
    with pytest.raises(UserError, match="none of .* situations occurs under all 2 contexts"):
        match_contexts(mdp.rows, contexts, cells=context_cells(mdp.rows, contexts))
    world = world_with_pairs(trained)
    mdp = enumerate_world(world, world.levels("test"))
    contexts = world.context_of(mdp.rows)
    index, _ = match_contexts(mdp.rows, contexts, cells=context_cells(mdp.rows, contexts))
    values = value_iteration(mdp).values[index]
    effect = swap_effect(values, values, seed=0)
    assert effect.rms_optimal == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(effect.slope)


@pytest.mark.parametrize("name", ["GemShape", "DishMaze", "TwoDoors", "MultiNeed", "DiamondGhost", "FruitTask"])
def test_worlds_without_a_layout_of_pairs_stay_as_they_are(name: str) -> None:
    world = make_world(name)
    assert world_with_pairs(world) is world


def test_hidden_contexts_leave_no_pairs() -> None:
    rows = np.zeros((4, 2), dtype=np.int16)
    with pytest.raises(UserError, match="hold 0 context"):
        match_contexts(rows, np.full(4, -1), cells=np.array([1]))
