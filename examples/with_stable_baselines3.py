"""Train our E, D and V inside Stable-Baselines3's PPO; `valuelab evaluate` and `valuelab probe` read the result."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

import envs  # noqa: F401 (registers the ids)
from agents.checkpoint import save_agent
from agents.config import AgentConfig
from agents.sb3 import ValueLabPolicy, agent_from_sb3, sample_observations


def main(out: Path, num_steps: int = 100_000) -> None:
    """Train MOE on an E that it shares with D, and save the agent into `out`/checkpoint."""
    env = make_vec_env("ValueLab/CrossedHistory-v0", n_envs=16, seed=0)
    config = AgentConfig(head="MOE", num_parts=2, value_encoder="shared")
    policy = {"config": config, "sample": sample_observations(env)}
    settings = {"n_steps": 128, "gamma": 0.95, "learning_rate": 1e-3, "seed": 0, "device": "cpu"}
    model = PPO(ValueLabPolicy, env, policy_kwargs=policy, **settings)
    model.learn(num_steps)
    save_agent(out / "checkpoint", agent_from_sb3(model), extra={"env_id": "ValueLab/CrossedHistory-v0"})


if __name__ == "__main__":
    main(Path("runs/with-stable-baselines3"))
