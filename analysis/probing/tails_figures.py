"""The figures of `tails`: V's units on visited states, and their exponents in all layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.instruments.unit_distances import unit_distances
from analysis.plots.tails import Exponents, contribution_map, hill_plot, tail_shapes, unit_exponents
from analysis.probing.tails_reading import UNITS, Reading

SHOWN = 12
"""Units of a network whose tails are drawn, those with the largest variance."""
SHORT = {
    "units of V's last hidden layer": "V's units",
    "parts of V": "V's parts",
    "features that V reads": "E's features",
}


def figures(readings: Sequence[Reading]) -> dict[str, Figure]:
    """By file name; figures of shapes are left out where no unit could be read."""
    first = readings[0]
    main = {
        one.network: one for one in readings if one.layer == UNITS and one.source == first.source and not one.refusal
    }
    drawn = {
        "tails_contributions": contribution_map(
            first.values, title="Contributions to V, trained", subtitle=f"states {first.source}; one row a unit"
        )
    }
    if not first.units:
        return drawn
    shown = {name: _largest(reading) for name, reading in main.items() if reading.units}
    which = f"states {first.source}; one line a unit, the {SHOWN} of largest variance of each network"
    drawn["tails_shapes"] = tail_shapes(
        {name: [_distances(main[name], unit) for unit in units] for name, units in shown.items()},
        title="Tails of V's units", subtitle=f"{which}\nstraight: the law or tail that the panel names",
    )  # fmt: skip
    drawn["tails_hill"] = hill_plot(
        {name: [_hill(main[name], unit) for unit in units] for name, units in shown.items()},
        title="Hill's index of V's units", subtitle=f"{which}\na line that falls is no power law",
    )  # fmt: skip
    drawn["tails_exponents"] = unit_exponents(
        [_exponents(reading) for reading in readings if reading.source == first.source and reading.units],
        title="Exponents of units",
        subtitle=f"lines: 95 % bootstrap over {first.group_name}s of this one network; red: not normal, at a false "
        "discovery rate of 5 %",
    )
    return drawn


def _largest(reading: Reading) -> list[int]:
    """Places in `reading.units` of those with the largest variance."""
    spread = [reading.values[:, unit.unit].var() for unit in reading.units]
    return [int(place) for place in np.argsort(spread)[::-1][:SHOWN]]


def _distances(reading: Reading, place: int) -> np.ndarray:
    return unit_distances(reading.values[:, reading.units[place].unit], atom_share=0.02).distances


def _hill(reading: Reading, place: int) -> tuple[np.ndarray, np.ndarray]:
    unit = reading.units[place]
    return unit.hill.ranks / unit.num_distances, unit.hill.index


def _exponents(reading: Reading) -> Exponents:
    intervals = np.array([unit.beta_interval for unit in reading.units])
    name = f"{SHORT.get(reading.layer, 'linear V')}, {reading.network}"
    return Exponents(name, reading.betas, intervals, np.array(reading.is_found))
