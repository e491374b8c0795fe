"""Superposition in the smallest network that has it, and how much of a dimension each feature gets.

    x^ = ReLU(W' W x + b),    x of few present features out of n, W of m < n rows

(Elhage et al. 2022, "Toy Models of Superposition"). Trained on sparse x it holds more features than it has units, as
corners of regular figures; on dense x it holds the m that matter most, as principal components would. What it holds is
known, so that it is a data set for instruments that look for features: h = W x.

Shapes: R restarts, m units, n features, B rows of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from agents.seeding import torch_generator
from analysis.instruments.arrays import finite_matrix
from envs.errors import UserError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Superposition:
    """The best of several trained networks.

    Attributes:
        weights: float64[m, n]; column i is where feature i lies.
        biases: float64[n].
        loss: Mean over fresh rows of Σ_i importance_i (x_i - x^_i)².
    """

    weights: Floats
    biases: Floats
    loss: float


def train_superposition(
    *, num_features: int, num_units: int, presence: float, seed: int, importance: Sequence[float] | None = None,
    num_restarts: int = 8, num_steps: int = 3000, batch_size: int = 512,
) -> Superposition:  # fmt: skip
    """Train several networks from different weights by Adam and keep the one with the least loss.

    Args:
        num_features: n.
        num_units: m.
        presence: Probability with which a feature is present, in (0, 1]; its strength is then uniform in [0, 1].
        seed: Of weights and data.
        importance: n weights of the loss, 1 where left out.
        num_restarts: R.
        num_steps: Of Adam.
        batch_size: B, drawn anew at every step for every network.

    Raises:
        UserError: A number that is not a whole one from 1, a presence outside (0, 1], or importances that are not one
            finite number from 0 for each feature.
    """
    _refuse_counts(
        num_features=num_features, num_units=num_units, num_restarts=num_restarts, num_steps=num_steps,
        batch_size=batch_size,
    )  # fmt: skip
    if not 0 < presence <= 1:
        raise UserError(f"presence is {presence}, but a feature is present with a probability in (0, 1].")
    weigh = torch.ones(num_features) if importance is None else torch.tensor(importance, dtype=torch.float32)
    if weigh.shape != (num_features,) or not (weigh.isfinite() & (weigh >= 0)).all():
        raise UserError(f"importance is {importance}; give {num_features} finite numbers from 0, one for each feature.")
    generator = torch_generator(seed, "superposition")
    weights = torch.randn(num_restarts, num_units, num_features, generator=generator) / num_features**0.5
    biases = torch.zeros(num_restarts, num_features)
    for parameter in (weights, biases):
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam([weights, biases], lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)

    def losses(num_rows: int) -> torch.Tensor:
        shape = (num_restarts, num_rows, num_features)
        present = torch.rand(shape, generator=generator) < presence
        x = torch.rand(shape, generator=generator) * present
        rebuilt = torch.relu(x @ weights.transpose(1, 2) @ weights + biases[:, None])
        return ((x - rebuilt) ** 2 * weigh).sum(dim=2).mean(dim=1)

    for _ in range(num_steps):
        optimizer.zero_grad()
        torch.autograd.backward(losses(batch_size).sum())
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        last = losses(20_000)
    best = int(last.argmin())
    columns, offsets = (tensor[best].detach().double().numpy() for tensor in (weights, biases))
    return Superposition(columns, offsets, float(last[best]))


def _refuse_counts(**counts: int) -> None:
    for name, value in counts.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise UserError(f"{name} is {value!r}; it must be a whole number from 1 upwards.")


def feature_dimensions(weights: ArrayLike) -> Floats:
    """Share of a dimension that each feature has to itself, float64[n] in [0, 1], from its columns float[m, n].

    D_i = |w_i|² / Σ_j (w_i · w_j / |w_i|)²; 1 where no other feature lies along it, 1/2 for an antipodal pair, 2/3 in a
    triangle, 3/4 in a tetrahedron, 2/5 in a pentagon; 0 for a column of zeros.

    Raises:
        UserError: Columns that are no matrix, or not finite.
    """
    columns = finite_matrix("weights", weights)
    length = np.linalg.norm(columns, axis=0)
    held = length > 1e-12
    along = (columns[:, held] / length[held]).T @ columns
    found = np.zeros(len(length))
    found[held] = length[held] ** 2 / (along**2).sum(axis=1)
    return found
