"""What singular values and vectors of noise look like, so that a trained layer can be held against them.

N has independent entries of variance std². For a weight [m, d] its singular values fill the Marchenko-Pastur bulk up to

    edge = std (√m + √d),

and X = strength · u vᵀ + N shows its spike (u, v) only where the strength is above std (m d)^¼. A singular vector below
that says nothing about u and v, however the largest singular value looks.

The law needs independent entries. It holds for value heads, whose weights start normal; encoders start with orthogonal
weights, whose singular values are all equal: there the untrained spectrum itself is the null.

Shapes: m outputs, d inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError, require_number

Floats = NDArray[np.float64]
TRACY_WIDOM_95 = 0.9793
"""95 % point of the Tracy-Widom law for real matrices."""


@dataclass(frozen=True)
class Spike:
    """What is to be seen of a planted direction in the limit of large matrices.

    Attributes:
        visible: Whether its singular value stands above the edge of the noise.
        gain: The largest singular value; the edge where nothing is visible.
        write_overlap: ⟨u, û⟩², in [0, 1]; 0 where nothing is visible.
        read_overlap: ⟨v, v̂⟩².
    """

    visible: bool
    gain: float
    write_overlap: float
    read_overlap: float


def noise_edge(shape: tuple[int, int], *, std: float) -> float:
    """The largest singular value of noise in the limit of large matrices, std (√m + √d)."""
    return float(_std(std) * (np.sqrt(shape[0]) + np.sqrt(shape[1])))


def noise_threshold(shape: tuple[int, int], *, std: float) -> float:
    """What the largest singular value of noise of this size exceeds in 5 % of draws.

    With μ = √(m − 1) + √d, the squared singular value is about std² (μ² + q μ (1/√(m − 1) + 1/√d)^⅓), q being the 95 %
    point of the Tracy-Widom law.

    Source: Johnstone (2001), Annals of Statistics 29(2). Good from about 10 × 10 upwards.
    """
    rows, columns = np.sqrt(max(shape[0] - 1, 1)), np.sqrt(shape[1])
    centre = rows + columns
    spread = centre * (1.0 / rows + 1.0 / columns) ** (1.0 / 3.0)
    return float(_std(std) * np.sqrt(centre**2 + TRACY_WIDOM_95 * spread))


def spike(strength: float, shape: tuple[int, int], *, std: float) -> Spike:
    """What X = strength · u vᵀ + N shows of the unit vectors u and v.

    With θ = strength/(std √m) and c = d/m, gain/(std √m) = √((1 + θ²)(c + θ²))/θ,
    write_overlap = 1 − (c + θ²)/(θ²(θ² + 1)) and read_overlap = 1 − c(1 + θ²)/(θ²(θ² + c)), all for θ > c^¼.

    Args:
        strength: The planted singular value, ≥ 0.
        shape: (m, d).
        std: Of the noise's entries, above 0.

    Source: Benaych-Georges & Nadakuditi (2012), Journal of Multivariate Analysis 111, for rectangular matrices.
    """
    unit = _std(std) * np.sqrt(shape[0])
    theta, aspect = strength / unit, shape[1] / shape[0]
    if theta <= aspect**0.25:
        return Spike(False, noise_edge(shape, std=std), 0.0, 0.0)
    square = theta**2
    return Spike(
        visible=True,
        gain=float(unit * np.sqrt((1.0 + square) * (aspect + square)) / theta),
        write_overlap=float(1.0 - (aspect + square) / (square * (square + 1.0))),
        read_overlap=float(1.0 - aspect * (1.0 + square) / (square * (square + aspect))),
    )


def spiked_matrix(strength: float, shape: tuple[int, int], *, std: float, seed: int) -> tuple[Floats, Floats, Floats]:
    """The planted positive, and with strength 0 the planted null: X float64[m, d], u [m] and v [d]."""
    rng = np.random.default_rng(seed)
    write, read = (vector / np.linalg.norm(vector) for vector in (rng.normal(size=size) for size in shape))
    return strength * np.outer(write, read) + std * rng.normal(size=shape), write, read


def _std(std: float) -> float:
    require_number("std", std, low=0.0, high=np.finfo(np.float64).max)
    if std == 0.0:
        raise UserError("std is 0, but noise without spread has no edge; give that of the untrained weights.")
    return std
