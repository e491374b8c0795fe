"""Beliefs: what can be known of the state of a deterministic world whose observations do not tell states apart.

A belief is the set of states that one history of observations and actions leaves possible, each with the starts that
led there. In a deterministic world beliefs branch by what is seen and by nothing else, and there are finitely many. The
best policy that remembers all it has seen and done is the optimal policy of the beliefs; rewards are not seen.

Shapes: S states, A actions, O outcomes, R entries of a row.
"""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from envs.enumeration import TabularMDP
from envs.errors import UserError
from envs.rows import World
from envs.states import Integers, Rows

_CHUNK = 8192
MAX_BELIEFS = 200_000

Belief = tuple[tuple[int, int], ...]
"""Pairs of a state and the starts that lead to it, a bit for each, by ascending state."""


def observation_numbers(world: World, rows: Rows) -> Integers:
    """Number the observations of rows int16[S, R]: equal numbers for rows that look alike, int64[S] in [0, S).

    Observations are compared by hashes of 128 bits.
    """
    known: dict[bytes, int] = {}
    numbers = np.empty(len(rows), np.int64)
    for first in range(0, len(rows), _CHUNK):
        shown = world.observe(rows[first : first + _CHUNK])
        flat = [np.ascontiguousarray(part).reshape(len(part), -1).view(np.uint8) for part in shown.values()]
        for n, one in enumerate(np.concatenate(flat, axis=1), start=first):
            key = hashlib.blake2b(one.tobytes(), digest_size=16).digest()
            numbers[n] = known.setdefault(key, len(known))
    return numbers


def hides_state(observation: Integers) -> bool:
    """Whether two states look alike, given the number of each state's observation."""
    return len(np.unique(observation)) < len(observation)


def hides_best_action(observation: Integers, optimal_actions: npt.NDArray[np.bool_]) -> bool:
    """Whether some states look alike that have no optimal action in common.

    Where none do, a policy of the observation alone takes an optimal action in every state, and so earns V* if γ < 1,
    or if no state leads back to itself, as at γ = 1 value iteration asks.

    Args:
        observation: int64[S], the number of each state's observation.
        optimal_actions: bool[S, A], as `envs.tabular.value_iteration` tells them.
    """
    common = np.ones((int(observation.max()) + 1, optimal_actions.shape[1]), np.bool_)
    np.logical_and.at(common, observation, optimal_actions)
    return not common.any(axis=1).all()


@dataclass
class Beliefs:
    """All beliefs that any actions lead to; belief b weighs P(its starts), and what it gains is weighed alike.

    Attributes:
        observation: What is seen, by belief.
        weight: P(starts) > 0, by belief; beliefs with the same starts have bitwise the same weight.
        gain: weight · E[r(b, a)], by belief and action.
        children: The beliefs that may follow, by belief and action; none where the episode ends for sure.
        roots: The beliefs at the start, one for each first observation.
    """

    observation: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    gain: list[list[float]] = field(default_factory=list)
    children: list[list[tuple[int, ...]]] = field(default_factory=list)
    roots: tuple[int, ...] = ()

    def tables(self, discount: float) -> TabularMDP:
        """The beliefs as a process of their own: state b is belief b, and it starts at the roots by their weights."""
        size, num_actions = len(self.weight), len(self.gain[0])
        num_outcomes = 1 + max(len(following) for actions in self.children for following in actions)
        next_state = np.full((size, num_actions, num_outcomes), -1, np.int32)
        probability = np.zeros(next_state.shape)
        for b, actions in enumerate(self.children):
            for a, following in enumerate(actions):
                next_state[b, a, : len(following)] = following
                probability[b, a, : len(following)] = [self.weight[child] / self.weight[b] for child in following]
        # The last outcome is the end of the episode.
        probability[:, :, -1] = np.maximum(0.0, 1 - probability.sum(axis=2))
        reward = np.array(self.gain) / np.array(self.weight)[:, None]
        return TabularMDP(
            rows=np.empty((size, 0), np.int16),
            start_state=np.array(self.roots, np.int64),
            start_probability=np.array([self.weight[root] for root in self.roots]),
            next_state=next_state,
            probability=probability,
            components=np.broadcast_to(reward[:, :, None, None], (*next_state.shape, 1)),
            event=np.full(next_state.shape, -1, np.int16),
            discount=discount,
            reward_weights=np.ones(1),
        )


