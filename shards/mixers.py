"""Mixers: how scores and part values become the weights of the parts.

Every mixer has the form (scores[B, K], part_values[B, K]) -> weights[B, K], and the value is always
Σ_k weights_k · part_values_k + bias; a mixer that lets one part decide has weights with a single 1. Part values are an
argument because such a rule may look at what the parts say.

Shape key: B batch, K parts.
"""

from __future__ import annotations

from typing import Protocol

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


def oracle_mixer(scores: Tensor, part_values: Tensor) -> Tensor:
    """Weights = scores, for an oracle gate, whose scores are one-hot already."""
    return scores


def mix(part_values: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """Value = Σ_k weights_k · part_values_k + bias, float[B]."""
    return (weights * part_values).sum(dim=1) + bias
