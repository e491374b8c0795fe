"""A killed run goes on as if nothing had happened: weights, curve, states and metrics are equal to the byte."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from interrupted_runs import Killed, at_update, files_of, kill
from torch import Tensor

from agents import run_keeper, run_stages
from agents.agent import AlphaAgent, build_agent
from agents.checkpoint import agent_tensors, load_agent, load_with_state
from agents.config import AgentConfig, ImitationConfig, ImproveConfig, ReinforceConfig, TrainConfig, ValueConfig
from agents.curve import Curve
from agents.environments import make_vector, open_stream
from agents.history import HISTORY
from agents.imitation import imitate
from agents.learner import reinforce
from agents.optimization import FlatAdam
from agents.recorder import record_episodes
from agents.run_folder import read_settings
from agents.run_keeper import Earnings, RunKeeper
from agents.stopping import Interrupted, StopRequest
from agents.streams import EnvStream
from agents.train import TrainResult, train
from agents.training_state import StageKeeper, State
from agents.values import fit_values
from envs.demonstrations import demonstrate
from envs.errors import NonFiniteError, UserError
from envs.registry import make_world

ENV_ID, OPTIONS = "ValueLab/MultiNeed-v0", {"size": 4, "num_objects": 2, "num_levels": 8}
WORLD = make_world(ENV_ID, **OPTIONS)
SMALL = TrainConfig(
    agent=AgentConfig(encoder_sizes=(16,), hidden_size=16, memory_size=8),
    imitation=ImitationConfig(num_updates=24, batch_size=32),
    reinforce=ReinforceConfig(num_steps=768, num_envs=8, rollout_length=16, num_epochs=2, batch_size=64),
    value=ValueConfig(num_updates=24, num_episodes=30, refresh_every=5, target="td_lambda"),
    num_demonstrations=20, num_evaluation_episodes=4, checkpoint_every=7, device="cpu",
)  # fmt: skip
GRU = dataclasses.replace(SMALL, agent=dataclasses.replace(SMALL.agent, encoder="gru"))
PLAYED = dataclasses.replace(SMALL, stages=("reinforce", "value"))
SEARCHED = dataclasses.replace(
    GRU, stages=("imitate", "search"), search=ImproveConfig(
        num_simulations=4, rollout_share=0.2, num_steps=768, num_envs=8, rollout_length=16, num_epochs=2, batch_size=64
    ),
)  # fmt: skip


class Drifting(gym.Env[Any, int]):
    """Something in it depends on how often any was ever reset, which no seed brings back."""

    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    num_resets, drifts = 0, "reward"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        Drifting.num_resets += 1
        self.clock, self.drift = 0, Drifting.num_resets
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.clock += 1
        shown = np.full(1, self.drift / 10**6 if self.drifts == "observation" else 0.0, np.float32)
        length = 1 if self.drifts == "end" and self.drift > 10**4 else 11
        return shown, self.drift / 10**6 if self.drifts == "reward" else 0.0, False, self.clock >= length, {}


class Breaking(Drifting):
    """After some steps it pays, or shows, what is no number."""

    fault, num_good, num_steps = "reward", 10**9, 0

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        Breaking.num_steps += 1
        is_broken = Breaking.num_steps > Breaking.num_good
        shown, _, terminated, truncated, info = super().step(action)
        if is_broken and self.fault == "observation":
            shown = np.full(1, np.nan, np.float32)
        return shown, float("nan") if is_broken and self.fault == "reward" else 0.5, terminated, truncated, info


gym.register("Drifting-v0", Drifting)
gym.register("Breaking-v0", Breaking)


def terminate(keeper: RunKeeper) -> None:
    keeper._stop.ask(signal.SIGTERM)


def run(folder: Path, env_id: str = ENV_ID, config: TrainConfig = SMALL, **arguments: Any) -> TrainResult:
    return train(env_id, config, folder, options=OPTIONS if env_id == ENV_ID else {}, **arguments)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, TrainConfig], dict[str, bytes]]:
    """The files of runs that nothing interrupted."""
    known: dict[tuple[str, TrainConfig], dict[str, bytes]] = {}

    def files(env_id: str, config: TrainConfig) -> dict[str, bytes]:
        if (env_id, config) not in known:
            folder = tmp_path_factory.mktemp("straight") / "run"
            run(folder, env_id, config)
            known[env_id, config] = files_of(folder)
        return known[env_id, config]

    return files


CASES = [(ENV_ID, GRU), ("MiniGrid-Empty-5x5-v0", PLAYED), ("FrozenLake-v1", SMALL)]


KILLED = [*CASES, (ENV_ID, SEARCHED)]


@pytest.mark.parametrize(
    ("env_id", "config"),
    [pytest.param(*CASES[0], id="gru"), pytest.param(*CASES[1], id="minigrid", marks=pytest.mark.slow),
     pytest.param(*CASES[2], id="frozenlake")],
)  # fmt: skip
def test_killed_in_every_stage_it_ends_with_the_same_bytes(
    env_id: str, config: TrainConfig, straight: Any, tmp_path: Path
) -> None:
    """Before the first checkpoint of a stage and after later ones; one run is killed again and again."""
    folder = tmp_path / "run"
    points = [("imitate", 3), ("imitate", 16), ("reinforce", 5), ("reinforce", 20), ("value", 2), ("value", 21)]
    # Nobody demonstrates on FrozenLake, and the note that says so is part of the metrics.
    for stage, num_steps in points if env_id == ENV_ID else points[2:]:
        with pytest.raises(Killed), at_update(stage, num_steps, kill, after=num_steps % 2 == 0):
            run(folder, env_id, config, resume=True)
    run(folder, env_id, config, resume=True)
    assert files_of(folder) == straight(env_id, config)


@pytest.mark.parametrize(
    ("env_id", "config", "stage"),
    [(*CASES[0], "imitate"), (*CASES[0], "reinforce"), (*CASES[0], "value"), (*CASES[2], "reinforce")],
    ids=["gru-imitate", "gru-reinforce", "gru-value", "frozenlake-reinforce"],
)
def test_asked_to_stop_it_saves_the_state_that_it_would_have_had(
    env_id: str, config: TrainConfig, stage: str, straight: Any, tmp_path: Path
) -> None:
    for name, kills in (("straight", ()), ("killed", (9,))):
        for num_steps in kills:
            with pytest.raises(Killed), at_update(stage, num_steps, kill):
                run(tmp_path / name, env_id, config, resume=True)
        with pytest.raises(Interrupted) as interrupted, at_update(stage, 17, terminate):
            run(tmp_path / name, env_id, config, resume=True)
        assert interrupted.value.signum == signal.SIGTERM
        assert f"stage {stage} after " in interrupted.value.kept
    assert "last/weights.safetensors" in files_of(tmp_path / "straight")
    assert files_of(tmp_path / "straight") == files_of(tmp_path / "killed")
    run(tmp_path / "killed", env_id, config, resume=True)
    assert files_of(tmp_path / "killed") == straight(env_id, config)


@pytest.mark.parametrize("name", ["find_demonstrations", "first_agent", "record_episodes", "save_agent"])
def test_stopped_between_the_loops_it_does_that_part_again(name: str, straight: Any, tmp_path: Path) -> None:
    part = getattr(run_stages, name)

    def interrupted(*arguments: Any, **named: Any) -> Any:
        part(*arguments, **named)
        stop.ask(signal.SIGINT)

    for _ in range(2):
        stop = StopRequest()
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
            patch.setattr(run_stages, name, interrupted)
            run(tmp_path / "run", resume=True, stop=stop)
    run(tmp_path / "run", resume=True)
    assert files_of(tmp_path / "run") == straight(ENV_ID, SMALL)


class Recall(StageKeeper):
    """Keeps every state in memory, and restores one of them."""

    def __init__(self, restored: State | None = None, record: list[dict[str, Any]] | None = None) -> None:
        self.restored, self.record = restored, tuple(record or ())
        self.states: list[dict[str, Tensor]] = []

    def restore(self) -> State | None:
        return self.restored

    def keep(self, agent: AlphaAgent, *, num_steps: int, state: Callable[[], State]) -> None:
        self.states.append({name: tensor.clone() for name, tensor in state().items()})


Stage = Callable[[StageKeeper], tuple[AlphaAgent, list[dict[str, Any]]]]


def assert_goes_on_from(stage: Stage, updates: tuple[int, ...]) -> None:
    """From each of these updates the stage comes to the same agent, record and states as in one go."""
    whole = Recall()
    agent, record = stage(whole)
    for update in updates:
        rows = [row for row in record if row.get("update", row["step"]) <= update]
        resumed = Recall(whole.states[update - 1], rows)
        again, repeated = stage(resumed)
        assert repeated == record
        assert_equal(agent_tensors(again), agent_tensors(agent))
        assert len(resumed.states) == len(whole.states) - update > 0
        for mine, theirs in zip(resumed.states, whole.states[update:], strict=True):
            assert_equal(mine, theirs)


def assert_equal(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []


def small_agent(**settings: Any) -> AlphaAgent:
    config = AgentConfig(**{
        "encoder_sizes": (16,), "memory_size": 6, "hidden_size": 16, "num_contexts": 2, "num_events": 2, **settings
    })  # fmt: skip
    space = make_vector(ENV_ID, 1, options=OPTIONS).single_observation_space
    return build_agent(space, WORLD.num_actions, config, seed=0)


@pytest.mark.parametrize(
    ("encoder", "head", "regime", "settings"),
    [
        ("mlp", "MONO", "scratch", {}),
        ("mlp", "ROUTE", "scratch", {"share_value": True}),
        ("gru", "MONO", "scratch", {}),
        ("gru", "POS", "scratch", {"share_value": True}),
        ("gru", "MONO", "shared", {"share_value": True}),
        ("conv", "MONO", "scratch", {"fast_kernels": False}),
        ("mlp", "MONO", "scratch", {"objective": "reinforce", "num_epochs": 1}),
    ],
)
def test_reinforcement_goes_on(encoder: str, head: str, regime: str, settings: dict[str, Any]) -> None:
    agent = small_agent(encoder=encoder, head=head, value_encoder=regime)
    config = dataclasses.replace(SMALL.reinforce, **settings)

    def stage(keeper: StageKeeper) -> tuple[AlphaAgent, list[dict[str, Any]]]:
        stream = open_stream(make_vector(ENV_ID, 8, options=OPTIONS), agent.spec, seed=3, name="x")
        return reinforce(agent, stream, config, discount=0.95, seed=3, keeper=keeper)

    assert_goes_on_from(stage, (1, 4))


@pytest.mark.parametrize(
    ("encoder", "settings"),
    [
        ("mlp", {"train_encoder": False}),
        ("gru", {}),
        ("gru", {"train_encoder": False}),
        ("mlp", {"prediction_weight": 0.5}),
    ],
)
def test_imitation_goes_on(encoder: str, settings: dict[str, Any]) -> None:
    data = demonstrate(WORLD, WORLD.levels("train"), num_episodes=20, seed=0)
    agent = small_agent(encoder=encoder)
    config = dataclasses.replace(SMALL.imitation, **settings)
    assert_goes_on_from(lambda keeper: imitate(agent, data, config, seed=1, keeper=keeper), (1, 13, 20))


@pytest.mark.parametrize(
    ("encoder", "regime", "head", "settings"),
    [
        ("mlp", "scratch", "MONO", {}),
        ("gru", "scratch", "ROUTE", {}),
        ("mlp", "shared", "MOE", {"target": "monte_carlo"}),
        ("mlp", "imitated", "NEG-F", {}),
        ("mlp", "scratch", "MONO", {"one_per_episode": True}),
    ],
)
def test_fitting_values_goes_on(encoder: str, regime: str, head: str, settings: dict[str, Any]) -> None:
    agent = small_agent(encoder=encoder, value_encoder=regime, head=head)
    data = record_episodes(agent, ENV_ID, num_episodes=20, seed=0, options=OPTIONS)
    config = dataclasses.replace(SMALL.value, **settings)
    assert_goes_on_from(lambda keeper: fit_values(agent, data, config, seed=1, keeper=keeper), (1, 12, 15, 20))


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MiniGrid-Empty-5x5-v0", "Taxi-v4", "Blackjack-v1"])
def test_a_foreign_stream_goes_on_by_playing_its_episodes_again(env_id: str) -> None:
    def opened() -> EnvStream:
        env = make_vector(env_id, 5, autoreset_mode=AutoresetMode.DISABLED)
        agent = build_agent(env.single_observation_space, int(env.single_action_space.n), AgentConfig(), seed=0)
        return open_stream(env, agent.spec, seed=0, name="x")

    rng = np.random.default_rng(0)
    one, other = opened(), opened()
    actions = rng.integers(int(one.env.single_action_space.n), size=(400, 5))
    num_before = 300
    for step in actions[:num_before]:
        one.step(step)
    while not any(player.actions for player in one.env.envs):
        one.step(actions[num_before])
        num_before += 1
    assert any(player.episode > 0 for player in one.env.envs)
    other.set_state(one.get_state())
    for step in actions[num_before:]:
        for name, array in one.observations.items():
            np.testing.assert_array_equal(array, other.observations[name])
        mine, theirs = one.step(step), other.step(step)
        np.testing.assert_array_equal(mine.rewards, theirs.rewards)
        np.testing.assert_array_equal(mine.ended, theirs.ended)
    assert one.num_steps == other.num_steps == 400


def test_every_episode_of_a_foreign_env_has_a_seed_of_its_own() -> None:
    """And it is the same in 1 env and in 5, whenever the episodes before it ended."""
    seeds = {}
    for num_envs in (1, 5):
        env = make_vector("FrozenLake-v1", num_envs, autoreset_mode=AutoresetMode.DISABLED)
        agent = build_agent(env.single_observation_space, 4, AgentConfig(), seed=0)
        stream, found = open_stream(env, agent.spec, seed=7, name="x"), {}
        for action in np.random.default_rng(num_envs).integers(4, size=200):
            found |= {(k, player.episode): player.episode_seed for k, player in enumerate(env.envs)}
            stream.step(np.full(num_envs, action))
        seeds[num_envs] = found
    assert len(set(seeds[5].values())) == len(seeds[5]) > 20
    shared = seeds[1].keys() & seeds[5].keys()
    assert len(shared) > 5 and all(seeds[1][key] == seeds[5][key] for key in shared)


@pytest.mark.parametrize(
    ("drifts", "found"),
    [
        ("reward", "step 0 pays"),
        ("observation", "steps it shows something else"),
        ("end", "is the last, where it was not"),
    ],
)
def test_an_env_that_does_not_repeat_itself_is_refused_when_it_should_go_on(
    drifts: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Drifting, "drifts", drifts)
    config = dataclasses.replace(SMALL, stages=("reinforce",))
    with pytest.raises(Interrupted), at_update("reinforce", 10, terminate):
        run(tmp_path / "run", "Drifting-v0", config)
    monkeypatch.setattr(Drifting, "num_resets", 10**5)
    with pytest.raises(UserError, match=rf"Drifting-v0 does not repeat itself: .* reset seed \d+ .* {found}"):
        run(tmp_path / "run", "Drifting-v0", config, resume=True)


def test_what_a_stage_learns_from_must_be_what_it_began_with(tmp_path: Path) -> None:
    with pytest.raises(Interrupted), at_update("value", 10, terminate):
        run(tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError, match="stage value learns from are not those"):
        patch.setattr(run_stages, "derive_seed", lambda *names: 12345)
        run(tmp_path / "run", resume=True)


def test_a_native_stream_in_any_mode_and_no_other_batch_can_be_kept() -> None:
    for mode in AutoresetMode:
        agent = small_agent()
        one, other = (
            open_stream(make_vector(ENV_ID, 6, options=OPTIONS, autoreset_mode=mode), agent.spec, seed=0, name="x")
            for _ in range(2)
        )
        actions = np.random.default_rng(0).integers(WORLD.num_actions, size=(200, 6))
        for step in actions[:100]:
            one.step(step)
        other.set_state(one.get_state())
        for step in actions[100:]:
            mine, theirs = one.step(step), other.step(step)
            np.testing.assert_array_equal(mine.rewards, theirs.rewards)
            np.testing.assert_array_equal(one.observations["planes"], other.observations["planes"])
            np.testing.assert_array_equal(one.levels, other.levels)
    waiting = open_stream(make_vector("CartPole-v1", 2), build_cartpole_agent().spec, seed=0, name="x")
    with pytest.raises(UserError, match="state of SyncVectorEnv cannot be kept.*DISABLED"):
        waiting.get_state()


def build_cartpole_agent() -> AlphaAgent:
    return build_agent(make_vector("CartPole-v1", 1).single_observation_space, 2, AgentConfig(), seed=0)


@pytest.mark.parametrize(
    "damaged",
    [["last"], ["last", "last.previous"], ["checkpoint"], ["checkpoint", "checkpoint.previous", "last"]],
    ids=["last", "both-last", "checkpoint", "nearly-all"],
)
def test_what_is_damaged_is_named_and_an_older_point_leads_to_the_same_end(
    damaged: list[str], straight: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Interrupted), at_update("value", 17, terminate):
        run(folder)
    for name in damaged:
        data = bytearray((folder / name / "weights.safetensors").read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name / "weights.safetensors").write_bytes(data)
    (folder / ".tmp-999999999-orphan").mkdir()
    lines: list[str] = []
    rows: list[dict[str, Any]] = []
    run(folder, resume=True, announce=lines.append, on_row=rows.append)
    for name in damaged:
        if name != "last" or "checkpoint" not in damaged:
            assert any(f"{name}{os.sep}weights.safetensors' was altered" in line for line in lines)
    assert not list(folder.glob(".tmp-*"))
    assert files_of(folder) == straight(ENV_ID, SMALL)
    assert rows == [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def test_killed_between_the_two_renames_of_a_checkpoint_it_goes_on(straight: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Interrupted), at_update("value", 17, terminate):
        run(folder)
    for name in ("checkpoint", "last"):
        for path in (folder / f"{name}.previous").iterdir():
            path.unlink()
        (folder / f"{name}.previous").rmdir()
        (folder / name).rename(folder / f"{name}.previous")
    run(folder, resume=True)
    assert files_of(folder) == straight(ENV_ID, SMALL)


def test_a_shortened_curve_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Interrupted), at_update("value", 17, terminate):
        run(tmp_path / "run")
    curve = tmp_path / "run" / "curve.jsonl"
    curve.write_bytes(curve.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"curve\.jsonl' has \d+ bytes, fewer than the \d+"):
        run(tmp_path / "run", resume=True)


def test_a_finished_run_other_settings_and_a_second_process_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    only = dataclasses.replace(SMALL, stages=("imitate",))
    with pytest.raises(Killed), at_update("imitate", 9, kill):
        run(folder, config=only)
    with pytest.raises(UserError, match=r"holds a run already; resume it \(--resume\)"):
        run(folder, config=only)
    other = dataclasses.replace(only, imitation=dataclasses.replace(only.imitation, learning_rate=0.5))
    with pytest.raises(UserError, match=r"has imitation\.learning_rate = 0\.003, not 0\.5; it can only go on"):
        run(folder, config=other, resume=True)
    with pytest.raises(UserError, match=r"has options\.num_levels = 8, not None"):
        train(ENV_ID, only, folder, resume=True)
    with Curve(folder / "curve.jsonl"), pytest.raises(UserError, match="Another process is training in"):
        run(folder, config=only, resume=True)
    run(folder, config=only, resume=True)
    with pytest.raises(UserError, match="is finished; nothing is left to resume"):
        run(folder, config=only, resume=True)
    assert read_settings(folder).config == only


def test_the_last_agent_of_a_run_in_progress_is_an_ordinary_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Interrupted), at_update("reinforce", 17, terminate):
        run(tmp_path / "run")
    agent, facts = load_agent(tmp_path / "run" / "last")
    again, _, state = load_with_state(tmp_path / "run" / "last")
    assert (facts["env_id"], facts["stage"]) == (ENV_ID, "reinforce")
    modules = (again.policy_head, again.policy_encoder, again.baseline_head)
    trained = [parameter.detach().flatten() for module in modules for parameter in module.parameters()]
    assert torch.equal(state["optimizer/vector"], torch.cat(trained))
    assert_equal(agent_tensors(agent), agent_tensors(again))


def test_the_best_agent_is_the_one_after_the_window_in_which_most_was_earned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand, from the curve: a window ends with the update in which its fifth episode ends; one is interrupted."""
    monkeypatch.setattr(run_keeper, "NUM_EPISODES", 5)
    config = dataclasses.replace(SMALL, stages=("reinforce",))
    config = dataclasses.replace(config, reinforce=dataclasses.replace(SMALL.reinforce, num_steps=2048))
    kept: dict[int, dict[str, Tensor]] = {}
    keep = RunKeeper.keep

    def watched(self: RunKeeper, agent: AlphaAgent, *, num_steps: int, state: Any) -> None:
        kept[num_steps] = {name: tensor.clone() for name, tensor in agent_tensors(agent).items()}
        keep(self, agent, num_steps=num_steps, state=state)

    monkeypatch.setattr(RunKeeper, "keep", watched)
    with pytest.raises(Interrupted), at_update("reinforce", 25, terminate):
        run(tmp_path / "run", config=config)
    run(tmp_path / "run", config=config, resume=True)
    rows = [json.loads(line) for line in (tmp_path / "run" / "curve.jsonl").read_text().splitlines()]
    means, total, num_episodes = {}, 0.0, 0
    for num_steps, row in zip(sorted(kept), rows, strict=True):
        total += (row["mean_return"] or 0.0) * row["num_episodes"]
        num_episodes += row["num_episodes"]
        if num_episodes >= 5:
            means[num_steps], total, num_episodes = total / num_episodes, 0.0, 0
    assert 3 < len(means) < len(rows)
    best, facts = load_agent(tmp_path / "run" / "best")
    assert facts["num_steps"] == max(means, key=lambda num_steps: means[num_steps])
    assert facts["mean_return"] == pytest.approx(max(means.values()))
    assert_equal(agent_tensors(best), kept[facts["num_steps"]])


