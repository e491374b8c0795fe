"""The measures of a probe report: layers, minimal pairs and outcomes.

Shapes: n rows, S states, M situations, C contexts, A actions, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.agent import AlphaAgent
from agents.exact import policy_table, value_table
from agents.returns import returns_to_go
from agents.seeding import numpy_generator
from analysis.instruments.context import context_anova, swap_effect
from analysis.instruments.minimal_pairs import context_cells, match_contexts, world_with_pairs
from analysis.instruments.probe_input import drop_constant
from analysis.instruments.probes import ProbeSettings, linear_probe
from analysis.probe_report import ContextSwap, LayerProbe, OutcomeFit
from analysis.probe_states import (
    ProbedStates,
    layer_features,
    levels_of_states,
    raw_features,
    values_along,
)
from envs.episodes import Episodes
from envs.errors import UserError
from envs.rows import Levels, World
from envs.tabular import TabularMDP, enumerate_world, occupancy, policy_evaluation, value_iteration

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def layer_probes(
    agent: AlphaAgent,
    twin: AlphaAgent,
    states: ProbedStates,
    *,
    seed: int,
    settings: ProbeSettings,
    num_rows: int,
    is_main: bool = False,
) -> list[LayerProbe]:
    """Probes every layer of an agent, the same layers of its untrained twin, and the raw observation.

    Args:
        agent: Trained.
        twin: The same architecture before training.
        states: Rows without a context are left out.
        seed: Of the rows kept, folds, control labels and resamples.
        settings: Of the probes.
        num_rows: At most so many rows, drawn without repetition.
        is_main: A trained layer that cannot be probed is an error, not a row.

    Raises:
        UserError: `is_main`, and a trained layer cannot be probed.
    """
    known = np.flatnonzero(states.contexts >= 0)
    kept = np.sort(numpy_generator(seed, "probe", "rows").permutation(known)[:num_rows])
    layers = [(name, "trained", features) for name, features in layer_features(agent, states).items()]
    layers += [(name, "untrained", features) for name, features in layer_features(twin, states).items()]
    layers.append(("raw observation", "raw", raw_features(agent, states)))
    return [
        _layer_probe(
            name, kind, features[kept], states=states, kept=kept, seed=seed, settings=settings,
            may_fail=not (is_main and kind == "trained"),
        )
        for name, kind, features in layers
    ]  # fmt: skip


def _layer_probe(
    name: str,
    kind: str,
    features: Floats,
    *,
    states: ProbedStates,
    kept: Ints,
    seed: int,
    settings: ProbeSettings,
    may_fail: bool,
) -> LayerProbe:
    """One layer, or why it cannot be probed."""
    varying, num_constant = drop_constant(features)
    try:
        result = linear_probe(
            varying,
            states.contexts[kept],
            states.groups[kept],
            seed=seed,
            states=states.states[kept],
            control_types=states.control_types[kept],
            settings=settings,
        )
    except UserError as error:
        if not may_fail:
            raise UserError(f"{name}: {error}") from error
        return LayerProbe(name, kind, states.source, num_constant, None, str(error))
    return LayerProbe(name, kind, states.source, num_constant, result)


@dataclass(frozen=True, eq=False)
class ContextTable:
    """All situations of some held-out levels under all contexts.

    Attributes:
        world: In the layout in which every situation occurs under every context.
        mdp: Enumerated.
        index: int64[M, C], states.
        optimal: float64[M, C], V*.
        groups: int64[M], the situation's level under the first context.
        context_names: C names.
    """

    world: World
    mdp: TabularMDP
    index: Ints
    optimal: Floats
    groups: Ints
    context_names: tuple[str, ...]

    def values_of(self, agent: AlphaAgent) -> Floats:
        """The agent's V, float64[M, C]; one with a memory reads each state as the first of an episode."""
        rows = self.mdp.rows[self.index.reshape(-1)]
        return value_table(agent, self.world, rows, as_first=True).reshape(self.index.shape)


def context_table(world: World, *, num_levels: int, max_states: int) -> ContextTable:
    """Enumerates held-out levels, solves them and matches the contexts.

    Raises:
        UserError: Too many states or outcomes, or no situation that occurs under all contexts.
    """
    world = world_with_pairs(world)
    block = world.levels("test")
    mdp = enumerate_world(world, Levels(block.first, min(num_levels, block.count)), max_states=max_states)
    contexts = world.context_of(mdp.rows)
    index, names = match_contexts(mdp.rows, contexts, cells=context_cells(mdp.rows, contexts))
    return ContextTable(
        world=world,
        mdp=mdp,
        index=index,
        optimal=value_iteration(mdp).values[index],
        groups=levels_of_states(mdp, num_starts=world.num_starts)[index[:, 0]],
        context_names=tuple(world.context_names[name] for name in names),
    )


def swaps_of(
    values: dict[str, Floats], table: ContextTable, *, visits: Floats | None, seed: int
) -> tuple[ContextSwap, ...]:
    """Swap effects and shares of each value function, uniformly and under D's visits where they are known.

    Where V* depends on the context, two planted controls stand beside them: V* itself (slope 1), and V* averaged over
    contexts (slope 0).
    """
    functions = dict(values)
    if np.ptp(table.optimal, axis=1).max() > 1e-9:
        blind = np.repeat(table.optimal.mean(axis=1, keepdims=True), table.optimal.shape[1], axis=1)
        functions |= {"V* itself (planted positive)": table.optimal, "V* without its context (planted null)": blind}
    weightings = {"all states alike": None} | ({} if visits is None else {"visits of D": visits})
    return tuple(
        ContextSwap(
            function=name,
            weighting=weighting,
            effect=swap_effect(own, table.optimal, seed=seed, weights=weights, groups=table.groups),
            anova=context_anova(own, weights=weights),
            anova_optimal=context_anova(table.optimal, weights=weights),
        )
        for weighting, weights in weightings.items()
        for name, own in functions.items()
    )


def exact_policy(table: ContextTable, agent: AlphaAgent) -> tuple[Floats, Floats]:
    """D (sampled) as it is on every state of the table; for agents whose D has no memory.

    Returns:
        Its exact value of each situation under each context, float64[M, C], which is what V is trained to be (but for
        the uniform share of actions in its data); and its expected visits of each situation, averaged over contexts,
        float64[M].
    """
    probs = policy_table(agent, table.world, table.mdp.rows)
    visits = occupancy(table.mdp, probs, horizon=table.world.time_limit)
    return policy_evaluation(table.mdp, probs)[table.index], np.asarray(visits[table.index].mean(axis=1))


def outcome_fit(agent: AlphaAgent, episodes: Episodes, states: ProbedStates) -> OutcomeFit:
    """Holds V against what followed, on the episodes that the world itself ended."""
    following, known = returns_to_go(episodes)
    share = float(episodes.terminated.mean())
    if not known.any():
        return OutcomeFit(0, np.nan, np.nan, np.nan, share)
    outcome, error = following[known], following[known] - values_along(agent, states)[known]
    variance = float(outcome.var())
    explained = 1.0 - float(error.var()) / variance if variance > 1e-18 else np.nan
    return OutcomeFit(len(outcome), explained, float(np.sqrt((error**2).mean())), float(outcome.mean()), share)
