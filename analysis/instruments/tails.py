"""How the tails of each unit fall, unit by unit: normal, exponential, or something else?

Pooled units say nothing: an equal mixture of N(0, 1) and N(0, 9) is fitted best by Laplace's law though every part is
normal. So each unit is read by itself, and only the p values of all units of all layers are put together (Benjamini and
Hochberg), by `discoveries`.

What is read of a unit are its distances from its centre:

- A value that a unit takes on 2 % of the rows or more is an atom (a rectified unit's 0, the ends of tanh); it is left
  out and reported.
- The centre is a median. Of a rectified unit only the side away from its 0 is read, see `unit_distances`. A rectified
  N(m, 1) then has beta = 2 for m >= 0. For m < 0 its 0 hides the centre and only the law's tail is left, which falls
  straighter: beta = 1.65, 1.44, 1.22 at m = -.5, -1, -2.

Rows of one episode are not independent. Exponents and indices are read from all rows, with intervals from a bootstrap
of whole episodes; tests see one row of each episode, drawn before it is known whether it will be left out (drawn among
those that are not, it would be small too often).

Shapes: n rows, d units, G groups (episodes or levels), m distances, R resamples, K exponents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.seeding import numpy_generator
from analysis.instruments.arrays import refuse_not_finite
from analysis.instruments.contribution_sum import ContributionSum, contribution_sum
from analysis.instruments.held_out import resampled_groups
from analysis.instruments.shape_bootstrap import resampled_betas
from analysis.instruments.shape_laws import FITS, fit_gennorm
from analysis.instruments.shape_tests import anderson_darling, normal_p_value, vuong
from analysis.instruments.tail_index import HillPlot, LogSurvival, hill, log_survival, ranks_of
from analysis.instruments.unit_distances import unit_distances
from analysis.multiple_tests import benjamini_hochberg
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
class UnitShape:
    """The shape of one unit over states.

    Attributes:
        unit: Its column.
        atoms: Values that were left out.
        atom_share: Share of rows that had one.
        is_one_sided: Whether one side of the centre alone was read.
        num_distances: m.
        num_distinct: Distinct distances; few of them mean a lattice, on which no law of this kind can hold exactly.
        num_independent: Of the distances of drawn rows, on which the tests and `aic` stand.
        beta: Exponent of the generalised normal law, in [.2, 20]; 2 normal, 1 Laplace.
        beta_interval: Bootstrap over groups.
        kurtosis: Excess kurtosis about the centre; 0 normal, 3 Laplace.
        p_normal: Of the likelihood ratio test of beta = 2.
        p_anderson: Of Anderson and Darling's test of the normal law; NaN where one side was read.
        aic: By law, 0 for the best.
        laplace_over_normal: Vuong's z; 500 values are needed to tell them apart reliably.
        hill: By rank.
        log_survival: Straightness of the tail.
    """

    unit: int
    atoms: tuple[float, ...]
    atom_share: float
    is_one_sided: bool
    num_distances: int
    num_distinct: int
    num_independent: int
    beta: float
    beta_interval: tuple[float, float]
    kurtosis: float
    p_normal: float
    p_anderson: float
    aic: dict[str, float]
    laplace_over_normal: float
    hill: HillPlot
    log_survival: LogSurvival

    @property
    def best_laws(self) -> tuple[str, ...]:
        """Laws within 2 of the best AIC, which these data do not tell apart, best first."""
        return tuple(law for law in sorted(self.aic, key=lambda law: self.aic[law]) if self.aic[law] <= 2.0)


@dataclass(frozen=True, eq=False)
class Tails:
    """The answer of `tails`.

    Attributes:
        sums: Many, small, independent?
        units: Every contribution that could be read.
        num_unread: Contributions without enough distances from their centre.
        total: The shape of V - b itself, None where it could not be read.
    """

    sums: ContributionSum
    units: tuple[UnitShape, ...]
    num_unread: int
    total: UnitShape | None


def tails(contributions: ArrayLike, groups: ArrayLike, *, seed: int, settings: TailSettings | None = None) -> Tails:
    """Asks whether V is a sum of many small independent contributions, and how each of them is shaped over states.

    Args:
        contributions: [n, d], finite: c_j(s) = w_j a_j(s), or what each part says, in units of value.
        groups: int[n], episodes or levels.
        seed: Names the streams of resamples, shuffles and drawn rows.
        settings: `TailSettings()` where left out.

    Raises:
        UserError: Another number of dimensions, values that are not finite, groups of another length, fewer than 50
            groups, or fewer than two contributions that vary.

    Cannot show: that contributions are heuristics. Trained and untrained networks may have the same tails; claim only
    what differs between them.
    """
    settings = settings or TailSettings()
    values, index = _checked(contributions, groups)
    sums = contribution_sum(values, index, stream=numpy_generator(seed, "tails", "sum"), level=settings.level)
    units = unit_shapes(values, index, seed=seed, settings=settings)
    total = unit_shapes(values.sum(axis=1, keepdims=True), index, seed=seed, settings=settings)
    return Tails(sums, units, values.shape[1] - len(units), total[0] if total else None)


def unit_shapes(
    values: ArrayLike, groups: ArrayLike, *, seed: int, settings: TailSettings | None = None
) -> tuple[UnitShape, ...]:
    """Reads the shape of every column that has enough distances from its centre; arguments and errors as `tails`."""
    settings = settings or TailSettings()
    table, index = _checked(values, groups)
    stream = numpy_generator(seed, "tails", "shapes")
    order = np.lexsort((stream.random(len(index)), index))
    table, index = table[order], index[order]
    draws = resampled_groups(int(index[-1]) + 1, settings.num_resamples, stream=stream).astype(np.float64)
    shapes = (_unit_shape(j, column, index, draws=draws, settings=settings) for j, column in enumerate(table.T))
    return tuple(shape for shape in shapes if shape is not None)


def discoveries(layers: Sequence[Sequence[UnitShape]], *, rate: float = 0.05) -> tuple[tuple[bool, ...], ...]:
    """Which units are not normal, at a false discovery rate over all units of all layers together."""
    adjusted = iter(benjamini_hochberg([shape.p_normal for layer in layers for shape in layer]))
    return tuple(tuple(next(adjusted) <= rate for _ in layer) for layer in layers)


def _unit_shape(unit: int, values: Floats, groups: Ints, *, draws: Floats, settings: TailSettings) -> UnitShape | None:
    """Reads one unit, or None where too little is left; groups ascend, and the first row of each is the drawn one."""
    read = unit_distances(values, atom_share=settings.atom_share)
    present, first = np.unique(groups[read.rows], return_index=True)
    num_distinct = len(np.unique(read.distances))
    is_drawn = np.diff(groups, prepend=-1)[read.rows] > 0
    if min(is_drawn.sum(), num_distinct) < settings.min_values:
        return None
    r = read.distances / read.distances.max()
    fits = {law: fit(r[is_drawn]) for law, fit in FITS.items()}
    best = min(fit.aic for fit in fits.values())
    beta = fit_gennorm(r).shape
    resampled = resampled_betas(r, first, beta=beta, draws=draws[:, present])
    low, high = np.quantile(resampled, [(1 - settings.level) / 2, (1 + settings.level) / 2])
    return UnitShape(
        unit=unit,
        atoms=read.atoms,
        atom_share=read.atom_share,
        is_one_sided=read.is_one_sided,
        num_distances=len(r),
        num_distinct=num_distinct,
        num_independent=int(is_drawn.sum()),
        beta=beta,
        beta_interval=(float(low), float(high)),
        kurtosis=float((r**4).mean() / (r**2).mean() ** 2 - 3.0),
        p_normal=normal_p_value(fits["normal"], fits["gennorm"]),
        p_anderson=np.nan if read.is_one_sided else anderson_darling(read.values[is_drawn])[1],
        aic={law: fit.aic - best for law, fit in fits.items()},
        laplace_over_normal=vuong(fits["laplace"], fits["normal"]).z,
        hill=hill(r, ranks_of(len(r))),
        log_survival=log_survival(r),
    )


def _checked(values: ArrayLike, groups: ArrayLike) -> tuple[Floats, Ints]:
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
