"""Instrument `outcomes`: does V say what followed, on the episodes that the world itself ended?

Beside V stand V before training, a linear readout of the observation (layer 0), what followed itself (planted positive)
and its mean (planted null).

Shapes: n steps of all episodes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from agents.returns import returns_to_go
from analysis.instruments.probe_input import drop_constant
from analysis.instruments.ridge_probe import ridge_probe
from analysis.plots import value_scatter
from analysis.probing.activity import OBSERVATION
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material, Sample
from analysis.probing.wording import number
from envs.errors import UserError

Floats = NDArray[np.float64]
UNTRAINED, LAYER_0 = "V before training", "a linear readout of the observation on episodes apart"
POSITIVE, NULL = "what followed itself (planted positive)", "its mean (planted null)"


@dataclass(frozen=True)
class OutcomeFit:
    """V against the discounted rewards that followed, on episodes that the world itself ended.

    Attributes:
        num_states: States with a known outcome.
        explained_variance: 1 - Var(G - V) / Var(G); NaN where outcomes do not vary.
        rms_error: sqrt mean (G - V)^2, in units of reward.
        mean_outcome: Mean of G.
        share_terminated: Share of episodes that ended by themselves; the others are left out.
    """

    num_states: int
    explained_variance: float
    rms_error: float
    mean_outcome: float
    share_terminated: float


def outcome_fit(material: Material) -> OutcomeFit:
    """Holds V against what followed, on the episodes that the world itself ended."""
    following, known = returns_to_go(material.episodes)
    share = float(material.episodes.terminated.mean())
    if not known.any():
        return OutcomeFit(0, np.nan, np.nan, np.nan, share)
    outcome, error = following[known], following[known] - material.values[known]
    variance = float(outcome.var())
    explained = 1.0 - float(error.var()) / variance if variance > 1e-18 else np.nan
    return OutcomeFit(len(outcome), explained, float(np.sqrt((error**2).mean())), float(outcome.mean()), share)


def baselines(material: Material, settings: Settings) -> dict[str, float]:
    """Variance of outcomes that others explain on a sample of the same states; NaN where outcomes do not vary."""
    sample = material.visited.first(settings.num_rows)
    states = sample.states
    following, known = returns_to_go(material.episodes)
    place = material.episodes.offsets[states.episodes] + states.steps
    kept = known[place]
    outcome = following[place][kept]
    if not kept.any() or outcome.var() <= 1e-18:
        return dict.fromkeys((UNTRAINED, LAYER_0, POSITIVE, NULL), np.nan)
    return {
        UNTRAINED: _explained(outcome, sample.untrained.values[kept]),
        LAYER_0: _linear(sample.take(kept), outcome, settings),
        POSITIVE: _explained(outcome, outcome),
        NULL: _explained(outcome, np.full(len(outcome), outcome.mean())),
    }


def _explained(outcome: Floats, value: Floats) -> float:
    return float(1.0 - (outcome - value).var() / outcome.var())


def _linear(sample: Sample, outcome: Floats, settings: Settings) -> float:
    """Of episodes that a ridge regression on the observation was not fitted on; NaN where it is refused."""
    states = sample.states
    observation = drop_constant(sample.trained.site(OBSERVATION))[0]
    try:
        fit = ridge_probe(
            observation, outcome, states.episodes, seed=settings.seed, states=states.ids,
            control_types=states.control_types, settings=settings.probe,
        )  # fmt: skip
    except UserError:
        return np.nan
    return fit.explained


def outcome_sentence(fit: OutcomeFit, beside: Mapping[str, float] = MappingProxyType({})) -> str:
    """V against what followed, and the others of `baselines`."""
    if not fit.num_states:
        return "No episode ended by itself, so V cannot be held against outcomes."
    counted = f"{fit.share_terminated:.0%} of the episodes ended by themselves and are counted"
    if math.isnan(fit.explained_variance):
        return (
            f"The discounted reward that followed is {fit.mean_outcome:.3f} on all {fit.num_states} held-out states, "
            f"so there is no variance for V to explain (error {fit.rms_error:.3f}; {counted})."
        )
    known = {name: beside[name] for name in (UNTRAINED, LAYER_0) if not math.isnan(beside.get(name, math.nan))}
    others = "".join(f", {number(value)} for {name}" for name, value in known.items())
    return (
        f"V explains {number(fit.explained_variance)} of the variance of the discounted reward that followed on "
        f"{fit.num_states} held-out states (error {fit.rms_error:.3f}, mean outcome {fit.mean_outcome:.3f}; null: 0 "
        f"for the mean{others}; {counted})."
    )


def measure(material: Material, settings: Settings) -> Finding:
    """Hold V against what followed."""
    fit, beside = outcome_fit(material), baselines(material, settings)
    outcome, known = returns_to_go(material.episodes)
    figures = {}
    if known.any():
        figures["outcomes"] = value_scatter(
            {"held-out episodes": {"": (outcome[known], material.values[known])}},
            title="V against what followed",
            x_label="discounted reward that followed",
            y_label="V (discounted reward)",
            subtitle="states visited by D; dashed: V = outcome",
        )
    numbers = {"variance of outcomes explained": fit.explained_variance, "error against outcomes": fit.rms_error}
    rows = [{"function": "V, trained", **dataclasses.asdict(fit)}]
    rows += [{"function": name, "explained_variance": explained} for name, explained in beside.items()]
    return Finding(rows, numbers, [outcome_sentence(fit, beside)], figures=figures)


INSTRUMENT = Instrument(
    name="outcomes",
    question="Does V say what followed?",
    does_not_show="That V says what followed does not show how it is made, nor what it says where D does not go.",
    measure=measure,
    seconds=1.0,
)
