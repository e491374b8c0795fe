"""The same seed and actions again: in another instance, after other episodes, beside another instance, and so on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from unittest import mock

from envs.checks.moments import Moment, parting
from envs.checks.players import generator_states, set_generators
from envs.checks.rules import (
    GLOBAL_CHANCE,
    INSTANCES,
    LEFTOVER_STATE,
    NONDETERMINISM,
    OBSERVATION_SHARED,
    SEED_IGNORED,
    Rule,
)
from envs.checks.subject import CUT, Subject, global_chance

_PLAYS = 2
_EPISODES = 12
_ANOTHER_DAY = 90_061
"""Seconds of a day, an hour, a minute and a second, so that each of them changes."""


def check_repeats(subject: Subject) -> None:
    """Two fresh instances, then one under other global generators, one on another day, one whose caller scribbles."""
    for number in range(_PLAYS):
        first = subject.solo(number)
        if _compare(subject, first, subject.solo(number), rule=NONDETERMINISM, words="with the same seed and actions"):
            return
        _compare(subject, first, subject.solo(number, chance=1), rule=GLOBAL_CHANCE, words="under another global seed")
        with _shifted_clock():
            _compare(subject, first, subject.solo(number), rule=NONDETERMINISM, words="at another time of the clock")
        scribbled = subject.solo(number, scribbles=True)
        _compare(subject, first, scribbled, rule=OBSERVATION_SHARED, words="when what was returned is overwritten")


def check_leftovers(subject: Subject) -> None:
    """A reset after other episodes against one in a fresh instance."""
    for number in range(_PLAYS):
        with global_chance(0), subject.player() as player:
            player.play(subject.plan(player, number + 10), seed=subject.play_seed(number + 10), cut=10 * CUT)
            words = f"after the {player.episode} episodes that another seed gave"
            again = player.play(subject.plan(player, number), seed=subject.play_seed(number), cut=CUT)
        _compare(subject, subject.solo(number), again, rule=LEFTOVER_STATE, words=words)
    for number in range(_EPISODES):
        _check_unseeded_reset(subject, number)


def _check_unseeded_reset(subject: Subject, number: int) -> None:
    """An unseeded reset after an episode against one after none, from equal states of the env's generators.

    A third instance shows whether these generators are all that a reset depends on; where they are not, nothing is
    concluded.
    """
    first_seed, other_seed = subject.seeds(f"leftovers {number}", 2)
    with subject.player() as player, subject.player() as idle, subject.player() as control, global_chance(0):
        planner = subject.planner(f"leftovers {number}", player.env)
        player.play_episode(planner.sticky(4 * CUT), seed=first_seed)
        idle.reset(seed=first_seed)
        control.reset(seed=other_seed)
        for one in (player, control):
            set_generators(one.env, generator_states(idle.env))
        plan = planner.sticky(CUT // 2)
        played, rested, checked = (one.play_episode(plan, seed=None) for one in (player, idle, control))
    if parting(rested, checked) is None:
        _compare(subject, rested, played, rule=LEFTOVER_STATE, words="in the reset without a seed after an episode")


def check_instances(subject: Subject) -> None:
    """Two instances step by step in turn, while a third is made and closed, against each alone."""
    with global_chance(0), subject.player() as first, subject.player() as second:
        turns = [
            player.turns(subject.plan(player, number), seed=subject.play_seed(number), cut=CUT)
            for number, player in enumerate((first, second))
        ]
        played: list[list[Moment]] = [[], []]
        for n, moments in enumerate(zip(*turns, strict=False)):
            for own, moment in zip(played, moments, strict=True):
                own.append(moment)
            if n == CUT // 2:
                with subject.player() as third:
                    third.play(subject.plan(third, 2)[:CUT], seed=subject.play_seed(2), cut=CUT)
    for number, own in enumerate(played):
        _compare(subject, subject.solo(number), own, rule=INSTANCES, words="when another instance is used in turn")


def _compare(subject: Subject, first: list[Moment], second: list[Moment], *, rule: Rule, words: str) -> bool:
    """Whether two plays differ; where they do, that is a finding."""
    parted = parting(first, second)
    if parted is None:
        return False
    moment, what = parted
    if rule is NONDETERMINISM and (moment.episode, moment.step) == (1, 0):
        rule = SEED_IGNORED
    subject.findings.add(rule, f"two plays differ {words}", seen=what, where=moment.where)
    return True


@contextlib.contextmanager
def _shifted_clock() -> Iterator[None]:
    """Let `time.time` and `time.time_ns` tell another day, for envs that look at the clock."""
    now, now_ns = time.time, time.time_ns
    with (
        mock.patch("time.time", lambda: now() + _ANOTHER_DAY),
        mock.patch("time.time_ns", lambda: now_ns() + _ANOTHER_DAY * 10**9),
    ):
        yield
