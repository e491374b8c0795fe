"""Learners of rewards in case worlds: greedy actions, tabular Q, the scorecard, the commands, the calibration study."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from agents.actors import make_actor
from agents.agent import AlphaAgent, build_agent
from agents.checkpoint import save_agent
from agents.config import AgentConfig
from agents.greedy import greedy_actions
from agents.playing import play_batches
from agents.presets import recommended
from agents.tabular_q import QConfig, learn_q
from analysis.cells import CellContext
from analysis.cli import NicenessTrain, main
from analysis.commands.niceness_train import as_train
from analysis.niceness.scorecard import score
from analysis.studies import niceness_calibration as calibration
from analysis.studies import niceness_learners
from analysis.studies.niceness_learners import ACTORS, LEARNERS, Setup, Task, beginner
from analysis.studies.question import answer
from analysis.studies.value_heads import HEADS
from analysis.study import CellRecord
from envs.enumeration import TabularMDP, enumerate_world
from envs.errors import UserError
from envs.niceness.case_configs import case_of
from envs.niceness.case_registry import make_case
from envs.niceness.case_world import FIRST_THETA
from envs.niceness.objectives import find_objective
from envs.niceness.policies import expected, inert
from envs.niceness.row_policies import optimal_share, policy_on_rows
from envs.niceness.utilities import Present
from envs.registry import make_world
from envs.rows import World
from envs.step_buffers import observation_space
from envs.tabular import policy_evaluation, start_value, value_iteration

ENV_ID = "ValueLab/Triad-v0"
EXAMPLES = Path(__file__).parent.parent / "examples" / "cases"
TINY = Setup(q_steps=256, reinforce_steps=64, num_outcomes=8, value_updates=2, ppo_steps=64, dqn_steps=1100)
Solved = tuple[World, TabularMDP]


def solved(**options: object) -> Solved:
    world = make_world("Triad", **options)
    return world, enumerate_world(world, [0])


def untrained(world: World, mdp: TabularMDP, *, seed: int = 0, encoder: str = "mlp") -> AlphaAgent:
    config = AgentConfig(encoder=encoder, encoder_sizes=(16,), hidden_size=16)
    sample = world.observe(mdp.rows)
    return build_agent(observation_space(world), world.num_actions, config, seed=seed, sample=sample)


def best_actions(mdp: TabularMDP) -> np.ndarray:
    return value_iteration(mdp).action_values.argmax(axis=1)


class TestGreedyActions:
    @pytest.mark.parametrize("actor", ["D", "V1", "search-16", "search-5,rule=puct"])
    def test_they_are_what_the_actor_plays(self, actor: str) -> None:
        world, mdp = solved(kappa=0.5, starts="uniform")
        agent = untrained(world, mdp, seed=3)
        said = dict(zip(map(bytes, mdp.rows), greedy_actions(agent, world, mdp.rows, actor=actor), strict=True))
        (played,) = play_batches(
            ENV_ID, agent.spec, lambda env, first: make_actor(actor, agent, env, seed=0, first_env=first),
            num_episodes=40, seed=1, name="greedy", options={"kappa": 0.5, "starts": "uniform"}, split="train",
            keep=True,
        )  # fmt: skip
        assert len(played.actions) == 240
        assert [said[bytes(row)] for row in played.rows] == played.actions.tolist()

    def test_a_memory_and_rollouts_are_refused(self) -> None:
        world, mdp = solved()
        with pytest.raises(UserError, match="has a memory"):
            greedy_actions(untrained(world, mdp, encoder="gru"), world, mdp.rows)
        with pytest.raises(UserError, match="rollouts are samples"):
            greedy_actions(untrained(world, mdp), world, mdp.rows, actor="search-4,rollout_share=0.5")

    @pytest.mark.parametrize("actor", ACTORS)
    def test_the_last_step_alone_can_be_asked_for(self, actor: str) -> None:
        """All episodes end with it, so that V is asked about nothing."""
        world, mdp = solved(kappa=0.5)
        agent, last = untrained(world, mdp), mdp.rows[:, 5] == 1
        alone = greedy_actions(agent, world, mdp.rows[last], actor=actor)
        assert alone.tolist() == greedy_actions(agent, world, mdp.rows, actor=actor)[last].tolist()


class TestTabularQ:
    @pytest.mark.parametrize("objective", ["RT", "IR", "NS", "PR-E", "Myopic"])
    @pytest.mark.parametrize("kappa", [0.1, 0.5, 1])
    def test_it_finds_the_optimum(self, objective: str, kappa: float) -> None:
        world, mdp = solved(kappa=kappa, objective=objective)
        q = learn_q(world, mdp, QConfig(num_steps=100_000), seed=1)
        policy = np.eye(world.num_actions)[q.argmax(axis=1)]
        assert start_value(mdp, policy_evaluation(mdp, policy)) == pytest.approx(
            start_value(mdp, value_iteration(mdp).values)
        )

    def test_the_same_seed_gives_the_same_table(self) -> None:
        world, mdp = solved(kappa=0.5)
        first, again, other = (learn_q(world, mdp, QConfig(num_steps=2000), seed=seed) for seed in (1, 1, 2))
        assert (first == again).all() and (first != other).any()

    def test_where_nothing_is_left_to_chance_it_converges_to_q(self) -> None:
        world, mdp = solved(T=3, d=2)
        q = learn_q(world, mdp, QConfig(num_steps=60_000, horizon=3, last_exploration=1.0), seed=0)
        assert q == pytest.approx(value_iteration(mdp).action_values, abs=1e-4)

    def test_a_table_of_another_world_is_refused(self) -> None:
        with pytest.raises(UserError, match="The table has 4 actions, Triad 6"):
            learn_q(make_world("Triad"), solved(generic=True)[1], QConfig(), seed=0)


class TestPoliciesOnRows:
    @pytest.mark.parametrize("objective", ["RT", "IR", "NS"])
    def test_an_optimal_table_is_worth_the_optimum_and_optimal_throughout(self, objective: str) -> None:
        world, mdp = solved(kappa=0.5, objective=objective)
        case = case_of(world.config)
        plan = find_objective(objective, case).plan(case)
        policy = policy_on_rows(case, mdp.rows, best_actions(mdp))
        assert expected(policy, find_objective(objective, case).utility(case)) == plan.value
        assert optimal_share(policy, plan) == 1

    def test_one_wrong_step_counts_as_often_as_it_is_taken(self) -> None:
        """In the last step of six the agent waits; with κ = 1 it comes there for certain."""
        world, mdp = solved()
        actions = best_actions(mdp)
        actions[mdp.rows[:, 5] == 1] = world.action_names.index("wait")
        case = case_of(world.config)
        policy = policy_on_rows(case, mdp.rows, actions)
        assert optimal_share(policy, find_objective("RT", case).plan(case)) == Fraction(5, 6)
        assert expected(policy, Present(case)) == 14

    def test_rows_of_other_first_tastes_are_left_out(self) -> None:
        world, mdp = solved(starts="uniform", objective="IR")
        for first, value in zip(range(3), (11, 12, 18), strict=True):
            case = case_of(world.config).starting_at("ABE"[first])
            assert (mdp.rows[:, FIRST_THETA] == first).any()
            policy = policy_on_rows(case, mdp.rows, best_actions(mdp))
            assert expected(policy, find_objective("IR", case).utility(case)) == value

    def test_without_a_row_there_is_no_action(self) -> None:
        world, mdp = solved()
        policy = policy_on_rows(case_of(world.config), mdp.rows[:1], best_actions(mdp)[:1])
        with pytest.raises(UserError, match="No row of TRIAD stands for"):
            expected(policy, Present(case_of(world.config)))


class TestScorecard:
    @pytest.mark.parametrize(("objective", "kind", "mi", "li"), [("RT", "RT", 1, 0), ("NS", "NS", 0, 0)])
    def test_the_optimal_agent_of_an_objective(self, objective: str, kind: str, mi: int, li: int) -> None:
        world, mdp = solved(objective=objective)
        card = score(
            case_of(world.config), policy_on_rows(case_of(world.config), mdp.rows, best_actions(mdp)),
            made_for=objective,
        )  # fmt: skip
        assert (card.assignment, card.measures["mi"], card.measures["li"]) == (kind, mi, li)
        assert (card.regrets[objective].regret, card.optimal_share[objective]) == (0, 1)
        assert card.influences == card.intent["changes"] == (mi > 0) and card.mi_coupled == mi

    def test_the_inert_agent(self) -> None:
        card = score(make_case("TRIAD"), inert(make_case("TRIAD")), made_for="RT")
        assert (card.assignment, card.measures["mi"], card.influences) == ("other", 0, False)
        assert card.regrets["RT"].normalised == 1 and card.optimal_share["RT"] == 0
        assert json.loads(json.dumps(card.as_json()))["normalised_regrets"]["NS"] == 1.0

    def test_without_a_twin_nothing_is_assigned(self) -> None:
        case = dataclasses.replace(make_case("RANDOM-DRIFT"), channels=())
        card = score(case, inert(case), made_for="RT")
        assert card.assignment is card.mi_coupled is card.told_apart is None and "NS" not in card.regrets


class TestCommands:
    def test_a_run_is_trained_and_scored(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ["niceness", "train", "zealot", "--objective", "0.5*RT+0.5*IR", "--out", str(tmp_path / "run")]
        small = ["--reinforce.num-steps", "768", "--value.num-episodes", "16", "--value.num-updates", "2"]
        assert ran(*words, *small, "--episodes", "4", "--device", "cpu") == 0
        assert f"valuelab niceness scorecard {tmp_path / 'run'}\n" in capsys.readouterr().out
        settings = json.loads((tmp_path / "run" / "config.json").read_text())
        assert settings["env_id"] == "ValueLab/Case-v0"
        assert settings["options"] == {"case": "ZEALOT", "objective": "0.5*RT+0.5*IR"}
        out = tmp_path / "card.json"
        assert ran("niceness", "scorecard", str(tmp_path / "run"), "--actor", "V1", "--out", str(out)) == 0
        assert "ZEALOT from A, kappa 1, case ZEALOT" in capsys.readouterr().out
        card = json.loads(out.read_text())["A"]
        assert (card["made_for"], card["actor"], card["case"]) == ("0.5*RT+0.5*IR", "V1", "ZEALOT")
        assert card["run"] == str(tmp_path / "run") and card["options"] == {"kappa": 1, "case": "ZEALOT"}

    def test_a_run_on_a_file_is_scored_on_what_the_file_said_then(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        file, text = Path("own.toml"), (EXAMPLES / "clickbait.toml").read_text()
        turned = '\n[[move]]\naction = "clickbait"\nwhen = { kappa = 1 }\n'
        text = text.replace('\n[[move]]\naction = "clickbait"\n', turned)
        file.write_text(text.replace("horizon", "kappa = 1\nhorizon"))
        small = ["--reinforce.num-steps", "768", "--value.num-episodes", "16", "--value.num-updates", "2"]
        words = ["niceness", "train", "own.toml", "--option", "kappa=0", *small, "--episodes", "4", "--device", "cpu"]
        assert ran(*words) == 0
        run = tmp_path / "runs" / "niceness-own-RT-seed0"
        options = json.loads((run / "config.json").read_text())["options"]
        assert options["kappa"] == 0 and options["content"] == file.read_text()
        capsys.readouterr()
        file.write_text("changed since")
        monkeypatch.chdir("/")
        assert ran("niceness", "scorecard", str(run), "--option", "kappa=1/2") == 0
        assert "Clickbait from normal, kappa 1/2 (trained with 0), case own.toml" in capsys.readouterr().out
        other = f"case={EXAMPLES / 'clickbait.toml'}"
        assert ran("niceness", "scorecard", str(run), "--option", other) == 2
        assert "has no option 'kappa'" in capsys.readouterr().err

    def test_a_run_does_not_go_on_with_a_file_that_was_changed(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        file, text = Path("own.toml"), (EXAMPLES / "clickbait.toml").read_text()
        file.write_text(text)
        small = ["--reinforce.num-steps", "768", "--value.num-episodes", "16", "--value.num-updates", "2"]
        words = ["niceness", "train", "own.toml", *small, "--episodes", "4", "--device", "cpu", "--out", "run"]
        assert ran(*words) == 0
        (tmp_path / "run" / "metrics.json").unlink()
        file.write_text(text.replace("horizon = 2", "horizon = 3"))
        capsys.readouterr()
        assert ran(*words, "--resume") == 2
        assert "has options.content = " in capsys.readouterr().err
        file.unlink()
        assert ran("train", "ValueLab/Case-v0", "--out", "run", "--resume") == 0

    def test_an_agent_that_was_trained_weak_is_scored_strong(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = {"d": 7, "kappa": 0, "starts": "uniform"}
        world, mdp = solved(**options)
        save_agent(tmp_path / "run", untrained(world, mdp), extra={"env_id": ENV_ID, "options": options})
        strong = ("--option", "kappa=1", "--option", "d=3")
        assert ran("niceness", "scorecard", str(tmp_path / "run"), *strong) == 2
        assert "would see or do something else" in capsys.readouterr().err
        out = tmp_path / "card.json"
        assert ran("niceness", "scorecard", str(tmp_path / "run"), "--option", "kappa=1", "--out", str(out)) == 0
        text = capsys.readouterr().out
        assert all(f"TRIAD from {theta}, kappa 1 (trained with 0), d 7, " in text for theta in "ABE")
        assert text.index("V has not been trained") < text.index("TRIAD from")
        now = {"kappa": 1, "d": 7, "starts": "uniform"}
        for card in json.loads(out.read_text()).values():
            assert card["options"] == now and card["trained_with"] == now | {"kappa": 0}

    @pytest.mark.parametrize(
        ("case", "env_id", "options"),
        [
            ("triad", ENV_ID, ("objective=NS",)),
            ("ValueLab/Triad-G-v0", "ValueLab/Triad-G-v0", ("objective=NS",)),
            ("Side-Effect", "ValueLab/Case-v0", ("case=SIDE-EFFECT", "objective=NS")),
            (str(EXAMPLES / "moody.toml"), "ValueLab/Case-v0", (f"case={EXAMPLES / 'moody.toml'}", "objective=NS")),
        ],
    )
    def test_names_stand_for_worlds(self, case: str, env_id: str, options: tuple[str, ...]) -> None:
        train = as_train(NicenessTrain(case, objective="NS", seed=3, options=("d=2",)))
        assert (train.env_id, train.options) == (env_id, (*options, "d=2"))
        assert str(train.out).startswith("runs/niceness-") and str(train.out).endswith("-NS-seed3")

    def test_a_run_that_goes_on_has_its_objective(self) -> None:
        assert as_train(NicenessTrain("TRIAD")).options == ("objective=RT",)
        assert as_train(NicenessTrain("TRIAD", resume=True)).options == ()
        assert as_train(NicenessTrain("TRIAD", objective="IR", resume=True)).options == ("objective=IR",)

    @pytest.mark.parametrize(
        ("words", "cause"),
        [
            (("train", "TRAID"), "Did you mean 'TRIAD'"),
            (("train", "ValueLab/MultiNeed-v0"), "There is no case or world of people"),
            (("train", "TRIAD", "--option", "objective=IR"), "is given by --option; give it by --objective, once"),
            (("train", "TRIAD", "--objective", "NT"), "names 'NT'"),
            (("train", "TRIAD", "--objective", "CRT"), "as are CRT_without_last and CRT_mask, other readings of it"),
            (("train", "TRIAD", "--objective", "RT-IR"), "weights may not be negative"),
            (("scorecard", "nowhere"), "There is no run folder"),
        ],
    )
    def test_wrong_words_are_one_line(
        self, words: tuple[str, ...], cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        assert ran("niceness", *words) == 2
        error = capsys.readouterr().err
        assert cause in error and error.count("\n") == 1 and not list(tmp_path.iterdir())

    def test_an_agent_in_the_village_is_scored_from_each_start(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = {"size": 3, "horizon": 6, "study_start": 1, "study_period": 4, "start_theta": "any", "twin": False}
        world = make_world("Village", **options)
        agent = untrained(world, enumerate_world(world, [0]))
        save_agent(tmp_path / "run", agent, extra={"env_id": "ValueLab/Village-v0", "options": options})
        out = tmp_path / "card.json"
        assert ran("niceness", "scorecard", str(tmp_path / "run"), "--out", str(out)) == 0
        text = capsys.readouterr().out
        assert all(f"Village from {theta}" in text for theta in "ABE") and "RT: intent " in text
        assert {card["made_for"] for card in json.loads(out.read_text()).values()} == {"RT"}
        assert ran("niceness", "scorecard", str(tmp_path / "run"), "--option", "objective=IR") == 2
        assert "judges under every objective" in capsys.readouterr().err

    def test_what_holds_no_people_has_no_scorecard(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        world = make_world("TwoDoors")
        agent = build_agent(observation_space(world), 4, AgentConfig(encoder_sizes=(8,)), seed=0)
        save_agent(tmp_path / "run", agent, extra={"env_id": "ValueLab/TwoDoors-v0"})
        assert ran("niceness", "scorecard", str(tmp_path / "run")) == 2
        assert "holds no people with tastes" in capsys.readouterr().err


def ran(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(words)
    return int(stop.value.code or 0)


class TestCalibration:
    @pytest.mark.parametrize("learner", list(LEARNERS))
    def test_every_learner_plays_every_state(self, learner: str) -> None:
        task = Task(ENV_ID, {"kappa": 0.5}, "Myopic" if learner == "DQN" else "RT", seed=1)
        for player, actions in LEARNERS[learner](task, TINY):
            assert player in calibration.PLAYERS
            assert actions.shape == (task.mdp.num_states,) and set(actions) <= set(range(6))

    @pytest.mark.slow
    @pytest.mark.parametrize("learner", list(LEARNERS))
    def test_every_learner_ends_inside_the_exact_optimal_sets(self, learner: str) -> None:
        """One seed of the places that docs/niceness_calibration.md counts, with their own budgets."""
        task = Task(ENV_ID, {"kappa": 1.0}, "IR", seed=0)
        played = {player: calibration._judged(task, actions) for player, actions in LEARNERS[learner](task, Setup())}
        trained = {player: row for player, row in played.items() if player != niceness_learners.UNTRAINED}
        assert trained and all(row["optimal"] and row["mi_distance"] == 0 for row in trained.values())
        assert not any(row["optimal"] for player, row in played.items() if player not in trained)

    def test_the_optimal_table_meets_the_bar_and_the_inert_one_does_not(self) -> None:
        task = Task(ENV_ID, {"kappa": 0.5}, "RT", seed=0)
        row = calibration._judged(task, best_actions(task.mdp))
        assert row["optimal"] and row["mi_distance"] == row["li_distance"] == 0 and row["mi"] > 0.5
        waiting = calibration._judged(task, np.full(task.mdp.num_states, 5))
        assert not waiting["optimal"] and waiting["mi"] == 0 and waiting["mi_distance"] > 0.5
        assert calibration.meets_bar([row] * 9 + [waiting]) and not calibration.meets_bar([row] * 8 + [waiting] * 2)

    def test_the_words_tell_planted_misses_from_planted_hits(self) -> None:
        hit = {"player": "D", "optimal": True, "optimal_share": 1.0, "mi": 1.0, "mi_distance": 0.0}
        miss = {**hit, "optimal": False, "optimal_share": 0.5, "mi": 0.0, "mi_distance": 1.0}
        null = {**miss, "player": "D, untrained"}

        def records(*kinds: dict[str, object]) -> list[CellRecord]:
            config = {"learner": "ours", "objective": "RT", "kappa": 1.0}
            return [
                CellRecord(f"{n}", calibration.TRAIN, 1, {**config, "seed": n}, (), "finished", (row, null))
                for n, row in enumerate(kinds)
            ]  # fmt: skip

        good = calibration.report(records(*[hit] * 9, miss))
        assert good.found == (
            "1 of 1 places meet the bar.",
            "Null: 10 untrained networks, each judged in all places: 0 of 10 are optimal wherever they come.",
        )
        assert good.table[0]["κ = 1"] == "9/10; MI 0.00 to 1.00 (exact 1.00)"
        bad = calibration.report(records(*[hit] * 8, *[miss] * 2))
        assert "Not met: D on RT at κ = 1: 2 of 10 seeds" in bad.found[1] and "50 % of their steps" in bad.found[1]
        assert calibration.report(records(hit)).found[0] == "1 of 1 places have fewer than 10 finished seeds."

    def test_learners_without_heads_have_the_seeds_that_the_bar_asks_for(self) -> None:
        seeds = collections.defaultdict(set)
        for cell in calibration.cells(range(200, 220)):
            seeds[cell.config["learner"]].add(cell.config["seed"])
        few = set(range(200, 200 + calibration.FEWEST))
        assert seeds == {"E, D and V": set(range(200, 220)), "tabular Q": few, "PPO": few, "DQN": few}

    def test_heads_learn_from_one_recording_of_one_d(self) -> None:
        task = Task(ENV_ID, {"kappa": 0.5}, "RT", seed=1)
        agents = dict(niceness_learners.with_values(beginner(task), task, TINY))
        shown = task.world.observe(task.mdp.rows)
        logits = {head: agent.policy_logits(shown).detach().numpy().tobytes() for head, agent in agents.items()}
        assert tuple(agents) == HEADS and len(set(logits.values())) == 1
        assert [agent.value_head.num_parts for agent in agents.values()] == [1, 3, 3]
        sizes = [sum(one.numel() for one in agent.value_head.parameters()) for agent in agents.values()]
        assert max(sizes) <= 1.02 * min(sizes)

    def test_the_words_hold_shards_against_the_monolith(self) -> None:
        shares = {"V1, MONO": 1.0, "V1, MOE": 1.0, "V1, ROUTE": 0.5, "search-16, MONO": 1.0, "search-16, MOE": 0.5}
        rows = tuple(
            {"player": player, "optimal": share == 1, "optimal_share": share, "mi": share, "mi_distance": 1 - share}
            for player, share in shares.items()
        )
        config = {"learner": "E, D and V", "kappa": 1.0}
        records = [
            CellRecord(f"{n}", calibration.TRAIN, 1, {**config, "objective": name, "seed": n}, (), "finished", rows)
            for n in range(20) for name in ("RT", "NS")
        ]  # fmt: skip
        found = calibration.report(records).found
        what = "Share of the steps of {} that are optimal, {} − MONO: {}"
        for said in (("V1", "MOE", "equivalent"), ("V1", "ROUTE", "distinguishable, below 0"),
                     ("search-16", "MOE", "distinguishable, below 0")):  # fmt: skip
            assert any(one.startswith(what.format(*said)) for one in found)

    def test_a_cell_and_the_study_with_its_page(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(calibration, "OBJECTIVES", ("RT",))
        monkeypatch.setattr(calibration, "KAPPAS", (1.0,))
        monkeypatch.setattr(calibration, "LEARNERS", {"tabular Q": LEARNERS["tabular Q"]})
        tiny = functools.partial(calibration.cells, setup=TINY)
        question = dataclasses.replace(calibration.QUESTION, cells=tiny)
        found = answer(question, tmp_path, seeds=(0, 1), workers=0)
        page = found.page(question, command="valuelab study x")
        assert "| tabular Q | RT |" in page and "from 2 cells" in page and str(tmp_path) not in page
        config = {"learner": "tabular Q", "objective": "RT", "kappa": 1.0, "seed": 0, "setup": vars(TINY)}
        (row,) = calibration.train_one(CellContext(config, {}, tmp_path))
        assert row["player"] == "tabular Q" and 0 <= row["optimal_share"] <= 1


def test_settings_for_tastes_learn_from_rewards_alone_and_undiscounted() -> None:
    config = recommended(ENV_ID)
    assert config.stages == ("reinforce", "value") and config.reinforce.discount is config.value.discount is None
    assert make_world("Triad").discount == 1.0 and recommended("ValueLab/Case-Zealot-v0").stages == config.stages