def test_earnings_wait_for_enough_episodes() -> None:
    earnings = Earnings()
    earnings.add({"mean_return": 1.0, "num_episodes": 50})
    earnings.add({"mean_return": None, "num_episodes": 0})
    earnings.add({"loss": 7.0})
    assert not earnings.are_best() and dataclasses.replace(earnings).are_best(at_end=True)
    earnings.add({"mean_return": 4.0, "num_episodes": 100})
    assert earnings.are_best() and earnings.highest == 3.0
    assert not earnings.are_best()
    earnings.add({"mean_return": 3.0, "num_episodes": 100})
    assert not earnings.are_best() and earnings.num_episodes == 0
    earnings.add({"mean_return": 9.0, "num_episodes": 99})
    assert not earnings.are_best(at_end=True)


@pytest.mark.parametrize("fault", ["loss", "gradient"])
@pytest.mark.parametrize(("stage", "site"), [("imitate", "imitation"), ("reinforce", "reinforce"), ("value", "value")])
def test_what_is_not_finite_stops_the_update_and_reaches_no_checkpoint(
    stage: str, site: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked_loss, follow = FlatAdam.checked_loss, FlatAdam.follow

    def broken_loss(self: FlatAdam, value: float, *, site: str) -> float:
        is_due = fault == "loss" and (site, self.num_steps) == (wanted, 17)
        return checked_loss(self, float("nan") if is_due else value, site=site)

    def broken_gradient(self: FlatAdam, gradients: Sequence[Tensor], *, learning_rate: float, site: str) -> float:
        if fault == "gradient" and (site, self.num_steps) == (wanted, 17):
            gradients = [part * float("nan") for part in gradients]
        return follow(self, gradients, learning_rate=learning_rate, site=site)

    wanted = site
    monkeypatch.setattr(FlatAdam, "checked_loss", broken_loss)
    monkeypatch.setattr(FlatAdam, "follow", broken_gradient)
    with pytest.raises(NonFiniteError, match=f"{site} {fault} is not finite, step 17"):
        run(tmp_path / "run")
    assert_only_finite(tmp_path / "run", last=stage)


@pytest.mark.parametrize("fault", ["reward", "observation"])
@pytest.mark.parametrize(("stage", "num_good"), [("reinforce", 2100), ("value", 3200)])
def test_an_env_that_breaks_is_named_and_reaches_no_checkpoint(
    stage: str, num_good: int, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Breaking, "fault", fault)
    monkeypatch.setattr(Breaking, "num_steps", 0)
    monkeypatch.setattr(Breaking, "num_good", num_good)
    config = dataclasses.replace(
        SMALL, stages=("reinforce", "value"), reinforce=dataclasses.replace(SMALL.reinforce, num_steps=2048),
        value=dataclasses.replace(SMALL.value, num_episodes=200),
    )  # fmt: skip
    with pytest.raises(NonFiniteError, match=rf"{fault}.* is not finite, env \d+, step \d+"):
        run(tmp_path / "run", "Breaking-v0", config)
    assert_only_finite(tmp_path / "run", last="reinforce")
    assert (tmp_path / "run" / "checkpoint").exists() == (stage == "value")


def assert_only_finite(folder: Path, *, last: str) -> None:
    """All checkpoints load and hold numbers, the last state is of that stage, and so does the curve."""
    found = [path for path in (*folder.iterdir(), *folder.glob("history/*")) if path.is_dir() and path.name != HISTORY]
    assert folder / "last" in found
    for path in found:
        agent, facts, state = load_with_state(path)
        tensors = [*agent_tensors(agent).values(), *state.values()]
        assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor.is_floating_point())
        assert path.name != "last" or facts["stage"] == last
    rows = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    assert all(np.isfinite(x) for row in rows for x in row.values() if isinstance(x, float))
    assert not (folder / "metrics.json").exists()
    assert not list(folder.glob(".tmp-*"))


