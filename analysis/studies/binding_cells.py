"""T13-history as the comparison runs it: whether V's units answer to the cue and the object of one history.

Shapes: L layouts, K cues and objects, U units.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.agent import AlphaAgent, restart_value
from agents.seeding import numpy_generator
from analysis import admission
from analysis.arms import LABELLED
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions import event_binding
from analysis.predictions.crossed_states import crossed_rows
from analysis.predictions.parts import Floats, Ints, find_parts
from analysis.studies.held_out_units import cluster_seed, unit_contributions
from analysis.studies.line_test import LineTest
from analysis.studies.yoked import fitted_agent, world_of_run

BIND = "comparison.binding"
NUM_LAYOUTS = 40
PLANTS = ("HISTORY", "CHANCE")
"""Planted units: each answers to a cue and to the object of that cue's history, or to a cue and an object at random."""
PLANTED_UNITS = 4000


@cell_function(BIND, version=2, seconds=1.0)
def bind(context: CellContext) -> list[Row]:
    """Whether units answer to the cue and the object of one history; the untrained network, and clusters of units."""
    config = context.config
    trained = world_of_run(config)
    pairing, world = np.array(trained.config.pairing, dtype=np.int64), trained.in_layout("crossed")
    if config["arm"] in PLANTS:
        units = planted_units(config, pairing)
        activity = event_binding.profile(units, np.arange(units.shape[-1]), units.shape[-1])
        return [{"kind": "score", "score": event_binding.binding(activity, pairing)}]
    rows = crossed_rows(world, num_layouts=NUM_LAYOUTS)
    agent = fitted_agent(context)
    seed = cluster_seed(config["seed"])

    def bound(subject: AlphaAgent, *, clustered: bool = False) -> float:
        units = unit_contributions(subject, world, rows.reshape(-1, rows.shape[-1]))
        columns = find_parts(units, len(pairing), seed=seed) if clustered else np.arange(units.shape[1])
        activity = event_binding.profile(units.reshape(*rows.shape[:3], -1), columns, int(columns.max()) + 1)
        return event_binding.binding(activity, pairing)

    return [{
        "kind": "score", "score": bound(agent), "untrained": bound(restart_value(agent)),
        "clusters": bound(agent, clustered=True),
    }]  # fmt: skip


def planted_units(config: Mapping[str, Any], pairing: Ints) -> Floats:
    """Contributions float[L, K, K, U] of planted units, with noise of a tenth of what they say."""
    rng = numpy_generator(config["seed"], "comparison", "planted units", config["arm"])
    cue = rng.integers(len(pairing), size=PLANTED_UNITS)
    answers = pairing[cue] if config["arm"] == "HISTORY" else rng.integers(len(pairing), size=PLANTED_UNITS)
    every = np.arange(len(pairing))
    said = np.equal.outer(every, cue)[:, None, :] + 1.0 * np.equal.outer(every, answers)[None, :, :]
    loud = rng.uniform(0.5, 2.0, size=PLANTED_UNITS) * rng.choice([-1.0, 1.0], size=PLANTED_UNITS)
    return np.asarray(said * loud + 0.1 * rng.normal(size=(NUM_LAYOUTS, *said.shape)))


def planted_fault(lines: Mapping[str, Mapping[int, float]]) -> str | None:
    """Why the test may not be read: planted units that do not come out."""
    return admission.planted_fault(lines, *PLANTS, margin=event_binding.PREDICTION.margin)


TEST = LineTest(
    prediction=event_binding.PREDICTION,
    cell=BIND,
    worlds=("CrossedHistory",),
    title="T13: where histories were assigned at random, do units follow the assignment?",
    axis="binding of cue and object of one history (0: as any other pairing)",
    plants=PLANTS,
    fault=planted_fault,
    encoders=True,
    by_construction=("POS", *LABELLED),
    shown=("untrained", "clusters"),
)
