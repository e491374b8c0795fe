"""What one network's interface between E and V looks like: the numbers of `analysis.probing.singular`.

Shapes: n states, D features between E and V, r directions, K parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.instruments.singular import (
    data_weighted_directions,
    effective_number,
    interface_gain,
    singular_directions,
)
from analysis.instruments.singular_ablation import AblationEffects, ValueOf, ablation_effects
from analysis.instruments.singular_angles import Overlap, part_overlaps
from analysis.instruments.singular_null import noise_threshold
from analysis.instruments.truth_directions import random_directions
from analysis.probing.activity import INTERFACE, Activity
from analysis.probing.singular_layers import Interface, interface_of
from envs.errors import UserError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """One network.

    Attributes:
        interface: Its weights.
        above: How many of V's gains stand above the noise of untrained weights.
        shared: Effective number of V's directions.
        shared_by_data: The same, weighted by where the features lie; NaN where V's first layer writes a constant.
        spanned: Effective number of principal components of the features.
        passed: `interface_gain` between E's last layer and V's first; NaN where E ends with a memory.
        subtracted: Effects of taking each direction out of V's first layer; None where V is constant on these states.
        averaged: Effects of setting each direction to its mean; None as well.
        planted: Effects, set to the mean, on a V that is one direction: the one that varies most.
        random: The same on a V that reads a random direction.
        overlap: Between the parts' leading directions; None for one part.
    """

    interface: Interface
    above: int
    shared: float
    shared_by_data: float
    spanned: float
    passed: float
    subtracted: AblationEffects | None
    averaged: AblationEffects | None
    planted: AblationEffects
    random: AblationEffects
    overlap: Overlap | None


def measured(network: Activity, *, seed: int) -> Measured:
    """Measure one network on its states."""
    interface, features = interface_of(network.network), network.site(INTERFACE).astype(np.float64)
    reads, mean = interface.directions.read, features.mean(axis=0)
    known = network.states.contexts
    contexts = known if len(np.unique(known)) > 1 else None

    def effects(value_of: ValueOf, centre: Floats | None) -> AblationEffects:
        return ablation_effects(value_of, features, reads, seed=seed, contexts=contexts, centre=centre)

    def value_of(given: Floats) -> Floats:
        return network.value_of(INTERFACE, given)

    most_varying = reads[(features @ reads.T).std(axis=0).argmax()]
    drawn = random_directions(features.shape[1], 1, seed=seed)[0]
    varies = network.values.std() > 1e-6 * max(1.0, float(np.abs(network.values).max()))
    return Measured(
        interface=interface,
        above=int((interface.directions.gain > edge_of(interface)).sum()),
        shared=effective_number(interface.directions.gain),
        shared_by_data=_shared_by_data(interface.read, features),
        spanned=spanned(features),
        passed=np.nan if interface.written is None else interface_gain(interface.written, interface.read),
        subtracted=effects(value_of, None) if varies else None,
        averaged=effects(value_of, mean) if varies else None,
        planted=effects(lambda given: given @ most_varying, mean),
        random=effects(lambda given: given @ drawn, mean),
        overlap=_overlap(interface.parts, seed=seed),
    )


def edge_of(interface: Interface) -> float:
    """Where the gains of V's first layer end before training."""
    return noise_threshold(interface.read.shape, std=interface.read_std)


def _shared_by_data(read: Floats, features: Floats) -> float:
    try:
        return effective_number(data_weighted_directions(read, features).gain)
    except UserError:
        return np.nan


def spanned(features: NDArray[np.floating]) -> float:
    """Effective number of principal components of rows [n, d]; NaN where they are all equal."""
    centred = features - features.mean(axis=0, dtype=np.float64)
    return effective_number(np.linalg.svd(centred, compute_uv=False)) if centred.any() else np.nan


def _overlap(parts: tuple[Floats, ...], *, seed: int) -> Overlap | None:
    """Overlap of the parts' leading directions, so few of each that all together could lie apart."""
    if not parts:
        return None
    count = max(1, parts[0].shape[1] // (2 * len(parts)))
    return part_overlaps([singular_directions(part).read[:count] for part in parts], seed=seed)[1]
