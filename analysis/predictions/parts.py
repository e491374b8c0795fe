"""Parts of a value head, found by the same unlabelled pipeline in every arm.

Shapes: N states, U units (the head's last hidden layer), C contexts (and parts), R random partitions.

Unit j contributes u_j(s) = (part weight) x (output weight) x (activation), and sum_j u_j(s) + bias = V(s). Units are
clustered by the *columns* of the standardised contribution matrix: two units are alike when they rise and fall on the
same states, up to scale.

Seeds here are plain integers, which scikit-learn wants; callers draw them from a named stream (`agents.seeding`), since
those of neighbouring runs would meet. Streams of their own would change numbers that are published (`docs/first`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def live_units(contributions: Floats, *, tolerance: float = 1e-9) -> NDArray[np.bool_]:
    """Which units vary over the states: the others (dead units) belong to no part.

    Args:
        contributions: u, float[N, U].
        tolerance: A unit is dead when its standard deviation is at most this share of the largest one.

    Returns:
        bool[U].
    """
    deviation = contributions.std(axis=0)
    return np.asarray(deviation > tolerance * max(float(deviation.max()), np.finfo(float).tiny))


def find_parts(contributions: Floats, num_parts: int, *, seed: int, num_starts: int = 10) -> Ints:
    """Cluster the units by their standardised contribution columns (k-means, best of `num_starts` starts).

    Args:
        contributions: u, float[N, U], finite.
        num_parts: Number of clusters C.
        seed: Seeds the starts of k-means; from a named stream.
        num_starts: Starts; the lowest inertia is kept.

    Returns:
        int[U], the part 0..C-1 of each unit, -1 for a dead unit. If at most C units are alive, each is its own part.
    """
    from sklearn.cluster import KMeans

    alive = live_units(contributions)
    columns = contributions[:, alive]
    columns = ((columns - columns.mean(axis=0)) / columns.std(axis=0)).T
    parts = np.full(contributions.shape[1], -1, dtype=np.int64)
    if columns.shape[0] <= num_parts:
        parts[alive] = np.arange(columns.shape[0])
        return parts
    fit = KMeans(n_clusters=num_parts, n_init=num_starts, random_state=seed % 2**32).fit(columns)
    parts[alive] = fit.labels_
    return parts


def random_parts(parts: Ints, *, seed: int) -> Ints:
    """A random partition of the live units with the same part sizes: the null for any measure of parts."""
    alive = parts >= 0
    shuffled = parts.copy()
    shuffled[alive] = np.random.default_rng(seed).permutation(parts[alive])
    return shuffled


def part_contributions(contributions: Floats, parts: Ints, num_parts: int) -> Floats:
    """Sum the units of each part: float[N, C]."""
    indicator = parts[:, None] == np.arange(num_parts)[None, :]
    return np.asarray(contributions @ indicator.astype(np.float64))


def rotated(activations: Floats, output_weights: Floats, *, seed: int) -> Floats:
    """Unit contributions of the same V in a random orthogonal basis of its last hidden layer.

    u'_j = (Q w)_j (Q h)_j with Q drawn uniformly from the orthogonal group: their sum over j is w . h, hence V is the
    same in every state, while no unit of the new basis belongs to one part. What a measure of parts loses under Q hung
    on the basis that the network happens to be written in.

    Args:
        activations: h, float[N, U], gate weight x activation.
        output_weights: w, float[U].
        seed: Of Q; from a named stream.

    Returns:
        u', float[N, U].
    """
    from scipy.stats import ortho_group

    rotation = ortho_group.rvs(len(output_weights), random_state=np.random.default_rng(seed))
    return np.asarray((activations @ rotation.T) * (rotation @ output_weights))
