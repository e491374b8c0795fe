"""Our E, D and V inside Stable-Baselines3's PPO or A2C, and back out as an ``AlphaAgent``.

    policy = {"config": AgentConfig(value_encoder="shared"), "sample": sample_observations(env)}
    model = PPO(ValueLabPolicy, env, policy_kwargs=policy)
    model.learn(100_000)
    save_agent("run/checkpoint", agent_from_sb3(model), extra={"env_id": ...})

Stable-Baselines3 regresses ``value`` on one total return per step, so only heads with global credit can learn there as
they do here; the others are refused by name. Its own exploration draws from torch's global generator, which it seeds;
the initial weights come from our streams and do not depend on it. No other module imports this one.
Shape key: B batch, A actions.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.agent import AlphaAgent, Encoded, PolicyOutput, build_agent, num_actions_of
from agents.config import AgentConfig
from agents.observations import ObservationSpec
from agents.seeding import numpy_generator
from envs.errors import UserError
from shards.registry import HEADS


class ValueLabPolicy(ActorCriticPolicy):
    """An actor-critic policy whose networks are an ``AlphaAgent`` (attribute ``agent``).

    Observations go to the agent as the env gives them: Stable-Baselines3's own preprocessing (one-hot, division by
    255) is not used. The agent's baseline head plays no part.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        config: AgentConfig | None = None,
        seed: int = 0,
        spec: ObservationSpec | None = None,
        sample: Mapping[str, Any] | NDArray[Any] | None = None,
        use_sde: bool = False,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Build the agent and its optimiser.

        Args:
            observation_space: of one env; Stable-Baselines3 passes it, as the next two and ``use_sde``.
            action_space: Discrete.
            lr_schedule: learning rate by remaining progress.
            config: what to build; by default an agent with its own value encoder.
            seed: of the initial weights.
            spec: a description of the observations; by default the one that the space gives.
            sample: observations [N, ...] such as ``sample_observations`` gives, on whose mean the inputs are centred
                and whose levels and statistics the description learns, as valuelab's own training does. V learns worse
                without one, and grids of codes such as MiniGrid's need it.
            use_sde: must be False, since it is for continuous actions.
            optimizer_class: A2C passes its own.
            optimizer_kwargs: further settings of the optimiser.

        Raises:
            UserError: continuous actions, a head or encoder that cannot learn here, an observation that cannot be
                encoded.
        """
        num_actions_of(action_space)
        config = config if config is not None else AgentConfig()
        refuse_untrainable(config)
        self.agent_config, self.agent_seed, self.agent_spec, self._sample = config, seed, spec, sample
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            use_sde=use_sde,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )

    def _build(self, lr_schedule: Schedule) -> None:
        """Make the agent in place of Stable-Baselines3's own networks."""
        space = self.agent_spec if self.agent_spec is not None else self.observation_space
        num_actions = num_actions_of(self.action_space)
        self.agent: AlphaAgent = build_agent(
            space, num_actions, self.agent_config, seed=self.agent_seed, sample=self._sample
        )
        # Stored with the policy in the sample's place; the centre is among the weights.
        self.agent_spec, self._sample = self.agent.spec, None
        self.agent.baseline_head.requires_grad_(False)
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        settings = {"lr": lr_schedule(1), **self.optimizer_kwargs}
        self.optimizer = self.optimizer_class(trained, **settings)

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions [B], values [B, 1] and log probabilities [B]."""
        encoded = self._encode(obs)
        output = self.agent.policy(encoded)
        distribution = self._distribution(output.logits)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self._values(encoded, output), distribution.log_prob(actions)

    def evaluate_actions(self, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values [B, 1], log probabilities [B] and entropies [B]."""
        encoded = self._encode(obs)
        output = self.agent.policy(encoded)
        distribution = self._distribution(output.logits)
        return self._values(encoded, output), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        """Return the distribution of actions."""
        return self._distribution(self.agent.policy_logits(self._encode(obs)))

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """Return values [B, 1]."""
        return self.agent.value(self._encode(obs)).value.unsqueeze(1)

    def _encode(self, obs: PyTorchObs) -> Encoded:
        """Encode a batch; Stable-Baselines3 gives numbers without a shape as [B, 1]."""
        leaves = self.agent.spec.leaves
        parts = self.agent.spec.select(obs)
        return self.agent.encode({leaf.name: parts[leaf.name].reshape(-1, *leaf.shape) for leaf in leaves})

    def _values(self, encoded: Encoded, output: PolicyOutput) -> Tensor:
        """Return values [B, 1], reusing D's features where V reads the same."""
        if self.agent.shared:
            value: Tensor = self.agent.value_head(output.features).value
        else:
            value = self.agent.value(encoded).value
        return value.unsqueeze(1)

    def _distribution(self, logits: Tensor) -> Distribution:
        """Return the categorical distribution of logits [B, A]."""
        distribution: Distribution = self.action_dist.proba_distribution(action_logits=logits)
        return distribution

    def _get_constructor_parameters(self) -> dict[str, Any]:
        """Return what Stable-Baselines3 stores to build the policy again."""
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "config": self.agent_config,
            "seed": self.agent_seed,
            "spec": self.agent_spec,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }


