"""One value network in training: its data, its targets of the moment, its optimiser.

Shape key: n steps, E episodes, A actions, K parts.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.agent import AlphaAgent
from agents.batches import Minibatch, all_values, features_of, frozen_features, values_of
from agents.config import ValueConfig
from agents.dense_value import value_learner
from agents.encoded import EncodedEpisodes
from agents.losses import r_squared, relative_error
from agents.networks import Encoder
from agents.optimization import FlatAdam, annealed
from agents.outcomes import Outcomes, paid_weights
from agents.responsibility import ReceivedCredit
from agents.returns import Floats
from agents.training_state import State, gather, part
from envs.errors import UserError
from shards.value_head import ValueTargets


class ValueTrainer:
    """One value network in training: its data, its targets of the moment, its optimiser."""

    def __init__(
        self,
        agent: AlphaAgent,
        data: EncodedEpisodes,
        outcomes: Outcomes,
        *,
        config: ValueConfig,
        totals: Floats | None = None,
        received: ReceivedCredit | None = None,
    ):
        """Take what `fit_values` was given (its arguments); the agent is trained in place.

        Raises:
            UserError: totals were given to a head that learns by component.
        """
        self.agent, self.outcomes, self.config, self.given, self.received = agent, outcomes, config, totals, received
        if totals is not None and outcomes.components is not None:
            raise UserError(f"totals were given, but {agent.config.head} learns reward components and not totals.")
        self.head = agent.value_head
        self.encoder = self._trained_encoder()
        self.has_memory = self.encoder is not None and self.encoder.memory_size > 0
        self.old_policy = self._old_policy(data) if agent.shared and self.encoder is not None else None
        active = config.fast_kernels and agent.value_encoder.gains_by_active_inputs
        data = dataclasses.replace(data, inputs=data.inputs.with_entries()) if active else data
        self.data = data if self.encoder is not None else frozen_features(agent.value_encoder, data)
        self.optimizer = self._make_optimizer()
        inputs = self.data.inputs.chosen(self.data.step_input[:0])
        fast = config.fast_kernels and self.old_policy is None and not self.has_memory
        self.learner = value_learner(self.head, self.encoder, inputs) if fast else None
        self.contexts = self.data.contexts.index_select(0, self.data.step_input)
        self.targets = ValueTargets(torch.zeros(0))
        self.losses: list[float] = []
        self.norms: list[float] = []

    def _trained_encoder(self) -> Encoder | None:
        """V's encoder if this stage changes it."""
        encoder = self.agent.value_encoder
        trained = self.config.train_encoder and self.agent.config.value_encoder != "imitated"
        return encoder if trained and self.head.credit_rule.reaches_features else None

    def _make_optimizer(self) -> FlatAdam:
        """Over all that this stage trains; a first layer that adds up columns lies by columns."""
        modules = [self.head, *([] if self.encoder is None else [self.encoder])]
        modules += [self.agent.policy_head] if self.old_policy is not None else []
        parameters = [parameter for module in modules for parameter in module.parameters()]
        by_columns: list[nn.Parameter] = []
        if self.encoder is not None and self.data.inputs.entries is not None:
            dense = (layer for layer in self.encoder.modules() if isinstance(layer, nn.Linear))
            by_columns = [layer.get_parameter("weight") for layer in itertools.islice(dense, 1)]
        config = self.config
        return FlatAdam(
            parameters, max_grad_norm=config.max_grad_norm, by_columns=by_columns, fused=config.fast_kernels
        )

    @torch.no_grad()
    def _old_policy(self, data: EncodedEpisodes) -> Tensor:
        """D's probabilities [n, A] at every step before this stage, in the form of a table."""
        features = frozen_features(self.agent.policy_encoder, data)
        probs: Tensor = self.agent.policy_head(features.inputs.rows(features.step_input)).softmax(-1)
        return probs

    def values(self) -> tuple[Floats, Floats]:
        """V of the moment at every step and after every episode."""
        return all_values(self.head, self.data, encoder=self.encoder)

    def _targets(self) -> ValueTargets:
        """What V of every step shall be, with the V of the moment."""
        outcomes, components = self.outcomes, None
        if outcomes.components is not None:
            by_component = outcomes.component_totals(*self._ahead(by_part=True))
            components, totals = self._tensor(by_component), by_component @ paid_weights(self.agent.config)
        else:
            totals = self.given if self.given is not None else outcomes.totals(*self._ahead(by_part=False))
        return ValueTargets(
            total=self._tensor(totals), components=components, event_share=outcomes.shares,
            bootstrap_mask=outcomes.bootstrap_mask, context=self.contexts,
        )  # fmt: skip

    def _tensor(self, array: Floats) -> Tensor:
        return torch.from_numpy(array).to(self.agent.device, torch.float32)

    def _ahead(self, *, by_part: bool) -> tuple[Floats, Floats]:
        """V, or part values, to bootstrap from; at λ = 1 only the ends of cut episodes need it, and others are 0."""
        outcomes, data = self.outcomes, self.data
        if outcomes.trace < 1.0 or self.has_memory:
            return all_values(self.head, data, encoder=self.encoder, by_part=by_part)
        columns = (self.head.num_parts,) if by_part else ()
        final_values = np.zeros((len(outcomes.cut), *columns))
        if outcomes.cut.any():
            inputs = data.final_input[torch.from_numpy(outcomes.cut).to(data.final_input.device)]
            final_values[outcomes.cut] = values_of(self.head, data, inputs, encoder=self.encoder, by_part=by_part)
        return np.zeros((data.num_steps, *columns)), final_values

    def update(self, batch: Minibatch, step: int) -> None:
        """One gradient step."""
        refreshed = self.given is None and self.outcomes.bootstraps
        if step == 0 or (refreshed and step % self.config.refresh_every == 0):
            self.targets = self._targets()
        rate = annealed(
            self.config.learning_rate, step=step, num_steps=self.config.num_updates, anneal=self.config.anneal
        )
        value, norm = self._step_at_once(batch, rate) if self.learner is not None else self._step(batch, rate)
        self.losses.append(value)
        self.norms.append(norm)

    def _step_at_once(self, batch: Minibatch, rate: float) -> tuple[float, float]:
        """The loss, and the gradient's norm, of a step whose gradient the learner knows."""
        assert self.learner is not None
        index = self.data.step_input.index_select(0, batch.steps)
        shown = self.data.inputs.rows(index) if self.encoder is None else self.data.inputs.chosen(index)
        learned = self.learner(shown, self.targets.rows(batch.steps), self.optimizer.parameters)
        loss = self.optimizer.checked_loss(learned.loss, site="value")
        if self.received is not None:
            self.received.add(batch.steps, learned.to_values)
        return loss, self.optimizer.follow(learned.gradients, learning_rate=rate, site="value")

    def _step(self, batch: Minibatch, rate: float) -> tuple[float, float]:
        """The same by autograd: for encoders with memory, a shared E, which is held to D, and without fast kernels."""
        features = features_of(self.encoder, self.data, batch, sequence_length=self.config.sequence_length)
        targets = self.targets.rows(batch.steps)
        estimate = self.head(features, targets.context)
        if self.received is not None:
            self.received.listen(estimate, batch.steps)
        loss = self.head.credit(estimate, targets)
        if self.old_policy is not None:
            log_probs = self.agent.policy_head(features).log_softmax(-1)
            loss = loss - (self.old_policy[batch.steps] * log_probs).sum(-1).mean()
        return self.optimizer.step(loss, learning_rate=rate, site="value")

    def get_state(self) -> State:
        """What `go_on` needs."""
        history = {"losses": np.array(self.losses), "norms": np.array(self.norms)}
        targets = {name: getattr(self.targets, name) for name in ("total", "components")}
        kept = {name: tensor for name, tensor in targets.items() if tensor is not None}
        credit = {} if self.received is None else {"received": self.received.by_step}
        return gather(optimizer=self.optimizer.get_state(), targets=kept, history=history, credit=credit)

    def go_on(self, state: State | None) -> int:
        """Go on from what `get_state` returned, from the beginning where it is None; returns the steps taken so far."""
        if state is not None:
            self.optimizer.set_state(part(state, "optimizer"))
            kept = {name: tensor.to(self.agent.device) for name, tensor in part(state, "targets").items()}
            self.targets = ValueTargets(
                **kept, event_share=self.outcomes.shares, bootstrap_mask=self.outcomes.bootstrap_mask,
                context=self.contexts,
            )  # fmt: skip
            if self.received is not None:
                self.received.by_step.copy_(part(state, "credit")["received"])
            self.losses, self.norms = (part(state, "history")[name].tolist() for name in ("losses", "norms"))
        return self.optimizer.num_steps

    def row(self, step: int, truth: Floats | None) -> dict[str, Any]:
        """A row of the record, with means since the last one."""
        row = {"step": step, "loss": float(np.mean(self.losses)), "gradient_norm": float(np.mean(self.norms))}
        self.losses, self.norms = self.losses[-1:], self.norms[-1:]
        if truth is not None:
            values, _ = self.values()
            row |= {"r_squared": r_squared(values, truth), "relative_error": relative_error(values, truth)}
        return row
