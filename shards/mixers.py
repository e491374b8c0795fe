"""Mixers: how scores and part values become the weights of the parts.

Every mixer has the form (scores[B, K], part_values[B, K]) -> weights[B, K], and the value is always
Σ_k weights_k · part_values_k + bias; a mixer that lets few parts decide has weights that are exactly 0 elsewhere. Part
values are an argument because such a rule may look at what the parts say.

With one part, all mixers but the sigmoid have weight exactly 1, without gradient: the ensemble is then the monolith.
To add a mixer, write it and name it in `MIXERS`.

Shape key: B batch, K parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol

import torch
from torch import Tensor


class Mixer(Protocol):
    """The form of a mixer."""

    def __call__(self, scores: Tensor, part_values: Tensor) -> Tensor:
        """Return weights, float[B, K]."""


def softmax_mixer(scores: Tensor, part_values: Tensor) -> Tensor:
    """Weights_k = exp(scores_k) / Σ_l exp(scores_l): a convex mixture (Jacobs, Jordan, Nowlan & Hinton 1991).

    With one part the weight is exactly 1 and its gradient exactly 0.
    """
    # On the CPU a softmax along the short axis of a tall matrix is several times slower than along the long rows here.
    return scores.t().softmax(dim=0).t()


def given_mixer(scores: Tensor, part_values: Tensor) -> Tensor:
    """Weights = scores, for gates whose scores are weights already: an oracle's, and those of a plain sum."""
    return scores


def sigmoid_mixer(scores: Tensor, part_values: Tensor) -> Tensor:
    """Weights_k = 1 / (1 + exp(−scores_k)): parts do not compete; all or none may speak."""
    return scores.sigmoid()


def max_mixer(scores: Tensor, part_values: Tensor) -> Tensor:
    """Weights = one-hot of argmax_k part_values_k: value = max_k part_values_k + bias; the highest part alone learns.

    No gate is read. Of equal parts the first one decides.
    """
    return _one_hot(part_values.argmax(dim=1), part_values)


def auction_mixer(scores: Tensor, part_values: Tensor) -> Tensor:
    """Weights = one-hot of argmax_k scores_k: the highest bidder decides. Bids are scores and no values.

    A one-hot has no gradient in the bids. They get that of the softmax in its place (the straight-through estimator,
    Bengio, Léonard & Courville 2013, arXiv 1308.3432): bids rise for parts whose values would have reduced the error.
    Only the winner's value gets a gradient. Of equal bids the first one wins.
    """
    soft = softmax_mixer(scores, part_values)
    return _one_hot(scores.argmax(dim=1), scores) + (soft - soft.detach())


@dataclass(frozen=True)
class TopMixer:
    """Weights = softmax over the `num_active` highest scores, 0 elsewhere (Shazeer et al. 2017, without noise).

    Of equal scores the first ones count. With num_active = K this is the softmax, bitwise.

    Source: arXiv 1701.06538, eq. 3 and 5.
    """

    num_active: int

    def __call__(self, scores: Tensor, part_values: Tensor) -> Tensor:
        """Return weights, float[B, K]."""
        ranked = scores.argsort(dim=1, descending=True, stable=True)
        out = torch.ones_like(scores, dtype=torch.bool).scatter(1, ranked[:, : self.num_active], False)
        return softmax_mixer(scores.masked_fill(out, -torch.inf), part_values)


@dataclass(frozen=True)
class MixerEntry:
    """A mixer as the registry knows it.

    Attributes:
        build: makes it; is given the number of parts that may decide at once, which only "top-k" reads.
        gate: what gives the scores: a learned gate that starts "even", one that starts "uneven", or "none".
    """

    build: Callable[[int], Mixer]
    gate: Literal["even", "uneven", "none"]


MIXERS = MappingProxyType(
    {
        "softmax": MixerEntry(lambda num_active: softmax_mixer, "even"),
        "sum": MixerEntry(lambda num_active: given_mixer, "none"),
        "max": MixerEntry(lambda num_active: max_mixer, "none"),
        "sigmoid": MixerEntry(lambda num_active: sigmoid_mixer, "even"),
        # Under an even start the first parts would win everywhere, and the others would never learn.
        "top-k": MixerEntry(TopMixer, "uneven"),
        "auction": MixerEntry(lambda num_active: auction_mixer, "uneven"),
    }
)
"""Mixers by name."""


def mix(part_values: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """Value = Σ_k weights_k · part_values_k + bias, float[B]."""
    return (weights * part_values).sum(dim=1) + bias


def _one_hot(index: Tensor, like: Tensor) -> Tensor:
    # torch's own one_hot looks at the data, which makes a GPU wait.
    return (index.unsqueeze(1) == torch.arange(like.shape[1], device=like.device)).to(like.dtype)
