"""The two-state check: nothing but a time limit ends an episode, so V must be (0, 10), not what a cut episode earned.

A state is drawn at reset and stays; reward is 0 or 1 at every step; the limit is 10 steps and the discount 0.9. Each of
the usual mistakes has a wrong answer of its own at λ = .95, which is reproduced here by planting the mistake.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from agents.actors import PolicyActor
from agents.agent import AlphaAgent, build_agent
from agents.batches import all_values
from agents.config import AgentConfig, ReinforceConfig, ValueConfig
from agents.encoded import encode_episodes
from agents.environments import open_stream
from agents.learner import reinforce
from agents.playing import play
from agents.recorder import episodes_from
from agents.returns import continuation, discounts, lambda_returns
from agents.rollout import Rollout, collect
from agents.samples import prepare
from agents.streams import EnvStream
from agents.values import fit_values
from envs.episodes import Episodes, load_episodes, save_episodes
from shards.registry import HEADS

MODES = list(AutoresetMode)
TRUTH = np.array([0.0, 10.0])


def product(*heads_by_default: str) -> list[Any]:
    """Every autoreset mode with every head; by default each mode with MONO, and the named heads in one mode."""
    in_default = {(mode, "MONO") for mode in MODES} | {(AutoresetMode.NEXT_STEP, head) for head in heads_by_default}
    return [
        pytest.param(mode, head, marks=() if (mode, head) in in_default else pytest.mark.slow)
        for mode in MODES
        for head in HEADS
    ]


# What a head makes of targets does not depend on who played, so that one way to them suffices for all heads.
RECORDED, PLAYED, BROKEN = product(*HEADS), product("ROUTE"), product()


class TwoStates(gym.Env[Any, int]):
    observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.state, self.clock = int(self.np_random.integers(2)), 0
        return np.eye(2, dtype=np.float32)[self.state], {"context": self.state}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.clock += 1
        info = {"context": self.state, "event": self.state if self.state else -1}
        info["components"] = np.array([0.0, self.state]) if self.state else np.zeros(2)
        return np.eye(2, dtype=np.float32)[self.state], float(self.state), False, self.clock == 10, info


def make_agent(head: str = "MONO", encoder: str = "mlp") -> AlphaAgent:
    sizes = AgentConfig(
        encoder=encoder, encoder_sizes=(32,), memory_size=8, head=head, hidden_size=64, num_contexts=2, num_events=2,
        component_weights=(0.5, 1.0),
    )  # fmt: skip
    return build_agent(TwoStates.observation_space, 2, sizes, seed=0)


def make_env(mode: AutoresetMode, num_envs: int) -> SyncVectorEnv:
    return SyncVectorEnv([TwoStates] * num_envs, autoreset_mode=mode)


def recorded(mode: AutoresetMode, agent: AlphaAgent) -> Episodes:
    stream = open_stream(make_env(mode, 16), agent.spec, seed=3, name="recorder")
    played = play(stream, PolicyActor(agent, seed=3), episodes_per_env=2, keep_observations=True)
    return episodes_from(played, None, env_id="TwoStates", discount=0.9)


class ManyTwoStates(VectorEnv[Any, Any, Any]):
    """The same as one batch of arrays, so that frequencies are those of the definition."""

    def __init__(self, mode: AutoresetMode, num_envs: int) -> None:
        self.num_envs, self.mode, self.metadata = num_envs, mode, {"autoreset_mode": mode}
        self.rng, self.clock = np.random.default_rng(0), np.zeros(num_envs, int)
        self.state = self.rng.integers(2, size=num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.begin(options["reset_mask"] if options else np.ones(self.num_envs, bool))
        return np.eye(2, dtype=np.float32)[self.state], {}

    def begin(self, mask: np.ndarray) -> None:
        self.state = np.where(mask, self.rng.integers(2, size=self.num_envs), self.state)
        self.clock[mask] = 0

    def step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        resets = (self.clock == 10) & (self.mode == AutoresetMode.NEXT_STEP)
        self.begin(resets)
        self.clock[~resets] += 1
        reward, truncated, info = np.where(resets, 0.0, self.state), self.clock == 10, {}
        if self.mode == AutoresetMode.SAME_STEP:
            info = {"final_obs": list(np.eye(2, dtype=np.float32)[self.state])}
            self.begin(truncated)
        return np.eye(2, dtype=np.float32)[self.state], reward, np.zeros(self.num_envs, bool), truncated, info


def rolled_out(mode: AutoresetMode, num_envs: int = 256) -> Rollout:
    agent = make_agent()
    stream = EnvStream(ManyTwoStates(mode, num_envs), seeds=0, flatten=agent.spec.select)
    return collect(stream, PolicyActor(agent, seed=0), num_steps=110)


def values_of(agent: AlphaAgent, episodes: Episodes) -> np.ndarray:
    """V of the two states, at the last step of their episodes."""
    encoded = encode_episodes(agent, episodes)
    values, _ = all_values(agent.value_head, encoded, encoder=agent.value_encoder)
    state = episodes.observations["observation"].argmax(axis=1)
    return np.array([values[state == 0].mean(), values[state == 1].mean()])


SETTINGS = ValueConfig(
    target="td_lambda", num_updates=600, batch_size=64, learning_rate=0.02, refresh_every=20, max_grad_norm=1e3
)


@pytest.mark.parametrize(("mode", "head"), RECORDED)
def test_v_learns_the_truth_from_recorded_episodes(mode: AutoresetMode, head: str, tmp_path: Any) -> None:
    agent = make_agent(head)
    save_episodes(tmp_path / "episodes.npz", recorded(mode, agent))
    episodes = load_episodes(tmp_path / "episodes.npz")
    assert episodes.truncated.all()
    assert not episodes.terminated.any()
    assert (np.diff(episodes.offsets) == 10).all()
    trained, _ = fit_values(agent, episodes, SETTINGS, seed=0)
    np.testing.assert_allclose(values_of(trained, episodes), TRUTH, atol=0.05)


def test_monte_carlo_targets_bootstrap_where_the_limit_cuts() -> None:
    agent = make_agent()
    episodes = recorded(AutoresetMode.SAME_STEP, agent)
    trained, _ = fit_values(agent, episodes, dataclasses.replace(SETTINGS, target="monte_carlo"), seed=0)
    np.testing.assert_allclose(values_of(trained, episodes), TRUTH, atol=0.05)


def test_a_value_with_memory_bootstraps_from_its_memory() -> None:
    agent = make_agent(encoder="gru")
    episodes = recorded(AutoresetMode.SAME_STEP, agent)
    trained, _ = fit_values(agent, episodes, dataclasses.replace(SETTINGS, refresh_every=5), seed=0)
    np.testing.assert_allclose(values_of(trained, episodes), TRUTH, atol=0.2)


def reinforced(mode: AutoresetMode, head: str, *, share_value: bool) -> AlphaAgent:
    agent = make_agent(head)
    stream = open_stream(make_env(mode, 16), agent.spec, seed=0, name="reinforce")
    settings = ReinforceConfig(
        num_steps=16 * 30 * 15, num_envs=16, rollout_length=30, num_epochs=16, learning_rate=0.03, batch_size=480,
        baseline_weight=1.0, max_grad_norm=1e3, entropy_weight=0.0, normalize_advantage=False, share_value=share_value,
    )
    return reinforce(agent, stream, settings, discount=0.9, seed=0)[0]


SHOWN = {"observation": np.eye(2, dtype=np.float32)}


@torch.no_grad()
def shared_value(agent: AlphaAgent) -> np.ndarray:
    return agent.value(SHOWN, context=torch.arange(2)).value.numpy()


@pytest.mark.parametrize("mode", MODES)
def test_the_baseline_of_the_policy_gradient_learns_the_truth(mode: AutoresetMode) -> None:
    agent = reinforced(mode, "MONO", share_value=False)
    with torch.no_grad():
        baseline = agent.baseline_head(agent.policy(SHOWN).features)
    np.testing.assert_allclose(baseline.numpy(), TRUTH, atol=0.05)


@pytest.mark.parametrize(("mode", "head"), PLAYED)
def test_v_as_the_baseline_learns_the_truth(mode: AutoresetMode, head: str) -> None:
    np.testing.assert_allclose(shared_value(reinforced(mode, head, share_value=True)), TRUTH, atol=0.05)


@pytest.mark.parametrize(("mode", "head"), BROKEN)
def test_v_as_the_baseline_misses_the_truth_without_the_last_observation(
    mode: AutoresetMode, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A truncated row that bootstraps from 0, as from an end, gives the wrong answer of the table: 4.28."""
    whole = Rollout.next_values
    monkeypatch.setattr(Rollout, "next_values", lambda rollout, values, final: whole(rollout, values, 0.0 * final))
    wrong = shared_value(reinforced(mode, head, share_value=True))
    assert wrong[1] == pytest.approx(4.28, abs=0.25)


