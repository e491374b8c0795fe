"""T4, T6 and T10: known answers, planted agents, identities, and the cells on small networks."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.agent import AlphaAgent, build_agent
from agents.config import ImitationConfig
from agents.exact import policy_table, value_table
from agents.imitation import imitate
from agents.recorder import record_episodes
from analysis.arms import ARMS
from analysis.predictions.goal_split import (
    GOALS,
    PLACE,
    goal_probabilities,
    goal_split,
    goal_values,
    pursuit,
    single_goal,
)
from analysis.predictions.integration import MANNERS, SIMULATIONS, Mind, act
from analysis.predictions.lookahead import action_values
from analysis.predictions.preference import (
    PAIRS,
    REVERSED,
    Doors,
    coded_worths,
    crossed_doors,
    forced_choices,
    planted_values,
    share_made,
)
from analysis.predictions.split_mazes import CHEESE, DISH, Ends, SplitMazes, ends_of, greedy, sampled
from analysis.studies import goal_cells, preference_cells, search_cells, yoked
from analysis.studies.comparison import run_comparison
from analysis.studies.plan import SETUPS, make_plan
from analysis.studies.reinforced import settings_of
from envs.demonstrations import demonstrate
from envs.registry import make_world
from envs.step_buffers import observation_space

CROSSED = make_world("TwoDoors", layout="crossed", num_levels=2000)
ROOM = make_world("DishMaze", **yoked.OPEN_ROOM, layout="apart", num_levels=6000)


@functools.cache
def doors() -> Doors:
    return crossed_doors(CROSSED)


@functools.cache
def mazes() -> SplitMazes:
    return goal_cells.test_mazes()


def untrained_player(world: object, *, seed: int = 3) -> AlphaAgent:
    setup = yoked.Setup(encoder_sizes=(16, 16), hidden_size=32)
    config = yoked.agent_config(world, setup, head="MONO", regime="scratch")  # type: ignore[arg-type]
    return build_agent(observation_space(world), 4, config, seed=seed)  # type: ignore[arg-type]


def reinforced_bandit(*, normalise: bool, seed: int) -> np.ndarray:
    """Plain REINFORCE on one logit for each of A to D = 10, 9, 2, 1, shown as A with B or C with D; plain Python."""
    rng, logits, baseline = np.random.default_rng(seed), np.zeros(4), np.zeros(2)
    rewards = np.array([10.0, 9.0, 2.0, 1.0])
    for _ in range(400):
        pair = rng.integers(2, size=32)
        odds = 1.0 / (1.0 + np.exp(logits[2 * pair + 1] - logits[2 * pair]))
        taken = 2 * pair + (rng.random(32) >= odds)
        advantage = rewards[taken] - baseline[pair]
        np.add.at(baseline, pair, 0.05 * advantage)
        gain = (advantage - advantage.mean()) / advantage.std() if normalise else advantage
        step = np.zeros(4)
        np.add.at(step, taken, gain)
        for which, weight in ((0, odds), (1, 1.0 - odds)):
            np.add.at(step, 2 * pair + which, -gain * weight)
        logits += 0.4 * step / 32
    return logits


class TestDoors:
    def test_every_pair_stands_in_every_layout_once(self) -> None:
        assert doors().rows.shape == (4, 12, 5)
        assert len(np.unique(doors().rows.reshape(48, 5), axis=0)) == 48
        for pair, rows in zip(PAIRS, doors().rows, strict=True):
            shown = ["ABCD"[i] for i in np.flatnonzero((rows[:, 1:] >= 0).all(axis=0))]
            assert tuple(shown) == pair
        assert (CROSSED.begin(doors().levels.ravel(), 0) == doors().rows.reshape(48, 5)).all()

    def test_the_steps_lead_towards_the_objects(self) -> None:
        ahead = CROSSED.expand(doors().rows.reshape(48, 5)).next_rows[:, :, 0, 0].reshape(4, 12, 4)
        for which in (0, 1):
            cells = np.take_along_axis(ahead, doors().actions[..., which, None], -1)[..., 0].astype(int)
            for pair, rows, cell in zip(PAIRS, doors().rows, cells, strict=True):
                goal, start = rows[:, 1 + "ABCD".index(pair[which])].astype(int), rows[:, 0].astype(int)
                assert (2 * (cell - start) == goal - start).all()

    def test_planted_codes_choose_as_they_must(self) -> None:
        found = {}
        for relative in (False, True):
            worths = coded_worths(CROSSED.reward_weights, relative=relative)
            scores = action_values(
                CROSSED, doors().rows.reshape(48, 5), lambda rows, worths=worths: planted_values(rows, worths, 0.95)
            ).reshape(4, 12, 4)
            found[relative] = forced_choices(doors(), scores).mean(axis=1).tolist()
            assert share_made(doors(), scores) == 1.0
        assert found == {False: [0.0, 0.0, 0.0, 0.0], True: [0.5, 0.0, 1.0, 0.5]}

    @settings(deadline=None)
    @given(st.lists(st.floats(0.1, 5), min_size=4, max_size=4), st.floats(0.5, 3), st.floats(-2, 2))
    def test_a_relative_code_forgets_the_contexts_level_and_range(
        self, rewards: list[float], scale: float, shift: float
    ) -> None:
        worths = np.array([rewards[0] + rewards[1], rewards[0], rewards[2] + rewards[3], rewards[2]])
        changed = worths.copy()
        changed[:2] = scale * changed[:2] + shift
        assert coded_worths(worths, relative=True) == pytest.approx([1, 0, 1, 0], abs=1e-9)
        assert coded_worths(changed, relative=True) == pytest.approx([1, 0, 1, 0], abs=1e-9)

    def test_v_pi_of_random_play_takes_the_better_object(self) -> None:
        """A policy that avoids nothing has values that are worths."""
        scores = preference_cells.exact_scores(untrained_player(CROSSED), CROSSED, doors(), uniform_share=1.0)
        assert forced_choices(doors(), scores).tolist() == np.zeros((4, 12)).tolist()

    def test_where_d_ends_is_where_it_is_seen_to_end(self) -> None:
        experts = demonstrate(CROSSED, CROSSED.levels("test"), num_episodes=400, seed=0)
        player, _ = imitate(untrained_player(CROSSED), experts, ImitationConfig(num_updates=60), seed=0)
        exact = preference_cells.ends_at_worse(player, CROSSED, doors())
        assert 0.0 < exact.max() < 0.4, "experts take the better object, and this player half has it from them"
        played = record_episodes(
            player, "ValueLab/TwoDoors-v0", num_episodes=2000, seed=0, uniform_share=0.0, split="test",
            options={"layout": "crossed", "num_levels": 1600},
        )  # fmt: skip
        assert played.rows is not None
        for index, (better, worse) in enumerate(PAIRS):
            shown = (played.rows[played.offsets[:-1]][:, 1:] >= 0)[:, ["ABCD".index(better), "ABCD".index(worse)]]
            ends = played.events[played.offsets[1:] - 1][shown.all(axis=1)]
            taken = ends[ends >= 0] == "ABCD".index(worse)
            assert taken.mean() == pytest.approx(exact[index], abs=0.12)


@pytest.mark.parametrize("normalise", [False, True])
def test_reinforce_reverses_in_the_plainest_model(normalise: bool) -> None:
    """The known answer for D, without any network: C over B with probability .95 or more."""
    for seed in range(2):
        logits = reinforced_bandit(normalise=normalise, seed=seed)
        assert 1.0 / (1.0 + np.exp(logits[1] - logits[2])) >= 0.95
        assert logits[0] > logits[1] and logits[2] > logits[3]


def test_t6_is_silent_without_its_known_answers() -> None:
    lines = {"RELATIVE": {0: 1.0, 1: 1.0}, "ABSOLUTE": {0: 0.0, 1: 0.0}, "D": {0: 1.0, 1: 0.96}}
    assert preference_cells.fault(lines) is None
    assert "probability 0.90" in str(preference_cells.fault({**lines, "D": {0: 1.0, 1: 0.9}}))
    assert "not told" in str(preference_cells.fault({**lines, "RELATIVE": lines["ABSOLUTE"]}))
    assert "missing" in str(preference_cells.fault({"D": lines["D"]}))


def ends_from(codes: list[list[list[int]]]) -> Ends:
    """Ends of walks given as objects [maze][exchange][start], -1 for none."""
    objects = np.array(codes)
    return Ends(np.stack([objects == CHEESE, objects == DISH], axis=-1).astype(float), np.ones(objects.shape))


class TestPursuit:
    CHEESE_TWICE, DISH_TWICE = [[0, 0], [0, 0]], [[1, 1], [1, 1]]

    def test_two_ends_name_the_goal(self) -> None:
        found = goal_probabilities(ends_from([[[0, 1], [0, 1]], [[0, 1], [1, 0]], [[0, -1], [-1, 1]]]).probability)
        expected = [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]]]
        assert found.tolist() == expected

    def test_agreement_of_hand_made_mazes(self) -> None:
        assert pursuit(ends_from([self.CHEESE_TWICE, self.DISH_TWICE])).agreement == pytest.approx(1.0)
        assert pursuit(ends_from([self.CHEESE_TWICE] * 3)).agreement == 0.0
        against = [[0, 1], [0, 1]]
        assert pursuit(ends_from([against, against])).agreement == pytest.approx(-1.0)
        every = [self.CHEESE_TWICE, self.DISH_TWICE, against, [[1, 0], [1, 0]]]
        mixed = pursuit(ends_from(every))
        assert mixed.agreement == pytest.approx(0.0) and mixed.masses.tolist() == [0.5, 0.5, 0.0]
        assert mixed.entropy == pytest.approx(np.log(2)) and mixed.num_goals == 2

    def test_no_arrival_is_no_goal(self) -> None:
        lost = pursuit(ends_from([[[-1, -1], [-1, -1]]]))
        assert (lost.masses.tolist(), lost.agreement, lost.num_goals) == ([0.0, 0.0, 0.0], 0.0, 0)

    @settings(deadline=None)
    @given(st.integers(0, 2**31))
    def test_goals_are_a_distribution_and_independent_starts_agree_by_chance(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        one = rng.dirichlet(np.ones(3), size=2)[:, None, :2]
        ends = np.broadcast_to(one, (5, 2, 2, 2))
        found = goal_probabilities(ends)
        assert found.min() >= 0 and found.sum(axis=-1).max() <= 1 + 1e-12
        assert pursuit(Ends(ends, np.ones((5, 2, 2)))).agreement == pytest.approx(0.0, abs=1e-9)


class TestMazes:
    def test_starts_are_fair_and_far_apart(self) -> None:
        away = mazes().distances[mazes().starts]
        assert (away[..., 0] == away[..., 1]).all() and away.min() >= 2
        rows = mazes().rows[mazes().starts].astype(int)
        assert (rows[:, 0, :, 1:3] == rows[:, 1, :, 2:0:-1]).all()
        assert (rows[:, 0, :, 0] == rows[:, 1, :, 0]).all()
        first, second = rows[:, 0, 0, 0], rows[:, 0, 1, 0]
        assert (np.abs(first // 64 - second // 64) + np.abs(first % 64 - second % 64)).min() >= 4
        assert mazes().exchanged[mazes().starts[:, 1]].all() and not mazes().exchanged[mazes().starts[:, 0]].any()

    def test_moves_are_the_worlds(self) -> None:
        chosen = np.random.default_rng(0).choice(len(mazes().rows), size=200)
        ahead = ROOM.expand(mazes().rows[chosen]).next_rows[:, :, 0]
        assert (mazes().rows[mazes().following[chosen]][..., :3] == ahead[..., :3]).all()

    def test_ends_agree_with_walking(self) -> None:
        values = np.random.default_rng(1).normal(size=len(mazes().rows)) * 0.02 + goal_values(mazes(), DISH)
        found = ends_of(mazes(), greedy(mazes(), values))
        for maze in range(12):
            state, steps = int(mazes().starts[maze, 0, 0]), 0
            while 1 not in mazes().distances[state] and steps < mazes().time_limit:
                state, steps = int(mazes().following[state, values[mazes().following[state]].argmax()]), steps + 1
            met = mazes().distances[state] == 1
            assert found.probability[maze, 0, 0].tolist() == met.astype(float).tolist()
            fewest = mazes().distances[mazes().starts[maze, 0, 0], 0] - 1
            expected = mazes().discount ** (steps - fewest) if met.any() else 0.0
            assert found.efficiency[maze, 0, 0] == pytest.approx(expected)

    def test_exact_values_have_one_goal(self) -> None:
        for goal, name in ((CHEESE, "cheese"), (DISH, "dish"), (PLACE, "place")):
            found = goal_split(mazes(), ends_of(mazes(), greedy(mazes(), goal_values(mazes(), goal))))
            assert found.found.masses[GOALS.index(name)] == 1.0 and found.found.efficiency == pytest.approx(1.0)
            assert found.score == 0.0 and not found.splits

    def test_one_goal_with_a_few_lapses_splits_nothing(self) -> None:
        """Two lapses in one maze agree by chance; without a second goal of a mass above .1 that is no split."""
        ends = ends_of(mazes(), greedy(mazes(), goal_values(mazes(), CHEESE)))
        ends.probability[0] = ends.probability[0][..., ::-1]
        found = goal_split(mazes(), ends)
        assert found.found.agreement > 0.9 and found.score == 0.0 and not found.splits

    def test_noise_is_found_for_an_entropy(self) -> None:
        assert pursuit(single_goal(mazes(), CHEESE, entropy=0.5)).entropy == pytest.approx(0.5, abs=0.1)
        assert pursuit(single_goal(mazes(), CHEESE, entropy=0.0)).masses[CHEESE] == pytest.approx(1.0)

    def test_a_sampled_walk_has_the_frequencies_of_its_policy(self) -> None:
        ends = single_goal(mazes(), CHEESE, entropy=0.6)
        draws = [sampled(ends, rng=np.random.default_rng(seed)).probability for seed in range(400)]
        assert np.mean(draws, axis=0) == pytest.approx(ends.probability, abs=0.12)
        assert set(np.unique(draws)) == {0.0, 1.0}

    def test_planted_agents_come_out(self) -> None:
        scores = {
            plant: [
                goal_split(mazes(), goal_cells.planted_ends(mazes(), plant, rng=np.random.default_rng(seed)))
                for seed in range(5)
            ]
            for plant in goal_cells.PLANTS
        }
        assert min(found.score for found in scores["TWO-GOALS"]) > 0.95
        assert all(found.splits for found in scores["TWO-GOALS"])
        for plant in ("ONE-GOAL", "INDIFFERENT"):
            assert abs(np.mean([found.score for found in scores[plant]])) < 0.1
        two, one = (np.mean([f.found.entropy for f in scores[plant]]) for plant in ("TWO-GOALS", "ONE-GOAL"))
        assert one == pytest.approx(two, abs=0.15)
        lines = {plant: {i: found.score for i, found in enumerate(each)} for plant, each in scores.items()}
        assert goal_cells.fault(lines) is None
        assert "not told" in str(goal_cells.fault({**lines, "TWO-GOALS": lines["ONE-GOAL"]}))


class TestIntegration:
    @pytest.mark.parametrize("label", ["TwoDoors", "DishMaze"])
    def test_true_reward_repairs_what_v_alone_cannot(self, label: str) -> None:
        doors = label == "TwoDoors"
        world, choose = (CROSSED, search_cells.share_of_doors) if doors else (ROOM, search_cells.share_of_cheese)
        minds = {arm: Mind(world, search_cells.planted_value(arm, world), None) for arm in search_cells.PLANTS}
        shares = {
            (arm, name, n): choose(mind, MANNERS[name], n)
            for arm, mind in minds.items() for name in ("reward", "V alone") for n in (0, SIMULATIONS[-1])
        }  # fmt: skip
        assert shares["WRONG", "reward", 0] == shares["WRONG", "V alone", 0] == shares["WRONG", "V alone", 64] == 0.0
        assert shares["WRONG", "reward", 64] > 0.25
        assert all(share == 1.0 for (arm, _, _), share in shares.items() if arm == "RIGHT")

    def test_one_simulation_takes_the_priors_best_allowed_action(self) -> None:
        player, rows = untrained_player(CROSSED), doors().rows[REVERSED]
        logits = player.policy_logits(CROSSED.observe(rows)).detach().numpy()
        mind = Mind(CROSSED, lambda states: value_table(player, CROSSED, states), player)
        assert (act(mind, rows, MANNERS["D as prior"], num_simulations=1) == logits.argmax(axis=1)).all()
        allowed = np.eye(4, dtype=bool)[logits.argmin(axis=1)]
        kept = dataclasses.replace(mind, allowed=allowed)
        for n in (0, 1, 16):
            assert (act(kept, rows, MANNERS["D as prior"], num_simulations=n) == logits.argmin(axis=1)).all()

    def test_without_search_it_is_v1(self) -> None:
        rows = doors().rows[REVERSED]
        mind = Mind(CROSSED, lambda states: planted_values(states, CROSSED.reward_weights, 0.95), None)
        best = action_values(CROSSED, rows, mind.value).argmax(axis=1)
        assert (act(mind, rows, MANNERS["reward"], num_simulations=0) == best).all()

    def test_near_starts_are_fair(self) -> None:
        rows = search_cells.near_starts()
        away = np.abs(rows[:, :1] // 64 - rows[:, 1:3] // 64) + np.abs(rows[:, :1] % 64 - rows[:, 1:3] % 64)
        assert len(rows) == search_cells.NUM_WALKS and (away[:, 0] == away[:, 1]).all() and away.max() <= 4
        assert (rows[::2, 1:3] == rows[1::2, 2:0:-1]).all()


class TestRecordings:
    def test_labels_name_worlds_and_recorders(self) -> None:
        assert yoked.world_name("TwoDoors@explored") == yoked.world_name("TwoDoors") == "TwoDoors"
        assert yoked.recorder_of("TwoDoors@normalised") == "comparison.record_reinforced"
        assert yoked.recorder_of("MultiNeed") == yoked.RECORD
        assert settings_of("TwoDoors@normalised", 10).normalize_advantage
        assert not settings_of("TwoDoors", 10).normalize_advantage
        assert yoked.options_of("DishMaze@dose10", 0)["dose"] == 0.1 and yoked.options_of("DishMaze", 0)["dose"] == 0.0
        assert SETUPS["TwoDoors@explored"].uniform_share == 1.0

    def test_arms_that_mean_nothing_there_are_left_out(self) -> None:
        assert "POS" not in preference_cells.TEST.arms and "ROUTE" in preference_cells.TEST.arms
        kept = {name: ARMS[name] for name in goal_cells.TEST.arms}
        assert {"MONO", "MOE", "DISTILL"} <= kept.keys() and not {"POS", "NEG-F", "ROUTE", "ROUTE-RAND"} & kept.keys()


@pytest.mark.slow
def test_the_cells_run_and_d_is_the_same_in_all_arms(tmp_path: Path) -> None:
    """D's known answer from a real recording; small networks for V."""
    worlds = ("TwoDoors", "DishMaze")
    small = {
        name: dataclasses.replace(SETUPS[name], value_updates=200, num_episodes=2000, num_checked_levels=5)
        for name in worlds
    }
    plan = make_plan(
        "quick", tests=("T4", "T6", "T10a", "T10b"), arms=("MONO", "MOE", "NEG-F"), worlds=worlds, num_seeds=2,
        setups=small,
    )  # fmt: skip
    result = run_comparison(plan, tmp_path, workers=2)
    assert result.study.exit_code == 0 and not result.study.failed
    test = result.scores.tests["T6"]
    assert test.lines.keys() == {"MONO", "MOE", "NEG-F", *preference_cells.PLANTS}
    assert test.controls is None, test.controls
    assert test.extra["D"]["MONO"] == test.extra["D"]["MOE"] == test.lines["D"]
    assert min(test.lines["D"].values()) >= 0.95
    goals = result.scores.tests["T4"].lines
    assert goals.keys() == {"MONO", "MOE", *goal_cells.PLANTS}
    assert min(goals["TWO-GOALS"].values()) > 0.95 and max(map(abs, goals["ONE-GOAL"].values())) < 0.25
    assert {"T10-TwoDoors-V-alone.png", "T10-DishMaze-reward.png"} <= {path.name for path in result.figures}


def test_a_stationary_policy_ends_nowhere() -> None:
    stays = np.zeros((len(mazes().rows), 4))
    stays[:, 0] = 1.0
    found = ends_of(mazes(), stays)
    assert found.probability.sum(axis=-1).max() <= 1.0
    assert (found.efficiency <= 1.0 + 1e-12).all()
    assert policy_table(untrained_player(ROOM), ROOM, mazes().rows[:10]).shape == (10, 4)
