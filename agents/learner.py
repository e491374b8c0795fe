"""The reinforcement stage: a policy gradient, clipped or plain, with a baseline of its own or V for one.

Shape key: T steps, N envs, M truncations, I input width, b rows in a minibatch.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.active_inputs import ActiveInputs
from agents.actors import PolicyActor
from agents.agent import AlphaAgent
from agents.config import ReinforceConfig
from agents.dense_update import Minibatch, is_dense, loss_and_gradients
from agents.losses import standardise
from agents.optimization import FlatAdam, annealed
from agents.policy_terms import policy_terms
from agents.reinforce_state import ReturnTracker, carried, go_on, mean_row, progress_words
from agents.rollout import collect
from agents.samples import Samples, minibatch_rows, prepare, sample_features, value_loss
from agents.seeding import torch_generator
from agents.streams import EnvStream
from agents.training_state import NOTHING_KEPT, StageKeeper

WARM_UP = 0.05

Progress = Callable[[float, str], None]
Record = list[dict[str, Any]]


def reinforce(
    agent: AlphaAgent,
    stream: EnvStream,
    config: ReinforceConfig,
    *,
    discount: float,
    seed: int,
    on_update: Callable[[AlphaAgent, dict[str, Any]], bool] | None = None,
    progress: Progress | None = None,
    keeper: StageKeeper = NOTHING_KEPT,
) -> tuple[AlphaAgent, Record]:
    """Train D∘E in the envs of a stream.

        loss = policy loss − entropy_weight·H + baseline_weight·(baseline − λ-return)²,

    or with V's own credit in place of the last term where `config.share_value`. V∘E is trained in that case alone. In
    the first updates the loss is the last term alone and stops at the features: advantages against a baseline that
    knows nothing yet would undo what D has learned by imitation.

    Under the objective "clipped" every rollout is passed over several times in minibatches. Under "reinforce" it gives
    one step of −mean log π(a|s)·(z − baseline(s)), z the outcome to the end of the episode: the gradient of the policy
    that acted, as in AlphaGo. Where time limit or rollout cuts an episode, z goes on with the baseline's estimate.

    Args:
        agent: left as it is.
        stream: freshly reset envs; they are stepped.
        config: settings.
        discount: γ where the settings leave it open.
        seed: of actions and minibatches.
        on_update: called with the agent and each row of the record; True ends the training.
        progress: called with the share that is done, and a line.
        keeper: keeps what is needed to go on after an interruption, with equal envs and the same other arguments.

    Returns:
        The trained copy, and one row per update: steps, mean return and length of the episodes that ended in it
        (NaN-free: None where none did), loss parts, approximate KL divergence from the acting policy, entropy.

    Raises:
        NonFiniteError: reward, observation, logits, loss or gradient is NaN or infinite; nothing was updated by it.

    Source: Schulman et al. (2017), arXiv 1707.06347; λ-returns as in Schulman et al. (2016), arXiv 1506.02438. Plain:
    Williams (1992), Machine Learning 8; Silver et al. (2016), Nature 529, Methods ("reinforcement learning of policy
    networks"), who play whole games and against earlier policies, and step by plain gradient ascent; here it is Adam.
    """
    agent = copy.deepcopy(agent)
    gamma = discount if config.discount is None else config.discount
    agent.value_discount = gamma if config.share_value else agent.value_discount
    optimizer = FlatAdam(_trained(agent, config), max_grad_norm=config.max_grad_norm)
    actor = PolicyActor(
        agent, seed=seed, active_inputs=config.fast_kernels, one_pass=is_dense(agent, config)
    )  # fmt: skip
    tracker = ReturnTracker(stream.num_envs)
    generator = torch_generator(seed, "reinforce", "minibatches")
    num_updates = -(-config.num_steps // (stream.num_envs * config.rollout_length))
    num_first = max(1, round(WARM_UP * num_updates)) if num_updates > 1 else 0
    value_memory = agent.value_encoder.initial_memory(stream.num_envs, agent.device) if config.share_value else None
    state, first = keeper.restore(), 0
    record: Record = list(keeper.record)
    if state is not None:
        first, memories = go_on(state, stream, optimizer=optimizer, generator=generator, tracker=tracker)
        actor.memory, value_memory = memories.get("policy"), memories.get("value")
    for update in range(first, num_updates):
        rollout = collect(stream, actor, num_steps=config.rollout_length)
        samples, value_memory = prepare(agent, rollout, config, discount=gamma, value_memory=value_memory)
        rate = annealed(config.learning_rate, step=update, num_steps=num_updates, anneal=config.anneal)
        parts = [
            _update(
                agent, samples, rows, optimizer=optimizer, config=config, learning_rate=rate,
                only_baseline=update < num_first,
            )
            for rows in _passes(samples, config, generator, whole_columns=agent.policy_encoder.memory_size > 0)
        ]
        row: dict[str, Any] = {"update": update + 1, "step": (update + 1) * rollout.valid.size}
        row |= tracker.add(rollout) | mean_row(parts)
        record.append(row)
        if progress is not None:
            progress((update + 1) / num_updates, progress_words("reinforce", row))
        if on_update is not None and on_update(agent, row):
            break
        state_now = functools.partial(
            carried, update + 1, optimizer=optimizer, stream=stream, generator=generator, tracker=tracker,
            memories={"policy": actor.memory, "value": value_memory},
        )  # fmt: skip
        keeper.keep(agent, num_steps=optimizer.num_steps, state=state_now)
    optimizer.release()
    return agent, record


def _trained(agent: AlphaAgent, config: ReinforceConfig) -> Iterator[nn.Parameter]:
    """The parameters that the settings let change."""
    yield from agent.policy_head.parameters()
    if config.train_encoder:
        yield from agent.policy_encoder.parameters()
    if not config.share_value:
        yield from agent.baseline_head.parameters()
    else:
        yield from agent.value_head.parameters()
        if config.train_encoder:
            yield from agent.value_encoder.parameters()


def _passes(
    samples: Samples, config: ReinforceConfig, generator: torch.Generator, *, whole_columns: bool
) -> Iterator[Tensor]:
    """The minibatches of one rollout: several passes, or all of it at once for the plain gradient."""
    if config.objective == "reinforce":
        yield from minibatch_rows(
            samples, batch_size=samples.valid.numel(), generator=generator, whole_columns=whole_columns
        )
        return
    for _ in range(config.num_epochs):
        yield from minibatch_rows(
            samples, batch_size=config.batch_size, generator=generator, whole_columns=whole_columns
        )


def _update(
    agent: AlphaAgent,
    samples: Samples,
    chosen: Tensor,
    *,
    optimizer: FlatAdam,
    config: ReinforceConfig,
    learning_rate: float,
    only_baseline: bool,
) -> dict[str, float]:
    """One gradient step on some rows (or, for encoders with memory, on all rows of some envs)."""
    if is_dense(agent, config) and isinstance(samples.inputs, ActiveInputs):
        return _dense_update(
            agent, _minibatch(samples, samples.inputs, chosen, config=config), optimizer=optimizer, config=config,
            learning_rate=learning_rate, only_baseline=only_baseline,
        )  # fmt: skip
    features, rows = sample_features(agent.policy_encoder, samples, chosen, memory=samples.memory)
    policy_loss, spread, divergence = policy_terms(
        agent.policy_head(features), samples.actions[rows], samples.old_log_probs[rows],
        advantages=_weights(samples, rows, config),
        clip=None if config.objective == "reinforce" else config.clip, fused=config.fast_kernels,
    )  # fmt: skip
    seen = features.detach() if only_baseline else features
    if config.share_value:
        baseline_loss = value_loss(agent, samples, chosen, features=seen if agent.shared else None)
    else:
        baseline_loss = (agent.baseline_head(seen) - samples.targets.total[rows]).square().mean()
    loss = config.baseline_weight * baseline_loss
    if not only_baseline:
        loss = loss + policy_loss - config.entropy_weight * spread
    _, norm = optimizer.step(loss, learning_rate=learning_rate, site="reinforce")
    return {
        "policy_loss": policy_loss.item(), "baseline_loss": baseline_loss.item(), "entropy": spread.item(),
        "gradient_norm": norm, "approx_kl": divergence.item(),
    }  # fmt: skip


def _dense_update(
    agent: AlphaAgent, batch: Minibatch, *, optimizer: FlatAdam, config: ReinforceConfig, learning_rate: float,
    only_baseline: bool,
) -> dict[str, float]:  # fmt: skip
    """`_update` of the usual agent."""
    terms, gradients = loss_and_gradients(agent, batch, config, only_baseline=only_baseline)
    optimizer.checked_loss(terms.loss, site="reinforce")
    all_gradients = [gradients[one] if one in gradients else torch.zeros_like(one) for one in optimizer.parameters]
    norm = optimizer.follow(all_gradients, learning_rate=learning_rate, site="reinforce")
    return {
        "policy_loss": terms.policy_loss, "baseline_loss": terms.baseline_loss, "entropy": terms.entropy,
        "gradient_norm": norm, "approx_kl": terms.divergence,
    }  # fmt: skip


def _minibatch(samples: Samples, inputs: ActiveInputs, rows: Tensor, *, config: ReinforceConfig) -> Minibatch:
    # The order within a minibatch is free, and rows that are read in order of memory come sooner.
    rows = torch.from_numpy(np.sort(rows.numpy()))
    columns = (samples.actions, samples.old_log_probs, samples.targets.total)
    actions, old_log_probs, targets = (column.index_select(0, rows) for column in columns)
    return Minibatch(
        inputs.flatten(0, 1).index_select(0, rows), actions, old_log_probs,
        advantages=_weights(samples, rows, config), targets=targets,
    )  # fmt: skip


def _weights(samples: Samples, rows: Tensor, config: ReinforceConfig) -> Tensor:
    """The advantages float32[b] of some rows, as they weigh the policy."""
    gains = samples.advantages.index_select(0, rows)
    return standardise(gains) if config.normalize_advantage else gains
