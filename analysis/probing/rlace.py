"""RLACE on an agent: does a second run with another seed erase the same subspace? Slow, so it runs only where named.

Layer 0 is read in its leading principal components, as each step decomposes a matrix of the size of the layer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agents.seeding import derive_seed, numpy_generator
from analysis.instruments import concept_input, erasers, rlace, toy
from analysis.instruments.erasers import mean_projection
from analysis.instruments.erasure import ErasureReport, judge
from analysis.instruments.erasure_data import Activations, split_activations
from analysis.probing.activity import INTERFACE, OBSERVATION
from analysis.probing.controls import Outcome, cached_control, code_version
from analysis.probing.erasure_sites import require_states
from analysis.probing.erasure_words import named
from analysis.probing.instrument import Finding, Instrument, Row, Settings
from analysis.probing.material import Material, Sample

NUM_RUNS = 2
NUM_COMPONENTS = 64
BUDGET = rlace.RlaceSettings()


def measure(material: Material, settings: Settings) -> Finding:
    """Runs RLACE twice at the interface, trained and before training, and on layer 0.

    Raises:
        NotApplicable: There are no two contexts.
        UserError: The data do not suffice.
    """
    material.require_contexts()
    sample = material.visited if material.reachable is None else material.reachable
    sample = sample.first(settings.num_rows)
    layers: dict[tuple[str, str], NDArray[np.floating]] = {
        ("trained", INTERFACE): sample.trained.site(INTERFACE),
        ("untrained", INTERFACE): sample.untrained.site(INTERFACE),
        ("raw", OBSERVATION): _leading(sample.trained.site(OBSERVATION)),
    }
    rows: list[Row] = []
    numbers: dict[str, float] = {}
    for (network, site), units in layers.items():
        states = sample.states
        require_states(units, states, settings)
        data = split_activations(units, states.contexts, states.groups, seed=settings.seed)
        report, agreement, of_means = _runs(data, sample if network == "trained" else None, seed=settings.seed)
        for one in report.erasures:
            rows.append(
                {"network": network, "site": site, "eraser": one.name, "dimensions": one.num_dimensions,
                 **one.accuracies, "gain": one.linear_gain, "change": one.cost.change, "dV": one.cost.value_change,
                 "dV random": one.random_cost.value_change, "agreement": agreement, "with class means": of_means}
            )  # fmt: skip
        if network == "trained":
            best = named(report, "RLACE, run 0").accuracies.values()
            numbers = {
                "agreement of two RLACE runs": agreement,
                "best probe after RLACE, above chance": max(best) - report.chance,
            }
    controls = _controls()
    return Finding(rows=[*rows, *controls], numbers=numbers, found=_sentences(rows, controls))


def _leading(units: NDArray[np.float32]) -> NDArray[np.float64]:
    """The leading principal components of a layer, [n, at most NUM_COMPONENTS]."""
    centred = units.astype(np.float64) - units.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = vectors[:, values > 1e-9 * values[-1]][:, -NUM_COMPONENTS:]
    return np.asarray(centred @ kept)


def _runs(data: Activations, sample: Sample | None, *, seed: int) -> tuple[ErasureReport, float, float]:
    """Reports of each run and of mean projection, and the smallest cosines between runs, and with the class means."""
    rows, labels = data.part(data.fit)
    found = [
        rlace.rlace(
            rows, labels, held_out=data.part(data.train), num_dimensions=data.num_classes - 1,
            seed=derive_seed(seed, "rlace", run), settings=BUDGET,
        ).eraser
        for run in range(NUM_RUNS)
    ]  # fmt: skip
    means = mean_projection(rows, labels)
    value_of = None
    if sample is not None:
        tested = sample.trained.take(data.test)

        def value_of(units: NDArray[np.float64]) -> NDArray[np.float64]:
            return tested.value_of(INTERFACE, units)

    erasures = {**{f"RLACE, run {run}": one for run, one in enumerate(found)}, "mean projection": means}
    report = judge(data, erasures, seed=seed, value_of=value_of)
    return report, _agreement(found[0].read, found[1].read), _agreement(found[0].read, means.read)


def _agreement(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Smallest cosine of the principal angles between two subspaces given by orthonormal rows."""
    return float(np.linalg.svd(first @ second.T, compute_uv=False).min())


def _controls() -> list[Row]:
    """A concept in three coordinates, on which runs agree with each other and with the class means; and none."""
    version = code_version(rlace, toy, erasers, concept_input, sys.modules[__name__])
    return [
        {"network": "planted", "site": name, "eraser": "RLACE",
         **cached_control(f"rlace/{name}", version, partial(_planted, shifts))}
        for name, shifts in (("positive", (1.5, 0.8, 0.4)), ("null", ()))
    ]  # fmt: skip


def _planted(shifts: Sequence[float]) -> Outcome:
    data = toy.shifted_normals(4000, num_features=16, shifts=shifts, stream=numpy_generator(0, "rlace", "control"))
    split = split_activations(data.features, data.labels, np.arange(4000) // 10, seed=0)
    report, agreement, of_means = _runs(split, None, seed=0)
    return {"linear": report.erasures[0].accuracies["linear"], "agreement": agreement, "with class means": of_means}


def _sentences(rows: list[Row], controls: list[Row]) -> list[str]:
    own, twin, raw = (next(row for row in rows if row["network"] == name) for name in ("trained", "untrained", "raw"))
    positive, null = controls
    return [
        f"Two RLACE runs at {own['site']} agree to a cosine of {own['agreement']:.2f} ({twin['agreement']:.2f} before "
        f"training, {raw['agreement']:.2f} on the observation; planted concept {positive['agreement']:.2f}, none "
        f"{null['agreement']:.2f}), and with the class means to {own['with class means']:.2f}.",
        f"After the first run a linear probe reads the context at {own['linear']:.2f} on fresh rows, the ramp probe at "
        f"{own['ramp']:.2f}; V moves by {own['dV']:.2f} sd (random subspaces {own['dV random']:.2f}).",
    ]


INSTRUMENT = Instrument(
    name="rlace",
    question="Does erasing by descent against ascent find one subspace twice, and another than that of class means?",
    does_not_show=(
        "That two runs agree does not show that V uses what they erase, nor that they differ that there is no such "
        "subspace: on finite data RLACE promises neither to converge nor to erase."
    ),
    measure=measure,
    seconds=60.0,
    is_slow=True,
)
