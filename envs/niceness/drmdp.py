"""A finite decision process whose reward function moves (DR-MDP), as exact tables.

The process is ⟨S, Θ, A, T, R⟩: a person holds the reward parameter θ, the agent acts, and T(s', θ' | s, θ, a) moves
both. At each of H steps the action pays R(θ̂, s, θ, a, s') in the eyes of an evaluator θ̂, then the transition is made;
nothing is discounted. Which evaluator counts at which step is what the objectives differ in.

Chance is a list of independent noise channels, as everywhere in this house: a step is a function of state, θ, action
and the channels' outcomes, and the law of a channel depends on nothing. So an inert twin can read the *same* noise. A
case that is given by rows of probabilities says nothing about that: its noise is unkeyed, and it has a twin only where
it is deterministic.

Source: Carroll, Foote, Siththaranjan, Russell, Dragan (2024), arXiv 2405.17713, section 2. There R_θ(s, a, s'); here θ,
the person's own, is an argument beside the evaluator θ̂, since what people do of themselves depends on it. Hidden
welfare is ours: no objective and no agent sees it.

Shape key: S states, K = |Θ| reward parameters, A actions, O outcomes.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from envs.errors import UserError, nearest

Number = int | float | str | Fraction
Exact = npt.NDArray[np.object_]
Indices = npt.NDArray[np.int64]
KAPPA = "kappa"
"""The option of a world that is the agent's power to influence: the probability that what it tries succeeds."""


@dataclass(frozen=True, eq=False)
class DRMDP:
    """A finite DR-MDP. Numbers are `fractions.Fraction`; an outcome that pads the O axis has probability 0.

    Attributes:
        name: What it is called.
        states: S names, all distinct; the clock is among what a state says where T depends on it.
        thetas: K names.
        actions: A names.
        noop: Index of the inert action.
        start: (state index, θ index).
        horizon: H, number of steps.
        channels: For each noise channel the probabilities of its outcomes, >= 0, of sum 1; outcome o of the tables is
            the o-th of their product, the last channel running fastest. () where there is no noise, or it is unkeyed.
        probability: Fraction[S, K, A, O], sum over O is 1; the law of the channels wherever the noise is keyed.
        next_state: int64[S, K, A, O].
        next_theta: int64[S, K, A, O].
        reward: Fraction[K̂, S, K, A, O], what evaluator θ̂ gives to an outcome.
        welfare: Fraction[S, K, A, O], hidden.
    """

    name: str
    states: tuple[str, ...]
    thetas: tuple[str, ...]
    actions: tuple[str, ...]
    noop: int
    start: tuple[int, int]
    horizon: int
    channels: tuple[tuple[Fraction, ...], ...]
    probability: Exact
    next_state: Indices
    next_theta: Indices
    reward: Exact
    welfare: Exact

    @property
    def keyed(self) -> bool:
        """Whether a twin can read the same noise: channels, or no noise at all."""
        return bool(self.channels) or not (self.probability[..., 1:] != 0).any()

    def require_keyed(self, what: str) -> None:
        """Refuse what compares with the inert twin where noise is unkeyed (UserError naming `what`)."""
        if not self.keyed:
            raise UserError(
                f"{what} of {self.name} compares with an inert twin that reads the same noise, but this case gives "
                "rows of probabilities, which are unkeyed; declare its noise as channels."
            )

    def starting_at(self, theta: str, *, state: str | None = None) -> DRMDP:
        """The same process from another θ_0 (and state); UserError for an unknown name."""
        state_index = self.start[0] if state is None else position("state", state, self.states)
        return dataclasses.replace(self, start=(state_index, position("theta", theta, self.thetas)))


_HUGE = re.compile(r"[eE][+-]?0*\d{4,}")
"""Powers of ten whose digits would fill the memory."""


def exact(name: str, value: Number) -> Fraction:
    """A number as a fraction: 0.1 and "1/10" are a tenth; UserError for what is no finite number."""
    if isinstance(value, Fraction):
        return value
    try:
        if _HUGE.search(str(value)):
            raise ValueError
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f'{name} is {value!r}, allowed is a finite number such as 0.1 or "1/3"; write one.') from error


def require_probability(name: str, value: Number) -> Fraction:
    """A number in [0, 1] as a fraction; UserError for anything else."""
    probability = exact(name, value)
    if not 0 <= probability <= 1:
        raise UserError(f"{name} is {value!r}, allowed is a probability from 0 to 1; choose one in this range.")
    return probability


def position(kind: str, name: str, names: Sequence[str]) -> int:
    """Index of a name; UserError with the nearest known one."""
    if name not in names:
        raise UserError(
            f"{kind} {name!r} is unknown, known are {', '.join(names)}; name one.{nearest(str(name), names)}"
        )
    return list(names).index(name)
