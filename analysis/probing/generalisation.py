"""Do linear readouts of the context and of V* hold on episodes, levels and states that they were not fitted on?

Shapes: n rows, d features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.instruments.probe_input import drop_constant
from analysis.instruments.probe_splits import probe_by_split
from analysis.instruments.ridge_probe import ridge_probe
from analysis.plots import ProbeBar, probe_bars
from analysis.probing.activity import INTERFACE, OBSERVATION
from analysis.probing.controls import Outcome
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material, NotApplicable, Sample
from analysis.probing.probe_controls import planted_probes, plants_sentence
from envs.errors import UserError

Floats = NDArray[np.float64]
CONTEXT, OPTIMUM = "context", "V*"
COLUMNS = (
    "target", "layer", "network", "held_out", "score", "interval", "auroc", "control", "selectivity", "refusal",
)  # fmt: skip


@dataclass(frozen=True)
class Readout:
    """A readout of one layer under one split.

    Attributes:
        target: "context" (balanced accuracy) or "V*" (explained variance).
        layer: Its name.
        network: "trained" or "untrained"; the observation is that of both.
        held_out: "episode", "level" or "state".
        score: NaN where the readout was refused.
        chance: What a blind readout scores.
        interval: Over the held-out groups.
        auroc: Of the context; NaN for V*.
        control: The same on the control task.
        selectivity: `score` - `control`.
        refusal: Why, "" where it was not.
    """

    target: str
    layer: str
    network: str
    held_out: str
    score: float = np.nan
    chance: float = 0.0
    interval: tuple[float, float] = (np.nan, np.nan)
    auroc: float = np.nan
    control: float = np.nan
    selectivity: float = np.nan
    refusal: str = ""

    @property
    def is_baseline(self) -> bool:
        """Whether it is a null: the untrained network, or layer 0."""
        return self.network == "untrained" or self.layer == "observation"

    @property
    def name(self) -> str:
        """Layer, network and what is held out, for a figure."""
        network = "" if self.layer == "observation" else f", {self.network}"
        return f"{self.layer}{network}, new {self.held_out}s"


def measure(material: Material, settings: Settings) -> Finding:
    """Reads the interface between E and V, before and after training, and the observation, under three splits.

    Raises:
        NotApplicable: Neither two contexts nor V* are known.
        UserError: No readout was possible.
    """
    sample = material.visited.first(settings.num_rows)
    has_contexts, has_optimum = "contexts" not in material.missing, bool(np.isfinite(sample.optimal).all())
    if not has_contexts and not has_optimum:
        raise NotApplicable(f"{material.missing['contexts']} Nor is V* known.")
    readouts: list[Readout] = []
    for layer, network, features in _layers(sample):
        empty = Readout("", layer, network, "")
        readouts += _of_context(features, sample, settings, empty=empty) if has_contexts else []
        readouts += _of_optimum(features, sample, settings, empty=empty) if has_optimum else []
    if all(readout.refusal for readout in readouts):
        raise UserError(readouts[0].refusal)
    plants = planted_probes()
    return Finding(
        rows=[*map(dataclasses.asdict, readouts), *_plant_rows(plants)],
        numbers=_numbers(readouts),
        found=[*_sentences(readouts), plants_sentence(plants)],
        figures=_figures(readouts),
        columns=COLUMNS,
    )


def _layers(sample: Sample) -> list[tuple[str, str, Floats]]:
    """Layer, network and float64[n, d] without the columns that never vary."""
    layers = [
        ("features that V reads", "trained", sample.trained.site(INTERFACE)),
        ("features that V reads", "untrained", sample.untrained.site(INTERFACE)),
        ("observation", "trained", sample.trained.site(OBSERVATION)),
    ]
    return [(layer, network, drop_constant(values)[0]) for layer, network, values in layers]


def _splits(sample: Sample) -> dict[str, NDArray[np.int64]]:
    return {"episode": sample.states.episodes, "level": sample.states.levels, "state": sample.states.ids}


def _of_context(features: Floats, sample: Sample, settings: Settings, *, empty: Readout) -> list[Readout]:
    """The context under each split."""
    states = sample.states
    found = probe_by_split(
        features, states.contexts, _splits(sample), seed=settings.seed, states=states.ids,
        control_types=states.control_types, settings=settings.probe,
    )  # fmt: skip
    readouts = []
    for one in found:
        readout = dataclasses.replace(empty, target=CONTEXT, held_out=one.split, refusal=one.refusal)
        if (r := one.result) is not None:
            readout = dataclasses.replace(
                readout, score=r.accuracy, chance=r.chance, interval=r.interval, auroc=r.auroc,
                control=r.control_accuracy, selectivity=r.selectivity,
            )  # fmt: skip
        readouts.append(readout)
    return readouts


def _of_optimum(features: Floats, sample: Sample, settings: Settings, *, empty: Readout) -> list[Readout]:
    """V* under each split."""
    readouts, states = [], sample.states
    for split, groups in _splits(sample).items():
        readout = dataclasses.replace(empty, target=OPTIMUM, held_out=split)
        try:
            r = ridge_probe(
                features, sample.optimal, groups, seed=settings.seed, states=states.ids,
                control_types=states.control_types, settings=settings.probe,
            )  # fmt: skip
            readout = dataclasses.replace(
                readout, score=r.explained, interval=r.interval, control=r.control_explained, selectivity=r.selectivity
            )
        except UserError as error:
            readout = dataclasses.replace(readout, refusal=str(error))
        readouts.append(readout)
    return readouts


def _numbers(readouts: Sequence[Readout]) -> dict[str, float]:
    """Of the features that the trained V reads, and how much more than before training, by target and split."""
    scores = {(r.target, r.held_out, r.network): r.score for r in readouts if r.layer != "observation"}
    numbers = {}
    for (target, split, network), score in scores.items():
        if network == "trained":
            numbers[f"{target}, new {split}s"] = score
            numbers[f"{target}, new {split}s, gain by training"] = score - scores[target, split, "untrained"]
    return numbers


def _sentences(readouts: Sequence[Readout]) -> list[str]:
    """One sentence for each target and layer."""
    said = []
    for target, unit in ((CONTEXT, "balanced accuracy"), (OPTIMUM, "share of variance explained")):
        parts = []
        for layer, network in dict.fromkeys((r.layer, r.network) for r in readouts):
            own = [r for r in readouts if (r.target, r.layer, r.network) == (target, layer, network) and not r.refusal]
            if own:
                scores = ", ".join(f"{r.score:.2f} on new {r.held_out}s" for r in own)
                control = max(r.control for r in own)
                name = layer if layer == "observation" else f"{layer}, {network}"
                parts.append(f"{name}: {scores} (control task {control:.2f} at most)")
        if parts:
            said.append(
                f"Linear readout of {'the ' if target == CONTEXT else ''}{target} ({unit}). {'; '.join(parts)}."
            )
    return said


def _plant_rows(plants: Mapping[str, Outcome]) -> list[dict[str, object]]:
    return [
        {"target": f"planted {name}", "held_out": split, "score": score}
        for name, plant in plants.items()
        for split, score in plant.items()
    ]


def _figures(readouts: Sequence[Readout]) -> dict[str, Figure]:
    """Bars of each target."""
    figures = {}
    for target, name, label in (
        (CONTEXT, "generalisation_context", "balanced accuracy, held out"),
        (OPTIMUM, "generalisation_optimum", "share of the variance of V* explained, held out"),
    ):
        own = [readout for readout in readouts if readout.target == target and not readout.refusal]
        if own:
            figures[name] = probe_bars(
                [ProbeBar(r.name, r.score, r.interval, r.control, is_baseline=r.is_baseline) for r in own],
                chance=own[0].chance,
                title=f"{target[0].upper()}{target[1:]} read linearly from what was not seen",
                subtitle="line: 95 % bootstrap over held-out groups of this one network, not over training seeds",
                x_label=label,
            )
    return figures


INSTRUMENT = Instrument(
    name="generalisation",
    question="Do linear readouts of the context and of V* hold on episodes, levels and states that they did not see?",
    does_not_show="That a readout holds on new levels does not show that V uses what it reads; and V* follows from the "
    "state, so that any layer that tells states apart explains it to some degree.",
    measure=measure,
    seconds=12.0,
)
