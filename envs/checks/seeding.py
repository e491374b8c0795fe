"""Seeds: whether they decide anything, whether two of them give the same or shifted episodes, and what happens without.

A stream is the list of episodes that follow one seeded reset, each played with the same short plan.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

from envs.checks.rules import SEED_ALIASED, SEED_IGNORED, UNSEEDED_REPEATS
from envs.checks.subject import Subject, global_chance
from envs.checks.values import key_of

_SHORT, _LONG = 12, 64
_STEPS = 8
_OFFSETS = (1, 2, 10, 10**6, 2**8, 2**16, 2**24, 2**30)
_OTHERS = 7
_LAGS = (1, 2, 3)
_MOST_CANDIDATES = 6
Stream = tuple[str, ...]


def check_seeds(subject: Subject) -> None:
    """Streams of neighbouring, far and unrelated seeds against each other."""
    base, *others = subject.seeds(1 + _OTHERS, stream=40)
    seeds = [base, *(base + offset for offset in _OFFSETS), *others]
    streams = {seed: stream(subject, seed, _SHORT) for seed in dict.fromkeys(seeds)}
    if len(set(streams.values())) == 1:
        _check_ignored(subject, base, len(seeds))
        return
    _check_unseeded(subject, streams)
    _check_aliases(subject, streams)


def stream(subject: Subject, seed: int, num_episodes: int) -> Stream:
    """The first episodes after a seeded reset in a fresh instance, one short text for each."""
    with global_chance(0), subject.player() as player:
        plan = subject.planner(player.env, stream=40).mixed(_STEPS)
        return tuple(
            key_of({str(n): key_of(moment.facts) for n, moment in enumerate(moments)})
            for moments in (player.play_episode(plan, seed=None if n else seed) for n in range(num_episodes))
        )


def modal_share(items: Sequence[str]) -> float:
    """Share of the most frequent item, in (0, 1]."""
    return Counter(items).most_common(1)[0][1] / len(items)


def _check_ignored(subject: Subject, seed: int, num_seeds: int) -> None:
    """All seeds are alike: then episodes must be so after any number of resets, or chance does not heed the seed."""
    episodes = []
    for num_resets in range(_SHORT):
        with global_chance(0), subject.player() as player:
            player.reset(seed=seed)
            for _ in range(num_resets):
                player.reset()
            plan = subject.planner(player.env, stream=40).mixed(_STEPS)
            episodes.append(key_of({str(n): m.observation for n, m in enumerate(player.play_episode(plan, seed=None))}))
    if modal_share(episodes) <= 0.5:
        what = f"{num_seeds} seeds give the same {_SHORT} episodes, although resets without a seed differ"
        subject.findings.add(SEED_IGNORED, what, seen=f"seeds {seed} and {seed + 1}")


def _check_unseeded(subject: Subject, streams: dict[int, Stream]) -> None:
    """Episodes that repeat without a seed, although those of different seeds differ."""
    if modal_share([episodes[0] for episodes in streams.values()]) > 0.5:
        return
    if all(len(set(episodes)) == 1 for episodes in streams.values()):
        what = "every reset() without a seed repeats the episode, although seeds give different ones"
        subject.findings.add(UNSEEDED_REPEATS, what, seen=f"{_SHORT} equal episodes after seed {next(iter(streams))}")
        return
    firsts = []
    for number in range(_SHORT):
        with global_chance(number), subject.player() as player:
            plan = subject.planner(player.env, stream=40).mixed(_STEPS)
            firsts.append(key_of({str(n): m.observation for n, m in enumerate(player.play_episode(plan, seed=None))}))
    if len(set(firsts)) == 1:
        what = "the first reset() of every fresh instance gives the same episode, although seeds give different ones"
        subject.findings.add(UNSEEDED_REPEATS, what, seen=f"{_SHORT} equal episodes")


def _check_aliases(subject: Subject, streams: dict[int, Stream]) -> None:
    """Pairs of seeds whose streams overlap, confirmed on streams so long that chance cannot make them equal.

    Where at most three in four episodes of a stream are alike, two sound streams agree in n = 61 episodes with
    probability below 0.75**61, 2e-8.
    """
    pairs = itertools.permutations(streams, 2)
    candidates = ((a, b, lag) for a, b in pairs for lag in (0, *_LAGS) if _overlap(streams[a], streams[b], lag))
    for first, second, lag in itertools.islice(candidates, _MOST_CANDIDATES):
        long, other = (stream(subject, seed, _LONG) for seed in (first, second))
        if modal_share(long) <= 0.75 and _overlap(long, other, lag):
            how = "gives the same episodes as" if lag == 0 else f"begins with episode {lag + 1} of"
            what = f"seed {second} {how} seed {first}"
            subject.findings.add(SEED_ALIASED, what, seen=f"{_LONG - lag} equal episodes")
            return


def _overlap(first: Stream, second: Stream, lag: int) -> bool:
    """Whether the second stream begins where the first one is after `lag` episodes."""
    return first[lag:] == second[: len(second) - lag]
