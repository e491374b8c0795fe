"""The village in which the agent has power, and what can be had there, solved exactly.

Tastes drift there, and what the agent does to them succeeds with probability κ.
"""

from __future__ import annotations

from typing import Any

from analysis.cells import CellContext, Row, cell_function
from analysis.studies.schooling import ENV_ID, Schooling, common_options
from envs.niceness.assignment import JUDGES
from envs.niceness.village_influence import evaluate_village
from envs.niceness.village_layers import inert_policy
from envs.niceness.village_powers import POWERS
from envs.niceness.village_solution import solve_village
from envs.registry import make_world

EXACT = "niceness.exact"
Judged = dict[str, dict[str, float]]
"""Judge -> "best" and "inert" -> value of an episode."""


def strong_options(schooling: Schooling, power: str, kappa: float) -> dict[str, Any]:
    """The powerful village as an agent of this schooling sees it."""
    return common_options(schooling) | POWERS[power](kappa)


@cell_function(EXACT, version=1, seconds=60.0)
def solve(context: CellContext) -> list[Row]:
    """The most that can be had under each judge, and what doing nothing is worth; coins change neither."""
    config = make_world(ENV_ID, **POWERS[context.config["power"]](context.config["kappa"])).config
    best, inert = solve_village(config, JUDGES), evaluate_village(config, inert_policy).values
    return [
        {"kind": "exact", "judge": judge, "best": best.value(judge), "inert": inert[judge],
         "num_states": best.layers.num_states}
        for judge in JUDGES
    ]  # fmt: skip


def judges(context: CellContext, power: str, kappa: float) -> Judged:
    """What `solve` found with this power."""
    asked = {"power": power, "kappa": kappa}
    (solved,) = (parent for parent in context.parents.values() if parent.config == asked)
    return {row["judge"]: row for row in solved.rows}
