"""Exact answers about the village: optimal values and optimal action sets of every state.

What the objectives need decides what is solved: RT, IR, PR and NS_lit live on the real half alone, NS on the coupled
row (`envs.layers` does the rest). `envs.niceness.village_influence` says what a policy does to people.

Shape key: S states, A actions, J objectives, C components, T steps, N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.coupling import real_half
from envs.errors import require_integer
from envs.layers import Flags, LayeredSolution, Layers, RowPolicy, back_up
from envs.niceness.village_config import VillageConfig, read_objective
from envs.niceness.village_layers import list_village
from envs.niceness.village_weights import NS_LIT, discounts_of, optimise, weights_of
from envs.states import Floats, Rows


@dataclass(frozen=True, eq=False)
class VillageSolution:
    """Optimal values and action sets of some objectives, from the starts that were asked for.

    Attributes:
        objectives: J names, as they were asked for.
        layers: The states: rows of the real half alone where no objective needs the twin.
        solution: What is best in them.
    """

    objectives: tuple[str, ...]
    layers: Layers
    solution: LayeredSolution

    def value(self, objective: str) -> float:
        """Optimal value, mean over the starts; of Myopic that of the first step."""
        return float(self.solution.values[self.layers.start_state, self.objectives.index(objective)].mean())

    def values(self, objective: str, rows: Rows) -> Floats:
        """Optimal values float64[N] of rows, coupled or not."""
        found: Floats = self.solution.values[self._find(rows), self.objectives.index(objective)]
        return found

    def optimal_actions(self, objective: str, rows: Rows) -> Flags:
        """Optimal action sets bool[N, A] of rows, coupled or not."""
        found: Flags = self.solution.optimal[self._find(rows), :, self.objectives.index(objective)]
        return found

    def policy(self, objective: str) -> RowPolicy:
        """All optimal actions alike."""

        def act(rows: Rows) -> Floats:
            optimal = self.optimal_actions(objective, rows)
            probs: Floats = optimal / optimal.sum(axis=1, keepdims=True)
            return probs

        return act

    def _find(self, rows: Rows) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        own = self.layers.rows.shape[1]
        return self.layers.find(rows if rows.shape[1] == own else real_half(rows))


def solve_village(
    config: VillageConfig, objectives: Sequence[str], *, level: int = 0, start: int | None = None
) -> VillageSolution:
    """Solve objectives exactly, for the config's γ.

    Args:
        config: The village; its own objective is not read.
        objectives: Names or mixtures as the config takes them, Myopic among them, and "NS_lit".
        level: Level.
        start: One start of the level, or None for all.

    Raises:
        UserError: An unknown objective; NS_lit, whose weights are the law of θ^nat from one start, over several.
    """
    with_twin = any(name != NS_LIT and "NS" in read_objective(name) for name in objectives)
    layers = list_village(config, twin=with_twin, level=level, start=start)
    return VillageSolution(tuple(objectives), layers, optimise(layers, objectives))


def best_to_depth(layers: Layers, objective: str, *, depth: int | None) -> Flags:
    """Action sets bool[S, A] of the planner for an objective that sees so many steps, all where None.

    One objective for each step at which pay may stop, so that one backward pass serves all layers.

    Raises:
        UserError: A depth below 1, or as `weights_of`.
    """
    depth = layers.num_steps if depth is None else depth
    require_integer("planning depth", depth, low=1, high=10_000)
    stops = [min(t + depth, layers.num_steps) for t in range(layers.num_steps)]
    distinct = sorted(set(stops))
    counted = np.less.outer(np.arange(layers.num_steps), distinct)
    weights, discount = weights_of(layers, [objective])[:, 0], discounts_of(layers, [objective])
    found = back_up(layers, counted[:, :, None] * weights[:, None], discounts=discount).optimal
    best = np.zeros(found.shape[:2], np.bool_)
    for t, stop in enumerate(stops):
        best[layers.layer(t)] = found[layers.layer(t), :, distinct.index(stop)]
    return best
