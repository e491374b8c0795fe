"""What the policy gradient learns from a rollout: encoded inputs, advantages, and targets of the baseline.

Shape key: T steps, N envs, M truncations, I input width, D features, b rows in a minibatch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agents.agent import AlphaAgent
from agents.config import ReinforceConfig
from agents.inputs import Inputs
from agents.networks import Encoder
from agents.outcomes import bootstrap_mask, paid_components
from agents.returns import Floats, advantages, discounts, event_shares, lambda_returns
from agents.rollout import Rollout
from shards.registry import head_entry
from shards.value_head import ValueTargets


@dataclass(frozen=True, eq=False)
class Samples:
    """A rollout as the learner sees it; rows are numbered t·N + k.

    Attributes:
        inputs: float32[T, N, I], or active ones of this shape.
        starts: bool[T, N].
        memory: the policy encoder's before the first step, float32[N, M], or None.
        value_memory: the value encoder's, or None.
        actions: int64[T·N].
        old_log_probs: float32[T·N].
        advantages: float32[T·N].
        targets: V's, each with T·N rows.
        valid: bool[T, N], rows that are transitions.
    """

    inputs: Inputs
    starts: Tensor
    memory: Tensor | None
    value_memory: Tensor | None
    actions: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    targets: ValueTargets
    valid: Tensor

    def columns(self, envs: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers int64[b] of the valid rows of some envs, and the mask bool[T·len(envs)] that finds them."""
        steps, num_envs = self.starts.shape
        numbers = torch.arange(steps, device=envs.device).unsqueeze(1) * num_envs + envs
        mask = self.valid[:, envs].flatten()
        return numbers.flatten()[mask], mask


@torch.no_grad()
def prepare(
    agent: AlphaAgent, rollout: Rollout, config: ReinforceConfig, *, discount: float, value_memory: Tensor | None
) -> tuple[Samples, Tensor | None]:
    """Turn a rollout into samples.

    Â_t = λ-return − baseline(s_t), with the baseline of the agent as it acted; the successor of a truncated row is the
    last observation of its episode. The rollout holds the env's own bytes; they are encoded here, once for all epochs.
    Â is the outcome less the baseline under the objective "reinforce", where λ = 1.

    Args:
        agent: encodes, and estimates the baseline.
        rollout: what was experienced.
        config: `objective`, `trace_lambda`, `share_value` and `fast_kernels` are read.
        discount: γ.
        value_memory: float32[N, M] of V's encoder before the first step, where V is the baseline and has a memory.

    Returns:
        The samples, and the value encoder's memory before the next rollout.
    """
    inputs, device = agent.encode(rollout.observations, active=config.fast_kernels).inputs, agent.device
    finals = inputs[0, :0]
    if len(rollout.final_step):
        finals = agent.encode(rollout.final_observations, active=config.fast_kernels).inputs
    trace = 1.0 if config.objective == "reinforce" else config.trace_lambda
    starts = torch.from_numpy(rollout.starts).to(device)
    memory = value_memory if config.share_value else rollout.memory
    encoder = agent.value_encoder if config.share_value else agent.policy_encoder
    features, final_features = _all_features(encoder, inputs, finals, rollout=rollout, memory=memory, starts=starts)
    flat = _baseline(agent, features.flatten(0, 1), rollout.contexts.ravel(), config=config)
    values = flat.reshape(rollout.starts.shape)
    next_values = rollout.next_values(values, _baseline(agent, final_features, rollout.final_contexts, config=config))
    gains = advantages(
        rollout.rewards, values[:-1], next_values, discount_t=discounts(rollout.terminated, discount),
        continuation_t=rollout.continuation, trace=trace,
    )  # fmt: skip
    targets = _targets(agent, rollout, gains + values[:-1], decay=discount * trace)
    if config.share_value and "components" in head_entry(agent.config.head).needs:
        by_part = _component_returns(
            agent, rollout, features, finals=final_features, discount=discount, trace=trace
        )
        targets = dataclasses.replace(targets, components=by_part)
    samples = Samples(
        inputs=inputs[:-1], starts=starts[:-1], memory=rollout.memory, value_memory=value_memory,
        actions=_rows(rollout.actions, device), old_log_probs=_rows(rollout.log_probs, device),
        advantages=_rows(gains.astype(np.float32), device), valid=torch.from_numpy(rollout.valid).to(device),
        targets=targets,
    )  # fmt: skip
    return samples, features[-2] if value_memory is not None else None


def minibatch_rows(
    samples: Samples, *, batch_size: int, generator: torch.Generator, whole_columns: bool
) -> Iterator[Tensor]:
    """One pass over the valid rows in minibatches of about `batch_size`, no size differing by more than one.

    Args:
        samples: the rollout.
        batch_size: rows in a minibatch.
        generator: a CPU generator of the order.
        whole_columns: for encoders with memory; yields numbers of envs, whose rows are all used.
    """
    rows = samples.valid.flatten().nonzero()[:, 0]
    num_parts = max(1, round(len(rows) / batch_size))
    if whole_columns:
        rows = torch.arange(samples.starts.shape[1], device=rows.device)
    order = torch.randperm(len(rows), generator=generator).to(rows.device)
    yield from torch.tensor_split(rows[order], min(num_parts, len(rows)))