def sample_observations(env: VecEnv, *, num_steps: int = 64, seed: int = 0) -> Any:
    """Observations of random play, to describe and centre the inputs on (``ValueLabPolicy``'s ``sample``).

    Args:
        env: is reset and stepped; ``learn`` resets it again. Images must be as the policy will see them: wrap them in
            ``VecTransposeImage``, as PPO does by itself.
        num_steps: steps of every env.
        seed: of the actions.

    Returns:
        An array [N, ...], or a dict of them, as the env returns observations; N = (num_steps + 1) · env.num_envs.
    """
    rng, num_actions = numpy_generator(seed, "sb3", "sample"), num_actions_of(env.action_space)
    seen: list[Any] = [env.reset()]
    for _ in range(num_steps):
        seen.append(env.step(rng.integers(num_actions, size=env.num_envs))[0])
    if isinstance(seen[0], dict):
        return {name: np.concatenate([one[name] for one in seen]) for name in seen[0]}
    return np.concatenate(seen)


def agent_from_sb3(model: BaseAlgorithm) -> AlphaAgent:
    """Return a copy of the agent inside a model, on the CPU: bitwise the same logits and values.

    Raises:
        UserError: the model's policy is another one.
    """
    if not isinstance(model.policy, ValueLabPolicy):
        name = type(model.policy).__name__
        raise UserError(f"The model's policy is {name}, which holds no agent of ours; train it with ValueLabPolicy.")
    agent = copy.deepcopy(model.policy.agent).cpu()
    agent.baseline_head.requires_grad_(True)
    agent.value_discount = getattr(model, "gamma", None)
    return agent


def refuse_untrainable(config: AgentConfig) -> None:
    """Refuse settings that Stable-Baselines3's losses and buffers have no place for.

    Raises:
        UserError: names the setting, the reason and what can be used.
    """
    allowed = ", ".join(name for name, entry in HEADS.items() if entry.sb3_allowed)
    entry = HEADS.get(config.head)
    if entry is not None and not entry.sb3_allowed:
        needs = f" and needs {', '.join(sorted(entry.needs))} of every step" if entry.needs else ""
        raise UserError(
            f"Value head {config.head!r} has {entry.credit} credit{needs}, but Stable-Baselines3's value loss knows "
            f"one return per step; use one of {allowed} here, or train {config.head} with valuelab's own stages."
        )
    if config.encoder == "gru":
        raise UserError("Encoder 'gru' needs memory in rollouts, which Stable-Baselines3's PPO lacks; use mlp or conv.")
    if config.value_encoder == "imitated":
        raise UserError(
            "value_encoder is 'imitated', but nothing is imitated in Stable-Baselines3; use 'scratch' or 'shared'."
        )
