"""The exponent beta of the generalised normal law of each unit, exp(-(r/s)^beta), with a bootstrap of whole episodes.

What is read of a unit, and why never of pooled ones, stands in `tails`, which asks more of the same distances.

Shapes: n rows, d units, G groups (episodes or levels), m distances, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.seeding import numpy_generator
from analysis.instruments.arrays import refuse_not_finite
from analysis.instruments.held_out import resampled_groups
from analysis.instruments.shape_bootstrap import resampled_betas
from analysis.instruments.shape_laws import fit_gennorm
from analysis.instruments.unit_distances import UnitDistances, unit_distances
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MIN_GROUPS = 50
"""Fewer episodes than this have no tail to speak of, and bootstrap intervals that are too narrow."""


@dataclass(frozen=True)
class TailSettings:
    """How units are read.

    Attributes:
        atom_share: Share of rows from which on an exact value is an atom.
        min_values: Fewest distinct distances, and fewest drawn rows with one, for a unit to be read.
        num_resamples: R.
        level: Coverage of the intervals, in (0, 1).
    """

    atom_share: float = 0.02
    min_values: int = 30
    num_resamples: int = 400
    level: float = 0.95


@dataclass(frozen=True, eq=False)
class UnitBeta:
    """The exponent of one unit over states, and what it was read from.

    Attributes:
        unit: Its column.
        read: Its values and distances without atoms, groups ascending.
        distances: float64[m], in units of the largest one.
        is_drawn: bool[m], distances of the drawn rows, one of each group at most, which are independent.
        beta: In [.2, 20]; 2 normal, 1 Laplace.
        interval: Bootstrap over groups.
    """

    unit: int
    read: UnitDistances
    distances: Floats
    is_drawn: NDArray[np.bool_]
    beta: float
    interval: tuple[float, float]


def unit_betas(
    values: ArrayLike, groups: ArrayLike, *, seed: int, settings: TailSettings | None = None
) -> tuple[UnitBeta, ...]:
    """Reads the exponent of every column that has enough distances from its centre.

    Args:
        values: [n, d], finite.
        groups: int[n], episodes or levels.
        seed: Names the stream of resamples and drawn rows.
        settings: `TailSettings()` where left out.

    Raises:
        UserError: Another number of dimensions, values that are not finite, groups of another length, or fewer than 50
            groups.
    """
    settings = settings or TailSettings()
    table, index = checked_units(values, groups)
    stream = numpy_generator(seed, "tails", "shapes")
    order = np.lexsort((stream.random(len(index)), index))
    table, index = table[order], index[order]
    draws = resampled_groups(int(index[-1]) + 1, settings.num_resamples, stream=stream).astype(np.float64)
    found = (_unit_beta(j, column, index, draws=draws, settings=settings) for j, column in enumerate(table.T))
    return tuple(one for one in found if one is not None)


def _unit_beta(unit: int, values: Floats, groups: Ints, *, draws: Floats, settings: TailSettings) -> UnitBeta | None:
    """Reads one unit, or None where too little is left; groups ascend, and the first row of each is the drawn one."""
    read = unit_distances(values, atom_share=settings.atom_share)
    present, first = np.unique(groups[read.rows], return_index=True)
    is_drawn = np.diff(groups, prepend=-1)[read.rows] > 0
    if min(is_drawn.sum(), len(np.unique(read.distances))) < settings.min_values:
        return None
    r = read.distances / read.distances.max()
    beta = fit_gennorm(r).shape
    resampled = resampled_betas(r, first, beta=beta, draws=draws[:, present])
    low, high = np.quantile(resampled, [(1 - settings.level) / 2, (1 + settings.level) / 2])
    return UnitBeta(unit, read, r, is_drawn, beta, (float(low), float(high)))


def checked_units(values: ArrayLike, groups: ArrayLike) -> tuple[Floats, Ints]:
    """float64[n, d] and groups renumbered from 0, or what is wrong with them."""
    table, names = np.asarray(values, dtype=np.float64), np.asarray(groups)
    if table.ndim != 2 or table.size == 0:
        raise UserError(
            f"contributions have shape {table.shape}, but tails are read unit by unit, [rows, units]; pooled units of "
            "different scale have heavy tails whatever their own are"
        )
    if names.shape != table.shape[:1] or names.dtype.kind not in "iu":
        raise UserError(
            f"groups have shape {names.shape} and dtype {names.dtype}, but there are {len(table)} rows; give the "
            "number of its episode, or level, for each"
        )
    refuse_not_finite("contributions", table)
    index = np.unique(names, return_inverse=True)[1].astype(np.int64)
    if index.max() + 1 < MIN_GROUPS:
        raise UserError(
            f"there are {index.max() + 1} groups, but a tail is read from {MIN_GROUPS} or more, as the rows of one "
            "episode are not independent; collect more episodes"
        )
    return table, index
