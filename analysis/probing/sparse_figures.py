"""Figures of sparse features at the interface of E and V.

Shapes: n rows, K features.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.instruments.sparse_features import SparseReport
from analysis.instruments.sparse_fits import Fit
from analysis.plots.sparse import (
    FrontierLine,
    agreement_map,
    cosine_histogram,
    firing_histogram,
    sparsity_frontier,
    strongest_states,
)
from analysis.probing.activity import INTERFACE
from analysis.probing.material import Material, Sample
from envs.render import render_frames
from envs.rows import Rows, World

NUM_FEATURES, NUM_STATES = 6, 8
CHOSEN = "the features with the largest mean code, not chosen by what they show"


def figures(report: SparseReport, material: Material, sample: Sample) -> dict[str, Figure]:
    """By file name."""
    found = {"sparse_frontier": frontier_figure(report), "sparse_firing": firing_figure(report)}
    if np.isfinite(report.features.recurrence).any():
        found["sparse_cosines"] = recurrence_figure(report)
    if (grid := map_figure(report)) is not None:
        found["sparse_map"] = grid
    if material.world is not None and sample.states.rows is not None:
        states = states_figure(report, sample, world=material.world, rows=sample.states.rows)
        if states is not None:
            found["sparse_states"] = states
    return found


def frontier_figure(report: SparseReport) -> Figure:
    """FVU against L0 at the main K, with the baselines."""
    width = report.shown.settings.num_features
    fits = [fit for fit in (*report.compared, *report.others) if fit.settings.num_features == width]
    lines = [
        _line(f"TopK, K {width}", [fit for fit in fits if fit.settings.num_active is not None]),
        _line(f"L1, K {width}", [fit for fit in fits if fit.settings.num_active is None]),
    ]
    for name in dict.fromkeys(baseline.name for baseline in report.baselines):
        kept = [baseline.reconstruction for baseline in report.baselines if baseline.name == name]
        lines.append(FrontierLine(name, [each.num_active for each in kept], [each.unexplained for each in kept], True))
    return sparsity_frontier(
        lines, title="What few active codes leave unexplained", subtitle="states held out; further down is better"
    )


def map_figure(report: SparseReport) -> Figure | None:
    """Agreement of seeds over L1 weight and K; None where some place of the map was not trained."""
    fits = {
        (fit.settings.penalty, fit.settings.num_features): fit
        for fit in (*report.compared, *report.others)
        if fit.settings.num_active is None
    }
    penalties, widths = (sorted({key[axis] for key in fits}) for axis in (0, 1))
    if len(fits) != len(penalties) * len(widths):
        return None
    table = [[fits[penalty, int(width)] for width in widths] for penalty in penalties]
    return agreement_map(
        np.array([[fit.agreement.cross_seed for fit in row] for row in table]),
        np.array([[fit.num_alive for fit in row] for row in table]),
        np.array([[fit.agreement.baseline for fit in row] for row in table]),
        penalties=penalties,
        widths=[int(width) for width in widths],
        title="Do seeds find the same features?",
        label="cosine between seeds (MMCS)",
        subtitle="in brackets: the largest baseline\ndead: features that fire on no held-out row",
    )


def recurrence_figure(report: SparseReport) -> Figure:
    """Cosines of features with the nearest of other seeds."""
    table = report.features
    return cosine_histogram(
        table.recurrence,
        {"random directions": table.random_recurrence},
        title="Is each feature found again from another seed?",
        x_label="largest cosine with an alive feature of another seed",
        subtitle=f"{report.shown.settings.name}; random directions have the covariance of the rows",
    )


def firing_figure(report: SparseReport) -> Figure:
    """How often features fire."""
    return firing_histogram(
        report.features.firing,
        title="How often do features fire?",
        subtitle=f"{report.shown.settings.name}, one seed, states held out",
    )


def states_figure(report: SparseReport, sample: Sample, *, world: World, rows: Rows) -> Figure | None:
    """The distinct states on which some features fire most; None where nothing fires."""
    codes = report.shown.models[0].encode(sample.trained.site(INTERFACE).astype(np.float64))
    strongest = np.argsort(-codes.mean(axis=0), kind="stable")[:NUM_FEATURES]
    shown = [int(feature) for feature in strongest if codes[:, feature].max() > 0]
    if not shown:
        return None
    pictures = [render_frames(world, rows[_top_rows(codes[:, j], sample.states.ids)], mode="rgb_array") for j in shown]
    names = [f"feature {j}\nfires on {(codes[:, j] > 0).mean():.0%}" for j in shown]
    return strongest_states(pictures, names, title="States on which features fire most", subtitle=CHOSEN)


def _line(name: str, fits: list[Fit]) -> FrontierLine:
    kept = [fit.reconstruction for fit in fits]
    return FrontierLine(name, [each.num_active for each in kept], [each.unexplained for each in kept])


def _top_rows(codes: NDArray[np.float64], states: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of the distinct states with the largest codes above 0, the largest first."""
    order = np.argsort(-codes, kind="stable")
    order = order[codes[order] > 0]
    first = np.sort(np.unique(states[order], return_index=True)[1])[:NUM_STATES]
    return np.asarray(order[first])
