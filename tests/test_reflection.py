"""T8: what is planted in a layer is found, what is not is not; and the cells on real fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.predictions.calibration import calibration
from analysis.predictions.choice_model import fit_choices
from analysis.predictions.cross_reading import cross_reading, r_squared_of, units_at_work
from analysis.predictions.privileged_access import (
    Network,
    head_log_probs,
    held_out_contexts,
    held_out_layouts,
    privileged_access,
)
from analysis.predictions.reflection_plants import access_pair, calibration_case, cross_case
from analysis.studies.comparison import run_comparison
from analysis.studies.held_out_units import held_out_table
from analysis.studies.outlook import layouts_of, outlook
from analysis.studies.plan import make_plan
from analysis.studies.reflection_cells import access_fault, situations
from analysis.studies.yoked import Setup
from envs.errors import UserError
from envs.registry import make_world
from envs.tabular import state_index, value_iteration

NUM_STATES, NUM_ACTIONS = 1500, 4


def rng(*key: int) -> np.random.Generator:
    return np.random.default_rng([8, *key])


CONTEXTS, LAYOUTS = rng(0).integers(0, 3, NUM_STATES), rng(1).integers(0, 40, NUM_STATES)
OPTIMUM = 0.95 ** rng(2).integers(0, 4, (NUM_STATES, NUM_ACTIONS))
"""Q* with many ties, as in open rooms: the networks' own noise breaks them."""


class TestChoiceModel:
    def test_two_options_are_a_logistic_regression(self) -> None:
        from sklearn.linear_model import LogisticRegression

        options = rng(3).normal(size=(400, 2, 3))
        gap = options[:, 1] - options[:, 0]
        choices = (gap @ [1.0, -2.0, 0.5] + rng(4).logistic(size=400) > 0).astype(np.int64)
        model = fit_choices(options, choices, penalty=1e-2)
        scale = options.reshape(-1, 3).std(axis=0)
        reference = LogisticRegression(C=1 / (400 * 1e-2), fit_intercept=False, tol=1e-8).fit(gap / scale, choices)
        assert model.weights * scale == pytest.approx(reference.coef_[0], abs=1e-3)

    def test_drawn_choices_give_their_weights_back(self) -> None:
        options, weights = rng(5).normal(size=(20_000, 4, 3)), np.array([1.5, -0.5, 0.0])
        choices = (options @ weights + rng(6).gumbel(size=(20_000, 4))).argmax(axis=1)
        assert fit_choices(options, choices, penalty=1e-9).weights == pytest.approx(weights, abs=0.05)

    def test_a_constant_feature_has_no_weight_and_rows_are_distributions(self) -> None:
        options = np.concatenate([rng(7).normal(size=(50, 3, 2)), np.ones((50, 3, 1))], axis=2)
        model = fit_choices(options, options[..., 0].argmax(axis=1), penalty=1e-2)
        assert model.weights[2] == 0.0
        assert np.exp(model.log_probs(options)).sum(axis=1) == pytest.approx(np.ones(50))


