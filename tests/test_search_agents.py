"""Search with networks: memory at the nodes, rollouts at the leaves, V alone, and search as an actor."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from test_every_world import SMALL

from agents.actors import make_actor
from agents.agent import build_agent
from agents.config import AgentConfig
from agents.environments import make_vector, open_stream
from agents.evaluation import evaluate
from agents.search import NetworkEvaluator, SearchConfig, TableEvaluator, search
from agents.search.actor import SearchActor
from agents.search.new_nodes import NewNodes
from agents.search.rollouts import RolloutEvaluator, RolloutPolicy
from envs import make_world
from envs.enumeration import enumerate_world
from envs.errors import UserError
from envs.step_buffers import observation_space
from envs.tabular import policy_evaluation, value_iteration

ENV_ID = "ValueLab/CrossedHistory-5x5-v0"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def agent_for(world, **config):
    sizes = {"encoder_sizes": (16,), "hidden_size": 8} | config
    rows = world.begin(np.arange(50), np.zeros(50, np.int64))
    return build_agent(
        observation_space(world), world.num_actions, AgentConfig(**sizes), seed=0, sample=world.observe(rows)
    )  # fmt: skip


def path_of(found, node):
    """The nodes from the root to a node of tree 0, both included."""
    path = [node]
    while path[0] > 0:
        path.insert(0, int(found.tree.parent[0, path[0]]))
    return path


@pytest.mark.parametrize("config", [{}, {"value_encoder": "shared"}, {"head": "POS", "num_contexts": 2}])
def test_every_node_has_what_the_networks_say_of_its_state(config):
    world = make_world("CrossedHistory", size=3)
    agent = agent_for(world, **config)
    rows = world.begin(np.arange(6), np.zeros(6, np.int64))
    found = search(world, rows, NetworkEvaluator(agent, world), config=SearchConfig(num_simulations=20))
    live = ~found.tree.terminated & (np.arange(21) < found.tree.num_nodes[:, None])
    seen = found.rows[live]
    context = torch.from_numpy(world.context_of(seen))
    with torch.no_grad():
        logits = agent.policy(world.observe(seen)).logits.double().numpy()
        values = agent.value(world.observe(seen), context=context).value.double().numpy()
    np.testing.assert_allclose(found.tree.prior_logits[live], logits, atol=1e-5)
    np.testing.assert_allclose(found.tree.raw_value[live], values, atol=1e-5)
    assert (found.tree.raw_value[found.tree.terminated] == 0).all()


@pytest.mark.parametrize("value_encoder", ["scratch", "shared"])
def test_memory_at_a_node_is_that_of_the_path_to_it(value_encoder):
    """Unrolling D's and V's encoders over the states of a path gives the numbers that stand at its end."""
    world = make_world("MultiNeed", size=3, context="first")
    agent = agent_for(world, encoder="gru", memory_size=8, value_encoder=value_encoder)
    rows = world.begin([3], [0])
    before = torch.randn(1, 8, generator=torch.Generator().manual_seed(0))
    found = search(
        world, rows, NetworkEvaluator(agent, world, policy_memory=before, value_memory=before),
        config=SearchConfig(num_simulations=30),
    )  # fmt: skip
    live = [n for n in range(found.tree.num_nodes[0]) if not found.tree.terminated[0, n]]
    assert max(len(path_of(found, n)) for n in live) >= 4
    for node in live:
        path = path_of(found, node)
        shown = {name: array[:, None] for name, array in world.observe(found.rows[0, path]).items()}
        starts = torch.zeros(len(path), 1, dtype=torch.bool)
        with torch.no_grad():
            logits = agent.unroll_policy(shown, before, starts).logits[-1, 0]
            features, _ = agent.unroll_features_of_value(shown, before, starts)
            value = agent.value_head(features[-1]).value[0]
        np.testing.assert_allclose(found.tree.prior_logits[0, node], logits.double().numpy(), atol=1e-5)
        assert found.tree.raw_value[0, node] == pytest.approx(float(value), abs=1e-5)


def rollout_outcomes(world, mdp, policy, *, num):
    config = SearchConfig(rollout_share=1.0, rollout_limit=200)
    evaluator = RolloutEvaluator(
        TableEvaluator(mdp), world, policy, config=config, discount=world.discount, keys=np.arange(num)
    )  # fmt: skip
    root = mdp.start_state[0]
    rows = np.repeat(mdp.rows[root : root + 1], num, axis=0)
    new = NewNodes(rows, np.arange(num), np.zeros(num, np.int32), np.full(num, -1, np.int32), num_nodes=2)
    return evaluator(new)[1], root


@pytest.mark.parametrize("name", ["MultiNeed", "FruitTask", "DiamondGhost"])
@pytest.mark.parametrize("kind", ["uniform", "table"])
def test_rollouts_earn_what_their_policy_is_worth(name, kind):
    """Five standard errors of a mean over 4,000 rollouts; the policy's exact value is the known answer."""
    world = make_world(name, **SMALL[name])
    mdp = enumerate_world(world, [0])
    probs = np.random.default_rng(0).dirichlet(np.ones(world.num_actions), mdp.num_states)
    if kind == "uniform":
        probs[:] = 1 / world.num_actions
    policy = RolloutPolicy.uniform(world) if kind == "uniform" else RolloutPolicy.table(mdp, probs)
    outcomes, root = rollout_outcomes(world, mdp, policy, num=4000)
    exact = policy_evaluation(mdp, probs)[root]
    assert abs(outcomes.mean() - exact) < 5 * outcomes.std() / np.sqrt(4000) + 1e-6
    again, _ = rollout_outcomes(world, mdp, policy, num=3000)
    assert (again == outcomes[:3000]).all(), "a rollout depends on its own key alone"


