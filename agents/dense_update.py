"""Loss and gradient of one update of the usual agent, written out: dense layers on active inputs, policy and baseline.

The numbers are those that autograd gives for the loss of `agents.learner`, up to rounding. With h_l the layers, z the
outputs of both heads side by side, and δ_z what the losses say of z:

    δ_L = δ_z W_z,   δ_l' = δ_l · 1[h_l > 0],   ∂W_l = δ_l'ᵀ h_{l−1},   ∂b_l = Σ_b δ_l',   δ_{l−1} = δ_l' W_l.

Layers are so thin that autograd's way, operation by operation with both heads apart, takes half as long again.

Shape key: b rows in a minibatch, A actions, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.active_inputs import ActiveInputs
from agents.agent import AlphaAgent
from agents.config import ReinforceConfig
from agents.dense_layers import Gradients, back_to_inputs, hidden_layers, layers_of
from agents.networks import MlpEncoder
from agents.policy_terms import terms_and_gradients


@dataclass(frozen=True, eq=False)
class Minibatch:
    """What the loss is made of.

    Attributes:
        inputs: [b, I].
        actions: int64[b].
        old_log_probs: float32[b].
        advantages: float32[b], as they weigh the policy.
        targets: float32[b], of the baseline.
    """

    inputs: ActiveInputs
    actions: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Terms:
    """The loss and its parts."""

    loss: float
    policy_loss: float
    baseline_loss: float
    entropy: float
    divergence: float


def is_dense(agent: AlphaAgent, config: ReinforceConfig) -> bool:
    """Whether agent and settings are the usual ones; the inputs have to be active ones besides."""
    return config.fast_kernels and not config.share_value and isinstance(agent.policy_encoder, MlpEncoder)


@torch.no_grad()
def loss_and_gradients(
    agent: AlphaAgent, batch: Minibatch, config: ReinforceConfig, *, only_baseline: bool
) -> tuple[Terms, Gradients]:
    """The loss of `agents.learner.reinforce`, and its gradients; a parameter that is not among them has 0.

    Args:
        agent: as `is_dense` asks for.
        batch: the rows.
        config: weights of the terms, objective and clipping.
        only_baseline: the loss is the baseline's alone, and stops at the features.
    """
    assert isinstance(agent.policy_encoder, MlpEncoder)
    layers = layers_of(agent.policy_encoder)
    hidden = hidden_layers(layers, batch.inputs)
    policy, baseline = agent.policy_head, agent.baseline_head
    weight, bias = torch.cat([policy.weight, baseline.weight]), torch.cat([policy.bias, baseline.bias])
    terms, to_outputs = _loss(torch.addmm(bias, hidden[-1], weight.t()), batch, config, only_baseline=only_baseline)
    to_weight, to_bias, num_actions = to_outputs.t() @ hidden[-1], to_outputs.sum(dim=0), len(policy.bias)
    gradients: Gradients = {
        policy.weight: to_weight[:num_actions], policy.bias: to_bias[:num_actions],
        baseline.weight: to_weight[num_actions:], baseline.bias: to_bias[num_actions:],
    }  # fmt: skip
    if config.train_encoder and not only_baseline:
        gradients |= back_to_inputs(layers, hidden, to_outputs @ weight, inputs=batch.inputs)
    return terms, gradients


def _loss(
    outputs: Tensor, batch: Minibatch, config: ReinforceConfig, *, only_baseline: bool
) -> tuple[Terms, Tensor]:  # fmt: skip
    """The terms, and the loss's gradient to the heads' outputs float32[b, A + 1]."""
    clip = None if config.objective == "reinforce" else config.clip
    (policy_loss, spread, divergence), (to_loss, to_entropy) = terms_and_gradients(
        outputs[:, :-1].contiguous(), batch.actions, batch.old_log_probs, advantages=batch.advantages, clip=clip
    )
    error = outputs[:, -1] - batch.targets
    baseline_loss = float(error.square().mean())
    loss, to_outputs = config.baseline_weight * baseline_loss, torch.zeros_like(outputs)
    torch.mul(error, 2.0 * config.baseline_weight / len(error), out=to_outputs[:, -1])
    if not only_baseline:
        loss += policy_loss - config.entropy_weight * spread
        torch.sub(to_loss, to_entropy, alpha=config.entropy_weight, out=to_outputs[:, :-1])
    return Terms(loss, policy_loss, baseline_loss, spread, divergence), to_outputs
