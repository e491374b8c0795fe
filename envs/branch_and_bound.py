"""Branch and bound over policies without memory, along the trajectories that a policy makes in a deterministic world.

An action is chosen where a trajectory first meets an observation, and holds wherever that is seen from then on. A set
of choices is given up when its bound is no better than the best policy found: what the trajectories have earned, and
from where they wait the most that a policy with memory could still earn if it, too, had to keep to the choices,

    U(b) = max_a gain(b, a) + γ Σ_{b' follows b, a} U(b'),    a the choice for what is seen in b where there is one.

Sweeps of this equation that begin at the bound of fewer choices fall towards its solution, so that each is a bound.

Shapes: B beliefs, A actions, O beliefs that may follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.beliefs import Beliefs
from envs.errors import UserError
from envs.tabular import value_iteration

Floats = NDArray[np.float64]

TOLERANCE = 1e-9
_FIRST_GAP = 1e-3
_MAX_SWEEPS = 20


@dataclass(frozen=True)
class _Branch:
    """A trajectory that is still open.

    Attributes:
        belief: Where it is.
        factor: γ^t.
        earned: What this trajectory has earned.
        trail: Belief -> (factor, earned) when it was there, as far back as nothing branched off or ended.
    """

    belief: int
    factor: float
    earned: float
    trail: dict[int, tuple[float, float]]


@dataclass(frozen=True)
class _Node:
    """A choice of the search.

    Attributes:
        observation: Where an action is chosen.
        actions: Those that are left to try, the most promising last.
        branches: Trajectories that wait for this choice or for later ones.
        earned: What all trajectories have earned by now.
        bound: float64[B], U under the choices before this one.
    """

    observation: int
    actions: list[int]
    branches: list[_Branch]
    earned: float
    bound: Floats


class PolicySearch:
    """The search for the best policy of one set of beliefs.

    Attributes:
        with_memory: What the best policy with memory earns.
        best: What the best policy found so far earns.
        best_choices: Its action by observation.
    """

    def __init__(self, beliefs: Beliefs, *, discount: float) -> None:
        """Solve the beliefs; UserError at discount 1 where a belief can come back."""
        self._beliefs, self._discount = beliefs, discount
        tables = beliefs.tables(discount)
        solution = value_iteration(tables)
        self._children = tables.next_state
        self._gain = np.array(beliefs.gain)
        self._allowed_gain = self._gain.copy()
        self._bound: Floats = np.array(beliefs.weight) * (solution.values + solution.error_bound)
        seen = np.array(beliefs.observation)
        self._beliefs_seen = {int(number): np.flatnonzero(seen == number) for number in np.unique(seen)}
        self._choices: dict[int, int] = {}
        self.with_memory = float(self._bound[list(beliefs.roots)].sum())
        self.best, self.best_choices = -np.inf, dict[int, int]()

    def run(self, *, max_nodes: int) -> int:
        """Find the best policy; returns how many choices were tried.

        First those within a hair of the bound are looked for, then those within more and more of it, so that no time is
        spent below the optimum's own distance to the bound.

        Raises:
            UserError: More than `max_nodes` choices.
        """
        gap, left = 4 * TOLERANCE, max_nodes
        while not self.best_choices:
            self.best = self.with_memory - gap
            left -= self._search(max_nodes=left)
            gap = max(4 * gap, _FIRST_GAP * abs(self.with_memory))
        return max_nodes - left

    def _search(self, *, max_nodes: int) -> int:
        """Find the best policy of those that earn more than `best`; returns how many choices were tried.

        The stack holds the choices made, the last one on top, each with what is left to try.
        """
        roots = [_Branch(root, 1.0, 0.0, {}) for root in self._beliefs.roots]
        stack, num_nodes = self._open(roots, earned=0.0, bound=self._bound), 0
        while stack:
            node = stack[-1]
            if not node.actions:
                self._release(node.observation)
                stack.pop()
                continue
            num_nodes += 1
            if num_nodes > max_nodes:
                raise UserError(
                    f"The best policy without memory was not found within the last {max_nodes} choices that "
                    "max_nodes allows; allow more, or take fewer levels or a smaller world."
                )
            self._choose(node.observation, node.actions.pop())
            stack += self._open(node.branches, earned=node.earned, bound=node.bound)
        return num_nodes

    def _choose(self, observation: int, action: int) -> None:
        """Make a choice, in place of another one if there is one."""
        alike = self._beliefs_seen[observation]
        self._choices[observation] = action
        self._allowed_gain[alike] = -np.inf
        self._allowed_gain[alike, action] = self._gain[alike, action]

    def _release(self, observation: int) -> None:
        """Take a choice back."""
        alike = self._beliefs_seen[observation]
        del self._choices[observation]
        self._allowed_gain[alike] = self._gain[alike]

    def _open(self, branches: Sequence[_Branch], *, earned: float, bound: Floats) -> list[_Node]:
        """The next choice, as a list of one; none where the bound shows no gain, or where the policy is complete."""
        waiting, earned = self._follow(branches, earned=earned)
        if not waiting:
            if earned > self.best + TOLERANCE:
                self.best, self.best_choices = earned, dict(self._choices)
            return []
        bound = bound.copy()
        for sweep in range(_MAX_SWEEPS):
            hoped = earned + sum(branch.factor * bound[branch.belief] for branch in waiting)
            if hoped <= self.best + TOLERANCE:
                return []
            if _tighten(bound, self._allowed_gain, self._children, self._discount, sweep % 2 == 0) <= TOLERANCE:
                break
        belief = waiting[-1].belief
        promise = self._gain[belief] + self._discount * np.append(bound, 0.0)[self._children[belief]].sum(axis=1)
        return [_Node(self._beliefs.observation[belief], np.argsort(promise).tolist(), waiting, earned, bound)]

    def _follow(self, branches: Sequence[_Branch], *, earned: float) -> tuple[list[_Branch], float]:
        """The branches that wait for a choice, and what all have earned by then."""
        moving, waiting = list(branches), list[_Branch]()
        while moving:
            branch = moving.pop()
            action = self._choices.get(self._beliefs.observation[branch.belief])
            if action is None:
                waiting.append(branch)
                continue
            gained, following = self._step(branch, action)
            earned += gained
            moving += following
        return waiting, earned

    def _step(self, branch: _Branch, action: int) -> tuple[float, list[_Branch]]:
        """What a step earns, and where it leads; a trajectory that comes back to a belief earns all of its rounds."""
        belief = branch.belief
        if belief in branch.trail:
            factor, before = branch.trail[belief]
            round_trip = branch.earned - before
            return (round_trip * branch.factor / (factor - branch.factor) if round_trip else 0.0), []
        gain = branch.factor * self._beliefs.gain[belief][action]
        following = self._beliefs.children[belief][action]
        # What branches off or ends makes the rest lighter, so that no belief of the trail can come back.
        whole = len(following) == 1 and self._beliefs.weight[following[0]] == self._beliefs.weight[belief]
        trail = {**branch.trail, belief: (branch.factor, branch.earned)} if whole else {}
        factor, earned = branch.factor * self._discount, branch.earned + gain
        return gain, [_Branch(child, factor, earned, trail) for child in following]


@njit(cache=True)
def _tighten(bound: Floats, gain: Floats, children: NDArray[np.int32], discount: float, forward: bool) -> float:
    """One Gauss-Seidel pass of U over all beliefs, in place and never upwards; returns the largest fall."""
    largest = 0.0
    for i in range(bound.size):
        b = i if forward else bound.size - 1 - i
        best = -np.inf
        for a in range(gain.shape[1]):
            value = gain[b, a]
            for o in range(children.shape[2]):
                if children[b, a, o] >= 0:
                    value += discount * bound[children[b, a, o]]
            best = max(best, value)
        if best < bound[b]:
            largest = max(largest, bound[b] - best)
            bound[b] = best
    return largest
