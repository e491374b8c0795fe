"""What `tails` reads of the networks: V's units and parts, the features that V reads, and a linear V as layer 0.

Shapes: n rows, d units.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from analysis.instruments.contribution_sum import ContributionSum
from analysis.instruments.tails import UnitShape, discoveries, tails, unit_shapes
from analysis.probing.activity import INTERFACE, OBSERVATION, Activity
from analysis.probing.material import Sample
from envs.errors import UserError

Floats = NDArray[np.float64]
UNITS, PARTS, FEATURES = "units of V's last hidden layer", "parts of V", "features that V reads"
LINEAR = "entries of the observation (layer 0) in a linear fit of V"


@dataclass(frozen=True, eq=False)
class Reading:
    """One layer of one network on one kind of states.

    Attributes:
        layer: What was read.
        network: "trained" or "untrained".
        source: Which states.
        group_name: What is resampled.
        values: float64[n, d].
        sums: None for layers that do not add up to V, and where fewer than two contributions vary.
        units: Those that could be read.
        is_found: Whether each is not normal, at a false discovery rate of 5 % over all layers of this network.
        total: The shape of V itself, or None.
        refusal: Why nothing could be read, "" where something was.
    """

    layer: str
    network: str
    source: str
    group_name: str
    values: Floats
    sums: ContributionSum | None = None
    units: tuple[UnitShape, ...] = ()
    is_found: tuple[bool, ...] = ()
    total: UnitShape | None = None
    refusal: str = ""

    @property
    def betas(self) -> Floats:
        """Exponents of the units that could be read."""
        return np.array([unit.beta for unit in self.units])

    def share(self, holds: tuple[bool, ...]) -> float:
        """Share of the units that were read for which something holds; NaN where none was."""
        return float(np.mean(holds)) if holds else np.nan


def readings_of(sample: Sample, *, seed: int) -> list[Reading]:
    """Reads all layers of both networks; the first reading is that of the trained network's units."""
    trained, untrained = _layers(sample.trained), _layers(sample.untrained)
    trained[LINEAR] = linear_contributions(sample.trained)
    return [*_network(trained, "trained", sample, seed=seed), *_network(untrained, "untrained", sample, seed=seed)]


def linear_contributions(held: Activity) -> Floats:
    """w_j x_j of a ridge regression of V on the observation, float64[n, d]: what a V without layers would add up."""
    inputs = np.asarray(held.site(OBSERVATION), dtype=np.float64)
    fit = RidgeCV(alphas=(0.1, 1.0, 10.0)).fit(inputs, held.values)
    return np.asarray(inputs * fit.coef_)


def row_of(reading: Reading) -> dict[str, object]:
    """A reading as one row of the report."""
    row: dict[str, object] = {"layer": reading.layer, "network": reading.network, "states": reading.source}
    if reading.refusal:
        return row | {"refusal": reading.refusal}
    if (sums := reading.sums) is not None:
        row |= {
            "vary": sums.num_contributions, "silent": sums.num_silent, "n_eff": sums.n_eff,
            "n_eff_interval": sums.n_eff_interval, "largest": sums.top_shares[0], "largest_5": sums.top_shares[1],
            "largest_10": sums.top_shares[2], "R": sums.ratio, "R_interval": sums.ratio_interval,
            "R_shuffled": sums.ratio_shuffled[0], "kurtosis": sums.kurtosis,
            "kurtosis_interval": sums.kurtosis_interval, "kurtosis_independent": sums.kurtosis_independent,
        }  # fmt: skip
    if reading.total is not None:
        row |= {"beta_of_V": reading.total.beta, "beta_of_V_interval": reading.total.beta_interval}
    return row | _shape_columns(reading)


def _shape_columns(reading: Reading) -> dict[str, object]:
    units = reading.units
    if not units:
        return {"read": 0}
    low, middle, high = np.quantile(reading.betas, [0.25, 0.5, 0.75])
    return {
        "read": len(units), "beta": float(middle), "beta_quartiles": (float(low), float(high)),
        "not_normal": reading.share(reading.is_found),
        "heavier": reading.share(tuple(unit.beta_interval[1] < 2 for unit in units)),
        "lighter": reading.share(tuple(unit.beta_interval[0] > 2 for unit in units)),
        "straighter_in_r": reading.share(tuple(u.log_survival.linear > u.log_survival.square for u in units)),
        "hill_drifts": reading.share(tuple(unit.hill.drifts for unit in units)),
        "atoms": float(np.median([unit.atom_share for unit in units])),
        "independent": float(np.median([unit.num_independent for unit in units])),
    }  # fmt: skip


def _layers(held: Activity) -> dict[str, Floats]:
    """Name -> values of the layers that both networks have."""
    layers = {UNITS: held.unit_contributions, FEATURES: np.asarray(held.site(INTERFACE), dtype=np.float64)}
    if held.part_values.shape[1] > 1:
        layers[PARTS] = held.part_values * held.part_weights
    return layers


def _network(layers: dict[str, Floats], network: str, sample: Sample, *, seed: int) -> list[Reading]:
    """All layers of a network, with one family of tests."""
    readings = [_reading(name, values, network=network, sample=sample, seed=seed) for name, values in layers.items()]
    found = discoveries([reading.units for reading in readings])
    return [dataclasses.replace(reading, is_found=each) for reading, each in zip(readings, found, strict=True)]


def _reading(layer: str, values: Floats, *, network: str, sample: Sample, seed: int) -> Reading:
    """One layer, or why it cannot be read."""
    states = sample.states
    reading = Reading(layer, network, states.source, states.group_name, values)
    try:
        if layer == FEATURES:
            return dataclasses.replace(reading, units=unit_shapes(values, states.groups, seed=seed))
        found = tails(values, states.groups, seed=seed)
    except UserError as error:
        return dataclasses.replace(reading, refusal=str(error))
    return dataclasses.replace(reading, sums=found.sums, units=found.units, total=found.total)