def fixed_point(rollout: Rollout, *, mistake: str | None = None) -> np.ndarray:
    """The table V that equals the mean of its own λ-returns, with or without a mistake planted in them."""
    state = rollout.observations["observation"].argmax(axis=-1)
    final = rollout.final_observations["observation"].argmax(axis=-1)
    ends = rollout.truncated if mistake == "truncation is an end" else rollout.terminated
    used = np.ones_like(rollout.valid) if mistake == "reset is a transition" else rollout.valid
    values = np.zeros(2)
    for _ in range(60):
        successors = rollout.next_values(values[state], values[final])
        if mistake == "reset observation":
            # Right in SAME_STEP alone: the row after an end shows the next episode there.
            successors = values[state[1:]]
        returns = lambda_returns(
            rollout.rewards, successors, discount_t=discounts(ends, 0.9), trace=0.95,
            continuation_t=continuation(rollout.terminated, rollout.truncated),
        )
        values = np.array([returns[used & (state[:-1] == k)].mean() for k in (0, 1)])
    return values


@pytest.mark.parametrize("mode", MODES)
def test_the_table_is_right_in_every_mode(mode: AutoresetMode) -> None:
    np.testing.assert_allclose(fixed_point(rolled_out(mode)), TRUTH, atol=1e-6)


