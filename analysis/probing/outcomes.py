"""Instrument `outcomes`: does V say what followed, on the episodes that the world itself ended?

Shapes: n steps of all episodes.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from agents.returns import returns_to_go
from analysis.plots import value_scatter
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material
from analysis.probing.wording import number


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


def outcome_sentence(fit: OutcomeFit) -> str:
    """V against what followed."""
    if not fit.num_states:
        return "No episode ended by itself, so V cannot be held against outcomes."
    counted = f"{fit.share_terminated:.0%} of the episodes ended by themselves and are counted"
    if math.isnan(fit.explained_variance):
        return (
            f"The discounted reward that followed is {fit.mean_outcome:.3f} on all {fit.num_states} held-out states, "
            f"so there is no variance for V to explain (error {fit.rms_error:.3f}; {counted})."
        )
    return (
        f"V explains {number(fit.explained_variance)} of the variance of the discounted reward that followed on "
        f"{fit.num_states} held-out states (error {fit.rms_error:.3f}, mean outcome {fit.mean_outcome:.3f}; null: 0 "
        f"for the mean; {counted})."
    )


def measure(material: Material, settings: Settings) -> Finding:
    """Hold V against what followed."""
    fit = outcome_fit(material)
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
    return Finding([dataclasses.asdict(fit)], numbers, [outcome_sentence(fit)], figures=figures)


INSTRUMENT = Instrument(
    name="outcomes",
    question="Does V say what followed?",
    does_not_show="That V says what followed does not show how it is made, nor what it says where D does not go.",
    measure=measure,
    seconds=1.0,
)
