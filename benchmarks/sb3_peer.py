"""Stable-Baselines3's PPO on our worlds: the adapter of all its variants, and a trunk as features extractor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from envs.rows import Observations, World
from envs.step_buffers import StepBuffers
from envs.vector import GridVectorEnv


class GridVecEnv(VecEnv):
    """A batch of one of our worlds as Stable-Baselines3 wants it: flat bytes, infos only where an episode ended.

    Attributes:
        reward_sum: of all steps so far.
    """

    def __init__(self, world: World, num_envs: int) -> None:
        """Make the envs."""
        self.env = GridVectorEnv(world, num_envs, autoreset_mode=AutoresetMode.SAME_STEP)
        self.buffers = StepBuffers.empty(world, num_envs)
        self.width = world.background.size + len(world.vector_names)
        self.reward_sum = 0.0
        super().__init__(num_envs, spaces.Box(0, 1, (self.width,), np.uint8), spaces.Discrete(world.num_actions))
        self.no_infos: list[dict[str, Any]] = [{} for _ in range(num_envs)]

    def reset(self) -> np.ndarray:
        """Begin anew."""
        return flat_bytes(self.env.reset(seed=0)[0])

    def step_async(self, actions: np.ndarray) -> None:
        """Step at once; `step_wait` tells of it."""
        self.env.step_into(actions, self.buffers)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """What the step brought."""
        out, infos = self.buffers, self.no_infos
        ended = out.terminated | out.truncated
        if ended.any():
            infos = list(infos)
            last = flat_bytes({"planes": out.final_planes, "vector": out.final_vector})
            for k in np.flatnonzero(ended):
                infos[k] = {"terminal_observation": last[k], "TimeLimit.truncated": bool(out.truncated[k])}
        self.reward_sum += float(out.reward.sum())
        return flat_bytes({"planes": out.planes, "vector": out.vector}), out.reward.copy(), ended, infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """What the envs have by this name, which is nothing but a render mode."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Not needed."""
        raise NotImplementedError

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Not needed."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """No env is."""
        return [False] * self.num_envs


def flat_bytes(observations: Observations) -> np.ndarray:
    """Planes and one-hot vector side by side, uint8[N, I]."""
    parts = [observations["planes"].reshape(len(observations["planes"]), -1)]
    parts += [observations["vector"].astype(np.uint8)] if "vector" in observations else []
    return np.concatenate(parts, axis=1)


class Trunk(BaseFeaturesExtractor):
    """Rectified dense layers that policy and value share."""

    def __init__(self, observation_space: spaces.Box, sizes: Sequence[int] = (64, 64)) -> None:
        """Make the layers."""
        super().__init__(observation_space, features_dim=sizes[-1])
        widths = [observation_space.shape[0], *sizes]
        layers = [[nn.Linear(n, m), nn.ReLU()] for n, m in zip(widths[:-1], widths[1:], strict=True)]
        self.layers = nn.Sequential(*(layer for pair in layers for layer in pair))

    def forward(self, observations: Tensor) -> Tensor:
        """Features [B, 64]."""
        features: Tensor = self.layers(observations)
        return features


def make_ppo(env: GridVecEnv, *, shared_trunk: bool, seed: int = 0, **settings: Any) -> PPO:
    """PPO with the trunk as its features extractor and nothing above it, or with its default separate networks."""
    shared = {"features_extractor_class": Trunk, "net_arch": [], "ortho_init": True}
    torch.manual_seed(seed)
    return PPO("MlpPolicy", env, policy_kwargs=shared if shared_trunk else {}, seed=seed, device="cpu", **settings)
