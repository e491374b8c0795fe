"""Search on top of any Stable-Baselines3 actor-critic: its policy is the prior, its critic values the leaves.

    model = PPO("MultiInputPolicy", make_vec_env("ValueLab/CornerMaze-9x9-v0", 8)).learn(100_000)
    evaluate_policy(SearchPolicy(model, SearchConfig(num_simulations=16)), env)

A search needs states, which an observation may not show; they are read from the env that observations come from.
No other module imports this one.

Shape key: B envs, M new nodes, A actions, S row size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv

from agents.search.batched import search
from agents.search.evaluators import Estimates
from agents.search.new_nodes import NewNodes
from agents.search.noise import draw_actions, root_noise
from agents.search_config import SearchConfig
from agents.seeding import numpy_generator
from envs.errors import UserError
from envs.rows import World

Observe = Callable[[NDArray[np.int16]], Any]


class SearchPolicy:
    """Acts by search where the model would act by its policy; has the `predict` that `evaluate_policy` calls.

    Attributes:
        num_searches: searches made so far.
    """

    def __init__(
        self, model: BaseAlgorithm, config: SearchConfig, *, env: VecEnv | None = None, observe: Observe | None = None,
        seed: int = 0,
    ) -> None:  # fmt: skip
        """Take a trained model and the envs that it will act in.

        Args:
            model: PPO, A2C or another algorithm with an actor-critic policy and Discrete actions; it is not changed.
            config: how far to look ahead.
            env: of one of our worlds, the same that `predict`'s observations come from; None for the model's own.
            observe: rows int16[M, S] -> a batch of observations as the model was trained on them, where wrappers
                changed them; None for the world's own, flattened where the model's space is flat.
            seed: of the noise, and under PUCT of the actions drawn, when not deterministic.

        Raises:
            UserError: another kind of model or env, rollouts asked for, observations that do not fit.
        """
        env = env if env is not None else model.get_env()
        if not isinstance(model.policy, ActorCriticPolicy):
            raise UserError(
                f"{type(model).__name__} has no actor-critic policy, from which a search takes prior and value; "
                "use PPO or A2C."
            )
        if env is None:
            raise UserError("The model has no env; give the one that it will act in, env=.")
        if config.rollout_share > 0.0:
            raise UserError(
                f"rollout_share is {config.rollout_share}, but SearchPolicy's leaves are the critic's; use 0."
            )
        self.model, self.env, self.config = model, env, config
        self.world = _world_of(env)
        self.observe = observe if observe is not None else _observe_as(self.world, model.observation_space)
        self._compares = observe is None
        self.num_searches = 0
        self._rng = numpy_generator(seed, "sb3", "search")
        self._refuse_misfit()

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, *, deterministic: bool = False
    ) -> tuple[NDArray[np.int64], Any]:
        """Search from the states that the envs are in.

        Args:
            observation: what the envs show, [B, ...]; the network reads it from the states, so that it must be theirs.
            state: of recurrent policies; passed through.
            episode_start: of recurrent policies; not read.
            deterministic: no noise at the root, and the action that the search finds best. Otherwise actions are
                samples: by Gumbel noise, or under PUCT from the shares of visits after Dirichlet noise.

        Returns:
            actions int64[B], and `state`.

        Raises:
            UserError: the envs are in other states than those that the observations show, or wrappers changed these.
            NonFiniteError: as `search`.
        """
        rows = self.rows()
        self._refuse_other(observation, rows)
        shape = (len(rows), self.world.num_actions)
        noise = None if deterministic else root_noise(self.config, self._rng, shape)
        found = search(self.world, rows, self.evaluate, config=self.config, discount=self.discount, noise=noise)
        self.num_searches += 1
        if self.config.rule == "puct" and not deterministic:
            return draw_actions(found.policy, self._rng.random(len(rows))), state
        return found.actions, state

    @property
    def discount(self) -> float:
        """γ that the critic was trained with, else the world's own."""
        return float(getattr(self.model, "gamma", self.world.discount))

    def rows(self) -> NDArray[np.int16]:
        """The states int16[B, S] of the envs."""
        return np.concatenate([one.rows for one in self.env.env_method("get_state")])

    @torch.no_grad()
    def evaluate(self, new: NewNodes) -> Estimates:
        """The model's logits float64[M, A] and values float64[M]."""
        policy = self.model.policy
        assert isinstance(policy, ActorCriticPolicy)
        # As SB3's own `predict` does: learning leaves dropout and the like switched on.
        policy.set_training_mode(False)
        tensors, _ = policy.obs_to_tensor(self.observe(new.rows))
        distribution = policy.get_distribution(tensors)
        assert isinstance(distribution, CategoricalDistribution)
        values = policy.predict_values(tensors).flatten()
        return distribution.distribution.logits.double().cpu().numpy(), values.double().cpu().numpy()

    def _refuse_other(self, observation: Any, rows: NDArray[np.int16]) -> None:
        """Compare what the envs show with what their states would show, where no wrapper is to be reckoned with."""
        shown = observation if isinstance(observation, dict) else {"observation": observation}
        size = len(next(iter(shown.values())))
        if size != len(rows):
            raise UserError(f"{size} observations were given, but the env has {len(rows)} states; give env= its env.")
        if not self._compares:
            return
        expected = self.observe(rows)
        expected = expected if isinstance(expected, dict) else {"observation": expected}
        for name, array in expected.items():
            if not np.array_equal(shown[name], array):
                raise UserError(
                    f"The part {name!r} that was given is not what {self.world.name} shows of the states that the env "
                    "is in; give env= the env that shows it, or observe= where a wrapper such as VecNormalize changes "
                    "observations."
                )

    def _refuse_misfit(self) -> None:
        """Compare the shapes of what the world shows with those that the model takes."""
        # Not the ranges: VecNormalize leaves those of the space as they are, and goes beyond them.
        space = self.model.observation_space
        taken = {name: one.shape for name, one in space.items()} if isinstance(space, spaces.Dict) else space.shape
        shown = self.observe(self.world.begin([0], [0]))
        given = {n: part.shape[1:] for n, part in shown.items()} if isinstance(shown, dict) else shown.shape[1:]
        if given != taken:
            raise UserError(
                f"The model was trained on {space}, which is not what {self.world.name} shows; give observe=, a "
                "function from rows to observations as the model's wrappers make them."
            )


def _world_of(env: VecEnv) -> World:
    world = getattr(env.get_attr("unwrapped")[0], "world", None)
    if not isinstance(world, World):
        raise UserError("SearchPolicy looks ahead with a world's kernel, which these envs have not; use a ValueLab id.")
    return world


def _observe_as(world: World, space: spaces.Space[Any]) -> Observe:
    """The world's observations; flattened as `gymnasium.wrappers.FlattenObservation` does where the space is flat."""
    if isinstance(space, spaces.Dict) or len(space.shape or ()) != 1:
        return world.observe

    def flattened(rows: NDArray[np.int16]) -> NDArray[np.float32]:
        shown = world.observe(rows)
        # Gymnasium flattens a Dict in the order of its keys.
        parts = [shown[name].reshape(len(rows), -1).astype(np.float32) for name in sorted(shown)]
        return np.concatenate(parts, axis=1)

    return flattened
