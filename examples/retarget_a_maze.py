"""Edit a trained agent so that it walks to any cell of a maze: heat maps of where it goes, and a vector field.

As in Mini, Turner et al. (2023), "Understanding and controlling a maze-solving policy network", arXiv 2310.08043.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from agents.agent import AlphaAgent
from agents.config import AgentConfig, TrainConfig
from agents.exact import policy_table, value_table
from agents.presets import recommended
from agents.train import train
from analysis.instruments.activations import random_like
from analysis.instruments.retargeting import Table, cell_vectors, moved_rows, object_vectors, steered
from analysis.instruments.walks import (
    Floats,
    Ints,
    Walks,
    field_of,
    lookahead_probs,
    on_grid,
    path_to_cells,
    walks_from,
)  # fmt: skip
from analysis.plots import heat_maps, save_figure, vector_fields
from envs import make_world
from envs.rows import World

ENV_ID, OPTIONS = "ValueLab/CornerMaze-9x9-Corner7-v0", {"num_levels": 2000}
CHEESE_COLUMN = 1
VECTOR = "cheese vector of the cell"
CHANNEL_STRENGTH = 5.0
TEMPERATURE = 0.003
"""Of V1's choice: a step the wrong way costs about .02 of V*."""


def settings() -> TrainConfig:
    """Convolutions, whose first layer keeps the shape of the grid; about 160 CPU-seconds."""
    config = recommended(ENV_ID, options=OPTIONS)
    return replace(
        config, agent=AgentConfig(encoder="conv", encoder_sizes=(128, 64), route_encoder="global"),
        stages=("imitate", "value"), imitation=replace(config.imitation, num_updates=3000, batch_size=256),
        value=replace(config.value, num_updates=5000, num_episodes=10_000),
    )  # fmt: skip


@dataclass(frozen=True)
class Actor:
    """An agent's D or V1 on one level: the site that is edited, what is read of rows, and how it acts on that."""

    agent: AlphaAgent
    walks: Walks
    site: str
    table: Table
    act: Callable[[Floats], Floats]

    def under(self, vectors: Tensor) -> Floats:
        """Its policy under each vector, float64[T, N, A]."""
        return self.act(steered(self.agent, self.site, vectors, rows=self.walks.rows, table=self.table))

    def edits(self, cells: Ints, *, channel: int) -> dict[str, Floats]:
        """Policies under edits for each cell, float64[T, N, A], or [N, A] where nothing is edited."""
        moved = moved_rows(self.walks, cells, column=CHEESE_COLUMN)
        vectors = object_vectors(self.agent, self.site, walks=self.walks, moved=moved, table=self.table)
        return {
            "unedited": self.act(self.table(self.walks.rows)),
            "random vector": self.under(random_like(vectors.flatten(1), seed=0).view_as(vectors)),
            f"channel {channel} at the cell": self.under(self.bumps(cells, channel)),
            VECTOR: self.under(vectors),
            "shown the cheese there": self.act(np.stack([self.table(rows) for rows in moved])),
        }

    def bumps(self, cells: Ints, channel: int) -> Tensor:
        """One channel raised at each cell."""
        shape = (self.agent.config.conv_channels[0], *self.walks.grid)
        return cell_vectors(shape, cells, channel=channel, strength=CHANNEL_STRENGTH)

    def best_channel(self, cells: Ints) -> int:
        """The channel that sends the actor farthest."""
        channels = range(self.agent.config.conv_channels[0])
        means = [path_to_cells(self.walks, self.under(self.bumps(cells, c)), cells).mean() for c in channels]
        return int(np.argmax(means))


def actors(agent: AlphaAgent, world: World, walks: Walks) -> dict[str, Actor]:
    """D, and V1 with a soft choice."""
    look = partial(lookahead_probs, walks, temperature=TEMPERATURE)
    values, policy = partial(value_table, agent, world), partial(policy_table, agent, world)
    return {
        "D": Actor(agent, walks, "policy_encoder.conv_0", policy, lambda probs: probs),
        "V1": Actor(agent, walks, "value_encoder.conv_0", values, look),
    }


def level_with_far_cheese(world: World, split: str) -> Walks:
    """The first level of a split with the cheese at least six steps away."""
    walks = (walks_from(world, world.begin([level], [0])[0]) for level in world.levels(split).ids())
    return next(each for each in walks if each.distance[each.ended].min() >= 6)


def free_cells(walks: Walks) -> Ints:
    """All cells but the agent's and the cheese's."""
    return np.setdiff1d(walks.cell, [walks.cell[0], *walks.cell[walks.ended]])


def main(out: Path, config: TrainConfig | None = None) -> dict[str, float]:
    """Train, draw what edits do on a held-out level, and return mean path probabilities by actor and edit."""
    agent = train(ENV_ID, config or settings(), out / "run", options=OPTIONS).agent
    world = make_world(ENV_ID, **OPTIONS)
    trained, walks = (level_with_far_cheese(world, split) for split in ("train", "test"))
    cells, width = free_cells(walks), walks.grid[1]
    marks = {"A": divmod(int(walks.cell[0]), width), "c": divmod(int(walks.cell[walks.ended][0]), width)}
    means = {}
    for name, actor in actors(agent, world, walks).items():
        channel = actors(agent, world, trained)[name].best_channel(free_cells(trained))
        policies = actor.edits(cells, channel=channel)
        reached = {edit: path_to_cells(walks, probs, cells) for edit, probs in policies.items()}
        means |= {f"{name}, {edit}": float(each.mean()) for edit, each in reached.items()}
        figure = heat_maps(
            {edit: on_grid(walks, each, cells) for edit, each in reached.items()},
            title=f"Where {name} can be sent by an edit of its first layer", label="normalised path probability",
            subtitle="colour: to this cell, under the edit for this cell; A: start, c: cheese; a held-out level",
            walls=walks.walls, objects=marks,
        )  # fmt: skip
        save_figure(figure, out / f"retargeting_{name}.png")
        target = int((reached[VECTOR] - reached["unedited"]).argmax())
        figure = vector_fields(
            field_of(walks, policies["unedited"]), field_of(walks, policies[VECTOR][target]), walks.directions,
            title=f"{name} before and after the cheese vector of one cell is added in every state",
            subtitle="t: the cell, that of the greatest gain; arrow: mean move, the difference at half its scale",
            edited_name="cheese vector of t added", walls=walks.walls,
            objects={"c": marks["c"], "t": divmod(int(cells[target]), width)},
        )  # fmt: skip
        save_figure(figure, out / f"vector_field_{name}.png")
    return means


if __name__ == "__main__":
    for edit, mean in main(Path("runs/retarget-a-maze")).items():
        print(f"{edit}: {mean:.2f}")
