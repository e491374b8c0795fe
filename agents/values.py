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

from agents.agent import AlphaAgent, restart_value
from agents.batches import Minibatch, in_blocks, minibatches, one_step_of_each
from agents.config import ValueConfig
from agents.encoded import EncodedEpisodes, encode_episodes
from agents.history import NUM_MARKS, marks_of
from agents.outcomes import outcomes_of
from agents.responsibility import ReceivedCredit
from agents.returns import Flags, Floats
from agents.seeding import torch_generator
from agents.streams import Indices
from agents.training_state import NOTHING_KEPT, StageKeeper
from agents.value_trainer import ValueTrainer
from envs.episodes import Episodes
from envs.errors import UserError

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
    received: ReceivedCredit | None = None,
    num_checkpoints: int = NUM_MARKS,
    inspect: Callable[[AlphaAgent, dict[str, Any]], bool] | None = None,
    progress: Progress | None = None,
    keeper: StageKeeper = NOTHING_KEPT,
) -> tuple[AlphaAgent, Record]:
    """Train V∘E on recorded episodes; D keeps its weights, except under a shared E.

        loss = head.credit(V(s_t), targets_t), targets_t = λ-return and what else the head needs.

    Bootstrapped targets are computed anew with the V of the moment every `config.refresh_every` steps. Under a shared E
    the loss gains −Σ_a π(a|s)·log D(a|s), π being D before this stage: E serves both and D is held to what it was.

    Args:
        agent: its `config.value_encoder` says which E V reads; left as it is.
        data: episodes with observations.
        config: settings.
        seed: of the minibatches' order, which depends on nothing else: arms with the same seed and data see the same
            minibatches. It does not touch the initial weights, which are those of the agent's own seed. Another stream
            of it says which episodes each part of NEG-2 learns from.
        restart: start V∘E afresh; False goes on with the V that the agent has.
        withheld: bool[n], steps whose event label is withheld.
        totals: float64[n], what V shall be at each step in place of λ-returns, such as another network's V.
        blocks: int64[n], the block of each step: V learns from one block after the other, each for an equal share of
            the gradient steps (`agents.batches.in_blocks`); encoders without memory only.
        encoded: `encode_episodes` of the data by an agent with the same encoding, where several agents learn from them.
        truth: float64[n], a value of each step's state to compare with, such as the exact one of the policy.
        received: filled with the credit that each part receives at each step, for a log of reinforcement events
            (`agents.responsibility.event_log`).
        num_checkpoints: rows of the record, evenly spread.
        inspect: called with the agent and the row at each checkpoint; may add entries; True ends the training.
        progress: called with the share that is done, and a line.
        keeper: keeps what is needed to go on after an interruption, with equal data and the same other arguments.

    Returns:
        The trained copy, and one row per checkpoint: step, loss and gradient norm (means since the last row), learning
        rate, and R² and relative error against `truth` where it is given.

    Raises:
        UserError: observations that the agent cannot take; a head that needs reward components, which the data lack.
        NonFiniteError: an observation, a target, a loss or a gradient is NaN or infinite; nothing was updated by it.
    """
    agent = restart_value(agent) if restart else copy.deepcopy(agent)
    outcomes = outcomes_of(agent, data, config, withheld=withheld, seed=seed)
    agent.value_discount = outcomes.discount
    if received is not None:
        received.begin(data.num_steps, agent.value_head.num_parts)
    trainer = ValueTrainer(
        agent, encoded or encode_episodes(agent, data), outcomes, config=config, totals=totals, received=received
    )
    batches = _batches(trainer, config, blocks, seed=seed)
    marks = set(marks_of(config.num_updates, num_checkpoints))
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


def _batches(trainer: ValueTrainer, config: ValueConfig, blocks: Indices | None, *, seed: int) -> Iterator[Minibatch]:
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
