"""Held-out states on which a fitted V is compared with the exact V^pi of the policy that was recorded.

Shapes: N states, S row size.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from agents.agent import AlphaAgent
from agents.exact import policy_table
from analysis.studies.yoked import Setup
from envs.rows import Levels, World
from envs.tabular import enumerate_world, occupancy, policy_evaluation


@dataclasses.dataclass(frozen=True)
class CheckedStates:
    """Held-out states: rows int16[N, S], exact V^pi of the recorded policy and its visits per episode, float64[N]."""

    rows: Any
    exact: Any
    visits: Any


def checked_states(player: AlphaAgent, world: World, setup: Setup) -> CheckedStates:
    """All states of some held-out levels, with V^pi of the recorded mixture solved exactly."""
    levels = Levels(world.levels("test").first, min(setup.num_checked_levels, world.num_levels))
    mdp = enumerate_world(world, levels)
    policy = policy_table(player, world, mdp.rows, uniform_share=setup.uniform_share)
    return CheckedStates(mdp.rows, policy_evaluation(mdp, policy), occupancy(mdp, policy, horizon=world.time_limit))
