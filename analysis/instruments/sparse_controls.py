"""Planted controls of sparse features: data on which the answer is known, and which tools are easily fooled by.

Shapes: K features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.instruments import sparse_baselines as baselines
from analysis.instruments.sparse_agreement import MARGIN
from analysis.instruments.sparse_autoencoder import AutoencoderSettings
from analysis.instruments.sparse_data import SparseData, split_by_state, split_data
from analysis.instruments.sparse_fits import Fit, alive_dictionary, fit_autoencoders, reconstruction_of
from analysis.instruments.sparse_metrics import matched_cosine, mean_max_cosine, unexplained
from analysis.instruments.sparse_toys import (
    Toy,
    dozen_gaussians,
    isotropic_noise,
    planted_features,
    random_points,
    superposed_features,
)
from analysis.instruments.superposition import feature_dimensions

Floats = NDArray[np.float64]
Outcome = Mapping[str, float]


@dataclass(frozen=True)
class Control:
    """A data set with a known answer.

    Attributes:
        name: What it is.
        must: What must come out, in words.
        compute: Numbers by name; always the same ones.
        holds: Whether they are as they must be.
    """

    name: str
    must: str
    compute: Callable[[], Outcome]
    holds: Callable[[Outcome], bool]


def controls() -> tuple[Control, ...]:
    """The planted positives, the comments' controls, and the planted null."""
    return (
        Control(
            "planted features (positive)", "found, by every seed",
            _planted, lambda o: o["true found"] >= 0.95 and o["excess"] >= MARGIN,
        ),
        Control(
            "superposition by a network (positive)", "its 32 features in 12 units found, each with 3/8 of a dimension",
            _superposed,
            lambda o: o["true found"] >= 0.95 and o["excess"] >= MARGIN and abs(o["least dimension"] - 0.375) < 0.03,
        ),
        Control(
            "a dozen Gaussians", "TopK 1 gives twelve features, all true; L1 several times as many, most of them false",
            _gaussians, lambda o: o["distinct"] == 12 and o["learned true"] >= 0.95 > 0.9 > o["learned true, L1"],
        ),
        Control(
            "random points in the unit square", "no features; ICA finds the axes",
            lambda: _points(2, num_features=16), lambda o: o["excess"] < MARGIN and o["axes found by ICA"] > 0.99,
        ),
        Control(
            "random points in the cube of 8 dimensions", "no features; ICA finds the axes",
            lambda: _points(8, num_features=64), lambda o: o["excess"] < MARGIN and o["axes found by ICA"] > 0.99,
        ),
        Control(
            "isotropic noise (null)", "no features; better than PCA all the same, and better still in training",
            _noise, lambda o: o["excess"] < MARGIN and o["unexplained, trained on"] + 0.1 < o["unexplained"],
        ),
    )  # fmt: skip


def toy_data(activations: Floats) -> SparseData:
    """A toy's rows, every one a state of its own, a quarter of them held out."""
    states = np.arange(len(activations))
    return split_data(activations, states, held_out=split_by_state(states, share=0.25, seed=0))


def _fitted(data: SparseData, settings: AutoencoderSettings) -> Fit:
    return fit_autoencoders(data, [settings], num_seeds=2, num_noise_seeds=2, seed=0)[0]


def _numbers(fit: Fit) -> dict[str, float]:
    agreement = fit.agreement
    return {
        "alive": fit.num_alive,
        "distinct": fit.num_distinct,
        "unexplained, trained on": fit.unexplained_train,
        "unexplained": fit.reconstruction.unexplained,
        "active": fit.reconstruction.num_active,
        "cosine between seeds": agreement.cross_seed,
        "of noise": agreement.noise,
        "excess": agreement.excess,
    }


def _truth(toy: Toy, fit: Fit, data: SparseData) -> dict[str, float]:
    """How many of the true features were learned, and how many of the learned ones are true."""
    assert toy.features is not None
    alive = alive_dictionary(fit.models[0], fit.models[0].encode(data.test))
    return {
        "true found": mean_max_cosine(toy.features, alive),
        "learned true": mean_max_cosine(alive, toy.features),
        "matched": matched_cosine(toy.features, alive),
    }


def _planted() -> Outcome:
    toy = planted_features(num_rows=6000, seed=0)
    data = toy_data(toy.activations)
    fit = _fitted(data, AutoencoderSettings(128, num_active=3))
    return _numbers(fit) | _truth(toy, fit, data)


def _superposed() -> Outcome:
    toy = superposed_features(num_rows=6000, seed=0)
    data = toy_data(toy.activations)
    fit = _fitted(data, AutoencoderSettings(64, num_active=2))
    assert toy.features is not None
    return _numbers(fit) | _truth(toy, fit, data) | {"least dimension": float(feature_dimensions(toy.features.T).min())}


def _gaussians() -> Outcome:
    toy = dozen_gaussians(num_rows=6000, seed=0)
    data = toy_data(toy.activations)
    # Small steps: large ones leave now and then two features that share a cluster.
    slow = AutoencoderSettings(64, num_active=1, learning_rate=1e-3)
    single, many = _fitted(data, slow), _fitted(data, AutoencoderSettings(64, penalty=0.18))
    centres = baselines.nearest_centres(data.train, num_features=12, seed=0)
    of_many = _numbers(many) | _truth(toy, many, data)
    return _numbers(single) | _truth(toy, single, data) | {f"{name}, L1": value for name, value in of_many.items()} | {
        "floor of unexplained": toy.fvu_floor,
        "unexplained by k-means": unexplained(data.test, centres.decode(centres.encode(data.test))),
    }  # fmt: skip


def _points(num_units: int, *, num_features: int) -> Outcome:
    data = toy_data(random_points(num_rows=3000, seed=0, num_units=num_units).activations)
    fit = _fitted(data, AutoencoderSettings(num_features, penalty=0.05))
    sources = baselines.independent_components(data.train, num_active=num_units, seed=0)
    return _numbers(fit) | {"axes found by ICA": float(np.abs(sources.dictionary).max(axis=0).min())}


def _noise() -> Outcome:
    data = toy_data(isotropic_noise(num_rows=2000, seed=0).activations)
    fit = _fitted(data, AutoencoderSettings(128, num_active=4))
    directions = reconstruction_of(baselines.principal_components(data.train, num_active=4), data)
    return _numbers(fit) | {"unexplained by PCA 4": directions.unexplained}
