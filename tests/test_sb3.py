"""Our networks inside Stable-Baselines3's PPO: they learn there, and come out bitwise as they were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env

import envs  # noqa: F401 (registers its ids)
from agents.agent import AlphaAgent
from agents.checkpoint import load_agent, save_agent
from agents.config import AgentConfig
from agents.observations import ObservationSpec
from agents.sb3 import ValueLabPolicy, agent_from_sb3, sample_observations
from envs.errors import UserError

PPO_SETTINGS = {"n_steps": 256, "batch_size": 128, "n_epochs": 4, "device": "cpu"}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def ppo(env_id: str, *, seed: int = 0, **policy: object) -> BaseAlgorithm:
    return PPO(ValueLabPolicy, env_id, policy_kwargs=policy, seed=seed, **PPO_SETTINGS)  # type: ignore[arg-type]


def check_extracted(model: BaseAlgorithm, agent: AlphaAgent) -> None:
    """Compare with the model on observations that it meets, in one batch of the same size."""
    env = model.get_env()
    assert env is not None
    observation = env.reset()
    with torch.no_grad():
        tensors, _ = model.policy.obs_to_tensor(observation)
        distribution = model.policy.get_distribution(tensors).distribution
        bare = observation if isinstance(observation, dict) else np.asarray(observation)
        own = torch.distributions.Categorical(logits=agent.policy_logits(bare))
        assert torch.equal(own.logits, distribution.logits)
        assert torch.equal(agent.value(bare).value, model.policy.predict_values(tensors)[:, 0])
        actions, values, log_prob = model.policy(tensors)
        again = model.policy.evaluate_actions(tensors, actions)
        assert torch.equal(values, again[0]) and torch.equal(log_prob, again[1])


@pytest.mark.parametrize(
    ("env_id", "settings"),
    [("ValueLab/MultiNeed-v0", {"value_encoder": "shared", "head": "MOE", "num_parts": 2}), ("FrozenLake-v1", {})],
)
def test_ppo_trains_and_the_agent_comes_out_bitwise(env_id: str, settings: dict[str, object], tmp_path: Path) -> None:
    model = ppo(env_id, config=AgentConfig(**settings))  # type: ignore[arg-type]
    start = agent_from_sb3(model)
    model.learn(512)
    agent = agent_from_sb3(model)
    check_extracted(model, agent)
    for name in ("policy_encoder", "policy_head", "value_encoder", "value_head"):
        before, after = getattr(start, name).state_dict(), getattr(agent, name).state_dict()
        assert any(not torch.equal(before[key], after[key]) for key in before), f"{name} did not learn"
    assert agent.shared == ("value_encoder" in settings)
    save_agent(tmp_path / "agent", agent, extra={"env_id": env_id})
    back, extra = load_agent(tmp_path / "agent")
    assert extra == {"env_id": env_id}
    check_extracted(model, back)


def test_ppo_improves_on_cartpole() -> None:
    env = make_vec_env("CartPole-v1", n_envs=8, seed=0)
    model = PPO(ValueLabPolicy, env, learning_rate=2e-3, gamma=0.98, seed=0, **{**PPO_SETTINGS, "n_steps": 32})
    model.learn(6144)
    assert np.mean([episode["l"] for episode in model.ep_info_buffer][-20:]) > 60, "at random it is about 22"


def test_a2c_takes_the_policy_too() -> None:
    model = A2C(ValueLabPolicy, "CartPole-v1", policy_kwargs={"config": AgentConfig()}, seed=0, device="cpu")
    model.learn(100)
    check_extracted(model, agent_from_sb3(model))


def test_initial_weights_follow_from_our_seed_alone() -> None:
    first, second = ppo("CartPole-v1", seed=0), ppo("CartPole-v1", seed=1)
    other = ppo("CartPole-v1", seed=0, **{"config": AgentConfig()})
    states = [agent_from_sb3(model).state_dict() for model in (first, second, other)]
    assert all(torch.equal(states[0][key], state[key]) for state in states for key in state)
    changed = agent_from_sb3(PPO(ValueLabPolicy, "CartPole-v1", policy_kwargs={"seed": 5}, device="cpu")).state_dict()
    assert any(not torch.equal(states[0][key], changed[key]) for key in changed)


def test_a_fitted_description_can_be_given() -> None:
    class Codes(gym.ObservationWrapper):  # type: ignore[type-arg]
        observation_space = gym.spaces.Box(0, 255, (4, 4, 3), np.uint8)

        def observation(self, observation: int) -> np.ndarray:
            return np.full((4, 4, 3), observation % 5, np.uint8)

    env = Codes(gym.make("FrozenLake-v1"))
    # Stable-Baselines3 moves the channels of images to the front before the policy sees them.
    space = gym.spaces.Box(0, 255, (3, 4, 4), np.uint8)
    spec = ObservationSpec.from_space(space).fit(
        np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(3, 1).repeat(4, 2).repeat(4, 3)
    )
    model = PPO(ValueLabPolicy, env, policy_kwargs={"spec": spec}, n_steps=64, batch_size=64, device="cpu")
    model.learn(64)
    agent = agent_from_sb3(model)
    assert agent.spec == spec and agent.spec.planes_shape == (18, 4, 4)
    check_extracted(model, agent)


def test_inputs_are_centred_on_a_sample_and_stay_so_in_a_zip(tmp_path: Path) -> None:
    env = make_vec_env("ValueLab/MultiNeed-5x5-v0", n_envs=4, seed=0)
    sample = sample_observations(env, num_steps=20)
    assert len(sample["planes"]) == 4 * 21
    model = PPO(ValueLabPolicy, env, policy_kwargs={"sample": sample}, n_steps=64, batch_size=64, device="cpu")
    agent = agent_from_sb3(model)
    assert agent.encode(sample).matrix.mean(dim=0).abs().max() < 1e-5
    model.save(tmp_path / "model.zip")
    back = agent_from_sb3(PPO.load(tmp_path / "model.zip", device="cpu"))
    assert torch.equal(back.encode(sample).matrix, agent.encode(sample).matrix)
    assert torch.equal(back.value(sample).value, agent.value(sample).value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "ROUTE", "num_events": 4}, "'ROUTE' has routed credit and needs event_share.*one of MONO, ADD, MOE"),
        ({"head": "HRA", "component_weights": (1.0,)}, "'HRA' has component credit and needs components"),
        ({"head": "NEG-2"}, "'NEG-2' has bootstrap credit and needs bootstrap_mask"),
        ({"head": "POS", "num_contexts": 4}, "'POS' has local credit and needs context"),
        ({"head": "NEG-F", "num_contexts": 4}, "'NEG-F' has flat credit"),
        ({"encoder": "gru"}, "'gru' needs memory"),
        ({"value_encoder": "imitated"}, "'scratch' or 'shared'"),
        ({"head": "MONOO"}, "Did you mean 'MONO'"),
    ],
)
def test_what_cannot_learn_there_is_refused_by_name_with_the_reason(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ppo("CartPole-v1", config=AgentConfig(**settings))  # type: ignore[arg-type]


def test_continuous_actions_and_foreign_policies_are_refused() -> None:
    with pytest.raises(UserError, match="Discrete"):
        ppo("Pendulum-v1")
    with pytest.raises(UserError, match="train it with ValueLabPolicy"):
        agent_from_sb3(PPO("MlpPolicy", "CartPole-v1", device="cpu"))


def test_no_other_module_imports_stable_baselines3() -> None:
    code = "import sys, agents.agent, agents.checkpoint, agents.config; print('stable_baselines3' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
