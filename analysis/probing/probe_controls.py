"""The planted controls of linear probes: a concept, a lookup table of states, and noise, under every split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agents.seeding import numpy_generator
from analysis.instruments import control_task, held_out, probe_plants, probe_splits, probes
from analysis.instruments.probe_splits import probe_by_split
from analysis.instruments.probes import ProbeSettings
from analysis.probing.controls import Outcome, cached_control, code_version

MODULES = (control_task, held_out, probe_plants, probe_splits, probes)


def planted_probes() -> Mapping[str, Outcome]:
    """Accuracy by split of each of `probe_plants.FEATURES`, kept until the probes' code changes."""
    return {name: _planted(name) for name in probe_plants.FEATURES}


def plants_sentence(plants: Mapping[str, Outcome]) -> str:
    """All of them in one sentence."""
    parts = [
        f"{name} {', '.join(f'{score:.2f} on new {split}s' for split, score in plant.items())}"
        for name, plant in plants.items()
    ]
    return f"Planted for two classes: {'; '.join(parts)}."


def _planted(name: str) -> Outcome:
    def compute() -> Outcome:
        rows = probe_plants.plant(name, stream=numpy_generator(0, "probe plant", name))
        quick = ProbeSettings(num_folds=3, penalties=(1.0,), num_resamples=100, states_per_dimension=0.0)
        found = probe_by_split(
            rows.features, rows.labels, rows.splits, seed=0, states=rows.splits["state"], settings=quick
        )
        return {one.split: np.nan if one.result is None else one.result.accuracy for one in found}

    return cached_control(f"probes/{name}", code_version(*MODULES), compute)
