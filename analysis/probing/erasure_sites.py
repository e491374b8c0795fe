"""Erasing the context at the sites of an agent, of its untrained twin, and from the observation.

Shapes: n rows, d units of a site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.instruments.erasers import Eraser, mean_projection
from analysis.instruments.erasure import ErasureReport, judge, standard_erasers
from analysis.instruments.erasure_data import Activations, split_activations
from analysis.instruments.leace import fit_leace
from analysis.instruments.probe_input import refuse_few_states
from analysis.probing.activity import HIDDEN, INTERFACE, OBSERVATION, POLICY_INTERFACE, Activity
from analysis.probing.instrument import Settings
from analysis.probing.material import Material, Sample
from analysis.probing.states import States
from envs.errors import UserError

MAIN_ROWS = 6000
"""At the interface between E and V; elsewhere `Settings.num_rows`."""


@dataclass(frozen=True, eq=False)
class SiteErasure:
    """One network's site on one kind of states.

    Attributes:
        network: "trained" or "untrained".
        site: Its name.
        source: Which states, in words.
        activity: The network on the rows that were used.
        data: Their split, None where it was refused.
        erasers: Fitted, by name.
        report: None where it was refused.
        refusal: Why, "" where it was not.
    """

    network: str
    site: str
    source: str
    activity: Activity
    data: Activations | None
    erasers: Mapping[str, Eraser]
    report: ErasureReport | None
    refusal: str = ""


def erased_sites(material: Material, settings: Settings) -> tuple[SiteErasure, ...]:
    """The trained interface first, on each kind of states with all erasers; then baselines with two of them."""
    samples = [material.visited] + ([] if material.reachable is None else [material.reachable])
    found = []
    for sample in samples:
        found.append(_at_site(sample.first(MAIN_ROWS), "trained", INTERFACE, settings=settings, all_erasers=True))
    for sample in samples:
        part = sample.first(settings.num_rows)
        found.append(_at_site(part, "untrained", INTERFACE, settings=settings))
        found.append(_at_site(part, "trained", HIDDEN, settings=settings))
        found.append(_at_site(part, "trained", POLICY_INTERFACE, settings=settings))
        if not material.agent.value_encoder.memory_size:
            found.append(_at_site(part, "trained", OBSERVATION, settings=settings))
    return tuple(found)


def _at_site(
    sample: Sample, network: str, site: str, *, settings: Settings, all_erasers: bool = False
) -> SiteErasure:
    """Fits and judges erasers at one site; a refusal is kept, as other sites may do."""
    activity = sample.trained if network == "trained" else sample.untrained
    states = sample.states
    try:
        require_states(activity.site(site), states, settings)
        data = split_activations(activity.site(site), states.contexts, states.groups, seed=settings.seed)
        erasers = standard_erasers(data) if all_erasers else short_list(data)
        tested = activity.take(data.test)
        if site == POLICY_INTERFACE:
            report = judge(data, erasers, seed=settings.seed, logits_of=lambda h: tested.logits_of(site, h))
        else:
            report = judge(data, erasers, seed=settings.seed, value_of=lambda h: tested.value_of(site, h))
    except UserError as error:
        return SiteErasure(network, site, states.source, activity, None, {}, None, str(error))
    return SiteErasure(network, site, states.source, activity, data, erasers, report)


def require_states(units: NDArray[np.floating], states: States, settings: Settings) -> None:
    """Refuse units [n, d] on too few distinct states for what varies: a probe before or after would fit any labels.

    Raises:
        UserError: Fewer than `settings.probe.states_per_dimension` for each column that varies, and one.
    """
    varying = int((np.ptp(units, axis=0) > 0).sum())
    refuse_few_states(
        len(np.unique(states.ids)), varying, states_per_dimension=settings.probe.states_per_dimension
    )


def short_list(data: Activations) -> Mapping[str, Eraser]:
    """The two that a baseline is compared by."""
    rows, labels = data.part(data.fit)
    return {"mean projection": mean_projection(rows, labels), "LEACE": fit_leace(rows, labels)}
