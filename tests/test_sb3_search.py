"""Search inside Stable-Baselines3: the model's numbers at the leaves, its env left alone, what does not fit refused."""

from __future__ import annotations

import json
import subprocess
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

import envs  # noqa: F401 (registers its ids)
from agents.checkpoint import load_agent
from agents.config import AgentConfig
from agents.sb3 import ValueLabPolicy, agent_from_sb3
from agents.sb3_search import SearchPolicy
from agents.search import NetworkEvaluator, SearchConfig, search
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


@pytest.mark.parametrize("ours", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_script_turns_a_zip_into_files_without_code(ours, tmp_path):
    env = make_vec_env(ENV_ID, n_envs=2)
    kwargs = {"policy": ValueLabPolicy, "policy_kwargs": {"config": AgentConfig(encoder_sizes=(8,))}} if ours else {}
    model = untrained(env, **kwargs)
    model.save(tmp_path / "model.zip")
    script = [sys.executable, str(ROOT / "scripts" / "sb3_to_safetensors.py")]
    subprocess.run([*script, str(tmp_path / "model.zip"), str(tmp_path / "out")], check=True, cwd=ROOT)
    if ours:
        back, _ = load_agent(tmp_path / "out")
        for name, tensor in agent_from_sb3(model).state_dict().items():
            assert torch.equal(back.state_dict()[name], tensor), name
    else:
        tensors = load_file(tmp_path / "out" / "policy.safetensors")
        assert all(torch.equal(tensors[name], tensor) for name, tensor in model.policy.state_dict().items())
        assert json.loads((tmp_path / "out" / "policy.json").read_text())["discount"] == model.gamma
