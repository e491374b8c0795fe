"""Learned rewards: regression on a known reward, and search that is paid by a model instead of the world."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from test_every_world import SMALL
from test_search_agents import agent_for

from agents.config import ValueConfig
from agents.environments import make_vector, open_stream
from agents.recorder import record_episodes
from agents.reward_model import RewardModel, fit_rewards, reward_model_from
from agents.search import LearnedRewards, NetworkEvaluator, SearchConfig, TableEvaluator, search
from agents.search.actor import SearchActor
from agents.value_actor import ValueActor, action_values
from envs import make_world
from envs.enumeration import enumerate_world, state_finder
from envs.errors import UserError
from envs.tabular import expected_reward

PAID_BY_MODEL = SearchConfig(num_simulations=24, use_rewards=False)


class TableRewards:
    """Expected rewards of an enumerated world: a model that has learned all there is."""

    def __init__(self, mdp, *, offset=0.0):
        self.find, self.rewards = state_finder(mdp), expected_reward(mdp) + offset

    def __call__(self, new):
        found = np.zeros((len(new.rows), self.rewards.shape[1]))
        for i, row in enumerate(new.rows):
            try:
                found[i] = self.rewards[self.find(row[None])[0]]
            except UserError:  # What has ended is no state of the table, and nobody reads what it would pay.
                found[i] = np.nan
        return found


class ValuesOfLiving(TableEvaluator):
    """As the table, and 7 for what has ended, which a search must not read."""

    def __call__(self, new):
        values, logits = np.full(len(new.rows), 7.0), np.zeros((len(new.rows), self.logits.shape[1]))
        for i, row in enumerate(new.rows):
            try:
                state = self._find(row[None])[0]
            except UserError:
                continue
            values[i], logits[i] = self.values[state], self.logits[state]
        return logits, values


@pytest.mark.parametrize("name", ["CrossedHistory", "DiamondGhost"])
def test_a_model_that_knows_the_rewards_searches_as_the_world_itself_does(name):
    """Rewards here depend on (s, a) alone, so that the two trees must hold the same numbers."""
    world = make_world(name, **SMALL[name])
    mdp = enumerate_world(world, [0, 1])
    values = np.random.default_rng(0).normal(size=mdp.num_states)
    rows = mdp.rows[np.random.default_rng(1).choice(mdp.num_states, 30)]
    true = search(world, rows, TableEvaluator(mdp, values=values), config=SearchConfig(num_simulations=24))
    paid = search(
        world, rows, ValuesOfLiving(mdp, values=values), config=PAID_BY_MODEL, rewards=TableRewards(mdp)
    )  # fmt: skip
    assert true.tree.terminated.any()
    np.testing.assert_array_equal(paid.actions, true.actions)
    np.testing.assert_allclose(paid.tree.q, true.tree.q, atol=1e-12)
    np.testing.assert_allclose(paid.values, true.values, atol=1e-12)
    other = search(
        world, rows, ValuesOfLiving(mdp, values=values), config=PAID_BY_MODEL, rewards=TableRewards(mdp, offset=1.0)
    )  # fmt: skip
    assert np.abs(other.values - true.values).max() > 0.1


def test_a_model_beside_the_worlds_own_rewards_is_refused():
    world = make_world("CrossedHistory", **SMALL["CrossedHistory"])
    mdp = enumerate_world(world, [0])
    rows, evaluator = mdp.rows[mdp.start_state], TableEvaluator(mdp)
    with pytest.raises(UserError, match="in place of the world's rewards"):
        search(world, rows, evaluator, config=SearchConfig(num_simulations=4), rewards=TableRewards(mdp))
    with pytest.raises(UserError, match=r"rewards of shape \(\d+, 1\)"):
        search(world, rows, ValuesOfLiving(mdp), config=PAID_BY_MODEL, rewards=lambda new: np.zeros((len(new.rows), 1)))


@pytest.mark.parametrize("encoder", ["mlp", "gru"])
def test_regression_finds_the_rewards_and_its_order_is_the_seeds(encoder):
    world = make_world("CrossedHistory", size=3)
    agent = agent_for(world, encoder=encoder, encoder_sizes=(64,), memory_size=32)
    episodes = record_episodes(
        agent, "ValueLab/CrossedHistory-5x5-v0", num_episodes=400, seed=0, uniform_share=1.0
    )  # fmt: skip
    config = ValueConfig(num_updates=400 if encoder == "mlp" else 120, batch_size=128, learning_rate=5e-3)
    model, facts = fit_rewards(agent, episodes, config, seed=1)
    assert facts["loss"] < (0.25 if encoder == "mlp" else 0.9) * facts["variance"]
    short = dataclasses.replace(config, num_updates=20)
    one, again, other = (fit_rewards(agent, episodes, short, seed=seed)[0] for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    loaded = reward_model_from(agent, model.state_dict())
    assert isinstance(loaded, RewardModel)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))


def test_amounts_say_what_a_step_brought_and_the_model_what_a_unit_is_worth():
    """The action one-hot is the model by action, bit for bit; goods of known worth get that worth."""
    world = make_world("CrossedHistory", size=3)
    agent = agent_for(world, encoder_sizes=(16,))
    played = record_episodes(agent, "ValueLab/CrossedHistory-5x5-v0", num_episodes=100, seed=0, uniform_share=1.0)
    config = ValueConfig(num_updates=20, batch_size=64, learning_rate=5e-3)
    by_action = np.eye(world.num_actions)[played.actions]
    models = [fit_rewards(agent, played, config, seed=1, amounts=amounts)[0] for amounts in (None, by_action)]
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))
    goods = np.random.default_rng(0).normal(size=(len(played.actions), 2))
    paid = dataclasses.replace(played, rewards=goods @ [2.0, -1.0])
    config = dataclasses.replace(config, num_updates=300)
    model, facts = fit_rewards(agent, paid, config, seed=1, amounts=goods)
    with torch.no_grad():
        worth = model(agent.encode(played.observations).inputs)[0].double().numpy()
    assert worth.shape[1] == 2 and facts["loss"] < 0.02
    assert worth.mean(axis=0) == pytest.approx([2.0, -1.0], abs=0.1)


def test_the_models_memory_in_the_tree_is_that_of_the_path():
    world = make_world("CrossedHistory", size=3)
    agent = agent_for(world, encoder="gru", memory_size=8)
    model = RewardModel(agent.value_encoder, world.num_actions, seed=3)
    rows = world.begin([3], [0])
    found = search(
        world, rows, NetworkEvaluator(agent, world), config=PAID_BY_MODEL,
        rewards=LearnedRewards(model, agent, world),
    )  # fmt: skip
    deepest, path = int(found.tree.num_nodes[0]) - 1, []
    node = deepest
    while node >= 0:
        path.insert(0, node)
        node = int(found.tree.parent[0, node])
    memory = None
    for parent, child in zip(path[:-1], path[1:], strict=True):
        seen = agent.encode(world.observe(found.rows[0, [parent]])).inputs
        with torch.no_grad():
            said, memory = model(seen, memory)
        place = found.tree.nodes[0, child]
        paid = found.tree.reward[0, parent, place["action"], place["outcome"]]
        assert paid == pytest.approx(float(said[0, place["action"]]), abs=1e-5)
    assert len(path) > 2


def test_an_actor_with_a_model_plays_and_is_the_same_in_any_batch():
    env_id, world = "ValueLab/CrossedHistory-5x5-v0", make_world("CrossedHistory-5x5")
    agent = agent_for(world, encoder="gru", memory_size=8)
    model = RewardModel(agent.value_encoder, world.num_actions, seed=3)
    played = []
    for num_envs in (2, 5):
        stream = open_stream(make_vector(env_id, num_envs), agent.spec, seed=0, name="test")
        actor = SearchActor(agent, world, PAID_BY_MODEL, seed=0, reward_model=model)
        actions = [actor.act(stream, np.ones(num_envs, np.bool_))[0][:2]]
        played.append(np.array(actions))
    np.testing.assert_array_equal(*played)


def test_one_step_ahead_the_model_stands_in_place_of_the_worlds_rewards():
    env_id, world = "ValueLab/CrossedHistory-5x5-v0", make_world("CrossedHistory-5x5")
    agent = agent_for(world, encoder="gru", memory_size=8)
    model = RewardModel(agent.value_encoder, world.num_actions, seed=3)
    stream = open_stream(make_vector(env_id, 6), agent.spec, seed=0, name="test")
    chosen, _ = ValueActor(agent, world, reward_model=model).act(stream, np.ones(6, np.bool_))
    unpaid = dataclasses.replace(world, reward_weights=np.zeros(len(world.component_names)))
    with torch.no_grad():
        encoded = agent.encode(stream.observations).inputs
        paid = model(encoded)[0].double().numpy()
        _, memory = agent.features_of_value(stream.observations)
    values = action_values(agent, unpaid, stream.rows(), discount=world.discount, memory=memory)
    np.testing.assert_array_equal(chosen, (paid + values).argmax(axis=1))
    own = action_values(agent, world, stream.rows(), discount=world.discount, memory=memory)
    assert np.abs(own - values).max() > 0.1  # What the world pays would have counted.
