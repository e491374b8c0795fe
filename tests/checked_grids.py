"""A sound little grid in plain Python, and mutants of it with a single fault each, for the tests of the checker.

Each mutant overrides what it breaks, and names the rule that should find it.
"""

from __future__ import annotations

import os
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

SIZE, LIMIT, SLIP = 5, 60, 0.1
MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])


class SoundGrid(gymnasium.Env):
    """Take the coin and come to the goal on 5 x 5 cells; one step in ten slips to the right."""

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}
    rule = ""

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Dict(
            planes=spaces.Box(0, 1, (3, SIZE, SIZE), np.uint8), compass=spaces.Box(-1.0, 1.0, (2,), np.float32)
        )
        self.action_space = spaces.Discrete(4)
        self.render_mode = render_mode
        self.is_running = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        super().reset(seed=seed)
        self.begin(seed)
        return self.observation(), self.info()

    def begin(self, seed: int | None) -> None:
        self.place(self.chance())
        self.clock, self.has_coin, self.is_running = 0, False, True

    def place(self, chance: np.random.Generator) -> None:
        cells = [np.array(divmod(int(cell), SIZE)) for cell in chance.choice(SIZE**2, 3, replace=False)]
        self.agent, self.coin, self.goal = cells

    def chance(self) -> np.random.Generator:
        return self.np_random

    def slips(self) -> bool:
        return bool(self.chance().random() < SLIP)

    def step(self, action: int) -> tuple[Any, Any, Any, Any, Any]:
        if not self.is_running:
            raise ResetNeeded("call reset first")
        if not self.accepts(action):
            raise ValueError(f"action {action} is not in {self.action_space}")
        self.clock += 1
        self.move((action + self.slips()) % 4)
        reward = self.earn()
        terminated, truncated = self.flags()
        self.is_running = not (terminated or truncated)
        return self.observation(), reward, terminated, truncated, self.info()

    def accepts(self, action: Any) -> bool:
        return bool(self.action_space.contains(action))

    def move(self, action: int) -> None:
        self.agent = np.clip(self.agent + MOVES[action], 0, SIZE - 1)

    def earn(self) -> Any:
        finds = not self.has_coin and (self.agent == self.coin).all()
        self.has_coin = bool(self.has_coin or finds)
        return float(self.at_goal()) + 0.5 * float(finds) - 0.01

    def at_goal(self) -> bool:
        return bool((self.agent == self.goal).all())

    def flags(self) -> tuple[Any, Any]:
        return self.at_goal(), self.clock >= LIMIT and not self.at_goal()

    def observation(self) -> Any:
        return {"planes": self.planes(), "compass": self.compass()}

    def planes(self) -> np.ndarray:
        planes = np.zeros((3, SIZE, SIZE), np.uint8)
        planes[0][tuple(self.agent)] = 1
        planes[1][tuple(self.coin)] = not self.has_coin
        planes[2][tuple(self.goal)] = 1
        return planes

    def compass(self) -> np.ndarray:
        way = (self.goal - self.agent).astype(np.float32)
        return way / max(np.linalg.norm(way), np.float32(1))

    def info(self) -> Any:
        return {"has_coin": self.has_coin}

    def render(self) -> Any:
        if self.render_mode == "ansi":
            return "\n".join("".join(".ACG"[cell] for cell in row) for row in self.drawn())
        return self.canvas() if self.render_mode == "rgb_array" else None

    def drawn(self) -> np.ndarray:
        return (self.planes() * np.array([1, 2, 3], np.uint8)[:, None, None]).max(axis=0)

    def canvas(self) -> Any:
        return np.repeat(self.drawn()[:, :, None] * np.uint8(80), 3, axis=2).repeat(8, 0).repeat(8, 1)


class UnseededSlips(SoundGrid):
    """Slips come from a generator that nobody seeds."""

    rule = "nondeterminism"

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.own = np.random.default_rng()

    def slips(self):
        return bool(self.own.random() < SLIP)


class ClockSlips(SoundGrid):
    """Slips end a day after the module was imported."""

    rule = "nondeterminism"
    imported = time.time()

    def slips(self):
        return super().slips() and time.time() < self.imported + 86_400


class GlobalSlips(SoundGrid):
    """Slips come from NumPy's global generator."""

    rule = "global-chance"

    def slips(self):
        return bool(np.random.random() < SLIP)  # noqa: NPY002


class HashOrder(SoundGrid):
    """Which object is where follows from the order of a set of strings."""

    rule = "other-process"

    def place(self, chance):
        super().place(chance)
        first, *_, last = {f"cell {n}" for n in range(SIZE**2)}
        self.coin, self.goal = (np.array(divmod(int(name.split()[1]), SIZE)) for name in (first, last))


class KeptCoin(SoundGrid):
    """The coin that was taken in one episode is held in the next."""

    rule = "leftover-state"

    def begin(self, seed):
        held = getattr(self, "has_coin", False)
        super().begin(seed)
        self.has_coin = held


