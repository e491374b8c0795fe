"""The distances of one unit from its centre, without the values at which it sticks.

Shapes: n rows, m distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class UnitDistances:
    """What is left of a unit's values.

    Attributes:
        values: float64[m], those that are read, in the order of the rows.
        distances: float64[m], from the centre.
        rows: int64[m], where they stood.
        atoms: Values that were left out, ascending.
        atom_share: Share of rows that had one.
        is_one_sided: Whether only values on one side of the centre are read.
    """

    values: Floats
    distances: Floats
    rows: Ints
    atoms: tuple[float, ...]
    atom_share: float
    is_one_sided: bool


def unit_distances(values: Floats, *, atom_share: float) -> UnitDistances:
    """Leaves out atoms, finds the centre, and measures distances from it.

    A value on `atom_share` of the rows or more is an atom. A unit with an atom at one end of its range, as a rectified
    one has, is cut off there: its centre is the median of all rows, which the cut does not move while it holds less
    than half of them, and the side away from it is read. Any other unit's centre is the median of what is left, and
    both sides are read.

    Args:
        values: float64[n].
        atom_share: In (0, 1].

    Returns:
        `UnitDistances`, of which nothing may be left.
    """
    names, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    sticks = counts >= atom_share * len(values)
    kept = ~sticks[place]
    is_one_sided = bool(sticks[0] != sticks[-1])
    if is_one_sided:
        centre = float(np.median(values))
        kept &= values > centre if sticks[0] else values < centre
    else:
        centre = float(np.median(values[kept])) if kept.any() else 0.0
    rows = np.flatnonzero(kept)
    share = float(counts[sticks].sum() / len(values))
    atoms = tuple(names[sticks].tolist())
    return UnitDistances(values[rows], np.abs(values[rows] - centre), rows, atoms, share, is_one_sided)
