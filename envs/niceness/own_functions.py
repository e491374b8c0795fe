"""Step, reward and welfare of a case as somebody wrote them: what they do wrongly becomes a sentence with its place."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from envs.errors import UserError, nearest
from envs.niceness.drmdp import exact

Place = tuple[Hashable, str]
Step = Callable[[Any, tuple[int, ...]], Place]


def require_place(what: str, value: object) -> Place:
    """A pair (state, θ) whose state can be told from others; UserError for anything else."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise UserError(f"{what} is {value!r}, allowed is a pair (state, theta); write one.")
    state, theta = value
    try:
        hash(state)
    except TypeError as error:
        raise UserError(f"{what} has the state {state!r}, which has no hash; use a text or a tuple.") from error
    return state, theta


def checked_step(step: Step, *, case: str, known: Mapping[str, Sequence[Any]]) -> Step:
    """The step of a case, which now returns a pair of what is known or raises a UserError.

    Args:
        step: (turn, noise) -> (s', θ').
        case: Its name.
        known: Known values of "state" and "theta"; for a kind that is left out any value is one.
    """

    def checked(turn: Any, noise: tuple[int, ...]) -> Place:
        where = f"step of {case} at {_place(turn)}"
        after = require_place(f"the result of {where}", _called(where, step, turn, noise))
        for kind, value in zip(("state", "theta"), after, strict=True):
            if kind in known and value not in known[kind]:
                names = [str(one) for one in known[kind]]
                hint = nearest(str(value), names)
                raise UserError(f"{where} leads to {kind} {value!r}, known are {', '.join(names)}; name one.{hint}")
        return after

    return checked


def checked_number(what: str, function: Callable[..., Any], *, case: str) -> Callable[..., Fraction]:
    """The reward ([θ̂,] turn, s') or welfare (turn, s') of a case, as a fraction; UserError where there is none."""

    def checked(*arguments: Any) -> Fraction:
        *evaluator, turn, _ = arguments
        where = f"{what} of {case}{''.join(f' for evaluator {name}' for name in evaluator)} at {_place(turn)}"
        return exact(where, _called(where, function, *arguments))

    return checked


def _place(turn: tuple[Any, str, str]) -> str:
    return ", ".join(f"{kind} {value}" for kind, value in zip(("state", "theta", "action"), turn, strict=True))


def _called(where: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except UserError:
        raise
    except Exception as error:  # Whatever somebody's function may raise.
        raise UserError(f"{where} raises {type(error).__name__}: {error}; mend the function.") from error
