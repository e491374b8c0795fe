"""Rectified dense layers on active inputs, forwards and backwards, without autograd.

With h_l the layers and δ_l the gradient to h_l,

    δ_l' = δ_l · 1[h_l > 0],   ∂W_l = δ_l'ᵀ h_{l−1},   ∂b_l = Σ_b δ_l',   δ_{l−1} = δ_l' W_l.

Shape key: b rows in a minibatch, D features of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agents.active_inputs import ActiveInputs, first_hidden, spread_columns
from agents.networks import MlpEncoder

Gradients = dict[Tensor, Tensor]  # By parameter.


def layers_of(encoder: MlpEncoder) -> list[nn.Linear]:
    """The layers, from the first to the last."""
    return [layer for layer in encoder.dense.layers if isinstance(layer, nn.Linear)]


def hidden_layers(layers: Sequence[nn.Linear], inputs: ActiveInputs) -> list[Tensor]:
    """All rectified layers, float32[b, D] each, from the first to the last."""
    first, *others = layers
    hidden = [first_hidden(first.weight, first.bias, inputs)]
    for layer in others:
        hidden.append(torch.addmm(layer.bias, hidden[-1], layer.weight.t()).relu_())
    return hidden


def back_to_inputs(
    layers: Sequence[nn.Linear], hidden: Sequence[Tensor], to_hidden: Tensor, *, inputs: ActiveInputs
) -> Gradients:
    """Gradients of all layers' parameters, from that to the last layer, which is overwritten."""
    gradients: Gradients = {}
    for layer, below, here in zip(layers[:0:-1], hidden[-2::-1], hidden[:0:-1], strict=True):
        to_hidden *= here.sign()  # 1 where a unit is above 0, in a quarter of the time that autograd's own mask takes.
        gradients[layer.weight], gradients[layer.bias] = to_hidden.t() @ below, to_hidden.sum(dim=0)
        to_hidden = to_hidden @ layer.weight
    to_weight, to_start = spread_columns(to_hidden, hidden[0], inputs)
    gradients[layers[0].bias] = to_start
    gradients[layers[0].weight] = to_weight.addr_(inputs.base, to_start).t()
    return gradients