@dataclass(frozen=True)
class Rules:
    """A deterministic process as lists, which single look-ups read faster than arrays.

    Attributes:
        next_state: By state and action; -1 where the episode ends.
        reward: By state and action.
        observation: By state.
    """

    next_state: list[list[int]]
    reward: list[list[float]]
    observation: list[int]

    @classmethod
    def of(cls, mdp: TabularMDP, observation: Integers) -> Rules:
        """The rules of tables.

        Raises:
            UserError: An action has several outcomes, or the observations are not one for each state.
        """
        if observation.shape != (mdp.num_states,):
            raise UserError(
                f"observation has shape {observation.shape}; give one number for each of the {mdp.num_states} states."
            )
        uncertain = int((mdp.probability.max(axis=2, initial=0.0) < 1).sum())
        if uncertain:
            raise UserError(
                f"{uncertain} of {mdp.num_states * mdp.num_actions} pairs of state and action have several outcomes, "
                "but the best policy without memory is only searched for in deterministic worlds; turn chance off."
            )
        outcome = mdp.probability.argmax(axis=2)[:, :, None]
        rewards = mdp.components @ mdp.reward_weights
        return cls(
            next_state=np.take_along_axis(mdp.next_state, outcome, axis=2)[:, :, 0].tolist(),
            reward=np.take_along_axis(rewards, outcome, axis=2)[:, :, 0].tolist(),
            observation=observation.tolist(),
        )


def list_beliefs(rules: Rules, starts: Sequence[tuple[int, float]]) -> Beliefs:
    """All beliefs that follow from some starts; what is first seen is the first thing known.

    Args:
        rules: The process.
        starts: The state and the probability > 0 of each start; several may begin in one state.

    Raises:
        UserError: More than MAX_BELIEFS beliefs.
    """
    found = Beliefs()
    numbers: dict[Belief, int] = {}
    listed: list[Belief] = []

    def weight(mask: int) -> float:
        return sum(probability for i, (_, probability) in enumerate(starts) if mask >> i & 1)

    def number(belief: Belief) -> int:
        if belief not in numbers:
            numbers[belief] = len(listed)
            listed.append(belief)
            found.observation.append(rules.observation[belief[0][0]])
            found.weight.append(weight(functools.reduce(operator.or_, (mask for _, mask in belief))))
        return numbers[belief]

    roots = [(state, 1 << i) for i, (state, _) in enumerate(starts)]
    found.roots = tuple(number(belief) for belief in _by_observation(rules, roots))
    while len(found.gain) < len(listed) <= MAX_BELIEFS:
        belief = listed[len(found.gain)]
        weights = [weight(mask) for _, mask in belief]
        gains, children = [], []
        for action in range(len(rules.reward[0])):
            gains.append(sum(w * rules.reward[state][action] for w, (state, _) in zip(weights, belief, strict=True)))
            after = [(rules.next_state[state][action], mask) for state, mask in belief]
            children.append(tuple(number(child) for child in _by_observation(rules, after)))
        found.gain.append(gains)
        found.children.append(children)
    if len(listed) > MAX_BELIEFS:
        raise UserError(
            f"{len(starts)} starts that share observations lead to more than {MAX_BELIEFS} beliefs; give fewer levels "
            "or a smaller world."
        )
    return found


def _by_observation(rules: Rules, states: list[tuple[int, int]]) -> list[Belief]:
    """The beliefs that states with their starts fall into by what is seen; those that ended (-1) are in none."""
    seen: dict[int, dict[int, int]] = {}
    for state, mask in states:
        if state >= 0:
            group = seen.setdefault(rules.observation[state], {})
            group[state] = group.get(state, 0) | mask
    return [tuple(sorted(group.items())) for group in seen.values()]
