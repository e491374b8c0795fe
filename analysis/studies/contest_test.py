"""T0 as the comparison runs it: its plants, what they must do before it is read, and its figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from analysis import admission
from analysis.arms import LABELLED
from analysis.cells import Row
from analysis.predictions.contest import PREDICTION
from analysis.studies.contest_cells import CONTEST, PREDICT
from analysis.studies.crossed_plants import PLANTS
from analysis.studies.line_test import LineTest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_STACKS = MappingProxyType(
    {
        "a": "a: V*", "b": "b: one utility", "c": "c: shard law, τ = .5", "p": "c, τ = 0", "q": "c, τ = 1",
        "r": "c, τ = ∞", "d": "d: kernel", "e": "e: sister seed", "abd": "a+b+d", "abcd": "a+b+c+d",
        "abde": "a+b+d+e",
    }
)  # fmt: skip


def planted_fault(lines: Mapping[str, Mapping[int, float]]) -> str | None:
    """Why T0 may not be read: a planted agent that does not come out."""
    return admission.planted_fault(lines, "SHARD-LAW", "OPTIMUM", "ANTI-LAW", margin=PREDICTION.margin)


def draw(rows: Mapping[str, Sequence[Row]]) -> dict[str, Figure]:
    """How well each predictor, and each stack of them, foretells a held-out MONO."""
    from analysis.plots import predictor_bars, seed_scores

    if not rows.get("MONO"):
        return {}
    nats = {name: {int(r["seed"]): float(r[f"values nats_{name}"]) for r in rows["MONO"]} for name in SHOWN_STACKS}
    bars = [seed_scores(SHOWN_STACKS[name], per_seed) for name, per_seed in nats.items()]
    figure = predictor_bars(
        bars,
        title="T0: who predicts the V of MONO on never-trained pairings?",
        x_label="held-out log-likelihood (nats per state)",
        baseline=float(np.mean(list(nats["abd"].values()))),
        subtitle="stacked on the other seeds' agents; line: a + b + d",
    )
    return {"T0-predictors.png": figure}


TEST = LineTest(
    prediction=PREDICTION,
    cell=CONTEST,
    worlds=("CrossedHistory",),
    title="T0: does the shard law help to predict V on never-trained pairings?",
    axis="gain of the shard law (nats per held-out state)",
    parents=("log", "fit", "sister"),
    log_cell=PREDICT,
    across_seeds=True,
    plants=tuple(PLANTS),
    fault=planted_fault,
    encoders=True,
    against_zero=PREDICTION.margin,
    by_construction=LABELLED,
    estimates=MappingProxyType(
        {
            "values ceiling": "the ceiling: gain of a sister network's V in the shard law's place",
            "choices gain": "gain of the shard law for the choices of V₁, nats per two-object level",
        }
    ),
    quoted=MappingProxyType({"share of choices made": "share of two-object levels in which V₁ reaches an object"}),
    shown=("choices gain", "values gain_over_sister", "values ceiling", "share of choices made"),
    draw=draw,
)
