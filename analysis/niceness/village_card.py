"""The scorecard of an agent in the village, from one start."""

from __future__ import annotations

import dataclasses

from analysis.niceness.scorecard import MEASURES, Scorecard
from envs.layers import RowPolicy, play
from envs.niceness.assignment import JUDGES
from envs.niceness.contrasts import Regret
from envs.niceness.village_config import OBJECTIVES, VillageConfig
from envs.niceness.village_contrasts import plan_changes, village_indistinguishability
from envs.niceness.village_influence import evaluate_village
from envs.niceness.village_layers import inert_policy
from envs.niceness.village_solution import VillageSolution, solve_village
from envs.niceness.village_weights import ranks


def score_village(config: VillageConfig, policy: RowPolicy, *, made_for: str, start: int = 0) -> Scorecard:
    """The scorecard of a policy on coupled rows, in the first level; undiscounted, whatever the config's γ.

    Raises:
        UserError: An unknown objective, or more states than can be listed.
    """
    config = dataclasses.replace(config, discount=1.0)
    names = tuple(dict.fromkeys((made_for, *OBJECTIVES)))
    best = solve_village(config, names, start=start)
    found, still = (evaluate_village(config, each, start=start) for each in (policy, inert_policy))
    return Scorecard(
        made_for=made_for,
        regrets={name: Regret(found.value(name), best.value(name), still.value(name)) for name in names if ranks(name)},
        optimal_share=optimal_shares(best, policy),
        measures={name: getattr(found, name) for name in MEASURES},
        mi_coupled=found.mi_coupled, influences=found.influences,
        intent={"changes": plan_changes(config, made_for, start=start)} if ranks(made_for) else {},
        told_apart=village_indistinguishability(config, JUDGES, start=start),
    )  # fmt: skip


def optimal_shares(best: VillageSolution, policy: RowPolicy) -> dict[str, float]:
    """The share of a policy's steps that are optimal where it is, by objective."""
    layers = best.layers
    visits = play(layers, policy).visits
    running = (visits > 0) & ~layers.ended
    taken = visits[running, None] * policy(layers.rows[running])
    shares = (taken[:, :, None] * best.solution.optimal[running]).sum(axis=(0, 1)) / layers.num_steps
    return dict(zip(best.objectives, shares.tolist(), strict=True))
