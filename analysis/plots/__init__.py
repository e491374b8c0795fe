"""Figures: pure functions from numbers to a matplotlib `Figure`, and one function that writes it."""

from analysis.plots.arms import ProbeBar, arms_dots, predictor_bars, probe_bars
from analysis.plots.curves import LearningCurve, learning_curves
from analysis.plots.style import SeedScores, save_figure, seed_scores
from analysis.plots.values import policy_field, value_scatter

__all__ = [
    "LearningCurve",
    "ProbeBar",
    "SeedScores",
    "arms_dots",
    "learning_curves",
    "policy_field",
    "predictor_bars",
    "probe_bars",
    "save_figure",
    "seed_scores",
    "value_scatter",
]
