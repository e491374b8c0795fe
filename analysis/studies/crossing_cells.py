"""The cell of the CrossedHistory test: the interaction of one fitted V, and its values by pairing for the figure."""

from __future__ import annotations

import numpy as np

from agents.checkpoint import load_agent
from agents.exact import value_table
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions.crossed_history import crossing, matched_mask
from analysis.predictions.crossed_states import crossed_rows, object_distances
from analysis.predictions.parts import Floats, Ints
from analysis.predictions.predictors import proximity
from analysis.studies.yoked import AGENT, FIT, world_of_run

CROSS = "comparison.crossed_history"
NUM_LAYOUTS = 40


@cell_function(CROSS, version=1, seconds=0.6)
def cross(context: CellContext) -> list[Row]:
    """Score one fitted V on held-out layouts under every pairing."""
    world = world_of_run(context.config, layout="crossed")
    agent, _ = load_agent(context.parent(FIT).folder / AGENT)
    rows = crossed_rows(world, num_layouts=NUM_LAYOUTS)
    flat = rows.reshape(-1, rows.shape[-1])
    values = value_table(agent, world, flat).reshape(rows.shape[:3])
    optimum = proximity(object_distances(flat), world.discount).max(axis=1).reshape(rows.shape[:3])
    pairing = np.array(world.config.pairing, dtype=np.int64)
    return [{"kind": "score", **vars(crossing(values, optimum, pairing))}, *value_lines(values, optimum, pairing)]


def value_lines(values: Floats, optimum: Floats, pairing: Ints) -> list[Row]:
    """Mean V at each level of V*, for trained and never-trained pairings."""
    matched = np.broadcast_to(matched_mask(pairing), values.shape)
    masks = {"matched": matched, "mismatched": ~matched}
    return [
        {"kind": "value", "pairing": name, "optimum": level, "value": float(values[mask & (optimum == level)].mean())}
        for name, mask in masks.items()
        for level in np.unique(optimum).tolist()
    ]
