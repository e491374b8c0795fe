"""Figures: pure functions from numbers to a matplotlib `Figure`, and one function that writes it."""

from analysis.plots.arms import ProbeBar, arms_dots, predictor_bars, probe_bars
from analysis.plots.confusion import confusion_map
from analysis.plots.curves import LearningCurve, learning_curves
from analysis.plots.fields import heat_maps, policy_field, vector_fields
from analysis.plots.side_by_side import seed_panels
from analysis.plots.spectra import spectrum_lines
from analysis.plots.style import SeedScores, save_figure, seed_scores
from analysis.plots.values import value_scatter

__all__ = [
    "LearningCurve",
    "ProbeBar",
    "SeedScores",
    "arms_dots",
    "confusion_map",
    "heat_maps",
    "learning_curves",
    "policy_field",
    "predictor_bars",
    "probe_bars",
    "save_figure",
    "seed_panels",
    "seed_scores",
    "spectrum_lines",
    "value_scatter",
    "vector_fields",
]
