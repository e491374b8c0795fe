"""Adam with a clipped gradient on one flat vector: nothing is updated before loss and gradient are known to be finite.

Parameters become views of one vector while they train. One vector costs five small operations a step, whatever the
number of layers; on one CPU thread that is a third of what torch's own fused Adam and clipping take for small networks,
and one loop in their place (`fused`) a third of that.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from agents.adam_kernels import adam_step, one_scale_step
from envs.errors import NonFiniteError, UserError

DECAY_1, DECAY_2, EPSILON = 0.9, 0.98, 1e-8
F32 = np.float32
FIRST = (F32(DECAY_1), F32(1.0 - DECAY_1))
STATE_VECTORS = ("vector", "first_moment", "second_moment")


@contextlib.contextmanager
def _without_denormals() -> Iterator[None]:
    """Count numbers below 1e-38 as 0.

    The moments of a unit that has died shrink to such numbers and stay there, where they make an update take up to
    twice as long. What they would move a weight by is below 1e-30.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def by_autograd(loss: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Gradients of a loss with its graph, one for each parameter; 0 where the loss does not reach it."""
    return torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)


class FlatAdam:
    """m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − lr·(m/(1 − β₁ᵗ)) / (√(v/(1 − β₂ᵗ)) + ε).

    g is the gradient scaled to a 2-norm of at most `max_grad_norm`. β₁ = 0.9, β₂ = 0.98, ε = 1e-8.

    Source: Kingma & Ba (2015), algorithm 1, arXiv 1412.6980. Parameters that the loss does not reach get a gradient of
    0.

    Attributes:
        vector: θ, float[P].
        num_steps: steps taken.
        first_moment: m, float[P].
        second_moment: v, float[P].
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        max_grad_norm: float,
        by_columns: Iterable[nn.Parameter] = (),
        fused: bool = False,
    ) -> None:
        """Gather the parameters that require a gradient into one vector.

        Args:
            parameters: all on one device and of one dtype; duplicates count once.
            max_grad_norm: > 0.
            by_columns: matrices among them that lie in the vector column by column, as sums over few columns read them.
            fused: take steps in one loop (`agents.adam_kernels`), on the CPU: the same up to rounding, sooner.
        """
        trained = {id(parameter): parameter for parameter in parameters if parameter.requires_grad}
        self.parameters = list(trained.values())
        self.max_grad_norm, self.num_steps = max_grad_norm, 0
        self._by_columns = {id(parameter) for parameter in by_columns}
        flat = self._flattened([parameter.detach() for parameter in self.parameters])
        self.vector = torch.cat(flat) if flat else torch.zeros(0)
        views = torch.split(self.vector, [len(part) for part in flat])
        for parameter, view in zip(self.parameters, views, strict=True):
            by_column = id(parameter) in self._by_columns
            parameter.data = view.view(parameter.shape[::-1]).t() if by_column else view.view_as(parameter)
        self._fused = fused and self.vector.device.type == "cpu"
        self.first_moment, self.second_moment = torch.zeros_like(self.vector), torch.zeros_like(self.vector)

    def step(self, loss: Tensor, *, learning_rate: float, site: str) -> tuple[float, float]:
        """Take one step down the gradient of `loss`.

        Args:
            loss: a scalar with its graph.
            learning_rate: ≥ 0.
            site: what the loss is, for the message.

        Returns:
            The loss, and the gradient's norm before clipping.

        Raises:
            NonFiniteError: loss or gradient is NaN or infinite; no parameter has changed.
        """
        value = self.checked_loss(float(loss.detach()), site=site)
        gradients = by_autograd(loss, self.parameters)
        return value, self.follow(gradients, learning_rate=learning_rate, site=site)

    def checked_loss(self, value: float, *, site: str) -> float:
        """The value; raises as `step` where it is not finite."""
        if not math.isfinite(value):
            raise NonFiniteError(f"{site} loss", step=self.num_steps)
        return value

    def follow(self, gradients: Sequence[Tensor], *, learning_rate: float, site: str) -> float:
        """Take one step down gradients that are known, one for each of `parameters`; as `step` otherwise."""
        gradient = torch.cat(self._flattened(gradients))
        norm = float(torch.linalg.vector_norm(gradient))
        if not math.isfinite(norm):
            raise NonFiniteError(f"{site} gradient", step=self.num_steps)
        if norm > self.max_grad_norm:
            gradient *= self.max_grad_norm / norm
        self._update(gradient, learning_rate)
        return norm

    def _flattened(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """A tensor for each parameter, as it lies in the vector."""
        return [
            (tensor.t() if id(parameter) in self._by_columns else tensor).reshape(-1)
            for parameter, tensor in zip(self.parameters, tensors, strict=True)
        ]

    @torch.no_grad()
    @_without_denormals()
    def _update(self, gradient: Tensor, learning_rate: float) -> None:
        self.num_steps += 1
        correction_1 = 1.0 - DECAY_1**self.num_steps
        correction_2 = 1.0 - DECAY_2**self.num_steps
        if self._fused:
            self._step_at_once(gradient, correction_2, rate=-learning_rate / correction_1)
            return
        self.first_moment.lerp_(gradient, 1.0 - DECAY_1)
        self._update_second_moment(gradient)
        scale = (self.second_moment / correction_2).sqrt_().add_(EPSILON)
        self.vector.addcdiv_(self.first_moment, scale, value=-learning_rate / correction_1)

    def _update_second_moment(self, gradient: Tensor) -> None:
        self.second_moment.mul_(DECAY_2).addcmul_(gradient, gradient, value=1.0 - DECAY_2)

    def _step_at_once(self, gradient: Tensor, correction_2: float, *, rate: float) -> None:
        vectors = (self.vector.numpy(), self.first_moment.numpy(), self.second_moment.numpy())
        numbers = (F32(1.0 / correction_2), F32(EPSILON), F32(rate))
        adam_step(vectors, gradient.numpy(), (*FIRST, F32(DECAY_2), F32(1.0 - DECAY_2)), numbers)

    def get_state(self) -> dict[str, Tensor]:
        """Parameters, moments and the number of steps, by name: rows after rows, whatever lies by columns here."""
        vectors = {name: self._turned(getattr(self, name), to_columns=False) for name in STATE_VECTORS}
        return {**vectors, "num_steps": torch.tensor(self.num_steps)}

    def _turned(self, vector: Tensor, *, to_columns: bool) -> Tensor:
        """A vector with what lies by columns turned into rows, or back; itself where nothing does."""
        if not self._by_columns or vector.shape != self.vector.shape:
            return vector
        pieces = torch.split(vector, [parameter.numel() for parameter in self.parameters])
        turned = list(pieces)
        for place, parameter in enumerate(self.parameters):
            if id(parameter) in self._by_columns:
                shape = parameter.shape if to_columns else parameter.shape[::-1]
                turned[place] = pieces[place].view(shape).t().reshape(-1)
        return torch.cat(turned)

    @torch.no_grad()
    def set_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `get_state` returned; the parameters change with it.

        Raises:
            UserError: it is of another number of parameters.
        """
        for name in STATE_VECTORS:
            own, kept = getattr(self, name), state[name]
            if kept.shape != own.shape:
                raise UserError(
                    f"The saved optimiser is of {len(kept)} parameters, but this stage trains {len(own)}; train anew."
                )
            own.copy_(self._turned(kept, to_columns=True))
        self.num_steps = int(state["num_steps"])

    def release(self) -> None:
        """Give every parameter memory of its own again."""
        for parameter in self.parameters:
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)


class OneScaleAdam(FlatAdam):
    """Adam with one second moment for all weights, v ← β₂v + (1 − β₂)‖g‖²; the rest as in `FlatAdam`.

    Adam gives every weight a step of its own scale, so that a weight that hears a twentieth of the loss moves as far as
    one that hears all of it. Here a step keeps the proportions of the gradients, and still does not depend on the
    loss's unit. `learning_rate` is the 2-norm of a step down a steady gradient.

    Attributes:
        second_moment: v, float[1].
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, max_grad_norm: float = math.inf, fused: bool = False):
        """Gather the parameters as `FlatAdam` does."""
        super().__init__(parameters, max_grad_norm=max_grad_norm, fused=fused)
        self.second_moment = self.vector.new_zeros(1)

    def _update_second_moment(self, gradient: Tensor) -> None:
        self.second_moment.mul_(DECAY_2).add_(gradient.dot(gradient), alpha=1.0 - DECAY_2)

    def _step_at_once(self, gradient: Tensor, correction_2: float, *, rate: float) -> None:
        self._update_second_moment(gradient)
        scale = math.sqrt(float(self.second_moment) / correction_2) + EPSILON
        vectors = (self.vector.numpy(), self.first_moment.numpy())
        one_scale_step(vectors, gradient.numpy(), FIRST, F32(rate / scale))


def annealed(learning_rate: float, *, step: int, num_steps: int, anneal: bool) -> float:
    """learning_rate·(1 − step/num_steps) where `anneal`, else learning_rate."""
    return learning_rate * (1.0 - step / num_steps) if anneal else learning_rate
