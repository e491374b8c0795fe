"""Credit: which gradient a reward sends to which part.

A rule is a frozen dataclass that is called with (estimate, targets, bias) and returns a scalar loss. All rules have the
squared error between value and total at their core; they differ in where its gradient goes and in what is added.

Shape key: B batch, K parts, U units, C contexts, E events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from shards.mixers import mix
from shards.value_head import ValueEstimate, ValueTargets

RoutedEncoder = Literal["routed", "global", "stopped"]


@dataclass(frozen=True)
class SquaredSplit:
    """That a loss is scale · mean of (value − total)², and how its gradient is divided.

    Attributes:
        by_event: part k learns the share of event k in it; otherwise all of it.
        of_gate: the gate's weight of part k, too.
        scale: its factor, by the targets of a batch.
    """

    by_event: bool = False
    of_gate: bool = False
    scale: Callable[[ValueTargets], float] = lambda targets: 1.0


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
    check_shape("total", targets.total, value.shape)
    return mean_square(value, targets.total, targets.valid)


def mean_square(prediction: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
    """Mean of (prediction − target)² over the places where valid, all where it is None; arguments of one shape."""
    if valid is None:
        return functional.mse_loss(prediction, target)
    check_valid(valid, prediction.shape)
    error = torch.where(valid, prediction - target, 0.0).flatten()
    return error.dot(error) / valid.sum().clamp(min=1)


@dataclass(frozen=True)
class GlobalCredit:
    """Loss = mean over valid of (value − total)²: every part learns from every error, in proportion to its weight.

    Under an oracle gate, whose weights are one-hot, and without a shared bias this is *local* credit: a sample sends a
    gradient of exactly 0 to every part but that of its context.
    """

    reaches_features: bool = True
    splits_features: bool = False

    @property
    def squared_split(self) -> SquaredSplit:
        """All learn all of it."""
        return SquaredSplit()

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
            fail to fit. Where no gate lets one part speak, it can diverge: nothing holds a part in place on the samples
            of the others, so that parts drift apart while their sum still fits, and the encoder follows one of them.
            MONO-ROUTE on CrossedHistory, 2,000 steps of Adam, seeds 0 and 1: R² of V below −200 routed, .17 and .40
            stopped, .997 and .991 global (MONO .996 and .993).
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

    @property
    def squared_split(self) -> SquaredSplit:
        """By event, and so the gate where `gate_routed`."""
        return SquaredSplit(by_event=True, of_gate=self.gate_routed)

    def __call__(self, estimate: ValueEstimate, targets: ValueTargets, bias: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: event shares are missing or are not one column per part.
        """
        share = check_shape("event_share", targets.event_share, estimate.part_values.shape)
        share = share.to(estimate.part_values.dtype).nan_to_num(nan=1.0)
        if self.gate_routed:
            value = _scale_gradient(estimate.contributions, share).sum(dim=1) + bias
        else:
            value = mix(_scale_gradient(estimate.part_values, share), estimate.weights, bias)
        if estimate.feature_values is not None:
            # The difference is 0; its gradient is that of global credit to the features.
            unscaled = estimate.feature_values - estimate.feature_values.detach()
            value = value + (estimate.weights * unscaled).sum(dim=1)
        # The estimate's own number: a sum over groups of units may round differently.
        return squared_error(estimate.value.detach() + (value - value.detach()), targets)


@dataclass(frozen=True)
class ComponentCredit:
    """Every part learns the return of its own reward component, and nothing else (van Seijen et al. 2017).

        loss = mean over valid of Σ_k (p_k − components_k)².

    The value Σ_k w_k p_k, w the rewards' weights, is in no loss: where the parts are right, it is, since the total is
    Σ_k w_k components_k. Source: arXiv 1706.04208, section 3.2, with λ-returns of each component for its targets.
    """

    reaches_features: bool = True
    splits_features: bool = False
    squared_split: None = None

    def __call__(self, estimate: ValueEstimate, targets: ValueTargets, bias: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: components are missing or are not one column per part.
        """
        part_values = estimate.part_values
        check_shape("total", targets.total, estimate.value.shape)
        components = check_shape("components", targets.components, part_values.shape)
        valid = targets.valid
        if valid is not None:
            check_valid(valid, estimate.value.shape)
            valid = valid.unsqueeze(1).expand_as(part_values)
        return part_values.shape[1] * mean_square(part_values, components, valid)


def _scale_gradient(part: Tensor, share: Tensor) -> Tensor:
    # lerp(sg(p), p, s) = s p + (1 − s) sg(p); its value is p bitwise, because it adds s · (p − p).
    return torch.lerp(part.detach(), part, share)


def check_shape(name: str, tensor: Tensor | None, shape: torch.Size) -> Tensor:
    """Return the target called `name`, after refusing it where it is missing or has another shape."""
    if tensor is None:
        raise ValueError(f"targets.{name} is None, but this head's credit needs it with shape {tuple(shape)}")
    if tensor.shape != shape:
        raise ValueError(f"targets.{name} has shape {tuple(tensor.shape)}, but must have {tuple(shape)}")
    return tensor


def check_valid(valid: Tensor, shape: torch.Size) -> None:
    """Refuse a mask of samples that has another shape or is no bool."""
    check_shape("valid", valid, shape)
    if valid.dtype != torch.bool:
        raise ValueError(f"targets.valid has type {valid.dtype}, but must be torch.bool")
