"""Evaluation and recording: what is played agrees with what is computed, and no length of episode is preferred."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents import playing
from agents.actors import PolicyActor, mixed_probs
from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig
from agents.environments import make_vector, open_stream
from agents.evaluation import Evaluation, evaluate
from agents.exact import policy_table
from agents.playing import play
from agents.recorder import record_episodes
from agents.streams import EnvStream
from agents.value_actor import ValueActor, action_values
from envs.episodes import episode_of_step, load_episodes, save_episodes
from envs.errors import NonFiniteError, UserError
from envs.registry import make_world
from envs.tabular import TabularMDP, enumerate_world, occupancy, policy_evaluation, state_index, value_iteration
from envs.vector import observation_space

OPTIONS = {"size": 4, "num_objects": 2, "num_levels": 8}
WORLD = make_world("MultiNeed", **OPTIONS)
ENV_ID = "ValueLab/MultiNeed-v0"


@functools.cache
def mdp() -> TabularMDP:
    return enumerate_world(WORLD, WORLD.levels("train"))


@pytest.fixture(scope="module")
def agent() -> AlphaAgent:
    config = AgentConfig(encoder_sizes=(16,), num_contexts=2, num_events=2)
    agent = build_agent(observation_space(WORLD), 4, config, seed=0, sample=WORLD.observe(mdp().rows))
    # Preferences that differ between states, so that agreement with a table means something.
    torch.nn.init.orthogonal_(agent.policy_head.weight, gain=8.0, generator=torch.Generator().manual_seed(0))
    return agent


def played(agent: AlphaAgent, **settings: Any) -> Evaluation:
    return evaluate(agent, ENV_ID, options=OPTIONS, split="train", **settings)


def test_sampled_returns_are_those_of_the_exact_policy(agent: AlphaAgent) -> None:
    found = played(agent, greedy=False, num_episodes=6000, seed=3)
    policy = policy_table(agent, WORLD, mdp().rows)
    values = policy_evaluation(mdp(), policy, horizon=WORLD.time_limit)
    expected = float(mdp().start_probability @ values[mdp().start_state])
    error = found.discounted_returns.std() / np.sqrt(len(found.returns))
    assert abs(found.discounted_returns.mean() - expected) < 4 * error
    visits = occupancy(mdp(), policy, horizon=WORLD.time_limit).sum()
    assert found.lengths.mean() == pytest.approx(visits, abs=4 * found.lengths.std() / np.sqrt(6000))
    assert (found.terminated == (found.returns == 1)).all()
    np.testing.assert_array_equal(found.performance, found.returns)
    np.testing.assert_allclose(found.discounted_returns, found.returns * 0.95 ** (found.lengths - 1))


def test_greedy_episodes_are_those_of_the_table(agent: AlphaAgent) -> None:
    found = played(agent, num_episodes=300)
    values = policy_evaluation(mdp(), policy_table(agent, WORLD, mdp().rows, greedy=True), horizon=WORLD.time_limit)
    assert set(found.discounted_returns.round(9)) <= set(values[mdp().start_state].round(9))
    assert found.summary()["actor"] == "D"


def test_v1_with_exact_values_is_optimal(agent: AlphaAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    solution, shown = value_iteration(mdp()), WORLD.observe(mdp().rows)
    table = {planes.tobytes() + vector.tobytes(): value for planes, vector, value in
             zip(shown["planes"], shown["vector"], solution.values, strict=True)}  # fmt: skip

    class Exact:
        def __init__(self, observations: Any) -> None:
            pairs = zip(observations["planes"], observations["vector"], strict=True)
            values = [table[planes.tobytes() + vector.tobytes()] for planes, vector in pairs]
            self.value = torch.tensor(values, dtype=torch.float64)

    monkeypatch.setattr(agent, "value", lambda observations, memory=None, *, context=None: Exact(observations))
    lookahead = action_values(agent, WORLD, mdp().rows, discount=WORLD.discount)
    np.testing.assert_allclose(lookahead, solution.action_values, atol=1e-9)
    found = played(agent, actor="V1", num_episodes=200)
    starts = solution.values[mdp().start_state]
    assert set(found.discounted_returns.round(9)) <= set(starts.round(9))
    assert found.greedy
    assert found.discounted_returns.mean() == pytest.approx(float(mdp().start_probability @ starts), abs=0.02)


def test_v1_at_a_last_step_counts_rewards_alone() -> None:
    world = make_world("Triad", T=1, d=2)
    rows = world.begin(np.zeros(3, np.int64), np.zeros(3, np.int64))
    last = build_agent(observation_space(world), world.num_actions, AgentConfig(), seed=0, sample=world.observe(rows))
    assert world.expand(rows).terminated.all()
    lookahead = action_values(last, world, rows, discount=1.0)
    np.testing.assert_array_equal(lookahead[0], [2.0, 1.0, 1.0, 1.0, 1.0, 1.0])


def test_v1_with_memory_remembers_as_the_encoder_does() -> None:
    config = AgentConfig(encoder="gru", encoder_sizes=(16,), memory_size=8, head="POS", num_contexts=2, num_events=2)
    agent = build_agent(observation_space(WORLD), 4, config, seed=0, sample=WORLD.observe(mdp().rows))
    stream = open_stream(make_vector(ENV_ID, 3, options=OPTIONS), agent.spec, seed=0, name="x")
    actor, memory = ValueActor(agent, WORLD), torch.zeros(3, 8)
    for _ in range(5):
        memory = torch.where(torch.from_numpy(stream.starts)[:, None], torch.zeros(3, 8), memory)
        _, memory = agent.features_of_value(stream.observations, memory)
        actions, _ = actor.act(stream, np.ones(3, bool))
        torch.testing.assert_close(actor.memory, memory)
        expected = action_values(agent, WORLD, stream.rows(), discount=0.95, memory=memory).argmax(axis=1)
        np.testing.assert_array_equal(actions, expected)
        stream.step(actions)


def test_episodes_do_not_depend_on_the_batch(agent: AlphaAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = played(agent, greedy=False, num_episodes=40)
    recorded = record_episodes(agent, ENV_ID, num_episodes=40, seed=5, options=OPTIONS)
    monkeypatch.setattr(playing, "NATIVE_BATCH", 7)
    pieces = played(agent, greedy=False, num_episodes=40)
    np.testing.assert_array_equal(whole.returns, pieces.returns)
    np.testing.assert_array_equal(whole.lengths, pieces.lengths)
    again = record_episodes(agent, ENV_ID, num_episodes=40, seed=5, options=OPTIONS)
    np.testing.assert_array_equal(recorded.actions, again.actions)
    np.testing.assert_array_equal(recorded.rows, again.rows)


def test_held_out_levels_are_none_of_the_training_ones(agent: AlphaAgent) -> None:
    test = evaluate(agent, ENV_ID, options=OPTIONS, num_episodes=50)
    assert test.split == "test"
    assert not set(test.levels) & set(played(agent, num_episodes=50).levels)


def test_recorded_actions_follow_the_mixture_and_rows_follow_the_world(agent: AlphaAgent, tmp_path: Any) -> None:
    episodes = record_episodes(agent, ENV_ID, num_episodes=4000, seed=1, options=OPTIONS, uniform_share=0.25)
    assert episodes.num_episodes == 4000
    policy = policy_table(agent, WORLD, mdp().rows, uniform_share=0.25)
    states = state_index(mdp(), episodes.rows)
    expected, seen = np.zeros(4), np.bincount(episodes.actions, minlength=4)
    np.add.at(expected, np.arange(4), policy[states].sum(axis=0))
    np.testing.assert_allclose(seen, expected, atol=5 * np.sqrt(episodes.num_steps))
    visits = np.bincount(states, minlength=len(mdp().rows)) / 4000
    np.testing.assert_allclose(visits, occupancy(mdp(), policy, horizon=WORLD.time_limit), atol=0.35)
    inside = np.setdiff1d(np.arange(episodes.num_steps), episodes.offsets[1:] - 1)
    following = mdp().next_state[states[inside], episodes.actions[inside], 0]
    np.testing.assert_array_equal(following, states[inside + 1])
    assert (episodes.contexts == WORLD.context_of(episodes.rows)).all()
    assert (episodes.events[episodes.rewards > 0] == episodes.contexts[episodes.rewards > 0]).all()
    save_episodes(tmp_path / "e.npz", episodes)
    assert (load_episodes(tmp_path / "e.npz").observations["planes"] == episodes.observations["planes"]).all()


class Lengths(gym.Env[Any, int]):
    """Episodes of 1, 9, 1, 9, … steps."""

    observation_space = gym.spaces.Box(0.0, 1.0, (16,), np.float32)
    action_space = gym.spaces.Discrete(4)
    count = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.clock, self.count = 0, self.count + 1
        return np.full(16, self.count % 2, np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.clock += 1
        return np.full(16, self.count % 2, np.float32), 1.0, self.clock == (9 if self.count % 2 else 1), False, {}


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_every_env_plays_the_same_number_of_episodes(mode: AutoresetMode) -> None:
    agent = build_agent(Lengths.observation_space, 4, AgentConfig(encoder_sizes=(4,)), seed=0)
    stream = EnvStream(SyncVectorEnv([Lengths] * 3, autoreset_mode=mode), seeds=[1, 2, 3], flatten=agent.spec.select)
    found = play(stream, PolicyActor(agent, seed=0), episodes_per_env=4, keep_observations=True)
    assert found.lengths.tolist() == [1, 9] * 6
    shown = found.observations["observation"][:, 0]
    assert (shown == np.repeat(np.arange(12) % 2, found.lengths)).all()
    assert (found.final_observations["observation"][:, 0] == np.arange(12) % 2).all()
    assert found.terminated.all()


def test_foreign_envs_have_returns_but_no_levels(agent: AlphaAgent) -> None:
    cart = build_agent(gym.make("CartPole-v1").observation_space, 2, AgentConfig(encoder_sizes=(4,)), seed=0)
    found = evaluate(cart, "CartPole-v1", num_episodes=20, greedy=False)
    assert len(found.returns) == 20
    np.testing.assert_array_equal(found.returns, found.lengths)
    again = evaluate(cart, "CartPole-v1", num_episodes=20, greedy=False)
    np.testing.assert_array_equal(found.returns, again.returns)
    assert found.summary()["mean_performance"] is None
    assert found.split == "seeds"
    episodes = record_episodes(cart, "CartPole-v1", num_episodes=19, seed=0)
    assert episodes.num_episodes == 19
    assert len(np.unique(episode_of_step(episodes))) == 19


def test_what_cannot_be_played_is_refused_by_name(agent: AlphaAgent) -> None:
    with pytest.raises(UserError, match="'V1' needs a world with a kernel, which CartPole-v1 has not"):
        evaluate(agent, "CartPole-v1", actor="V1")
    with pytest.raises(UserError, match="Actor 'V2' is unknown; allowed: D, V1"):
        played(agent, actor="V2")
    with pytest.raises(UserError, match="Did you mean 'CartPole-v1'"):
        evaluate(agent, "CartPol-v1")
    with pytest.raises(UserError, match="split"):
        evaluate(agent, ENV_ID, split="tset", options=OPTIONS)
    with pytest.raises(UserError, match="num_episodes"):
        played(agent, num_episodes=0)


def test_broken_values_stop_v1(agent: AlphaAgent) -> None:
    broken = build_agent(observation_space(WORLD), 4, AgentConfig(num_contexts=2, num_events=2), seed=0)
    torch.nn.init.constant_(broken.value_head.bias, float("nan"))
    with pytest.raises(NonFiniteError, match="one-step value is not finite, env 0, step 0"):
        played(broken, actor="V1", num_episodes=5)


def test_mixed_probs() -> None:
    np.testing.assert_allclose(mixed_probs(np.log([[1.0, 3.0]]), uniform_share=0.5), [[0.375, 0.625]])
    np.testing.assert_allclose(mixed_probs(np.array([[0.0, 9.0]]), greedy=True), [[0.0, 1.0]])
