"""The monolith: one part, no gate. The answer "V is a neural network".

Shape key: B batch, D features, H hidden units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shards.ensemble import StackedParts
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
        value = part_values.squeeze(1) + self.bias
        return ValueEstimate(value, part_values, torch.ones_like(part_values), hidden, self.parts.output_weight)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the weights anew; the bias is 0."""
        self.parts.reset_parameters(generator)
        nn.init.zeros_(self.bias)
