"""The figures of `analysis.probing.singular`: gains, alignments, ablations and read maps.

Shapes: n states, P planes, H rows and W columns of the grid.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agents.agent import Encoded
from analysis.instruments.singular import alignment, singular_directions
from analysis.instruments.singular_maps import correlation_maps, jacobian_maps
from analysis.plots.singular import (
    AblationDots,
    LayerGains,
    ablated_directions,
    alignment_matrices,
    gain_spectra,
    read_maps,
)
from analysis.probing.activity import INTERFACE, OBSERVATION, Activity
from analysis.probing.material import Material
from analysis.probing.singular_measured import Measured, edge_of

Floats = NDArray[np.float64]
MOST_PLANES, NUM_SHOWN, NUM_STATES = 8, 3, 1000


def figures_of(material: Material, trained: Measured, untrained: Measured) -> dict[str, Figure]:
    """All figures that can be drawn for this agent, by name."""
    figures = {"singular_gains": _gains(trained, untrained)}
    if trained.interface.written is not None and untrained.interface.written is not None:
        figures["singular_alignment"] = alignment_matrices(
            {name: _aligned(one) for name, one in (("trained", trained), ("untrained", untrained))},
            title="What E's last layer writes against what V reads",
            written="directions that E writes",
            read="directions that V reads",
        )
    dots = [*_dots("trained", trained), *_dots("untrained", untrained)]
    if dots:
        figures["singular_ablation"] = ablated_directions(
            dots, title="What V loses with each direction", y_label="sd of ΔV (in sd of V)"
        )
    return figures | _maps(material, trained)


def _gains(trained: Measured, untrained: Measured) -> Figure:
    one, other = trained.interface, untrained.interface
    layers = [LayerGains("V, first layer", one.directions.gain, other.directions.gain, edge_of(one))]
    if one.written is not None and other.written is not None:
        written, initial = singular_directions(one.written), singular_directions(other.written)
        layers.append(LayerGains("E, last layer", written.gain, initial.gain))
    return gain_spectra(layers, title="Gains on both sides of the interface of E and V")


def _aligned(one: Measured) -> Floats:
    assert one.interface.written is not None
    return alignment(singular_directions(one.interface.written), one.interface.directions)


def _dots(name: str, one: Measured) -> list[AblationDots]:
    """Both ways of taking directions out; the null is each way's own."""
    ways = {"subtracted": one.subtracted, "set to mean": one.averaged}
    return [
        AblationDots(f"{name}, {way}", one.interface.directions.gain, effects.moved, effects.threshold)
        for way, effects in ways.items()
        if effects is not None
    ]


def _maps(material: Material, trained: Measured) -> dict[str, Figure]:
    """What the leading directions go with and what moves them, where observations have planes."""
    shape = material.agent.spec.planes_shape
    if shape is None:
        return {}
    sample, reads = material.visited.first(NUM_STATES), trained.interface.directions.read[:NUM_SHOWN]
    activity = sample.trained
    planes = activity.site(OBSERVATION)[:, : math.prod(shape)].reshape(-1, *shape)
    correlations = correlation_maps(activity.site(INTERFACE) @ reads.T, planes)
    names = _plane_names(material, shape[0])
    size = np.nan_to_num(np.abs(correlations)).max(axis=(0, 2, 3))
    # Of many planes, those that go with some direction at all.
    shown = np.sort(np.argsort(-size, kind="stable")[:MOST_PLANES])
    kinds = {"singular_maps": (correlations, "What goes with the directions of most gain", "correlation")}
    if not material.agent.value_encoder.memory_size:
        moved = _jacobians(activity, reads, shape)
        kinds["singular_jacobians"] = moved, "What moves the directions of most gain", "mean gradient"
    return {
        name: read_maps(
            {f"direction {index + 1}": one[shown] for index, one in enumerate(maps)},
            plane_names=[names[plane] for plane in shown],
            title=title,
            label=label,
        )
        for name, (maps, title, label) in kinds.items()
    }


def _jacobians(activity: Activity, reads: Floats, shape: tuple[int, int, int]) -> Floats:
    network = activity.network
    inputs = torch.from_numpy(activity.site(OBSERVATION)).to(network.device)
    maps = jacobian_maps(
        lambda given: network.features_of_value(Encoded(given))[0], inputs, torch.from_numpy(reads.copy())
    )
    return maps[:, : math.prod(shape)].reshape(-1, *shape)


def _plane_names(material: Material, count: int) -> list[str]:
    if material.world is not None and len(material.world.plane_names) == count:
        return list(material.world.plane_names)
    return [f"plane {index}" for index in range(count)]
