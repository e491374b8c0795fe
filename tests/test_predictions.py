"""Tests of the comparison on arrays: known answers, planted positives and nulls."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.agent import build_agent
from agents.config import AgentConfig
from analysis.predictions.ablation import ablation, damage_shares, diagonal_dominance, locality_of
from analysis.predictions.contest import Subject, gain_of
from analysis.predictions.crossed_history import crossing
from analysis.predictions.crossed_states import choice_levels, crossed_rows, cues, object_distances
from analysis.predictions.locality import Phase, gradient_cosine, interference, retention
from analysis.predictions.parts import find_parts, live_units, part_contributions, random_parts
from analysis.predictions.prediction import Prediction
from analysis.predictions.predictors import (
    KernelPredictor,
    Log,
    States,
    bids,
    fit_utilities,
    optimum,
    proximity,
    shard_values,
    utility_values,
)
from envs.registry import make_world
from envs.step_buffers import observation_space
from envs.tabular import enumerate_world, state_index, value_iteration

INF = float("inf")


def planted_units(num_states: int = 800, num_contexts: int = 4, *, local: bool) -> tuple[np.ndarray, np.ndarray]:
    """40 units, 10 a context: each follows its context's own signal, there only (local) or everywhere."""
    rng = np.random.default_rng(0)
    contexts = rng.integers(num_contexts, size=num_states)
    owner = np.repeat(np.arange(num_contexts), 10)
    signal = rng.normal(size=(num_states, num_contexts))
    units = signal[:, owner] * rng.uniform(0.5, 2.0, size=40)
    return units * (contexts[:, None] == owner) if local else units, contexts


class TestParts:
    def test_planted_parts_are_found(self) -> None:
        units, _ = planted_units(local=True)
        parts = find_parts(units, 4, seed=0)
        assert [len(set(block)) for block in parts.reshape(4, 10)] == [1, 1, 1, 1]
        assert len(set(parts)) == 4

    def test_dead_units_belong_to_no_part(self) -> None:
        units, _ = planted_units(local=True)
        units[:, 3] = 5.0
        assert live_units(units).sum() == 39
        assert find_parts(units, 4, seed=0)[3] == -1

    def test_fewer_units_than_parts(self) -> None:
        assert find_parts(np.random.default_rng(0).normal(size=(50, 3)), 4, seed=0).tolist() == [0, 1, 2]

    def test_random_parts_keep_sizes(self) -> None:
        parts = np.array([0, 0, 0, 1, 1, -1, 2])
        shuffled = random_parts(parts, seed=1)
        assert np.bincount(shuffled + 1).tolist() == np.bincount(parts + 1).tolist()
        assert shuffled[5] == -1

    def test_parts_add_up_to_the_value(self) -> None:
        units, _ = planted_units(local=False)
        parts = find_parts(units, 4, seed=0)
        np.testing.assert_allclose(part_contributions(units, parts, 4).sum(axis=1), units.sum(axis=1))


class TestAblation:
    def test_planted_local_parts_score_one(self) -> None:
        units, contexts = planted_units(local=True)
        scores = locality_of(units, contexts, seed=0)
        assert scores["locality"] == pytest.approx(1.0)
        assert scores["random_parts"] < 0.5

    def test_planted_spread_parts_score_near_zero(self) -> None:
        units, contexts = planted_units(local=False)
        assert abs(locality_of(units, contexts, seed=0)["locality"]) < 0.1

    def test_diagonal_dominance_by_hand(self) -> None:
        assert diagonal_dominance(np.eye(3)[[2, 0, 1]]) == pytest.approx(1.0)
        assert diagonal_dominance(np.full((3, 3), 1 / 3)) == pytest.approx(0.0)
        assert diagonal_dominance(np.array([[0.75, 0.25], [0.25, 0.75]])) == pytest.approx(0.5)

    def test_a_constant_shift_is_no_damage(self) -> None:
        """A part that is constant within each context distinguishes no states: its shares are even."""
        contexts = np.array([0, 0, 1, 1])
        units = np.array([[1.0, 3.0], [1.0, 4.0], [9.0, 5.0], [9.0, 5.0]])
        np.testing.assert_allclose(damage_shares(units, contexts, 2), [[0.5, 0.5], [1.0, 0.0]])

    def test_a_context_without_states_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"\[2, 1\]"):
            ablation(np.ones((3, 2)), np.array([0, 1]), np.array([0, 0, 1]))


