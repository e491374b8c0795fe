"""Trains sparse autoencoders, several at once.

Autoencoders that differ in seed and penalty alone are stacked and take their steps together in batched products. An
autoencoder's bytes do not depend on what it is stacked with: every product, sum and update is of one member, and its
draws come from its own seed. Some processors round a product by where its numbers begin in memory, so that those whose
numbers would not all begin at multiples of 64 bytes train alone. Gradients are written out, which a test holds against
autograd.

Shapes: n rows, d units, K features, M stacked autoencoders, B rows of a batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.seeding import numpy_generator
from analysis.executors import one_thread
from analysis.instruments.arrays import refuse_not_finite
from analysis.instruments.sparse_autoencoder import AutoencoderSettings, Floats, SparseAutoencoder, rectify
from envs.errors import UserError

Job = tuple[AutoencoderSettings, int]
Weights = dict[str, Tensor]
# Codes of a stack, in numbers: beyond this the working set leaves the cache and a longer stack only costs.
STACK_SIZE = 2**17
ALIGNMENT = 16  # float32 numbers in 64 bytes
FROZEN = {"": (), "decoder": ("decoder",), "encoder": ("encoder",)}


@dataclass(frozen=True)
class Standard:
    """Activations about their mean in units of their spread s = sqrt(E|h - mean|^2).

    Attributes:
        mean: float64[d].
        spread: s > 0.
    """

    mean: Floats
    spread: float

    def apply(self, activations: Floats) -> Tensor:
        """(h - mean) / s, float32[n, d]."""
        return torch.from_numpy(((activations - self.mean) / self.spread).astype(np.float32))


def checked_activations(activations: Floats) -> Floats:
    """The activations as float64[n, d].

    Raises:
        UserError: Not two axes, fewer than two rows or units, not finite, or all rows equal.
    """
    h = np.asarray(activations, dtype=np.float64)
    if h.ndim != 2 or min(h.shape) < 2:
        raise UserError(f"activations have shape {h.shape}; [rows, units] with at least two of each is needed")
    refuse_not_finite("activations", h)
    if (h == h[:1]).all():
        raise UserError(f"all {len(h)} rows of activations are equal, so there is nothing to reconstruct; give others")
    return h


def standard_of(activations: Floats) -> Standard:
    """Mean and spread of activations float64[n, d]."""
    mean = activations.mean(axis=0)
    return Standard(mean, float(np.sqrt(((activations - mean) ** 2).sum(axis=1).mean())))


def train_autoencoders(activations: Floats, jobs: Sequence[Job]) -> list[SparseAutoencoder]:
    """Trains an autoencoder for every pair of settings and seed.

    loss = mean over rows of |h - h^|^2 + penalty sum_j a_j, minimised by Adam, rows of D set to length 1 after each
    step. D is drawn uniformly; E = D' and c = 0 at the start. b stays the mean of the rows: a trained one wanders off
    in the first steps of TopK, which nothing calls back, and turns all directions with it (a dozen Gaussians had a
    cosine of .89 between seeds with it, and .999 without).

    Args:
        activations: float[n, d], finite.
        jobs: (settings, seed) pairs.

    Returns:
        One autoencoder for each job, in their order, in the units of the activations. The same job on the same
        activations gives the same bytes, whatever the other jobs and the number of threads.

    Raises:
        UserError: As `checked_activations`.

    Source: Sharkey, Braun & Millidge (2022), LessWrong z6QQJbtpkEAX3Aojj, for the rectifier with L1; TopK after
    Gao et al. (2024), arXiv 2406.04093, without its auxiliary loss.

    Cannot show: that the features are any network's own (`analysis.instruments.sparse_features` compares).
    """
    h = checked_activations(activations)
    standard = standard_of(h)
    rows = standard.apply(h)
    done: dict[int, SparseAutoencoder] = {}
    with one_thread(), torch.no_grad():
        for stack in _stacks(jobs, activations=h.shape):
            trained = _train_stack(rows, [jobs[index] for index in stack])
            for place, index in enumerate(stack):
                done[index] = _finished(jobs[index], trained, place=place, standard=standard)
    return [done[index] for index in range(len(jobs))]


def loss_gradients(weights: Weights, batch: Tensor, *, penalty: Tensor, num_active: int | None) -> Weights:
    """Gradients of every member's loss with respect to its weights.

    Args:
        weights: "encoder" [M, d, K], "threshold" [M, 1, K], "decoder" [M, K, d].
        batch: float32[M, B, d], centred.
        penalty: float32[M, 1, 1].
        num_active: k of TopK, or None.

    Returns:
        Name -> gradient, of the same shapes.
    """
    codes = rectify(torch.baddbmm(weights["threshold"], batch, weights["encoder"]), num_active)
    scale = 1.0 / batch.shape[1]
    error = torch.baddbmm(batch, codes, weights["decoder"], beta=-1.0).mul_(2.0 * scale)
    drive = torch.bmm(error, weights["decoder"].transpose(1, 2)).add_(penalty * scale).mul_(codes > 0)
    return {
        "encoder": torch.bmm(batch.transpose(1, 2), drive),
        "threshold": drive.sum(dim=1, keepdim=True),
        "decoder": torch.bmm(codes.transpose(1, 2), error),
    }


def _stacks(jobs: Sequence[Job], *, activations: tuple[int, ...]) -> list[list[int]]:
    """Indices of jobs that take their steps together, on activations of this shape [n, d]."""
    num_rows, num_units = activations
    alike: dict[AutoencoderSettings, list[int]] = {}
    for index, (settings, _) in enumerate(jobs):
        alike.setdefault(replace(settings, penalty=0.0), []).append(index)
    stacks = []
    for settings, indices in alike.items():
        sizes = min(settings.batch_size, num_rows), settings.num_features, num_units
        aligned = all(one * other % ALIGNMENT == 0 for one, other in itertools.combinations(sizes, 2))
        most = max(1, STACK_SIZE // (settings.batch_size * max(settings.num_features, num_units))) if aligned else 1
        stacks += [indices[first : first + most] for first in range(0, len(indices), most)]
    return stacks


def _train_stack(rows: Tensor, jobs: Sequence[Job]) -> Weights:
    """Weights after training, each with a leading axis for the jobs, which share all settings but the penalty."""
    settings = jobs[0][0]
    weights = _initial_weights([seed for _, seed in jobs], settings, num_units=rows.shape[1])
    penalty = torch.tensor([job.penalty for job, _ in jobs], dtype=torch.float32).view(-1, 1, 1)
    trained = {name: weight for name, weight in weights.items() if name not in FROZEN[settings.frozen]}
    adam = _Adam(trained, learning_rate=settings.learning_rate)
    batches = torch.from_numpy(np.stack([_batches(len(rows), settings, seed=seed) for _, seed in jobs], axis=1))
    for batch in batches:
        gradients = loss_gradients(weights, rows[batch], penalty=penalty, num_active=settings.num_active)
        adam.step(trained, gradients)
        if "decoder" in trained:
            _normalise(weights["decoder"])
    return weights


def _initial_weights(seeds: Sequence[int], settings: AutoencoderSettings, *, num_units: int) -> Weights:
    """Directions drawn uniformly for D, E = D', and no offsets."""
    shape = (settings.num_features, num_units)
    drawn = [numpy_generator(seed, "sparse autoencoder", "directions").standard_normal(shape) for seed in seeds]
    decoder = torch.from_numpy(np.stack(drawn).astype(np.float32))
    _normalise(decoder)
    return {
        "encoder": decoder.transpose(1, 2).contiguous(),
        "threshold": torch.zeros(len(seeds), 1, settings.num_features),
        "decoder": decoder,
    }


