"""A trained agent at play, state by state, with what its V says of each and, in small worlds, what is true.

Shape key: H, W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.actors import make_actor
from agents.agent import AlphaAgent
from agents.memory import zeroed
from agents.seeding import derive_seed, spawn_seeds
from agents.streams import EnvStream
from analysis.shown import Moment, Show, ShownStream
from envs.errors import UserError
from envs.rows import World
from envs.tabular import enumerate_world, state_index, value_iteration

MAX_STATES = 100_000
"""States of one level up to which it is solved for V*."""


@dataclass(frozen=True, eq=False)
class Sight:
    """One state of one episode; `stream` moves on when the next one is asked for.

    Attributes:
        episode: Number of the episode, from 0.
        moment: The state, and the step that led to it.
        value: V of the state; None where the world has ended the episode, after which nothing comes.
        exact: V* of the state, None where the level was not solved.
        stream: Shows the state.
    """

    episode: int
    moment: Moment
    value: float | None
    exact: float | None
    stream: ShownStream

    def words(self) -> str:
        """The step in one line."""
        return f"episode {self.episode}, {self.moment.words()}"

    def values(self) -> str:
        """V of the state, V* where it is known, and what the episode earned once it has ended."""
        parts = ["V of the end: 0" if self.value is None else f"V {self.value:.3f}"]
        parts += [] if self.exact is None else [f"V* {self.exact:.3f}"]
        return ", ".join(parts + ([f"earned {self.moment.discounted:.3f} discounted"] if self.moment.ending else []))


def watch(agent: AlphaAgent, show: Show, *, actor: str, num_episodes: int, seed: int) -> Iterator[Sight]:
    """Play, and yield every state when it is asked for, first and last ones included.

    In a world of ours these are the first episodes of `agents.evaluation.evaluate` with the same seed.

    Args:
        agent: D∘E and V∘E are read.
        show: The environment.
        actor: By name (`agents.actors.make_actor`); D takes its most probable action.
        num_episodes: At least 1.
        seed: Of levels, starts and chance.

    Raises:
        UserError: An actor that looks ahead in a foreign environment, or observations that the agent cannot take.
    """
    foreign_seeds = spawn_seeds(seed, num_episodes, "evaluate", "envs", bits=31)
    for episode in range(num_episodes):
        seeds = [foreign_seeds[episode]] if show.world is None else derive_seed(seed, "evaluate", "envs")
        stream = show.begin(seeds, episode=episode, spec=agent.spec)
        player = make_actor(actor, agent, stream.env, seed=seed, first_env=episode)
        read, exact = _ValueReader(agent), _exact_values(show.world, int(stream.levels[0]), show.discount)
        while True:
            moment, value = stream.moment, read(stream)
            over = moment.ending == "terminated"
            yield Sight(episode, moment, None if over else value, None if over else exact(stream), stream)
            if moment.ending:
                break
            stream.step(player.act(stream, stream.valid)[0])


class _ValueReader:
    """V of the state that a stream of one env shows, with the memory of V's encoder from state to state."""

    def __init__(self, agent: AlphaAgent) -> None:
        self.agent = agent
        self.memory: Tensor | None = None

    @torch.no_grad()
    def __call__(self, stream: EnvStream) -> float:
        agent = self.agent
        memory = zeroed(self.memory, stream, size=agent.value_encoder.memory_size, device=agent.device)
        features, self.memory = agent.features_of_value(stream.observations, memory)
        context = torch.from_numpy(stream.contexts).to(agent.device) if agent.value_head.needs_context else None
        return float(agent.value_head(features, context).value)


def _exact_values(world: World | None, level: int, discount: float) -> Callable[[EnvStream], float | None]:
    """V* of the state that a stream shows, for streams on one level; None where that is not solved."""
    if world is None:
        return lambda stream: None
    try:
        mdp = enumerate_world(world, [level], max_states=MAX_STATES)
        values = value_iteration(mdp, discount=discount).values
    except UserError:
        return lambda stream: None

    def exact(stream: EnvStream) -> float:
        rows: NDArray[np.int16] | None = stream.rows()
        assert rows is not None
        return float(values[state_index(mdp, rows)][0])

    return exact
