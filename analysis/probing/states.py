"""The states on which a trained agent is read, with everything that is known of them but what the agent holds there.

Shapes: n rows, R entries of a row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.agent import AlphaAgent
from agents.seeding import numpy_generator
from analysis.instruments.control_task import state_ids
from envs.episodes import Episodes, episode_of_step
from envs.errors import UserError
from envs.rows import Rows, World

Ints = NDArray[np.int64]
Observations = Mapping[str, NDArray[Any]]
ContextOf = Callable[[Observations], NDArray[Any]]
"""A user's own context: from observations, arrays [n, ...] by part, to n integers (negative: none)."""


@dataclass(frozen=True, eq=False)
class States:
    """States in order of time within groups, with their labels.

    Attributes:
        source: How they came about, in words that go on after "states".
        observations: Arrays [n, ...] by part.
        starts: bool[n], the first state of an episode; memory is zeroed there.
        contexts: int64[n], what instruments take for the context; -1 where there is none.
        own_contexts: int64[n], what the environment calls the context, which oracle heads are told.
        groups: int64[n], the unit that is held out.
        group_name: "episode" or "level".
        episodes: int64[n], -1 where states do not come from episodes.
        steps: int64[n], place within the episode, from 0; -1 as well.
        levels: int64[n]: the world's level, or the seed that a foreign environment was reset with.
        ids: int64[n], equal for equal states and for no others.
        control_types: int64[n], what carries a control label.
        order: int64[n]: the rows with order < m are a random sample of m rows, for every m (see `first`).
        rows: int16[n, R], None in foreign environments.
    """

    source: str
    observations: Observations
    starts: NDArray[np.bool_]
    contexts: Ints
    own_contexts: Ints
    groups: Ints
    group_name: str
    episodes: Ints
    steps: Ints
    levels: Ints
    ids: Ints
    control_types: Ints
    order: Ints
    rows: Rows | None

    def __len__(self) -> int:
        """Number n of rows."""
        return len(self.contexts)

    def take(self, index: NDArray[Any]) -> States:
        """Some of the rows: int64 indices or bool[n]."""
        parts = {name: array[index] for name, array in self.observations.items()}
        arrays = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        taken = {name: array[index] for name, array in arrays.items() if isinstance(array, np.ndarray)}
        return dataclasses.replace(self, observations=parts, **taken)


def visited_states(
    episodes: Episodes, agent: AlphaAgent, *, world: World | None, seed: int, context_of: ContextOf | None = None
) -> States:
    """All states that D visited, held out by episode, each as often as it was visited.

    Where any state has a context, those without one come last in `order`.
    """
    starts = np.zeros(episodes.num_steps, dtype=np.bool_)
    starts[episodes.offsets[:-1]] = True
    episode = episode_of_step(episodes)
    with torch.no_grad():
        seen = episodes.rows if episodes.rows is not None else agent.encode(episodes.observations).matrix.cpu().numpy()
    ids = state_ids(seen, num_rows=episodes.num_steps)
    contexts = episodes.contexts if context_of is None else labelled(context_of, episodes.observations)
    return States(
        source=f"visited by D on {episodes.num_episodes} held-out episodes",
        observations=episodes.observations, starts=starts, contexts=contexts, own_contexts=episodes.contexts,
        groups=episode, group_name="episode", episodes=episode,
        steps=np.arange(episodes.num_steps) - episodes.offsets[episode], levels=episodes.levels[episode], ids=ids,
        control_types=_control_types(episodes.observations, contexts, ids, world=world),
        order=_random_order(contexts, seed), rows=episodes.rows,
    )  # fmt: skip


def enumerated_states(
    rows: Rows, world: World, *, levels: Ints, order: Ints, source: str, contexts: Ints | None = None
) -> States:
    """Rows of a table as states, each the first of an episode of its own.

    Args:
        rows: int16[n, R].
        world: Shows them.
        levels: int64[n].
        order: int64[n], as in `States`.
        source: As in `States`.
        contexts: int64[n], None for the world's own.
    """
    observations, own = world.observe(rows), world.context_of(rows)
    contexts = own if contexts is None else contexts
    ids, none = state_ids(rows, num_rows=len(rows)), np.full(len(rows), -1, dtype=np.int64)
    return States(
        source=source, observations=observations, starts=np.ones(len(rows), dtype=np.bool_), contexts=contexts,
        own_contexts=own, groups=levels, group_name="level", episodes=none, steps=none, levels=levels, ids=ids,
        control_types=_control_types(observations, contexts, ids, world=world), order=order, rows=rows,
    )  # fmt: skip


def contexts_of(rows: Rows, world: World, context_of: ContextOf | None) -> Ints:
    """Contexts int64[n] of rows: the user's own, or where there is no such function the world's."""
    return world.context_of(rows) if context_of is None else labelled(context_of, world.observe(rows))


def labelled(context_of: ContextOf, observations: Observations) -> Ints:
    """What a user's function says, int64[n].

    Raises:
        UserError: It fails, or gives something else than one integer for each row.
    """
    num_rows = len(next(iter(observations.values())))
    name = getattr(context_of, "__name__", "the context function")
    try:
        labels = np.asarray(context_of(observations))
    # A user's function may fail in any way.
    except Exception as error:
        raise UserError(
            f"Context function {name} fails with {type(error).__name__}: {error}; it is given the arrays [n, ...] "
            f"{', '.join(f'{part} {array.shape}' for part, array in observations.items())}."
        ) from error
    if labels.shape != (num_rows,) or labels.dtype.kind not in "iub":
        raise UserError(
            f"Context function {name} gives {labels.dtype} {labels.shape} for {num_rows} states; it must give one "
            "integer for each, negative where there is no context."
        )
    return labels.astype(np.int64)


def _random_order(contexts: Ints, seed: int) -> Ints:
    """Places in a random order of the rows with a context, and after them of those without."""
    known = np.flatnonzero(contexts >= 0)
    drawn = numpy_generator(seed, "probe", "rows").permutation(known)
    unknown = numpy_generator(seed, "probe", "rows without context").permutation(np.flatnonzero(contexts < 0))
    order = np.empty(len(contexts), dtype=np.int64)
    order[np.concatenate([drawn, unknown])] = np.arange(len(contexts))
    return order


def _control_types(observations: Observations, contexts: Ints, ids: Ints, *, world: World | None) -> Ints:
    """Agent cell and context where a world draws the agent in a plane, else the state.

    States seldom recur over episodes of different levels, and labels of states that do not recur cannot be memorised.
    """
    if world is None or "agent" not in world.plane_names:
        return ids
    plane = observations["planes"][:, world.plane_names.index("agent")]
    cell = plane.reshape(len(plane), -1).argmax(axis=1)
    return np.asarray(cell * (len(world.context_names) + 1) + contexts + 1, dtype=np.int64)
