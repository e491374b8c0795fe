"""Sparse autoencoders: activations as sums of few directions out of many.

    codes  a = relu((h - b) E + c), of which TopK keeps the k largest
    output h^ = a D + b, the rows of D of length 1, b the mean of h

Shapes: n rows, d units of the activations h, K features of a dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs.errors import require_choice, require_integer, require_number

Floats = NDArray[np.float64]


class Coder(Protocol):
    """What turns activations into codes and back: a trained autoencoder, or a baseline."""

    @property
    def dictionary(self) -> Floats:
        """Directions of the features, float64[K, d], of length 1."""

    def encode(self, activations: Floats) -> Floats:
        """Codes, float64[n, K]."""

    def decode(self, codes: Floats) -> Floats:
        """Reconstructed activations, float64[n, d]."""


@dataclass(frozen=True)
class AutoencoderSettings:
    """One autoencoder and its training.

    Attributes:
        num_features: K, at least 2.
        penalty: L1 weight in loss = |h - h^|^2 + penalty sum(a), for activations centred and divided by their spread
            s = sqrt(E|h - mean|^2), so that one number means the same on every layer. On raw activations it is
            penalty * s. Never divided by K.
        num_active: k of TopK, or None for a rectifier alone.
        frozen: "" to train everything; "decoder" keeps D as it was drawn, "encoder" keeps E: what is reached with one
            half left at random is no evidence of features (Sanity checks for SAEs, arXiv 2602.14111).
        num_steps: Steps of Adam.
        batch_size: Rows of a step, at least 2; all rows where there are fewer.
        learning_rate: Of Adam.
    """

    num_features: int
    penalty: float = 0.0
    num_active: int | None = None
    frozen: str = ""
    num_steps: int = 600
    batch_size: int = 128
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        """Check every option."""
        # Products with a single column or row take other paths, on which what is stacked changes last bits.
        for name, low, high in (("num_features", 2, 2**20), ("num_steps", 1, 10**7), ("batch_size", 2, 2**20)):
            require_integer(name, getattr(self, name), low=low, high=high)
        require_number("penalty", self.penalty, low=0.0, high=1e6)
        require_number("learning_rate", self.learning_rate, low=1e-8, high=1.0)
        require_choice("frozen", self.frozen, choices=("", "decoder", "encoder"))
        if self.num_active is not None:
            require_integer("num_active", self.num_active, low=1, high=self.num_features)

    @property
    def name(self) -> str:
        """Kind and strength of sparsity, as a table shows it."""
        return f"L1 {self.penalty:g}" if self.num_active is None else f"TopK {self.num_active}"


@dataclass(frozen=True, eq=False)
class SparseAutoencoder:
    """A trained autoencoder.

    Attributes:
        settings: As it was trained.
        seed: As it was trained.
        encoder: E, float64[d, K].
        threshold: c, float64[K].
        dictionary: D, float64[K, d], rows of length 1.
        mean: b, float64[d].
        spread: s = sqrt(E|h - b|^2) of the rows that it was trained on.
    """

    settings: AutoencoderSettings
    seed: int
    encoder: Floats
    threshold: Floats
    dictionary: Floats
    mean: Floats
    spread: float

    def encode(self, activations: Floats) -> Floats:
        """Codes a >= 0, float64[n, K]."""
        drive = torch.from_numpy((activations - self.mean) @ self.encoder + self.threshold)
        return np.asarray(rectify(drive, self.settings.num_active).numpy())

    def decode(self, codes: Floats) -> Floats:
        """Reconstructed activations, float64[n, d]."""
        return np.asarray(codes @ self.dictionary + self.mean)

    def loss(self, activations: Floats, codes: Floats) -> float:
        """What training minimised, on any rows [n, d] and their codes: E|h - h^|^2 / s^2 + penalty E sum(a) / s."""
        error = ((activations - self.decode(codes)) ** 2).sum(axis=1).mean()
        return float(error / self.spread**2 + self.settings.penalty * codes.sum(axis=1).mean() / self.spread)


def rectify(drive: Tensor, num_active: int | None) -> Tensor:
    """Codes of drives [..., K]: the positive ones, and of these the k largest where k is given.

    The k-th largest is found by striking out the largest k - 1 times, many times as fast as a sort of each row while k
    is small. Drives that are equal to the last bit are kept or dropped together.
    """
    codes = drive.relu()
    if num_active is None or num_active >= drive.shape[-1]:
        return codes
    rest = codes.clone()
    for _ in range(num_active - 1):
        rest.masked_fill_(rest >= rest.amax(dim=-1, keepdim=True), 0.0)
    return codes * (codes >= rest.amax(dim=-1, keepdim=True))
