"""Seeds: whether they decide anything, whether two of them give the same or shifted episodes, and what happens without.

A stream is the list of episodes that follow one seeded reset, each played with the same short plan.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

from envs.checks.moments import Moment
from envs.checks.rules import SEED_ALIASED, SEED_IGNORED, UNSEEDED_REPEATS
from envs.checks.subject import Subject, global_chance

_SHORT, _LONG = 12, 64
_STEPS = 8
_OFFSETS = (1, 2, 10, 10**6, 2**8, 2**16, 2**24, 2**30)
_OTHERS = 7
_LAGS = (1, 2, 3)
_MOST_CANDIDATES = 6
Stream = tuple[str, ...]


def check_seeds(subject: Subject) -> None:
    """Streams of neighbouring, far and unrelated seeds against each other."""
    base, *others = subject.seeds("seeds", 1 + _OTHERS)
    seeds = [base, *(base + offset for offset in _OFFSETS), *others]
    streams = {seed: stream(subject, seed, _SHORT) for seed in dict.fromkeys(seeds)}
    if len(set(streams.values())) == 1:
        _check_ignored(subject, base, len(seeds))
        return
    _check_unseeded(subject, streams)
    _check_aliases(subject, streams)


def stream(subject: Subject, seed: int | None, num_episodes: int, *, num_resets: int = 0, chance: int = 0) -> Stream:
    """Episodes of a fresh instance.

    Args:
        subject: The env.
        seed: Given to the first reset.
        num_episodes: Episodes to play.
        num_resets: Resets before them, without a step.
        chance: Seed of the global generators.

    Returns:
        One short text for each episode; info has no part in it.
    """
    with global_chance(chance), subject.player() as player:
        plan = subject.planner("seeds", player.env).mixed(_STEPS)
        seeds = itertools.chain([seed], itertools.repeat(None))
        for _ in range(num_resets):
            player.reset(seed=next(seeds))
        return tuple(_told(player.play_episode(plan, seed=next(seeds))) for _ in range(num_episodes))


def _told(moments: Sequence[Moment]) -> str:
    return "; ".join(f"{one.observation} {one.reward} {one.terminated} {one.truncated}" for one in moments)


def modal_share(items: Sequence[str]) -> float:
    """Share of the most frequent item, in (0, 1]."""
    return Counter(items).most_common(1)[0][1] / len(items)


def _check_ignored(subject: Subject, seed: int, num_seeds: int) -> None:
    """All seeds are alike: then episodes must be so after any number of resets, or chance does not heed the seed."""
    episodes = [stream(subject, seed, 1, num_resets=count)[0] for count in range(1, _SHORT + 1)]
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
    elif len({stream(subject, None, 1, chance=number) for number in range(_SHORT)}) == 1:
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