class KeptCoinUnseeded(SoundGrid):
    """The same, where reset is not given a seed."""

    rule = "leftover-state"

    def begin(self, seed):
        held = getattr(self, "has_coin", False)
        super().begin(seed)
        self.has_coin = held and seed is None


class FixedSeed(SoundGrid):
    """Whatever the seed, chance begins with 0."""

    rule = "seed-ignored"

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.own = np.random.default_rng(0)

    def chance(self):
        return self.own


class LowBits(SoundGrid):
    """Only the low byte of the seed counts."""

    rule = "seed-aliased"

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else seed % 256, options=options)


class ShiftedSeeds(SoundGrid):
    """Episode e of seed s is drawn from s + e."""

    rule = "seed-aliased"

    def begin(self, seed):
        if seed is not None or not hasattr(self, "next_seed"):
            self.next_seed = int(self.np_random_seed if seed is None else seed)
        self.own = np.random.default_rng(self.next_seed)
        self.next_seed += 1
        super().begin(seed)

    def chance(self):
        return self.own


class SameEpisode(SoundGrid):
    """A reset without a seed begins again with the last one."""

    rule = "unseeded-repeats"

    def reset(self, *, seed=None, options=None):
        self.last_seed = getattr(self, "last_seed", seed) if seed is None else seed
        return super().reset(seed=self.last_seed, options=options)


class LateRange(SoundGrid):
    """A counter runs over its bound near the end of a long episode."""

    rule = "observation-range"

    def compass(self):
        return super().compass() if self.clock < 55 else np.full(2, self.clock / 50, np.float32)


class WrongDtype(SoundGrid):
    """The compass is declared as float32 and returned as float64."""

    rule = "observation-type"

    def compass(self):
        return super().compass().astype(np.float64)


class NanAtGoal(SoundGrid):
    """The direction to the goal is 0 / 0 at the goal."""

    rule = "not-finite"

    def compass(self):
        way = (self.goal - self.agent).astype(np.float32)
        with np.errstate(invalid="ignore"):
            return way / np.linalg.norm(way)


class InfiniteReward(SoundGrid):
    """The pay for the coin is divided by the distance to the goal of an agent that passes the coin late."""

    rule = "not-finite"

    def earn(self):
        reward = super().earn()
        return float("inf") if self.clock > 30 and reward > 0.4 else reward


class RewardArray(SoundGrid):
    """The reward is an array of one number."""

    rule = "reward-type"

    def earn(self):
        return np.array([super().earn()])


class NumberFlags(SoundGrid):
    """terminated is 0 or 1."""

    rule = "flag-type"

    def flags(self):
        terminated, truncated = super().flags()
        return int(terminated), truncated


class NoInfoAtEnd(SoundGrid):
    """info is None at the end of an episode."""

    rule = "info-type"

    def info(self):
        return super().info() if self.is_running else None


class LimitTerminates(SoundGrid):
    """The time limit is reported as termination."""

    rule = "limit-as-termination"

    def flags(self):
        terminated, truncated = super().flags()
        return terminated or truncated, False


class ResetsItself(SoundGrid):
    """The last observation of an episode is the first one of the next."""

    rule = "reset-observation-at-end"

    def step(self, action):
        _, reward, terminated, truncated, info = super().step(action)
        if terminated or truncated:
            self.begin(None)
        return self.observation(), reward, terminated, truncated, info


class ReusedBuffer(SoundGrid):
    """Every observation is the same array."""

    rule = "observation-shared"

    def planes(self):
        if not hasattr(self, "buffer"):
            self.buffer = np.zeros((3, SIZE, SIZE), np.uint8)
        self.buffer[:] = super().planes()
        return self.buffer


class SharedAgent(SoundGrid):
    """The agent's cell is kept on the class."""

    rule = "instances"
    cell = np.zeros(2, np.int64)

    @property
    def agent(self):
        return self.cell.copy()

    @agent.setter
    def agent(self, value):
        self.cell[:] = value


class DrawsWhileDrawing(SoundGrid):
    """Rendering draws from the env's generator, to shake the picture."""

    rule = "render-changes-state"

    def canvas(self):
        return np.roll(super().canvas(), self.np_random.integers(3), axis=0)


class NeedsDisplay(SoundGrid):
    """Rendering opens a window."""

    rule = "render"

    def canvas(self):
        if not os.environ.get("DISPLAY"):
            raise OSError("cannot connect to a display")
        return super().canvas()


MUTANTS = {mutant.__name__: mutant for mutant in SoundGrid.__subclasses__()}


def register() -> None:
    """Give the grid and each mutant an id, "Checked/NAME-v0"."""
    for name in ("SoundGrid", *MUTANTS):
        if f"Checked/{name}-v0" not in gymnasium.registry:
            gymnasium.register(f"Checked/{name}-v0", entry_point=f"{__name__}:{name}", order_enforce=False)
