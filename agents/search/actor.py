"""Search as an actor: what an agent does when it looks ahead.

Shape key: N envs, B roots, A actions, H memory size.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.agent import AlphaAgent
from agents.memory import zeroed
from agents.reward_model import RewardModel
from agents.search.batched import SearchResult, search
from agents.search.evaluators import Evaluator, NetworkEvaluator
from agents.search.noise import draw_actions, root_noise
from agents.search.payments import LearnedRewards
from agents.search.rollouts import RolloutEvaluator, RolloutPolicy
from agents.search_config import SearchConfig
from agents.seeding import stream as named_stream
from agents.streams import EnvStream, Flags, Indices
from envs.errors import NonFiniteError, UserError
from envs.rows import World


class SearchActor:
    """Looks ahead from every state that the envs are in, with D∘E for the prior and V∘E for the leaves.

    The noise of env k at step t depends on the seed, k and t alone, so that env k acts alike in any batch.

    Attributes:
        last: the last search, and
        last_envs: int64[B], the envs that its trees belong to.
    """

    def __init__(
        self, agent: AlphaAgent, world: World, config: SearchConfig, *, seed: int, greedy: bool = True,
        first_env: int = 0, discount: float | None = None, reward_model: RewardModel | None = None,
    ) -> None:  # fmt: skip
        """Take an agent and a world with a kernel.

        Args:
            agent: E, D and V are read.
            world: gives the transitions.
            config: how it looks ahead.
            seed: of the noise at the roots and of rollouts.
            greedy: no noise, and the action that the search finds best. Otherwise actions are samples: by Gumbel noise,
                or under PUCT from the shares of visits after Dirichlet noise.
            first_env: index of the first env among all that share the seed.
            discount: γ; None for the one that V was trained with, and for the world's own where V is untrained.
            reward_model: whose rewards stand in the tree, with `config.use_rewards` False.
        """
        world.require_expandable()
        self.agent, self.world, self.config = agent, world, config
        self.greedy, self.first_env = greedy, first_env
        known = (discount, agent.value_discount, world.discount)
        self.discount = next(gamma for gamma in known if gamma is not None)
        self.policy_memory: Tensor | None = None
        self.value_memory: Tensor | None = None
        self.reward_model = reward_model
        self.reward_memory: Tensor | None = None
        self.last: SearchResult | None = None
        self.last_envs: Indices = np.zeros(0, np.int64)
        self._key = named_stream(seed, "search").generate_state(2, np.uint64)
        self._rollouts = RolloutPolicy.uniform(world)

    def act(self, stream: EnvStream, needed: Flags) -> tuple[Indices, NDArray[np.float32]]:
        """Choose (see `agents.rollout.Actor`); log-probabilities are 0.

        Raises:
            UserError: the envs have no kernel.
            NonFiniteError: as `search`; env and step are named.
        """
        envs, rows = np.flatnonzero(needed), stream.rows()
        if rows is None:
            raise UserError("Search looks ahead with a world's kernel, which this env has not; use actor D.")
        actions, log_probs = np.zeros(stream.num_envs, np.int64), np.zeros(stream.num_envs, np.float32)
        if len(envs) == 0:
            return actions, log_probs
        network = self._network(stream, envs)
        noise = None
        if not self.greedy:
            shape = (self.first_env + stream.num_envs, self.world.num_actions)
            noise = root_noise(self.config, self._generator(stream, 0), shape)[self.first_env :][envs]
        evaluator: Evaluator = network
        if self.config.rollout_share > 0.0:
            keys = self._generator(stream, 1).integers(0, 2**63 - 1, size=self.first_env + stream.num_envs)
            evaluator = RolloutEvaluator(
                network, self.world, self._rollouts, config=self.config, discount=self.discount,
                keys=keys[self.first_env :][envs],
            )  # fmt: skip
        rewards = self._rewards(stream, envs)
        try:
            found = search(
                self.world, rows[envs], evaluator, config=self.config, discount=self.discount, noise=noise,
                rewards=rewards,
            )  # fmt: skip
        except NonFiniteError as error:
            env = None if error.env is None else int(envs[error.env])
            raise NonFiniteError(error.site, env=env, step=stream.num_steps) from error
        self.last, self.last_envs = found, envs
        self._remember(network, rewards, envs)
        actions[envs] = found.actions
        if not self.greedy and self.config.rule == "puct":
            uniform = self._generator(stream, 2).random(self.first_env + stream.num_envs)
            actions[envs] = draw_actions(found.policy, uniform[self.first_env :][envs])
        return actions, log_probs

    def _network(self, stream: EnvStream, envs: Indices) -> NetworkEvaluator:
        device, agent = self.agent.device, self.agent
        sizes = agent.policy_encoder.memory_size, agent.value_encoder.memory_size
        self.policy_memory = zeroed(self.policy_memory, stream, size=sizes[0], device=device)
        self.value_memory = zeroed(self.value_memory, stream, size=sizes[1], device=device)
        before = [None if one is None else one[envs] for one in (self.policy_memory, self.value_memory)]
        return NetworkEvaluator(agent, self.world, policy_memory=before[0], value_memory=before[1])

    def _rewards(self, stream: EnvStream, envs: Indices) -> LearnedRewards | None:
        if self.reward_model is None:
            return None
        size = self.reward_model.encoder.memory_size
        self.reward_memory = zeroed(self.reward_memory, stream, size=size, device=self.agent.device)
        before = None if self.reward_memory is None else self.reward_memory[envs]
        return LearnedRewards(self.reward_model, self.agent, self.world, memory=before)

    def _remember(self, network: NetworkEvaluator, rewards: LearnedRewards | None, envs: Indices) -> None:
        """Keep what the encoders remember after they saw the roots."""
        index = torch.from_numpy(envs)
        mine = self.policy_memory, self.value_memory, self.reward_memory
        seen = *network.root_memories(), None if rewards is None else rewards.root_memory()
        for kept, after in zip(mine, seen, strict=True):
            if kept is not None and after is not None:
                kept[index] = after

    def _generator(self, stream: EnvStream, purpose: int) -> np.random.Generator:
        """The counter-based stream of this step."""
        return np.random.Generator(np.random.Philox(key=self._key, counter=[0, 0, stream.num_steps, purpose]))
