"""Credit: which gradient a reward sends to which part.

A rule is a frozen dataclass that is called with (estimate, targets, bias) and returns a scalar loss. All rules have the
squared error between value and total at their core; they differ in where its gradient goes and in what is added.

Shape key: B batch, K parts, U units, C contexts, E events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from shards.mixers import mix
from shards.value_head import ValueEstimate, ValueTargets

RoutedEncoder = Literal["routed", "global", "stopped"]


def squared_error(value: Tensor, targets: ValueTargets) -> Tensor:
    """Mean over valid samples of (value − total)².

    Args:
        value: float[B].
        targets: total float[B] and valid bool[B] are read. Totals of samples that are not valid may be NaN.

    Returns:
        A scalar; 0, with zero gradients, where no sample is valid.

    Raises:
        ValueError: total or valid has another shape or type.
    """
    _check_shape("total", targets.total, value.shape)
    if targets.valid is None:
        return functional.mse_loss(value, targets.total)
    _check_valid(targets.valid, value.shape)
    error = torch.where(targets.valid, value - targets.total, 0.0)
    return error.dot(error) / targets.valid.sum().clamp(min=1)


@dataclass(frozen=True)
class GlobalCredit:
    """Loss = mean over valid of (value − total)²: every part learns from every error, in proportion to its weight.

    Under an oracle gate, whose weights are one-hot, and without a shared bias this is *local* credit: a sample sends a
    gradient of exactly 0 to every part but that of its context.
    """

    reaches_features: bool = True
    splits_features: bool = False

    def __call__(self, estimate: ValueEstimate, targets: ValueTargets, bias: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        return squared_error(estimate.value, targets)


@dataclass(frozen=True)
class RoutedCredit:
    """Global credit's loss with the gradient of part k scaled by the share s_k of event k in the return.

        loss = mean over valid of (Σ_k w_k (s_k p_k + sg((1 − s_k) p_k)) + bias − total)²,

    sg(·) stops gradients. The number is that of global credit; only gradients differ. With `gate_routed`, s_k is
    applied to w_k p_k, so that the weight of part k, too, learns in proportion to s_k. Where the label is withheld
    (NaN), all s_k are 1: global credit. After gradient routing (Cloud et al. 2024, arXiv 2410.04332), with shares in
    place of masks.

    Attributes:
        gate_routed: apply the share to the gate's gradient, too; otherwise the gate has global credit.
        encoder: what reaches the features: "routed", this gradient; "global", the gradient of global credit, so that
            only the parts are routed; "stopped", none, and an encoder before this head learns nothing from it.
            "routed" is not the gradient of any loss in the encoder, and on a task whose features all parts share it can
            fail to fit.
    """

    gate_routed: bool = False
    encoder: RoutedEncoder = "routed"

    def __post_init__(self) -> None:
        """Refuse another word for the encoder."""
        if self.encoder not in get_args(RoutedEncoder):
            raise ValueError(f"encoder is {self.encoder!r}, but must be one of {', '.join(get_args(RoutedEncoder))}")
        if self.gate_routed and self.encoder == "global":
            raise ValueError("gate_routed is True, but encoder is 'global': the gate reads the features; choose one")

    @property
    def reaches_features(self) -> bool:
        """Whether the gradient of the loss passes on to the features."""
        return self.encoder != "stopped"

    @property
    def splits_features(self) -> bool:
        """Whether the features need a path of their own."""
        return self.encoder == "global"

    def __call__(self, estimate: ValueEstimate, targets: ValueTargets, bias: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: event shares are missing or are not one column per part.
        """
        share = _check_shape("event_share", targets.event_share, estimate.part_values.shape)
        share = share.to(estimate.part_values.dtype).nan_to_num(nan=1.0)
        if self.gate_routed:
            value = _scale_gradient(estimate.contributions, share).sum(dim=1) + bias
        else:
            value = mix(_scale_gradient(estimate.part_values, share), estimate.weights, bias)
        if estimate.feature_values is not None:
            # The difference is 0; its gradient is that of global credit to the features.
            unscaled = estimate.feature_values - estimate.feature_values.detach()
            value = value + (estimate.weights * unscaled).sum(dim=1)
        return squared_error(value, targets)


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
    context = _check_shape("context", targets.context, estimate.value.shape)
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


def _scale_gradient(part: Tensor, share: Tensor) -> Tensor:
    # lerp(sg(p), p, s) = s p + (1 − s) sg(p); its value is p bitwise, because it adds s · (p − p).
    return torch.lerp(part.detach(), part, share)


def _check_shape(name: str, tensor: Tensor | None, shape: torch.Size) -> Tensor:
    if tensor is None:
        raise ValueError(f"targets.{name} is None, but this head's credit needs it with shape {tuple(shape)}")
    if tensor.shape != shape:
        raise ValueError(f"targets.{name} has shape {tuple(tensor.shape)}, but must have {tuple(shape)}")
    return tensor


def _check_valid(valid: Tensor, shape: torch.Size) -> None:
    _check_shape("valid", valid, shape)
    if valid.dtype != torch.bool:
        raise ValueError(f"targets.valid has type {valid.dtype}, but must be torch.bool")
