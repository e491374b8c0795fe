"""Parts of a value head, found by the same unlabelled pipeline in every arm.

Shapes: N states, U units (the head's last hidden layer), C contexts (and parts), R random partitions.

Unit j contributes u_j(s) = (part weight) x (output weight) x (activation), and sum_j u_j(s) + bias = V(s). Units are
clustered by the *columns* of the standardised contribution matrix: two units are alike when they rise and fall on the
same states, up to scale.

Seeds here are plain integers, which scikit-learn wants; callers draw them from a named stream (`agents.seeding`), since
those of neighbouring runs would meet. Streams of their own would change numbers that are published (`docs/first`).
"""

from __future__ import annotations

import dataclasses

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


@dataclasses.dataclass(frozen=True)
class UnitReading:
    """V's last hidden layer over states, taken apart so that the same V can be read in other ways.

    Attributes:
        hidden: Activations, float[N, K, H].
        weights: Of the parts, float[N, K].
        output_weight: float[K, H].
    """

    hidden: Floats
    weights: Floats
    output_weight: Floats

    def contributions(self, *, leak: float = 0.0) -> Floats:
        """Contributions float[N, U] under part weights (1 - leak) w + leak/K; at 0 they add up to V less its bias."""
        weights = (1.0 - leak) * self.weights + leak / self.weights.shape[1]
        return np.asarray((weights[:, :, None] * self.output_weight * self.hidden).reshape(len(weights), -1))

    def rotated(self, *, seed: int) -> Floats:
        """Contributions of the same V in a random orthogonal basis of its last hidden layer, float[N, U].

        u'_j = (Q o)_j (Q h)_j with o the output weights, h the weighted activations, Q drawn uniformly from the
        orthogonal group: their sum over j is o . h, hence V is the same in every state, while no unit of the new basis
        belongs to one part. What a measure of parts loses hung on the basis that the network is written in.
        """
        from scipy.stats import ortho_group

        weighted, output = (self.weights[:, :, None] * self.hidden).reshape(len(self.hidden), -1), self.output_weight
        rotation = ortho_group.rvs(output.size, random_state=np.random.default_rng(seed))
        return np.asarray((weighted @ rotation.T) * (rotation @ output.ravel()))
