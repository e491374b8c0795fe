"""A little training on niceness, in a village where present, future and true niceness are the same.

The ambiguous village: nothing that the agent does moves a taste (persuading never succeeds), and nothing else does
within the episode (no drift), so that θ_t = θ_0 = θ^nat_t, and the rewards of RT, IR and NS are one and the same
number. Guarding may succeed and the door may turn: they keep what nothing would change. Every taste is met, since θ_0
is drawn. The cell `school` trains D∘E there by policy gradient on coins + λ · niceness, and
writes down whole episodes of it; `learn_value` fits an arm's V∘E to them, `learn_reward` a reward model r̂∘E.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

from agents.agent import AlphaAgent, build_agent, restart_value, value_encoder_for
from agents.checkpoint import load_agent, save_agent
from agents.config import AgentConfig, ReinforceConfig, ValueConfig
from agents.environments import make_vector, open_stream
from agents.learner import reinforce
from agents.recorder import record_episodes
from agents.reward_model import RewardModel, fit_rewards, reward_model_from
from agents.seeding import derive_seed, numpy_generator
from agents.values import fit_values
from analysis.arms import ARMS
from analysis.cells import CellContext, Row, cell_function
from analysis.studies.noise import noised
from envs.episodes import Episodes, load_episodes, save_episodes
from envs.niceness.village_row import PEOPLE, STRIDE, THETA, THETA_0
from envs.registry import make_world, world_id
from envs.rows import World
from envs.step_buffers import observation_space

SCHOOL, LEARN_VALUE, LEARN_REWARD = "niceness.school", "niceness.value", "niceness.reward"
ENV_ID = world_id("Village")
EPISODES, AGENT, REWARD_MODEL = "episodes.npz", "agent", "reward_model.safetensors"
BLURRED = {"theta": THETA, "theta_0": THETA_0}


@dataclasses.dataclass(frozen=True)
class Schooling:
    """One way to be trained; part of every cell's hash.

    Attributes:
        objective: What is niceness: "RT", "IR", "NS", "PR-B" or a mixture.
        kappa_p: Success of persuading.
        kappa_g: Success of guarding.
        door: Whether the door turns.
        drift: Whether tastes drift.
        num_levels: Layouts, drawn at random; 0 for the one that agents are judged in.
        encoder: "mlp", which sees the present alone, or "gru", which remembers and sees its own last action.
        niceness_weight: λ.
        coin_weight: Reward of a coin, the task beside niceness.
        blurred: What V and r̂ see badly while they learn: "theta", "theta_0" or "nothing".
        blur: Share of steps at which a blurred taste is shown as one drawn at random.
        reinforce_steps: Environment steps of the policy gradient.
        policy_learning_rate: Adam's in it at the start, falling to 0.
        num_episodes: Episodes that V and r̂ learn from.
        uniform_share: Share of uniformly random actions in them.
        encoder_sizes: Widths of E's dense layers.
        memory_size: Of the gru.
        hidden_size: Hidden width of MONO's head; other heads match its parameter count.
        updates: Gradient steps of V, and of r̂.
        batch_size: Steps in a minibatch.
        learning_rate: Adam's at the start, falling to 0.
    """

    objective: str = "RT"
    kappa_p: float = 0.0
    kappa_g: float = 0.0
    door: bool = False
    drift: bool = False
    num_levels: int = 2000
    encoder: str = "gru"
    niceness_weight: float = 1.0
    coin_weight: float = 1.0
    blurred: str = "nothing"
    blur: float = 0.3
    reinforce_steps: int = 800_000
    policy_learning_rate: float = 5e-3
    num_episodes: int = 4000
    uniform_share: float = 0.3
    encoder_sizes: tuple[int, ...] = (64,)
    memory_size: int = 48
    hidden_size: int = 96
    updates: int = 3000
    batch_size: int = 640
    learning_rate: float = 3e-3


def schooling_of(config: Mapping[str, Any]) -> Schooling:
    """The `Schooling` inside a cell's config."""
    fields = dict(config["schooling"])
    return Schooling(**{**fields, "encoder_sizes": tuple(fields["encoder_sizes"])})


def common_options(schooling: Schooling) -> dict[str, Any]:
    """What the ambiguous and the powerful village have in common: the same observations, and coins."""
    return {"coins": True, "coin_weight": schooling.coin_weight, "show_last_action": schooling.encoder == "gru"}


def weak_options(schooling: Schooling) -> dict[str, Any]:
    """The village of the training, by default the ambiguous one; there RT is NS, so that no twin is needed."""
    return common_options(schooling) | {
        "kappa_p": schooling.kappa_p, "kappa_g": schooling.kappa_g, "door": schooling.door, "drift": schooling.drift,
        "layout": "random" if schooling.num_levels else "default", "num_levels": max(1, schooling.num_levels),
        "start_theta": "any", "twin": "NS" in schooling.objective, "objective": schooling.objective,
        "niceness_weight": schooling.niceness_weight,
    }  # fmt: skip


def agent_config(world: World, schooling: Schooling, *, head: str = "MONO", **options: Any) -> AgentConfig:
    """The agent of an arm: one part per event, or one per taste for oracle heads."""
    return AgentConfig(**{
        "encoder": schooling.encoder, "encoder_sizes": schooling.encoder_sizes, "memory_size": schooling.memory_size,
        "head": head, "hidden_size": schooling.hidden_size, "num_parts": len(world.event_names),
        "num_events": len(world.event_names), "num_contexts": len(world.context_names),
        "component_weights": tuple(world.reward_weights.tolist()), "route_encoder": "global", **options,
    })  # fmt: skip


