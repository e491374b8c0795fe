"""What is checked: how to make the env, and plays of it that several rules read."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from envs.checks.actions import Plan, Planner
from envs.checks.moments import Moment
from envs.checks.players import Broken, Clock, Env, Make, Player
from envs.checks.report import Findings
from envs.checks.rules import GLOBAL_CHANCE, RAISES

_LONGEST_EPISODE = 1000
_MOST_EPISODES = 400
_LONGEST_PLAY = 400
CUT = 50


@dataclass(frozen=True)
class Episode:
    """An episode of the survey: its seed, the actions taken, and what came of it."""

    seed: int
    actions: Plan
    moments: list[Moment]

    @property
    def last(self) -> Moment:
        """The last moment."""
        return self.moments[-1]


@dataclass
class Subject:
    """The env under check.

    Attributes:
        make: Makes a fresh instance.
        seed: Decides all seeds and plans of the check.
        num_steps: Steps of the survey; the other plays follow from it.
        findings: What was found so far.
        clock: Counts and limits.
        episodes: The survey.
    """

    make: Make
    seed: int
    num_steps: int
    findings: Findings
    clock: Clock
    episodes: list[Episode] = field(default_factory=list)

    def fresh(self, **options: Any) -> Env:
        """A fresh instance; raises Broken where it cannot be made."""
        self.clock.check()
        try:
            return self.make(**options)
        # What a foreign env raises is a finding.
        except Exception as error:
            self.findings.add(RAISES, "the env cannot be made", seen=f"{type(error).__name__}: {error}")
            raise Broken from error

    def player(self, *, scribbles: bool = False, **options: Any) -> Player:
        """A player of a fresh instance."""
        env = self.fresh(**options)
        return Player(env, findings=self.findings, clock=self.clock, scribbles=scribbles)

    @property
    def spec(self) -> EnvSpec | None:
        """The env's registration, None where it was made by hand."""
        env = self.fresh()
        spec: EnvSpec | None = getattr(env, "spec", None)
        env.close()
        return spec

    def seeds(self, count: int, *, stream: int) -> list[int]:
        """Seeds below 2**30, apart for each stream."""
        entropy = np.random.SeedSequence([self.seed, stream])
        return [int(word) % 2**30 for word in entropy.generate_state(count)]

    def planner(self, env: Env, *, stream: int) -> Planner:
        """A planner of the env's actions."""
        return Planner(env.action_space, self.seeds(1, stream=1000 + stream)[0])

    def solo(self, number: int, *, scribbles: bool = False, chance: int = 0) -> list[Moment]:
        """Play number `number` in a fresh instance, which nothing else uses meanwhile.

        Args:
            number: Decides seed and plan.
            scribbles: Overwrite what was returned.
            chance: Seed of the global generators.
        """
        with global_chance(chance), self.player(scribbles=scribbles) as player:
            before = _chance_state()
            moments = player.play(self.plan(player, number), seed=self.play_seed(number), cut=CUT)
            if _chance_state() != before:
                self.findings.add(GLOBAL_CHANCE, "the env draws from a global generator, or seeds it")
        return moments

    def plan(self, player: Player, number: int) -> Plan:
        """The plan of play `number`."""
        length = max(20, min(_LONGEST_PLAY, self.num_steps // 20))
        return self.planner(player.env, stream=number).mixed(length)

    def play_seed(self, number: int) -> int:
        """The seed of play `number`."""
        return self.seeds(1, stream=number)[0]

    def survey(self, tell: Callable[[float], None]) -> None:
        """Play many episodes, long ones among them, each from a seed of its own, in one instance."""
        seeds = self.seeds(_MOST_EPISODES, stream=1)
        longest = max(50, min(_LONGEST_EPISODE, self.num_steps // 12))
        with global_chance(0), self.player() as player:
            plans = self.planner(player.env, stream=1).survey(longest)
            left = self.num_steps
            for seed, plan in zip(seeds, plans, strict=False):
                moments = player.play_episode(plan[:left], seed=seed)
                self.episodes.append(Episode(seed, plan[: len(moments) - 1], moments))
                left -= len(moments) - 1
                tell(1 - left / self.num_steps)
                if left <= 0:
                    return


@contextlib.contextmanager
def global_chance(number: int) -> Iterator[None]:
    """Seed Python's and NumPy's global generators for the time of the block, and put them back after it."""
    # The legacy generator is what envs misuse, so it has to be handled here.
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


def _chance_state() -> tuple[Any, ...]:
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    return random.getstate(), repr(numpy_state["state"]["pos"]), numpy_state["state"]["key"].tobytes()


def maker(env: str | Make) -> tuple[str, Make]:
    """Name and factory of an env, given by its id or by a factory."""
    if not isinstance(env, str):
        return getattr(env, "__name__", type(env).__name__), env
    return env, lambda **options: gymnasium.make(env, disable_env_checker=True, **options)
