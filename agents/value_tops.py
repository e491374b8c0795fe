"""What stands above the values of V's parts: gate, mixer and credit, with their gradient down to these values.

Shape key: b rows in a minibatch, D features, K parts, H hidden units of a part, U = K·H.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from agents.part_kernels import GIVEN, SOFTMAX, weigh_parts
from shards.credit import SquaredSplit, check_shape
from shards.ensemble import Ensemble
from shards.gates import LinearGate
from shards.mixers import given_mixer, softmax_mixer
from shards.monolith import Monolith
from shards.value_head import ValueTargets

StackedHead = Monolith | Ensemble

NOTHING = np.empty((0, 0), np.float32)


@dataclass(frozen=True, eq=False)
class Read:
    """What a top is given: the parts' values [b, K], their hidden layer [b, U], and the features [b, D] below it."""

    values: Tensor
    hidden: Tensor
    features: Tensor


@dataclass(frozen=True, eq=False)
class TopGradients:
    """A loss and its gradients.

    Attributes:
        loss: the loss.
        to_values: [b, K].
        to_again: [b, K], to the values as the features learn from them, where this differs; else None.
        to_features: [b, D], past the parts; None where nothing goes there.
        to_hidden: [b, U], past the values; None where nothing goes there.
        by_parameter: gradients to parameters above the values, and to what reaches the output weights past them.
    """

    loss: float
    to_values: Tensor
    to_again: Tensor | None = None
    to_features: Tensor | None = None
    to_hidden: Tensor | None = None
    by_parameter: dict[Tensor, Tensor] = field(default_factory=dict)


class Top(Protocol):
    """The form of a top."""

    def __call__(self, read: Read, targets: ValueTargets, *, reaches_features: bool) -> TopGradients:
        """Return the loss of the targets and its gradients; to features where `reaches_features`."""


class AutogradTop:
    """Every gate, mixer and credit, by autograd."""

    def __init__(self, head: StackedHead) -> None:
        """Take the head."""
        self.head, stack = head, head.parts
        own = {id(parameter) for parameter in stack.parameters()} - {id(stack.output_weight)}
        self.parameters = [p for p in head.parameters() if id(p) not in own and p.requires_grad]

    def __call__(self, read: Read, targets: ValueTargets, *, reaches_features: bool) -> TopGradients:
        """See `Top`."""
        splits = reaches_features and self.head.credit_rule.splits_features
        with torch.enable_grad():
            return self._differentiated(read, targets, reaches_features=reaches_features, splits=splits)

    def _differentiated(
        self, read: Read, targets: ValueTargets, *, reaches_features: bool, splits: bool
    ) -> TopGradients:  # fmt: skip
        head = self.head
        values, hidden = read.values.detach().requires_grad_(), read.hidden.detach().requires_grad_()
        features = read.features.detach().requires_grad_(reaches_features)
        again = read.values.detach().clone().requires_grad_() if splits else None
        estimate = head.combine(
            values, hidden.view(len(hidden), *head.part_weight.shape), features, context=targets.context,
            feature_values=again,
        )  # fmt: skip
        loss = head.credit(estimate, targets)
        asked = [values, again, features if reaches_features else None, hidden, *self.parameters]
        needed = [tensor for tensor in asked if tensor is not None]
        found = dict(zip(needed, torch.autograd.grad(loss, needed, allow_unused=True), strict=True))
        to_values = found[values]
        return TopGradients(
            loss=float(loss.detach()), to_values=torch.zeros_like(values) if to_values is None else to_values,
            to_again=None if again is None else found[again], to_features=found.get(features), to_hidden=found[hidden],
            by_parameter={p: gradient for p in self.parameters if (gradient := found[p]) is not None},
        )  # fmt: skip


class SquaredTop:
    """Gates that are linear or given, and the squared error of their mixture, its gradient written out.

    With w the weights, s the share of the error that a part learns, e = scale · 2 (Σ_k w_k p_k + bias − total) / b:

        ∂p_k = e w_k s_k,   ∂w_k = e p_k (· s_k where the gate learns a share),   ∂score_k = w_k (∂w_k − Σ_l w_l ∂w_l),

    the last for weights that are the softmax of scores; and e w_k is what p_k would learn of all of the error. All
    samples count.
    """

    def __init__(self, head: StackedHead, split: SquaredSplit) -> None:
        """Take a head as `top_of` finds it."""
        self.head, self.split = head, split
        self.gate = head.gate if isinstance(head, Ensemble) else None
        self.learned = self.gate if isinstance(self.gate, LinearGate) else None
        self.bias = head.bias if isinstance(head.bias, torch.nn.Parameter) else None

    def __call__(self, read: Read, targets: ValueTargets, *, reaches_features: bool) -> TopGradients:
        """See `Top`."""
        split, shape = self.split, read.values.shape
        check_shape("total", targets.total, shape[:1])
        if targets.valid is not None:
            raise ValueError("targets.valid is given, but written-out credit counts all samples; leave them out before")
        share = NOTHING if not split.by_event else self._shares(targets, shape).numpy()
        scores = self._scores(read, targets.context)
        to_values, to_again, to_scores = (torch.empty(shape) for _ in range(3))
        loss, to_bias = weigh_parts(
            read.values.numpy(), (scores.numpy(), GIVEN if self.learned is None else SOFTMAX), (share, split.of_gate),
            (targets.total.numpy(), float(self.head.bias), split.scale(targets)),
            (to_values.numpy(), to_again.numpy(), to_scores.numpy()),
        )  # fmt: skip
        gradients: dict[Tensor, Tensor] = {}
        to_features = None
        if self.bias is not None:
            gradients[self.bias] = torch.tensor(to_bias, dtype=torch.float32)
        if self.learned is not None:
            gradients |= {self.learned.weight: to_scores.t() @ read.features, self.learned.bias: to_scores.sum(dim=0)}
            to_features = to_scores @ self.learned.weight.detach() if reaches_features else None
        splits = reaches_features and self.head.credit_rule.splits_features
        return TopGradients(loss, to_values, to_again if splits else None, to_features, by_parameter=gradients)

    def _shares(self, targets: ValueTargets, shape: torch.Size) -> Tensor:
        return check_shape("event_share", targets.event_share, shape).to(torch.float32).contiguous()

    def _scores(self, read: Read, context: Tensor | None) -> Tensor:
        """Scores of a learned gate, weights of a given one, 1 without a gate; a tensor of its own."""
        if self.learned is not None:
            return torch.addmm(self.learned.bias.detach(), read.features, self.learned.weight.detach().t())
        return torch.ones(read.values.shape) if self.gate is None else self.gate(read.features, context).contiguous()


def top_of(head: StackedHead) -> Top:
    """The top of a head: written out where gate and credit are known, else by autograd."""
    split = getattr(head.credit_rule, "squared_split", None)
    known = isinstance(head, Monolith)
    if isinstance(head, Ensemble):
        learned = type(head.gate) is LinearGate and head.mixer is softmax_mixer
        known = learned or (head.mixer is given_mixer and not list(head.gate.parameters()))
    return AutogradTop(head) if split is None or not known else SquaredTop(head, split)
