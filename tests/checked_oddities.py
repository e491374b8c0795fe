"""Envs for the checker that are odd: further faults of the sound grid, and sound envs that look like faulty ones."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from checked_grids import LIMIT, SIZE, ResetsItself, SoundGrid
from gymnasium import spaces


class OldReset(SoundGrid):
    rule = "result-shape"

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0]


class OldStep(SoundGrid):
    rule = "result-shape"

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or truncated, info


class NoSeed(SoundGrid):
    rule = "result-shape"

    def reset(self):
        return super().reset()


class RareError(SoundGrid):
    rule = "raises"

    def move(self, action):
        super().move(action)
        if self.clock > 30 and (self.agent == 0).all():
            raise IndexError("no such cell")


class WrongShape(SoundGrid):
    rule = "observation-type"

    def observation(self):
        return super().observation() | {"planes": self.planes()[:2]}


class NoSpace(SoundGrid):
    rule = "spaces"

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.observation_space = None


class MovingSpace(SoundGrid):
    rule = "spaces"

    def begin(self, seed):
        super().begin(seed)
        self.observation_space["compass"] = spaces.Box(-1.0, 1.0 + int(self.agent[0] == 0), (2,), np.float32)


class ShownState(SoundGrid):
    """The compass is the agent's own cell, so whoever writes into it moves the agent."""

    rule = "observation-shared"

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.observation_space["compass"] = spaces.Box(0.0, SIZE - 1.0, (2,), np.float32)

    def begin(self, seed):
        super().begin(seed)
        self.agent = self.agent.astype(np.float32)

    def planes(self):
        planes = np.zeros((3, SIZE, SIZE), np.uint8)
        planes[0][tuple(self.agent.astype(int))] = 1
        return planes

    def move(self, action):
        self.agent = np.clip(self.agent + [(-1, 0), (0, 1), (1, 0), (0, -1)][action], 0, SIZE - 1, dtype=np.float32)

    def compass(self):
        return self.agent


class KeptInfo(SoundGrid):
    rule = "observation-shared"

    def info(self):
        self.told = getattr(self, "told", {})
        self.told["clock"] = self.clock
        return self.told


class SeedsTheWorld(SoundGrid):
    rule = "global-chance"

    def begin(self, seed):
        np.random.seed(seed)  # noqa: NPY002
        super().begin(seed)


class UnseededStart(SoundGrid):
    rule = "seed-ignored"

    def chance(self):
        self.own = getattr(self, "own", None) or np.random.default_rng()
        return self.own


class HighBits(SoundGrid):
    rule = "seed-aliased"

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else seed // 2, options=options)


class Thousand(SoundGrid):
    rule = "seed-aliased"

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else seed % 1000, options=options)


class SeedByDefault(SoundGrid):
    rule = "unseeded-repeats"

    def reset(self, *, seed=7, options=None):
        if seed is None:
            seed = None if self._np_random is not None else 7
        return super().reset(seed=seed, options=options)


class ResetsItselfAtOneStart(ResetsItself):
    """The start is always the same, so the last observation alone does not give it away."""

    def place(self, chance):
        self.agent, self.coin, self.goal = np.array([1, 1]), np.array([2, 3]), np.array([4, 4])


class DeclaredLimit(SoundGrid):
    """The time left is shown, but the registered limit ends the episode as termination."""

    rule = "limit-as-termination"

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.spec = gymnasium.envs.registration.EnvSpec("Checked/DeclaredLimit-v0", max_episode_steps=LIMIT)

    def compass(self):
        return np.full(2, self.clock / LIMIT, np.float32)

    def flags(self):
        return self.at_goal() or self.clock >= LIMIT, False


class FloatFrames(SoundGrid):
    rule = "render"

    def canvas(self):
        return super().canvas() / 255


class SilentText(SoundGrid):
    rule = "render"

    def render(self):
        return super().render() if self.render_mode == "rgb_array" else None


class SharedCanvas(SoundGrid):
    rule = "render-shared"

    def canvas(self):
        self.sheet = getattr(self, "sheet", np.zeros((8 * SIZE, 8 * SIZE, 3), np.uint8))
        self.sheet[:] = super().canvas()
        return self.sheet


class ClosesOnce(SoundGrid):
    rule = "close"

    def close(self):
        del self.clock


class ChangesAction(SoundGrid):
    rule = "action-changed"

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.action_space = spaces.MultiDiscrete([4])

    def step(self, action):
        action += 1
        action %= 4
        return super().step(int(action[0]))

    def accepts(self, action):
        return True


class SpacesOfTheClass(SoundGrid):
    rule = "shared-spaces"
    shared = spaces.Discrete(4)

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.action_space = self.shared


class NeverRefuses(SoundGrid):
    rule = "pays-after-end"

    def step(self, action):
        if self.is_running or not hasattr(self, "was_reset"):
            return super().step(action)
        return self.observation(), 1.0, True, False, self.info()

    def begin(self, seed):
        self.was_reset = True
        super().begin(seed)


class StartsByItself(SoundGrid):
    rule = "step-before-reset"

    def step(self, action):
        if not hasattr(self, "clock"):
            self.begin(None)
        return super().step(action)


class AnyAction(SoundGrid):
    rule = "invalid-action"

    def step(self, action):
        return super().step(action % 4)


class NoModes(SoundGrid):
    rule = "metadata"
    metadata: dict[str, Any] = {}


FAULTY = [value for value in list(vars().values()) if isinstance(value, type) and issubclass(value, SoundGrid)
          and value.__module__ == __name__]  # fmt: skip


class FixedStart(SoundGrid):
    """No chance at all: every seed and every reset give the same."""

    def place(self, chance):
        self.agent, self.coin, self.goal = np.array([1, 1]), np.array([2, 3]), np.array([4, 4])

    def slips(self):
        return False


class RareChance(SoundGrid):
    """Only one reset in twenty differs from the others."""

    def place(self, chance):
        self.agent, self.goal = np.array([1, 1]), np.array([4, 4])
        self.coin = np.array([2, 3 if chance.random() < 0.95 else 2])

    def slips(self):
        return False


class Home(SoundGrid):
    """The episode ends where it began, after the coin; nothing shows whether the coin was taken."""

    def place(self, chance):
        self.agent, self.coin, self.goal = np.array([1, 1]), np.array([2, 1]), np.array([1, 1])

    def at_goal(self):
        return self.has_coin and super().at_goal()


class VisibleClock(SoundGrid):
    """A task of 60 steps, which are shown: its end is a termination."""

    def compass(self):
        return np.full(2, self.clock / LIMIT, np.float32)

    def flags(self):
        return self.at_goal() or self.clock >= LIMIT, False


class Bandit(gymnasium.Env):
    """One step, four arms, nothing to see."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self):
        self.observation_space, self.action_space = spaces.Discrete(1), spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.is_running = True
        return 0, {}

    def step(self, action):
        if not (getattr(self, "is_running", False) and self.action_space.contains(action)):
            raise ValueError("reset first, and choose an arm")
        self.is_running = False
        return 0, float(self.np_random.normal(action)), True, False, {}


SOUND = [FixedStart, RareChance, Home, VisibleClock, Bandit]
