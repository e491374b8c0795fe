"""One kind of autoencoder over several seeds: how well it reconstructs, and whether its seeds find the same features.

Shapes: n rows to train on, m held-out rows, d units, K features, P parts of V.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import derive_seed
from analysis.instruments.held_out import uniform_over_states
from analysis.instruments.sparse_agreement import Agreement, agreement_of
from analysis.instruments.sparse_autoencoder import AutoencoderSettings, Coder, SparseAutoencoder
from analysis.instruments.sparse_data import SparseData
from analysis.instruments.sparse_metrics import (
    firing_rates,
    mean_active,
    num_distinct,
    recovered,
    recovered_policy,
    unexplained,
)
from analysis.instruments.sparse_toys import matched_noise
from analysis.instruments.sparse_training import train_autoencoders

Floats = NDArray[np.float64]


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
        num_distinct: Of these, after striking out those within a cosine of .9 of another.
        agreement: Of the seeds.
    """

    settings: AutoencoderSettings
    models: tuple[SparseAutoencoder, ...]
    reconstruction: Reconstruction
    unexplained_train: float
    loss_train: float
    loss_test: float
    num_alive: float
    num_distinct: float
    agreement: Agreement


def fit_autoencoders(
    data: SparseData, settings: Sequence[AutoencoderSettings], *, num_seeds: int, seed: int, num_noise_seeds: int = 0
) -> tuple[Fit, ...]:
    """Trains every setting from several seeds, all in one go, and measures them.

    Args:
        data: Rows on both sides of a split.
        settings: Of the fits, in this order.
        num_seeds: Autoencoders of a fit.
        seed: From which theirs are derived.
        num_noise_seeds: As many train on noise with the mean and covariance of the rows, as a baseline of agreement.
    """
    models = _trained(data.train, settings, num_seeds=num_seeds, seed=seed)
    num_rows = len(data.train)
    noise = matched_noise(data.train, num_rows=num_rows + len(data.test), seed=seed)
    blind = _trained(noise[:num_rows], settings, num_seeds=num_noise_seeds, seed=seed)
    return tuple(
        _fit(own, data, noise=[_alive(model, noise[num_rows:]) for model in others], seed=seed)
        for own, others in zip(models, blind, strict=True)
    )


def reconstruction_of(coder: Coder, data: SparseData) -> Reconstruction:
    """Codes the held-out rows and says what is left of them."""
    return _reconstruction(coder, coder.encode(data.test), data)


def alive_dictionary(model: Coder, codes: Floats) -> Floats:
    """Directions of the features that fire in some row of codes [m, K], float64[alive, d]."""
    return np.asarray(model.dictionary[firing_rates(codes) > 0])


def _reconstruction(coder: Coder, codes: Floats, data: SparseData) -> Reconstruction:
    h, read, decoded = data.test, data.readouts, coder.decode(codes)
    return Reconstruction(
        unexplained=unexplained(h, decoded),
        unexplained_uniform=unexplained(h, decoded, weights=uniform_over_states(data.test_states)),
        num_active=mean_active(codes),
        value=np.nan if read.value is None else float(recovered(h, decoded, readout=read.value)),
        parts=() if read.parts is None else tuple(recovered(h, decoded, readout=read.parts).tolist()),
        policy=np.nan if read.logits is None else recovered_policy(h, decoded, logits=read.logits),
    )


def _trained(
    activations: Floats, settings: Sequence[AutoencoderSettings], *, num_seeds: int, seed: int
) -> list[tuple[SparseAutoencoder, ...]]:
    """The seeds of every setting."""
    seeds = [derive_seed(seed, "sparse features", index) for index in range(num_seeds)]
    models = train_autoencoders(activations, [(each, one) for each in settings for one in seeds])
    return [tuple(models[index * num_seeds : (index + 1) * num_seeds]) for index in range(len(settings))]


def _alive(model: SparseAutoencoder, activations: Floats) -> Floats:
    return alive_dictionary(model, model.encode(activations))


def _fit(models: tuple[SparseAutoencoder, ...], data: SparseData, *, noise: Sequence[Floats], seed: int) -> Fit:
    """Measures the seeds of one setting."""
    train = [model.encode(data.train) for model in models]
    test = [model.encode(data.test) for model in models]
    alive = [alive_dictionary(model, codes) for model, codes in zip(models, test, strict=True)]
    settings = models[0].settings
    return Fit(
        settings=settings,
        models=models,
        reconstruction=_mean_of([_reconstruction(m, codes, data) for m, codes in zip(models, test, strict=True)]),
        unexplained_train=_mean(unexplained(data.train, m.decode(a)) for m, a in zip(models, train, strict=True)),
        loss_train=_mean(model.loss(data.train, codes) for model, codes in zip(models, train, strict=True)),
        loss_test=_mean(model.loss(data.test, codes) for model, codes in zip(models, test, strict=True)),
        num_alive=_mean(len(each) for each in alive),
        num_distinct=_mean(num_distinct(each) for each in alive),
        agreement=agreement_of(
            alive,
            noise=noise,
            like=data.train,
            features_per_state=settings.num_features / data.num_train_states,
            seed=seed,
        ),
    )


def _mean(numbers: Iterable[float]) -> float:
    return float(np.mean(list(numbers)))


def _mean_of(parts: Sequence[Reconstruction]) -> Reconstruction:
    """The mean over seeds, number by number."""
    rows = np.array([(p.unexplained, p.unexplained_uniform, p.num_active, p.value, p.policy) for p in parts])
    fvu, uniform, num_active, value, policy = rows.mean(axis=0).tolist()
    kept = tuple(np.mean([part.parts for part in parts], axis=0).tolist())
    return Reconstruction(fvu, uniform, num_active, value, kept, policy)
