"""Losses of the policy, and measures of how well values fit.

Pure functions of tensors; the loss of a value is its head's `credit`. Shape key: B batch, A actions.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def imitation_loss(logits: Tensor, actions: Tensor) -> Tensor:
    """−mean log π(a|s): cross-entropy of the demonstrated actions.

    Args:
        logits: float[B, A].
        actions: int64[B].
    """
    return torch.nn.functional.cross_entropy(logits, actions)


def log_probability(logits: Tensor, actions: Tensor) -> Tensor:
    """Log π(a|s) = logit_a − logsumexp(logits).

    Args:
        logits: float[B, A].
        actions: int64[B].

    Returns:
        float[B], ≤ 0.
    """
    chosen = logits.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    return chosen - logits.logsumexp(-1)


def entropy(logits: Tensor) -> Tensor:
    """H = −Σ_a π_a log π_a in nats.

    Args:
        logits: float[B, A], finite.

    Returns:
        float[B] in [0, log A].
    """
    log_probs = logits.log_softmax(-1)
    return -(log_probs.exp() * log_probs).sum(-1)


def clipped_policy_loss(log_probs: Tensor, old_log_probs: Tensor, *, advantages: Tensor, clip: float) -> Tensor:
    """−mean min(ρ·Â, clamp(ρ, 1 − clip, 1 + clip)·Â), ρ = exp(log π − log π_old).

    Args:
        log_probs: float[B], of the policy under training.
        old_log_probs: float[B], of the policy that acted; no gradient.
        advantages: float[B]; no gradient.
        clip: > 0.

    Source: Schulman et al. (2017), eq. 7, arXiv 1707.06347.
    """
    ratio = (log_probs - old_log_probs).exp()
    clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
    return -torch.minimum(ratio * advantages, clipped * advantages).mean()


def reinforce_loss(log_probs: Tensor, *, advantages: Tensor) -> Tensor:
    """−mean log π(a|s)·(z − b(s)): on actions drawn from π its gradient is an unbiased −∇E[z], whatever b is.

    Args:
        log_probs: float[B], of the policy that acted.
        advantages: float[B], outcome less baseline; no gradient.

    Source: Williams (1992), "Simple statistical gradient-following algorithms for connectionist reinforcement
    learning", eq. 4. The discount of the time that passed before s is left out, as everywhere.
    """
    return -(log_probs * advantages).mean()


def standardise(advantages: Tensor) -> Tensor:
    """(Â − mean Â) / (sd Â + 1e-8) over the batch, as PPO implementations do; a batch of one, or of equals, gives 0.

    Args:
        advantages: float[B].
    """
    centred = advantages - advantages.mean()
    return centred / (centred.square().mean().sqrt() + 1e-8)


def r_squared(
    estimate: NDArray[np.float64], truth: NDArray[np.float64], *, weight: NDArray[np.float64] | None = None
) -> float:
    """R² = 1 − Σ w (estimate − truth)² / Σ w (truth − mean_w truth)².

    Args:
        estimate: float[B].
        truth: float[B].
        weight: float[B] ≥ 0; None for equal weights.

    Returns:
        At most 1; NaN where the truth does not vary.
    """
    ratio = relative_error(estimate, truth, weight=weight)
    return 1.0 - ratio * ratio


def relative_error(
    estimate: NDArray[np.float64], truth: NDArray[np.float64], *, weight: NDArray[np.float64] | None = None
) -> float:
    """RMS_w(estimate − truth) / sd_w(truth): 0 is exact, 1 is no better than the mean.

    Args:
        estimate: float[B].
        truth: float[B].
        weight: float[B] ≥ 0, for instance the occupancy; None for equal weights.

    Returns:
        ≥ 0; NaN where the truth does not vary. An offset common to all states counts as error here although it orders
        no states.
    """
    shares = np.full(len(truth), 1.0 / max(len(truth), 1)) if weight is None else weight / weight.sum()
    variance = float(shares @ (truth - shares @ truth) ** 2)
    error = float(shares @ (np.asarray(estimate, np.float64) - truth) ** 2)
    return float(np.sqrt(error / variance)) if variance > 0.0 else float("nan")
