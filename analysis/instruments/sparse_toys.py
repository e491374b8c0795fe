"""Data sets on which the right answer about sparse features is known.

Shapes: n rows, d units, G true features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import numpy_generator
from analysis.instruments.superposition import train_superposition

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Toy:
    """Rows and what they are made of.

    Attributes:
        activations: float64[n, d].
        features: float64[G, d], the true directions, or None where there are none.
        fvu_floor: The smallest FVU that knowledge of the features allows; 0 where rows are exact sums of them.
    """

    activations: Floats
    features: Floats | None
    fvu_floor: float = 0.0


def planted_features(
    *, num_rows: int, seed: int, num_units: int = 32, num_features: int = 64, num_active: float = 3.0,
    ratio: float = 0.98,
) -> Toy:  # fmt: skip
    """The planted positive: sums of few out of more directions than units (Sharkey, Braun & Millidge 2022).

    Feature i is present with probability proportional to ratio^i, independently, `num_active` being present on
    average; its strength is uniform in [0, 1].
    """
    stream = numpy_generator(seed, "sparse toys", "planted")
    directions = stream.standard_normal((num_features, num_units))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    weight = ratio ** np.arange(num_features)
    probability = np.minimum(weight * num_active / weight.sum(), 1.0)
    present = stream.random((num_rows, num_features)) < probability
    return Toy((present * stream.random((num_rows, num_features))) @ directions, directions)


def superposed_features(
    *, num_rows: int, seed: int, num_units: int = 12, num_features: int = 32, presence: float = 0.04
) -> Toy:
    """More features than units as a network learned to hold them (`superposition`), at rows where any is present.

    Trained on equal features, each gets num_units / num_features of a dimension.
    """
    network = train_superposition(
        num_features=num_features, num_units=num_units, presence=presence, seed=seed, num_restarts=1, num_steps=1500
    )
    stream = numpy_generator(seed, "sparse toys", "superposed")
    strengths = (stream.random((num_rows, num_features)) < presence) * stream.random((num_rows, num_features))
    columns = network.weights.T
    return Toy(strengths[strengths.any(axis=1)] @ columns, columns / np.linalg.norm(columns, axis=1, keepdims=True))


def dozen_gaussians(
    *, num_rows: int, seed: int, num_units: int = 32, num_centres: int = 12, deviation: float = 0.3
) -> Toy:
    """The comments' control: clusters about centres drawn from N(0, I); the right answer is as many as there are."""
    stream = numpy_generator(seed, "sparse toys", "gaussians")
    centres = stream.standard_normal((num_centres, num_units))
    chosen = centres[stream.integers(num_centres, size=num_rows)]
    between = float(((centres - centres.mean(axis=0)) ** 2).sum(axis=1).mean())
    within = num_units * deviation**2
    rows = chosen + deviation * stream.standard_normal((num_rows, num_units))
    return Toy(rows, centres - centres.mean(axis=0), within / (between + within))


def random_points(*, num_rows: int, seed: int, num_units: int = 2) -> Toy:
    """The comments' control: uniform points of the unit square or cube; the right answer is the d axes, by ICA."""
    stream = numpy_generator(seed, "sparse toys", "points", num_units)
    return Toy(stream.random((num_rows, num_units)), None)


def isotropic_noise(*, num_rows: int, seed: int, num_units: int = 32) -> Toy:
    """The planted null: N(0, I), in which no direction differs from any other."""
    return Toy(numpy_generator(seed, "sparse toys", "noise").standard_normal((num_rows, num_units)), None)


def shuffled_coordinates(activations: Floats, *, seed: int) -> Floats:
    """Every column in a random order of its own: each unit keeps its distribution, and what units share is gone."""
    stream = numpy_generator(seed, "sparse toys", "shuffle")
    return stream.permuted(activations, axis=0)


def matched_noise(activations: Floats, *, num_rows: int, seed: int) -> Floats:
    """Normal rows with the mean and the covariance of activations [n, d], float64[num_rows, d]."""
    stream = numpy_generator(seed, "sparse toys", "matched noise")
    mean = activations.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(activations, rowvar=False).reshape(len(mean), len(mean)))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(mean + stream.standard_normal((num_rows, len(mean))) @ root.T)
