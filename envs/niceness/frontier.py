"""All that can be achieved from each node, for what no single number ranks.

An achievement is a key: a vector of expected sums, or the law of what θ will do with the best value under it. From the
end backwards, the keys of a node are those of each action joined with every choice of a key for each node that can
follow; a filter drops what cannot be part of anything wanted. This is exact over deterministic policies that remember
the past: a node may be left by different actions, as long as each was promised a different key.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from envs.errors import UserError
from envs.niceness.backward import Allowed, every_action, layers
from envs.niceness.policies import Policy
from envs.niceness.utilities import Memory, Move, Node, branches

Key = Hashable
# A node that can follow, the probability and index of each outcome that leads there, and the key promised there.
Part = tuple[Node, list[tuple[Fraction, int]], Any]
Way = tuple[int, dict[Node, Key]]
MAX_KEYS, MAX_CHOICES = 100_000, 100_000


class Goal:
    """What is looked for. The defaults keep everything."""

    def ending(self, node: Node) -> Key:
        """The key after the last step."""
        raise NotImplementedError

    def join(self, time: int, node: Node, chosen: tuple[int, Sequence[Part]]) -> Key | None:
        """The key of an action with the keys of what follows; None where it can be part of nothing wanted."""
        raise NotImplementedError

    def keep(self, keys: Collection[Any]) -> Collection[Any]:
        """The keys of one node that can be part of something wanted."""
        return keys


@dataclass(frozen=True)
class Both(Goal):
    """What is wanted, and beside it all that those who get it can do of something else. Keys are pairs."""

    wanted: Goal
    beside: Goal

    def ending(self, node: Node) -> Key:
        """Both endings."""
        return self.wanted.ending(node), self.beside.ending(node)

    def join(self, time: int, node: Node, chosen: tuple[int, Sequence[Part]]) -> Key | None:
        """Both keys, joined apart from each other."""
        action, parts = chosen
        first, second = ([(after, ways, key[i]) for after, ways, key in parts] for i in (0, 1))
        wanted = self.wanted.join(time, node, (action, first))
        return None if wanted is None else (wanted, self.beside.join(time, node, (action, second)))

    def keep(self, keys: Collection[Any]) -> Collection[Any]:
        """Those whose first key is kept."""
        kept = set(self.wanted.keep({key[0] for key in keys}))
        return [key for key in keys if key[0] in kept]


@dataclass(frozen=True, eq=False)
class Frontier:
    """Keys of each node, and the ways to each.

    Attributes:
        memory: What its policies look at.
        goal: What is looked for.
        ways: At each t = 0..H, for each node, for each key: the (action, key promised at each node that can follow).
    """

    memory: Memory
    goal: Goal
    ways: list[dict[Node, dict[Any, list[Way]]]] = field(repr=False)

    @property
    def keys(self) -> list[Any]:
        """What can be achieved from the start."""
        return list(self.ways[0][self.memory.start()])

    def optimal(self, keys: Collection[Any]) -> dict[tuple[int, Node], tuple[int, ...]]:
        """Actions at each node that are taken on the way to one of these keys of the start."""
        wanted = {(self.memory.start(), key) for key in keys}
        found: dict[tuple[int, Node], set[int]] = {}
        for time, layer in enumerate(self.ways[:-1]):
            following = set()
            for node, key in wanted:
                for action, promised in layer[node][key]:
                    found.setdefault((time, node), set()).add(action)
                    following |= set(promised.items())
            wanted = following
        return {place: tuple(sorted(actions)) for place, actions in found.items()}

    def policy(self, key: Any) -> Policy:
        """The first policy that achieves a key of the start."""
        return Policy(Promised(self, key), lambda time, node: {self.first(time, node)[0]: Fraction(1)})

    def first(self, time: int, node: Node) -> Way:
        """The first way to what a node of `Promised` was promised."""
        return self.ways[time][node[3]][node[4]][0]


@dataclass(frozen=True)
class Promised:
    """The memory of a policy that owes a key. Node (s, θ, t, node of the frontier's memory, key)."""

    frontier: Frontier
    key: Any

    @property
    def case(self) -> Any:
        """The process."""
        return self.frontier.memory.case

    def start(self) -> Node:
        """Owes the key of the start."""
        start = self.frontier.memory.start()
        return (*start[:2], 0, start, self.key)

    def after(self, node: Node, move: Move) -> Node:
        """Owes what the first way to the key promised here."""
        time, inner = node[2], self.frontier.memory.after(node[3], move)
        return (*inner[:2], time + 1, inner, self.frontier.first(time, node)[1][inner])


def frontier(memory: Memory, goal: Goal, allowed: Allowed | None = None) -> Frontier:
    """All that can be achieved by the allowed actions (all where left out).

    Raises:
        UserError: More than MAX_KEYS keys at a node, or more than MAX_CHOICES ways to choose what follows it.
    """
    actions = allowed or every_action(memory)
    ahead = layers(memory, time=0, node=memory.start(), actions=actions)
    ways: list[dict[Node, dict[Any, list[Way]]]] = [{node: {goal.ending(node): []} for node in ahead[-1]}]
    for time in reversed(range(memory.case.horizon)):
        ways.insert(0, {})
        for node in ahead[time]:
            found: dict[Any, list[Way]] = {}
            following = {action: branches(memory, node, action) for action in actions(time, node)}
            _require_few_choices(following, ways[1], memory.case.name)
            for action, reached in following.items():
                for parts in _choices(reached, ways[1]):
                    key = goal.join(time, node, (action, parts))
                    if key is not None:
                        found.setdefault(key, []).append((action, {after: promised for after, _, promised in parts}))
            _require_few(found, memory.case.name)
            ways[0][node] = {key: found[key] for key in goal.keep(found)}
    return Frontier(memory, goal, ways)


def _choices(
    reached: Mapping[Node, list[tuple[Fraction, int]]], known: Mapping[Node, Mapping[Any, list[Way]]]
) -> Iterator[tuple[Part, ...]]:
    """Every choice of one key for each node that can follow."""
    yield from itertools.product(*([(after, ways, key) for key in known[after]] for after, ways in reached.items()))


def _require_few_choices(
    following: Mapping[int, Mapping[Node, Any]], known: Mapping[Node, Mapping[Any, list[Way]]], case: str
) -> None:
    number = sum(math.prod(len(known[after]) for after in reached) for reached in following.values())
    if number > MAX_CHOICES:
        raise UserError(
            f"what policies can achieve in {case} would be chosen in {number} ways at one node, allowed are "
            f"{MAX_CHOICES}; shorten the horizon, drop noise, or leave out ParetoUD (name --objectives)."
        )


def _require_few(keys: Collection[Any], case: str) -> None:
    if len(keys) > MAX_KEYS:
        raise UserError(
            f"what policies can achieve in {case} has more than {MAX_KEYS} different values at one node; shorten the "
            "horizon or drop noise."
        )