SERVER = """
import contextlib, os, sys
sys.path.insert(0, sys.argv[1])
import test_resume
from analysis.commands.stopping import stopped_by_signals
for line in sys.stdin:
    case, folder = line.split()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(test_resume.Interrupted), stopped_by_signals() as stop:
            test_resume.run(test_resume.Path(folder), *test_resume.KILLED[int(case)], resume=True, stop=stop)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class Server:
    """Starts runs in processes of their own, without the seconds that imports take."""

    def __init__(self) -> None:
        words = [sys.executable, "-c", SERVER, str(Path(__file__).parent)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(
        self, case: int, folder: Path, *, kill_after: float | None = None, number: signal.Signals = signal.SIGKILL
    ) -> tuple[int, float]:
        """Run, or send a signal after some seconds; returns the wait status and the seconds that it took."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(case, folder, file=self.process.stdin, flush=True)
        pid, start = int(self.process.stdout.readline()), time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return int(self.process.stdout.readline()), time.monotonic() - start


@pytest.mark.slow
@pytest.mark.parametrize(("case", "num_points"), [(0, 40), (1, 12), (3, 40)], ids=["gru", "minigrid", "search"])
def test_killed_at_random_points_it_ends_with_the_same_bytes(case: int, num_points: int, tmp_path: Path) -> None:
    """By SIGKILL, and every third time by SIGTERM, which it answers by saving."""
    server, rng = Server(), random.Random(0)
    status, seconds = server.run(case, tmp_path / "straight")
    assert status == 0
    expected, left = files_of(tmp_path / "straight"), []
    for point in range(num_points):
        folder = tmp_path / f"run{point}"
        for _ in range(1 + point % 2):
            # What came to its end before it was killed has nothing left to resume.
            if not (folder / "metrics.json").exists():
                number = signal.SIGTERM if point % 3 == 2 else signal.SIGKILL
                server.run(case, folder, kill_after=rng.uniform(0.0, seconds), number=number)
        left.append(sorted(path.name for path in folder.iterdir()) if folder.exists() else [])
        if not (folder / "metrics.json").exists():
            assert server.run(case, folder)[0] == 0
        assert files_of(folder) == expected, f"point {point} differs; left was {left[-1]}"
    assert server.process.stdin is not None
    server.process.stdin.close()
    server.process.wait(10)
    print(f"{num_points} runs of {seconds:.1f} s; killed with {sum('last' in names for names in left)} last states")
