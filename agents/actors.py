"""Actors: what turns an agent into behaviour.

D samples or takes its best action; V₁ (`agents.value_actor`) looks one step ahead with V; search-n (`agents.search`)
takes n simulations.

Shape key: N envs, A actions, O outcomes, S row size, M memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.agent import AlphaAgent
from agents.memory import zeroed
from agents.rollout import Actor
from agents.sampling import sample_actions
from agents.search.actor import SearchActor
from agents.search_config import SearchConfig
from agents.seeding import stream as named_stream
from agents.streams import EnvStream, Flags, Floats, Indices, require_finite
from agents.value_actor import ValueActor
from envs.errors import UserError, nearest
from envs.rows import MAX_OUTCOMES, World

ACTORS = ("D", "V1")
ALLOWED = "D, V1, and search-n with n simulations, such as search-16 or search-16,rule=puct"


class PolicyActor:
    """D: a ~ (1 − u)·softmax(logits) + u/A, or argmax of the logits.

    The random number of env k at step t depends on the seed, k and t alone, so that env k acts alike in any batch.

    Attributes:
        memory: float32[N, M] of D's encoder, None without memory.
    """

    def __init__(
        self, agent: AlphaAgent, *, seed: int, greedy: bool = False, uniform_share: float = 0.0, first_env: int = 0,
        active_inputs: bool = False, one_pass: bool = False,
    ) -> None:  # fmt: skip
        """Take an agent that will not change while this actor plays, or that changes between rollouts.

        Args:
            agent: D∘E is read.
            seed: of the stream "actions".
            greedy: take the most probable action instead of sampling.
            uniform_share: u in [0, 1], share of uniformly random actions.
            first_env: index of the first env among all that share the seed.
            active_inputs: see `AlphaAgent.encode`.
            one_pass: samples are drawn by `agents.sampling`.
        """
        self.agent, self.greedy, self.uniform_share, self.first_env = agent, greedy, uniform_share, first_env
        self.active_inputs, self.one_pass = active_inputs, one_pass and not greedy and uniform_share == 0.0
        self.memory: Tensor | None = None
        self._key = named_stream(seed, "actions").generate_state(2, np.uint64)

    def act(self, stream: EnvStream, needed: Flags) -> tuple[Indices, NDArray[np.float32]]:
        """Choose (see `agents.rollout.Actor`); raises NonFiniteError for logits that are NaN or infinite."""
        envs = np.flatnonzero(needed)
        actions, log_probs = np.zeros(stream.num_envs, np.int64), np.zeros(stream.num_envs, np.float32)
        if len(envs) == 0:
            return actions, log_probs
        logits = self._logits(stream, envs)
        require_finite("policy logits", logits, step=stream.num_steps, envs=envs)
        if self.greedy and self.uniform_share == 0.0:
            actions[envs] = logits.argmax(axis=1)
            return actions, log_probs
        uniform = self._uniform(stream)[envs]
        if self.one_pass:
            actions[envs], log_probs[envs] = sample_actions(logits, uniform)
            return actions, log_probs
        probs = mixed_probs(logits, uniform_share=self.uniform_share, greedy=self.greedy)
        cumulative = probs.cumsum(axis=1)
        chosen = (cumulative[:, :-1] <= uniform[:, None] * cumulative[:, -1:]).sum(axis=1)
        actions[envs] = chosen
        log_probs[envs] = np.log(probs[np.arange(len(envs)), chosen])
        return actions, log_probs

    @torch.no_grad()
    def _logits(self, stream: EnvStream, envs: Indices) -> Floats:
        memory = zeroed(self.memory, stream, size=self.agent.policy_encoder.memory_size, device=self.agent.device)
        encoded = self.agent.encode(stream.shown_by(envs), active=self.active_inputs)
        output = self.agent.policy(encoded, None if memory is None else memory[envs])
        if memory is not None and output.memory is not None:
            memory[envs] = output.memory
        self.memory = memory
        logits: Floats = output.logits.double().cpu().numpy()
        return logits

    def _uniform(self, stream: EnvStream) -> Floats:
        """One number in [0, 1) per env: number k of the counter-based stream of this step."""
        bits = np.random.Philox(key=self._key, counter=[0, 0, stream.num_steps, 0])
        return np.random.Generator(bits).random(self.first_env + stream.num_envs)[self.first_env :]


def actors_of(world: World | None) -> tuple[str, ...]:
    """The actors that can play: V1 needs a world with a kernel whose outcomes can be listed; None is a foreign env."""
    return ACTORS if world is not None and world.max_outcomes <= MAX_OUTCOMES else ("D",)


def make_actor(name: str, agent: AlphaAgent, env: Any, *, seed: int, greedy: bool = True, first_env: int = 0) -> Actor:
    """Return the actor called `name` for a vector env.

    Args:
        name: "D", "V1" or that of a search (`SearchConfig.actor_name`): "search-16" takes 16 simulations by Gumbel's
            rules, "search-16,rule=puct,rollout_share=0.5" by others.
        agent: the agent.
        env: the vector env that the actor will play in.
        seed: of sampled actions.
        greedy: D takes its most probable action and a search adds no noise; V1 never does.
        first_env: index of the env's first env among all that share the seed.

    Raises:
        UserError: another name, or a wrong setting in it; V1 or a search where the env has no kernel, or one action
            has too many outcomes.
    """
    config = searching(name)
    if name == "D":
        return PolicyActor(agent, seed=seed, greedy=greedy, first_env=first_env)
    world = getattr(env, "world", None)
    if not isinstance(world, World):
        raise UserError(f"Actor {name!r} needs a world with a kernel, which {_id_of(env)} has not; use actor 'D'.")
    world.require_expandable()
    if config is None:
        return ValueActor(agent, world)
    return SearchActor(agent, world, config, seed=seed, greedy=greedy, first_env=first_env)


def searching(name: str) -> SearchConfig | None:
    """How the actor called `name` searches, None for D and V1; UserError where there is no such actor."""
    config = SearchConfig.named(name)
    if config is None and name not in ACTORS:
        raise UserError(f"Actor {name!r} is unknown; allowed: {ALLOWED}.{nearest(name, (*ACTORS, 'search-16'))}")
    return config


def mixed_probs(logits: Floats, *, uniform_share: float = 0.0, greedy: bool = False) -> Floats:
    """(1 − u)·softmax(logits) + u/A; with `greedy` the softmax is one-hot at the largest logit.

    Args:
        logits: float[N, A], finite.
        uniform_share: u in [0, 1].
        greedy: no sampling but for the uniform share.

    Returns:
        float64[N, A], rows sum to 1.
    """
    if greedy:
        probs = np.eye(logits.shape[1])[logits.argmax(axis=1)]
    else:
        probs = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
    mixed: Floats = (1.0 - uniform_share) * probs + uniform_share / logits.shape[1]
    return mixed


def _id_of(env: Any) -> str:
    """The id of a vector env's first env, which Gymnasium's own batches have no field for."""
    first = getattr(env, "envs", [env])[0]
    spec = getattr(first, "spec", None)
    return spec.id if spec is not None else type(env).__name__