class TestPrivilegedAccess:
    def score(self, own: Network, sister: Network) -> float:
        return privileged_access(own, sister, contexts=CONTEXTS, layouts=LAYOUTS).score

    @pytest.mark.parametrize("seed", range(3))
    def test_own_noise_is_told_and_shared_knowledge_is_not(self, seed: int) -> None:
        assert self.score(*access_pair("OWN-NOISE", OPTIMUM, rng=rng(8, seed))) > 0.2
        assert abs(self.score(*access_pair("SHARED", OPTIMUM, rng=rng(9, seed)))) < 0.06

    def test_the_networks_may_change_places(self) -> None:
        own, sister = access_pair("OWN-NOISE", OPTIMUM, rng=rng(10))
        assert self.score(own, sister) == pytest.approx(self.score(sister, own), abs=1e-12)

    def test_a_better_layer_for_everybodys_choices_is_no_privilege(self) -> None:
        """The trap: accuracy of own minus sister's layer, without the second network, takes quality for privilege."""
        noise = 0.02 * rng(11).normal(size=(2, *OPTIMUM.shape))
        choices = (OPTIMUM + noise).argmax(axis=2)
        good = Network(OPTIMUM[..., None], choices[0])
        bad = Network((OPTIMUM + rng(12).normal(size=OPTIMUM.shape))[..., None], choices[1])
        (split, *_) = held_out_contexts(CONTEXTS, LAYOUTS)
        right = [
            (head_log_probs(each.options, good.choices, split).argmax(axis=1) == good.choices[split.read]).mean()
            for each in (good, bad)
        ]
        assert right[0] - right[1] > 0.2
        assert abs(self.score(good, bad)) < 0.06

    def test_parts_that_share_nothing_know_nothing_in_another_context(self) -> None:
        """As in POS: in each context other units hold the noise that decides. Familiar contexts are read well."""
        pair = access_pair("OWN-NOISE", OPTIMUM, rng=rng(13))
        shown = np.eye(3)[CONTEXTS][:, None, :, None]
        own, sister = (
            Network((shown * each.options[:, :, None, :]).reshape(NUM_STATES, NUM_ACTIONS, -1), each.choices)
            for each in pair
        )
        found = privileged_access(own, sister, contexts=CONTEXTS, layouts=LAYOUTS)
        assert (found.score, found.own_hit) == (0.0, 0.5)
        assert found.familiar > 0.2

    def test_heads_are_read_where_nothing_was_fitted(self) -> None:
        read = np.zeros(NUM_STATES, dtype=int)
        for context, split in enumerate(held_out_contexts(CONTEXTS, LAYOUTS)):
            assert set(CONTEXTS[split.read]) == {context} and context not in CONTEXTS[split.fitted]
            assert not set(LAYOUTS[split.read]) & set(LAYOUTS[split.fitted])
            read += split.read
        assert (read == held_out_layouts(LAYOUTS).read).all()

    @pytest.mark.parametrize(
        ("contexts", "layouts", "message"),
        [
            (np.zeros(NUM_STATES, int), LAYOUTS, "one is held out"),
            (CONTEXTS, np.zeros(NUM_STATES, int), "one layout"),
            (CONTEXTS, LAYOUTS, "choose alike"),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, contexts: np.ndarray, layouts: np.ndarray, message: str) -> None:
        own, _ = access_pair("SHARED", OPTIMUM, rng=rng(14))
        with pytest.raises(ValueError, match=message):
            privileged_access(own, own, contexts=contexts, layouts=layouts)

    def test_plants_that_do_not_come_out_silence_the_test(self) -> None:
        good = {"OWN-NOISE": {0: 0.5, 1: 0.6, 2: 0.55}, "SHARED": {0: 0.0, 1: 0.01, 2: -0.01}}
        assert access_fault(good) is None
        assert access_fault({"OWN-NOISE": good["OWN-NOISE"]}) == "planted agents are missing"
        assert "not told from" in str(access_fault(good | {"OWN-NOISE": good["SHARED"]}))
        assert "outside the margin" in str(access_fault(good | {"SHARED": {0: 0.2, 1: 0.21, 2: 0.19}}))


class TestCalibration:
    def test_known_answers(self) -> None:
        sure = np.log(np.array([[1.0, 1e-300], [1e-300, 1.0]]))
        assert calibration(sure, np.array([0, 1])).error == pytest.approx(0.0)
        assert calibration(sure, np.array([1, 0])).error == pytest.approx(1.0)
        twice_wrong = np.log(np.array([[0.6, 0.4]] * 2 + [[0.9, 0.1]] * 2))
        found = calibration(twice_wrong, np.array([0, 0, 0, 1]))
        assert (found.error, found.overconfidence) == pytest.approx((0.4, 0.0))
        guess = np.log(np.full((4, 4), 0.25))
        found = calibration(guess, np.arange(4))
        assert (found.error, found.overconfidence, found.accuracy) == pytest.approx((0.0, 0.0, 0.25))

    @given(st.integers(0, 1000))
    @settings(max_examples=30, deadline=None)
    def test_overconfidence_is_at_most_the_error(self, seed: int) -> None:
        logits = rng(15, seed).normal(size=(60, 3))
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        found = calibration(log_probs, rng(16, seed).integers(0, 3, 60))
        assert abs(found.overconfidence) <= found.error + 1e-12 <= 1.0 + 1e-12

    def test_plants(self) -> None:
        errors = {}
        for name in ("STEADY", "CHANGED"):
            options, choices = calibration_case(name, CONTEXTS, num_actions=4, rng=rng(17))
            splits = list(held_out_contexts(CONTEXTS, LAYOUTS))
            log_probs = np.concatenate([head_log_probs(options, choices, split) for split in splits])
            errors[name] = calibration(log_probs, np.concatenate([choices[split.read] for split in splits])).error
        assert errors["STEADY"] < 0.1 < errors["CHANGED"] - errors["STEADY"]


class TestCrossReading:
    layouts = rng(18).integers(0, 50, 800)

    @pytest.mark.parametrize(("name", "low", "high"), [("OPEN", 0.5, 1.1), ("CLOSED", -0.1, 0.1)])
    def test_plants(self, name: str, low: float, high: float) -> None:
        inside = cross_case(name, rng(19).normal(size=(800, 3)), rng=rng(20))
        found = cross_reading(inside.units, inside.features, inside.values, layouts=self.layouts, seed=1)
        assert low < found.score < high
        assert found.own_value > 0.9

    def test_r_squared_known_answers(self) -> None:
        features, train = rng(21).normal(size=(800, 3)), held_out_layouts(self.layouts).fitted
        assert r_squared_of(features, features @ [1.0, 2.0, 3.0] + 5.0, train) == pytest.approx(1.0, abs=1e-3)
        assert r_squared_of(features, rng(22).normal(size=800), train) < 0.05
        assert r_squared_of(features, np.ones(800), train) == 0.0
        assert r_squared_of(np.c_[features, np.ones(800)], features[:, 0], train) > 0.99

    def test_the_part_at_work_varies_most(self) -> None:
        quiet, loud = rng(23).normal(size=(100, 4)), 5 * rng(24).normal(size=(100, 3))
        units = np.c_[quiet, loud, np.ones((100, 1))]
        parts = np.array([0, 0, 0, 0, 1, 1, 1, 1])
        assert units_at_work(units, parts, 2).tolist() == [4, 5, 6]


class TestOutlook:
    @pytest.mark.parametrize("name", ["MultiNeed", "DiamondGhost"])
    def test_the_optimum_ahead_gives_the_optimal_action_values(self, name: str) -> None:
        world = make_world(name)
        table = held_out_table(world, num_levels=6)
        seen, solution = outlook(world, table, num_states=200, seed=0), value_iteration(table)
        known = np.full(len(seen.ahead), 7.0)  # what V says after the end must not count
        going_on = np.unique(seen.index[seen.alive > 0])
        known[going_on] = solution.values[state_index(table, seen.ahead[going_on])]
        expected = solution.action_values[state_index(table, seen.rows)]
        assert seen.action_values(known) == pytest.approx(expected, abs=1e-9)
        assert seen.options(np.ones((len(seen.ahead), 5))).shape == (200, 4, 7)

    def test_layouts_ignore_agent_and_context(self) -> None:
        world = make_world("MultiNeed")
        table = held_out_table(world, num_levels=5)
        assert len(np.unique(layouts_of(world, table.rows))) == 5
        matched = situations(world, table, seed=0)
        assert np.ptp(layouts_of(world, table.rows)[matched], axis=1).max() == 0
        assert (world.context_of(table.rows[matched.ravel()]).reshape(matched.shape) == np.arange(4)).all()

    def test_chance_is_refused(self) -> None:
        world = make_world("MultiNeed", continuing=True)
        with pytest.raises(UserError, match="outcomes of an action"):
            outlook(world, held_out_table(world, num_levels=1), num_states=10, seed=0)


SMALL = Setup(
    num_demonstrations=500, imitation_updates=200, reinforce_steps=0, num_episodes=1000, encoder_sizes=(32, 32),
    hidden_size=64, value_updates=300, batch_size=64, learning_rate=5e-3, route_encoder="global", num_checked_levels=3,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("world", ["MultiNeed", "DiamondGhost"])
def test_for_real_a_monolith_knows_itself_where_disjoint_parts_do_not(world: str, tmp_path: Path) -> None:
    plan = make_plan(
        "quick", tests=("T8a", "T8b", "T8c"), arms=("MONO", "POS", "NEG-F"), worlds=(world,), num_seeds=3,
        setups={world: SMALL},
    )  # fmt: skip
    result = run_comparison(plan, tmp_path, workers=0)
    assert result.study.exit_code == 0
    access = result.scores.tests["T8a"]
    assert access.controls is None
    assert set(access.lines["POS"].values()) == {0.0}
    assert min(access.lines["MONO"].values()) > 0.1 < min(access.extra["familiar"]["POS"].values())
    assert "silent" not in result.words
    assert {test.controls for test in result.scores.tests.values()} == {None}
