"""The reinforcement stage: it learns, it is deterministic, and nothing that is not finite gets in."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents.actors import PolicyActor
from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig, ReinforceConfig
from agents.environments import make_vector, open_stream
from agents.exact import policy_table
from agents.learner import reinforce
from agents.losses import log_probability, reinforce_loss
from agents.reinforce_state import progress_words
from agents.returns import event_shares
from agents.rollout import Rollout, collect
from agents.samples import minibatch_rows, prepare
from agents.streams import EnvStream
from envs.errors import NonFiniteError
from envs.registry import make_world
from envs.tabular import enumerate_world, policy_evaluation, start_value, value_iteration

OPTIONS = {"size": 4, "num_objects": 2, "num_levels": 4}
ENV_ID = "ValueLab/MultiNeed-v0"
WORLD = make_world(ENV_ID, **OPTIONS)
SMALL = ReinforceConfig(num_steps=2048, num_envs=8, rollout_length=32, batch_size=64)


def make_agent(space: Any, encoder: str = "mlp", head: str = "MONO", regime: str = "scratch") -> AlphaAgent:
    config = AgentConfig(
        encoder=encoder, encoder_sizes=(32,), memory_size=32, head=head, hidden_size=16, num_contexts=2, num_events=2,
        value_encoder=regime,
    )
    rows = enumerate_world(WORLD, WORLD.levels("train")).rows
    sample = WORLD.observe(rows) if isinstance(space, gym.spaces.Dict) else None
    return build_agent(space, 4, config, seed=0, sample=sample)


def open_world(agent: AlphaAgent | None = None, *, num_envs: int = 8, seed: int = 0) -> tuple[AlphaAgent, EnvStream]:
    env = make_vector(ENV_ID, num_envs, options=OPTIONS)
    agent = make_agent(env.single_observation_space) if agent is None else agent
    return agent, open_stream(env, agent.spec, seed=seed, name="reinforce")


def weights(agent: AlphaAgent, *prefixes: str) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for name, p in agent.named_parameters() if name.startswith(prefixes)])


def test_d_comes_near_the_optimum_and_v_stays_as_it_was() -> None:
    agent, stream = open_world(num_envs=32)
    settings = ReinforceConfig(num_steps=60_000, num_envs=32, rollout_length=32, learning_rate=3e-3)
    trained, record = reinforce(agent, stream, settings, discount=0.95, seed=0)
    mdp = enumerate_world(WORLD, WORLD.levels("train"))
    greedy = policy_evaluation(mdp, policy_table(trained, WORLD, mdp.rows, greedy=True), horizon=64)
    assert start_value(mdp, greedy) > 0.95 * start_value(mdp, value_iteration(mdp).values)
    assert record[-1]["mean_return"] > 0.99
    assert record[-1]["mean_length"] < record[0]["mean_length"]
    assert record[-1]["step"] == 59 * 32 * 32
    assert torch.equal(weights(trained, "value"), weights(agent, "value"))


@pytest.mark.parametrize(
    ("encoder", "regime", "head"), [("mlp", "scratch", "ROUTE"), ("gru", "scratch", "POS"), ("gru", "shared", "MONO")]
)
def test_v_as_baseline_trains_v(encoder: str, regime: str, head: str) -> None:
    space = make_vector(ENV_ID, 1, options=OPTIONS).single_observation_space
    agent, stream = open_world(make_agent(space, encoder, head, regime))
    settings = dataclasses.replace(SMALL, share_value=True, num_steps=512)
    trained, record = reinforce(agent, stream, settings, discount=0.95, seed=0)
    assert not torch.equal(weights(trained, "value_head"), weights(agent, "value_head"))
    assert not torch.equal(weights(trained, "policy_encoder"), weights(agent, "policy_encoder"))
    assert (agent.value_discount, trained.value_discount) == (None, 0.95)
    assert trained.shared == (regime == "shared")
    assert torch.equal(weights(trained, "baseline"), weights(agent, "baseline"))
    assert np.isfinite(record[-1]["baseline_loss"])


def test_the_same_seed_gives_the_same_record_whatever_was_drawn_before() -> None:
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(runs))
        agent, stream = open_world(seed=seed)
        runs.append(reinforce(agent, stream, SMALL, discount=0.95, seed=seed))
    assert runs[0][1] == runs[1][1]
    assert torch.equal(weights(runs[0][0], "policy"), weights(runs[1][0], "policy"))
    assert runs[0][1] != runs[2][1]


def rolled_out(encoder: str = "mlp", mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> tuple[AlphaAgent, Rollout]:
    env = make_vector(ENV_ID, 4, options=OPTIONS, autoreset_mode=mode)
    agent = make_agent(env.single_observation_space, encoder, "ROUTE")
    stream, actor = open_stream(env, agent.spec, seed=0, name="x"), PolicyActor(agent, seed=0)
    collect(stream, actor, num_steps=50)
    return agent, collect(stream, actor, num_steps=70)


@pytest.mark.parametrize("encoder", ["mlp", "gru"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_replayed_logits_are_those_of_the_actor(encoder: str, mode: AutoresetMode) -> None:
    """With the memory of the rollout's beginning, one pass over the rollout gives what the actor gave step by step."""
    agent, rollout = rolled_out(encoder, mode)
    samples, _ = prepare(agent, rollout, ReinforceConfig(), discount=0.95, value_memory=None)
    output = agent.policy_encoder.unroll(samples.inputs, samples.memory, samples.starts)[0]
    logits = agent.policy_head(output).flatten(0, 1)
    rows = samples.valid.flatten()
    replayed = log_probability(logits, samples.actions)[rows]
    torch.testing.assert_close(replayed, samples.old_log_probs[rows], atol=1e-5, rtol=1e-4)


