"""Actors: what turns an agent into behaviour.

D samples or takes its best action; V₁ looks one step ahead with V; search-n (`agents.search`) takes n simulations.

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
        encoded = self.agent.encode(take(stream, envs), active=self.active_inputs)
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


class ValueActor:
    """V₁: argmax_a Σ_o p(o|s,a)·(r_o + γ·V(s_o)), V = 0 after termination; the lowest action among equals.

    Outcomes and their probabilities come from the world's own kernel. The time limit is the engine's and is not seen.
    """

    def __init__(self, agent: AlphaAgent, world: World, *, discount: float | None = None) -> None:
        """Take an agent and a world with a kernel.

        Args:
            agent: V∘E is read.
            world: gives the outcomes.
            discount: γ; None for the one that V was trained with, and for the world's own where V is untrained.
        """
        self.agent, self.world = agent, world
        known = (discount, agent.value_discount, world.discount)
        self.discount = next(gamma for gamma in known if gamma is not None)
        self.memory: Tensor | None = None

    def act(self, stream: EnvStream, needed: Flags) -> tuple[Indices, NDArray[np.float32]]:
        """Choose (see `agents.rollout.Actor`); raises NonFiniteError for values that are NaN or infinite."""
        envs, rows = np.flatnonzero(needed), stream.rows()
        if rows is None:
            raise UserError("V1 looks ahead with a world's kernel, which this env has not; use actor D.")
        actions = np.zeros(stream.num_envs, np.int64)
        if len(envs) == 0:
            return actions, np.zeros(stream.num_envs, np.float32)
        memory = self._remember(stream, envs)
        lookahead = action_values(self.agent, self.world, rows[envs], discount=self.discount, memory=memory)
        require_finite("one-step value", lookahead, step=stream.num_steps, envs=envs)
        actions[envs] = lookahead.argmax(axis=1)
        return actions, np.zeros(stream.num_envs, np.float32)

    @torch.no_grad()
    def _remember(self, stream: EnvStream, envs: Indices) -> Tensor | None:
        memory = zeroed(self.memory, stream, size=self.agent.value_encoder.memory_size, device=self.agent.device)
        if memory is not None:
            _, after = self.agent.features_of_value(take(stream, envs), memory[envs])
            assert after is not None
            memory[envs] = after
        self.memory = memory
        return None if memory is None else memory[envs]


@torch.no_grad()
def action_values(
    agent: AlphaAgent, world: World, rows: NDArray[np.int16], *, discount: float, memory: Tensor | None = None
) -> Floats:
    """Q₁(s, a) = Σ_o p(o|s,a)·(r_o + γ·V(s_o)) with V = 0 after termination.

    Args:
        agent: V∘E is read.
        world: gives outcomes, rewards and observations.
        rows: int16[N, S].
        discount: γ.
        memory: float32[N, M] of V's encoder after these states, for encoders with memory.

    Returns:
        float64[N, A].
    """
    outcomes = world.expand(rows)
    alive = (outcomes.probability > 0) & ~outcomes.terminated
    next_rows = outcomes.next_rows[alive]
    values = np.zeros(alive.shape)
    context = torch.from_numpy(world.context_of(next_rows)).to(agent.device) if agent.value_head.needs_context else None
    memory = None if memory is None else memory[np.nonzero(alive)[0]]
    values[alive] = agent.value(world.observe(next_rows), memory, context=context).value.double().cpu().numpy()
    rewards = outcomes.components @ world.reward_weights
    lookahead: Floats = (outcomes.probability * (rewards + discount * values)).sum(axis=2)
    return lookahead


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


def take(stream: EnvStream, envs: Indices) -> dict[str, Any]:
    """What some of the envs show; without a copy where it is all of them."""
    if len(envs) == stream.num_envs:
        return stream.observations
    return {name: array[envs] for name, array in stream.observations.items()}


def _id_of(env: Any) -> str:
    """The id of a vector env's first env, which Gymnasium's own batches have no field for."""
    first = getattr(env, "envs", [env])[0]
    spec = getattr(first, "spec", None)
    return spec.id if spec is not None else type(env).__name__