def sample_features(
    encoder: Encoder, samples: Samples, chosen: Tensor, *, memory: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Features [b, D] and the numbers int64[b] of the rows that they belong to."""
    if encoder.memory_size == 0:
        features: Tensor = encoder(samples.inputs.flatten(0, 1).index_select(0, chosen))[0]
        return features, chosen
    rows, mask = samples.columns(chosen)
    before = None if memory is None else memory[chosen]
    unrolled, _ = encoder.unroll(samples.inputs[:, chosen], before, samples.starts[:, chosen])
    return unrolled.flatten(0, 1)[mask], rows


def value_loss(agent: AlphaAgent, samples: Samples, chosen: Tensor, *, features: Tensor | None) -> Tensor:
    """V's own loss on the rows; `features` where V shares D's encoder."""
    rows = chosen if agent.policy_encoder.memory_size == 0 else samples.columns(chosen)[0]
    if features is None:
        features, rows = sample_features(agent.value_encoder, samples, chosen, memory=samples.value_memory)
    targets = samples.targets.rows(rows)
    return agent.value_head.credit(agent.value_head(features, targets.context), targets)


def _all_features(
    encoder: Encoder, inputs: Inputs, finals: Inputs, *, rollout: Rollout, memory: Tensor | None, starts: Tensor
) -> tuple[Tensor, Tensor]:
    """Features [T + 1, N, D] of what was seen, and [M, D] of what truncated episodes saw last."""
    features, _ = encoder.unroll(inputs, memory, starts)
    if len(finals) == 0:
        return features, features[0, :0]
    before = features[rollout.final_step, rollout.final_env] if encoder.memory_size else None
    return features, encoder(finals, before)[0]


def _baseline(agent: AlphaAgent, features: Tensor, contexts: np.ndarray, *, config: ReinforceConfig) -> Floats:
    """The baseline of features [b, D], float64[b]."""
    if not config.share_value:
        values: Tensor = agent.baseline_head(features)
    else:
        values = agent.value_head(features, torch.from_numpy(contexts).to(features.device)).value
    estimates: Floats = values.double().cpu().numpy()
    return estimates


def _targets(agent: AlphaAgent, rollout: Rollout, returns: Floats, *, decay: float) -> ValueTargets:
    """What the baseline should say of each row, and what a head asks beside, but for components."""
    device, needs, shares, mask = agent.device, head_entry(agent.config.head).needs, None, None
    if "event_share" in needs:
        # Columns are independent chains: in order of env, then time, each ends where the next begins.
        flat = event_shares(
            rollout.rewards.T.ravel(), rollout.events.T.ravel(), continuation_t=rollout.continuation.T.ravel(),
            num_events=agent.config.num_events, decay=decay,
        )  # fmt: skip
        by_time = flat.reshape(*rollout.rewards.T.shape, -1).swapaxes(0, 1).reshape(rollout.rewards.size, -1)
        shares = torch.from_numpy(by_time).to(device, torch.float32)
    if "bootstrap_mask" in needs:
        # An episode may go on in the next rollout: all episodes of one env go to the same parts.
        of_env = torch.from_numpy(bootstrap_mask(agent, rollout.rewards.shape[1], seed=agent.seed)).to(device)
        mask = of_env.repeat(len(rollout.rewards), 1)
    total, context = _rows(returns.astype(np.float32), device), _rows(rollout.contexts[:-1], device)
    return ValueTargets(total=total, context=context, event_share=shares, bootstrap_mask=mask)


def _component_returns(
    agent: AlphaAgent, rollout: Rollout, features: Tensor, *, finals: Tensor, discount: float, trace: float
) -> Tensor:
    """λ-returns float32[T·N, C] of the reward components, each bootstrapping from the part that learns it."""
    components = None if rollout.components is None else rollout.components * rollout.valid[..., None]
    paid = paid_components(agent.config, components, rollout.rewards * rollout.valid)
    contexts = [torch.from_numpy(each).to(agent.device) for each in (rollout.contexts.ravel(), rollout.final_contexts)]
    said, finally_said = (
        agent.value_head(read, context).part_values.double().cpu().numpy()
        for read, context in zip((features.flatten(0, 1), finals), contexts, strict=True)
    )
    successors = rollout.next_values(said.reshape(*rollout.contexts.shape, -1), finally_said)
    returns = lambda_returns(
        paid, successors, discount_t=discounts(rollout.terminated, discount)[..., None],
        continuation_t=rollout.continuation[..., None], trace=trace,
    )  # fmt: skip
    return torch.from_numpy(returns.reshape(-1, paid.shape[-1])).to(agent.device, torch.float32)


def _rows(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array).reshape(-1)).to(device)
