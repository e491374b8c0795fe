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
from numpy.typing import ArrayLike

from agents.seeding import numpy_generator
from analysis.instruments.contribution_sum import ContributionSum, contribution_sum
from analysis.instruments.shape_laws import FITS
from analysis.instruments.shape_tests import anderson_darling, normal_p_value, vuong
from analysis.instruments.tail_index import HillPlot, LogSurvival, hill, log_survival, ranks_of
from analysis.instruments.unit_betas import TailSettings, UnitBeta, checked_units, unit_betas
from analysis.multiple_tests import benjamini_hochberg


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
    values, index = checked_units(contributions, groups)
    sums = contribution_sum(values, index, stream=numpy_generator(seed, "tails", "sum"), level=settings.level)
    units = unit_shapes(values, index, seed=seed, settings=settings)
    total = unit_shapes(values.sum(axis=1, keepdims=True), index, seed=seed, settings=settings)
    return Tails(sums, units, values.shape[1] - len(units), total[0] if total else None)


def unit_shapes(
    values: ArrayLike, groups: ArrayLike, *, seed: int, settings: TailSettings | None = None
) -> tuple[UnitShape, ...]:
    """Reads the shape of every column that has enough distances from its centre; arguments and errors as `tails`."""
    return tuple(_unit_shape(unit) for unit in unit_betas(values, groups, seed=seed, settings=settings))


def discoveries(layers: Sequence[Sequence[UnitShape]], *, rate: float = 0.05) -> tuple[tuple[bool, ...], ...]:
    """Which units are not normal, at a false discovery rate over all units of all layers together."""
    adjusted = iter(benjamini_hochberg([shape.p_normal for layer in layers for shape in layer]))
    return tuple(tuple(next(adjusted) <= rate for _ in layer) for layer in layers)


def _unit_shape(found: UnitBeta) -> UnitShape:
    """What else the distances of one unit say."""
    read, r, is_drawn = found.read, found.distances, found.is_drawn
    fits = {law: fit(r[is_drawn]) for law, fit in FITS.items()}
    best = min(fit.aic for fit in fits.values())
    return UnitShape(
        unit=found.unit,
        atoms=read.atoms,
        atom_share=read.atom_share,
        is_one_sided=read.is_one_sided,
        num_distances=len(r),
        num_distinct=len(np.unique(read.distances)),
        num_independent=int(is_drawn.sum()),
        beta=found.beta,
        beta_interval=found.interval,
        kurtosis=float((r**4).mean() / (r**2).mean() ** 2 - 3.0),
        p_normal=normal_p_value(fits["normal"], fits["gennorm"]),
        p_anderson=np.nan if read.is_one_sided else anderson_darling(read.values[is_drawn])[1],
        aic={law: fit.aic - best for law, fit in fits.items()},
        laplace_over_normal=vuong(fits["laplace"], fits["normal"]).z,
        hill=hill(r, ranks_of(len(r))),
        log_survival=log_survival(r),
    )
