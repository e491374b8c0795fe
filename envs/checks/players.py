"""A player calls an env, looks at everything that it returns, and keeps what was returned as text."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import gymnasium
import numpy as np

from envs.checks.actions import Plan
from envs.checks.moments import Moment, observation_key, place
from envs.checks.report import Findings
from envs.checks.rules import (
    ACTION_CHANGED,
    CLOSE,
    FLAG_TYPE,
    INFO_TYPE,
    NOT_FINITE,
    OBSERVATION_SHARED,
    RAISES,
    RESULT_SHAPE,
    REWARD_TYPE,
    SPACES,
    Rule,
)
from envs.checks.values import Facts, difference, facts_of, fault_in

Env = gymnasium.Env[Any, Any]
Make = Callable[..., Env]
_KEPT = 4
"""Steps after which what was returned is looked at again: envs may write into two or three buffers in turn."""
_WALL_CLOCK = "info['episode']['t']"
"""Gymnasium's RecordEpisodeStatistics puts seconds there, which differ between equal episodes."""


class Broken(Exception):
    """The env cannot be played on; the reason is among the findings."""


class OutOfTime(Exception):
    """The check has used up its time."""


@dataclass
class Clock:
    """Counts steps and episodes, and stops a check that takes too long."""

    seconds: float
    num_steps: int = 0
    num_episodes: int = 0
    started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise OutOfTime when the seconds are used up."""
        if time.monotonic() - self.started > self.seconds:
            raise OutOfTime


class Player:
    """One env, and the place in its episode; use as a context manager, which closes the env."""

    def __init__(self, env: Env, *, findings: Findings, clock: Clock, scribbles: bool = False) -> None:
        """Take an env.

        Args:
            env: Fresh.
            findings: Where faults go.
            clock: Counts and limits.
            scribbles: Overwrite every observation after looking at it, as a caller may.
        """
        self.env, self.episode, self.step_index = env, 0, 0
        self._findings, self._clock, self._scribbles = findings, clock, scribbles
        self._kept: deque[tuple[Any, Any, Facts, str]] = deque()
        declared = {name: getattr(env, name, None) for name in ("observation_space", "action_space")}
        copies = {name: copy.deepcopy(space) for name, space in declared.items()}
        # A space of somebody's own may compare by identity, so that its copy tells nothing.
        self._spaces = {name: space for name, space in copies.items() if space == declared[name]}

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self._look_at_spaces()
        self.close()

    def close(self) -> None:
        """Close the env."""
        try:
            self.env.close()
        # A foreign env may fail in any way; here and below that is a finding.
        except Exception as error:
            self._findings.add(CLOSE, "close raised an error", seen=_named(error))

    def reset(self, *, seed: int | None = None) -> Moment:
        """Begin an episode."""
        self.episode, self.step_index = self.episode + 1, 0
        self._clock.num_episodes += 1
        result = self._call("reset", lambda: self.env.reset(seed=seed))
        self._look_at_spaces()
        if not isinstance(result, tuple) or len(result) != 2:
            self._break(RESULT_SHAPE, "reset did not return (observation, info)", result)
        observation, info = result
        facts = self._look(observation, info)
        return Moment(self.episode, 0, facts, observation_key(facts))

    def step(self, action: Any) -> Moment:
        """Take an action."""
        self.step_index += 1
        self._clock.num_steps += 1
        given, before = copy.deepcopy(action), facts_of(action, "action")
        result = self._call("step", lambda: self.env.step(given))
        if not isinstance(result, tuple) or len(result) != 5:
            self._break(RESULT_SHAPE, "step did not return (observation, reward, terminated, truncated, info)", result)
        observation, reward, terminated, truncated, info = result
        if facts_of(given, "action") != before:
            self._findings.add(ACTION_CHANGED, "step changed the action given to it", seen=given, where=self.where)
        facts = self._look(observation, info)
        for name, value in (("reward", reward), ("terminated", terminated), ("truncated", truncated)):
            facts |= facts_of(value, name)
        paid, flags = self._reward(reward), [self._flag(terminated, "terminated"), self._flag(truncated, "truncated")]
        return Moment(self.episode, self.step_index, facts, observation_key(facts), paid, *flags)

    def turns(self, plan: Plan, *, seed: int, cut: int) -> Iterator[Moment]:
        """Reset with a seed and follow a plan, with unseeded resets at ends and after `cut` steps of an episode."""
        moment = self.reset(seed=seed)
        yield moment
        for action in plan:
            if moment.ended or self.step_index >= cut:
                yield self.reset()
            moment = self.step(action)
            yield moment

    def play(self, plan: Plan, *, seed: int, cut: int) -> list[Moment]:
        """All turns."""
        return list(self.turns(plan, seed=seed, cut=cut))

    def play_episode(self, plan: Plan, *, seed: int | None) -> list[Moment]:
        """Reset and follow a plan up to the end of the episode."""
        moments = [self.reset(seed=seed)]
        for action in plan:
            if moments[-1].ended:
                break
            moments.append(self.step(action))
        return moments

    @property
    def where(self) -> str:
        """The place in words."""
        return place(self.episode, self.step_index)

    def _call(self, name: str, call: Callable[[], Any]) -> Any:
        self._clock.check()
        try:
            return call()
        except Exception as error:
            misses_argument = name == "reset" and isinstance(error, TypeError) and "argument" in str(error)
            self._break(RESULT_SHAPE if misses_argument else RAISES, f"{name} raised an error", _named(error))

    def _break(self, rule: Rule, what: str, seen: object) -> NoReturn:
        self._findings.add(rule, what, seen=seen, where=self.where)
        raise Broken

    def _look(self, observation: Any, info: Any) -> Facts:
        """Check observation and info, and return them as facts."""
        fault = fault_in(observation, self.env.observation_space, "observation")
        if fault:
            self._findings.add(fault[0], fault[1], seen=fault[2], where=self.where)
        if not isinstance(info, dict):
            self._findings.add(INFO_TYPE, "info is no dict", seen=info, where=self.where)
        facts = _shown(observation, info)
        if self._scribbles:
            _overwrite(observation)
        else:
            self._look_again()
            self._kept.append((observation, info, facts, self.where))
        return dict(facts)

    def _look_at_spaces(self) -> None:
        for name, space in self._spaces.items():
            now = getattr(self.env, name, None)
            if now != space:
                self._findings.add(SPACES, f"{name} was {space} and changed", seen=now, where=self.where)

    def _look_again(self) -> None:
        """Whether what was returned some steps ago is still what it was."""
        if len(self._kept) < _KEPT:
            return
        observation, info, facts, where = self._kept.popleft()
        changed = difference(facts, _shown(observation, info))
        if changed:
            what = f"what was returned in {where} had changed {_KEPT} calls later"
            self._findings.add(OBSERVATION_SHARED, what, seen=changed, where=self.where)

    def _reward(self, reward: Any) -> float:
        is_number = isinstance(reward, int | float | np.integer | np.floating) and not isinstance(reward, bool)
        if not is_number:
            self._findings.add(REWARD_TYPE, f"the reward is a {type(reward).__name__}", seen=reward, where=self.where)
            return float("nan")
        if not np.isfinite(reward):
            self._findings.add(NOT_FINITE, "the reward is not finite", seen=reward, where=self.where)
        return float(reward)

    def _flag(self, flag: Any, name: str) -> bool:
        if not isinstance(flag, bool | np.bool_):
            self._findings.add(FLAG_TYPE, f"{name} is a {type(flag).__name__}", seen=flag, where=self.where)
        return bool(np.any(flag))


def generator_states(env: Env) -> dict[str, Any]:
    """States of the generators that the innermost env keeps as attributes, by name."""
    return {name: copy.deepcopy(one.bit_generator.state) for name, one in _generators(env).items()}


def _generators(env: Env) -> dict[str, np.random.Generator]:
    attributes = getattr(env.unwrapped, "__dict__", {})
    return {name: value for name, value in attributes.items() if isinstance(value, np.random.Generator)}


def set_generators(env: Env, states: Mapping[str, Any], *, num_draws: int = 0) -> None:
    """Put the env's generators into the given states, by name, and let each draw some numbers."""
    for name, generator in _generators(env).items():
        if name in states:
            generator.bit_generator.state = copy.deepcopy(states[name])
            generator.random(num_draws)


def _shown(observation: Any, info: Any) -> Facts:
    facts = facts_of(observation, "observation") | facts_of(info, "info")
    facts.pop(_WALL_CLOCK, None)
    return facts


def _overwrite(value: Any) -> None:
    """Fill the arrays of an observation with other numbers, where they can be written."""
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            _overwrite(item)
    elif isinstance(value, np.ndarray) and value.flags.writeable and value.size:
        value.fill(np.zeros((), value.dtype)[()] if np.any(value) else np.ones((), value.dtype)[()])


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
