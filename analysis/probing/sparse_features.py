"""Sparse features at the interface of E and V, beside the same training at other places and planted controls."""

from __future__ import annotations

import numpy as np

from analysis.instruments import (
    sparse_agreement,
    sparse_autoencoder,
    sparse_baselines,
    sparse_controls,
    sparse_data,
    sparse_fits,
    sparse_metrics,
    sparse_toys,
    sparse_training,
    superposition,
)
from analysis.instruments.sparse_features import SparsePlan, sparse_features
from analysis.probing import sparse_figures, sparse_words
from analysis.probing.activity import INTERFACE
from analysis.probing.controls import cached_control, code_version
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material
from analysis.probing.sparse_places import TRAINED, Places
from envs.errors import UserError

LEAST_STATES, LEAST_FEATURES, MOST_FEATURES = 200, 16, 256
CONTROLLED = (
    sparse_agreement, sparse_autoencoder, sparse_baselines, sparse_controls, sparse_data, sparse_fits, sparse_metrics,
    sparse_toys, sparse_training, superposition,
)  # fmt: skip


def plan_for(num_units: int) -> SparsePlan:
    """K = 2 d, and d and 4 d for the map, within limits; all places of a report get the same plan."""
    double, single, fourfold = (
        max(LEAST_FEATURES, min(factor * num_units, MOST_FEATURES)) for factor in (2, 1, 4)
    )  # fmt: skip
    return SparsePlan(num_features=double, other_widths=tuple(sorted({single, fourfold} - {double})))


def measure(material: Material, settings: Settings) -> Finding:
    """Run the instrument on what D visited.

    Raises:
        UserError: Fewer than `LEAST_STATES` distinct states.
    """
    sample = material.visited.first(settings.num_rows)
    num_states = len(np.unique(sample.states.ids))
    if num_states < LEAST_STATES:
        raise UserError(
            f"There are {num_states} distinct states, of which a dictionary would be a lookup table; at least "
            f"{LEAST_STATES} are needed, so collect more episodes."
        )
    places, plan = Places(sample, seed=settings.seed), plan_for(sample.trained.site(INTERFACE).shape[1])
    trained = sparse_features(places.interface(sample.trained), seed=settings.seed, plan=plan)
    reports = {TRAINED: trained} | {
        name: sparse_features(data, seed=settings.seed, plan=plan, is_compared_only=True)
        for name, data in places.compared().items()
    }
    controls = control_outcomes()
    return Finding(
        rows=sparse_words.rows(reports, controls),
        numbers=sparse_words.numbers(reports),
        found=sparse_words.sentences(reports, controls),
        not_shown=sparse_words.limits(reports),
        figures=sparse_figures.figures(trained, material, sample),
        columns=sparse_words.COLUMNS,
    )


def control_outcomes() -> list[sparse_words.ControlOutcome]:
    """Every planted control, from the cache where this code ran it before."""
    version, found = code_version(*CONTROLLED), []
    for control in sparse_controls.controls():
        numbers = cached_control(f"sparse features/{control.name}", version, control.compute)
        found.append(sparse_words.ControlOutcome(control.name, control.must, control.holds(numbers), numbers))
    return found


INSTRUMENT = Instrument(
    name="sparse_features",
    question="Does V read sums of few features out of many, the same ones from every seed of a sparse autoencoder?",
    does_not_show="It does not show what a feature means, nor that there are none where no seeds agree; that V uses "
    "one shows only in its ablation.",
    measure=measure,
    seconds=15.0,
)
