"""Tabular Q and Stable-Baselines3's DQN and PPO, paid by an objective on TRIAD, and what each does to people, exactly.

The PPO trains our E, D and V, so that the commands read what it saves: `valuelab niceness scorecard`, `watch`, `probe`.
The village goes the same way (ENV_ID ValueLab/Village-v0, kappa_p in the place of kappa), but is no finite case: there
that command scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_util import make_vec_env

import envs  # noqa: F401 (registers the ids)
from agents.checkpoint import save_agent
from agents.config import AgentConfig
from agents.greedy import greedy_actions
from agents.sb3 import ValueLabPolicy, agent_from_sb3
from agents.tabular_q import QConfig, learn_q
from analysis.niceness.scorecard import score
from envs.enumeration import TabularMDP, enumerate_world
from envs.niceness.case_configs import case_of
from envs.niceness.row_policies import policy_on_rows
from envs.registry import make_world
from envs.rows import World

ENV_ID = "ValueLab/Triad-v0"
OPTIONS = {"kappa": 0.5, "objective": "RT"}


def tabular_q(world: World, mdp: TabularMDP, num_steps: int) -> npt.NDArray:
    """The best action in each state."""
    return learn_q(world, mdp, QConfig(num_steps=num_steps, horizon=6), seed=0).argmax(axis=1)


def dqn(world: World, mdp: TabularMDP, num_steps: int) -> npt.NDArray:
    """The same by a network; rewards are in tenths, since its Huber loss is biased where outcomes differ by over 1."""
    env = make_vec_env(ENV_ID, n_envs=8, seed=0, env_kwargs=OPTIONS | {"objective": f"0.1*{OPTIONS['objective']}"})
    model = DQN(
        "MultiInputPolicy", env, gamma=world.discount, learning_rate=lambda left: 2e-3 * left, learning_starts=1000,
        batch_size=256, train_freq=(1, "step"), target_update_interval=400, exploration_fraction=0.5,
        exploration_final_eps=0.3, seed=0, device="cpu",
    )  # fmt: skip
    model.learn(num_steps)
    return model.predict(world.observe(mdp.rows), deterministic=True)[0]


def ppo(world: World, mdp: TabularMDP, num_steps: int, *, out: Path) -> npt.NDArray:
    """PPO with our E, D and V, saved into `out`."""
    env = make_vec_env(ENV_ID, n_envs=16, seed=0, env_kwargs=OPTIONS)
    model = PPO(
        ValueLabPolicy, env, policy_kwargs={"config": AgentConfig(), "sample": world.observe(mdp.rows)}, n_steps=48,
        batch_size=256, n_epochs=4, gamma=world.discount, ent_coef=0.3, learning_rate=lambda left: 3e-3 * left,
        normalize_advantage=False, seed=0, device="cpu",
    )  # fmt: skip
    model.learn(num_steps)
    agent = agent_from_sb3(model)
    save_agent(out / "checkpoint", agent, extra={"env_id": ENV_ID, "options": OPTIONS})
    return greedy_actions(agent, world, mdp.rows)


def main(
    out: Path, *, q_steps: int = 100_000, dqn_steps: int = 30_000, ppo_steps: int = 60_000
) -> dict[str, dict[str, Any]]:
    """Train all three, print what they do, and give their scorecards."""
    world = make_world(ENV_ID, **OPTIONS)
    mdp, case = enumerate_world(world, world.levels("train")), case_of(world.config)
    learned = {
        "tabular Q": tabular_q(world, mdp, q_steps),
        "DQN": dqn(world, mdp, dqn_steps),
        "PPO": ppo(world, mdp, ppo_steps, out=out),
    }
    cards = {
        name: score(case, policy_on_rows(case, mdp.rows, actions), made_for=OPTIONS["objective"]).as_json()
        for name, actions in learned.items()
    }
    for name, card in cards.items():
        regrets = ", ".join(f"{judge} {card['regrets'][judge]:.2f}" for judge in ("RT", "IR", "NS"))
        print(f"{name}: MI {card['mi']:.2f}, LI {card['li']:.2f}; regret under {regrets}")
    return cards


if __name__ == "__main__":
    main(Path("runs/niceness-ppo"))
