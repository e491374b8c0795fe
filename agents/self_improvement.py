"""The search stage: D∘E learns what a search makes of it, V∘E what the search's play earns.

Shape key: T steps, N envs, b rows in a minibatch, A actions.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.agent import AlphaAgent
from agents.config import ReinforceConfig
from agents.learner import Progress, Record
from agents.optimization import FlatAdam, annealed
from agents.reinforce_state import ReturnTracker, carried, go_on, mean_row, progress_words
from agents.rollout import collect
from agents.samples import Samples, minibatch_rows, prepare, sample_features, value_loss
from agents.search.actor import SearchActor
from agents.search_config import ImproveConfig
from agents.seeding import torch_generator
from agents.streams import EnvStream, Flags, Indices
from agents.training_state import NOTHING_KEPT, StageKeeper
from envs.rows import World


def improve(
    agent: AlphaAgent,
    stream: EnvStream,
    config: ImproveConfig,
    *,
    world: World,
    seed: int,
    on_update: Callable[[AlphaAgent, dict[str, Any]], bool] | None = None,
    progress: Progress | None = None,
    keeper: StageKeeper = NOTHING_KEPT,
) -> tuple[AlphaAgent, Record]:
    """Train D∘E and V∘E on their own search in the envs of a stream.

        loss = −Σ_a p(a)·log D(a|s) + value_weight·(V's credit of the λ-return),

    p being what the search makes of the policy: π' = softmax(logits + σ(q̄)) under Gumbel's rules, shares of the visits
    under PUCT. Actions are the search's samples; λ-returns bootstrap from V.

    Args:
        agent: left as it is.
        stream: freshly reset envs of the world; they are stepped.
        config: settings.
        world: gives the transitions that the search looks ahead with.
        seed: of the search's noise and of minibatches.
        on_update: called with the agent and each row of the record; True ends the training.
        progress: called with the share that is done, and a line.
        keeper: keeps what is needed to go on after an interruption, with equal envs and the same other arguments.

    Returns:
        The trained copy, and one row per update: steps, mean return and length of the episodes that ended in it (None
        where none did), loss parts, the entropy of p, and the divergence of D from p.

    Raises:
        UserError: an action may have more outcomes than can be listed.
        NonFiniteError: reward, observation, a leaf, loss or gradient is NaN or infinite; nothing was updated by it.

    Source: Danihelka et al. (2022), section 4, for Gumbel; Silver et al. (2018), Science 362:1140, for PUCT. Both learn
    from a replay buffer of whole games; here every rollout is learned from at once, and λ-returns stand for outcomes.
    """
    agent = copy.deepcopy(agent)
    gamma = world.discount if config.discount is None else config.discount
    agent.value_discount = gamma
    optimizer = FlatAdam(_trained(agent, config), max_grad_norm=config.max_grad_norm)
    actor, tracker = _Recording(agent, world, config, seed=seed), ReturnTracker(stream.num_envs)
    generator = torch_generator(seed, "search", "minibatches")
    num_updates = -(-config.num_steps // (stream.num_envs * config.rollout_length))
    reading = ReinforceConfig(share_value=True, trace_lambda=config.trace_lambda)
    value_memory = agent.value_encoder.initial_memory(stream.num_envs, agent.device)
    state, first = keeper.restore(), 0
    record: Record = list(keeper.record)
    if state is not None:
        first, memories = go_on(state, stream, optimizer=optimizer, generator=generator, tracker=tracker)
        actor.policy_memory, actor.value_memory = memories.get("policy"), memories.get("searched value")
        value_memory = memories.get("value")
    for update in range(first, num_updates):
        rollout = collect(stream, actor, num_steps=config.rollout_length)
        samples, value_memory = prepare(agent, rollout, reading, discount=gamma, value_memory=value_memory)
        wanted = torch.from_numpy(actor.take()).to(agent.device, torch.float32)
        rate = annealed(config.learning_rate, step=update, num_steps=num_updates, anneal=config.anneal)
        parts = [
            _update(agent, samples, rows, wanted=wanted, optimizer=optimizer, config=config, learning_rate=rate)
            for rows in _passes(samples, config, generator, whole_columns=agent.policy_encoder.memory_size > 0)
        ]
        row: dict[str, Any] = {"update": update + 1, "step": (update + 1) * rollout.valid.size}
        row |= tracker.add(rollout) | mean_row(parts)
        record.append(row)
        if progress is not None:
            progress((update + 1) / num_updates, progress_words("search", row))
        if on_update is not None and on_update(agent, row):
            break
        state_now = functools.partial(
            carried, update + 1, optimizer=optimizer, stream=stream, generator=generator, tracker=tracker,
            memories={"policy": actor.policy_memory, "searched value": actor.value_memory, "value": value_memory},
        )  # fmt: skip
        keeper.keep(agent, num_steps=optimizer.num_steps, state=state_now)
    optimizer.release()
    return agent, record


class _Recording(SearchActor):
    """A search that samples its actions and remembers what it made of the policy."""

    def __init__(self, agent: AlphaAgent, world: World, config: ImproveConfig, *, seed: int) -> None:
        super().__init__(agent, world, config, seed=seed, greedy=False)
        self._policies: list[NDArray[np.float64]] = []

    @property
    def memory(self) -> Tensor | None:
        """float32[N, M] of D's encoder, for the rollout."""
        return self.policy_memory

    def act(self, stream: EnvStream, needed: Flags) -> tuple[Indices, NDArray[np.float32]]:
        """Choose, and remember."""
        chosen = super().act(stream, needed)
        policies = np.zeros((stream.num_envs, self.world.num_actions))
        if needed.any() and self.last is not None:
            policies[self.last_envs] = self.last.policy
        self._policies.append(policies)
        return chosen

    def take(self) -> NDArray[np.float64]:
        """The policies [T·N, A] since the last call; rows that are no transitions hold zeros."""
        taken, self._policies = np.concatenate(self._policies), []
        return taken


def _trained(agent: AlphaAgent, config: ImproveConfig) -> Iterator[nn.Parameter]:
    """The parameters that the settings let change; a V that reads a frozen copy of D's encoder leaves it alone."""
    yield from agent.policy_head.parameters()
    yield from agent.value_head.parameters()
    if config.train_encoder:
        yield from agent.policy_encoder.parameters()
        yield from agent.value_encoder.parameters()


def _passes(
    samples: Samples, config: ImproveConfig, generator: torch.Generator, *, whole_columns: bool
) -> Iterator[Tensor]:
    for _ in range(config.num_epochs):
        yield from minibatch_rows(
            samples, batch_size=config.batch_size, generator=generator, whole_columns=whole_columns
        )


def _update(
    agent: AlphaAgent,
    samples: Samples,
    chosen: Tensor,
    *,
    wanted: Tensor,
    optimizer: FlatAdam,
    config: ImproveConfig,
    learning_rate: float,
) -> dict[str, float]:
    """One gradient step on some rows (or, for encoders with memory, on all rows of some envs)."""
    features, rows = sample_features(agent.policy_encoder, samples, chosen, memory=samples.memory)
    probs = wanted.index_select(0, rows)
    policy_loss = -(probs * agent.policy_head(features).log_softmax(-1)).sum(-1).mean()
    credit = value_loss(agent, samples, chosen, features=features if agent.shared else None)
    loss = policy_loss + config.value_weight * credit
    _, norm = optimizer.step(loss, learning_rate=learning_rate, site="search")
    spread = float(torch.special.entr(probs).sum(-1).mean())
    cross = float(policy_loss.detach())
    return {
        "policy_loss": cross, "value_loss": float(credit.detach()), "entropy": spread, "divergence": cross - spread,
        "gradient_norm": norm,
    }  # fmt: skip
