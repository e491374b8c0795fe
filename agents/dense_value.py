"""How V∘E learns from a minibatch: its loss and the gradient, written out for dense layers, by autograd for others.

What stands above the parts' values p has `agents.value_tops`. Below it, with x the features, h = relu(W x + b),
p_k = Σ_j w_kj h_kj, and g the gradient to p:

    δ_kj = g_k w_kj 1[h_kj > 0],    ∂W = δᵀ x,    ∂b = Σ_b δ,    ∂w_kj = Σ_b g_k h_kj,    ∂x = δ W.

Where credit to weights and features differs (`CreditRule.splits_features`), g and δ do. The numbers are those of
autograd, up to rounding, and most arms learn in half to two thirds of the time: layers are so thin that what goes on
around their products costs more than these.

Shape key: b rows in a minibatch, I inputs, D features, K parts, H hidden units of a part, U = K·H.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from agents.active_inputs import ActiveInputs
from agents.dense_layers import Gradients, back_to_inputs, hidden_layers, layers_of
from agents.inputs import Inputs, as_matrix
from agents.networks import Encoder, MlpEncoder
from agents.optimization import by_autograd
from agents.part_kernels import read_parts, spread_parts
from agents.value_tops import NOTHING, Read, StackedHead, TopGradients, top_of
from shards.ensemble import Ensemble
from shards.monolith import GroupedMonolith, Monolith
from shards.value_head import ValueHead, ValueTargets

KNOWN = (Monolith, GroupedMonolith, Ensemble)


@dataclass(frozen=True, eq=False)
class Learned:
    """The loss of a minibatch, its gradient to the parts' values [b, K], and one gradient for each parameter."""

    loss: float
    to_values: Tensor
    gradients: Sequence[Tensor]


class ValueLearner(Protocol):
    """The form of a learner; it is made when V and E are where an optimiser keeps them."""

    def __call__(self, inputs: Inputs, targets: ValueTargets, parameters: Sequence[Tensor]) -> Learned:
        """Differentiate the loss of a minibatch.

        Args:
            inputs: [b, I], or features [b, D] where there is no E.
            targets: of these rows, all of which count.
            parameters: what gradients are asked for; 0 where the loss does not reach.
        """


class AutogradValue:
    """Every V and E without memory, by autograd."""

    def __init__(self, head: ValueHead, encoder: Encoder | None) -> None:
        """Take V and E; None where V learns from features that stay."""
        self.head, self.encoder = head, encoder

    def __call__(self, inputs: Inputs, targets: ValueTargets, parameters: Sequence[Tensor]) -> Learned:
        """See `ValueLearner`."""
        features = as_matrix(inputs) if self.encoder is None else self.encoder(inputs)[0]
        estimate = self.head(features, targets.context)
        loss = self.head.credit(estimate, targets)
        to_values, *gradients = by_autograd(loss, [estimate.part_values, *parameters])
        return Learned(float(loss.detach()), to_values, gradients)


class DenseValue:
    """One hidden layer in V, and dense layers on active inputs in E, on the CPU."""

    def __init__(self, head: StackedHead, encoder: MlpEncoder | None) -> None:
        """Take V, with the credit rule that it has now, and E; None where V learns from features that stay."""
        self.layers, self.top = [] if encoder is None else layers_of(encoder), top_of(head)
        self.reaches_features = bool(self.layers) and head.credit_rule.reaches_features
        parts = head.parts
        self.stacked = (parts.input_weight, parts.input_bias, parts.output_weight)
        self.weight, self.bias = parts.input_weight.detach().flatten(0, 1), parts.input_bias.detach().flatten()
        self.output_weight = head.part_weight.detach()

    @torch.no_grad()
    def __call__(self, inputs: Inputs, targets: ValueTargets, parameters: Sequence[Tensor]) -> Learned:
        """See `ValueLearner`."""
        below = hidden_layers(self.layers, inputs) if isinstance(inputs, ActiveInputs) else [as_matrix(inputs)]
        hidden = torch.addmm(self.bias, below[-1], self.weight.t())
        values = torch.empty(len(hidden), len(self.output_weight))
        read_parts(hidden.numpy(), self.output_weight.numpy(), values.numpy())
        read = Read(values, hidden, below[-1])
        top = self.top(read, targets, reaches_features=self.reaches_features)
        reached, to_features = self._below_values(read, top)
        if to_features is not None:
            assert isinstance(inputs, ActiveInputs)
            reached |= back_to_inputs(self.layers, below, to_features, inputs=inputs)
        for parameter, gradient in top.by_parameter.items():
            reached[parameter] = reached[parameter] + gradient if parameter in reached else gradient
        gradients = [reached[p] if p in reached else torch.zeros_like(p) for p in parameters]
        return Learned(top.loss, top.to_values, gradients)

    def _below_values(self, read: Read, top: TopGradients) -> tuple[Gradients, Tensor | None]:
        """Gradients to the weights of the parts, and to the features where E learns."""
        weight, bias, output_weight = self.stacked
        delta, to_output, to_bias = self._through(read, top.to_values, beside=top.to_hidden)
        gradients: Gradients = {
            weight: (delta.t() @ read.features).view_as(weight), bias: to_bias.view_as(bias),
            output_weight: to_output.view_as(output_weight),
        }  # fmt: skip
        if not self.reaches_features:
            return gradients, None
        if top.to_again is not None:
            delta = self._through(read, top.to_again, beside=None)[0]
        to_features = delta @ self.weight
        if top.to_features is not None:
            to_features += top.to_features
        return gradients, to_features

    def _through(self, read: Read, given: Tensor, *, beside: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """δ [b, U] of a gradient to p, and the gradients to w and b."""
        hidden, weight = read.hidden, self.output_weight
        delta, to_output, to_bias = torch.empty_like(hidden), torch.zeros(weight.shape), torch.zeros(hidden.shape[1])
        others = NOTHING if beside is None else beside.contiguous().numpy()
        out = (delta.numpy(), to_output.numpy(), to_bias.numpy())
        spread_parts(given.contiguous().numpy(), hidden.numpy(), weight.numpy(), others, out)
        return delta, to_output, to_bias


def value_learner(head: ValueHead, encoder: Encoder | None, inputs: Inputs) -> ValueLearner:
    """The fastest learner of V and E, None where V learns from features that stay, from inputs of this kind."""
    # A subclass may compute something else.
    here = head.bias.device.type == "cpu" and head.bias.dtype == torch.float32
    if here and type(head) in KNOWN and isinstance(head, StackedHead) and head.parts.is_plain:
        if encoder is None:
            return DenseValue(head, None)
        if type(encoder) is MlpEncoder and isinstance(inputs, ActiveInputs):
            return DenseValue(head, encoder)
    return AutogradValue(head, encoder)
