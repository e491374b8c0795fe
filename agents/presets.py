"""Settings of a training run that suit an environment, measured to reach what `recommended` says.

Imitation costs little where an exact expert plays, so our worlds get many demonstrations from noisy play with the
expert's own choice as label, and a policy gradient with a small step that leaves them standing. Search costs a second
per hundred episodes, and a step of a foreign env a tenth of a millisecond, so those get less of everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.config import AgentConfig, ImitationConfig, ReinforceConfig, RouteEncoder, TrainConfig, ValueConfig
from agents.environments import world_of
from envs.rows import World

ROUTED_ENCODER_FITS = frozenset({"CrossedHistory"})
"""Worlds on which V was seen to fit with events routed into E. That is the gradient of no loss in E: on MultiNeed R² of
V is .09 so, and .89 with the gradient of global credit in E, which is what every other world gets."""


SHORT_EPISODES = frozenset({"CrossedHistory", "DiamondGhost", "GemShape", "MultiNeed", "TwoDoors"})
TASTES = frozenset({"Case", "Triad"})
"""Worlds in which a person's taste moves: short episodes that pay at every step, and an exact expert who would give
away what a learner of rewards is to find out, so that nothing is imitated."""
MOST_BYTES = 1_300_000_000
"""Observations that V may learn from where episodes are long, should each run to its limit; fitting V takes about three
times as much memory. FruitTask, whose 300 steps of 12 planes are the largest, gets 2507 episodes by it."""


def recommended(
    env_id: str, *, agent: AgentConfig | None = None, seed: int = 0, options: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Settings for an id.

    MultiNeed, 1000 levels, about 190 CPU-seconds: D and V1 above 95 % of the exact optimum on training levels, and
    RMS(V − V^π)/sd(V^π) below 0.1 (0.07 at seed 0).
    CornerMaze-9x9 with 200 levels, about 90 CPU-seconds: D at the optimum on training levels, V1 at 92 % (seed 0).
    FruitTask, about 150 CPU-seconds and 1.8 GB: D at 99 % of it on its 10 training levels, V1 at 79 % (seed 0).
    Triad, about 4 CPU-seconds: D, V1 and search-16 optimal wherever they come, under every objective
    (`docs/niceness_calibration.md`).
    MiniGrid Empty-8x8 and DoorKey-5x5: D above 95 % of the best return that search finds.

    Args:
        env_id: Gymnasium id.
        agent: what is trained, taken as it is; None for an encoder of two dense layers, a monolith, and, should a
            routed head take its place, the `route_encoder` that fits the world.
        seed: the run's seed.
        options: of the world; those that make its episodes long are looked at.
    """
    world = world_of(env_id, options)
    if world is None:
        return TrainConfig(
            agent=agent or AgentConfig(), seed=seed, num_demonstrations=200,
            imitation=ImitationConfig(num_updates=1500), reinforce=ReinforceConfig(num_steps=100_000),
            value=ValueConfig(num_episodes=1000, num_updates=2000),
        )  # fmt: skip
    route_encoder: RouteEncoder = "routed" if world.name in ROUTED_ENCODER_FITS else "global"
    agent = agent or AgentConfig(encoder_sizes=(256, 64), route_encoder=route_encoder)
    if world.name in TASTES:
        return _tastes(agent, seed)
    return _few_steps(agent, seed) if has_short_episodes(world) else _many_steps(agent, seed, world=world)


def _tastes(agent: AgentConfig, seed: int) -> TrainConfig:
    """Rewards only.

    Influence costs first and pays later: entropy weighed against advantages in units of reward keeps it from being
    given up for the help that pays at once, before the policy knows what to do with an influenced person.
    """
    return TrainConfig(
        agent=agent, seed=seed, stages=("reinforce", "value"),
        reinforce=ReinforceConfig(
            num_steps=60_000, rollout_length=24, batch_size=256, learning_rate=3e-3, entropy_weight=0.3,
            normalize_advantage=False,
        ),
        value=ValueConfig(
            target="td_lambda", trace_lambda=0.9, num_updates=2000, learning_rate=4e-3, uniform_share=0.2
        ),
    )  # fmt: skip


def has_short_episodes(world: World) -> bool:
    """Whether an expert's episodes last some five steps, so that hundreds of thousands of them fit into memory."""
    open_ended = getattr(world.config, "continuing", False) or getattr(world.config, "context", "shown") != "shown"
    return world.name in SHORT_EPISODES and not open_ended


def _few_steps(agent: AgentConfig, seed: int) -> TrainConfig:
    return TrainConfig(
        agent=agent, seed=seed, num_demonstrations=40_000, demonstration_noise=0.6,
        imitation=ImitationConfig(num_updates=6000, batch_size=512, learning_rate=5e-3),
        reinforce=ReinforceConfig(num_steps=100_000, num_envs=64, batch_size=1024, learning_rate=1e-4),
        value=ValueConfig(
            target="td_lambda", trace_lambda=0.9, num_episodes=200_000, num_updates=30_000, learning_rate=4e-3
        ),
    )  # fmt: skip


def _many_steps(agent: AgentConfig, seed: int, *, world: World) -> TrainConfig:
    num_fitting = max(1, MOST_BYTES // (world.background.size * world.time_limit))
    return TrainConfig(
        agent=agent, seed=seed, num_demonstrations=8000, demonstration_noise=0.3,
        imitation=ImitationConfig(num_updates=6000, batch_size=512, learning_rate=5e-3),
        reinforce=ReinforceConfig(num_steps=50_000, num_envs=64, batch_size=1024, learning_rate=3e-5),
        value=ValueConfig(
            target="td_lambda", trace_lambda=0.9, num_episodes=min(20_000, num_fitting), num_updates=10_000,
            learning_rate=4e-3,
        ),
    )  # fmt: skip
