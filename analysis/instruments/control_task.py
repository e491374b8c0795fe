"""The control task of a probe: one random but fixed label per state (Hewitt and Liang 2019, arXiv 1909.03368).

A probe that scores as well on the control task as on the real one has memorised states; it has not read a concept.

Shapes: n rows, K classes.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.errors import UserError

Ints = NDArray[np.int64]


def state_ids(states: ArrayLike, *, num_rows: int) -> Ints:
    """Names each row's state by an integer that depends on the state alone, not on the sample.

    Args:
        states: int[n] ids, taken as they are, or rows [n, ...] of numbers, hashed (BLAKE2b, 8 bytes).
        num_rows: n, for the length check.

    Returns:
        int64[n].

    Raises:
        UserError: Another length than n.
    """
    array = np.asarray(states)
    if array.ndim == 0 or len(array) != num_rows:
        raise UserError(
            f"states have shape {array.shape}, but there are {num_rows} rows; give one state id or one row per label"
        )
    if array.ndim == 1 and array.dtype.kind in "iub":
        return array.astype(np.int64)
    # Adding 0 turns -0.0 into 0.0, which compares equal but has other bytes.
    flat = np.ascontiguousarray(array.reshape(num_rows, -1) + 0)
    unique, index = np.unique(flat, axis=0, return_inverse=True)
    names = [
        int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8).digest(), "little", signed=True) for row in unique
    ]
    return np.asarray(names, dtype=np.int64)[index.reshape(-1)]


def control_labels(types: Ints, labels: Ints, *, stream: np.random.Generator) -> Ints:
    """Draws one label per type, independent of everything else, with the task's label frequencies.

    label(type) = F^-1(u(type, key)), with F the cumulative label frequencies over rows and u a 64-bit hash as a
    fraction of 2^64. The same type gets the same label in any sample under the same key.

    Args:
        types: int64[n], what carries a label: state ids, or agent cell and context.
        labels: int64[n], the task's labels, classes 0..K-1.
        stream: Gives the key.

    Returns:
        int64[n]. Every class of the task occurs.

    Raises:
        UserError: 100 keys in a row left out a class, as happens with very few types.
    """
    frequencies = np.bincount(labels) / len(labels)
    cuts = np.cumsum(frequencies)[:-1]
    for _ in range(100):
        drawn = np.searchsorted(cuts, _uniform(types, key=int(stream.integers(2**63))), side="right").astype(np.int64)
        if len(np.unique(drawn)) == len(frequencies):
            return drawn
    raise UserError(
        f"the control task has {len(np.unique(types))} distinct states for {len(frequencies)} classes, too few to give "
        "every class a random label; collect more states"
    )


def control_numbers(types: Ints, targets: NDArray[np.float64], *, stream: np.random.Generator) -> NDArray[np.float64]:
    """Draws one of the task's own numbers per type, as `control_labels` draws labels: float64[n]."""
    place = _uniform(types, key=int(stream.integers(2**63))) * len(targets)
    return np.asarray(np.sort(targets)[place.astype(np.int64)])


def _uniform(types: Ints, *, key: int) -> NDArray[np.float64]:
    """Hashes ids to [0, 1) with the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    z = types.astype(np.uint64) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.asarray((z >> np.uint64(11)).astype(np.float64) * 2.0**-53)
