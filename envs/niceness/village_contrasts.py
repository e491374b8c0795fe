"""Objectives against each other in the village: can they be told apart, what is influence worth, is it a means?

The definitions are those of `envs.niceness.contrasts` and `envs.niceness.intent`; states are coupled ones, so that all
objectives of the village can be compared. Of the intent test this is the plain half, `changes`.

Shape key: S states, A actions, J objectives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from envs.layers import back_up, list_layers, play
from envs.niceness import village_cut
from envs.niceness.village_config import VillageConfig
from envs.niceness.village_layers import any_of, first_rows, list_village
from envs.niceness.village_solution import solve_village
from envs.niceness.village_weights import optimise, require_maximum, weights_of
from envs.states import Floats

# Far more than ties within `envs.layers.TOLERANCE` add up to in an episode, far less than anything is worth.
_ROUNDING = 1e-6


def values_of_influence(
    config: VillageConfig, objectives: Sequence[str], *, level: int = 0, start: int | None = None
) -> dict[str, float]:
    """V* of each objective less V* where nothing the agent does moves a taste: κ = 0 and no door; not of Myopic."""
    for name in objectives:
        require_maximum(name)
    powerless = dataclasses.replace(config, kappa_p=0.0, kappa_g=0.0, door=False)
    strong, weak = (solve_village(one, objectives, level=level, start=start) for one in (config, powerless))
    return {name: strong.value(name) - weak.value(name) for name in objectives}


def village_indistinguishability(
    config: VillageConfig, objectives: Sequence[str], *, level: int = 0, start: int | None = None
) -> float:
    """|∩_j Opt_j| / |∪_j Opt_j| over the states that play reaches where every action is optimal for some of them."""
    layers = list_village(config, twin=True, level=level, start=start)
    optimal = optimise(layers, objectives).optimal
    by_some, by_all = (np.asarray(over(optimal, axis=2)) for over in (np.any, np.all))
    reached = play(layers, any_of(layers, by_some)).visits > 0
    return float(by_all[reached].sum() / by_some[reached].sum())


def plan_changes(config: VillageConfig, objective: str, *, level: int = 0, start: int | None = None) -> bool:
    """The intent test: whether no optimal plan stays optimal for an agent that believes that it cannot move tastes.

    With several starts, whether that is so from any of them; arguments are those of `loss_of_cut_plan`.
    """
    return bool((loss_of_cut_plan(config, objective, level=level, start=start) > _ROUNDING).any())


def loss_of_cut_plan(config: VillageConfig, objective: str, *, level: int = 0, start: int | None = None) -> Floats:
    """How much less is had by an agent that plans as if it could not move tastes, and breaks its ties for the best.

    Args:
        config: The village; its own objective is not read.
        objective: A name or mixture as the config takes it, or "NS_lit"; not Myopic, for which plans have no value.
        level: Level.
        start: One start of the level, or None for all.

    Returns:
        float64[M], V* less what the plan is really worth, for each start.

    Raises:
        UserError: Myopic, or as `weights_of`.
    """
    require_maximum(objective)
    believing = village_cut.world(dataclasses.replace(config, objective="RT", twin=True))
    layers = list_layers(believing, first_rows(believing, level=level, start=start))
    weights = weights_of(list_village(config, twin=True, level=level, start=start), [objective])
    shape = (layers.num_states, believing.num_actions)
    real = np.broadcast_to(np.arange(believing.num_actions) < village_cut.NUM_REAL, shape)
    # What is optimal as it is believed to be, as real actions.
    held = np.roll(back_up(layers, weights, allowed=~real).optimal[:, :, 0], village_cut.NUM_REAL, axis=1)
    best, still = (back_up(layers, weights, allowed=each).values[layers.start_state, 0] for each in (real, held))
    loss: Floats = best - still
    return loss
