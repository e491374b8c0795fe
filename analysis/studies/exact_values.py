"""The exact V^pi of a recorded policy at every recorded step, and its mean over contexts.

V^pi(s) is solved level by level from the world's own kernel for the mixture that played. The mean over contexts is that
of the states which differ from s in nothing but the context, within the same level.

Shapes: n recorded steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agents.agent import AlphaAgent
from agents.checkpoint import load_agent
from agents.exact import policy_table
from analysis.cells import CellContext, Row, cell_function
from analysis.instruments.minimal_pairs import context_cells, match_contexts
from analysis.predictions.parts import Floats
from analysis.studies.yoked import AGENT, EPISODES, recorder_of, setup_of, world_of_run
from envs.archives import unzipped, zipped
from envs.enumeration import TabularMDP, state_finder
from envs.episodes import Episodes, episode_of_step, load_episodes
from envs.errors import UserError
from envs.rows import World
from envs.storage import write_bytes
from envs.tabular import enumerate_world, policy_evaluation

EXACT = "comparison.exact"
VALUES = "values.npz"
LEVELS_AT_ONCE = 1000


@cell_function(EXACT, version=1, seconds=30.0)
def exact(context: CellContext) -> list[Row]:
    """V^pi and its mean over contexts at every recorded step, as an artifact."""
    config = context.config
    folder = context.parent(recorder_of(config["world"])).folder
    player, episodes = load_agent(folder / AGENT)[0], load_episodes(folder / EPISODES)
    found = exact_values(player, world_of_run(config), episodes, uniform_share=setup_of(config).uniform_share)
    write_bytes(context.folder / VALUES, zipped(found))
    return [{"kind": "exact", "num_steps": episodes.num_steps, "mean": float(found["exact"].mean())}]


def read_values(folder: Path) -> dict[str, Floats]:
    """What the cell left: "exact" and "context mean", float64[n] each."""
    return unzipped((folder / VALUES).read_bytes())


def exact_values(player: AlphaAgent, world: World, episodes: Episodes, *, uniform_share: float) -> dict[str, Floats]:
    """V^pi of (1 - u) D + u/A at every step, and its mean over the contexts of the same situation.

    Args:
        player: D; without memory.
        world: The world of the episodes.
        episodes: With rows and level ids.
        uniform_share: u.

    Returns:
        "exact" and "context mean", float64[n]; they are equal where a level has one context.

    Raises:
        UserError: The episodes hold no rows, or a level is too large to enumerate.
    """
    if episodes.rows is None:
        raise UserError("The episodes hold no rows, so their exact values cannot be solved; record them in our worlds.")
    level_of_step = episodes.levels[episode_of_step(episodes)]
    found = {name: np.empty(episodes.num_steps) for name in ("exact", "context mean")}
    for levels in _chunks(episodes):
        steps = np.flatnonzero(np.isin(level_of_step, levels))
        mdp = enumerate_world(world, levels)
        values = policy_evaluation(mdp, policy_table(player, world, mdp.rows, uniform_share=uniform_share))
        states = state_finder(mdp)(episodes.rows[steps])
        found["exact"][steps] = values[states]
        found["context mean"][steps] = _mean_over_contexts(world, mdp, values)[states]
    return found


def _chunks(episodes: Episodes) -> Iterator[np.ndarray]:
    levels = np.unique(episodes.levels)
    yield from np.array_split(levels, -(-len(levels) // LEVELS_AT_ONCE))


def _mean_over_contexts(world: World, mdp: TabularMDP, values: Floats) -> Floats:
    contexts = world.context_of(mdp.rows)
    means = values.copy()
    try:
        situations, _ = match_contexts(mdp.rows, contexts, cells=context_cells(mdp.rows, contexts))
    except UserError:  # Levels that tie the context to the layout hold no situation under two contexts.
        return means
    means[situations] = values[situations].mean(axis=1, keepdims=True)
    return means
