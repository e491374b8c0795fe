"""Contributions whose tails and sums are known: what `tails` must find, and what it must not.

Shapes: n rows, d contributions.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def many_small_independent(num_rows: int, num_units: int, *, stream: np.random.Generator) -> Floats:
    """The positive of all three words: independent Laplace units, beta = 1, of one scale; n_eff = d and R = 1."""
    return stream.laplace(size=(num_rows, num_units))


def copies_of_one(num_rows: int, num_units: int, *, stream: np.random.Generator) -> Floats:
    """The null of independence: one normal unit d times; n_eff = d, but R = d."""
    return np.repeat(stream.normal(size=(num_rows, 1)), num_units, axis=1)


def normal_of_many_scales(num_rows: int, num_units: int, *, stream: np.random.Generator) -> Floats:
    """The null of heavy tails, and the trap: normal units of lognormal(.7) scales, whose pooled values look like t."""
    return stream.normal(size=(num_rows, num_units)) * stream.lognormal(0.0, 0.7, size=num_units)


def one_large(num_rows: int, num_units: int, *, stream: np.random.Generator) -> Floats:
    """The null of small: independent normal units, the first with 99 % of the variance; n_eff near 1, R = 1."""
    values = stream.normal(size=(num_rows, num_units))
    values[:, 0] *= np.sqrt(99.0 * (num_units - 1))
    return values


PLANTS: MappingProxyType[str, Callable[..., Floats]] = MappingProxyType(
    {
        "many small independent, Laplace": many_small_independent,
        "null: copies of one, normal": copies_of_one,
        "null: one large, normal": one_large,
        "null: many scales, normal": normal_of_many_scales,
    }
)
