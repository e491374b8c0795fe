"""Shortest plans in somebody else's small deterministic environment, by breadth-first search over copies of it.

Assumptions, all of which hold in MiniGrid's ordinary tasks:

1. The goal is a termination with positive reward, and the shortest plan to a goal is optimal, as where the reward
   falls with the steps taken (MiniGrid: 1 - .9 steps / limit) or each step costs. Among the shortest plans those with
   the most reward count; a longer plan with more reward is never looked for.
2. Given the state, the environment is deterministic. `find_clocks` tests this on copies; whoever follows a plan should
   compare states as well.
3. An integer attribute that changes by the same amount at every step, whatever the action, and whose value shows in no
   observation, is a clock. Planning holds it at its value at reset, so that states are told apart by what they are and
   not by when. What a clock does to rewards and truncation is therefore not part of a plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.errors import UserError
from envs.foreign_state import Attributes, Env, copy_env, integer_attributes, state_key, value_key, write_attributes

_NUM_PATHS, _PATH_LENGTH, _REPEATS = 8, 12, 3
_SAME_REWARD = 1e-9


@dataclass(frozen=True)
class Move:
    """What an action does in a state.

    Attributes:
        action: The action.
        target: Key of the next state; None where the episode ends.
        reward: With all clocks at their values at reset.
        terminated: Whether the environment ends the episode.
    """

    action: int
    target: bytes | None
    reward: float
    terminated: bool

    @property
    def reaches_goal(self) -> bool:
        """Terminates with positive reward."""
        return self.terminated and self.reward > 0


class Planner:
    """Optimal moves in states of one environment; what one search finds out, later ones know."""

    def __init__(self, actions: Sequence[int], clocks: Attributes, *, max_nodes: int) -> None:
        """Start without knowledge.

        Args:
            actions: All actions.
            clocks: What `find_clocks` found.
            max_nodes: States that one search may see.
        """
        self._actions, self._clocks, self._max_nodes = tuple(actions), clocks, max_nodes
        self._moves: dict[bytes, tuple[Move, ...]] = {}
        self._unexpanded: dict[bytes, Env] = {}
        self._optimal: dict[bytes, tuple[Move, ...]] = {}

    def key(self, env: Env) -> bytes:
        """Key of the environment's state, clocks left out."""
        return state_key(env, ignored=self._clocks)

    def optimal_moves(self, env: Env) -> tuple[Move, ...]:
        """All moves that begin a best shortest plan from the environment's state; one at least.

        Raises:
            UserError: No goal can be reached, or none within `max_nodes` states.
        """
        key = self.key(env)
        if key not in self._optimal:
            self._make_known(env, key)
            self._rate(self._search(key))
        return self._optimal[key]

    def _make_known(self, env: Env, key: bytes) -> None:
        """Keep a copy of the environment for a new state; what fills the memory is forgotten, optimal moves are not."""
        if len(self._moves) + len(self._unexpanded) > 2 * self._max_nodes:
            self._moves.clear()
            self._unexpanded.clear()
        if key not in self._moves and key not in self._unexpanded:
            self._unexpanded[key] = copy_env(env)
            write_attributes(self._unexpanded[key], self._clocks)

    def _search(self, root: bytes) -> list[list[bytes]]:
        """States by their distance from the root, up to the first distance at which a move reaches a goal."""
        shells, seen = [[root]], {root}
        while True:
            found, shell = False, []
            for key in shells[-1]:
                for move in self._expand(key):
                    found |= move.reaches_goal
                    if move.target is not None and move.target not in seen:
                        seen.add(move.target)
                        shell.append(move.target)
                if len(seen) > self._max_nodes:
                    raise UserError(
                        f"No plan within {self._max_nodes} states, which lie up to {len(shells)} steps from the start; "
                        "allow more (max_nodes), or take a smaller environment."
                    )
            if found:
                return shells
            if not shell:
                raise UserError(
                    f"None of the {len(seen)} states that can be reached has a move that terminates with positive "
                    "reward; such an environment has no goal to plan for."
                )
            shells.append(shell)

    def _expand(self, key: bytes) -> tuple[Move, ...]:
        """The moves of a state; its copy of the environment is used up."""
        if key not in self._moves:
            env = self._unexpanded.pop(key)
            self._moves[key] = tuple(self._try_actions(env, key))
        return self._moves[key]

    def _try_actions(self, env: Env, key: bytes) -> Iterator[Move]:
        """Take each action in a copy; a copy whose state the action left as it was serves the next action too."""
        trial: Env | None = None
        for action in self._actions:
            trial = copy_env(env) if trial is None else trial
            _, reward, terminated, truncated, _ = trial.step(action)
            write_attributes(trial, self._clocks)
            target = None if terminated or truncated else self.key(trial)
            yield Move(action, target, float(reward), bool(terminated))
            if target == key:
                continue
            if target is not None and target not in self._moves:
                self._unexpanded.setdefault(target, trial)
            trial = None

    def _rate(self, shells: list[list[bytes]]) -> None:
        """Note the optimal moves of all states on shortest plans, from the goal back to the root."""
        rewards_to_go: dict[bytes, float] = {}
        for distance, shell in enumerate(reversed(shells)):
            rated = {}
            for key in shell:
                moves = [
                    m for m in self._moves[key] if (m.reaches_goal if distance == 0 else m.target in rewards_to_go)
                ]
                worth = [m.reward + (rewards_to_go[m.target] if m.target else 0.0) for m in moves]
                if moves:
                    rated[key] = max(worth)
                    kept = zip(moves, worth, strict=True)
                    self._optimal[key] = tuple(m for m, w in kept if w >= rated[key] - _SAME_REWARD)
            rewards_to_go = rated