def _normalise(decoder: Tensor) -> None:
    """Sets the rows [M, K, d] to length 1."""
    decoder.div_(torch.linalg.vector_norm(decoder, dim=2, keepdim=True).clamp_min_(1e-12))


def _batches(num_rows: int, settings: AutoencoderSettings, *, seed: int) -> NDArray[np.int64]:
    """Row indices [steps, B]: the rows in one random order after another, cut into batches."""
    size = min(settings.batch_size, num_rows)
    stream = numpy_generator(seed, "sparse autoencoder", "batches")
    num_orders = -(-settings.num_steps * size // num_rows)
    order = np.concatenate([stream.permutation(num_rows) for _ in range(num_orders)])
    return order[: settings.num_steps * size].reshape(settings.num_steps, size)


class _Adam:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1), element by element, so that stacking changes no bit."""

    def __init__(self, weights: Mapping[str, Tensor], *, learning_rate: float) -> None:
        """Start with moments 0."""
        self._mean = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self._square = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self._learning_rate, self._time = learning_rate, 0

    def step(self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        """Update the weights in place; eps = 1e-8 stands in units of the uncorrected root, as in torch."""
        self._time += 1
        slow = 1.0 - 0.999**self._time
        rate = self._learning_rate / (1.0 - 0.9**self._time)
        for name, weight in weights.items():
            mean = self._mean[name].mul_(0.9).add_(gradients[name], alpha=0.1)
            square = self._square[name].mul_(0.999).addcmul_(gradients[name], gradients[name], value=0.001)
            weight.addcdiv_(mean, (square / slow).sqrt_().add_(1e-8), value=-rate)


def _finished(job: Job, weights: Weights, *, place: int, standard: Standard) -> SparseAutoencoder:
    """One member in the units of the activations: rectifiers and TopK scale with their input, so c scales alone."""
    own = {name: weight[place].double().numpy().copy() for name, weight in weights.items()}
    return SparseAutoencoder(
        settings=job[0],
        seed=job[1],
        encoder=own["encoder"],
        threshold=own["threshold"][0] * standard.spread,
        dictionary=own["decoder"],
        mean=standard.mean,
        spread=standard.spread,
    )
