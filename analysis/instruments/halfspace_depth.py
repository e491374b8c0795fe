"""How deep a point lies in each class, and what that leaves for a linear readout to tell.

    depth(m) = the least share of rows in a closed halfspace that holds m        (Tukey 1975)

Let classes z = 1..K have depths δ_z at one point m. Then every linear readout (the class with the largest of K linear
scores; for K = 2 a threshold along any direction) has

    balanced accuracy ≤ 1 − (Σ_z δ_z − max_z δ_z) / K,    which is 1 − δ / 2 for two classes of depth δ.

For m lies in the region of one class, and what is outside of any other class's region holds a closed halfspace about m,
where the readout is wrong on δ_z of that class. Some point is as deep as 1 / (d + 1) in any cloud (the deepest ones are
Tukey's medians), so at such medians merged two classes are told apart in at most 1 − 1 / (2 (d + 1)); there are classes
that reach it. Where both are symmetric about m, δ = 1/2 and the bound is .75 in any d, as at the median on a line.

Shapes: n rows, d features, K classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.instruments.arrays import finite_matrix
from analysis.instruments.concept_input import require_labels
from envs.errors import UserError

Floats = NDArray[np.float64]
ROUNDING = 1e-10
"""Of a direction; rows nearer to the point than this share of the widest distance lie at it."""
MOST_STEPS = 10**6


def halfspace_depth(points: ArrayLike, at: ArrayLike) -> float:
    """The least share of points in a closed halfspace that holds `at`; exact, ties and points on one plane included.

    Args:
        points: float[n, d].
        at: float[d].

    Returns:
        In [0, 1]: 0 outside of the points' convex hull, 1 where all points are.

    Raises:
        UserError: Wrong shapes, numbers that are not finite, or n^(d − 1) above a million.

    Source: Dyckerhoff & Mozharovskyi (2016), arXiv 1411.6927, the variant that goes down one dimension at a time.
    """
    rows, centre = finite_matrix("points", points), finite_matrix("the point", np.atleast_2d(np.asarray(at)))[0]
    if len(centre) != rows.shape[1]:
        raise UserError(f"the point has {len(centre)} features, but the rows have {rows.shape[1]}; give as many")
    if len(rows) ** (rows.shape[1] - 1) > MOST_STEPS:
        raise UserError(
            f"the depth in {len(rows)} rows of {rows.shape[1]} features takes n^(d - 1) steps, at most {MOST_STEPS:,} "
            "are taken; give fewer rows, or their parts along fewer directions"
        )
    away = rows - centre
    size = np.linalg.norm(away, axis=1)
    elsewhere = size > ROUNDING * size.max()
    fewest = _fewest_in_a_halfspace(away[elsewhere] / size[elsewhere, None])
    return float((~elsewhere).sum() + fewest) / len(rows)


def accuracy_bound(features: ArrayLike, labels: ArrayLike, at: ArrayLike) -> float:
    """What the balanced accuracy of no linear readout of these rows exceeds, from the classes' depths at a point.

    Args:
        features: float[n, d], such as rows translated to a common median, along a few directions.
        labels: int[n], K ≥ 2 classes.
        at: float[d], any point; the bound is the tighter the deeper all classes hold it.

    Returns:
        In [1 / K, 1]; 1 says nothing. Readouts that are not linear, such as sums of thresholds, are not bounded.

    Raises:
        UserError: As `require_labels` and `halfspace_depth`.
    """
    rows, numbers, num_classes = require_labels(features, labels)
    depths = [halfspace_depth(rows[numbers == k], at) for k in range(num_classes)]
    return 1.0 - (sum(depths) - max(depths)) / num_classes


def _fewest_in_a_halfspace(rays: Floats) -> int:
    """The least number of rays float64[n, d], of length 1, in a closed halfspace about 0.

    A halfspace with the fewest can be turned until some ray's line lies in its boundary. A turn by next to nothing then
    keeps one end of that line only, and the others count as in the space orthogonal to it.
    """
    fewest = len(rays)
    for ray in rays:
        along = rays @ ray
        across = rays - np.outer(along, ray)
        size = np.linalg.norm(across, axis=1)
        beside = size > ROUNDING
        on_line = min(int((along[~beside] > 0.0).sum()), int((along[~beside] < 0.0).sum()))
        if not beside.any():
            return on_line
        fewest = min(fewest, on_line + _fewest_in_a_halfspace(across[beside] / size[beside, None]))
    return fewest
