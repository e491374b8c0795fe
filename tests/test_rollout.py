"""Rollouts: in every autoreset mode a transition ends in the state that it led to, and resets are no transitions."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents.rollout import collect
from agents.streams import EnvStream, _field
from envs.errors import NonFiniteError

MODES = list(AutoresetMode)


class Counter(gym.Env[Any, int]):
    """Shows (episode, clock); episode e lasts 2 + e % 3 steps; odd episodes terminate, even ones are truncated."""

    observation_space = gym.spaces.Box(0, 1000, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, broken: str | None = None) -> None:
        self.episode, self.clock, self.broken = -1, 0, broken

    def show(self) -> np.ndarray:
        wrong = self.broken == "observation" and (self.episode, self.clock) == (1, 1)
        return np.array([np.nan if wrong else self.episode, self.clock], np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.episode, self.clock = self.episode + 1, 0
        return self.show(), {"context": self.episode % 2, "level": self.episode}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.clock += 1
        over = self.clock == 2 + self.episode % 3
        reward = np.inf if self.broken == "reward" and (self.episode, self.clock) == (1, 1) else 100.0 * self.episode
        info = {"context": self.episode % 2, "level": self.episode, "event": self.clock, "performance": 0.5}
        return self.show(), reward + self.clock, over and self.episode % 2 == 1, over and self.episode % 2 == 0, info


class Constant:
    """An actor that always takes action 1."""

    def act(self, stream: EnvStream, needed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(stream.num_envs, np.int64), np.zeros(stream.num_envs, np.float32)


def flatten(shown: Any) -> dict[str, np.ndarray]:
    return {"clock": np.asarray(shown)}


def counting_stream(mode: AutoresetMode, broken: str | None = None) -> EnvStream:
    fns = [lambda: Counter(), lambda: Counter(broken)]
    return EnvStream(SyncVectorEnv(fns, autoreset_mode=mode), seeds=[1, 2], flatten=flatten)


@pytest.mark.parametrize("mode", MODES)
def test_each_row_is_one_transition_of_one_episode(mode: AutoresetMode) -> None:
    stream, num_transitions, last = counting_stream(mode), 0, np.full((2, 2), -1.0)
    for num_steps in (7, 1, 12):
        rollout = collect(stream, Constant(), num_steps=num_steps)
        shown = rollout.observations["clock"]
        successors = rollout.next_values(shown[..., 0], rollout.final_observations["clock"][:, 0])
        clocks = rollout.next_values(shown[..., 1], rollout.final_observations["clock"][:, 1])
        follows = ~rollout.terminated & rollout.valid
        np.testing.assert_array_equal(successors[follows], shown[:-1, :, 0][follows])
        np.testing.assert_array_equal(clocks[follows], shown[:-1, :, 1][follows] + 1)
        np.testing.assert_array_equal(rollout.contexts, shown[..., 0] % 2)
        np.testing.assert_array_equal(rollout.starts[:-1][rollout.valid], shown[:-1, :, 1][rollout.valid] == 0)
        expected = 100 * shown[:-1, :, 0] + shown[:-1, :, 1] + 1
        np.testing.assert_array_equal(rollout.rewards[rollout.valid], expected[rollout.valid])
        np.testing.assert_array_equal(rollout.events[rollout.valid], (shown[:-1, :, 1] + 1)[rollout.valid])
        over = shown[:-1, :, 1] + 1 == 2 + shown[:-1, :, 0] % 3
        np.testing.assert_array_equal((rollout.terminated | rollout.truncated)[rollout.valid], over[rollout.valid])
        np.testing.assert_array_equal(rollout.terminated, rollout.valid & over & (shown[:-1, :, 0] % 2 == 1))
        assert len(rollout.final_step) == rollout.truncated.sum()
        num_transitions += rollout.valid.sum()
        last = shown[-1]
    # Lengths 2, 3, 4, 2, 3, 4 …: NEXT_STEP spends one step in each reset, the others none.
    assert num_transitions == (2 * 15 if mode == AutoresetMode.NEXT_STEP else 2 * 20)
    assert (last == stream.observations["clock"]).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("broken", ["reward", "observation"])
def test_what_is_not_finite_stops_the_step_and_is_named(mode: AutoresetMode, broken: str) -> None:
    with pytest.raises(NonFiniteError, match=f"{broken}.* env 1, step [23]") as caught:
        collect(counting_stream(mode, broken), Constant(), num_steps=8)
    assert caught.value.env == 1


def test_levels_belong_to_the_episode_shown() -> None:
    for mode in MODES:
        stream = counting_stream(mode)
        for _ in range(20):
            stream.step(np.ones(2, np.int64))
            assert (stream.levels == stream.observations["clock"][:, 0]).all()


class Dictionary(Counter):
    """The same with a Dict that holds a text."""

    observation_space = gym.spaces.Dict({"clock": Counter.observation_space, "text": gym.spaces.Text(5)})

    def show(self) -> Any:
        return {"clock": super().show(), "text": "words"}


@pytest.mark.parametrize("mode", MODES)
def test_dict_observations_with_text(mode: AutoresetMode) -> None:
    env = SyncVectorEnv([Dictionary] * 2, autoreset_mode=mode)
    stream = EnvStream(env, seeds=[1, 2], flatten=lambda shown: {"clock": np.asarray(shown["clock"])})
    plain = collect(counting_stream(mode), Constant(), num_steps=9)
    rollout = collect(stream, Constant(), num_steps=9)
    np.testing.assert_array_equal(rollout.observations["clock"], plain.observations["clock"])
    np.testing.assert_array_equal(rollout.final_observations["clock"], plain.final_observations["clock"])


class Talker(Counter):
    """Uses the names of our info for other things, and wears a wrapper's statistics."""

    def __init__(self, level: Any, event: Any = 3, components: Any = None) -> None:
        super().__init__()
        self.extra = {"level": level, "event": event, "context": 1.5, "performance": "high", "episode": {"r": 1.0}}
        self.extra |= {} if components is None else {"components": components}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return super().reset(seed=seed)[0], {"level": self.extra["level"]}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return *super().step(action)[:4], dict(self.extra)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("components", [None, "many", [1, 2], {"food": 1.0}])
def test_what_is_no_number_in_the_info_counts_as_missing(mode: AutoresetMode, components: Any) -> None:
    makers = [lambda: Talker("1-1", components=components), lambda: Talker("1-2", 4.0, components)]
    stream = EnvStream(SyncVectorEnv(makers, autoreset_mode=mode), seeds=[1, 2], flatten=flatten)
    for _ in range(6):
        step = stream.step(np.ones(2, np.int64))
        np.testing.assert_array_equal(step.events[step.valid], np.array([3, 4])[step.valid])
        assert stream.levels.tolist() == stream.contexts.tolist() == [-1, -1]
        assert np.isnan(step.performance).all() and step.components is None


def test_entries_are_judged_one_by_one() -> None:
    mixed = {"level": np.array(["1-1", 7, None, 2.0, 2.5, np.nan, True], object)}
    assert _field(mixed, "level", missing=np.full(7, -1)).tolist() == [-1, 7, -1, 2, -1, -1, 1]
    floats = {"level": np.array([3.0, 0.5, np.inf]), "_level": np.array([True, True, False])}
    assert _field(floats, "level", missing=np.full(3, -1)).tolist() == [3, -1, -1]
    assert _field({"level": {"a": 1}}, "level", missing=np.full(3, -1)).tolist() == [-1, -1, -1]
