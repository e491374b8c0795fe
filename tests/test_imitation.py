"""The imitation stage: D repeats what it is shown, on episodes that it did not see as well."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig, ImitationConfig
from agents.encoded import encode_episodes
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


def test_labels_are_imitated_in_place_of_what_was_played(episodes: Episodes) -> None:
    short = dataclasses.replace(SETTINGS, num_updates=200)
    always = dataclasses.replace(episodes, labels=np.full(episodes.num_steps, 2))
    trained, record = imitate(make_agent(), always, short, seed=0)
    assert record[-1]["accuracy"] == 1.0
    assert (policy_table(trained, WORLD, episodes.rows[:50]).argmax(axis=1) == 2).all()


def single_steps(episodes: Episodes, order: np.ndarray) -> Episodes:
    """Every step as an episode of its own, whose last observation is what followed step order[i]."""
    after = {name: np.roll(part, -1, axis=0) for name, part in episodes.observations.items()}
    for name, part in after.items():
        part[episodes.offsets[1:] - 1] = episodes.final_observations[name]
    count, unknown = episodes.num_steps, np.zeros(episodes.num_steps, np.bool_)
    return dataclasses.replace(
        episodes, offsets=np.arange(count + 1), final_observations={name: part[order] for name, part in after.items()},
        terminated=unknown, truncated=unknown, levels=np.repeat(episodes.levels, np.diff(episodes.offsets)),
        rows=None, final_rows=None, final_contexts=episodes.contexts[order],
    )  # fmt: skip


def test_the_next_observation_can_be_predicted_where_it_follows_and_not_where_it_was_shuffled(
    episodes: Episodes,
) -> None:
    """Planted: the world is deterministic, so features and action say what comes. Null: successors of other steps."""
    order = np.arange(episodes.num_steps)
    shuffled = np.random.default_rng(0).permutation(order)
    settings = dataclasses.replace(SETTINGS, num_updates=400, prediction_weight=1.0)
    errors = {}
    for name, steps in (("planted", order), ("null", shuffled)):
        _, record = imitate(make_agent(), single_steps(episodes, steps), settings, seed=0)
        errors[name] = record[-1]
    assert errors["planted"]["prediction_error"] < 0.5 * errors["planted"]["copy_error"]
    assert errors["null"]["prediction_error"] > 0.95
    assert errors["null"]["copy_error"] > 1.5


@pytest.mark.parametrize("encoder", ["mlp", "gru"])
def test_a_prediction_shapes_e_and_leaves_nothing_behind(encoder: str, episodes: Episodes) -> None:
    short = dataclasses.replace(SETTINGS, num_updates=40, sequence_length=4)
    agent = make_agent(encoder)
    plain, rows = imitate(agent, episodes, short, seed=0)
    auxiliary, record = imitate(agent, episodes, dataclasses.replace(short, prediction_weight=1.0), seed=0)
    assert plain.state_dict().keys() == auxiliary.state_dict().keys()
    assert not torch.equal(flat(plain.policy_encoder), flat(auxiliary.policy_encoder))
    assert "prediction_error" not in rows[-1]
    assert record[-1]["prediction_error"] < record[0]["prediction_error"]
    again, repeated = imitate(agent, episodes, dataclasses.replace(short, prediction_weight=1.0), seed=0)
    assert repeated == record and torch.equal(flat(again), flat(auxiliary))


def test_what_follows_each_step_is_known(episodes: Episodes) -> None:
    data = encode_episodes(make_agent(), episodes)
    for episode in (0, 7, episodes.num_episodes - 1):
        first, end = episodes.offsets[episode], episodes.offsets[episode + 1]
        expected = [*data.step_input[first + 1 : end].tolist(), int(data.final_input[episode])]
        assert data.next_input[first:end].tolist() == expected


def flat(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


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
