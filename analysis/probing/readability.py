"""Instrument `readability`: how well does a linear readout of each layer tell the context of what it did not see?

Beside the trained layers stand the same layers before training, the raw observation and a control task.

Shapes: n rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.instruments.probe_growth import accuracy_by_groups
from analysis.instruments.probe_input import drop_constant
from analysis.instruments.probes import ProbeResult, linear_probe
from analysis.plots import LearningCurve, ProbeBar, confusion_map, learning_curves, probe_bars
from analysis.probing import readability_words
from analysis.probing.activity import INTERFACE, OBSERVATION, POLICY_INTERFACE, Activity
from analysis.probing.controls import Outcome
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material, Sample
from analysis.probing.probe_controls import planted_probes, plants_sentence
from envs.errors import UserError

COLUMNS = (
    "states", "layer", "kind", "accuracy", "interval", "accuracy_uniform", "control_accuracy", "selectivity",
    "num_features", "num_states", "refusal",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class LayerProbe:
    """One layer's probe.

    Attributes:
        layer: Its name.
        kind: "trained", "untrained" (the same net before training) or "raw" (the observation).
        source: Which states.
        num_constant: Columns left out because they never vary.
        result: None where the probe was refused.
        refusal: Why, "" where it was not.
    """

    layer: str
    kind: str
    source: str
    num_constant: int
    result: ProbeResult | None
    refusal: str = ""

    @property
    def name(self) -> str:
        """Layer and kind as a reader should see them."""
        return self.layer if self.kind == "raw" else f"{self.layer}, {self.kind}"

    def row(self) -> dict[str, object]:
        """Every number."""
        known: dict[str, object] = {"layer": self.layer, "kind": self.kind, "states": self.source}
        known |= {"num_constant": self.num_constant, "refusal": self.refusal}
        return known | (dataclasses.asdict(self.result) if self.result else {})


def value_layers(activity: Activity) -> dict[str, NDArray[np.float64]]:
    """What V∘E holds, float64[n, d] by role, whether or not D reads its E too; V's hidden layer as contributions to V.

    A contribution is output weight x activation x weight of the part. For one part it is the activation up to scale,
    which standardisation removes; where a gate weighs the parts, what the gate says is in it too.
    """
    return {"E of V": activity.site(INTERFACE).astype(np.float64), "V's hidden layer": activity.unit_contributions}


def layers_of(activity: Activity) -> dict[str, NDArray[np.float64]]:
    """What is probed of a network, float64[n, d] by name."""
    of_policy, of_value = activity.site(POLICY_INTERFACE).astype(np.float64), value_layers(activity)
    if np.array_equal(of_policy, of_value["E of V"]):
        return {"E of D and V": of_value.pop("E of V"), **of_value}
    return {"E of D": of_policy, **of_value}


def layer_probes(sample: Sample, settings: Settings, *, is_main: bool) -> list[LayerProbe]:
    """Probes every layer of an agent, the same layers of its untrained twin, and the raw observation.

    Args:
        sample: Rows with a context.
        settings: Of the probes.
        is_main: A trained layer that cannot be probed is an error, not a row.

    Raises:
        UserError: `is_main`, and a trained layer cannot be probed.
    """
    sample = sample.first(settings.num_rows)
    layers = [(name, "trained", features) for name, features in layers_of(sample.trained).items()]
    layers += [(name, "untrained", features) for name, features in layers_of(sample.untrained).items()]
    layers.append(("raw observation", "raw", sample.trained.site(OBSERVATION).astype(np.float64)))
    probes = []
    for name, kind, features in layers:
        probe = _layer_probe(name, kind, features, sample=sample, settings=settings)
        if probe.result is None and is_main and kind == "trained":
            raise UserError(f"{name}: {probe.refusal}")
        probes.append(probe)
    return probes


def _layer_probe(name: str, kind: str, features: NDArray[Any], *, sample: Sample, settings: Settings) -> LayerProbe:
    """One layer, or why it cannot be probed."""
    varying, num_constant = drop_constant(features)
    states = sample.states
    try:
        result = linear_probe(
            varying, states.contexts, states.groups, seed=settings.seed, states=states.ids,
            control_types=states.control_types, settings=settings.probe,
        )  # fmt: skip
    except UserError as error:
        return LayerProbe(name, kind, states.source, num_constant, None, str(error))
    return LayerProbe(name, kind, states.source, num_constant, result)


def layer_figure(probes: Sequence[LayerProbe]) -> Figure | None:
    """Bars of one kind of states; None where every probe was refused."""
    measured = [(probe, probe.result) for probe in probes if probe.result is not None]
    if not measured:
        return None
    bars = [
        ProbeBar(probe.name, r.accuracy, r.interval, r.control_accuracy, is_baseline=probe.kind != "trained")
        for probe, r in measured
    ]
    meaning = "line: 95 % bootstrap over held-out groups of this one network, not over training seeds"
    subtitle = f"states {probes[0].source}\n{meaning}"
    chance = measured[0][1].chance
    return probe_bars(bars, chance=chance, title="Context read linearly from each layer", subtitle=subtitle)


def growth_figure(sample: Sample, settings: Settings) -> Figure | None:
    """Accuracy of each layer by the number of episodes fitted on; None where there are too few of some class."""
    sample = sample.first(settings.num_rows)
    layers = {f"{name}, trained": features for name, features in layers_of(sample.trained).items()}
    hidden, labels, groups = "V's hidden layer", sample.states.contexts, sample.states.groups
    layers |= {f"{hidden}, untrained": layers_of(sample.untrained)[hidden]}
    layers |= {"raw observation": sample.trained.site(OBSERVATION).astype(np.float64)}
    try:
        grown = {
            name: accuracy_by_groups(drop_constant(features)[0], labels, groups, seed=settings.seed)
            for name, features in layers.items()
        }
    except UserError:
        return None
    curves = [
        LearningCurve(name, np.array([*one.keys()], dtype=np.float64), np.array([[*one.values()]]))
        for name, one in grown.items()
    ]
    return learning_curves(
        curves, title="Context read linearly, by the data fitted on", x_label=f"{sample.states.group_name}s fitted on",
        y_label="balanced accuracy on others", references={"chance": 1.0 / len(np.unique(labels))},
    )  # fmt: skip


def confusions_figure(probes: Sequence[LayerProbe], class_names: Sequence[str]) -> Figure | None:
    """What the probe of the trained layer nearest to V's output takes for what."""
    last = [probe for probe in probes if probe.kind == "trained" and probe.result is not None][-1:]
    if not last or last[0].result is None:
        return None
    return confusion_map(
        np.array(last[0].result.confusion), class_names, title=f"Contexts told by a linear readout of {last[0].layer}",
        subtitle=f"states {last[0].source}, of episodes not fitted on",
    )  # fmt: skip


