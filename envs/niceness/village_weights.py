"""What each objective pays for each component of the village, step by step, and how far ahead it looks.

NS_lit weighs tastes by their law under nature; Myopic is RT at discount 0, so that each step is judged alone.

Shape key: T steps, J objectives, C components.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.errors import UserError
from envs.layers import LayeredSolution, Layers, back_up
from envs.niceness.payments import MYOPIC
from envs.niceness.village import component_names, objective_weights
from envs.niceness.village_layers import inert_policy, play_from, theta_law
from envs.states import Floats

NS_LIT = "NS_lit"


def weights_of(layers: Layers, objectives: Sequence[str]) -> Floats:
    """Weights float64[T, J, C].

    Args:
        layers: Of a village; its own objective is not read.
        objectives: Names or mixtures as the config takes them, and "NS_lit".

    Raises:
        UserError: An unknown objective; NS_lit, whose weights are the law of θ^nat from one start, over several.
    """
    weights = np.zeros((layers.num_steps, len(objectives), len(layers.world.component_names)))
    for j, name in enumerate(objectives):
        weights[:, j] = _natural(layers) if name == NS_LIT else objective_weights(layers.world.config, name)
    return weights


def discounts_of(layers: Layers, objectives: Sequence[str]) -> Floats:
    """γ float64[J] of objectives: 0 for Myopic, the world's own for every other one."""
    return np.array([0.0 if name == MYOPIC else layers.world.discount for name in objectives])


def optimise(layers: Layers, objectives: Sequence[str]) -> LayeredSolution:
    """Optimal values and action sets of objectives; arguments and errors are those of `weights_of`."""
    return back_up(layers, weights_of(layers, objectives), discounts=discounts_of(layers, objectives))


def ranks(objective: str) -> bool:
    """Whether plans as a whole have a value under an objective: not under Myopic, which is a rule."""
    return objective != MYOPIC


def require_maximum(objective: str) -> None:
    """Refuse an objective that does not rank plans (UserError)."""
    if not ranks(objective):
        raise UserError(
            f"{objective} is a rule and maximises nothing over an episode, so that there is nothing to compare plans "
            "by; name another objective."
        )


def _natural(layers: Layers) -> Floats:
    """Weights float64[T, C] of NS_lit: every evaluator j of person i counts P_noop(θ_t of i = j)."""
    if len(layers.start_state) > 1:
        raise UserError(
            f"NS_lit weighs tastes by their law from one start, but there are {len(layers.start_state)}; name one, "
            "such as start_theta=A."
        )
    law = theta_law(layers, play_from(layers, inert_policy, 0))
    names = component_names(layers.world.config)
    weights = np.zeros((layers.num_steps, len(names)))
    judges = [c for c, name in enumerate(names) if name.startswith("PR-")]
    weights[:, judges] = law[:-1].reshape(layers.num_steps, -1)
    return weights
