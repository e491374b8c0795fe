"""Credit of the controls: a network known not to be sharded, and heads that are many without being shards.

Shape key: B batch, K parts, U units, C contexts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shards.credit import SquaredSplit, check_shape, check_valid, mean_square, squared_error
from shards.value_head import ValueEstimate, ValueTargets


@dataclass(frozen=True)
class BootstrapCredit:
    """Every part learns the same total from samples of its own (bootstrapped heads, Osband et al. 2016).

        loss = mean over valid samples b and parts k with mask_bk of (p_bk − total_b)².

    Parts differ by what they saw and by their first weights, not by what reinforced them: one history, many heads. A
    sample that no part trains on counts for nothing. Source: arXiv 1602.04621, section 5.
    """

    reaches_features: bool = True
    splits_features: bool = False
    squared_split: None = None

    def __call__(self, estimate: ValueEstimate, targets: ValueTargets, bias: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: the mask is missing or is not one column per part.
        """
        part_values = estimate.part_values
        check_shape("total", targets.total, estimate.value.shape)
        mask = check_shape("bootstrap_mask", targets.bootstrap_mask, part_values.shape)
        if targets.valid is not None:
            check_valid(targets.valid, estimate.value.shape)
            mask = mask & targets.valid.unsqueeze(1)
        return mean_square(part_values, targets.total.unsqueeze(1).expand_as(part_values), mask)


@dataclass(frozen=True)
class FlatCredit:
    """Global credit with a penalty on every unit that serves some contexts more than others.

        loss = MSE/Var(total) + β Σ_j ω_j (Σ_c share_jc² − 1/C),
        m_jc = mean over the samples of context c of |u_j|,   share_jc = m_jc / Σ_c' m_jc',
        ω_j = Σ_c m_jc / Σ_j'c m_j'c, without gradient,

    u_j the unit contributions, MSE and Var over valid samples. The penalty is 0 if all units serve all contexts alike
    and at most β (1 − 1/C). It assumes batches that hold all contexts; a context that a batch lacks is left out and C
    is the number present, so that a batch of one context has a penalty of 0. Samples of unknown context (−1) count for
    the error alone. Where the totals do not vary, Var is replaced by 1.

    It flattens one statistic, the mean |u_j| by context. A unit that is flat by it may still have its sign or its shape
    depend on context: the control is to be judged by other metrics.

    Attributes:
        num_contexts: C, at least 1.
        penalty_weight: β ≥ 0; 0 switches the penalty off.
    """

    num_contexts: int
    penalty_weight: float = 0.02
    reaches_features: bool = True
    splits_features: bool = False

    @property
    def squared_split(self) -> SquaredSplit | None:
        """Known where the penalty is off."""
        if self.penalty_weight:
            return None
        return SquaredSplit(scale=lambda targets: 1.0 / float(target_variance(targets)))

    def __call__(self, estimate: ValueEstimate, targets: ValueTargets, bias: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: contexts are missing while the penalty is on.
        """
        error = squared_error(estimate.value, targets) / target_variance(targets)
        if self.penalty_weight == 0.0:
            return error
        return error + self.penalty_weight * context_penalty(estimate, targets, num_contexts=self.num_contexts)


def target_variance(targets: ValueTargets) -> Tensor:
    """Variance of total over valid samples (divisor: their number), a scalar; 1 where totals do not vary."""
    total = targets.total if targets.valid is None else targets.total[targets.valid]
    variance, mean = torch.var_mean(total, correction=0)
    # Rounding may leave equal totals with a variance of about 1e-14 of their square. No sample at all has variance NaN.
    return torch.where(variance > 1e-10 * mean.square(), variance, 1.0)


def context_penalty(estimate: ValueEstimate, targets: ValueTargets, *, num_contexts: int) -> Tensor:
    """Σ_j ω_j (Σ_c share_jc² − 1/C), a scalar in [0, 1 − 1/C] (see `FlatCredit`)."""
    context = check_shape("context", targets.context, estimate.value.shape)
    member = context == torch.arange(num_contexts, device=context.device).unsqueeze(1)
    if targets.valid is not None:
        member = member & targets.valid
    count = member.sum(dim=1).to(estimate.value.dtype)
    size = _mean_size(estimate, member / count.clamp(min=1.0).unsqueeze(1))
    unit_size = size.sum(dim=0)
    share = size / unit_size.clamp(min=1e-12)
    omega = (unit_size / unit_size.sum().clamp(min=1e-12)).detach()
    num_present = (count > 0.0).sum().clamp(min=1).to(count.dtype)
    return omega.dot(share.square().sum(dim=0) - 1.0 / num_present)


def _mean_size(estimate: ValueEstimate, average: Tensor) -> Tensor:
    # m_jc = Σ_b average_cb |u_bj|, float[C, U]. Hidden units are rectified: |u| = |weight| |output weight| hidden, and
    # no array as large as the hidden layer need be formed.
    by_part = average * estimate.weights.abs().t().unsqueeze(1)
    size = torch.bmm(by_part, estimate.hidden.transpose(0, 1)) * estimate.output_weight.abs().unsqueeze(1)
    return size.transpose(0, 1).flatten(1)