class TestCrossing:
    optimum = np.broadcast_to(0.95 ** np.arange(5.0)[:, None, None], (5, 2, 2))

    def test_the_optimum_has_no_interaction(self) -> None:
        score = crossing(self.optimum, self.optimum, np.array([1, 0]))
        assert score.interaction == 0.0
        assert score.slope_matched == score.slope_mismatched == pytest.approx(1.0)
        assert score.error_matched == 0.0

    def test_a_planted_interaction_is_read_off(self) -> None:
        """V halved on mismatched pairings: mean(V*)/2 in units of sd(V*), slopes 1 and 1/2."""
        factor = np.array([[0.5, 1.0], [1.0, 0.5]])
        score = crossing(self.optimum * factor, self.optimum, np.array([1, 0]))
        assert score.interaction == pytest.approx(self.optimum.mean() / 2 / self.optimum.std())
        assert (score.slope_matched, score.slope_mismatched) == (pytest.approx(1.0), pytest.approx(0.5))

    def test_the_pairing_decides_the_sign(self) -> None:
        factor = np.array([[0.5, 1.0], [1.0, 0.5]])
        flipped = crossing(self.optimum * factor, self.optimum, np.array([0, 1]))
        assert flipped.interaction == pytest.approx(-self.optimum.mean() / 2 / self.optimum.std())

    @pytest.mark.parametrize("pairing", [[0, 0], [1, 2]])
    def test_no_permutation_is_refused(self, pairing: list[int]) -> None:
        with pytest.raises(ValueError, match="permutation"):
            crossing(self.optimum, self.optimum, np.array(pairing))


class TestCrossedStates:
    world = make_world("CrossedHistory", layout="crossed", num_levels=100)

    def test_every_layout_stands_under_every_pairing(self) -> None:
        rows = crossed_rows(self.world, num_layouts=3)
        assert rows.shape == (3 * 48, 2, 2, 4)
        for cue in range(2):
            for item in range(2):
                assert (cues(rows[:, cue, item]) == cue).all()
                assert (np.isfinite(object_distances(rows[:, cue, item])).argmax(axis=1) == item).all()
        distances = object_distances(rows.reshape(-1, 4)).min(axis=1).reshape(rows.shape[:3])
        assert (distances == distances[:, :1, :1]).all()

    def test_distances_give_the_solved_optimum(self) -> None:
        mdp = enumerate_world(self.world, self.world.levels("test"))
        solved = value_iteration(mdp).values
        rows = crossed_rows(self.world, num_layouts=4).reshape(-1, 4)
        known = proximity(object_distances(rows), self.world.discount).max(axis=1)
        np.testing.assert_allclose(known, solved[state_index(mdp, rows)], rtol=1e-12)

    def test_choices_show_the_paired_object_and_another_at_one_distance(self) -> None:
        world = make_world("CrossedHistory", layout="choice", num_levels=100)
        choices = choice_levels(world, np.array([1, 0]), num_levels=50)
        index = np.arange(len(choices.rows))
        lengths = object_distances(choices.rows)
        assert (lengths[index, choices.first] == lengths[index, choices.second]).all()
        assert (choices.first == np.array([1, 0])[cues(choices.rows)]).all()