def test_lambda_weighs_value_and_outcome():
    world = make_world("CrossedHistory", size=3)
    mdp = enumerate_world(world, [0])
    config = SearchConfig(rollout_share=0.25)
    rows = world.begin([0], [0])
    inner = TableEvaluator(mdp, values=np.full(mdp.num_states, 8.0))
    mixed = RolloutEvaluator(
        inner, world, RolloutPolicy.uniform(world), config=config, discount=0.9, keys=np.zeros(1, np.int64)
    )  # fmt: skip
    new = NewNodes(rows, np.zeros(1, np.int64), np.zeros(1, np.int32), np.full(1, -1, np.int32), num_nodes=2)
    assert mixed(new)[1] == pytest.approx(0.75 * 8.0 + 0.25 * mixed.outcomes(new))


def test_without_rewards_the_tree_holds_v_alone():
    """Rewards in the tree find the object with V = 0; without them nothing tells the actions apart, and V decides."""
    world = make_world("CrossedHistory", size=3)
    mdp = enumerate_world(world, [0])
    alone = SearchConfig(num_simulations=64, use_rewards=False)

    def misled(new):
        """V likes the top row, which pays nothing."""
        return np.zeros((len(new.rows), 4)), (new.rows[:, 0] // 64 == 1).astype(np.float64)

    rows = mdp.rows[[i for i in range(mdp.num_states) if mdp.rows[i, 0] // 64 == 3]]
    found = search(world, rows, misled, config=alone)
    assert (found.tree.reward == 0).all()
    assert (found.actions == 0).all()
    ended = found.tree.terminated
    assert ended.any() and set(np.unique(found.tree.raw_value[ended])) <= {0.0, 1.0}
    truth = value_iteration(mdp)
    found = search(
        world, mdp.rows, TableEvaluator(mdp), config=dataclasses.replace(alone, use_rewards=True, num_simulations=800)
    )
    assert truth.optimal_actions[np.arange(mdp.num_states), found.actions].all()


def test_rollouts_without_rewards_are_refused():
    with pytest.raises(UserError, match="rollout_share"):
        SearchConfig(use_rewards=False, rollout_share=0.5)


@pytest.mark.parametrize("rule", ["gumbel", "puct"])
@pytest.mark.parametrize("greedy", [True, False])
def test_an_env_is_searched_alike_in_any_batch(rule, greedy):
    """Env 2 of 4 and env 2 alone, found by its index, take the same actions for ten steps."""
    world = make_world(ENV_ID)
    agent = agent_for(world)
    config = SearchConfig(num_simulations=8, rule=rule)

    def actions(num_envs, first_env):
        env = make_vector(ENV_ID, num_envs, first_env=first_env)
        stream = open_stream(env, agent.spec, seed=5, name="evaluate")
        actor = SearchActor(agent, world, config, seed=1, greedy=greedy, first_env=first_env)
        taken = []
        for _ in range(10):
            taken.append(actor.act(stream, stream.valid)[0])
            stream.step(taken[-1])
        return np.stack(taken)

    assert (actions(4, 0)[:, 2] == actions(1, 2)[:, 0]).all()


def test_an_actor_with_memory_carries_it_from_step_to_step():
    """One simulation takes the prior's best action, so that search-1 plays as D does, memory and all."""
    env_id, options = "ValueLab/MultiNeed-5x5-v0", {"context": "first"}
    world = make_world(env_id, **options)
    agent = agent_for(world, encoder="gru", memory_size=8)
    with torch.no_grad():
        agent.policy_head.weight.mul_(300)
    plays = [evaluate(agent, env_id, actor=actor, num_episodes=20, options=options) for actor in ("D", "search-1")]
    assert (plays[0].lengths == plays[1].lengths).all() and (plays[0].returns == plays[1].returns).all()


@pytest.mark.parametrize("name", ["search", "search-0", "search-x", "seach-16", "V2"])
def test_an_unknown_actor_is_named(name):
    world = make_world(ENV_ID)
    with pytest.raises(UserError, match="search-n"):
        make_actor(name, agent_for(world), make_vector(ENV_ID, 1), seed=0)


def test_search_is_refused_where_there_is_no_kernel():
    env = make_vector("FrozenLake-v1", 1)
    agent = build_agent(env.single_observation_space, 4, AgentConfig(), seed=0)
    with pytest.raises(UserError, match="needs a world with a kernel"):
        make_actor("search-4", agent, env, seed=0)
