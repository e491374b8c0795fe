"""One kind of autoencoder over several seeds: how well it reconstructs, and whether its seeds find the same features.

Shapes: n rows to train on, m held-out rows, d units, K features, P parts of V.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agents.seeding import derive_seed
from analysis.instruments.held_out import uniform_over_states
from analysis.instruments.sparse_autoencoder import AutoencoderSettings, Coder, SparseAutoencoder
from analysis.instruments.sparse_baselines import random_cosine
from analysis.instruments.sparse_data import SparseData
from analysis.instruments.sparse_metrics import (
    cross_seed_cosine,
    firing_rates,
    mean_active,
    recovered,
    recovered_policy,
    unexplained,
)
from analysis.instruments.sparse_training import train_autoencoders

Floats = NDArray[np.float64]
MARGIN = 0.05
"""Seeds must agree by this much more than directions drawn at random before anything is called a feature."""


@dataclass(frozen=True)
class Reconstruction:
    """What is left of held-out rows after coding.

    Attributes:
        unexplained: FVU, each row counted once.
        unexplained_uniform: FVU, each distinct state counted once.
        num_active: L0.
        value: Share of V recovered (`sparse_metrics.recovered`); NaN where V is not known.
        parts: The same of each part of V; () where they are not known.
        policy: The same of D, by KL; NaN where D is not known.
    """

    unexplained: float
    unexplained_uniform: float
    num_active: float
    value: float
    parts: tuple[float, ...]
    policy: float


@dataclass(frozen=True, eq=False)
class Fit:
    """An autoencoder trained from several seeds. Numbers are means over seeds; the rows are the held-out ones.

    Attributes:
        settings: Shared by the seeds.
        models: One for each seed.
        reconstruction: Of held-out rows.
        unexplained_train: FVU of the rows trained on.
        loss_train: Training's own loss there, in units of the spread.
        loss_test: The same on held-out rows; far above `loss_train` it was the rows that were learned.
        num_alive: Features that fire on some held-out row.
        cross_seed: Mean over ordered pairs of seeds of the MMCS of alive features; NaN for one seed or a dead one.
        random_uniform: MMCS of as many directions drawn uniformly.
        random_shaped: MMCS of as many directions drawn with the covariance of the rows.
        features_per_state: K over distinct states trained on; from 1 upwards the dictionary can be a lookup table.
    """

    settings: AutoencoderSettings
    models: tuple[SparseAutoencoder, ...]
    reconstruction: Reconstruction
    unexplained_train: float
    loss_train: float
    loss_test: float
    num_alive: float
    cross_seed: float
    random_uniform: float
    random_shaped: float
    features_per_state: float

    @property
    def excess(self) -> float:
        """How much better seeds agree than directions drawn at random, by the stricter of the two ways of drawing."""
        return self.cross_seed - max(self.random_uniform, self.random_shaped)

    @property
    def has_features(self) -> bool:
        """Whether `excess` is at least `MARGIN`."""
        return bool(self.excess >= MARGIN)

    @property
    def verdict(self) -> str:
        """What the agreement of seeds says, in words."""
        if np.isnan(self.excess):
            return "no verdict: fewer than two seeds have a feature that fires"
        baseline = max(self.random_uniform, self.random_shaped)
        numbers = f"cosine between seeds {self.cross_seed:.2f}, of random directions {baseline:.2f}"
        if not self.has_features:
            return f"no features: {numbers}"
        table = f", but {self.features_per_state:.2g} features a state can be a lookup table"
        return f"seeds agree: {numbers}{table if self.features_per_state >= 1 else ''}"


def fit_autoencoders(
    data: SparseData, settings: Sequence[AutoencoderSettings], *, num_seeds: int, seed: int
) -> tuple[Fit, ...]:
    """Trains every setting from `num_seeds` seeds derived from `seed`, all in one go, and measures them."""
    seeds = [derive_seed(seed, "sparse features", index) for index in range(num_seeds)]
    models = train_autoencoders(data.train, [(each, one) for each in settings for one in seeds])
    grouped = [models[first : first + num_seeds] for first in range(0, len(models), num_seeds)]
    return tuple(_fit(tuple(group), data, seed=seed) for group in grouped)


def reconstruction_of(coder: Coder, data: SparseData) -> Reconstruction:
    """Codes the held-out rows and says what is left of them."""
    h, read = data.test, data.readouts
    codes = coder.encode(h)
    decoded = coder.decode(codes)
    return Reconstruction(
        unexplained=unexplained(h, decoded),
        unexplained_uniform=unexplained(h, decoded, weights=uniform_over_states(data.test_states)),
        num_active=mean_active(codes),
        value=np.nan if read.value is None else float(recovered(h, decoded, readout=read.value)),
        parts=() if read.parts is None else tuple(recovered(h, decoded, readout=read.parts).tolist()),
        policy=np.nan if read.logits is None else recovered_policy(h, decoded, logits=read.logits),
    )


def alive_dictionary(model: Coder, activations: Floats) -> Floats:
    """Directions of the features that fire on some row, float64[alive, d]."""
    return np.asarray(model.dictionary[firing_rates(model.encode(activations)) > 0])


def _fit(models: tuple[SparseAutoencoder, ...], data: SparseData, *, seed: int) -> Fit:
    """Measures the seeds of one setting."""
    alive = [alive_dictionary(model, data.test) for model in models]
    num_alive = float(np.mean([len(each) for each in alive]))
    compared = min(len(each) for each in alive) > 0 and len(alive) > 1
    draw = partial(random_cosine, round(num_alive), round(num_alive), seed=seed)
    return Fit(
        settings=models[0].settings,
        models=models,
        reconstruction=_mean_of([reconstruction_of(model, data) for model in models]),
        unexplained_train=float(np.mean([unexplained(data.train, m.decode(m.encode(data.train))) for m in models])),
        loss_train=float(np.mean([model.loss(data.train) for model in models])),
        loss_test=float(np.mean([model.loss(data.test) for model in models])),
        num_alive=num_alive,
        cross_seed=cross_seed_cosine(alive) if compared else np.nan,
        random_uniform=draw(like=data.train.shape[1]) if compared else np.nan,
        random_shaped=draw(like=data.train) if compared else np.nan,
        features_per_state=models[0].settings.num_features / data.num_train_states,
    )


def _mean_of(parts: Sequence[Reconstruction]) -> Reconstruction:
    """The mean over seeds, number by number."""
    rows = np.array([(p.unexplained, p.unexplained_uniform, p.num_active, p.value, p.policy) for p in parts])
    fvu, uniform, num_active, value, policy = rows.mean(axis=0).tolist()
    kept = tuple(np.mean([part.parts for part in parts], axis=0).tolist())
    return Reconstruction(fvu, uniform, num_active, value, kept, policy)
