"""Instrument `training`: what can be read from V, how V uses it, and how its tails fall, at the marks of its training.

Read are the agents that the run kept (`agents.history`), on the states that the finished D visited. The first of them
is V∘E as its training began: the null of every line. The observation, layer 0, is the same at all marks. What D∘E holds
does not change here, unless V shares its E.

Shapes: n rows, T kept agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.agent import AlphaAgent
from agents.history import HISTORY, marks_of, read_history
from analysis.instruments.context import SwapEffect, swap_effect
from analysis.instruments.probe_input import drop_constant
from analysis.instruments.probes import ProbeResult, ProbeSettings, linear_probe
from analysis.instruments.unit_betas import unit_betas
from analysis.probing.activity import OBSERVATION, activity_of
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material, NotApplicable, Sample
from analysis.probing.probe_controls import planted_probes, plants_sentence
from analysis.probing.readability import value_layers
from analysis.probing.training_figures import figures
from analysis.probing.training_words import numbers, sentences
from envs.errors import UserError

PROBE = ProbeSettings(penalties=(1.0,), num_resamples=500)
COLUMNS = (
    "step", "layer", "accuracy", "interval", "selectivity", "slope", "slope_interval", "beta", "beta_quartiles",
    "refusal",
)  # fmt: skip
NO_HISTORY = (
    f"There is no V along its training ({HISTORY}/ is missing or holds one agent alone); `valuelab train` keeps it, "
    "unless told --keep-history false."
)
SHARED = "V reads D's E here, so that what is said of E of V is said of D's too."
MEMORY = "V has a memory, which would have to be run along whole episodes for every agent that was kept."


@dataclass(frozen=True, eq=False)
class LayerBetas:
    """The exponents of the units of one layer that could be read, k of them.

    Attributes:
        units: int64[k], their columns.
        estimates: float64[k].
        intervals: float64[k, 2], bootstrap over episodes.
    """

    units: NDArray[np.int64]
    estimates: NDArray[np.float64]
    intervals: NDArray[np.float64]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile; NaN where there is no unit."""
        low, middle, high = np.quantile(self.estimates, [0.25, 0.5, 0.75]) if len(self.estimates) else (np.nan,) * 3
        return float(low), float(middle), float(high)


@dataclass(frozen=True, eq=False)
class Mark:
    """One layer of V after so many gradient steps.

    Attributes:
        step: Gradient steps of V.
        layer: By its role in V∘E, as `readability.value_layers` names it.
        probe: A linear readout of the context; None where there is none to be read, or it was refused.
        betas: Of its units.
        swap: What a swap of the context does to V against V*; None where it is not known. The same for all layers.
        refusal: Why the probe was refused, "" where it was not.
    """

    step: int
    layer: str
    probe: ProbeResult | None
    betas: LayerBetas
    swap: SwapEffect | None
    refusal: str = ""

    def row(self) -> dict[str, object]:
        """As a row of the report; the last columns are lists with an entry for each unit that could be read."""
        row: dict[str, object] = {"step": self.step, "layer": self.layer, "refusal": self.refusal}
        if self.probe is not None:
            row |= {"accuracy": self.probe.accuracy, "interval": self.probe.interval}
            row |= {"selectivity": self.probe.selectivity, "selectivity_interval": self.probe.selectivity_interval}
            row |= {"chance": self.probe.chance}
        if self.swap is not None:
            row |= {"slope": self.swap.slope, "slope_interval": self.swap.slope_interval}
        low, middle, high = self.betas.quartiles
        row |= {"beta": middle, "beta_quartiles": (low, high)}
        row |= {"units": self.betas.units, "unit_betas": self.betas.estimates}
        return row | dict(zip(("unit_beta_lows", "unit_beta_highs"), self.betas.intervals.T, strict=True))


