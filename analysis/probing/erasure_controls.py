"""Planted data on which the outcome of erasing is known; computed once for each version of the code.

- positive: a concept that stands in one coordinate and that V reads
- null: no concept, the same V
- outliers: counterexample C, equal means that a threshold tells apart
- copy: a swap that succeeds along a direction that V does not read
"""

from __future__ import annotations

import sys

import numpy as np

from agents.seeding import numpy_generator
from analysis.instruments import (
    cde,
    concept_input,
    erasers,
    erasure,
    erasure_cost,
    erasure_data,
    leace,
    readout,
    robust_probes,
    stumps,
    toy,
)
from analysis.instruments.erasure import ErasureReport
from analysis.probing.controls import Outcome, cached_control, code_version
from analysis.probing.instrument import Row

MODULES = (cde, concept_input, erasers, erasure, erasure_cost, erasure_data, leace, readout, robust_probes, stumps, toy)
NUM_ROWS = 4000


def control_rows() -> list[Row]:
    """One row for each control."""
    version = code_version(*MODULES, sys.modules[__name__])
    planted = {"positive": _positive, "null": _null, "outliers": _outliers, "copy": _copy}
    return [
        {"network": "planted", "site": name, "eraser": "class means" if name == "copy" else "LEACE",
         **cached_control(f"erasure/{name}", version, compute)}
        for name, compute in planted.items()
    ]  # fmt: skip


def _positive() -> Outcome:
    return _leace(toy.shifted_normals(NUM_ROWS, num_features=16, shifts=[2.0], stream=_stream("positive")))


def _null() -> Outcome:
    # In many dimensions, as what chance puts between the means may lie along what V reads.
    return _leace(toy.shifted_normals(NUM_ROWS, num_features=64, stream=_stream("null")))


def _outliers() -> Outcome:
    return _leace(toy.two_point_in_noise(NUM_ROWS, num_features=16, stream=_stream("outliers")))


def _copy() -> Outcome:
    data = toy.concept_pairs(NUM_ROWS, copy_scale=3.0, stream=_stream("copy"))
    rows, labels = np.concatenate([data.before, data.after]), np.concatenate([data.labels, 1 - data.labels])
    found = readout.split_effect(
        erasers.mean_projection(rows, labels).read,
        readout.space_read(data.before, toy.concept_value),
        before=data.before,
        after=data.after,
        value_of=toy.concept_value,
    )
    return {"patch": found.patch, "in the space read": found.fraction_read}


def _leace(data: toy.Labelled) -> Outcome:
    """LEACE of the labels, with a V that reads coordinates 0 and 5."""
    split = erasure_data.split_activations(data.features, data.labels, np.arange(NUM_ROWS) // 10, seed=0)
    report = erasure.judge(
        split, {"LEACE": leace.fit_leace(*split.part(split.fit))}, seed=0, value_of=lambda h: h[:, 0] + 0.5 * h[:, 5]
    )
    return outcome_of(report)


def outcome_of(report: ErasureReport) -> dict[str, float]:
    """The numbers of a report's only erasure, as in the rows of an agent."""
    (one,) = report.erasures
    return {
        "before": max(report.before.values()), **one.accuracies, "gain": one.linear_gain, "change": one.cost.change,
        "dV": one.cost.value_change or 0.0, "dV random": one.random_cost.value_change or 0.0,
    }  # fmt: skip


def _stream(name: str) -> np.random.Generator:
    return numpy_generator(0, "erasure", "control", name)
