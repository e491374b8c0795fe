"""The imitation stage: D repeats what it is shown, on episodes that it did not see as well."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig, ImitationConfig
from agents.exact import policy_table
from agents.imitation import imitate
from envs.demonstrations import demonstrate, expert_policy
from envs.episodes import Episodes
from envs.errors import NonFiniteError, UserError
from envs.registry import make_world
from envs.tabular import enumerate_world, policy_evaluation, start_value, value_iteration
from envs.vector import observation_space

WORLD = make_world("MultiNeed", size=4, num_objects=2, num_levels=8)
SETTINGS = ImitationConfig(num_updates=800, batch_size=128, learning_rate=5e-3)


def make_agent(encoder: str = "mlp") -> AlphaAgent:
    config = AgentConfig(encoder=encoder, encoder_sizes=(32,), memory_size=32, num_contexts=2, num_events=2)
    rows = enumerate_world(WORLD, WORLD.levels("train")).rows
    return build_agent(observation_space(WORLD), 4, config, seed=0, sample=WORLD.observe(rows))


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return demonstrate(WORLD, WORLD.levels("train"), num_episodes=3000, seed=0, noise=0.2)


def test_d_learns_the_expert_and_v_stays_as_it_was(episodes: Episodes) -> None:
    agent, mdp = make_agent(), enumerate_world(WORLD, WORLD.levels("train"))
    trained, record = imitate(agent, episodes, SETTINGS, seed=0)
    greedy = policy_table(trained, WORLD, mdp.rows, greedy=True)
    best = start_value(mdp, value_iteration(mdp).values)
    assert start_value(mdp, policy_evaluation(mdp, greedy, horizon=64)) > 0.97 * best
    assert record[-1]["loss"] < record[0]["loss"]
    assert 0.5 < record[-1]["accuracy"] <= 1.0
    for name, parameter in trained.named_parameters():
        same = torch.equal(parameter, dict(agent.named_parameters())[name])
        assert same == (not name.startswith(("policy_encoder", "policy_head"))), name


def test_d_matches_the_frequencies_of_a_choosing_expert() -> None:
    """An expert who picks among equal actions is matched in distribution, not in accuracy."""
    mdp = enumerate_world(WORLD, WORLD.levels("train"))
    shown = demonstrate(WORLD, WORLD.levels("train"), num_episodes=4000, seed=0)
    trained, _ = imitate(make_agent(), shown, dataclasses.replace(SETTINGS, num_updates=1200), seed=0)
    # Only start states are sure to be seen often.
    rows = mdp.rows[mdp.start_state]
    expert = expert_policy(mdp)[mdp.start_state]
    assert np.abs(policy_table(trained, WORLD, rows) - expert).mean() < 0.05


def test_an_encoder_with_memory_and_a_frozen_one_learn_too(episodes: Episodes) -> None:
    short = dataclasses.replace(SETTINGS, num_updates=200)
    _, with_memory = imitate(make_agent("gru"), episodes, dataclasses.replace(short, sequence_length=4), seed=0)
    assert with_memory[-1]["loss"] < 0.9 * with_memory[0]["loss"]
    agent = make_agent()
    frozen, record = imitate(agent, episodes, dataclasses.replace(short, train_encoder=False), seed=0)
    assert record[-1]["loss"] < record[0]["loss"]
    for ours, theirs in zip(frozen.policy_encoder.parameters(), agent.policy_encoder.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_same_seed_gives_the_same_record(episodes: Episodes) -> None:
    short = dataclasses.replace(SETTINGS, num_updates=30)
    runs = [imitate(make_agent(), episodes, short, seed=seed)[1] for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_actions_of_another_env_and_broken_weights_are_refused(episodes: Episodes) -> None:
    strange = dataclasses.replace(episodes, actions=episodes.actions + 3)
    with pytest.raises(UserError, match="Recorded actions are 3 to 6; this agent has actions 0 to 3"):
        imitate(make_agent(), strange, SETTINGS, seed=0)
    broken = make_agent()
    torch.nn.init.constant_(broken.policy_head.bias, float("nan"))
    with pytest.raises(NonFiniteError, match="imitation loss"):
        imitate(broken, episodes, SETTINGS, seed=0)
