"""What autoencoders are held against: PCA, ICA, k-means, and directions drawn at random.

Shapes: n rows, d units, K features.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning

from agents.seeding import derive_seed, numpy_generator
from analysis.executors import one_thread
from analysis.instruments.sparse_metrics import mean_max_cosine

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearCoder:
    """codes = (h - mean) A, of which the `num_active` that matter most are kept; h^ = codes D + mean.

    Attributes:
        mean: float64[d].
        analysis: A, float64[d, K].
        dictionary: D, float64[K, d], rows of length 1, so that the largest codes matter most.
        num_active: Codes kept in a row.
    """

    mean: Floats
    analysis: Floats
    dictionary: Floats
    num_active: int

    def encode(self, activations: Floats) -> Floats:
        """Signed codes, float64[n, K]."""
        codes = (activations - self.mean) @ self.analysis
        least = np.partition(np.abs(codes), -self.num_active, axis=1)[:, -self.num_active, None]
        return np.where(np.abs(codes) >= least, codes, 0.0)

    def decode(self, codes: Floats) -> Floats:
        """Reconstructed activations, float64[n, d]."""
        return np.asarray(codes @ self.dictionary + self.mean)


@dataclass(frozen=True, eq=False)
class CentreCoder:
    """The nearest of K centres: one code of 1 in a row.

    Attributes:
        mean: float64[d], of the rows that the centres were fitted on.
        centres: float64[K, d].
    """

    mean: Floats
    centres: Floats

    @property
    def dictionary(self) -> Floats:
        """Directions of the centres from the mean, float64[K, d]."""
        return _directions(self.centres - self.mean)

    def encode(self, activations: Floats) -> Floats:
        """One-hot codes, float64[n, K]."""
        distance = (self.centres**2).sum(axis=1) - 2.0 * activations @ self.centres.T
        return np.asarray(np.eye(len(self.centres))[distance.argmin(axis=1)])

    def decode(self, codes: Floats) -> Floats:
        """The centres, float64[n, d]."""
        return np.asarray(codes @ self.centres)


@dataclass(frozen=True, eq=False)
class PursuitCoder:
    """Matching pursuit (Mallat & Zhang 1993) with codes >= 0: the best direction takes its share, k times over.

    Attributes:
        mean: float64[d].
        dictionary: float64[K, d], rows of length 1.
        num_active: Most codes of a row.
    """

    mean: Floats
    dictionary: Floats
    num_active: int

    def encode(self, activations: Floats) -> Floats:
        """Codes, float64[n, K]."""
        rest = activations - self.mean
        codes, rows = np.zeros((len(rest), len(self.dictionary))), np.arange(len(rest))
        for _ in range(self.num_active):
            match = rest @ self.dictionary.T
            best = match.argmax(axis=1)
            share = np.maximum(match[rows, best], 0.0)
            codes[rows, best] += share
            rest = rest - share[:, None] * self.dictionary[best]
        return codes

    def decode(self, codes: Floats) -> Floats:
        """Reconstructed activations, float64[n, d]."""
        return np.asarray(codes @ self.dictionary + self.mean)


def principal_components(activations: Floats, *, num_active: int) -> LinearCoder:
    """The k directions of largest variance, all of them active: no k directions explain more."""
    mean = activations.mean(axis=0)
    directions = np.linalg.svd(activations - mean, full_matrices=False)[2][:num_active]
    return LinearCoder(mean, directions.T, directions, len(directions))


def independent_components(activations: Floats, *, num_active: int, seed: int) -> LinearCoder:
    """FastICA on the directions that carry variance, as many components as these; see `LinearCoder` for the codes.

    Source: Hyvärinen & Oja (2000), as scikit-learn fits it. Where it does not converge, which is usual for activations
    that are no mixture of independent sources, what it reached is taken.
    """
    singular = np.linalg.svd(activations - activations.mean(axis=0), compute_uv=False)
    reduced = principal_components(activations, num_active=int((singular > 1e-6 * singular[0]).sum()))
    ica = FastICA(whiten="unit-variance", max_iter=100, random_state=derive_seed(seed, "ica", bits=32))
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ica.fit(reduced.encode(activations))
    lengths = np.linalg.norm(ica.mixing_, axis=0)
    analysis = reduced.analysis @ ica.components_.T * lengths
    dictionary = (ica.mixing_ / lengths).T @ reduced.dictionary
    return LinearCoder(reduced.mean, analysis, dictionary, min(num_active, len(dictionary)))


def nearest_centres(activations: Floats, *, num_features: int, seed: int) -> CentreCoder:
    """k-means, the best of three starts."""
    with one_thread():
        fitted = KMeans(num_features, n_init=3, random_state=derive_seed(seed, "k-means", bits=32)).fit(activations)
    return CentreCoder(activations.mean(axis=0), np.asarray(fitted.cluster_centers_, dtype=np.float64))


def random_pursuit(activations: Floats, *, num_features: int, num_active: int, seed: int) -> PursuitCoder:
    """Nothing learned: directions drawn like the activations, and for each row the best k of them."""
    stream = numpy_generator(seed, "random dictionary")
    return PursuitCoder(
        activations.mean(axis=0), random_directions(num_features, like=activations, stream=stream), num_active
    )


def random_directions(num_features: int, *, like: Floats | int, stream: np.random.Generator) -> Floats:
    """Directions drawn at random: uniformly, or as normal rows with the covariance of some activations would point.

    Activations that vary in few directions make any two dictionaries alike. Drawing with their covariance is therefore
    the stricter null: it knows where the rows spread, and nothing of features.

    Args:
        num_features: K.
        like: d for uniform directions, or activations float64[n, d].
        stream: Of the draws.

    Returns:
        float64[K, d], rows of length 1.
    """
    if isinstance(like, int | np.integer):
        return _directions(stream.standard_normal((num_features, int(like))))
    covariance = np.cov(like, rowvar=False).reshape(like.shape[1], like.shape[1])
    values, vectors = np.linalg.eigh(covariance)
    scale = np.sqrt(np.maximum(values, 0.0))
    return _directions((stream.standard_normal((num_features, len(scale))) * scale) @ vectors.T)


def random_cosine(num_of: int, num_among: int, *, like: Floats | int, seed: int, num_draws: int = 10) -> float:
    """MMCS of `num_of` against `num_among` directions, both drawn by `random_directions`: its mean over draws."""
    stream = numpy_generator(seed, "random cosine")
    draws = [
        mean_max_cosine(*(random_directions(count, like=like, stream=stream) for count in (num_of, num_among)))
        for _ in range(num_draws)
    ]
    return float(np.mean(draws))


def _directions(vectors: Floats) -> Floats:
    """Rows of length 1, where they are not 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0))
