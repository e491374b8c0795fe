"""Every command end to end with tiny settings: what it prints, writes and returns."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import signal
import socket
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from interrupted_runs import at_update
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from agents import environments, experts, optimum
from agents.agent import build_agent
from agents.checkpoint import save_agent
from agents.config import AgentConfig, ImitationConfig, ReinforceConfig, TrainConfig, ValueConfig
from agents.environments import make_vector
from agents.evaluation import Evaluation, evaluate
from agents.experts import find_demonstrations
from agents.fields import settings_to_dict
from agents.measuring import Measured, measure
from agents.optimum import NUM_SEARCHED, Optimum, exact_optimum, search_optimum
from agents.presets import recommended
from agents.sb3 import ValueLabPolicy, agent_from_sb3, sample_observations
from agents.train import train
from analysis import progress
from analysis.cli import Train, main, parse
from analysis.commands import demo, probe
from analysis.commands.environments import parse_options
from analysis.commands.train import config_of
from analysis.instruments.probes import ProbeSettings
from analysis.predictions.crossed_history import crossing
from analysis.probe import Settings, probe_agent, probe_run
from analysis.probing.collecting import Collection
from analysis.runs import open_run
from analysis.studies import crossing_cells
from analysis.studies import plan as plans
from analysis.studies.yoked import Setup
from envs.beliefs import observation_numbers
from envs.episodes import Episodes
from envs.memoryless import memoryless_optimum
from envs.registry import WORLDS, make_world
from envs.search_demonstrations import search_demonstrations
from envs.storage import read_json, sha256
from envs.tabular import enumerate_world
from envs.vector import observation_space

STAGES = {
    "imitation": ImitationConfig(num_updates=100, batch_size=64),
    "reinforce": ReinforceConfig(num_steps=256, num_envs=8, rollout_length=16),
    "value": ValueConfig(num_updates=20, num_episodes=40),
}
TINY = [
    "--imitation.num-updates", "30", "--imitation.batch-size", "64", "--num-demonstrations", "40",
    "--reinforce.num-steps", "256", "--reinforce.num-envs", "8", "--reinforce.rollout-length", "16",
    "--value.num-updates", "20", "--value.num-episodes", "40", "--episodes", "16",
]  # fmt: skip
WORLD = ["ValueLab/MultiNeed-v0", "--option", "size=4", "--option", "num_objects=2", "--option", "num_levels=40"]
QUICK_PROBE = ProbeSettings(num_folds=2, num_inner_folds=2, penalties=(1.0,), num_resamples=50)
SETUP = Setup(
    num_demonstrations=60, imitation_updates=20, reinforce_steps=0, num_episodes=120, encoder_sizes=(16, 16),
    hidden_size=48, value_updates=20, batch_size=32, num_checked_levels=2,
)  # fmt: skip


class Endless(gym.Env[int, int]):
    """Nothing ever happens, and nobody says when it is over."""

    observation_space, action_space = gym.spaces.Discrete(2), gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return action, 0.0, False, False, {}


class Ran:
    """A command that was run: its exit code, and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys, self.out, self.err = capsys, "", ""

    def __call__(self, *words: object) -> int:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        self.out, self.err = self.capsys.readouterr()
        return int(stop.value.code or 0)


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Ran:
    return Ran(capsys)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No command binds a port, connects, or looks a name up."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a command used the network: {args}")

    for name in ("bind", "connect", "connect_ex", "listen"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection", "create_server"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.chdir(tmp_path)
    # A slow machine shows progress where a fast one does not.
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", math.inf)


@pytest.fixture
def tiny_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "SETUPS", MappingProxyType(dict.fromkeys(plans.SETUPS, SETUP)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.raises(SystemExit) as stop:
        main(["train", *WORLD, *TINY, "--value-head", "MOE", "--out", str(folder)])
    assert stop.value.code == 0
    return folder


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}


class TestTrain:
    @pytest.mark.parametrize(
        ("words", "changed"),
        [
            ([], {}),
            (["--num-demonstrations", "500"], {"num_demonstrations": 500}),
            (["--demonstration-noise", "0"], {"demonstration_noise": 0.0}),
            (
                ["--demonstration-shares", ".5", ".3", ".2", "--demonstration-temperature", ".1"],
                {"demonstration_shares": [0.5, 0.3, 0.2], "demonstration_temperature": 0.1},
            ),
            (["--reinforce.num-steps", "200000"], {"reinforce": {"num_steps": 200_000}}),
            (["--reinforce.num-steps", "50000"], {"reinforce": {"num_steps": 50_000}}),
            (["--value.num-updates", "10000", "--value.anneal"], {"value": {"num_updates": 10_000, "anneal": True}}),
            (["--value.target", "monte_carlo"], {"value": {"target": "monte_carlo"}}),
            (["--imitation.learning-rate", "0.003"], {"imitation": {"learning_rate": 0.003}}),
            (["--encoder", "conv"], {"agent": {"encoder": "conv"}}),
            (["--value-head", "ROUTE"], {"agent": {"head": "ROUTE"}}),
            (
                ["--value-head", "ROUTE", "--route-encoder", "routed"],
                {"agent": {"head": "ROUTE", "route_encoder": "routed"}},
            ),
        ],
    )
    def test_what_is_given_replaces_its_own_field_and_no_other(
        self, words: list[str], changed: dict[str, Any]
    ) -> None:
        """Also where the value given is the plain default of `TrainConfig`, which the preset departs from."""
        command = parse(["train", "ValueLab/MultiNeed-v0", "--seed", "7", *words])
        assert isinstance(command, Train)
        expected = settings_to_dict(recommended("ValueLab/MultiNeed-v0", seed=7))
        for name, value in changed.items():
            expected[name] = {**expected[name], **value} if isinstance(value, dict) else value
        assert settings_to_dict(config_of(command)) == expected

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["--value-head", "ROUTE"], "routed"),
            (["--value-head", "MONO-ROUTE"], "global"),
            (["--value-head", "MONO-ROUTE", "--route-encoder", "routed"], "routed"),
        ],
    )
    def test_credit_is_not_routed_into_e_where_that_diverges(self, words: list[str], expected: str) -> None:
        command = parse(["train", "ValueLab/CrossedHistory-v0", *words])
        assert isinstance(command, Train)
        assert config_of(command).agent.route_encoder == expected

    def test_it_says_what_matters_and_what_to_do_next(self, ran: Ran) -> None:
        assert ran("train", *WORLD, *TINY, "--seed", 3) == 0
        folder = Path("runs/ValueLab-MultiNeed-v0-MONO-seed3")
        assert ran.out.startswith("Device cpu: ")
        assert ran.out.count("Device ") == 1
        for part in ("V1", "training", "held out", "Optimum (discounted): exact", f"valuelab evaluate {folder}",
                     f"valuelab probe {folder}"):  # fmt: skip
            assert part in ran.out
        names = {"config.json", "curve.jsonl", "metrics.json", "curve.png", "checkpoint"}
        assert names <= {path.name for path in folder.iterdir()}
        assert not ran.err

    def test_what_is_printed_is_what_is_written(self, ran: Ran, tmp_path: Path) -> None:
        assert ran("train", *WORLD, *TINY, "--seed", 5, "--out", tmp_path / "run") == 0
        printed = re.findall(r"^ (D|V1) +(training|held out) +([\d.]+) ± [\d.]+ +([\d.]+) ± [\d.]+ +([\d.]+) ", ran.out,
                             flags=re.MULTILINE)  # fmt: skip
        written = read_json(tmp_path / "run" / "metrics.json")["evaluations"]
        splits = {"train": "training", "test": "held out"}
        assert printed == [
            (row["actor"], splits[row["split"]], f"{row['mean_return']:.3f}", f"{row['mean_discounted_return']:.3f}",
             f"{row['optimum']['discounted']:.3f}")
            for row in written
        ]  # fmt: skip
        assert len(printed) == 4
        accuracy = read_json(tmp_path / "run" / "metrics.json")["value_accuracy"]
        sentence = f"V is within {accuracy['relative_error']:.2f} sd of the exact value of the policy that it learned "
        assert sentence in " ".join(ran.out.split())
        assert ran("evaluate", tmp_path / "run", "--episodes", 8) == 0
        assert sentence in " ".join(ran.out.split())

    def test_v_is_not_judged_where_it_was_not_trained(self, ran: Ran, tmp_path: Path) -> None:
        assert ran("train", *WORLD, *TINY, "--stages", "imitate", "--out", tmp_path / "run") == 0
        assert "V is within" not in ran.out
        assert read_json(tmp_path / "run" / "metrics.json")["value_accuracy"] is None
        assert ran("evaluate", tmp_path / "run", "--episodes", 8) == 0
        assert "V is within" not in ran.out

    def test_settings_and_options_reach_the_run(self, run: Path) -> None:
        config = read_json(run / "config.json")
        assert config["options"] == {"size": 4, "num_objects": 2, "num_levels": 40}
        assert config["settings"]["agent"]["head"] == "MOE"
        numbers = {stage: config["settings"][stage].get("num_updates") for stage in ("imitation", "value")}
        assert numbers | {"steps": config["settings"]["reinforce"]["num_steps"]} == {
            "imitation": 30, "value": 20, "steps": 256,
        }  # fmt: skip
        opened = open_run(run)
        assert (opened.env_id, opened.options["size"]) == ("ValueLab/MultiNeed-v0", 4)

    def test_a_foreign_env_with_text(self, ran: Ran, tmp_path: Path) -> None:
        out = tmp_path / "run"
        assert ran("train", "MiniGrid-Empty-5x5-v0", *TINY, "--out", out, "--stages", "imitate", "value") == 0
        assert ran.out.count("mission") == 1 and "Dropped" in ran.out
        assert "V1" not in ran.out and "Optimum (undiscounted): shortest plans found by search" in ran.out
        assert {json.loads(line)["stage"] for line in (out / "curve.jsonl").open()} == {"imitate", "value"}
        assert ran("evaluate", out, "--episodes", 8) == 0
        assert "V1 is left out" in ran.out
        assert ran("probe", out, *NAMED, "--episodes", 20) == 0
        assert "not applicable" in ran.out

    def test_without_an_expert_the_stage_is_left_out_in_words(self, ran: Ran, tmp_path: Path) -> None:
        assert ran("train", "FrozenLake-v1", *TINY, "--out", tmp_path / "run") == 0
        assert "Stage imitate is left out" in ran.out
        assert "Optimum: not known" in ran.out

    def test_an_env_without_a_time_limit_gets_one_and_the_table_says_so(
        self, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(environments, "DEFAULT_TIME_LIMIT", 50)
        monkeypatch.setitem(gym.registry, "Endless-v0", gym.envs.registration.EnvSpec("Endless-v0", Endless))
        assert ran("train", "Endless-v0", *TINY, "--out", tmp_path / "run") == 0
        (played,) = read_json(tmp_path / "run" / "metrics.json")["evaluations"]
        assert played["mean_length"] == 50 and played["num_cut"] == played["num_episodes"] == 16
        words = " ".join(ran.out.split())
        assert "16 of 16 episodes of D were cut after 50 steps" in words and "max_episode_steps=N" in words
        assert ran("train", "Endless-v0", *TINY, "--option", "max_episode_steps=30", "--out", tmp_path / "b") == 0
        (played,) = read_json(tmp_path / "b" / "metrics.json")["evaluations"]
        assert (played["mean_length"], played["num_cut"]) == (30, 0)

    def test_the_curve_goes_to_tensorboard_when_asked(self, ran: Ran, tmp_path: Path) -> None:
        assert ran("train", *WORLD, *TINY, "--out", tmp_path / "run", "--tensorboard") == 0
        assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


class TestEvaluate:
    def test_a_table_of_actors_and_splits_that_changes_nothing(self, ran: Ran, run: Path) -> None:
        before = content(run)
        assert ran("evaluate", run, "--episodes", 32, "--seed", 5) == 0
        rows = re.findall(r"^ (D|V1) +(training|held out) +[\d.]+ ± [\d.]+ ", ran.out, flags=re.MULTILINE)
        assert rows == [("D", "training"), ("V1", "training"), ("D", "held out"), ("V1", "held out")]
        assert "over the episodes of this one agent" in ran.out
        assert content(run) == before

    def test_a_v_that_was_never_trained_is_said_to_be_none(self, ran: Ran, run: Path, tmp_path: Path) -> None:
        words = ["--reinforce.num-steps", "256", "--num-demonstrations", "10", "--imitation.num-updates", "5"]
        assert ran("train", *WORLD, *words, "--stages", "imitate", "--episodes", 4, "--out", tmp_path / "run") == 0
        for folder, said in ((tmp_path / "run", True), (run, False)):
            assert ran("evaluate", folder, "--episodes", 4) == 0
            assert ("V has not been trained" in ran.out) == said

    def test_a_return_below_zero_is_no_share_of_the_optimum(self) -> None:
        found = Optimum(None, 7.5, "shortest plans")
        played = Evaluation(
            actor="D", greedy=True, split="seeds", discount=0.99, returns=np.array([-200.0, 10.0]),
            discounted_returns=np.zeros(2), lengths=np.ones(2, np.int64), levels=np.zeros(2, np.int64),
            performance=np.zeros(2), terminated=np.ones(2, np.bool_),
        )  # fmt: skip
        assert Measured(played, found, remembers=False).share is None
        better = dataclasses.replace(played, returns=np.array([2.0, 4.0]))
        assert Measured(better, found, remembers=False).share == pytest.approx(0.4)

    def test_a_checkpoint_without_its_run_is_enough(self, ran: Ran, run: Path) -> None:
        assert ran("evaluate", run / "checkpoint", "--episodes", 8, "--actor", "D") == 0
        assert "MOE on ValueLab/MultiNeed-v0" in ran.out

    def test_its_numbers_are_those_of_the_library(self, ran: Ran, run: Path) -> None:
        opened = open_run(run)
        played = evaluate(
            opened.agent, opened.env_id, num_episodes=32, seed=5, split="test", options=opened.options, actor="V1"
        )
        assert ran("evaluate", run, "--episodes", 32, "--seed", 5, "--actor", "V1") == 0
        held_out = next(line for line in ran.out.splitlines() if "held out" in line)
        assert f"{played.discounted_returns.mean():.3f}" in held_out
        assert f"{exact_optimum(make_world(opened.env_id, **opened.options), played).discounted:.3f}" in held_out

    def test_the_exact_optimum_is_the_mean_of_the_shortest_distances(self, run: Path) -> None:
        """V* = γ^(distance − 1) in MultiNeed, by hand."""
        opened = open_run(run)
        world = make_world(opened.env_id, **opened.options)
        played = evaluate(opened.agent, opened.env_id, num_episodes=16, seed=5, options=opened.options)
        expected = []
        for level in played.levels:
            for start in range(world.num_starts):
                agent, *objects, need, _ = world.begin([level], [start])[0].tolist()
                # Cells are numbered 64 y + x.
                (y, x), (goal_y, goal_x) = divmod(agent, 64), divmod(objects[need], 64)
                steps = abs(y - goal_y) + abs(x - goal_x)
                expected.append(world.discount ** (steps - 1))
        found = exact_optimum(world, played)
        assert found.discounted == pytest.approx(sum(expected) / len(expected), abs=1e-9)

    @pytest.mark.parametrize("encoder", ["mlp", "gru"])
    def test_a_world_that_hides_its_state_is_reported_with_what_can_be_reached(
        self, ran: Ran, tmp_path: Path, encoder: str
    ) -> None:
        options: dict[str, Any] = {"size": 3, "num_objects": 4, "num_levels": 40, "context": "hidden"}
        agent = AgentConfig(encoder=encoder, encoder_sizes=(8,), hidden_size=8, memory_size=8)
        config = TrainConfig(agent=agent, num_demonstrations=40, **STAGES)
        trained = train("ValueLab/MultiNeed-v0", config, tmp_path / "run", options=options).agent
        assert ran("evaluate", tmp_path / "run", "--episodes", 64, "--seed", 5) == 0
        world = make_world("MultiNeed", **options)
        played = evaluate(trained, "ValueLab/MultiNeed-v0", num_episodes=64, seed=5, split="test", options=options)
        found = exact_optimum(world, played)
        assert found.observed is not None
        mdp = enumerate_world(world, played.levels)
        best = memoryless_optimum(mdp, observation_numbers(world, mdp.rows))
        assert (found.observed.without_memory, found.observed.with_memory) == pytest.approx(
            (best.value, best.with_memory), abs=1e-9
        )
        assert best.value < best.with_memory - 0.001 < found.discounted - 0.01
        reached = best.with_memory if encoder == "gru" else best.value
        rows = {line.split()[0]: line.split()[-1] for line in ran.out.splitlines() if " held out " in line}
        assert rows == {"D": f"{reached:.3f}", "V1": "–"}
        words = " ".join(ran.out.split())
        assert "Observations hide the state" in words
        assert ("the best policy that remembers" in words) == (encoder == "gru")

    def test_a_hidden_world_with_chance_says_why_there_is_no_number(self, tmp_path: Path) -> None:
        world = make_world("MultiNeed", size=3, num_objects=2, drift=0.1, context="hidden")
        agent = build_agent(observation_space(world), 4, AgentConfig(encoder_sizes=(8,), hidden_size=8), seed=0)
        options = vars(world.config)
        lines = measure(agent, "ValueLab/MultiNeed-v0", options=options, actors=("D",), num_episodes=8, seed=0)
        observed = lines[0].optimum.observed
        assert observed is not None and observed.with_memory is None and lines[0].reachable is None
        assert "have several outcomes" in observed.words and lines[0].optimum.discounted is not None

    def test_what_pays_before_the_end_has_no_shortest_optimum(self) -> None:
        found = search_optimum("CartPole-v1", {}, discount=0.99, seed=0)
        assert found.discounted is None and "pays before the end" in found.words

    def test_the_optimum_is_planned_from_other_resets_than_those_imitated(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import minigrid  # noqa: F401  # registers its ids

        seen: list[set[int]] = []

        def search(env_id: str, **settings: Any) -> Episodes:
            found = search_demonstrations(env_id, **settings)
            seen.append(set(found.levels.tolist()))
            return found

        for module in (experts, optimum):
            monkeypatch.setattr(module, "search_demonstrations", search)
        config = TrainConfig(seed=3, num_demonstrations=NUM_SEARCHED)
        find_demonstrations("MiniGrid-Empty-5x5-v0", config, world=None, options={})
        search_optimum("MiniGrid-Empty-5x5-v0", {}, discount=0.99, seed=3)
        imitated, planned = seen[-2:]
        assert len(imitated) == len(planned) == NUM_SEARCHED and not imitated & planned


NAMED = ("--instruments", "readability", "context", "outcomes", "--workers", 0)


class TestProbe:
    def test_it_prints_words_and_writes_a_report(
        self, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a run that was made in Python, with a network so small that few states suffice."""
        agent, run = AgentConfig(encoder_sizes=(8,), hidden_size=8), tmp_path / "run"
        options = {"size": 4, "num_objects": 2, "num_levels": 40}
        train("ValueLab/MultiNeed-v0", TrainConfig(agent=agent, num_demonstrations=40, **STAGES), run, options=options)
        monkeypatch.setattr(probe, "Settings", functools.partial(Settings, probe=QUICK_PROBE))
        before = content(run)
        assert ran("probe", run, *NAMED, "--episodes", 100, "--out", tmp_path / "probe") == 0
        for part in ("What was found", "What was not shown", "probe.md", "probe.json"):
            assert part in ran.out
        assert {"probe.md", "probe.json", "swaps.png"} <= {path.name for path in (tmp_path / "probe").iterdir()}
        assert content(run) == before

    def test_it_reads_an_agent_of_stable_baselines3(
        self, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options, run = {"size": 4, "num_objects": 2, "num_levels": 40}, tmp_path / "run"
        env = make_vec_env(WORLD[0], n_envs=4, seed=0, env_kwargs=options)
        small = AgentConfig(encoder_sizes=(8,), hidden_size=10, head="MOE", num_parts=2, value_encoder="shared")
        policy = {"config": small, "sample": sample_observations(env, num_steps=8)}
        model = PPO(ValueLabPolicy, env, n_steps=16, batch_size=16, policy_kwargs=policy, seed=0, device="cpu")
        agent = agent_from_sb3(model.learn(256))
        save_agent(run / "checkpoint", agent, extra={"env_id": WORLD[0], "options": options})
        monkeypatch.setattr(probe, "Settings", functools.partial(Settings, probe=QUICK_PROBE))
        assert ran("probe", run, *NAMED, "--episodes", 100, "--seed", 5) == 0
        assert "Probe of MOE trained on ValueLab/MultiNeed-v0, seed 0" in ran.out
        settings = Settings(seed=5, collection=Collection(num_episodes=100), probe=QUICK_PROBE)
        again = probe_run(run, settings=settings, names=NAMED[1:4])
        assert read_json(run / "probe" / "probe.json")["rows"] == again.rows()
        assert ran("evaluate", run, "--episodes", 8) == 0
        assert "MOE on ValueLab/MultiNeed-v0" in ran.out

    def test_several_runs_stand_side_by_side(self, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(probe, "Settings", functools.partial(Settings, probe=QUICK_PROBE))
        runs = [tmp_path / name for name in ("mono", "moe")]
        for folder, head in zip(runs, ("MONO", "MOE"), strict=True):
            options = {"size": 4, "num_objects": 2}
            env = make_vector(WORLD[0], 1, options=options)
            config = AgentConfig(encoder_sizes=(8,), hidden_size=10, head=head, num_parts=2 if head == "MOE" else None)
            agent = build_agent(env.single_observation_space, 4, config, seed=0)
            save_agent(folder / "checkpoint", agent, extra={"env_id": WORLD[0], "options": options})
        words = (*runs, "--instruments", "outcomes", "--workers", 0, "--episodes", 20)
        assert ran("probe", *words) == 0
        shown = " ".join(ran.out.split())
        assert "Probes side by side: MONO (1 seed), MOE (1 seed)" in shown
        assert "no interval: MONO has 1 seed(s), and an interval over seeds needs at least 2" in shown
        assert "MOE − MONO" in shown and "(no interval)" in shown
        folder = Path("runs/probes")
        assert {"comparison.md", "comparison.json", "mono", "moe"} <= {path.name for path in folder.iterdir()}
        assert (folder / "moe" / "probe.md").exists()
        assert ran("probe", runs[0], runs[0]) == 2
        assert "The same run is named twice" in ran.err


@pytest.mark.usefixtures("tiny_comparison")
class TestCompare:
    WORDS = ("compare", "--arms", "MONO", "POS", "--tests", "CrossedHistory", "--seeds", 2, "--workers", 0)

    def test_a_table_words_and_figures_and_it_goes_on(self, ran: Ran) -> None:
        assert ran(*self.WORDS) == 0
        for part in ("MONO", "POS", "WHAT WAS FOUND", "WHAT WAS NOT SHOWN", "too few", "runs/compare-quick", "Figure: ",
                     "Nothing was preregistered"):  # fmt: skip
            assert part in ran.out
        assert ran(*self.WORDS) == 0
        assert "0 cells computed" in ran.out

    def test_a_frozen_plan_is_kept_to(self, ran: Ran, tmp_path: Path) -> None:
        assert ran("preregister", "plan.json", "--preset", "quick", *self.WORDS[1:-2]) == 0
        frozen = (tmp_path / "plan.json").read_bytes()
        digest = json.loads(frozen)["sha256"]
        assert digest in ran.out
        command = next(line.strip() for line in ran.out.splitlines() if line.startswith("  valuelab compare"))
        assert ran(*command.split()[1:], "--workers", 0) == 0
        assert "the run departs from it in nothing" in ran.out
        assert ran(*command.split()[1:], "--workers", 0, "--seeds", 3) == 0
        assert "DEVIATIONS" in ran.out
        assert ran("preregister", "plan.json", "--preset", "quick") == 2
        assert "not changed" in ran.err and (tmp_path / "plan.json").read_bytes() == frozen

    def test_failed_cells_are_said_and_give_exit_code_1(self, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
        def stumble(values: object, optimum: object, pairing: object) -> object:
            stumble.calls += 1
            if stumble.calls == 2:
                raise RuntimeError("a planted fault")
            return crossing(values, optimum, pairing)

        stumble.calls = 0
        monkeypatch.setattr(crossing_cells, "crossing", stumble)
        assert ran(*self.WORDS) == 1
        (line,) = ran.err.splitlines()
        assert line.startswith("failed: comparison.crossed_history(") and "seed=" in line and "a planted fault" in line
        assert "1 failed" in ran.out and "a planted fault" in ran.out
        assert ran(*self.WORDS) == 0
        assert "1 cells computed" in ran.out


@pytest.mark.usefixtures("tiny_comparison")
class TestDemo:
    @pytest.fixture
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        amount = Collection(num_episodes=60, num_levels=4)
        few = Settings(seed=1000, num_rows=300, collection=amount, probe=QUICK_PROBE)
        settings = functools.partial(TrainConfig, num_demonstrations=20, num_evaluation_episodes=4, **STAGES)
        monkeypatch.setattr(demo, "MINIGRID", "MiniGrid-Empty-5x5-v0")
        monkeypatch.setattr(demo, "NUM_SEEDS", 2)
        monkeypatch.setattr(demo, "NUM_UNTRAINED", 1)
        monkeypatch.setattr(demo, "settings", lambda seed, device: settings(seed=seed, device=device))

        def probed(*names: object, **given: object) -> object:
            return probe_agent(*names, **{**given, "settings": few})  # type: ignore[arg-type]

        monkeypatch.setattr(demo, "probe_agent", probed)
        plan = functools.partial(plans.make_plan, arms=("MONO", "POS"))
        monkeypatch.setattr(demo, "make_plan", plan)

    @pytest.mark.usefixtures("small")
    def test_it_ends_in_words_and_trains_nothing_twice(self, ran: Ran, tmp_path: Path) -> None:
        interrupted = tmp_path / "runs" / "demo" / "minigrid"
        with at_update("value", 7, lambda keeper: signal.raise_signal(signal.SIGTERM)):
            assert ran("demo", "--workers", 0) == 143
        assert "the same command goes on from there" in ran.err and not (interrupted / "metrics.json").exists()
        assert ran("demo", "--workers", 0, "--seed", 1) == 2
        assert "other settings" in ran.err
        assert ran("demo", "--workers", 0) == 0
        assert "Going on in stage value after" in ran.err
        assert (interrupted / "metrics.json").exists()
        for part in ("WHAT WAS FOUND", "WHAT WAS NOT SHOWN", "of the optimum", "too few for a verdict", "Null: ",
                     "T0: ", "CrossedHistory: ", "Figure: runs/demo", "rows.parquet", "probe.md"):  # fmt: skip
            assert part in ran.out
        for line in ran.out.splitlines():
            if line.startswith("Figure: "):
                assert Path(line.removeprefix("Figure: ")).is_file()
        before = content(tmp_path)
        assert ran("demo", "--workers", 0) == 0
        assert "Found finished" in ran.out
        after = content(tmp_path)
        kept = [name for name in before if "manifest/runs" not in name and "summary.txt" not in name]
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
        assert ran("demo", "--workers", 0, "--seed", 1) == 2
        assert "other settings" in ran.err

    @pytest.mark.usefixtures("small")
    def test_somebody_elses_folder_is_left_alone(self, ran: Ran, tmp_path: Path) -> None:
        (tmp_path / "mine" / "minigrid").mkdir(parents=True)
        (tmp_path / "mine" / "minigrid" / "thesis.txt").write_text("precious")
        assert ran("demo", "--out", "mine", "--workers", 0) == 2
        assert "thesis.txt" in ran.err
        assert (tmp_path / "mine" / "minigrid" / "thesis.txt").read_text() == "precious"


def test_envs_lists_every_option_with_its_meaning(ran: Ran) -> None:
    assert ran("envs") == 0
    words = " ".join(ran.out.split())
    assert f"gets one of {environments.DEFAULT_TIME_LIMIT} steps" in words
    for name, family in WORLDS.items():
        for id_name in (name, *(f"{name}-{variant}" for variant in family.variants)):
            assert f"ValueLab/{id_name}-v0" in words
        for field in dataclasses.fields(family.config):
            assert f" {field.name} " in words
        assert family.dose and f"dose: {', '.join(family.dose)}" in words
    texts = ("Probability that an object moves at a step, 0 to 1.", "Steps until truncation, at least 1.")
    for part in ("need_0", "cue_1", *texts, "--import", "MiniGrid"):
        assert part in words


def test_options_are_read_as_json_where_they_are() -> None:
    words = ("size=5", "drift=0.5", "context=hidden", "pairing=[1, 0]", "is-slippery=false", "name=a=b", "dose=.1")
    assert parse_options(words) == {
        "size": 5, "drift": 0.5, "context": "hidden", "pairing": [1, 0], "is_slippery": False, "name": "a=b",
        "dose": 0.1,
    }  # fmt: skip


@pytest.mark.slow
def test_the_whole_demo(ran: Ran) -> None:
    assert ran("demo") == 0
    assert "100.0% of the optimum" in ran.out and "too few for a verdict" in ran.out
