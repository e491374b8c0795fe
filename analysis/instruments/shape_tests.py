"""Tests of a shape on independent values: nested, between laws that are not nested, and against the normal law.

At large n each of these rejects whatever law one holds real data against; read the exponent and the kurtosis first.

Shapes: m values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.instruments.shape_laws import LawFit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class VuongTest:
    """Which of two laws that are not nested is closer to the truth.

    Attributes:
        gap: Mean log density of the first law minus that of the second, nats a sample.
        z: sqrt(m) gap / standard deviation of the gaps; above 1.96 the first law is closer, below -1.96 the second.
    """

    gap: float
    z: float


def normal_p_value(normal: LawFit, gennorm: LawFit) -> float:
    """P value of the likelihood ratio test of beta = 2: 2 (L_gennorm - L_normal) ~ chi^2 with 1 degree of freedom."""
    ratio = 2.0 * (gennorm.log_likelihood - normal.log_likelihood)
    return float(special.chdtrc(1, max(ratio, 0.0)))


def vuong(first: LawFit, second: LawFit) -> VuongTest:
    """Vuong's (1989) test; 500 independent values tell Laplace's law from the normal one in 19 of 20 samples.

    Cannot show: that the closer law is the true one.
    """
    gaps = first.log_density - second.log_density
    spread = float(gaps.std())
    gap = float(gaps.mean())
    return VuongTest(gap, float(np.sqrt(len(gaps)) * gap / spread) if spread > 0 else 0.0)


def anderson_darling(values: Floats) -> tuple[float, float]:
    """A^2 of independent values against the normal law with their own mean and standard deviation, and its p value.

    A^2 = -m - sum_i (2 i - 1) (ln F(y_i) + ln(1 - F(y_{m + 1 - i}))) / m over sorted standardised values; the p value
    is D'Agostino and Stephens' (1986, table 4.9) for A^2 (1 + .75 / m + 2.25 / m^2).

    scipy's own p value ends at .01, which no test survives among hundreds of units.
    """
    count = len(values)
    standard = np.sort((values - values.mean()) / values.std(ddof=1))
    below, above = special.log_ndtr(standard), special.log_ndtr(-standard[::-1])
    statistic = float(-count - ((2 * np.arange(1, count + 1) - 1) * (below + above)).mean())
    return statistic, _anderson_p_value(statistic * (1 + 0.75 / count + 2.25 / count**2))


def _anderson_p_value(corrected: float) -> float:
    """The published approximation, which is made of four pieces; it ends where it was fitted, at A^2 = 10."""
    a = min(corrected, 10.0)
    if a < 0.2:
        return float(1 - np.exp(-13.436 + 101.14 * a - 223.73 * a**2))
    if a < 0.34:
        return float(1 - np.exp(-8.318 + 42.796 * a - 59.938 * a**2))
    if a < 0.6:
        return float(np.exp(0.9177 - 4.279 * a - 1.38 * a**2))
    return float(np.exp(1.2937 - 5.709 * a + 0.0186 * a**2))
