"""The contract of a value head: what it estimates, what it is told, and how it is asked for a loss.

A value head reads features and returns one value that is a weighted sum of the values of its parts:

    value = Σ_k weights_k · part_values_k + bias,    part_values_k = Σ_j output_weight_kj · hidden_kj,

so that value − bias splits exactly into contributions of parts and, finer, of units of the last hidden layer.

Shape key: B batch, D features, K parts, H units of a part's last hidden layer, U = K·H units, C components, E events.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from shards.credit import SquaredSplit


@dataclass(frozen=True, eq=False)
class ValueEstimate:
    """A value and the parts that it is the sum of.

    Attributes:
        value: float[B], Σ_k weights · part_values + bias.
        part_values: float[B, K], what each part says, before weighting and without the bias.
        weights: float[B, K], how much each part counts; all 1 for one part.
        hidden: float[B, K, H], activations of the last hidden layer of each part, rectified and hence ≥ 0.
        output_weight: float[K, H], from the hidden layer to the part's value.
        feature_values: part_values again with a gradient to the features alone, where `CreditRule.splits_features`
            asks for it; then part_values has a gradient to the weights alone.
    """

    value: Tensor
    part_values: Tensor
    weights: Tensor
    hidden: Tensor
    output_weight: Tensor
    feature_values: Tensor | None = None

    @property
    def contributions(self) -> Tensor:
        """Weights · part_values, float[B, K]; its sum over K plus the bias is the value."""
        return self.weights * self.part_values

    @property
    def unit_contributions(self) -> Tensor:
        """weights_k · output_weight_kj · hidden_kj, float[B, U]; its sum over U plus the bias is the value.

        Column j belongs to part `ValueHead.unit_part[j]`. Worked out on request: most training steps never read it.
        """
        return (self.weights.unsqueeze(2) * self.output_weight * self.hidden).flatten(1)


@dataclass(frozen=True, eq=False)
class ValueTargets:
    """What a batch of states turned out to be worth, and what is known about why.

    Attributes:
        total: float[B], the return (or bootstrapped return) that the value should equal.
        components: float[B, C], the return by reward component.
        event_share: float[B, E], the share of each reinforcement event in the return; rows sum to 1, or are NaN where
            the label is withheld.
        bootstrap_mask: bool[B, K], which parts train on which sample.
        context: int64[B] in [0, num_contexts), −1 where unknown.
        valid: bool[B], which samples count; None means all.
    """

    total: Tensor
    components: Tensor | None = None
    event_share: Tensor | None = None
    bootstrap_mask: Tensor | None = None
    context: Tensor | None = None
    valid: Tensor | None = None

    def rows(self, index: Tensor) -> ValueTargets:
        """Return the targets of some samples, int64[b]."""
        whole = {field.name: getattr(self, field.name) for field in fields(self)}
        return ValueTargets(**{name: part.index_select(0, index) for name, part in whole.items() if part is not None})


class CreditRule(Protocol):
    """How a loss is drawn from an estimate and its targets (see `shards.credit`)."""

    @property
    def reaches_features(self) -> bool:
        """Whether the gradient of the loss passes on to the features."""

    @property
    def splits_features(self) -> bool:
        """Whether features and weights get gradients of their own (see `ValueEstimate.feature_values`)."""

    @property
    def squared_split(self) -> SquaredSplit | None:
        """How the squared error is divided among parts and gate, where the loss is that and nothing else."""

    def __call__(self, estimate: ValueEstimate, targets: ValueTargets, bias: Tensor) -> Tensor:
        """Return the loss, a scalar."""


class ValueHead(nn.Module):
    """Base of every value head.

    A subclass builds its parameters (filled with NaN, so that a head that was never given weights cannot pass for one
    that was), and writes `forward` and `reset_parameters`.

    Attributes:
        num_features: D.
        num_parts: K.
        unit_part: int64[U], the part of each column of `ValueEstimate.unit_contributions`.
        bias: float scalar outside all parts. A parameter, or a constant buffer where parts must share no weight.
        credit_rule: how `credit` forms the loss; assign another to change it, for instance
            `head.credit_rule = dataclasses.replace(head.credit_rule, penalty_weight=0.0)` for the flat control.
        needs_context: whether `forward` must be given the context.
    """

    unit_part: Tensor
    bias: Tensor

    def __init__(
        self, num_features: int, unit_part: Tensor, credit_rule: CreditRule, *, train_bias: bool = True
    ) -> None:
        """Record the shape and make the bias, NaN until the weights are given."""
        super().__init__()
        self.num_features = num_features
        self.num_parts = int(unit_part.max()) + 1
        self.credit_rule = credit_rule
        self.needs_context = False
        self.register_buffer("unit_part", unit_part, persistent=False)
        start = torch.full((), torch.nan)
        if train_bias:
            self.bias = nn.Parameter(start)
        else:
            self.register_buffer("bias", start)

    def forward(self, features: Tensor, context: Tensor | None = None) -> ValueEstimate:
        """Estimate values.

        Args:
            features: float[B, D].
            context: int64[B]; read by oracle gates alone.

        Returns:
            The estimate, on the device of the features.

        Raises:
            ValueError: features of another shape; a context missing or out of range where the head needs one.
        """
        raise NotImplementedError

    def credit(self, estimate: ValueEstimate, targets: ValueTargets) -> Tensor:
        """Return the loss of an estimate of this head, a scalar, as `credit_rule` defines it.

        Args:
            estimate: what `forward` returned, with its graph.
            targets: for the same batch, on the same device.

        Raises:
            ValueError: a target that the rule needs is missing or has another shape.
        """
        return self.credit_rule(estimate, targets, self.bias)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all weights anew from a CPU generator: the same on every device, the global generator untouched."""
        raise NotImplementedError

    def enter(self, features: Tensor) -> Tensor:
        """Check the features' shape, and cut their gradient off where credit must not reach them."""
        if features.dim() != 2 or features.shape[1] != self.num_features:
            raise ValueError(
                f"features have shape {tuple(features.shape)}, but this head reads [batch, {self.num_features}]; "
                "flatten the features, or build the head for their number"
            )
        return features if self.credit_rule.reaches_features else features.detach()


def draw_normal(parameter: Tensor, std: float, generator: torch.Generator) -> None:
    """Fill a parameter with N(0, std²) numbers drawn on the CPU, so that every device starts from the same weights."""
    with torch.no_grad():
        parameter.copy_(torch.empty(parameter.shape, dtype=torch.float32).normal_(0.0, std, generator=generator))