def measure(material: Material, settings: Settings) -> Finding:
    """Read every agent that was kept, on the same states.

    Raises:
        NotApplicable: No agents were kept, or V has a memory.
        UserError: Some of those that were kept are missing, damaged, or not there yet.
    """
    history = {} if material.run is None else read_history(material.run)
    if len(history) < 2:
        raise NotApplicable(NO_HISTORY)
    if material.agent.value_encoder.memory_size:
        raise NotApplicable(MEMORY)
    _require_whole(list(history))
    sample, device = material.visited.first(settings.num_rows), material.agent.device
    marks = [
        mark for step, agent in history.items()
        for mark in read_layers(step, agent.to(device).eval(), sample, material=material, seed=settings.seed)
    ]  # fmt: skip
    has_contexts = "contexts" not in material.missing
    observed = sample.trained.site(OBSERVATION).astype(np.float64)
    layer_0, refusal = _probe(observed, sample, seed=settings.seed, wanted=has_contexts)
    return Finding(
        rows=[mark.row() for mark in marks],
        numbers=numbers(marks),
        found=[*sentences(marks, layer_0), *([plants_sentence(planted_probes())] if has_contexts else [])],
        not_shown=_limits(marks, refusal, material),
        figures=figures(marks, layer_0, source=sample.states.source),
        columns=COLUMNS,
    )


def _require_whole(steps: list[int]) -> None:
    """Refuse marks that are not all of one training: what is said of its start and its end would be wrong."""
    if steps != [0, *marks_of(steps[-1])]:
        raise UserError(
            f"{HISTORY}/ holds V after {', '.join(map(str, steps))} gradient steps, which are not the marks of a whole "
            "training; go on with it by `valuelab train --resume`, or restore the folder from a copy."
        )


def _limits(marks: Sequence[Mark], refusal: str, material: Material) -> list[str]:
    """Why lines are missing, each reason once."""
    reasons = [f"{mark.layer}: {mark.refusal}" for mark in marks if mark.refusal]
    reasons += [f"raw observation: {refusal}"] if refusal else []
    reasons += [SHARED] if material.agent.shared else []
    reasons += [material.missing[name] for name in ("contexts", "table") if name in material.missing]
    return list(dict.fromkeys(reasons))


def read_layers(step: int, agent: AlphaAgent, sample: Sample, *, material: Material, seed: int) -> list[Mark]:
    """Every layer of V∘E of one agent."""
    states, swap = sample.states, None
    if material.table is not None:
        table = material.table
        swap = swap_effect(table.values_of(agent), table.optimal, seed=seed, groups=table.groups, num_resamples=200)
    marks, wanted = [], "contexts" not in material.missing
    for name, features in value_layers(activity_of(agent, states)).items():
        probe, refusal = _probe(features, sample, seed=seed, wanted=wanted)
        marks.append(Mark(step, name, probe, _betas(features, states.groups, seed=seed), swap, refusal))
    return marks


def _probe(features: NDArray[np.float64], sample: Sample, *, seed: int, wanted: bool) -> tuple[ProbeResult | None, str]:
    """A readout of the context, and why it was refused."""
    states = sample.states
    if not wanted:
        return None, ""
    try:
        result = linear_probe(
            drop_constant(features)[0], states.contexts, states.groups, seed=seed, states=states.ids,
            control_types=states.control_types, settings=PROBE,
        )  # fmt: skip
    except UserError as error:
        return None, str(error)
    return result, ""


def _betas(values: NDArray[np.float64], groups: NDArray[np.int64], *, seed: int) -> LayerBetas:
    """Of the units, none of them where the data do not suffice."""
    try:
        found = unit_betas(values, groups, seed=seed)
    except UserError:
        found = ()
    intervals = np.array([one.interval for one in found], dtype=np.float64).reshape(-1, 2)
    units, betas = [one.unit for one in found], [one.beta for one in found]
    return LayerBetas(np.array(units, dtype=np.int64), np.array(betas, dtype=np.float64), intervals)


INSTRUMENT = Instrument(
    name="training",
    question="How does what can be read from V, what V uses and how its units' tails fall change while V learns?",
    does_not_show=(
        "That a line rises while the loss falls does not show that either causes the other; marks are a tenth of the "
        "training apart, so that what happens before the first is not seen."
    ),
    measure=measure,
    seconds=12.0,
)
"""Registered in `analysis.probing.registry`."""
