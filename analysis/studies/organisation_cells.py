"""T9 as the comparison runs it: a pupil beside the teacher whose values it was taught, and beside chance.

The pupil has other initial weights than its teacher: with the same ones, being alike would tell of the start. An arm
without teacher stands against its own other seed, which is how far two equal histories come apart.
"""

from __future__ import annotations

from agents.checkpoint import load_agent
from analysis.arms import ARMS
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions.organisation import PREDICTION, distance, match, unlikeness
from analysis.predictions.parts import Floats
from analysis.studies.held_out_units import held_out_states, unit_contributions
from analysis.studies.line_test import LineTest
from analysis.studies.yoked import AGENT, world_of_run

ORGANISE = "comparison.organisation"


@cell_function(ORGANISE, version=1, seconds=1.5)
def organise(context: CellContext) -> list[Row]:
    """Distance of pupil and teacher; beyond it, how far the teacher is from its own sister; how well they match."""
    config, world = context.config, world_of_run(context.config)
    rows, contexts = held_out_states(world, seed=config["seed"])
    fits = {(fit.config["arm"], fit.config["replica"]): fit for fit in context.parents.values()}

    def units(arm: str, replica: int) -> Floats:
        return unit_contributions(load_agent(fits[arm, replica].folder / AGENT)[0], world, rows)

    arm, teacher_arm = config["arm"], ARMS[config["arm"]].teacher
    teacher, pupil = units(teacher_arm or arm, 0), units(arm, 1)
    apart = distance(pupil, teacher, contexts)
    excess = None if teacher_arm is None else apart - distance(units(teacher_arm, 1), teacher, contexts)
    # The bias is no unit's; functions are compared without their means.
    values = [array.sum(axis=1) - array.sum(axis=1).mean() for array in (pupil, teacher)]
    return [{
        "kind": "score", "score": apart, "beyond_two_seeds": excess, "match": match(*values),
        "unlikeness": unlikeness(pupil, teacher),
    }]  # fmt: skip


TEST = LineTest(
    prediction=PREDICTION,
    cell=ORGANISE,
    worlds=("MultiNeed",),
    title="T9: is a V that was taught another's values organised unlike it?",
    axis="distance of organisations (W1 of the units' selectivities)",
    parents=("sister", "teacher", "teacher's sister"),
    arms=("MONO", "MOE", "ROUTE", "POS", "DISTILL", "DISTILL-NOISY", "DISTILL-POS", "DISTILL-POS-NOISY"),
    needs=("MONO", "DISTILL", "DISTILL-NOISY", "DISTILL-POS", "DISTILL-POS-NOISY"),
    admission=True,
    pair=("DISTILL-POS", "MONO"),
    shown=("beyond_two_seeds", "match", "unlikeness"),
)
