"""T14, weight n-cut: does V's graph of weights fall into clusters that hang together?

Shapes: n units, k clusters.

Units are nodes, |weight| between two of them is the edge; the graph is cut into as many clusters as there are contexts
by spectral clustering. With cut(S) the weight that leaves cluster S and vol(S) the sum of its units' degrees,
    n-cut = sum over clusters of cut(S) / vol(S)     in [0, k];
the score compares it with networks whose weights are shuffled within each layer:
    score = 1 - n-cut / mean n-cut of shuffles.
Source: Filan, Casper, Hod, Wild, Critch & Russell (2021), "Clusterability in neural networks", arXiv 2103.03386.

It is a description only. Neither a low n-cut nor one below the shuffles' says what the clusters compute, and the known
sharded network need not have one: its experts share the encoder that the graph is made of.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import eigh

from analysis.predictions.parts import Floats, Ints
from analysis.predictions.prediction import Prediction

NUM_SHUFFLES = 20

PREDICTION = Prediction(
    key="T14",
    question="Does the graph of V's weights fall into clusters more than shuffled weights do?",
    world="ValueLab/MultiNeed-v0",
    actor="none",
    metric="1 - n-cut / mean n-cut of the same weights shuffled within each layer, one cluster for each context",
    margin=0.1,
    family="exploratory",
    positive="POS: disjoint experts behind an oracle gate",
    null="NEG-F: the same function, every unit serves all contexts alike; RAND: an untrained net",
    rule="a description with a 95 % interval over seeds; read only if POS - NEG-F has a lower 90 % bound of at least "
    "0.5, RAND - NEG-F lies within 0.1 and POS's means fall with the leak of its gate, which is not to be expected",
    does_not_show="that V has parts, or has none: weights say nothing of what is active together, and a cut that is "
    "better than chance comes with training on anything",
)


def weight_graph(weights: Sequence[Floats]) -> Floats:
    """|weights| of a chain of layers as a symmetric matrix float[n, n], n the units of all layers, inputs first.

    Args:
        weights: float[out, in] of each layer; the units in of one are the units out of the layer before.

    Raises:
        ValueError: layers that do not fit each other.
    """
    sizes = [weights[0].shape[1], *(layer.shape[0] for layer in weights)]
    if any(layer.shape[1] != size for layer, size in zip(weights, sizes, strict=False)):
        raise ValueError(f"layers of shapes {[layer.shape for layer in weights]} are no chain.")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    graph = np.zeros((starts[-1], starts[-1]))
    for index, layer in enumerate(weights):
        inner, outer = (slice(starts[at], starts[at + 1]) for at in (index, index + 1))
        graph[outer, inner], graph[inner, outer] = np.abs(layer), np.abs(layer).T
    return graph


def n_cut(graph: Floats, labels: Ints) -> float:
    """Sum over clusters of the weight that leaves a cluster over its volume; a cluster without weight counts as 0."""
    degrees = graph.sum(axis=1)
    total = 0.0
    for cluster in np.unique(labels):
        inside = labels == cluster
        volume = float(degrees[inside].sum())
        total += float(graph[np.ix_(inside, ~inside)].sum()) / volume if volume > 0 else 0.0
    return total


def spectral_clusters(graph: Floats, num_clusters: int, *, seed: int) -> Ints:
    """Clusters int[n] by k-means on the first eigenvectors of the normalised Laplacian (Shi & Malik 2000).

    Units without any weight go to cluster 0.
    """
    from sklearn.cluster import KMeans

    degrees = graph.sum(axis=1)
    alive = degrees > 0
    scale = 1.0 / np.sqrt(degrees[alive])
    similar = graph[np.ix_(alive, alive)] * scale[:, None] * scale[None, :]
    size = len(similar)
    vectors = eigh(similar, subset_by_index=(size - num_clusters, size - 1))[1] * scale[:, None]
    labels = np.zeros(len(graph), dtype=np.int64)
    labels[alive] = KMeans(num_clusters, n_init=10, random_state=seed).fit_predict(vectors)
    return labels


def clusterability(weights: Sequence[Floats], num_clusters: int, *, seed: int) -> dict[str, float]:
    """The score, the network's n-cut and the shuffles' mean.

    Args:
        weights: float[out, in] of each layer of a chain.
        num_clusters: At least 2.
        seed: Of shuffles and clusters.
    """
    rng = np.random.default_rng(seed)
    own = _cut(weights, num_clusters, seed=seed)
    shuffled = [
        _cut([rng.permuted(layer.ravel()).reshape(layer.shape) for layer in weights], num_clusters, seed=seed)
        for _ in range(NUM_SHUFFLES)
    ]
    mean = float(np.mean(shuffled))
    return {"score": 1.0 - own / mean, "n_cut": own, "n_cut_shuffled": mean}


def _cut(weights: Sequence[Floats], num_clusters: int, *, seed: int) -> float:
    graph = weight_graph(weights)
    return n_cut(graph, spectral_clusters(graph, num_clusters, seed=seed))
