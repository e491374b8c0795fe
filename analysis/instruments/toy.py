"""Data on which erasure and its probes can be seen to work, and to be fooled. All are drawn from a given generator.

A, B and C are counterexamples to "no linear probe reads it, so it is gone": classes with equal means (so that LEACE and
mean projection leave them as they are) which a threshold tells apart nevertheless. They are due to the notes by Fabien
Roger that this project answers. The pairs at the end are those on which a patch succeeds along a direction that the
readout does not read (Makelov, Lange & Nanda 2023, arXiv 2311.17030).

Shapes: n rows, d features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows with a class each.

    Attributes:
        features: float64[n, d].
        labels: int64[n], 0 or 1, equally frequent in expectation.
    """

    features: Floats
    labels: Ints


def two_point(num_rows: int, *, tail: float, stream: np.random.Generator) -> Labelled:
    """A: class 1 is +1 with probability 1 - e and -(1 - e) / e with probability e; class 0 is its mirror image.

    Both means are 0, and the threshold 0 is right with probability 1 - e. Translated to equal medians the classes are
    told apart with probability 0.5 + e / 2 only.

    Args:
        num_rows: n.
        tail: e in (0, 1/2).
        stream: Draws labels and tails.

    Returns:
        d = 1.
    """
    labels = stream.integers(2, size=num_rows)
    values = np.where(stream.random(num_rows) < tail, -(1.0 - tail) / tail, 1.0)
    return Labelled(np.where(labels == 1, values, -values)[:, None], labels)


def uniform_or_exponential(num_rows: int, *, width: float = 1.0, stream: np.random.Generator) -> Labelled:
    """B: class 0 is uniform on [0, a], class 1 exponential with the same mean a / 2.

    The threshold (a / 2) ln 2 is right with probability 3/4 - (ln 2) / 4 = .5767; at equal medians one is right with
    about .592, so that equal medians are not always better than equal means.

    Source: Cross Validated, question 266595.
    """
    labels = stream.integers(2, size=num_rows)
    uniform, exponential = stream.random(num_rows) * width, stream.exponential(width / 2.0, num_rows)
    return Labelled(np.where(labels == 1, exponential, uniform)[:, None], labels)


def two_point_in_noise(
    num_rows: int, *, tail: float = 0.1, num_features: int = 20, noise: float = 0.3, stream: np.random.Generator
) -> Labelled:
    """C: A in the first coordinate, N(0, noise²) in the others.

    Logistic regression is at chance and LEACE changes nothing, but clipping, a stump or a ramp loss reads 1 - e.
    """
    hidden = two_point(num_rows, tail=tail, stream=stream)
    others = stream.normal(scale=noise, size=(num_rows, num_features - 1))
    return Labelled(np.concatenate([hidden.features, others], axis=1), hidden.labels)


def shifted_normals(
    num_rows: int,
    *,
    num_features: int,
    shifts: ArrayLike = (),
    mixing: Floats | None = None,
    stream: np.random.Generator,
) -> Labelled:
    """The planted positive: N(±shift_j, 1) by class in the first coordinates, N(0, 1) in others. No shift: the null.

    The best linear readout is right with probability Φ(|shifts|), however the coordinates are mixed.

    Args:
        num_rows: n.
        num_features: d, at least the number of shifts.
        shifts: By coordinate.
        mixing: float64[d, d], multiplied from the right; correlated features of unlike scale.
        stream: Draws labels and noise.
    """
    labels = stream.integers(2, size=num_rows)
    features = stream.standard_normal((num_rows, num_features))
    given = np.asarray(shifts, dtype=np.float64)
    features[:, : len(given)] += np.outer(2 * labels - 1, given)
    return Labelled(features if mixing is None else features @ mixing, labels)


@dataclass(frozen=True, eq=False)
class Pairs:
    """States under one context and the same states under the other.

    Attributes:
        before: float64[n, d], concept +1 or -1.
        after: float64[n, d], the other one.
        labels: int64[n], 1 where `before` has concept +1.
    """

    before: Floats
    after: Floats
    labels: Ints


def concept_pairs(
    num_rows: int, *, num_features: int = 32, copy_scale: float = 0.0, stream: np.random.Generator
) -> Pairs:
    """Pairs whose concept stands in coordinate 0 and, as a copy, in coordinate 1, which `concept_value` does not read.

    Coordinate 0 is ±1 + N(0, .3²), drawn anew for each member of a pair. The others are the same in both: coordinate 1
    is N(0, 3²), or with a copy `copy_scale` times ±1, which differs, + N(0, .3²); the rest is N(0, 1).
    """
    labels = stream.integers(2, size=num_rows)
    signs = (2 * labels - 1).astype(np.float64)
    shared = stream.standard_normal((num_rows, num_features))
    shared[:, 1] *= 0.3 if copy_scale else 3.0
    members = []
    for concept in (signs, -signs):
        rows = shared.copy()
        rows[:, 0] = concept + 0.3 * stream.standard_normal(num_rows)
        rows[:, 1] += copy_scale * concept
        members.append(rows)
    return Pairs(members[0], members[1], labels)


def concept_value(features: Tensor) -> Tensor:
    """V = tanh(2 h_0) + .3 sin h_2: it reads the concept in coordinate 0 and nothing of coordinate 1."""
    return torch.tanh(2.0 * features[:, 0]) + 0.3 * torch.sin(features[:, 2])


def context_code(num_situations: int, *, is_linear: bool, stream: np.random.Generator) -> Floats:
    """Situations under two contexts, float64[M, 2, 32], whose first unit is the context's code.

    It is +-1 by context, or +-1 by context in half of the situations and -+1 in the others: a code that no linear map
    reads, as the means under both contexts are equal. Of a V that is this unit an eraser mediates all or nothing.
    """
    h = stream.standard_normal((num_situations, 1, 32)) + 0.5 * stream.standard_normal((num_situations, 2, 32))
    side = 1.0 if is_linear else np.where(np.arange(num_situations) % 2 == 0, 1.0, -1.0)[:, None]
    h[:, :, 0] = side * np.array([-1.0, 1.0]) + 0.25 * stream.standard_normal((num_situations, 2))
    return h
