"""Singular directions of a layer: what it reads, how much it amplifies that, and where it writes it.

    W h = Σ_i gain_i · write_i (read_i · h),    the singular value decomposition of W.

Eigenvectors do not have this meaning: W = ½[[1, 1], [1, 1]] sends e_1 and e_2 to the same vector, and reads one thing
alone, (1, 1)/√2. The last layer of a value head, w·h, has rank 1 and one read direction; what is worth decomposing are
hidden layers, and what one layer writes against what the next one reads (`alignment`).

Which directions matter is decided by scoring all of them by one automatic criterion against a null
(`singular_ablation`, `singular_null`), not by picking those that look like something.

Shapes: m outputs, d inputs, r directions, n rows of data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.instruments.arrays import finite_matrix
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEAR = 0.05
"""Neighbouring gains that differ by less than this share count as equal."""


@dataclass(frozen=True, eq=False)
class SingularDirections:
    """Directions of a layer, by descending gain.

    Attributes:
        read: float64[r, d]; the largest entry of each is positive, which fixes the sign of `write` as well.
        gain: float64[r], ≥ 0.
        write: float64[r, m], orthonormal.
        groups: int64[r], from 0 upwards. Directions whose gains lie within `NEAR` of their neighbour's share a group,
            and only the span of a group is defined: the smallest noise turns vectors within it.
    """

    read: Floats
    gain: Floats
    write: Floats
    groups: Ints

    def __len__(self) -> int:
        """Number of directions r."""
        return len(self.gain)

    def top(self, count: int) -> SingularDirections:
        """The directions of the `count` largest gains, and the rest of the group that this would cut in two."""
        kept = int((self.groups <= self.groups[min(count, len(self)) - 1]).sum())
        return SingularDirections(self.read[:kept], self.gain[:kept], self.write[:kept], self.groups[:kept])

    def activity(self, features: Floats) -> Floats:
        """How strongly each direction is read, read_i · h, float64[n, r] for features float64[n, d]."""
        return features @ self.read.T


def singular_directions(weight: ArrayLike) -> SingularDirections:
    """Decomposes a layer as it stands, whatever data passes through it.

    Normalisation between the features and the layer, h ↦ scale ∘ h, is folded in by giving weight · scale.

    Args:
        weight: float[m, d], as `torch.nn.Linear` keeps it; or float[m, c, k, k] of a convolution, whose directions are
            patches [c, k, k] laid flat.

    Returns:
        All min(m, d) directions; `read` is orthonormal. Directions of gain 0 are read and write at no gain: they span
        what the layer is blind to, and form one group.

    Raises:
        UserError: A weight of another shape, not finite, or all 0.

    Source: Millidge & Black (2022), "The Singular Value Decompositions of Transformer Weight Matrices are Highly
    Interpretable". They read directions in the space of tokens; here there are grid cells (`singular_maps`).

    Cannot show: that the network uses a direction on the states that occur (`data_weighted_directions`), nor that V
    depends on it (`singular_ablation`).
    """
    array = np.asarray(weight, dtype=np.float64)
    matrix = _some_weight(array.reshape(len(array), -1) if array.ndim == 4 else array)
    write, gain, read = np.linalg.svd(matrix, full_matrices=False)
    return _oriented(read, gain, write.T, zero=_rounding(matrix, gain))


def data_weighted_directions(weight: ArrayLike, features: ArrayLike) -> SingularDirections:
    """Decomposes what a layer does to the data: the singular values and left vectors of W Σ^½, Σ = Cov(h).

        W (h − mean) = Σ_i gain_i · write_i (read_i · (h − mean)),    read_i = Wᵀ write_i / gain_i.

    The reads are scaled to unit variance over the data, so that gain_i is the standard deviation of what is written
    along write_i; as covectors they need not be orthogonal. The decomposition of W alone ignores where the data lies,
    and may rank first what never varies.

    Args:
        weight: float[m, d].
        features: float[n, d], the h that the layer reads.

    Returns:
        The directions of positive gain, at most min(m, d, n − 1).

    Raises:
        UserError: Shapes that do not fit each other, values that are not finite, or a layer whose output is constant.
    """
    matrix, rows = _some_weight(weight), finite_matrix("features", features, min_rows=2)
    if matrix.shape[1] != rows.shape[1]:
        raise UserError(f"the weight reads {matrix.shape[1]} features, but the data has {rows.shape[1]}; give its own")
    variance, axes = np.linalg.eigh(np.atleast_2d(np.cov(rows, rowvar=False)))
    root = (axes * np.sqrt(np.clip(variance, 0.0, None))) @ axes.T
    write, gain, _ = np.linalg.svd(matrix @ root, full_matrices=False)
    # Σ is known up to rounding of its largest entries, and its root only up to the square root of that.
    zero = float(np.linalg.norm(matrix, 2) * np.sqrt(variance[-1].clip(0.0) * np.finfo(np.float64).eps * len(root)))
    kept = int((gain > zero).sum())
    if not kept:
        raise UserError("what the layer writes is constant over these features; give states on which it varies")
    read = (matrix.T @ write[:, :kept] / gain[:kept]).T
    return _oriented(read, gain[:kept], write[:, :kept].T, zero=0.0)


def alignment(first: SingularDirections, second: SingularDirections) -> Floats:
    """|write_i of one layer · read_j of the next|, float64[r, r'].

    In [0, 1] for directions of the weights alone: 1 where the next layer reads exactly what the first one writes, about
    √(2/(π d)) for unrelated directions of d features.

    Raises:
        UserError: The second layer does not read what the first one writes.
    """
    if first.write.shape[1] != second.read.shape[1]:
        raise UserError(
            f"the first layer writes {first.write.shape[1]} features and the second reads {second.read.shape[1]}; "
            "give layers of which one feeds the other"
        )
    return np.abs(first.write @ second.read.T)


def interface_gain(first: ArrayLike, second: ArrayLike) -> float:
    """How much more one layer passes on of what the layer before writes than of anything: d |W₂ W₁|² / (|W₁|² |W₂|²).

    In squared Frobenius norms, d being the number of features between: 1 for unrelated layers on average, d where both
    have one direction and it is the same, 0 where the second is blind to what the first writes.

    Args:
        first: W₁, float[d, any].
        second: W₂, float[any, d].

    Raises:
        UserError: As `singular_directions`, or layers of which one does not feed the other.
    """
    writes, reads = _some_weight(first), _some_weight(second)
    if len(writes) != reads.shape[1]:
        raise UserError(
            f"the first layer writes {len(writes)} features and the second reads {reads.shape[1]}; give layers of "
            "which one feeds the other"
        )
    passed = float(np.square(reads @ writes).sum())
    return len(writes) * passed / (float(np.square(writes).sum()) * float(np.square(reads).sum()))


def effective_number(gains: ArrayLike) -> float:
    """(Σ gain²)² / Σ gain⁴: how many directions of equal gain would share the squared gains as these do."""
    squares = np.square(np.asarray(gains, dtype=np.float64))
    return float(squares.sum() ** 2 / np.square(squares).sum())


def near_groups(gains: Floats, *, zero: float = 0.0) -> Ints:
    """Numbers runs of descending gains in which each is at least (1 − `NEAR`) of the one before, int64[r].

    Gains up to `zero` are rounding and count as equal.
    """
    before, after = gains[:-1], gains[1:]
    apart = (after < (1.0 - NEAR) * before) & (before > zero)
    return np.concatenate([[0], np.cumsum(apart)]).astype(np.int64)


def _some_weight(weight: ArrayLike) -> Floats:
    """A weight that does something."""
    matrix = finite_matrix("the weight", weight)
    if not matrix.any():
        raise UserError("the weight is all 0, so it reads nothing; give a layer that was initialised")
    return matrix


def _rounding(matrix: Floats, gain: Floats) -> float:
    return float(gain[0] * max(matrix.shape) * np.finfo(np.float64).eps)


def _oriented(read: Floats, gain: Floats, write: Floats, *, zero: float) -> SingularDirections:
    """Makes the largest entry of each read positive; among entries equal up to rounding, the first one."""
    size = np.abs(read)
    place = (size >= size.max(axis=1, keepdims=True) * (1.0 - 1e-9)).argmax(axis=1)
    sign = np.where(read[np.arange(len(read)), place] < 0.0, -1.0, 1.0)[:, None]
    return SingularDirections(read * sign, gain, write * sign, near_groups(gain, zero=zero))
