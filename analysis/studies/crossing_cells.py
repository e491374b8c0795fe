"""The CrossedHistory test as the comparison runs it: the interaction of one fitted V, and its values by pairing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from agents.exact import value_table
from analysis import admission
from analysis.arms import LABELLED
from analysis.cells import CellContext, Row, cell_function
from analysis.predictions.crossed_history import (
    DOSE_PREDICTION,
    MARGIN_AGAINST_ZERO,
    PREDICTION,
    Crossing,
    crossing,
    matched_mask,
)
from analysis.predictions.crossed_states import crossed_rows, object_distances
from analysis.predictions.parts import Floats, Ints
from analysis.predictions.predictors import proximity
from analysis.studies.crossed_plants import PLANTS, planted_value
from analysis.studies.line_test import LineTest
from analysis.studies.yoked import fitted_agent, world_of_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CROSS = "comparison.crossed_history"
NUM_LAYOUTS = 40
PANELS = ("MONO", "MOE", "ROUTE", "ROUTE-RAND")


@cell_function(CROSS, version=2, seconds=0.6)
def cross(context: CellContext) -> list[Row]:
    """Score one fitted V, or a planted one, on held-out layouts under every pairing."""
    world = world_of_run(context.config)
    rows = crossed_rows(world.in_layout("crossed"), num_layouts=NUM_LAYOUTS)
    flat = rows.reshape(-1, rows.shape[-1])
    if context.config["arm"] in PLANTS:
        values = planted_value(context.config, "crossing")(flat).reshape(rows.shape[:3])
    else:
        values = value_table(fitted_agent(context), world, flat).reshape(rows.shape[:3])
    optimum = proximity(object_distances(flat), world.discount).max(axis=1).reshape(rows.shape[:3])
    pairing = np.array(world.config.pairing, dtype=np.int64)
    found = crossing(values, optimum, pairing)
    score = {"kind": "score", "score": found.interaction, **_readings(found)}
    return [score, *value_lines(values, optimum, pairing)]


def _readings(found: Crossing) -> Row:
    return {
        "slope_matched": found.slope_matched, "slope_mismatched": found.slope_mismatched,
        "error_matched": found.error_matched, "slope gap": found.slope_matched - found.slope_mismatched,
    }  # fmt: skip


def planted_fault(lines: Mapping[str, Mapping[int, float]]) -> str | None:
    """Why the test may not be read: V* is not 0 to it, or an agent of the shard law no more than V*."""
    return admission.planted_fault(lines, "SHARD-LAW", "OPTIMUM", margin=MARGIN_AGAINST_ZERO)


def value_lines(values: Floats, optimum: Floats, pairing: Ints) -> list[Row]:
    """Mean V at each level of V*, for trained and never-trained pairings."""
    matched = np.broadcast_to(matched_mask(pairing), values.shape)
    masks = {"matched": matched, "mismatched": ~matched}
    return [
        {"kind": "value", "pairing": name, "optimum": level, "value": float(values[mask & (optimum == level)].mean())}
        for name, mask in masks.items()
        for level in np.unique(optimum).tolist()
    ]


def draw(rows: Mapping[str, Sequence[Row]]) -> dict[str, Figure]:
    """V against V* for trained and never-trained pairings, one panel an arm."""
    from analysis.plots import value_scatter

    panels = {line: _panel(rows[line]) for line in PANELS if rows.get(line)}
    title = "V against V* on trained (matched) and never-trained (mismatched) pairings"
    return {"values.png": value_scatter(panels, title=title)} if panels else {}


def _panel(rows: Sequence[Row]) -> dict[str, tuple[Floats, Floats]]:
    chosen = {name: [r for r in rows if r.get("pairing") == name] for name in ("matched", "mismatched")}
    return {
        name: (np.array([row["optimum"] for row in found]), np.array([row["value"] for row in found]))
        for name, found in chosen.items()
    }


TEST = LineTest(
    prediction=PREDICTION,
    cell=CROSS,
    worlds=("CrossedHistory",),
    title="CrossedHistory: is V lower on pairings that it never trained?",
    axis="V(matched) - V(mismatched), in sd(V*)",
    plants=tuple(PLANTS),
    fault=planted_fault,
    encoders=True,
    against_zero=MARGIN_AGAINST_ZERO,
    contrasts=True,
    by_construction=LABELLED,
    shown=("slope_matched", "slope_mismatched", "slope gap"),
    draw=draw,
)

DOSE_TEST = LineTest(
    prediction=DOSE_PREDICTION,
    cell=CROSS,
    worlds=("CrossedHistory@dose10", "CrossedHistory@dose25", "CrossedHistory@dose50"),
    title="CrossedHistory: what is left where training breaks its pairing?",
    axis="V(matched) - V(mismatched), in sd(V*)",
    plants=tuple(PLANTS),
    fault=planted_fault,
    by_construction=LABELLED,
    shown=("slope_matched", "slope_mismatched", "slope gap"),
)
