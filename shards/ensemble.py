"""Several parts side by side, a gate that calls for them, and a mixer that adds them up.

Shape key: B batch, D features, K parts, H units of each hidden layer of a part, U = K·H.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shards.gates import Gate
from shards.mixers import Mixer, mix
from shards.value_head import CreditRule, ValueEstimate, ValueHead, draw_normal


class StackedParts(nn.Module):
    """K multilayer perceptrons of one shape that share their input and no weight, run together.

        hidden_1 = relu(W_1 features + b_1),  hidden_l = relu(W_l hidden_{l-1} + b_l),  part_value = w · hidden_L,

    each for every part. The first layer reads the same features in every part and is therefore one matrix product for
    all of them; deeper layers are one batched product. The output weights stand in a block-diagonal matrix [U, K], so
    that the last step, too, is one product: its zeros cost less than a batched product of thin matrices. There is no
    output bias: the head's one bias stands outside.

    With reflection, a second pass lets part k also read what the other parts said in the first:

        hidden_1 = relu(W_1 features + b_1 + Σ_{l≠k} R_kl sg(q_l)),   q_l the value of part l without the last term.

    What is read sends no gradient back (sg): to read another part is not to train it, so part k's error still teaches
    part k alone, and routed credit stays routed. R starts at zero. One part has no other to read: there, reflection
    adds neither weights nor a pass.
    """

    block: Tensor
    others: Tensor

    def __init__(
        self,
        num_features: int,
        *,
        num_parts: int,
        hidden_size: int,
        num_layers: int,
        reflection: bool = False,
        num_added: int = 1,
    ) -> None:
        """Make the weights of every part, NaN until they are given.

        Args:
            num_features: D.
            num_parts: K.
            hidden_size: H.
            num_layers: hidden layers.
            reflection: whether parts read what the others say.
            num_added: how many parts the value is a plain sum of; output weights start smaller by its square root, so
                that the sum starts with the spread of one part.
        """
        super().__init__()
        self.input_weight = _unset(num_parts, hidden_size, num_features)
        self.input_bias = _unset(num_parts, hidden_size)
        deeper = range(num_layers - 1)
        self.deeper_weight = nn.ParameterList([_unset(num_parts, hidden_size, hidden_size) for _ in deeper])
        self.deeper_bias = nn.ParameterList([_unset(num_parts, hidden_size) for _ in deeper])
        self.output_weight = _unset(num_parts, hidden_size)
        self.register_buffer("block", block_of_units(num_parts, hidden_size), persistent=False)
        # They do nothing but mark where hidden layers can be read and changed (`analysis.instruments.activations`).
        self.earlier_sites = nn.ModuleList(nn.Identity() for _ in deeper)
        self.last_site = nn.Identity()
        self.output_std = (num_added * hidden_size) ** -0.5
        self.reflects = reflection and num_parts > 1
        if self.reflects:
            self.others_weight = _unset(num_parts, hidden_size, num_parts - 1)
            others = [[other for other in range(num_parts) if other != part] for part in range(num_parts)]
            self.register_buffer("others", torch.tensor(others), persistent=False)

    @property
    def is_plain(self) -> bool:
        """Whether a part is one hidden layer that reads the features alone."""
        return not self.deeper_weight and not self.reflects

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return part_values, float[B, K], and hidden_L, float[B, K, H], for features float[B, D]."""
        reached = functional.linear(features, self.input_weight.flatten(0, 1), self.input_bias.flatten())
        if self.reflects:
            reached = reached + self._reflection(reached)
        return self._read(reached.relu_())

    def without_weights(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same as `forward`, with a gradient to the features and none to the weights."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        try:
            for parameter in trained:
                parameter.requires_grad_(False)
            return self.forward(features)
        finally:
            for parameter in trained:
                parameter.requires_grad_(True)

    def _reflection(self, reached: Tensor) -> Tensor:
        """What the first layer [B, U] gets from the other parts, which have a first pass for it."""
        with torch.no_grad():
            said = self._read(reached.relu())[0]
        return torch.einsum("bkl,khl->bkh", said[:, self.others], self.others_weight).flatten(1)

    def _read(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        hidden = flat.view(flat.shape[0], *self.output_weight.shape)
        if self.deeper_weight:
            hidden = self._deeper(hidden)
        hidden = self.last_site(hidden)
        return hidden.flatten(1) @ (self.output_weight.reshape(-1, 1) * self.block), hidden

    def _deeper(self, hidden: Tensor) -> Tensor:
        for weight, bias, site in zip(self.deeper_weight, self.deeper_bias, self.earlier_sites, strict=True):
            by_part = site(hidden).transpose(0, 1)
            hidden = torch.baddbmm(bias.unsqueeze(1), by_part, weight.transpose(1, 2)).relu_().transpose(0, 1)
        return hidden

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw hidden weights from N(0, 2/fan_in), output weights from N(0, 1/H); all others are 0 (He et al. 2015).

        The spread depends on the fan-in alone, so that a unit starts alike in a wide monolith and in a narrow part.
        """
        for weight in (self.input_weight, *self.deeper_weight):
            draw_normal(weight, (2.0 / weight.shape[2]) ** 0.5, generator)
        draw_normal(self.output_weight, self.output_std, generator)
        for start in (self.input_bias, *self.deeper_bias, *([self.others_weight] if self.reflects else [])):
            nn.init.zeros_(start)


def block_of_units(num_parts: int, hidden_size: int) -> Tensor:
    """float[U, K], 1 where a unit belongs to a part: the first `hidden_size` units to the first part, and so on."""
    return torch.eye(num_parts).repeat_interleave(hidden_size, dim=0)


def _unset(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.full(shape, torch.nan))


class Ensemble(ValueHead):
    """value = Σ_k weights_k · part_values_k + bias, with weights from a gate and a mixer."""

    def __init__(
        self, parts: StackedParts, gate: Gate, mixer: Mixer, *, credit_rule: CreditRule, train_bias: bool = True
    ) -> None:
        """Put parts, gate and mixer together; the head's credit is `credit_rule`."""
        num_parts, hidden_size, num_features = parts.input_weight.shape
        unit_part = torch.arange(num_parts).repeat_interleave(hidden_size)
        super().__init__(num_features, unit_part, credit_rule, train_bias=train_bias)
        self.parts = parts
        self.gate = gate
        self.mixer = mixer
        self.needs_context = gate.needs_context

    def forward(self, features: Tensor, context: Tensor | None = None) -> ValueEstimate:
        """Estimate values (see `ValueHead.forward`)."""
        features = self.enter(features)
        splits = self.credit_rule.splits_features and features.requires_grad
        part_values, hidden = self.parts(features.detach() if splits else features)
        feature_values = self.parts.without_weights(features)[0] if splits else None
        return self.combine(part_values, hidden, features, context=context, feature_values=feature_values)

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
        """Make the estimate of parts whose values float[B, K] and hidden units float[B, K, H] are known, as `forward`.

        Args:
            part_values: what the parts say.
            hidden: their last hidden layer.
            features: float[B, D], which a learned gate reads.
            context: as in `forward`.
            feature_values: see `ValueEstimate`.
        """
        weights = self.mixer(self.gate(features, context), part_values)
        value = mix(part_values, weights, self.bias)
        return ValueEstimate(value, part_values, weights, hidden, self.parts.output_weight, feature_values)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the parts' weights anew, then the gate's where it starts uneven; the bias is 0."""
        self.parts.reset_parameters(generator)
        self.gate.reset_parameters(generator)
        nn.init.zeros_(self.bias)
