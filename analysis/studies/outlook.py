"""What V1 looks at: held-out states, and the states to which each action leads from them.

Shapes: N states, A actions, S row size, M distinct states ahead, C contexts.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from agents.agent import AlphaAgent
from agents.exact import value_table
from agents.seeding import numpy_generator
from analysis.instruments.minimal_pairs import context_cells
from analysis.predictions.crossed_states import Rows
from analysis.predictions.parts import Floats, Ints
from envs.errors import UserError
from envs.rows import World
from envs.tabular import TabularMDP


@dataclasses.dataclass(frozen=True)
class Outlook:
    """Held-out states of a world without chance.

    Attributes:
        rows: int16[N, S].
        contexts: int64[N].
        layouts: int64[N]; levels that look alike have one number.
        ahead: int16[M, S], all states to which some action leads.
        index: int64[N, A], row of `ahead` to which each action leads.
        alive: float64[N, A], 0 where the action ends the episode, else 1.
        rewards: float64[N, A].
        discount: The world's.
    """

    rows: Rows
    contexts: Ints
    layouts: Ints
    ahead: Rows
    index: Ints
    alive: Floats
    rewards: Floats
    discount: float

    def action_values(self, values: Floats) -> Floats:
        """Q = r + discount * V(s'), float[N, A], of values float[M] of the states ahead."""
        return np.asarray(self.rewards + self.discount * self.alive * values[self.index])

    def choices(self, agent: AlphaAgent, world: World) -> Ints:
        """What V1 does, int64[N]."""
        return np.asarray(self.action_values(value_table(agent, world, self.ahead)).argmax(axis=1))

    def options(self, layer: Floats) -> Floats:
        """Per action its reward, whether it goes on, and the layer float[M, U] there: float[N, A, U + 2]."""
        known = np.stack([self.rewards, self.alive], axis=2)
        return np.concatenate([known, self.alive[..., None] * layer[self.index]], axis=2)


def outlook(world: World, table: TabularMDP, *, num_states: int, seed: int) -> Outlook:
    """At most `num_states` states of the table, drawn without replacement.

    Raises:
        UserError: The world has chance outcomes, so that an action leads to several states.
    """
    if world.max_outcomes > 1:
        raise UserError(f"{world.name} has {world.max_outcomes} outcomes of an action; this outlook needs one.")
    rng = numpy_generator(seed, "comparison", "outlook")
    rows = table.rows[rng.choice(len(table.rows), size=min(num_states, len(table.rows)), replace=False)]
    found = world.expand(rows)
    ahead, index = np.unique(found.next_rows[:, :, 0].reshape(-1, rows.shape[1]), axis=0, return_inverse=True)
    return Outlook(
        rows=rows,
        contexts=world.context_of(rows),
        layouts=layouts_of(world, rows),
        ahead=ahead,
        index=index.reshape(len(rows), -1),
        alive=(~found.terminated[:, :, 0]).astype(np.float64),
        rewards=found.components[:, :, 0] @ world.reward_weights,
        discount=float(world.discount),
    )


def layouts_of(world: World, rows: NDArray[np.int16]) -> Ints:
    """Number of what a row shows beside the agent (its first cell) and the context, int64[N]."""
    masked = rows.copy()
    masked[:, [0, *context_cells(rows, world.context_of(rows))]] = 0
    return np.unique(masked, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
