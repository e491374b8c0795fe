"""Learners of rewards in the world of a case, each ending in what it does in every state: one greedy action a row."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig, ReinforceConfig, TrainConfig
from agents.environments import make_vector, open_stream
from agents.greedy import greedy_actions
from agents.learner import reinforce
from agents.presets import recommended
from agents.recorder import record_episodes
from agents.sb3 import ValueLabPolicy, agent_from_sb3
from agents.seeding import derive_seed
from agents.tabular_q import QConfig, learn_q
from agents.values import fit_values
from analysis.studies.value_heads import HEADS, MONOLITH, with_head
from envs.enumeration import TabularMDP, enumerate_world
from envs.niceness.payments import MYOPIC
from envs.registry import make_world
from envs.rows import World
from envs.states import Integers
from envs.step_buffers import observation_space

QUIET = Logger(folder=None, output_formats=[])
"""Stable-Baselines3 makes a folder among the temporary files for each model that is given no logger."""
UNTRAINED = "D, untrained"
ACTORS = ("V1", "search-16")
"""Players that V takes part in."""
HUBER_SCALE = 0.1
"""Stable-Baselines3's DQN minimises a Huber loss, which is biased wherever outcomes are farther than 1 apart by chance;
in tenths, TRIAD's are not."""
FROM_SCRATCH = ReinforceConfig(
    num_envs=64, rollout_length=20, learning_rate=3e-3, entropy_weight=1.0, normalize_advantage=False
)
"""Policy gradient where `recommended` would imitate first, and has a step for what comes after. Entropy is weighed
against advantages in units of reward, as `recommended` does for tastes: paid by RT in the village, it kept people as
they are with weights of .1 and .3 (200,000 steps), and found with 1 (300,000) that to persuade them pays more; seed 0.
"""


@dataclass(frozen=True)
class Setup:
    """Sizes of one run; part of every cell's hash.

    Attributes:
        q_steps: Environment steps of tabular Q.
        reinforce_steps: Environment steps of our policy gradient.
        num_outcomes: Episodes that V learns from.
        value_updates: Gradient steps of V.
        ppo_steps: Environment steps of PPO.
        dqn_steps: Environment steps of DQN.
    """

    q_steps: int = 200_000
    reinforce_steps: int = 60_000
    num_outcomes: int = 4000
    value_updates: int = 2000
    ppo_steps: int = 60_000
    dqn_steps: int = 30_000


@dataclass(frozen=True, eq=False)
class Task:
    """One seed in one world.

    Attributes:
        env_id: Gymnasium id.
        options: Of the world, but for the objective.
        objective: What is rewarded.
        seed: Run seed.
    """

    env_id: str
    options: Mapping[str, Any]
    objective: str
    seed: int

    def all_options(self, scale: float = 1.0) -> dict[str, Any]:
        """Options of the world; at another scale the same objective in other units, but for Myopic, which is no sum."""
        as_it_is = scale == 1.0 or self.objective == MYOPIC
        return {**self.options, "objective": self.objective if as_it_is else f"{scale}*{self.objective}"}

    @property
    def world(self) -> World:
        """The world."""
        return make_world(self.env_id, **self.all_options())

    @property
    def mdp(self) -> TabularMDP:
        """All its states."""
        return enumerate_world(self.world, self.world.levels("train"))

    @property
    def settings(self) -> TrainConfig:
        """`recommended`, but that nothing is imitated: an expert would give the answer away."""
        best = recommended(self.env_id, seed=self.seed, options=self.all_options())
        return dataclasses.replace(best, reinforce=FROM_SCRATCH) if "imitate" in best.stages else best


Played = Iterator[tuple[str, Integers]]
OnUpdate = Callable[[AlphaAgent, dict[str, Any]], bool]


def tabular_q(task: Task, setup: Setup) -> Played:
    """Q-learning on states."""
    world, mdp = task.world, task.mdp
    config = QConfig(num_steps=setup.q_steps, horizon=longest_episode(mdp))
    yield "tabular Q", learn_q(world, mdp, config, seed=task.seed).argmax(axis=1)


def longest_episode(mdp: TabularMDP) -> int:
    """Steps of the longest episode, where no state comes twice in one."""
    states, num_steps = mdp.start_state, 0
    while len(states):
        states, num_steps = np.unique(mdp.next_state[states]), num_steps + 1
        states = states[states >= 0]
    return num_steps


