"""The agent: an encoder E with a policy D, and a value head V on an encoder that is its own, a copy or the same.

    D∘E: logits = policy_head(policy_encoder(o)),    V∘E: value = value_head(value_encoder(o)).

Shape key: T time, B batch, D features, M memory, A actions.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.active_inputs import ActiveFinder
from agents.config import AgentConfig, ValueEncoder
from agents.encoding import ObservationEncoder
from agents.inputs import Inputs, as_matrix
from agents.networks import BaselineHead, Encoder, PolicyHead, build_encoder
from agents.observations import ObservationSpec
from agents.seeding import init_module, torch_generator, untouched_global_generator
from agents.value_network import build_value_head, num_features_of
from envs.errors import UserError
from shards.value_head import ValueEstimate, ValueHead


@dataclass(frozen=True, eq=False)
class Encoded:
    """Observations that ``AlphaAgent.encode`` has already turned into network inputs, [..., I]."""

    inputs: Inputs

    @property
    def matrix(self) -> Tensor:
        """The canonical matrix, float32 [..., I]."""
        return as_matrix(self.inputs)

    def __getitem__(self, index: Any) -> Encoded:
        """Return the rows at ``index``."""
        return Encoded(self.inputs[index])


@dataclass(frozen=True, eq=False)
class PolicyOutput:
    """What D∘E says: logits [..., A], the features [..., D] they follow from, the memory [B, M] after (or None)."""

    logits: Tensor
    features: Tensor
    memory: Tensor | None


class AlphaAgent(nn.Module):
    """Encoder, policy, baseline and value networks over one description of observations.

    All methods take observations as the env returns them (numpy arrays or tensors, nested as the space is or flat by
    part), or ``Encoded`` ones, with one batch axis; ``unroll_*`` take a time axis before it.

    Attributes:
        spec: the observations.
        num_actions: A.
        config: what the agent was built from.
        seed: the seed of its initial weights.
        shared: whether V reads the features of D's encoder.
        value_discount: γ that V was trained with, None while it is untrained.
    """

    value_discount: float | None = None

    def __init__(
        self, spec: ObservationSpec, num_actions: int, config: AgentConfig, *, seed: int, value_head: ValueHead
    ) -> None:
        """Make D∘E and V∘E; use ``build_agent``."""
        super().__init__()
        self.spec, self.num_actions, self.config, self.seed = spec, num_actions, config, seed
        self.observation_encoder = ObservationEncoder(spec)
        self.policy_encoder = _initial_encoder(spec, config, seed)
        with untouched_global_generator():
            self.policy_head = PolicyHead(self.policy_encoder.num_features, num_actions)
            self.baseline_head = BaselineHead(self.policy_encoder.num_features)
        init_module(self.policy_head, torch_generator(seed, "policy head"))
        init_module(self.baseline_head, torch_generator(seed, "baseline head"))
        self.value_encoder = value_encoder_for(self, config.value_encoder)
        self.value_head = value_head

    @property
    def shared(self) -> bool:
        """Whether V reads the features of D's encoder."""
        return self.value_encoder is self.policy_encoder

    @property
    def device(self) -> torch.device:
        """Where the agent lives."""
        return self.policy_head.weight.device

    def encode(self, observations: Any, *, active: bool = False) -> Encoded:
        """Turn observations into network inputs once, for several calls; raises as ``ObservationEncoder``.

        Args:
            observations: as everywhere here.
            active: keep only the inputs that differ from a base row, where D's encoder gains by it and few do; every
                method then gives the same up to rounding, sooner.
        """
        if isinstance(observations, Encoded):
            return observations
        found = None
        if active and self.policy_encoder.gains_by_active_inputs:
            found = ActiveFinder(self.observation_encoder)(observations)
        return Encoded(self.observation_encoder(observations) if found is None else found)

    def policy(self, observations: Any, memory: Tensor | None = None) -> PolicyOutput:
        """Run D∘E for one step.

        Args:
            observations: a batch [B, ...].
            memory: [B, M] of the policy encoder, zeroed by the caller where an episode starts; None counts as zeros.
        """
        features, memory = self.policy_encoder(self.encode(observations).inputs, memory)
        return PolicyOutput(self.policy_head(features), features, memory)

    def policy_logits(self, observations: Any, memory: Tensor | None = None) -> Tensor:
        """Return D's logits [B, A] (see ``policy``)."""
        return self.policy(observations, memory).logits

    def unroll_policy(self, observations: Any, memory: Tensor | None, starts: Tensor) -> PolicyOutput:
        """Run D∘E over observations [T, B, ...]; memory [B, M] before them, starts bool [T, B]."""
        features, memory = self.policy_encoder.unroll(self.encode(observations).inputs, memory, starts)
        return PolicyOutput(self.policy_head(features), features, memory)

    def features_of_value(self, observations: Any, memory: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the features [B, D] that V reads, and the value encoder's memory after the step (or None)."""
        features, memory = self.value_encoder(self.encode(observations).inputs, memory)
        return features, memory

    def unroll_features_of_value(
        self, observations: Any, memory: Tensor | None, starts: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return V's features [T, B, D] over observations [T, B, ...], and the memory after the last step."""
        return self.value_encoder.unroll(self.encode(observations).inputs, memory, starts)

    def value(self, observations: Any, memory: Tensor | None = None, *, context: Tensor | None = None) -> ValueEstimate:
        """Run V∘E for one step.

        Args:
            observations: a batch [B, ...].
            memory: [B, M] of the value encoder; None counts as zeros.
            context: int64 [B], for oracle heads alone.
        """
        estimate: ValueEstimate = self.value_head(self.features_of_value(observations, memory)[0], context)
        return estimate


def build_agent(
    space: spaces.Space[Any] | ObservationSpec,
    num_actions: int,
    config: AgentConfig,
    *,
    seed: int,
    sample: Any = None,
) -> AlphaAgent:
    """Build an agent on the CPU; equal arguments give bitwise equal weights, whatever was drawn before.

    Args:
        space: the observation space of one env, or a description made from it.
        num_actions: A; ``num_actions_of(action_space)``.
        config: what to build.
        seed: of the initial weights (streams "encoder", "policy head", "baseline head", "value head").
        sample: observations [N, ...] to fit levels, statistics and the centre on; None leaves the description as it is.

    Returns:
        The agent. Text parts that were dropped stand in ``agent.spec.dropped``; telling the user is the caller's part.

    Raises:
        UserError: an observation that cannot be encoded, an unknown name, a head without what it needs.
    """
    spec = space if isinstance(space, ObservationSpec) else ObservationSpec.from_space(space)
    spec = spec if sample is None else spec.fit(sample)
    head = build_value_head(config, num_features=num_features_of(config), seed=seed)
    agent = AlphaAgent(spec, num_actions, config, seed=seed, value_head=head)
    if sample is not None:
        agent.observation_encoder.fit_centre(sample)
    return agent


def num_actions_of(space: spaces.Space[Any]) -> int:
    """Return the number of actions of a Discrete action space; UserError for any other."""
    if not isinstance(space, spaces.Discrete):
        raise UserError(f"Action space {space} is not supported; an agent acts in Discrete spaces (wrap the env).")
    if space.start != 0:
        raise UserError(f"Action space {space} starts at {space.start}; actions must count from 0 (wrap the env).")
    return int(space.n)


def with_value_encoder(agent: AlphaAgent, regime: ValueEncoder) -> AlphaAgent:
    """Return a copy whose V reads another encoder: ``scratch``, ``imitated`` or ``shared`` (see ``AgentConfig``).

    ``scratch`` starts from the weights that D's encoder was given at first; ``imitated`` is a frozen copy of D's
    encoder as it is now.
    """
    agent = copy.deepcopy(agent)
    agent.value_encoder = value_encoder_for(agent, regime).to(agent.device)
    agent.config = dataclasses.replace(agent.config, value_encoder=regime)
    return agent


def restart_value(agent: AlphaAgent, *, seed: int | None = None) -> AlphaAgent:
    """Return a copy with V∘E afresh: a newly drawn head, and the encoder that its regime says.

    Args:
        agent: left as it is.
        seed: of the head's weights; None for the agent's own, which gives the head that it was built with.
    """
    agent = with_value_encoder(agent, agent.config.value_encoder)
    agent.value_discount = None
    seed = agent.seed if seed is None else seed
    agent.value_head = build_value_head(agent.config, num_features=agent.value_encoder.num_features, seed=seed)
    return agent.to(agent.device)


def value_encoder_for(agent: AlphaAgent, regime: ValueEncoder) -> Encoder:
    """Return the encoder for V under a regime, on the CPU or where D's encoder is."""
    if regime == "shared":
        return agent.policy_encoder
    if regime == "scratch":
        return _initial_encoder(agent.spec, agent.config, agent.seed)
    return copy.deepcopy(agent.policy_encoder).requires_grad_(False)


def _initial_encoder(spec: ObservationSpec, config: AgentConfig, seed: int) -> Encoder:
    """Return an encoder with the initial weights that D's and V's have in common."""
    return build_encoder(spec, config, generator=torch_generator(seed, "encoder"))
