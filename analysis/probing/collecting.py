"""Collects the material of one trained agent: plays, runs the networks, and enumerates the world where that can be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.agent import AlphaAgent
from agents.environments import require_env, world_of
from agents.recorder import record_episodes
from agents.seeding import derive_seed, numpy_generator
from analysis.probing.activity import activity_of, untrained_twin, values_along
from analysis.probing.material import Material, Pairs, Sample
from analysis.probing.states import ContextOf, States, enumerated_states, visited_states
from analysis.probing.tables import (
    ContextTable,
    Exact,
    Floats,
    context_table,
    exact_values,
    optimal_values,
    reachable_states,
)
from envs.errors import UserError
from envs.rows import World

Progress = Callable[[float, str], None]
NO_KERNEL = "This environment has no kernel from which V* and minimal pairs could be had."
MEMORY = "V has a memory, so what it holds at a state drawn by itself says nothing of what it holds on the way there."


@dataclass(frozen=True)
class Collection:
    """How much is collected.

    Attributes:
        num_episodes: Held-out episodes of D.
        max_rows: Most rows of each `Sample`.
        num_levels: Held-out levels whose states are enumerated.
        max_states: Worlds with more states than this on those levels have no exact values here.
    """

    num_episodes: int = 400
    max_rows: int = 10_000
    num_levels: int = 128
    max_states: int = 200_000


def collect(
    agent: AlphaAgent,
    env_id: str,
    *,
    seed: int,
    collection: Collection | None = None,
    options: Mapping[str, Any] | None = None,
    context_of: ContextOf | None = None,
    progress: Progress | None = None,
) -> Material:
    """Collect the material of an agent.

    Args:
        agent: Any, also one from Stable-Baselines3.
        env_id: Gymnasium id; contexts are those of `info["context"]`, unless `context_of` is given.
        seed: Of episodes and samples.
        collection: `Collection()` where left out.
        options: Of the world, or of `gymnasium.make`.
        context_of: A context of the user's own.
        progress: Told the fraction done and what is being done.

    Raises:
        UserError: An unknown environment, or a context function that does not fit.
    """
    collection, tell = collection or Collection(), progress or (lambda fraction, text: None)
    require_env(env_id)
    agent = agent.eval()
    world = world_of(env_id, options)
    if world is not None and agent.value_discount is not None:
        # V is held against values in its own unit: those at the discount that it learned with.
        options = {**(options or {}), "discount": agent.value_discount}
        world = world_of(env_id, options)
    tell(0.0, "playing held-out episodes")
    episodes = record_episodes(
        agent, env_id, num_episodes=collection.num_episodes, seed=derive_seed(seed, "probe", "episodes"),
        uniform_share=0.0, options=options, split="test",
    )  # fmt: skip
    everywhere = visited_states(episodes, agent, world=world, seed=seed, context_of=context_of)
    tell(0.6, "solving held-out levels")
    twin, missing = untrained_twin(agent), _without_context(everywhere, context_of)
    exact = _exact(world, collection, missing)
    table = _table(exact, context_of, missing)
    tell(0.8, "running the networks")
    networks = _Networks(agent, twin)
    return Material(
        title=f"{agent.config.head} trained on {env_id}", env_id=env_id, agent=agent, twin=twin, world=world,
        episodes=episodes, values=values_along(agent, everywhere),
        visited=_visited(networks, everywhere, world=world, collection=collection),
        reachable=_reachable(networks, exact, missing, seed=seed, num_rows=collection.max_rows, context_of=context_of),
        exact=exact, table=table, missing=missing,
        pairs=None if table is None else _pairs(networks, table, seed=seed, num_rows=collection.max_rows),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Networks:
    """The trained agent and its twin."""

    agent: AlphaAgent
    twin: AlphaAgent

    @property
    def has_memory(self) -> bool:
        return bool(self.agent.value_encoder.memory_size or self.agent.policy_encoder.memory_size)

    def on(self, states: States, optimal: Floats) -> Sample:
        """Both networks on states in order of time."""
        return Sample(states, activity_of(self.agent, states), activity_of(self.twin, states), optimal)


def _visited(networks: _Networks, everywhere: States, *, world: World | None, collection: Collection) -> Sample:
    """A random part of what D visited; rows without a context are left out where others have one."""
    num_known = int((everywhere.contexts >= 0).sum())
    chosen = everywhere.order < min(collection.max_rows, num_known or len(everywhere))
    kept = everywhere.take(chosen)
    optimal = optimal_values(world, kept.rows, kept.levels, max_states=collection.max_states)
    if not networks.has_memory:
        return networks.on(kept, optimal)
    # A memory has to go the whole way.
    whole = networks.on(everywhere, np.full(len(everywhere), np.nan)).take(chosen)
    return dataclasses.replace(whole, optimal=optimal)


def _without_context(states: States, context_of: ContextOf | None) -> dict[str, str]:
    """Why there is no context to be read, if that is so."""
    seen = np.unique(states.contexts[states.contexts >= 0])
    if len(seen) >= 2:
        return {}
    whose = "the environment" if context_of is None else "the context function"
    why = "names no context" if not len(seen) else f"showed context {seen[0]} only"
    source = " (info['context'])" if context_of is None else ""
    return {"contexts": f"{whose.capitalize()} {why}{source}, so there is nothing to decode and nothing to swap."}


def _exact(world: World | None, collection: Collection, missing: dict[str, str]) -> Exact | None:
    if world is None:
        missing["exact"] = NO_KERNEL
        return None
    try:
        return exact_values(world, num_levels=collection.num_levels, max_states=collection.max_states)
    except UserError as error:
        missing["exact"] = str(error)
        return None


def _table(exact: Exact | None, context_of: ContextOf | None, missing: dict[str, str]) -> ContextTable | None:
    reason = missing.get("contexts") or missing.get("exact")
    if exact is not None and reason is None:
        try:
            return context_table(exact, context_of)
        except UserError as error:
            reason = str(error)
    missing["table"] = missing["pairs"] = str(reason)
    return None


def _reachable(
    networks: _Networks,
    exact: Exact | None,
    missing: dict[str, str],
    *,
    seed: int,
    num_rows: int,
    context_of: ContextOf | None,
) -> Sample | None:
    if exact is None or networks.has_memory:
        missing["reachable"] = missing.get("exact", MEMORY)
        return None
    sample = networks.on(*reachable_states(exact, num_rows=num_rows, seed=seed, context_of=context_of))
    return sample if "contexts" in missing else sample.with_context()


def _pairs(networks: _Networks, table: ContextTable, *, seed: int, num_rows: int) -> Pairs:
    """A sample of whole situations."""
    num_situations, num_contexts = table.index.shape
    drawn = numpy_generator(seed, "probe", "pairs").permutation(num_situations)[: num_rows // num_contexts]
    rank = np.argsort(drawn)
    chosen = drawn[rank]
    states = enumerated_states(
        table.mdp.rows[table.index[chosen].reshape(-1)], table.world,
        levels=np.repeat(table.groups[chosen], num_contexts),
        order=(rank[:, None] * num_contexts + np.arange(num_contexts)).reshape(-1),
        source="of held-out levels, each situation under all contexts", contexts=np.tile(table.contexts, len(chosen)),
    )  # fmt: skip
    return Pairs(networks.on(states, table.optimal[chosen].reshape(-1)), num_contexts)
