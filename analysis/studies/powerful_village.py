"""The village in which the agent has power, and what can be had there, solved exactly.

Tastes drift there, and what the agent does to them succeeds with probability κ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from analysis.cells import CellContext, Row, cell_function
from analysis.studies.schooling import ENV_ID, Schooling, common_options
from envs.niceness.assignment import JUDGES
from envs.niceness.village_row import ACTIONS, WAIT
from envs.niceness.village_solution import evaluate_village, solve_village
from envs.registry import make_world
from envs.rows import Rows
from envs.states import Floats

EXACT = "niceness.exact"
Judged = dict[str, dict[str, float]]
"""Judge -> "best" and "inert" -> value of an episode."""


POWERS: Mapping[str, Callable[[float], dict[str, Any]]] = MappingProxyType(
    {
        "all": lambda kappa: {"kappa_p": kappa, "kappa_g": kappa, "door": True},
        "persuade": lambda kappa: {"kappa_p": kappa, "kappa_g": 0.0, "door": False},
        "keep": lambda kappa: {"kappa_p": 0.0, "kappa_g": kappa, "door": True},
    }
)  # fmt: skip
"""What the agent can do: everything, persuade alone, or keep people from changing by guarding and the door."""


def strong_options(schooling: Schooling, power: str, kappa: float) -> dict[str, Any]:
    """The powerful village as an agent of this schooling sees it."""
    return common_options(schooling) | POWERS[power](kappa)


@cell_function(EXACT, version=1, seconds=60.0)
def solve(context: CellContext) -> list[Row]:
    """The most that can be had under each judge, and what doing nothing is worth; coins change neither."""
    config = make_world(ENV_ID, **POWERS[context.config["power"]](context.config["kappa"])).config
    best, inert = solve_village(config, JUDGES), evaluate_village(config, wait).values
    return [
        {"kind": "exact", "judge": judge, "best": best.value(judge), "inert": inert[judge],
         "num_states": best.layers.num_states}
        for judge in JUDGES
    ]  # fmt: skip


def wait(rows: Rows) -> Floats:
    """The policy that does nothing, float64[N, A]."""
    return np.tile(np.eye(len(ACTIONS))[WAIT], (len(rows), 1))


def judges(context: CellContext, power: str, kappa: float) -> Judged:
    """What `solve` found with this power."""
    asked = {"power": power, "kappa": kappa}
    (solved,) = (parent for parent in context.parents.values() if parent.config == asked)
    return {row["judge"]: row for row in solved.rows}
