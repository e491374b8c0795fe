"""What is checked: how to make the env, and plays of it that several rules read."""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Callable, Iterator, Mapping
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
        imports: Modules that register the env, which another process must import as well.
        episodes: The survey.
    """

    make: Make
    seed: int
    num_steps: int
    findings: Findings
    clock: Clock
    imports: tuple[str, ...] = ()
    episodes: list[Episode] = field(default_factory=list)

    def player(self, *, scribbles: bool = False) -> Player:
        """A player of a fresh instance; raises Broken where none can be made."""
        self.clock.check()
        try:
            env = self.make()
        # What a foreign env raises is a finding.
        except Exception as error:
            self.findings.add(RAISES, "the env cannot be made", seen=f"{type(error).__name__}: {error}")
            raise Broken from error
        return Player(env, findings=self.findings, clock=self.clock, scribbles=scribbles)

    @property
    def spec(self) -> EnvSpec | None:
        """The env's registration, None where it was made by hand."""
        with self.player() as player:
            return player.env.spec

    def seeds(self, stream: str, count: int) -> list[int]:
        """Seeds below 2**30, apart for each stream."""
        entropy = np.random.SeedSequence([self.seed, *stream.encode()])
        return [int(word) % 2**30 for word in entropy.generate_state(count)]

    def planner(self, stream: str, env: Env) -> Planner:
        """A planner of the env's actions, another one for each stream."""
        return Planner(env.action_space, self.seeds(f"actions of {stream}", 1)[0])

    def solo(self, number: int, *, scribbles: bool = False, chance: int = 0) -> list[Moment]:
        """Play number `number` in a fresh instance, which nothing else uses meanwhile.

        Args:
            number: Decides seed and plan.
            scribbles: Overwrite what was returned.
            chance: Seed of the global generators.
        """
        with global_chance(chance):
            before = _chance_state()
            with self.player(scribbles=scribbles) as player:
                moments = player.play(self.plan(player, number), seed=self.play_seed(number), cut=CUT)
            if _chance_state() != before:
                self.findings.add(GLOBAL_CHANCE, "the env draws from a global generator, or seeds it")
        return moments

    def plan(self, player: Player, number: int) -> Plan:
        """The plan of play `number`."""
        length = max(20, min(_LONGEST_PLAY, self.num_steps // 20))
        return self.planner(f"play {number}", player.env).mixed(length)

    def play_seed(self, number: int) -> int:
        """The seed of play `number`."""
        return self.seeds(f"play {number}", 1)[0]

    def survey(self, tell: Callable[[float], None]) -> None:
        """Play many episodes, long ones among them, each from a seed of its own, in one instance."""
        seeds = self.seeds("survey", _MOST_EPISODES)
        longest = max(50, min(_LONGEST_EPISODE, self.num_steps // 12))
        with global_chance(0), self.player() as player:
            plans = self.planner("survey", player.env).survey(longest)
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
    words = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return random.getstate(), words["key"].tobytes(), words["pos"]


def maker(env: str | Make, options: Mapping[str, Any]) -> tuple[str, Make]:
    """Name and factory of an env, given by its id or by a factory, and its options."""
    if not isinstance(env, str):
        return getattr(env, "__name__", type(env).__name__), functools.partial(env, **options)
    return env, functools.partial(gymnasium.make, env, disable_env_checker=True, **options)