@cell_function(SCHOOL, version=2, seconds=lambda config: 4e-5 * config["schooling"]["reinforce_steps"])
def school(context: CellContext) -> list[Row]:
    """Train D∘E in the ambiguous village, and write down what it plays."""
    config, schooling = context.config, schooling_of(context.config)
    seed, options = config["seed"], weak_options(schooling)
    world = make_world(ENV_ID, **options)
    levels, starts = np.arange(512) % world.num_levels, np.arange(512) % world.num_starts
    agent = build_agent(
        observation_space(world), world.num_actions, agent_config(world, schooling),
        seed=derive_seed(seed, "niceness", "agent"),
        sample=world.observe(world.begin(levels, starts)),
    )  # fmt: skip
    settings = ReinforceConfig(
        num_steps=schooling.reinforce_steps, num_envs=64, rollout_length=world.time_limit,
        learning_rate=schooling.policy_learning_rate,
    )  # fmt: skip
    stream = open_stream(make_vector(ENV_ID, settings.num_envs, options=options), agent.spec, seed=seed, name="school")
    agent, _ = reinforce(agent, stream, settings, discount=world.discount, seed=seed)
    played = record_episodes(
        agent, ENV_ID, num_episodes=schooling.num_episodes, seed=seed, uniform_share=schooling.uniform_share,
        options=options,
    )  # fmt: skip
    save_agent(context.folder / AGENT, agent)
    save_episodes(context.folder / EPISODES, played)
    own = record_episodes(agent, ENV_ID, num_episodes=512, seed=seed + 1, uniform_share=0.0, options=options)
    recorded = {f"recorded {name}": mean for name, mean in _earned(played, world).items()}
    return [{"kind": "school", **_earned(own, world), **recorded}]


def _earned(played: Episodes, world: World) -> dict[str, float]:
    """Niceness and coins per episode."""
    assert played.components is not None
    means = played.components.sum(axis=0) / played.num_episodes
    return {name: float(means[world.component_names.index(name)]) for name in ("RT", "coins")}


@cell_function(LEARN_VALUE, version=2, seconds=9.0)
def learn_value(context: CellContext) -> list[Row]:
    """Fit an arm's V∘E to the recording."""
    config, schooling = context.config, schooling_of(context.config)
    player, seen = read_recording(context, schooling)
    arm, world = ARMS[config["arm"]], make_world(ENV_ID, **weak_options(schooling))
    agent = copy.deepcopy(player)
    agent.config = agent_config(world, schooling, head=arm.head, **arm.options)
    agent, curve = fit_values(restart_value(agent), seen, value_settings(schooling, world), seed=config["seed"])
    save_agent(context.folder / AGENT, agent)
    return [{"kind": "value", **curve[-1]}]


@cell_function(LEARN_REWARD, version=2, seconds=8.0)
def learn_reward(context: CellContext) -> list[Row]:
    """Fit a reward model r̂∘E to the recording."""
    config, schooling = context.config, schooling_of(context.config)
    player, seen = read_recording(context, schooling)
    world = make_world(ENV_ID, **weak_options(schooling))
    model, facts = fit_rewards(player, seen, value_settings(schooling, world), seed=config["seed"])
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, context.folder / REWARD_MODEL)
    return [{"kind": "reward", **facts}]


def value_settings(schooling: Schooling, world: World) -> ValueConfig:
    """How V and r̂ learn; gradients flow through whole episodes.

    Another order of sums gives other weights in the end, and the frozen studies were run without fast kernels.
    """
    return ValueConfig(
        num_updates=schooling.updates, batch_size=schooling.batch_size, learning_rate=schooling.learning_rate,
        sequence_length=world.time_limit, fast_kernels=False,
    )  # fmt: skip


def read_recording(context: CellContext, schooling: Schooling) -> tuple[AlphaAgent, Episodes]:
    """Who played, and the episodes as V and r̂ see them."""
    folder = context.parent(SCHOOL).folder
    player, episodes = load_agent(folder / AGENT)[0], load_episodes(folder / EPISODES)
    rng = numpy_generator(context.config["seed"], "niceness", "blur")
    return player, blurred(episodes, schooling, rng=rng)


def blurred(episodes: Episodes, schooling: Schooling, *, rng: np.random.Generator) -> Episodes:
    """The episodes with one taste shown at random in a share of the steps; what was paid is as it was."""
    if schooling.blurred == "nothing":
        return episodes
    world, place = make_world(ENV_ID, **weak_options(schooling)), BLURRED[schooling.blurred]
    columns = range(PEOPLE + place, PEOPLE + STRIDE * world.config.num_persons, STRIDE)
    return noised(episodes, world, columns, share=schooling.blur, rng=rng)


def read_beginner(context: CellContext) -> tuple[AlphaAgent, RewardModel]:
    """The same two, untrained, behind the E and D of the school that is the cell's parent."""
    config, schooling = context.config, schooling_of(context.config)
    agent = copy.deepcopy(load_agent(context.parent(SCHOOL).folder / AGENT)[0])
    arm, world = ARMS[config["arm"]], make_world(ENV_ID, **weak_options(schooling))
    agent.config = agent_config(world, schooling, head=arm.head, **arm.options)
    agent = restart_value(agent)
    encoder = copy.deepcopy(value_encoder_for(agent, "scratch"))
    return agent, RewardModel(encoder, agent.num_actions, seed=config["seed"])


def read_pupil(context: CellContext) -> tuple[AlphaAgent, RewardModel]:
    """The agent with its V, and the reward model beside it, of a cell whose parents they are."""
    agent = load_agent(context.parent(LEARN_VALUE).folder / AGENT)[0]
    return agent, reward_model_from(agent, load_file(context.parent(LEARN_REWARD).folder / REWARD_MODEL))
