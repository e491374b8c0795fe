"""The recording of a comparison, one per seed, from which every arm learns; and what an arm's agent is made of.

The cell `record` imitates an exact expert, reinforces, freezes D and E, plays whole episodes and writes them down. The
cell `analysis.studies.fitting.fit` trains an arm's value network on that file; only the value network differs between
arms. Both read their settings from the cell's config, so that the settings are part of the cell's hash.

A world that is recorded in several ways has a label for each, WORLD@RECORDING ("TwoDoors@explored"), which stands
wherever a world's name does; cells of one label never meet those of another.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from agents.agent import AlphaAgent, build_agent, restart_value
from agents.checkpoint import load_agent, save_agent
from agents.config import AgentConfig, ImitationConfig, ReinforceConfig
from agents.encoded import EncodedEpisodes, encode_episodes
from agents.environments import make_vector, open_stream
from agents.imitation import imitate
from agents.learner import reinforce
from agents.recorder import record_episodes
from agents.seeding import derive_seed, numpy_generator
from agents.stage_config import ValueTarget
from analysis.arms import Arm
from analysis.cells import CellContext, cell_function
from envs.demonstrations import demonstrate
from envs.episodes import Episodes, episode_returns, load_episodes, save_episodes
from envs.registry import make_world, world_id
from envs.rows import World
from envs.step_buffers import observation_space

RECORD, FIT = "comparison.record", "comparison.fit"
RECORDERS = MappingProxyType({"TwoDoors": "comparison.record_reinforced"})
"""Worlds whose D must not imitate an expert, and the cell function that makes their recording."""
EPISODES = "episodes.npz"
AGENT = "agent"
NUM_LEVELS = 100_000
"""Levels of each split: nearly every recorded episode has its own, so that V cannot learn levels by heart."""

OPEN_ROOM = MappingProxyType({"size": 7, "generator": "open", "discount": 0.95, "time_limit": 64})
"""DishMaze as the comparison uses it: without inner walls, so that what V1 misses is no way through a maze."""

SCHOOL = MappingProxyType({"num_levels": 1, "d": 7, "kappa": 0, "kappa_lock": 1, "starts": "uniform"})
"""Triad where nobody's taste moves, so that RT, IR and NS pay the same; locks are met, and change nothing. All levels
are alike."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """Sizes of one comparison on one world; part of every cell's hash.

    Attributes:
        num_demonstrations: Expert episodes that D imitates.
        imitation_updates: Gradient steps of the imitation.
        reinforce_steps: Environment steps of the policy gradient after it.
        num_episodes: Episodes that the frozen D plays for V to learn from.
        uniform_share: Share of uniformly random actions in them.
        encoder_sizes: Widths of E.
        hidden_size: Hidden width of MONO's head; other heads match its parameter count.
        value_updates: Gradient steps of V.
        batch_size: Steps in a minibatch of V.
        learning_rate: Adam's for V at the start; it falls linearly to 0.
        route_encoder: What reaches E from routed heads: "routed", "global" or "stopped".
        num_checked_levels: Held-out levels on which V is compared with the exact V^pi.
        own_steps: Environment steps of an arm that learns from its own experience.
        own_learning_rate: Adam's in it, for D and V.
        targets: What V learns from: "monte_carlo" outcomes, or "td_lambda" returns with λ = 1/2.
    """

    num_demonstrations: int = 20_000
    imitation_updates: int = 2500
    reinforce_steps: int = 49_152
    num_episodes: int = 20_000
    uniform_share: float = 0.05
    encoder_sizes: tuple[int, ...] = (64, 64)
    hidden_size: int = 200
    value_updates: int = 2000
    batch_size: int = 256
    learning_rate: float = 5e-3
    route_encoder: str = "routed"
    num_checked_levels: int = 20
    own_steps: int = 196_608
    own_learning_rate: float = 1e-3
    targets: ValueTarget = "monte_carlo"


def setup_of(config: Mapping[str, Any]) -> Setup:
    """The `Setup` inside a cell's config."""
    fields = dict(config["setup"])
    return Setup(**{**fields, "encoder_sizes": tuple(fields["encoder_sizes"])})


def device_of(config: Mapping[str, Any]) -> torch.device:
    """Where the networks of a cell run."""
    return torch.device(config.get("device", "cpu"))


def fitted_agent(context: CellContext) -> AlphaAgent:
    """The agent of the one fit among a cell's parents."""
    return load_agent(context.parent(FIT).folder / AGENT)[0].to(device_of(context.config))


def world_name(label: str) -> str:
    """The world behind a label WORLD or WORLD@RECORDING."""
    return label.partition("@")[0]


def dose_of(label: str) -> float:
    """0.25 of WORLD@dose25: the share of training levels that break the rule which the others keep; 0 of WORLD."""
    recording = label.partition("@")[2]
    return int(recording.removeprefix("dose")) / 100 if recording.startswith("dose") else 0.0


def recorder_of(label: str) -> str:
    """Key of the cell function that makes the recording."""
    return RECORDERS.get(world_name(label), RECORD)


