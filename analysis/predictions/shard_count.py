"""T13, number of shards: into how many parts does V fall by itself?

Shapes: N states, U live units, k clusters.

Two units are near when they are at work in the same states: the affinity is the cosine of |u_i| and |u_j| over states,
so that neither a unit's sign nor its scale matters. The units are split into two halves at random; each half is
clustered by its affinities (normalised spectral clustering), and each clustering labels the other half's units by the
cluster to which their mean affinity is largest. Stability is the agreement of a half's own labels with those,
    S(k) = E[adjusted Rand index(own labels, foreign labels)] over `NUM_SPLITS` splits,
    K* = the k in 2..`MAX_PARTS` with the largest S (ties: the smallest k).
Halving states instead would tell nothing: all units are seen on thousands of states, so that every k is stable. The
k-means of `parts` was tried first: it puts units of one part but opposite sign apart, and miscounts POS (5 of 4).
Source: clustering by replication (Breckenridge 1989; Lange et al. 2004; Tibshirani & Walther 2005); spectral clustering
after Ng, Jordan & Weiss (2002); the adjusted Rand index (Hubert & Arabie 1985) is 0 on average for unrelated labels.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.predictions.parts import Floats, Ints, live_units
from analysis.predictions.prediction import Prediction

MAX_PARTS = 12
NUM_SPLITS = 10
ENOUGH = 0.5

PREDICTION = Prediction(
    key="T13",
    question="Does V fall by itself into as many parts as there are needs?",
    world="ValueLab/MultiNeed-v0",
    actor="none",
    metric="1 if K* is the number of needs and S(K*) >= 0.5, else 0; K*: the number of clusters of units by "
    "co-activation that is most stable over halves of the units, S its adjusted Rand index",
    margin=0.1,
    family="exploratory",
    positive="POS with 2, 4 and 8 disjoint experts",
    null="NEG-F: the same function, every unit pushed to serve all contexts alike; RAND: an untrained net",
    rule="estimate with a 95 % interval over seeds; read only if POS - NEG-F has a lower 90 % bound of at least "
    "0.5, RAND - NEG-F lies within 0.1 and POS's means fall with the leak of its gate",
    does_not_show="how many shards there are where S is low: K* is then the best of several bad numbers; nor that "
    "parts are made of whole units",
    version=2,
)

PREDICTION_KNOWN = dataclasses.replace(
    PREDICTION,
    key="T13-known",
    question="Are the parts of POS with 2 and with 8 needs counted right?",
    world="ValueLab/MultiNeed-Objects8-v0",
    does_not_show="anything of other arms: it calibrates T13",
)


@dataclasses.dataclass(frozen=True)
class PartCount:
    """The number of parts by stability.

    Attributes:
        best: K*.
        stability: k -> S(k), for k = 2..; at most 1, about 0 where clusters are not reproduced.
    """

    best: int
    stability: dict[int, float]

    def found(self, expected: int) -> float:
        """1.0 if K* is the expected number and its stability is at least `ENOUGH`, else 0.0."""
        return float(self.best == expected and self.stability[self.best] >= ENOUGH)


def count_parts(contributions: Floats, *, seed: int) -> PartCount:
    """Choose the number of parts by stability over halves of the units.

    Args:
        contributions: u, float[N, U], finite, with at least eight live units.
        seed: Of the splits and of k-means; from a named stream.

    Returns:
        K* among 2..`MAX_PARTS`, or up to half the units of a half where that is less.

    Raises:
        ValueError: Fewer than eight live units.
    """
    affinity = _affinity(contributions)
    num_units = len(affinity)
    if num_units < 8:
        raise ValueError(f"{num_units} units are alive; two halves of at least 4 are needed to count parts.")
    rng = np.random.default_rng(seed)
    splits = [rng.permutation(num_units) for _ in range(NUM_SPLITS)]
    counts = range(2, min(MAX_PARTS, num_units // 4) + 1)
    stability = {k: float(np.mean([_agreement(affinity, order, k, rng=rng) for order in splits])) for k in counts}
    return PartCount(max(stability, key=lambda k: stability[k]), stability)


def _affinity(contributions: Floats) -> Floats:
    """Cosines of |u| over states for the live units, float[U, U] in [0, 1]."""
    size = np.abs(contributions[:, live_units(contributions)])
    size = size / np.linalg.norm(size, axis=0)
    return np.asarray(size.T @ size)


def _agreement(affinity: Floats, order: Ints, num_parts: int, *, rng: np.random.Generator) -> float:
    """Mean ARI of the two halves' own labels with those that the other half's clusters give them."""
    from sklearn.metrics import adjusted_rand_score

    half = len(affinity) // 2
    one, two = order[:half], order[half:]
    labels = [spectral_labels(affinity[np.ix_(units, units)], num_parts, rng=rng) for units in (one, two)]
    across = affinity[np.ix_(one, two)]
    foreign = _nearest(across, labels[1], num_parts), _nearest(across.T, labels[0], num_parts)
    return float(adjusted_rand_score(foreign[0], labels[0]) + adjusted_rand_score(foreign[1], labels[1])) / 2.0


def spectral_labels(affinity: Floats, num_parts: int, *, rng: np.random.Generator) -> Ints:
    """Normalised spectral clustering: k-means on the rows, scaled to length 1, of the leading eigenvectors.

    Args:
        affinity: W, float[U, U], symmetric, at least 0, with positive row sums.
        num_parts: k, at most U.
        rng: Draws the starts of k-means.

    Returns:
        int[U] in 0..k-1. Groups without affinity between them (k of them) are found exactly.
    """
    from sklearn.cluster import KMeans

    scale = np.sqrt(affinity.sum(axis=1))
    vectors = np.linalg.eigh(affinity / scale / scale[:, None])[1][:, -num_parts:]
    rows = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    fit = KMeans(n_clusters=num_parts, n_init=3, random_state=int(rng.integers(2**31))).fit(rows)
    return np.asarray(fit.labels_, dtype=np.int64)


def _nearest(across: Floats, labels: Ints, num_parts: int) -> Ints:
    """The cluster of `labels` int[V] to which each row of affinities float[U, V] is nearest on average."""
    member = labels[:, None] == np.arange(num_parts)
    return np.asarray((across @ member / np.maximum(member.sum(axis=0), 1)).argmax(axis=1))