@pytest.mark.parametrize(
    ("mistake", "mode", "wrong"),
    [
        ("reset is a transition", AutoresetMode.NEXT_STEP, (0.951, 8.81)),
        ("truncation is an end", AutoresetMode.SAME_STEP, (0.0, 4.28)),
        ("reset observation", AutoresetMode.SAME_STEP, (2.86, 7.14)),
    ],
)
def test_each_mistake_has_its_own_wrong_answer(mistake: str, mode: AutoresetMode, wrong: tuple[float, float]) -> None:
    planted = fixed_point(rolled_out(mode, num_envs=2048), mistake=mistake)
    np.testing.assert_allclose(planted, wrong, atol=0.05)
    assert np.abs(planted - TRUTH).max() > 1.0


@pytest.mark.parametrize(("mode", "head"), BROKEN)
def test_a_mistake_in_the_stage_itself_is_seen(mode: AutoresetMode, head: str) -> None:
    """The recorded path with every truncation marked as a termination ends at the second wrong answer."""
    agent = make_agent(head)
    episodes = recorded(mode, agent)
    episodes.terminated[:], episodes.truncated[:] = True, False
    trained, _ = fit_values(agent, episodes, SETTINGS, seed=0)
    np.testing.assert_allclose(values_of(trained, episodes), (0.0, 4.28), atol=0.1)


@pytest.mark.parametrize("encoder", ["mlp", "gru"])
def test_rollouts_with_memory_bootstrap_from_the_same_states(encoder: str) -> None:
    """Advantages of the three modes agree row by row, once the resets of NEXT_STEP are taken out."""
    agent, settings = make_agent(encoder=encoder), ReinforceConfig(normalize_advantage=False)
    found = {}
    for mode in MODES:
        stream = open_stream(make_env(mode, 4), agent.spec, seed=0, name="x")
        num_steps = 33 if mode == AutoresetMode.NEXT_STEP else 30
        rollout = collect(stream, PolicyActor(agent, seed=0, greedy=True), num_steps=num_steps)
        samples, _ = prepare(agent, rollout, settings, discount=0.9, value_memory=None)
        found[mode] = samples.advantages.reshape(num_steps, 4).T[samples.valid.T].numpy()
    for mode in MODES:
        np.testing.assert_allclose(found[mode], found[AutoresetMode.DISABLED], atol=1e-5)
