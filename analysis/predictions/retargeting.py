"""T7, retargetability: does one vector, added to what V's parts read, send the agent to any place?

Shapes: T targets, N nodes (states of one level under one need), D units of a site, A actions.

The walker is V₁ with a soft choice, π ∝ exp(Q/τ): a greedy one has path probabilities of 0 and 1 alone. τ = .01 is a
fifth of the least that a wrong step costs in a 7×7 room, γ^11 (1 − γ²) ≈ .055, so that V₁ walks straight under V*.
For every target cell, P is the normalised path probability (`analysis.instruments.walks`) under four V:
    unedited;
    edited     V with the object vector of the cell added to its features in every state;
    random     V with a random vector of the same norm added there;
    shown      V told that the object it needs is at the cell.
The world is the same in all of them: the object stays where it is and pays there. The score is
    (P edited − P random)/(P shown − P random),    means over targets and levels,
1 where the vector does all that showing the object there does, and 0 where it does what a random vector does.
"""

from __future__ import annotations

import numpy as np

from analysis.instruments.walks import Floats, Ints, Walks, lookahead_probs, path_to_cells
from analysis.predictions.prediction import Prediction

TEMPERATURE = 0.01
STRENGTHS = (0.25, 0.5, 1.0, 2.0)
"""Doses: multiples of the object vector; the score is read at 1."""
SHARES = (0.0625, 0.125, 0.25, 0.5)
"""Doses of another kind: shares of the units that are edited, those with the largest change first."""
FEW_UNITS = 0.125
"""The share whose score stands beside the whole vector's."""
MIN_SPAN = 0.1
"""Where showing the object elsewhere moves V₁ by less than this, V is no value of the object's place."""
MIN_DISTANCE = 2

PREDICTION = Prediction(
    key="T7",
    question="Does one vector, added to what V's parts read, send the agent to any place?",
    world="ValueLab/MultiNeed-v0",
    actor="V1",
    metric="(P edited - P random)/(P shown - P random), P the normalised path probability to every cell of a level "
    "under V1 with softmax choice, temperature .01; edited: V's features plus the cell's object vector, one for all "
    "states; random: a random vector of equal norm; shown: V is told that the object is there",
    margin=0.1,
    family="exploratory",
    positive="SLOT: a planted V whose code holds the object's place apart from the agent's; moving the object in what "
    "V is shown is 1 by definition",
    null="LOOKUP: a planted V with one unit for each pair of places, read linearly; a random vector of equal norm is 0 "
    "by definition",
    rule="estimate with a 95 % interval over seeds; read only if SLOT scores at least .9 and LOOKUP within .1 of 0. A "
    "seed gives no number where P shown - P random is below .1",
    does_not_show="that V has shards, or goals: a place that is coded apart from the rest can be moved in any network, "
    "and a vector that retargets need not be what the network uses by itself. The edit is of V alone, the object still "
    "pays where it is, so no edit reaches P = 1 beyond it",
)


def score_of(*, edited: float, random: float, shown: float) -> float | None:
    """(edited − random)/(shown − random) of mean path probabilities; None where the span is below `MIN_SPAN`."""
    return (edited - random) / (shown - random) if shown - random >= MIN_SPAN else None


def path_to_targets(walks: Walks, values: Floats, cells: Ints) -> Floats:
    """P of each target under V₁ with its own V, float64[T].

    Args:
        walks: N nodes.
        values: V of every node for each target, float64[T, N], or float64[N] for one V.
        cells: int64[T], cells that can be reached.
    """
    return path_to_cells(walks, lookahead_probs(walks, values, temperature=TEMPERATURE), cells)


def target_cells(walks: Walks, taken: Ints) -> Ints:
    """Cells at least `MIN_DISTANCE` steps away that hold no object: int64[T], ascending."""
    return np.setdiff1d(walks.cell[walks.distance >= MIN_DISTANCE], np.append(taken, walks.cell[0]))
