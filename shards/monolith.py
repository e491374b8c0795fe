"""The monolith: one part, no gate. The answer "V is a neural network".

Shape key: B batch, D features, K groups, H hidden units of a group, U = K·H.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shards.ensemble import StackedParts, block_of_units
from shards.value_head import CreditRule, ValueEstimate, ValueHead


class Monolith(ValueHead):
    """value = Σ_j w_j hidden_j + bias: an ordinary multilayer perceptron with rectified units.

    Its layers are a stack of one part, so that it equals a one-part ensemble bitwise, in values and in gradients.
    """

    def __init__(self, parts: StackedParts, credit_rule: CreditRule) -> None:
        """Take a stack of one part.

        Raises:
            ValueError: the stack has several parts.
        """
        num_parts, hidden_size, num_features = parts.input_weight.shape
        if num_parts != 1:
            raise ValueError(f"a monolith was given {num_parts} parts, but has one; use Ensemble for several")
        super().__init__(num_features, torch.zeros(hidden_size, dtype=torch.int64), credit_rule)
        self.parts = parts

    def forward(self, features: Tensor, context: Tensor | None = None) -> ValueEstimate:
        """Estimate values (see `ValueHead.forward`); the context is not read."""
        features = self.enter(features)
        part_values, hidden = self.parts(features)
        return self.combine(part_values, hidden, features, context=context)

    @property
    def part_weight(self) -> Tensor:
        """Output weights by part, float[K, H]."""
        return self.parts.output_weight

    def combine(
        self,
        part_values: Tensor,
        hidden: Tensor,
        features: Tensor,
        *,
        context: Tensor | None,
        feature_values: Tensor | None = None,
    ) -> ValueEstimate:
        """Make the estimate of what is known (see `Ensemble.combine`); groups of units are added up first."""
        total = part_values.squeeze(1) if self.num_parts == 1 else part_values.sum(dim=1)
        weights = torch.ones_like(part_values)
        return ValueEstimate(total + self.bias, part_values, weights, hidden, self.part_weight, feature_values)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the weights anew; the bias is 0."""
        self.parts.reset_parameters(generator)
        nn.init.zeros_(self.bias)


class GroupedMonolith(Monolith):
    """A monolith whose last hidden units are told apart in K groups of H, so that credit can reach them separately.

        part_value_k = Σ_{j in group k} w_j hidden_j,  weights_k = 1,

    and the value is the monolith's own sum over all units, bitwise, not the sum over groups, which rounds differently.
    Layers below the last hidden one belong to all groups.
    """

    block: Tensor

    def __init__(self, parts: StackedParts, credit_rule: CreditRule, *, num_groups: int) -> None:
        """Take a stack of one part whose units are a multiple of the groups; else ValueError."""
        super().__init__(parts, credit_rule)
        hidden_size, rest = divmod(len(self.unit_part), num_groups)
        if rest:
            raise ValueError(f"{len(self.unit_part)} units make no {num_groups} equal groups; take a multiple")
        self.num_parts = num_groups
        self.unit_part = torch.arange(num_groups).repeat_interleave(hidden_size)
        self.register_buffer("block", block_of_units(num_groups, hidden_size), persistent=False)

    def forward(self, features: Tensor, context: Tensor | None = None) -> ValueEstimate:
        """Estimate values (see `ValueHead.forward`); the context is not read."""
        features = self.enter(features)
        splits = self.credit_rule.splits_features and features.requires_grad
        whole, hidden = self.parts(features.detach() if splits else features)
        output_weight = self.part_weight
        part_values = self._by_group(hidden, output_weight)
        feature_values = None
        if splits:
            feature_values = self._by_group(self.parts.without_weights(features)[1], output_weight.detach())
        hidden = hidden.view(len(hidden), *output_weight.shape)
        weights, value = torch.ones_like(part_values), whole.squeeze(1) + self.bias
        return ValueEstimate(value, part_values, weights, hidden, output_weight, feature_values)

    @property
    def part_weight(self) -> Tensor:
        """Output weights by group, float[K, H]."""
        return self.parts.output_weight.view(self.num_parts, -1)

    def _by_group(self, hidden: Tensor, output_weight: Tensor) -> Tensor:
        return hidden.flatten(1) @ (output_weight.reshape(-1, 1) * self.block)
