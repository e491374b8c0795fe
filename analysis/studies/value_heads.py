"""Monolith and shards as an axis of the studies on niceness: which heads there are, and what is contrasted.

Where D acts alone, V shapes it as the baseline of its policy gradient or not at all. A study says which.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from agents.config import AgentConfig
from analysis.arms import ARMS
from analysis.statistics import paired_differences
from envs.rows import World

MONOLITH = "MONO"
SHARDS = ("MOE", "ROUTE")
HEADS = (MONOLITH, *SHARDS)
"""Arms of `analysis.arms` that differ in how V is put together and credited."""


def with_head(settings: AgentConfig, world: World, arm: str) -> AgentConfig:
    """The same agent with the V of an arm, as large as its monolith: a part for each event of the world."""
    return dataclasses.replace(
        settings, head=ARMS[arm].head, num_events=len(world.event_names), num_contexts=len(world.context_names),
        component_weights=tuple(world.reward_weights.tolist()), **ARMS[arm].options,
    )  # fmt: skip


def against_monolith(
    what: str, by_head: Mapping[str, Mapping[int, float]]
) -> Iterator[tuple[str, Mapping[int, float]]]:
    """Contrasts of a measure, paired by seed: (name, difference by seed) of each shard head less the monolith.

    Args:
        what: The measure, in words.
        by_head: Arm -> measure by seed; a head with fewer than two seeds in common with the monolith gives nothing.
    """
    for arm in SHARDS:
        apart = paired_differences(by_head.get(arm, {}), by_head.get(MONOLITH, {}))
        if len(apart) > 1:
            yield f"{what}, {arm} − {MONOLITH}", apart
