"""Search inside Stable-Baselines3: the model's numbers at the leaves, its env left alone, what does not fit refused."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecNormalize

import envs  # noqa: F401 (registers its ids)
from agents.checkpoint import load_agent
from agents.config import AgentConfig
from agents.sb3 import ValueLabPolicy, agent_from_sb3
from agents.sb3_search import SearchPolicy
from agents.search import NetworkEvaluator, NewNodes, SearchConfig, search
from envs.errors import UserError

ENV_ID = "ValueLab/CrossedHistory-5x5-v0"
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def untrained(env, algorithm=PPO, policy="MultiInputPolicy", **settings):
    return algorithm(policy, env, seed=0, device="cpu", **settings)


def test_with_our_networks_it_is_our_search():
    env = make_vec_env(ENV_ID, n_envs=5, seed=1)
    model = untrained(env, policy=ValueLabPolicy, policy_kwargs={"config": AgentConfig(encoder_sizes=(16,))})
    policy, config = SearchPolicy(model, SearchConfig(num_simulations=12)), SearchConfig(num_simulations=12)
    observation = env.reset()
    actions, state = policy.predict(observation, "kept", deterministic=True)
    evaluator = NetworkEvaluator(agent_from_sb3(model), policy.world)
    ours = search(policy.world, policy.rows(), evaluator, config=config, discount=model.gamma)
    assert (actions == ours.actions).all() and state == "kept"


def test_predicting_does_not_move_the_envs():
    env, twin = (make_vec_env(ENV_ID, n_envs=3, seed=1) for _ in range(2))
    policy = SearchPolicy(untrained(env), SearchConfig(num_simulations=8))
    twin.seed(0)  # As the model has seeded its own.
    observation, same = env.reset(), twin.reset()
    for _ in range(6):
        actions, _ = policy.predict(observation, deterministic=True)
        (observation, *ours, _), (same, *theirs, _) = env.step(actions), twin.step(actions)
        assert all((observation[name] == same[name]).all() for name in same)
        assert all((one == other).all() for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_flattened_observations_find_their_order(algorithm):
    """The model's value of the env's own flat observation is that of the root."""
    env = make_vec_env(ENV_ID, n_envs=4, seed=2, wrapper_class=gym.wrappers.FlattenObservation)
    model = untrained(env, algorithm=algorithm, policy="MlpPolicy")
    policy = SearchPolicy(model, SearchConfig(num_simulations=4))
    shown = env.reset()
    assert (policy.observe(policy.rows()) == shown).all()
    policy.predict(shown)
    assert evaluate_policy(policy, env, n_eval_episodes=4)[0] >= 0 and policy.num_searches > 1


def test_noise_makes_actions_samples():
    env = make_vec_env(ENV_ID, n_envs=64, seed=3)
    policy = SearchPolicy(untrained(env), SearchConfig(num_simulations=1))
    observation = env.reset()
    drawn = np.stack([policy.predict(observation)[0] for _ in range(20)])
    fixed = np.stack([policy.predict(observation, deterministic=True)[0] for _ in range(2)])
    assert len(np.unique(drawn[:, 0])) > 1 and (fixed[0] == fixed[1]).all()


def test_under_puct_actions_are_drawn_from_visits_after_noise_at_the_root():
    """In many searches of one state actions are as frequent as visits in searches with such noise, made apart."""
    num, env = 400, make_vec_env(ENV_ID, n_envs=1, seed=3)
    config = SearchConfig(num_simulations=10, rule="puct", noise_share=0.5, noise_alpha=0.3)
    model = untrained(env)
    observation = env.reset()
    policy = SearchPolicy(model, config, seed=5)
    actions = np.concatenate([policy.predict(observation)[0] for _ in range(num)])
    noise = np.random.default_rng(0).dirichlet(np.full(4, 0.3), size=num)
    rows = np.repeat(policy.rows(), num, axis=0)
    expected = search(policy.world, rows, policy.evaluate, config=config, discount=model.gamma, noise=noise).policy
    # Five standard errors of a share of two samples of this size.
    assert np.abs(np.bincount(actions, minlength=4) / num - expected.mean(axis=0)).max() < 5 * 0.5 * (2 / num) ** 0.5
    assert expected.std(axis=0).max() > 0.05
    calm = [policy.predict(observation, deterministic=True)[0] for _ in range(2)]
    assert (calm[0] == calm[1]).all()
    again = SearchPolicy(model, config, seed=5)
    assert (np.concatenate([again.predict(observation)[0] for _ in range(30)]) == actions[:30]).all()


class Doubting(BaseFeaturesExtractor):
    """Dropout, which must be off when nobody learns."""

    def __init__(self, space):
        super().__init__(space, int(np.prod(space.shape)))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, observations):
        return self.dropout(observations)


def test_what_is_random_only_while_learning_is_off():
    env = make_vec_env(ENV_ID, n_envs=2, seed=3, wrapper_class=gym.wrappers.FlattenObservation)
    model = untrained(env, policy="MlpPolicy", policy_kwargs={"features_extractor_class": Doubting})
    model.policy.set_training_mode(True)
    policy = SearchPolicy(model, SearchConfig(num_simulations=4))
    env.reset()
    new = NewNodes(policy.rows(), np.arange(2), np.zeros(2, np.int32), np.full(2, -1, np.int32), num_nodes=2)
    first, second = policy.evaluate(new), policy.evaluate(new)
    assert (first[0] == second[0]).all() and (first[1] == second[1]).all()


def test_observations_that_a_wrapper_changed_are_refused_until_observe_is_given():
    """VecNormalize leaves the space as it is, so that nothing but the numbers tells."""
    env = VecNormalize(make_vec_env(ENV_ID, n_envs=3, seed=3, wrapper_class=gym.wrappers.FlattenObservation))
    model, config = untrained(env, policy="MlpPolicy"), SearchConfig(num_simulations=4)
    env.reset()
    env.training = False
    shown, policy = env.reset(), SearchPolicy(model, config)
    with pytest.raises(UserError, match="VecNormalize"):
        policy.predict(shown)
    own = policy.observe
    policy = SearchPolicy(model, config, observe=lambda rows: env.normalize_obs(own(rows)))
    policy.predict(shown)
    root = NewNodes(policy.rows(), np.arange(3), np.zeros(3, np.int32), np.full(3, -1, np.int32), num_nodes=2)
    values = model.policy.predict_values(model.policy.obs_to_tensor(shown)[0]).flatten()
    np.testing.assert_allclose(policy.evaluate(root)[1], values.detach().numpy(), rtol=1e-6)


def test_what_does_not_fit_is_refused():
    env, config = make_vec_env(ENV_ID, n_envs=2), SearchConfig(num_simulations=2)
    with pytest.raises(UserError, match="no actor-critic policy"):
        SearchPolicy(untrained(env, algorithm=DQN), config)
    with pytest.raises(UserError, match="world's kernel"):
        SearchPolicy(PPO("MlpPolicy", "CartPole-v1", device="cpu"), config)
    with pytest.raises(UserError, match="rollout_share"):
        SearchPolicy(untrained(env), SearchConfig(rollout_share=0.5))
    other = make_vec_env("ValueLab/MultiNeed-v0", n_envs=2)
    with pytest.raises(UserError, match="give observe="):
        SearchPolicy(untrained(env), config, env=other)
    env.reset()
    with pytest.raises(UserError, match="give env= its env"):
        SearchPolicy(untrained(env), config).predict(make_vec_env(ENV_ID, n_envs=3).reset())
    with pytest.raises(UserError, match="give env= the env that shows it"):
        SearchPolicy(untrained(env), config).predict(make_vec_env(ENV_ID, n_envs=2, seed=9).reset())


@pytest.mark.parametrize("ours", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_script_turns_a_zip_into_files_without_code(ours, tmp_path, monkeypatch):
    env = make_vec_env(ENV_ID, n_envs=2)
    kwargs = {"policy": ValueLabPolicy, "policy_kwargs": {"config": AgentConfig(encoder_sizes=(8,))}} if ours else {}
    model = untrained(env, **kwargs)
    model.save(tmp_path / "model.zip")
    script = str(ROOT / "scripts" / "sb3_to_safetensors.py")
    monkeypatch.setattr(sys, "argv", [script, str(tmp_path / "model.zip"), str(tmp_path / "out")])
    runpy.run_path(script, run_name="__main__")
    if ours:
        back, _ = load_agent(tmp_path / "out")
        for name, tensor in agent_from_sb3(model).state_dict().items():
            assert torch.equal(back.state_dict()[name], tensor), name
    else:
        tensors = load_file(tmp_path / "out" / "policy.safetensors")
        assert all(torch.equal(tensors[name], tensor) for name, tensor in model.policy.state_dict().items())
        assert json.loads((tmp_path / "out" / "policy.json").read_text())["discount"] == model.gamma
