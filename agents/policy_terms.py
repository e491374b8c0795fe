"""What one update of the policy gradient takes from D's logits: the policy loss, the entropy, and how far D has moved.

Two ways to the same numbers: torch's own operations, for any device, and one kernel on the CPU with the gradient
written out. Rows of a few actions are short, and torch spends most of its time between the operations on them.

With π = softmax(logits), w the factor of ∇ log π(a|s) in the loss, and H = −Σ_a π_a log π_a:

    ∂loss/∂logits = −w (1_a − π) / B,    ∂H/∂logits = −π (log π + H) / B,
    w = ρ Â where the clipped objective follows the ratio ρ, 0 where it is clipped; w = Â without clipping.

Shape key: B batch, A actions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from agents.losses import clipped_policy_loss, entropy, log_probability, reinforce_loss

Terms = tuple[Tensor, Tensor, Tensor]


def policy_terms(
    logits: Tensor, actions: Tensor, old_log_probs: Tensor, *, advantages: Tensor, clip: float | None, fused: bool
) -> Terms:
    """The policy loss, the mean entropy and the approximate KL divergence from the policy that acted, three scalars.

    Args:
        logits: float[B, A].
        actions: int64[B].
        old_log_probs: float[B], of the policy that acted.
        advantages: float[B].
        clip: ε of the clipped objective; None for the plain one.
        fused: take the kernel where the logits are on the CPU.

    The divergence is the mean of (ρ − 1) − log ρ (Schulman 2020, "Approximating KL divergence"), without a gradient.
    """
    if fused and logits.device.type == "cpu":
        terms: Terms = _FusedTerms.apply(logits, actions, old_log_probs, advantages, clip)  # type: ignore[no-untyped-call]
        return terms
    log_probs = log_probability(logits, actions)
    if clip is None:
        loss = reinforce_loss(log_probs, advantages=advantages)
    else:
        loss = clipped_policy_loss(log_probs, old_log_probs, advantages=advantages, clip=clip)
    log_ratio = (log_probs - old_log_probs).detach()
    return loss, entropy(logits).mean(), (log_ratio.exp() - 1.0 - log_ratio).mean()


def terms_and_gradients(
    logits: Tensor, actions: Tensor, old_log_probs: Tensor, *, advantages: Tensor, clip: float | None
) -> tuple[tuple[float, float, float], Tensor]:
    """`policy_terms` as numbers, and the gradients float32[2, B, A] of loss and entropy; all tensors on the CPU."""
    gradients = torch.empty(2, *logits.shape)
    columns = (actions.numpy(), old_log_probs.numpy(), advantages.numpy())
    bound = math.inf if clip is None else clip
    loss, spread, divergence = _sum_terms(logits.numpy(), columns, (bound, clip is None), gradients.numpy())
    return (loss / len(logits), spread / len(logits), divergence / len(logits)), gradients


class _FusedTerms(torch.autograd.Function):
    """`policy_terms` in one pass, which writes the gradients of loss and entropy beside them."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, *inputs: Any) -> Terms:
        actions, old_log_probs, advantages, clip = inputs
        means, gradients = terms_and_gradients(
            logits.detach(), actions, old_log_probs, advantages=advantages, clip=clip
        )  # fmt: skip
        ctx.save_for_backward(gradients)
        loss, spread, divergence = (torch.tensor(mean, dtype=logits.dtype) for mean in means)
        ctx.mark_non_differentiable(divergence)
        return loss, spread, divergence

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        to_loss, to_entropy = ctx.saved_tensors[0]
        return gradients[0] * to_loss + gradients[1] * to_entropy, None, None, None, None


@njit(cache=True, nogil=True)
def _sum_terms(logits: Any, columns: Any, objective: Any, gradients: Any) -> Any:
    """Sums over the rows of loss, entropy and divergence; writes the gradients of the two means, float32[2, B, A]."""
    (actions, old_log_probs, advantages), (clip, is_plain) = columns, objective
    num_rows, num_actions = logits.shape
    loss, spread, divergence = 0.0, 0.0, 0.0
    probs, log_probs = np.empty(num_actions), np.empty(num_actions)
    for b in range(num_rows):
        total, entropy = 0.0, 0.0
        highest = logits[b, 0]
        for a in range(1, num_actions):
            highest = max(highest, logits[b, a])
        for a in range(num_actions):
            log_probs[a] = np.float64(logits[b, a]) - highest
            probs[a] = math.exp(log_probs[a])
            total += probs[a]
        log_total = math.log(total)
        for a in range(num_actions):
            log_probs[a] -= log_total
            probs[a] /= total
            entropy -= probs[a] * log_probs[a]
        log_ratio = log_probs[actions[b]] - old_log_probs[b]
        ratio, gain = math.exp(log_ratio), np.float64(advantages[b])
        clipped = min(max(ratio, 1.0 - clip), 1.0 + clip)
        # Where both are equal the objective still follows the ratio.
        follows = ratio * gain <= clipped * gain
        factor = gain if is_plain else ratio * gain if follows else 0.0
        loss -= log_probs[actions[b]] * gain if is_plain else min(ratio * gain, clipped * gain)
        spread += entropy
        divergence += ratio - 1.0 - log_ratio
        for a in range(num_actions):
            taken = 1.0 if a == actions[b] else 0.0
            gradients[0, b, a] = -factor * (taken - probs[a]) / num_rows
            gradients[1, b, a] = -probs[a] * (log_probs[a] + entropy) / num_rows
    return loss, spread, divergence
