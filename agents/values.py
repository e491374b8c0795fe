"""The value stage: V∘E regresses on outcomes, beside a D that does not change.

All arms of a comparison can learn from the same recorded episodes in the same order of minibatches (the yoked regime);
online, D plays the episodes first. Targets are λ-returns: λ = 1 is the Monte-Carlo outcome, which bootstraps only where
a time limit cut the episode.

Shape key: n steps, E episodes (events, in event shares), Q distinct inputs, D features, b steps in a minibatch.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.agent import AlphaAgent, restart_value
from agents.batches import (
    Minibatch,
    all_values,
    features_of,
    frozen_features,
    in_blocks,
    minibatches,
    one_step_of_each,
    values_of,
)
from agents.config import ValueConfig
from agents.encoded import EncodedEpisodes, encode_episodes
from agents.losses import r_squared, relative_error
from agents.networks import Encoder
from agents.optimization import FlatAdam, annealed
from agents.outcomes import Outcomes, outcomes_of
from agents.returns import Flags, Floats
from agents.seeding import torch_generator
from agents.streams import Indices
from agents.training_state import NOTHING_KEPT, StageKeeper, State, gather, part
from envs.episodes import Episodes
from envs.errors import UserError
from shards.value_head import ValueTargets

Progress = Callable[[float, str], None]
Record = list[dict[str, Any]]


def fit_values(
    agent: AlphaAgent,
    data: Episodes,
    config: ValueConfig,
    *,
    seed: int,
    restart: bool = True,
    withheld: Flags | None = None,
    totals: Floats | None = None,
    blocks: Indices | None = None,
    encoded: EncodedEpisodes | None = None,
    truth: Floats | None = None,
    num_checkpoints: int = 10,
    inspect: Callable[[AlphaAgent, dict[str, Any]], bool] | None = None,
    progress: Progress | None = None,
    keeper: StageKeeper = NOTHING_KEPT,
) -> tuple[AlphaAgent, Record]:
    """Train V∘E on recorded episodes; D keeps its weights, except under a shared E.

        loss = head.credit(V(s_t), targets_t), targets_t = λ-return, event shares, context.

    Bootstrapped targets are computed anew with the V of the moment every `config.refresh_every` steps. Under a shared E
    the loss gains −Σ_a π(a|s)·log D(a|s), π being D before this stage: E serves both and D is held to what it was.

    Args:
        agent: its `config.value_encoder` says which E V reads; left as it is.
        data: episodes with observations.
        config: settings.
        seed: of the minibatches' order, which depends on nothing else: arms with the same seed and data see the same
            minibatches. It does not touch the initial weights, which are those of the agent's own seed.
        restart: start V∘E afresh; False goes on with the V that the agent has.
        withheld: bool[n], steps whose event label is withheld.
        totals: float64[n], what V shall be at each step in place of λ-returns, such as another network's V.
        blocks: int64[n], the block of each step: V learns from one block after the other, each for an equal share of
            the gradient steps (`agents.batches.in_blocks`); encoders without memory only.
        encoded: `encode_episodes` of the data by an agent with the same encoding, where several agents learn from them.
        truth: float64[n], a value of each step's state to compare with, such as the exact one of the policy.
        num_checkpoints: rows of the record, evenly spread.
        inspect: called with the agent and the row at each checkpoint; may add entries; True ends the training.
        progress: called with the share that is done, and a line.
        keeper: keeps what is needed to go on after an interruption, with equal data and the same other arguments.

    Returns:
        The trained copy, and one row per checkpoint: step, loss and gradient norm (means since the last row), learning
        rate, and R² and relative error against `truth` where it is given.

    Raises:
        UserError: observations that the agent cannot take.
        NonFiniteError: an observation, a target, a loss or a gradient is NaN or infinite; nothing was updated by it.
    """
    agent = restart_value(agent) if restart else copy.deepcopy(agent)
    outcomes = outcomes_of(agent, data, config, withheld=withheld)
    agent.value_discount = outcomes.discount
    trainer = _Trainer(agent, encoded or encode_episodes(agent, data), outcomes, config=config, totals=totals)
    batches = _batches(trainer, config, blocks, seed=seed)
    marks = set(np.linspace(0, config.num_updates, num_checkpoints + 1).round().astype(int)[1:].tolist())
    first = trainer.go_on(keeper.restore())
    record: Record = list(keeper.record)
    # The order of the minibatches follows from the seed; those that have been used are skipped.
    for step, batch in enumerate(itertools.islice(batches, first, config.num_updates), start=first):
        trainer.update(batch, step)
        if progress is not None and step % max(1, config.num_updates // 50) == 0:
            progress(step / config.num_updates, f"value: loss {trainer.losses[-1]:.4g}")
        if step + 1 in marks:
            record.append(trainer.row(step + 1, truth))
            if inspect is not None and inspect(agent, record[-1]):
                break
        keeper.keep(agent, num_steps=step + 1, state=trainer.get_state)
    trainer.optimizer.release()
    return agent, record


def _batches(trainer: _Trainer, config: ValueConfig, blocks: Indices | None, *, seed: int) -> Iterator[Minibatch]:
    """The minibatches in their order, which the seed alone decides."""
    generator = torch_generator(seed, "value", "minibatches")
    if blocks is None:
        return minibatches(
            trainer.data, batch_size=config.batch_size, generator=generator, whole_episodes=trainer.has_memory,
            chosen=one_step_of_each(trainer.data, seed=seed) if config.one_per_episode else None,
        )  # fmt: skip
    if trainer.has_memory or config.one_per_episode:
        raise UserError("blocks were given, but an encoder with memory, or one step of each episode, has no blocks.")
    return in_blocks(
        blocks, batch_size=config.batch_size, num_batches=config.num_updates, generator=generator,
        device=trainer.data.step_input.device,
    )  # fmt: skip


class _Trainer:
    """One value network in training: its data, its targets of the moment, its optimiser."""

    def __init__(self, agent: AlphaAgent, data: EncodedEpisodes, outcomes: Outcomes, *, config: ValueConfig,
                 totals: Floats | None = None):  # fmt: skip
        self.agent, self.outcomes, self.config, self.given = agent, outcomes, config, totals
        self.head = agent.value_head
        self.encoder = self._trained_encoder()
        self.has_memory = self.encoder is not None and self.encoder.memory_size > 0
        self.old_policy = self._old_policy(data) if agent.shared and self.encoder is not None else None
        self.data = data if self.encoder is not None else frozen_features(agent.value_encoder, data)
        modules = [self.head, *([] if self.encoder is None else [self.encoder])]
        modules += [agent.policy_head] if self.old_policy is not None else []
        parameters = [parameter for module in modules for parameter in module.parameters()]
        self.optimizer = FlatAdam(parameters, max_grad_norm=config.max_grad_norm)
        self.total = torch.zeros(0)
        self.losses: list[float] = []
        self.norms: list[float] = []

    def _trained_encoder(self) -> Encoder | None:
        """V's encoder if this stage changes it."""
        encoder = self.agent.value_encoder
        trained = self.config.train_encoder and self.agent.config.value_encoder != "imitated"
        return encoder if trained and self.head.credit_rule.reaches_features else None

    @torch.no_grad()
    def _old_policy(self, data: EncodedEpisodes) -> Tensor:
        """D's probabilities [n, A] at every step before this stage, in the form of a table."""
        features = frozen_features(self.agent.policy_encoder, data)
        probs: Tensor = self.agent.policy_head(features.inputs.rows(features.step_input)).softmax(-1)
        return probs

    def values(self) -> tuple[Floats, Floats]:
        """V of the moment at every step and after every episode."""
        return all_values(self.head, self.data, encoder=self.encoder)

    def _totals(self) -> Floats:
        """Targets float64[n] with the V of the moment; at λ = 1 only the ends of cut episodes need it."""
        outcomes, data = self.outcomes, self.data
        if self.given is not None:
            return self.given
        if outcomes.trace < 1.0 or self.has_memory:
            return outcomes.totals(*self.values())
        final_values = np.zeros(len(outcomes.cut))
        if outcomes.cut.any():
            inputs = data.final_input[torch.from_numpy(outcomes.cut).to(data.final_input.device)]
            final_values[outcomes.cut] = values_of(self.head, data, inputs, encoder=self.encoder)
        return outcomes.totals(np.zeros(data.num_steps), final_values)

    def update(self, batch: Minibatch, step: int) -> None:
        """One gradient step."""
        refreshed = self.given is None and self.outcomes.bootstraps
        if step == 0 or (refreshed and step % self.config.refresh_every == 0):
            self.total = torch.from_numpy(self._totals()).to(self.agent.device, torch.float32)
        features = features_of(self.encoder, self.data, batch, sequence_length=self.config.sequence_length)
        context = self.data.contexts.index_select(0, self.data.step_input.index_select(0, batch.steps))
        shares = self.outcomes.shares
        targets = ValueTargets(
            total=self.total.index_select(0, batch.steps), context=context,
            event_share=None if shares is None else shares.index_select(0, batch.steps),
        )
        loss = self.head.credit(self.head(features, context), targets)
        if self.old_policy is not None:
            log_probs = self.agent.policy_head(features).log_softmax(-1)
            loss = loss - (self.old_policy[batch.steps] * log_probs).sum(-1).mean()
        rate = annealed(
            self.config.learning_rate, step=step, num_steps=self.config.num_updates, anneal=self.config.anneal
        )
        value, norm = self.optimizer.step(loss, learning_rate=rate, site="value")
        self.losses.append(value)
        self.norms.append(norm)

    def get_state(self) -> State:
        """What `go_on` needs."""
        history = {"losses": np.array(self.losses), "norms": np.array(self.norms)}
        return gather(optimizer=self.optimizer.get_state(), targets={"total": self.total}, history=history)

    def go_on(self, state: State | None) -> int:
        """Go on from what `get_state` returned, from the beginning where it is None; returns the steps taken so far."""
        if state is not None:
            self.optimizer.set_state(part(state, "optimizer"))
            self.total = part(state, "targets")["total"].to(self.agent.device)
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
