"""Figures of the instrument `context`.

Shapes: S states, M situations, C contexts, H rows and W columns of the grid, A actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agents.agent import AlphaAgent
from agents.exact import policy_table, value_table
from analysis.instruments.walks import DIRECTIONS, agent_cells, object_cells
from analysis.plots import policy_field, spectrum_lines, value_scatter
from envs.enumeration import enumerate_world
from envs.rows import World

if TYPE_CHECKING:
    from analysis.probing.context import ContextSwap

Floats = NDArray[np.float64]


def values_by_context(tables: dict[str, Floats], optimal: Floats, context_names: Sequence[str]) -> Figure:
    """Value functions against V* of every situation, one panel per context (four at most)."""
    panels = {
        name: {function: (optimal[:, c], table[:, c]) for function, table in tables.items()}
        for c, name in enumerate(context_names[:4])
    }
    return value_scatter(
        panels,
        title="V against V* under each context",
        subtitle="all states of held-out levels; dashed: V = V*; solid: mean of V",
    )


def swaps(tables: dict[str, Floats], optimal: Floats) -> Figure | None:
    """Change of V against change of V* over pairs of contexts; None where V* does not change."""
    first, second = np.triu_indices(optimal.shape[1], k=1)
    change = (optimal[:, second] - optimal[:, first]).ravel()
    if np.abs(change).max(initial=0.0) < 1e-9:
        return None
    panels = {
        function: {"": (change, (table[:, second] - table[:, first]).ravel())} for function, table in tables.items()
    }
    return value_scatter(
        panels,
        title="Change of V when nothing but the context changes",
        x_label="change of V* (discounted reward)",
        y_label="change of V (discounted reward)",
        subtitle="one dot per situation and pair of contexts; dashed: as V* changes; flat: blind to context",
    )


def ranks(swaps: Sequence[ContextSwap]) -> Figure | None:
    """Spectra of value tables against V*'s; None where V* is constant."""
    optimal = swaps[0].spectrum_optimal
    if np.isnan(optimal.effective_rank):
        return None
    lines = {"V*": optimal.shares} | {swap.function: swap.spectrum.shares for swap in swaps}
    return spectrum_lines(
        lines,
        title="Products of context and situation in a value table",
        x_label="product, the largest first",
        y_label="share of the table's variance",
        subtitle="all states of held-out levels alike; a monolith that copies V* has V*'s spectrum",
    )


def policies(agent: AlphaAgent, world: World, *, level: int, num_contexts: int = 2) -> dict[str, Figure]:
    """D as arrows and V as colour on one held-out level, one figure for each of the first contexts that occur on it.

    Empty for agents with memory (their policy is no function of the cell) and for worlds with other actions.
    """
    drawable = {"agent", "wall"} <= set(world.plane_names) and set(world.action_names) <= set(DIRECTIONS)
    if agent.policy_encoder.memory_size or not drawable:
        return {}
    mdp = enumerate_world(world, [level])
    contexts = world.context_of(mdp.rows)
    figures = {}
    for context in np.unique(contexts[mdp.start_state])[:num_contexts]:
        name = world.context_names[context] if context >= 0 else "no context"
        figures[f"policy_{name}"] = _policy_figure(agent, world, mdp.rows[contexts == context], name=name)
    return figures


def _policy_figure(agent: AlphaAgent, world: World, rows: NDArray[np.int16], *, name: str) -> Figure:
    """The first row at each agent cell stands for the cell."""
    planes = world.observe(rows[:1])["planes"].astype(bool)
    cells, first = np.unique(agent_cells(world, rows), return_index=True)
    field, values = (
        np.full((world.grid[0] * world.grid[1], len(DIRECTIONS)), np.nan),
        np.full(np.prod(world.grid), np.nan),
    )
    field[cells] = policy_table(agent, world, rows[first])
    values[cells] = value_table(agent, world, rows[first])
    return policy_field(
        field.reshape(*world.grid, -1),
        [DIRECTIONS[action] for action in world.action_names],
        title=f"D (arrows) and V (colour), context {name}",
        walls=planes[0, world.plane_names.index("wall")],
        objects=object_cells(world, rows[0]),
        values=values.reshape(world.grid),
        subtitle="one held-out level; arrow: mean move, longest where D is certain",
    )