def options_of(label: str, seed: int) -> dict[str, Any]:
    """Options of a world in the run of `seed`: CrossedHistory draws its pairing from the seed's own stream."""
    options: dict[str, Any] = {"num_levels": NUM_LEVELS}
    if world_name(label) == "DishMaze":
        options |= OPEN_ROOM | {"dose": dose_of(label)}
    if label == "Triad":
        options |= SCHOOL
    if world_name(label) == "CrossedHistory":
        options |= {"dose": dose_of(label)} if dose_of(label) else {}
        options["pairing"] = [int(item) for item in numpy_generator(seed, "comparison", "pairing").permutation(2)]
    return options


def world_of_run(config: Mapping[str, Any]) -> World:
    """The training world of a cell."""
    options = options_of(config["world"], config["seed"])
    return make_world(world_name(config["world"]), **{name: _tupled(value) for name, value in options.items()})


def env_id_of(config: Mapping[str, Any]) -> str:
    """The Gymnasium id of a cell's world."""
    return world_id(world_name(config["world"]))


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def agent_config(world: World, setup: Setup, *, head: str, regime: str) -> AgentConfig:
    """The agent of one arm: one part per event and at least two, or one per context for oracle heads."""
    return AgentConfig(
        encoder="mlp", encoder_sizes=setup.encoder_sizes, head=head, hidden_size=setup.hidden_size,
        num_parts=max(2, len(world.event_names)), num_events=len(world.event_names),
        num_contexts=len(world.context_names), component_weights=tuple(world.reward_weights.tolist()),
        route_encoder=setup.route_encoder,  # type: ignore[arg-type]
        value_encoder=regime,  # type: ignore[arg-type]
    )  # fmt: skip


@cell_function(RECORD, version=1, seconds=8.0)
def record(context: CellContext) -> list[dict[str, Any]]:
    """Train D∘E by imitation and reinforcement, and write down the episodes that it plays."""
    config, setup = context.config, setup_of(context.config)
    seed, world = config["seed"], world_of_run(config)
    experts = demonstrate(world, world.levels("train"), num_episodes=setup.num_demonstrations, seed=seed)
    agent = build_agent(
        observation_space(world), world.num_actions, agent_config(world, setup, head="MONO", regime="scratch"),
        seed=derive_seed(seed, "comparison", "agent"), sample=experts.observations,
    ).to(device_of(config))  # fmt: skip
    agent, imitation = imitate(agent, experts, ImitationConfig(num_updates=setup.imitation_updates), seed=seed)
    if setup.reinforce_steps:
        # Another order of sums gives other weights in the end, and the frozen recordings were made without kernels.
        settings = ReinforceConfig(num_steps=setup.reinforce_steps, learning_rate=3e-4, fast_kernels=False)
        env = make_vector(env_id_of(config), settings.num_envs, options=options_of(config["world"], seed))
        stream = open_stream(env, agent.spec, seed=seed, name="reinforce")
        agent, _ = reinforce(agent, stream, settings, discount=world.discount, seed=seed)
    return [play_and_keep(context, agent) | {"imitation": imitation[-1]}]


def play_and_keep(context: CellContext, agent: AlphaAgent) -> dict[str, Any]:
    """Let the trained D play, leave agent and episodes in the cell's folder, and say what was played."""
    config, setup = context.config, setup_of(context.config)
    seed = config["seed"]
    episodes = record_episodes(
        agent, env_id_of(config), num_episodes=setup.num_episodes, seed=seed, uniform_share=setup.uniform_share,
        options=options_of(config["world"], seed),
    )  # fmt: skip
    save_agent(context.folder / AGENT, agent)
    save_episodes(context.folder / EPISODES, episodes)
    returns = episode_returns(episodes, discount=episodes.discount)
    return {
        "seed": seed, "num_steps": episodes.num_steps, "mean_return": float(returns.mean()),
        "truncated_share": float(episodes.truncated.mean()),
    }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Recording:
    """What `record` left: who played, and the episodes; to be read and never changed."""

    player: AlphaAgent
    episodes: Episodes

    @functools.cached_property
    def encoded(self) -> EncodedEpisodes:
        """The episodes as V's encoder sees them."""
        return encode_episodes(self.player, self.episodes)


@functools.lru_cache(maxsize=1)
def read_recording(folder: Path, device: torch.device) -> Recording:
    """Read a recording; the last one is kept, since all arms of a seed learn from it, one after the other."""
    return Recording(load_agent(folder / AGENT)[0].to(device), load_episodes(folder / EPISODES))


def arm_agent(player: AlphaAgent, arm: Arm, world: World, *, setup: Setup, regime: str, replica: int) -> AlphaAgent:
    """The recording's agent with the arm's V, freshly drawn; replica 1 is the sister with other initial weights.

    MONO's head, and the common start of E under `scratch`, depend on seed and replica alone.
    """
    agent = copy.deepcopy(player)
    agent.config = dataclasses.replace(
        agent_config(world, setup, head=arm.head, regime=regime), **arm.options
    )
    agent.seed = player.seed if replica == 0 else derive_seed(player.seed, "comparison", "replica", replica)
    return restart_value(agent)
