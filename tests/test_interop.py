"""Our ids in other people's tools, and other people's envs in ours, unchanged on both sides."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import wrappers
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import vector as vector_wrappers
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_util import make_vec_env

from agents.config import AgentConfig, ImitationConfig, ReinforceConfig, TrainConfig, ValueConfig
from agents.train import train
from analysis.probe import Settings, probe_run
from analysis.probing.collecting import Collection
from analysis.probing.report import write_report
from envs import GridVectorEnv
from envs.registry import WORLDS, make_world, world_id, world_names

IDS = [world_id(name) for name in world_names()]
FAMILIES = [world_id(name) for name in WORLDS]
EVERY_ID = [each if each in FAMILIES else pytest.param(each, marks=pytest.mark.slow) for each in IDS]
"""A variant is its family with other options: the default tests take the families."""
OPTIONS = {"split": "test", "time_limit": 7}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class TestStableBaselines:
    """Its PPO and DQN with their own policy for Dict observations."""

    @pytest.mark.parametrize("env_id", EVERY_ID)
    def test_ppo_trains(self, env_id: str) -> None:
        env = make_vec_env(env_id, n_envs=2, seed=0, env_kwargs={"time_limit": 60})
        model = PPO("MultiInputPolicy", env, n_steps=64, batch_size=64, n_epochs=1, seed=0, device="cpu")
        self.learns(model, 256)

    @pytest.mark.parametrize("env_id", FAMILIES)
    def test_dqn_trains(self, env_id: str) -> None:
        env = gymnasium.make(env_id, **OPTIONS)
        settings = {"learning_starts": 32, "buffer_size": 300, "batch_size": 16, "seed": 0, "device": "cpu"}
        self.learns(DQN("MultiInputPolicy", env, **settings), 200)

    def learns(self, model: PPO | DQN, num_steps: int) -> None:
        before = {name: value.clone() for name, value in model.policy.state_dict().items()}
        model.learn(num_steps)
        after = model.policy.state_dict()
        assert any(not torch.equal(before[name], after[name]) for name in before)
        assert all(torch.isfinite(value).all() for value in after.values())
        assert model.ep_info_buffer, "Monitor saw an episode end"


@pytest.mark.parametrize("env_id", EVERY_ID)
def test_make_vec_gives_the_same_envs_natively_and_one_by_one(env_id: str) -> None:
    native, single = (gymnasium.make_vec(env_id, 3, vectorization_mode=mode, **OPTIONS) for mode in (None, "sync"))
    assert isinstance(native, GridVectorEnv) and isinstance(single.unwrapped, SyncVectorEnv)
    rng = np.random.default_rng(0)
    both = [env.reset(seed=[4, 5, 6]) for env in (native, single)]
    for _ in range(20):
        actions = rng.integers(0, native.single_action_space.n, 3)
        (ours, *_), (theirs, *_) = both
        assert all((ours[part] == theirs[part]).all() for part in theirs)
        both = [env.step(actions) for env in (native, single)]
        assert all((mine == other).all() for mine, other in zip(both[0][1:4], both[1][1:4], strict=True))
    assert both[0][-1]["level"].min() >= make_world(env_id).levels("test").first


def flattened(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    return wrappers.FlattenObservation(env)


def stacked(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    return wrappers.FrameStackObservation(env, 3)


def counted(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    return wrappers.RecordEpisodeStatistics(env)


def plain(observation: Any, space: gymnasium.Space[Any], wrapper: Any) -> Any:
    """What a wrapper shows of the latest observation, as one vector."""
    if wrapper is flattened:
        return observation
    latest = {name: part[-1] for name, part in observation.items()} if wrapper is stacked else observation
    return gymnasium.spaces.flatten(space, latest)


@pytest.mark.parametrize("wrapper", [flattened, stacked, counted], ids=lambda wrapper: wrapper.__name__)
@pytest.mark.parametrize("env_id", EVERY_ID)
def test_seeds_and_options_survive_the_wrapper(env_id: str, wrapper: Any) -> None:
    """The same episodes with and without, from a seed and after it; the options hold in both."""
    bare = gymnasium.make(env_id, **OPTIONS)
    wrapped = wrapper(gymnasium.make(env_id, **OPTIONS))
    space, rng, lengths, levels = bare.observation_space, np.random.default_rng(1), [0], set()
    ours, theirs = bare.reset(seed=8), wrapped.reset(seed=8)
    for _ in range(40):
        assert (gymnasium.spaces.flatten(space, ours[0]) == plain(theirs[0], space, wrapper)).all()
        assert all(np.array_equal(ours[-1][name], theirs[-1][name]) for name in ours[-1])
        levels.add(int(ours[-1]["level"]))
        action = rng.integers(bare.action_space.n)
        ours, theirs = bare.step(action), wrapped.step(action)
        assert ours[1:4] == theirs[1:4]
        lengths[-1] += 1
        if ours[2] or ours[3]:
            lengths.append(0)
            ours, theirs = bare.reset(), wrapped.reset()
    assert max(lengths) <= OPTIONS["time_limit"]
    assert min(levels) >= make_world(env_id).levels("test").first


@pytest.mark.parametrize(
    "env_id", [FAMILIES[0], *(pytest.param(each, marks=pytest.mark.slow) for each in FAMILIES[1:])]
)
def test_a_video_is_recorded_and_changes_nothing(env_id: str, tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason="RecordVideo needs moviepy, a part of the extra `dev`")
    bare = gymnasium.make(env_id, **OPTIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        shown = gymnasium.make(env_id, render_mode="rgb_array", **OPTIONS)
        filmed = wrappers.RecordVideo(shown, str(tmp_path / "video"), episode_trigger=lambda number: number == 0)
        ours, theirs = bare.reset(seed=3), filmed.reset(seed=3)
        for action in range(8):
            assert all((ours[0][part] == theirs[0][part]).all() for part in ours[0])
            assert ours[-1]["level"] == theirs[-1]["level"] >= make_world(env_id).levels("test").first
            ours, theirs = bare.step(action % 2), filmed.step(action % 2)
            assert ours[1:4] == theirs[1:4]
            if ours[2] or ours[3]:
                ours, theirs = bare.reset(), filmed.reset()
        filmed.close()
    (video,) = (tmp_path / "video").iterdir()
    assert video.suffix == ".mp4" and video.stat().st_size > 500


def wrapped_batches(env_id: str, mode: str | None) -> dict[str, gymnasium.vector.VectorEnv[Any, Any, Any]]:
    """Three envs under each wrapper; frames are stacked in the single envs of a made batch, as Gymnasium does."""
    made = {
        "flattened": vector_wrappers.FlattenObservation(make_batch(env_id, mode)),
        "counted": vector_wrappers.RecordEpisodeStatistics(make_batch(env_id, mode)),
    }
    if mode is not None:
        made["stacked"] = make_batch(env_id, mode, wrappers=[stacked])
    return made


def make_batch(env_id: str, mode: str | None, **settings: Any) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    return gymnasium.make_vec(env_id, 3, vectorization_mode=mode, **settings, **OPTIONS)


def plain_rows(observations: Any, space: gymnasium.Space[Any], kind: str) -> list[Any]:
    """What a batch shows of its latest observations, one vector each."""
    if kind == "flattened":
        return list(observations)
    latest = {name: part[:, -1] for name, part in observations.items()} if kind == "stacked" else observations
    return [gymnasium.spaces.flatten(space, {name: part[n] for name, part in latest.items()}) for n in range(3)]


@pytest.mark.parametrize("mode", [None, "sync"], ids=["native", "made"])
@pytest.mark.parametrize("env_id", FAMILIES)
def test_seeds_and_options_survive_the_wrappers_of_batches(env_id: str, mode: str | None) -> None:
    """As above for a native batch and for one made of single envs: seeds in a list, levels of the split, the limit."""
    bare, others = make_batch(env_id, mode), wrapped_batches(env_id, mode)
    space, first = bare.single_observation_space, make_world(env_id).levels("test").first
    rng, counts = np.random.default_rng(2), []
    expected, found = bare.reset(seed=[4, 5, 6]), {kind: env.reset(seed=[4, 5, 6]) for kind, env in others.items()}
    for _ in range(20):
        assert expected[-1]["level"].min() >= first
        for kind, (observations, *_, infos) in found.items():
            rows = zip(plain_rows(expected[0], space, "bare"), plain_rows(observations, space, kind), strict=True)
            assert all((ours == theirs).all() for ours, theirs in rows)
            assert all(np.array_equal(value, infos[name]) for name, value in expected[-1].items())
        actions = rng.integers(0, bare.single_action_space.n, 3)
        expected, found = bare.step(actions), {kind: env.step(actions) for kind, env in others.items()}
        for step in found.values():
            assert all(np.array_equal(ours, theirs) for ours, theirs in zip(expected[1:4], step[1:4], strict=True))
        ended = expected[2] | expected[3]
        if ended.any():
            counts += found["counted"][-1]["episode"]["l"][ended].tolist()
    assert 0 < min(counts) <= max(counts) <= OPTIONS["time_limit"]


@pytest.mark.parametrize("mode", [None, "sync"], ids=["native", "made"])
def test_a_video_of_a_batch_is_recorded_and_changes_nothing(mode: str | None, tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason="RecordVideo needs moviepy, a part of the extra `dev`")
    bare, shown = (make_batch(FAMILIES[0], mode, render_mode=kind) for kind in (None, "rgb_array"))
    filmed = vector_wrappers.RecordVideo(shown, str(tmp_path / "video"), episode_trigger=lambda number: number == 0)
    ours, theirs = bare.reset(seed=3), filmed.reset(seed=3)
    for action in range(8):
        assert all((ours[0][part] == theirs[0][part]).all() for part in ours[0])
        assert (ours[-1]["level"] == theirs[-1]["level"]).all()
        ours, theirs = bare.step(np.full(3, action % 2)), filmed.step(np.full(3, action % 2))
    filmed.close()
    (video,) = (tmp_path / "video").iterdir()
    assert video.suffix == ".mp4" and video.stat().st_size > 500



MORE_FOREIGN = [pytest.param(env_id, marks=pytest.mark.slow) for env_id in ("CliffWalking-v1", "MiniGrid-Empty-5x5-v0")]


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "Taxi-v4", *MORE_FOREIGN])
def test_foreign_envs_go_through_trainer_and_probe(env_id: str, tmp_path: Path) -> None:
    config = TrainConfig(
        agent=AgentConfig(encoder_sizes=(16,), hidden_size=16), num_demonstrations=5, num_evaluation_episodes=4,
        imitation=ImitationConfig(num_updates=20, batch_size=32),
        reinforce=ReinforceConfig(num_steps=256, num_envs=4, rollout_length=16),
        value=ValueConfig(num_updates=10, num_episodes=8),
    )  # fmt: skip
    result = train(env_id, config, tmp_path / "run", options={"max_episode_steps": 50})
    has_expert = env_id in ("Taxi-v4", "MiniGrid-Empty-5x5-v0")
    stages = {"reinforce", "value"} | ({"imitate"} if has_expert else set())
    assert stages_in(tmp_path / "run" / "curve.jsonl") == stages
    (evaluation,) = result.metrics["evaluations"]
    assert (evaluation["actor"], evaluation["num_episodes"]) == ("D", 4)
    settings = Settings(seed=1, collection=Collection(num_episodes=8))
    report = probe_run(tmp_path / "run", settings=settings, names=["readability", "outcomes"])
    assert [reading.status for reading in report.readings] == ["not applicable", "measured"]
    assert "not applicable: The environment names no context" in report.found[0]
    assert any(path.name == "probe.md" for path in write_report(report, tmp_path / "probe"))


def stages_in(curve: Path) -> set[str]:
    return {json.loads(line)["stage"] for line in curve.open()}