def find_clocks(env: Env, actions: Sequence[int], generator: np.random.Generator) -> Attributes:
    """Find the clocks of a freshly reset environment, and refuse it where equal actions have unequal effects.

    Args:
        env: The environment; it is not stepped.
        actions: All actions.
        generator: Draws the trial paths.

    Returns:
        The clocks with their present values.

    Raises:
        UserError: The environment is not deterministic given its state, or cannot be copied.
    """
    before = state_key(env)
    paths = [[action] * _REPEATS for action in actions]
    paths += [generator.choice(actions, _PATH_LENGTH).tolist() for _ in range(_NUM_PATHS)]
    runs = [(_run(env, path), _run(env, path)) for path in paths]
    if any(first != second for first, second in runs):
        raise UserError(
            "The environment does not repeat itself: the same actions from the same state had other effects; plans "
            "need a deterministic one."
        )
    if state_key(env) != before:
        raise UserError("A step in a copy changed the original; plans need an environment that can be copied.")
    start = integer_attributes(env)
    return {name: start[name] for name in start if _is_clock(env, {name: start[name]}, paths)}


def _run(env: Env, path: Sequence[int]) -> list[tuple[Any, ...]]:
    """States, observations, rewards and flags along a path of a copy."""
    return [(state_key(copy), *outcome) for copy, outcome in _steps(env, path, {})]


def _steps(env: Env, path: Sequence[int], held: Attributes) -> Iterator[tuple[Env, tuple[Any, ...]]]:
    """Step a copy until its episode ends, with some attributes held; yields the copy and what the step showed."""
    trial = copy_env(env)
    for action in path:
        observation, reward, terminated, truncated, _ = trial.step(action)
        yield trial, (value_key(observation), float(reward), bool(terminated), bool(truncated))
        if terminated or truncated:
            return
        write_attributes(trial, held)


def _is_clock(env: Env, attribute: Attributes, paths: Sequence[Sequence[int]]) -> bool:
    """Tell whether the attribute takes equal steps on all paths and, when held, leaves what is seen as it was."""
    ((name, start),) = attribute.items()
    strides = set()
    for path in paths:
        values = [start] + [integer_attributes(trial).get(name, start) for trial, _ in _steps(env, path, {})]
        strides |= set(np.diff(values).tolist())
    if len(strides) != 1 or 0 in strides:
        return False
    return all(_looks_alike(env, path, attribute) for path in paths)


def _looks_alike(env: Env, path: Sequence[int], held: Attributes) -> bool:
    """Tell whether holding attributes leaves what is seen along a path, and terminations, as they are."""
    runs = ([(outcome[0], outcome[2]) for _, outcome in _steps(env, path, h)] for h in ({}, held))
    # A clock may truncate the free run, so the held one may be longer.
    return all(free == still for free, still in zip(*runs, strict=False))
