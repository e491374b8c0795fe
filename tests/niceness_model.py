"""The plainest reading of the definitions: every policy written out as a tree, every course of noise played through.

Nothing of the solvers is used: a case is read only through its tables.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from envs.niceness.drmdp import DRMDP

History = tuple[Any, ...]
Tree = dict[History, int]


class Episode(NamedTuple):
    probability: Fraction
    real: list[tuple[int, int]]
    twin: list[tuple[int, int]]
    moves: list[tuple[int, int]]


def step(case: DRMDP, place: tuple[int, int], move: tuple[int, int]) -> tuple[int, int]:
    return int(case.next_state[(*place, *move)]), int(case.next_theta[(*place, *move)])


def outcomes(case: DRMDP) -> list[tuple[int, Fraction]]:
    return [(o, p) for o, p in enumerate(case.probability[0, 0, 0]) if p]


def trees(case: DRMDP, *, coupled: bool, history: History | None = None) -> Iterator[Tree]:
    """All deterministic policies that remember what they saw: (s, θ) of each step, and the twin's too where coupled."""
    start = (case.start, case.start) if coupled else (case.start,)
    seen = history or (start,)
    if len(seen) > case.horizon:
        yield {}
        return
    for action in range(len(case.actions)):
        reached = set()
        for outcome, _ in outcomes(case):
            after = [step(case, seen[-1][0], (action, outcome))]
            if coupled:
                after.append(step(case, seen[-1][1], (case.noop, outcome)))
            reached.add((*seen, tuple(after)))
        for below in itertools.product(*(list(trees(case, coupled=coupled, history=h)) for h in sorted(reached))):
            yield {seen: action, **{h: a for tree in below for h, a in tree.items()}}


def episodes(case: DRMDP, tree: Tree, *, coupled: bool) -> Iterator[Episode]:
    for noise in itertools.product(outcomes(case), repeat=case.horizon):
        probability = Fraction(1)
        real, twin, moves = [case.start], [case.start], []
        history = ((case.start, case.start) if coupled else (case.start,),)
        for outcome, chance in noise:
            probability *= chance
            moves.append((tree[history], outcome))
            real.append(step(case, real[-1], moves[-1]))
            twin.append(step(case, twin[-1], (case.noop, outcome)))
            history = (*history, (real[-1], twin[-1]) if coupled else (real[-1],))
        yield Episode(probability, real, twin, moves)


def inert_tree(case: DRMDP) -> Tree:
    return defaultdict(lambda: case.noop)


Judge = Callable[[Episode, int], int]
JUDGES: dict[str, Judge] = {
    "RT": lambda episode, t: episode.real[t][1],
    "FR": lambda episode, t: episode.real[-1][1],
    "IR": lambda episode, t: episode.real[0][1],
    "NS": lambda episode, t: episode.twin[t][1],
}


def judged(case: DRMDP, episode: Episode, judge: Judge) -> Fraction:
    steps = range(case.horizon)
    return sum((case.reward[judge(episode, t), *episode.real[t], *episode.moves[t]] for t in steps), Fraction(0))


def value(case: DRMDP, tree: Tree, *, name: str, coupled: bool) -> Fraction:
    played = list(episodes(case, tree, coupled=coupled))
    if name == "NS_lit":
        natural = marginals(case, inert_tree(case), coupled=coupled)
        return sum(
            e.probability * natural[t][k] * case.reward[k, *e.real[t], *e.moves[t]]
            for e in played for t in range(case.horizon) for k in range(len(case.thetas))
        )  # fmt: skip
    judge = JUDGES[name] if name in JUDGES else lambda episode, t: case.thetas.index(name[3:])
    return sum((e.probability * judged(case, e, judge) for e in played), Fraction(0))


def marginals(case: DRMDP, tree: Tree, *, coupled: bool) -> list[list[Fraction]]:
    law = [[Fraction(0)] * len(case.thetas) for _ in range(case.horizon + 1)]
    for episode in episodes(case, tree, coupled=coupled):
        for t, (_, theta) in enumerate(episode.real):
            law[t][theta] += episode.probability
    return law


def paths(case: DRMDP, tree: Tree, *, with_last: bool = True) -> dict[tuple[int, ...], Fraction]:
    law: dict[tuple[int, ...], Fraction] = defaultdict(Fraction)
    for episode in episodes(case, tree, coupled=False):
        path = tuple(theta for _, theta in episode.real)
        law[path if with_last else path[:-1]] += episode.probability
    return dict(law)


def indices(case: DRMDP, tree: Tree, *, coupled: bool) -> tuple[Fraction, Fraction, Fraction]:
    """MI, LI and the expected number of changes."""
    acted, natural = (marginals(case, one, coupled=coupled)[1:] for one in (tree, inert_tree(case)))
    mi = sum(sum(abs(p - q) for p, q in zip(a, n, strict=True)) / 2 for a, n in zip(acted, natural, strict=True))
    first = case.start[1]
    li = sum(max(a[first] - n[first], Fraction(0)) for a, n in zip(acted, natural, strict=True))
    changes = sum(
        e.probability * sum(a[1] != b[1] for a, b in itertools.pairwise(e.real))
        for e in episodes(case, tree, coupled=coupled)
    )
    return mi / case.horizon, li / case.horizon, Fraction(changes)


def random_case(rng: np.random.Generator, *, horizon: int = 2, actions: int = 2) -> DRMDP:
    """Two states, two θ, one channel, small rewards with ties, and a start anywhere."""
    chance = Fraction(int(rng.integers(0, 5)), 4)
    shape = (2, 2, actions, 2)
    return DRMDP(
        name="random", states=("s", "u"), thetas=("x", "y"), actions=tuple("abc"[:actions]), noop=0,
        start=(int(rng.integers(2)), int(rng.integers(2))), horizon=horizon, channels=((1 - chance, chance),),
        probability=np.broadcast_to(np.array([1 - chance, chance]), shape).copy(),
        next_state=rng.integers(2, size=shape), next_theta=rng.integers(2, size=shape),
        # An observed history tells the reward only where it is a function of (θ̂, s, θ, a, s').
        reward=_of_what_is_seen(rng, (2, *shape)), welfare=np.full(shape, Fraction(0)),
    )  # fmt: skip


def _of_what_is_seen(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    worth = rng.integers(-2, 3, size=shape[:-1])
    table = np.empty(shape, dtype=object)
    for place in np.ndindex(*shape):
        table[place] = Fraction(int(worth[place[:-1]]))
    return table