def measure(material: Material, settings: Settings) -> Finding:
    """Probe the layers on visited states and, where the world can be enumerated, on all states alike."""
    material.require_contexts()
    visited = layer_probes(material.visited, settings, is_main=True)
    alike = [] if material.reachable is None else layer_probes(material.reachable, settings, is_main=False)
    drawn = {
        "layers_visited": layer_figure(visited),
        "layers_all": layer_figure(alike) if alike else None,
        "layers_growth": growth_figure(material.visited, settings),
        "layers_confusion": confusions_figure(visited, material.context_names_seen()),
    }
    numbers = _numbers(visited, "visited") | _numbers(alike, "all states")
    plants = planted_probes()
    return Finding(
        rows=[*(probe.row() for probe in (*visited, *alike)), *_plant_rows(plants)],
        numbers=numbers,
        found=[*readability_words.sentences([*visited, *alike]), plants_sentence(plants)],
        figures={name: figure for name, figure in drawn.items() if figure is not None},
        columns=COLUMNS,
    )


def _plant_rows(plants: Mapping[str, Outcome]) -> list[dict[str, object]]:
    return [
        {"layer": name, "kind": "planted", "states": f"new {split}s", "accuracy": accuracy}
        for name, plant in plants.items()
        for split, accuracy in plant.items()
    ]


def _numbers(probes: Sequence[LayerProbe], which: str) -> dict[str, float]:
    """Accuracy of each trained layer, and how much better it is than the same layer before training."""
    numbers = {}
    for probe in probes:
        if probe.kind != "trained" or probe.result is None:
            continue
        twin = readability_words.twin_of(probe, probes)
        for layer in ("E of D", "E of V") if probe.layer == "E of D and V" else (probe.layer,):
            numbers[f"accuracy, {layer} ({which})"] = probe.result.accuracy
            if twin is not None:
                numbers[f"gain by training, {layer} ({which})"] = probe.result.accuracy - twin.accuracy
    return numbers


INSTRUMENT = Instrument(
    name="readability",
    question="Is the context readable from each layer?",
    does_not_show=(
        "A linear readout that works does not show that the network uses what it reads, and one that fails does not "
        "show that nothing is there: a readout that is not linear may still find it."
    ),
    measure=measure,
    seconds=12.0,
)