class TestPredictors:
    log = Log(
        observations=np.zeros((4, 3)),
        distances=np.array([[1.0, INF], [3.0, INF], [INF, 2.0], [2.0, 1.0]]),
        outcomes=np.array([2.0, 2.0 * 0.9**2, 0.5 * 0.9, 7.0]),
        episodes=np.arange(4),
        event_cue=np.array([0, 0, 1, 1]),
        event_object=np.array([0, 0, 1, 0]),
        event_reward=np.ones(4),
    )

    def test_utilities_are_least_squares_over_objects_alone(self) -> None:
        np.testing.assert_allclose(fit_utilities(self.log, 0.9), [2.0, 0.5])

    def test_bids_by_hand(self) -> None:
        leak = np.exp(-2.0)
        np.testing.assert_allclose(bids(self.log, 2, 0.5), [[(2 + leak) / 3, leak], [(1 + 2 * leak) / 3, 1.0]])
        np.testing.assert_allclose(bids(self.log, 2, 0.0), [[2 / 3, 0.0], [1 / 3, 1.0]])
        np.testing.assert_allclose(bids(self.log, 2, INF), np.ones((2, 2)))

    def test_values_by_hand(self) -> None:
        states = States(np.array([[1.0, 3.0], [INF, 2.0]]), np.array([0, 1]))
        np.testing.assert_allclose(optimum(states, 0.9), [1.0, 0.9])
        np.testing.assert_allclose(utility_values(states, np.array([0.5, 2.0]), 0.9), [2.0 * 0.81, 1.8])
        np.testing.assert_allclose(shard_values(states, np.array([[0.1, 1.0], [1.0, 0.5]]), 0.9), [0.81, 0.45])

    def test_the_kernel_learns_a_smooth_function(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(600, 3))
        y = np.sin(x[:, 0])
        log = Log(x, np.ones((600, 1)), y, np.arange(600) // 5, *(np.zeros(1, int),) * 2, np.ones(1))
        fresh = rng.normal(size=(200, 3))
        assert np.corrcoef(KernelPredictor(log, seed=0).predict(fresh), np.sin(fresh[:, 0]))[0, 1] > 0.95


def subjects(num_seeds: int = 5, *, mismatched: float, noise: float = 0.02) -> list[Subject]:
    """Agents whose V is V* times `mismatched` on never-trained pairings, with noise; predictors as in the contest."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(num_seeds):
        near, crossed = 0.95 ** rng.integers(0, 12, 1500), rng.random(1500) < 0.5
        law = np.where(crossed, 0.135 * near, near)
        target = np.where(crossed, mismatched * near, near) + noise * rng.normal(size=1500)
        sister = np.where(crossed, mismatched * near, near) + noise * rng.normal(size=1500)
        kernel = near + 0.02 * rng.normal(size=1500)
        found.append(Subject({"a": near, "b": 0.98 * near, "c": law, "d": kernel, "e": sister}, target, crossed))
    return found


class TestContest:
    def test_a_planted_shard_agent_is_found(self) -> None:
        gain = gain_of(subjects(mismatched=0.135), kind="values")
        assert gain.gain.min() > 1.0
        assert gain.ceiling.min() > 1.0

    def test_a_planted_optimum_is_not(self) -> None:
        gain = gain_of(subjects(mismatched=1.0), kind="values")
        assert np.abs(gain.gain).max() < 0.01

    @pytest.mark.parametrize("mismatched", [1.1, 1.3])
    def test_an_agent_that_does_the_opposite_gains_nothing(self, mismatched: float) -> None:
        """With a free weight the law would be credited with its own opposite (+1.2 nats at 1.3)."""
        assert np.abs(gain_of(subjects(mismatched=mismatched), kind="values").gain).max() < 0.01

    def test_fitting_on_crossed_pairings_alone_would_be_blind(self) -> None:
        """The trap: there the law is a multiple of V*, so even the planted shard agent gains nothing."""
        only = [
            Subject({k: v[s.scored] for k, v in s.columns.items()}, s.target[s.scored], s.scored[s.scored])
            for s in subjects(mismatched=0.135)
        ]
        assert np.abs(gain_of(only, kind="values").gain).max() < 0.01

    def test_the_likelihood_is_gaussian(self) -> None:
        """Predictors that are exact up to N(0, .02^2) give -ln(.02 sqrt(2 pi e)) nats."""
        nats = gain_of(subjects(mismatched=1.0), kind="values").log_likelihood["a"]
        assert nats.mean() == pytest.approx(-np.log(0.02 * np.sqrt(2 * np.pi * np.e)), abs=0.02)

    def test_choices(self) -> None:
        rng = np.random.default_rng(1)
        people = []
        for _ in range(6):
            law = rng.choice([-1.0, 1.0], size=400)
            columns = {letter: rng.normal(size=400) for letter in "abde"} | {"c": law}
            target = (rng.random(400) < 1 / (1 + np.exp(-2 * law))).astype(float)
            people.append(Subject(columns, target, np.ones(400, bool)))
        gain = gain_of(people, kind="choices")
        entropy = -(0.8808 * np.log(0.8808) + 0.1192 * np.log(0.1192))
        assert gain.gain.mean() == pytest.approx(np.log(2) - entropy, abs=0.05)

    def test_one_seed_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at least 2"):
            gain_of(subjects(1, mismatched=1.0), kind="values")


class TestInterference:
    def test_by_hand(self) -> None:
        before, after = np.zeros(4), np.array([2.0, 2.0, 1.0, -1.0])
        other = np.array([False, False, True, True])
        assert interference(before, after, other)[0] == pytest.approx(0.5)

    def test_nothing_learned_is_refused(self) -> None:
        with pytest.raises(ValueError, match="took no effect"):
            interference(np.zeros(2), np.array([0.0, 1.0]), np.array([False, True]))

    def test_one_kind_of_state_is_refused(self) -> None:
        with pytest.raises(ValueError, match="both kinds"):
            interference(np.zeros(2), np.ones(2), np.array([True, True]))

    def test_retention_is_one_where_v_stays_and_zero_where_it_is_lost(self) -> None:
        before, other = np.array([0.0, 0.0, 1.0, 2.0]), np.array([False, True, True, True])
        assert retention(before, before + np.array([9.0, 0, 0, 0]), other) == 1.0
        assert retention(before, np.array([0.0, 1.0, 1.0, 1.0]), other) == pytest.approx(0.0)
        assert retention(before, -before, other) == 0.0

    @pytest.mark.parametrize(
        ("head", "low", "high"), [("POS", 0.0, 0.0), ("MONO", 0.05, 1.0), ("HRA", 0.05, 1.0), ("NEG-2", 0.05, 1.0)]
    )
    def test_gradients_of_disjoint_parts_are_orthogonal_and_those_of_one_net_are_not(
        self, head: str, low: float, high: float
    ) -> None:
        world = make_world("MultiNeed")
        config = AgentConfig(
            encoder_sizes=(16,), hidden_size=32, head=head, num_contexts=4, num_events=4,
            component_weights=tuple(world.reward_weights.tolist()),
        )  # fmt: skip
        agent = build_agent(observation_space(world), 4, config, seed=0)
        rows = enumerate_world(world, [0]).rows
        inputs, contexts = agent.encode(world.observe(rows)).matrix, torch.from_numpy(world.context_of(rows))
        phases = [Phase(inputs[contexts == c], contexts[contexts == c], None) for c in range(4)]
        assert low <= gradient_cosine(agent, phases[0], phases[1:]) <= high
        assert gradient_cosine(agent, phases[0], phases[:1]) == pytest.approx(1.0)


def test_a_prediction_needs_a_margin_and_a_family() -> None:
    fields = dict.fromkeys(
        ("key", "question", "world", "actor", "metric", "positive", "null", "rule", "does_not_show"), "x"
    )
    with pytest.raises(ValueError, match="margin is 0"):
        Prediction(**fields, margin=0.0, family="confirmatory")
    with pytest.raises(ValueError, match="'strong'"):
        Prediction(**fields, margin=0.1, family="strong")