def as_alphago(**changes: Any) -> ReinforceConfig:
    """Plain REINFORCE: no bonus, no standardised advantages, one step a rollout."""
    return ReinforceConfig(objective="reinforce", entropy_weight=0.0, normalize_advantage=False, **changes)


def test_the_plain_gradient_is_the_analytic_one_on_a_bandit() -> None:
    """On each arm as often as π draws it, the mean of (r − b)·∇log π is ∇J, ∂J/∂logit_a = π_a (r_a − J), for any b."""
    counts, rewards = torch.tensor([1, 2, 5, 12]), torch.tensor([3.0, -1.0, 0.5, 2.0])
    probs = counts / counts.sum()
    logits = probs.log().requires_grad_()
    drawn = torch.repeat_interleave(torch.arange(4), counts)
    expected = probs * (rewards - probs @ rewards)
    for baseline in (0.0, 1.7, -20.0):
        log_probs = log_probability(logits.expand(len(drawn), 4), drawn)
        loss = reinforce_loss(log_probs, advantages=rewards[drawn] - baseline)
        torch.testing.assert_close(torch.autograd.grad(loss, logits)[0], -expected)


class Bandit(gym.Env[Any, int]):
    """Four arms, one step."""

    observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gym.spaces.Discrete(4)
    rewards = (0.1, 0.9, 0.3, 0.5)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return np.ones(2, np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.ones(2, np.float32), self.rewards[action], True, False, {}


def test_one_step_on_a_bandit_follows_the_sampled_gradient() -> None:
    """Adam's first step is the sign of the gradient, and the biases of D get the gradient of the logits themselves."""
    env = SyncVectorEnv([Bandit] * 64)
    agent = make_agent(env.single_observation_space)
    torch.nn.init.zeros_(agent.policy_head.weight)
    stream = open_stream(env, agent.spec, seed=0, name="x")
    settings = as_alphago(num_steps=64 * 8, num_envs=64, rollout_length=8, learning_rate=0.01, anneal=False)
    trained, record = reinforce(agent, stream, settings, discount=0.9, seed=0)
    assert len(record) == 1
    again = open_stream(SyncVectorEnv([Bandit] * 64), agent.spec, seed=0, name="x")
    rollout = collect(again, PolicyActor(agent, seed=0), num_steps=8)
    baseline = agent.baseline_head(agent.policy(rollout.observations["observation"][0]).features)
    outcome = rollout.rewards - float(baseline[0])
    taken = np.eye(4)[rollout.actions]
    gradient = ((outcome[:, :, None] * (taken - 0.25))[rollout.valid]).mean(axis=0)
    step = (trained.policy_head.bias - agent.policy_head.bias).detach().numpy()
    np.testing.assert_allclose(step, 0.01 * np.sign(gradient), rtol=1e-3)
    assert step.argmax() == 1
    assert record[0]["policy_loss"] == pytest.approx(-np.log(0.25) * outcome[rollout.valid].mean(), rel=1e-4)


def test_plain_outcomes_reach_the_end_of_the_episode_whatever_the_trace() -> None:
    agent, rollout = rolled_out()
    outcomes = []
    for settings in (as_alphago(), as_alphago(trace_lambda=0.3), ReinforceConfig(trace_lambda=0.3)):
        samples, _ = prepare(agent, rollout, settings, discount=0.95, value_memory=None)
        outcomes.append(samples.targets.total.reshape(70, 4))
    assert torch.equal(outcomes[0], outcomes[1]) and not torch.allclose(outcomes[0], outcomes[2], atol=1e-3)
    expected = np.full((70, 4), np.nan)
    for env in range(4):
        ahead = np.nan  # After the last end of the rollout the outcome is not known.
        for t in range(69, -1, -1):
            ahead = 0.0 if rollout.terminated[t, env] else np.nan if rollout.truncated[t, env] else ahead
            ahead = rollout.rewards[t, env] + 0.95 * ahead
            expected[t, env] = ahead
    known = ~np.isnan(expected) & rollout.valid
    assert known.mean() > 0.2
    np.testing.assert_allclose(outcomes[0].numpy()[known], expected[known], atol=1e-5)


def test_plain_reinforcement_comes_near_the_optimum() -> None:
    agent, stream = open_world(num_envs=64)
    settings = ReinforceConfig(
        objective="reinforce", num_steps=250_000, num_envs=64, rollout_length=32, learning_rate=1e-2
    )
    trained, record = reinforce(agent, stream, settings, discount=0.95, seed=0)
    mdp = enumerate_world(WORLD, WORLD.levels("train"))
    greedy = policy_evaluation(mdp, policy_table(trained, WORLD, mdp.rows, greedy=True), horizon=64)
    assert start_value(mdp, greedy) > 0.9 * start_value(mdp, value_iteration(mdp).values)
    assert record[-1]["mean_length"] < record[0]["mean_length"]
    # One step each: D as it is after the update was never another one while it was updated.
    assert all(abs(row["approx_kl"]) < 1e-6 for row in record)


def test_planes_stay_bytes_in_the_rollout() -> None:
    _, rollout = rolled_out()
    assert rollout.observations["planes"].dtype == np.uint8


def test_event_shares_of_a_rollout_are_those_of_each_env() -> None:
    agent, rollout = rolled_out()
    samples, _ = prepare(agent, rollout, ReinforceConfig(), discount=0.95, value_memory=None)
    assert samples.targets.event_share is not None
    shares = samples.targets.event_share.reshape(70, 4, 2)
    for env in range(4):
        alone = event_shares(
            rollout.rewards[:, env], rollout.events[:, env], continuation_t=rollout.continuation[:, env], num_events=2,
            decay=0.95 * 0.95,
        )
        np.testing.assert_allclose(shares[:, env], alone, atol=1e-6)


def test_a_pass_visits_each_valid_row_once_and_no_other() -> None:
    agent, rollout = rolled_out()
    samples, _ = prepare(agent, rollout, ReinforceConfig(), discount=0.95, value_memory=None)
    generator = torch.Generator().manual_seed(0)
    parts = list(minibatch_rows(samples, batch_size=50, generator=generator, whole_columns=False))
    assert sorted(torch.cat(parts).tolist()) == np.flatnonzero(rollout.valid).tolist()
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    rows, mask = samples.columns(torch.tensor([2, 0]))
    assert sorted(rows.tolist()) == [t * 4 + k for t in range(70) for k in (0, 2) if rollout.valid[t, k]]
    assert mask.sum() == len(rows)


class Broken(gym.Env[Any, int]):
    observation_space = gym.spaces.Box(0.0, 1.0, (3,), np.float32)
    action_space = gym.spaces.Discrete(4)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.clock = 0
        return np.zeros(3, np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.clock += 1
        return np.zeros(3, np.float32), float("nan") if self.clock == 40 else 0.0, False, False, {}


def test_a_broken_reward_stops_the_update_and_is_named() -> None:
    env = SyncVectorEnv([Broken] * 2)
    agent = make_agent(env.single_observation_space)
    stream = open_stream(env, agent.spec, seed=0, name="x")
    seen: list[dict[str, Any]] = []
    settings = dataclasses.replace(SMALL, num_envs=2)
    with pytest.raises(NonFiniteError, match="reward is not finite, env 0, step 39"):
        reinforce(agent, stream, settings, discount=0.9, seed=0, on_update=lambda _, row: bool(seen.append(row)))
    assert len(seen) == 1


@pytest.mark.parametrize(("part", "site"), [("policy_head", "policy logits"), ("baseline_head", "reinforce loss")])
def test_broken_weights_stop_before_anything_changes(part: str, site: str) -> None:
    agent, stream = open_world()
    torch.nn.init.constant_(getattr(agent, part).bias, float("nan"))
    with pytest.raises(NonFiniteError, match=site):
        reinforce(agent, stream, SMALL, discount=0.95, seed=0)


def test_progress_is_in_words():
    """An update in which no episode ended, and a mean of many digits."""
    assert progress_words("search", {"mean_return": None}) == "search: no episode has ended"
    assert progress_words("reinforce", {"mean_return": 2 / 3}) == "reinforce: return 0.667"
