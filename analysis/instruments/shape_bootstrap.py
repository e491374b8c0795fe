"""How sure a generalised normal exponent is where the rows of one group belong together.

Shapes: m distances, G groups, R resamples, K exponents.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.instruments.shape_laws import gennorm_profile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEP = 0.05
EXPONENTS = np.exp(STEP * np.arange(-28, 29))
"""At which a resample's likelihood is known, relative to the estimate: a quarter to four times, 5 % apart."""


def resampled_betas(distances: Floats, starts: Ints, *, beta: float, draws: Floats) -> Floats:
    """The exponent of every resample of groups, with the centre held: float64[R].

    A resample's likelihood depends on the data through sum r^b alone, which is added up by group once for each exponent
    b; its maximum is taken through a parabola in ln b. Holding the centre costs nothing to first order, see
    `shape_laws`.

    Args:
        distances: float64[m], by group.
        starts: int64[G], where each group begins.
        beta: The estimate from all distances.
        draws: float64[R, G], how often each group is drawn.
    """
    exponents = beta * EXPONENTS
    sums = np.add.reduceat(distances[:, None] ** exponents, starts, axis=0)
    sizes = np.diff(starts, append=len(distances))
    heights = gennorm_profile(exponents, (draws @ sums) / (draws @ sizes)[:, None])
    top = np.clip(heights.argmax(axis=1), 1, len(exponents) - 2)
    before, at, after = (heights[np.arange(len(top)), top + shift] for shift in (-1, 0, 1))
    bend = np.minimum(before - 2 * at + after, -1e-300)
    return np.asarray(exponents[top] * np.exp(STEP * np.clip(0.5 * (before - after) / bend, -1.0, 1.0)))
