"""Worlds that can be enumerated: all states of held-out levels with V*, and every situation under every context.

Shapes: n rows, S states, M situations, C contexts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from agents.agent import AlphaAgent
from agents.exact import value_table
from agents.seeding import numpy_generator
from analysis.instruments.minimal_pairs import context_cells, match_contexts, world_with_pairs
from analysis.probing.states import ContextOf, States, contexts_of, enumerated_states
from envs.errors import UserError
from envs.rows import Levels, Rows, World
from envs.tabular import TabularMDP, enumerate_world, state_index, value_iteration

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Exact:
    """All states of some held-out levels.

    Attributes:
        world: In the layout in which every situation occurs under every context, where it has one.
        mdp: Enumerated.
        optimal: float64[S], V*.
        levels: int64[S] (see `levels_of_states`).
    """

    world: World
    mdp: TabularMDP
    optimal: Floats
    levels: Ints


@dataclass(frozen=True, eq=False)
class ContextTable:
    """All situations of some held-out levels under all contexts.

    Attributes:
        world: In the layout in which every situation occurs under every context.
        mdp: Enumerated.
        index: int64[M, C], states.
        optimal: float64[M, C], V*.
        groups: int64[M], the situation's level under the first context.
        contexts: int64[C].
        context_names: C names.
    """

    world: World
    mdp: TabularMDP
    index: Ints
    optimal: Floats
    groups: Ints
    contexts: Ints
    context_names: tuple[str, ...]

    def values_of(self, agent: AlphaAgent) -> Floats:
        """The agent's V, float64[M, C]; one with a memory reads each state as the first of an episode."""
        rows = self.mdp.rows[self.index.reshape(-1)]
        return value_table(agent, self.world, rows, as_first=True).reshape(self.index.shape)


def exact_values(world: World, *, num_levels: int, max_states: int) -> Exact:
    """Enumerates held-out levels and solves them.

    Raises:
        UserError: Too many states or outcomes.
    """
    world = world_with_pairs(world)
    block = world.levels("test")
    mdp = enumerate_world(world, Levels(block.first, min(num_levels, block.count)), max_states=max_states)
    levels = levels_of_states(mdp, num_starts=world.num_starts)
    return Exact(world, mdp, value_iteration(mdp).values, levels)


def context_table(exact: Exact, context_of: ContextOf | None = None) -> ContextTable:
    """Matches the world's contexts, or the user's.

    Raises:
        UserError: No situation occurs under all contexts, or there are no two.
    """
    mdp, world = exact.mdp, exact.world
    contexts = contexts_of(mdp.rows, world, context_of)
    index, present = match_contexts(mdp.rows, contexts, cells=context_cells(mdp.rows, contexts))
    names = [world.context_names[one] if context_of is None else f"context {one}" for one in present]
    return ContextTable(
        world=world, mdp=mdp, index=index, optimal=exact.optimal[index], groups=exact.levels[index[:, 0]],
        contexts=present, context_names=tuple(names),
    )  # fmt: skip


def optimal_values(world: World | None, rows: Rows | None, levels: Ints, *, max_states: int) -> Floats:
    """V* of rows, float64[n], on their levels; NaN where these have too many states, and for foreign environments.

    Args:
        world: None for a foreign environment.
        rows: int16[n, R].
        levels: int64[n].
        max_states: Levels with more states in all are not solved.
    """
    unknown = np.full(len(levels), np.nan)
    if world is None or rows is None:
        return unknown
    try:
        mdp = enumerate_world(world, np.unique(levels), max_states=max_states)
        return value_iteration(mdp).values[state_index(mdp, rows)]
    except UserError:
        return unknown


def reachable_states(
    exact: Exact, *, num_rows: int, seed: int, context_of: ContextOf | None = None
) -> tuple[States, Floats]:
    """A uniform sample without repetition of all enumerated states, held out by level, and their V*, float64[n]."""
    drawn = numpy_generator(seed, "probe", "reachable").permutation(exact.mdp.num_states)[:num_rows]
    order = np.argsort(drawn)
    chosen, rows = drawn[order], exact.mdp.rows[drawn[order]]
    states = enumerated_states(
        rows, exact.world, levels=exact.levels[chosen], order=order,
        source="drawn uniformly from all states of held-out levels",
        contexts=contexts_of(rows, exact.world, context_of),
    )  # fmt: skip
    return states, exact.optimal[chosen]


def levels_of_states(mdp: TabularMDP, *, num_starts: int) -> Ints:
    """Numbers the levels of an enumerated world and says which one each state belongs to, as int64[S].

    States belong together if one can lead to the other or if they are starts of one level; levels that share a state
    count as one.
    """
    num_states = mdp.num_states
    source = np.broadcast_to(np.arange(num_states)[:, None, None], mdp.next_state.shape)
    leads = mdp.next_state >= 0
    first = np.repeat(mdp.start_state[::num_starts], num_starts)
    edges = (np.concatenate([source[leads], first]), np.concatenate([mdp.next_state[leads], mdp.start_state]))
    graph = coo_array((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(num_states, num_states))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