def ours(task: Task, setup: Setup, actors: Sequence[str] = ACTORS) -> Played:
    """E and D with the task's settings, from rewards alone, then a V∘E of each head on the same outcomes.

    D's baseline is its own, so that heads have no part in D: what they differ in is what V makes of one recording.
    """
    world, rows, untrained = task.world, task.mdp.rows, beginner(task)
    yield UNTRAINED, greedy_actions(untrained, world, rows)
    agent = reinforced(untrained, task, num_steps=setup.reinforce_steps)
    yield "D", greedy_actions(agent, world, rows)
    for head, valued in with_values(agent, task, setup):
        for actor in actors:
            yield by_head(actor, head), greedy_actions(valued, world, rows, actor=actor)


def by_head(actor: str, head: str) -> str:
    """The player that an actor is with a V of this head."""
    return f"{actor}, {head}"


def beginner(task: Task, head: str = MONOLITH) -> AlphaAgent:
    """The agent before it has learned anything."""
    world, config = task.world, task.settings.agent
    return build_agent(
        observation_space(world), world.num_actions, with_head(config, world, head),
        seed=derive_seed(task.seed, "calibration", "agent"), sample=world.observe(task.mdp.rows),
    )  # fmt: skip


def reinforced(
    agent: AlphaAgent, task: Task, *, num_steps: int, share_value: bool = False, on_update: OnUpdate | None = None
) -> AlphaAgent:
    """A copy whose D∘E has gone on learning from rewards, with the task's settings.

    Args:
        agent: left as it is.
        task: where it learns; its seed draws episodes and actions.
        num_steps: environment steps.
        share_value: V is the baseline, and V∘E learns beside D∘E; otherwise D has a baseline of its own.
        on_update: as in `agents.learner.reinforce`.
    """
    options = task.all_options()
    config = dataclasses.replace(task.settings.reinforce, num_steps=num_steps, share_value=share_value)
    env = make_vector(task.env_id, config.num_envs, options=options)
    stream = open_stream(env, agent.spec, seed=task.seed, name="reinforce")
    return reinforce(agent, stream, config, discount=task.world.discount, seed=task.seed, on_update=on_update)[0]


def with_values(agent: AlphaAgent, task: Task, setup: Setup) -> Iterator[tuple[str, AlphaAgent]]:
    """The agent with a V∘E of each head, all fitted afresh to one recording of what it plays."""
    # The frozen study was run without fast kernels, whose order of sums gives other last digits.
    config = dataclasses.replace(
        task.settings.value, num_episodes=setup.num_outcomes, num_updates=setup.value_updates, fast_kernels=False
    )  # fmt: skip
    played = record_episodes(
        agent, task.env_id, num_episodes=config.num_episodes, seed=derive_seed(task.seed, "calibration", "outcomes"),
        uniform_share=config.uniform_share, options=task.all_options(),
    )  # fmt: skip
    for head in HEADS:
        begun = copy.deepcopy(agent)
        begun.config = with_head(agent.config, task.world, head)
        yield head, fit_values(begun, played, config, seed=task.seed)[0]


def ppo(task: Task, setup: Setup) -> Played:
    """Stable-Baselines3's PPO with our E, D and V; advantages in units of reward, as in our own settings."""
    world, rows = task.world, task.mdp.rows
    policy = {"config": AgentConfig(), "seed": task.seed, "sample": world.observe(rows)}
    env = make_vec_env(task.env_id, n_envs=16, seed=task.seed, env_kwargs=task.all_options())
    model = PPO(
        ValueLabPolicy, env, policy_kwargs=policy, n_steps=48, batch_size=256, n_epochs=4, gamma=world.discount,
        ent_coef=0.3, learning_rate=lambda left: 3e-3 * left, normalize_advantage=False, seed=task.seed, device="cpu",
    )  # fmt: skip
    model.set_logger(QUIET)
    model.learn(setup.ppo_steps)
    yield "SB3 PPO", greedy_actions(agent_from_sb3(model), world, rows)


def dqn(task: Task, setup: Setup) -> Played:
    """Stable-Baselines3's DQN with its own network."""
    world = task.world
    env = make_vec_env(task.env_id, n_envs=8, seed=task.seed, env_kwargs=task.all_options(HUBER_SCALE))
    model = DQN(
        "MultiInputPolicy", env, gamma=world.discount, learning_rate=lambda left: 2e-3 * left,
        buffer_size=setup.dqn_steps, learning_starts=1000, batch_size=256, train_freq=(1, "step"),
        target_update_interval=400, exploration_fraction=0.5, exploration_final_eps=0.3, seed=task.seed, device="cpu",
    )  # fmt: skip
    model.set_logger(QUIET)
    model.learn(setup.dqn_steps)
    yield "SB3 DQN", model.predict(world.observe(task.mdp.rows), deterministic=True)[0]


LEARNERS: Mapping[str, Callable[[Task, Setup], Played]] = MappingProxyType(
    {"tabular Q": tabular_q, "E, D and V": ours, "PPO": ppo, "DQN": dqn}
)
