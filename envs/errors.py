"""Errors that a user can cause, and the hint text that names what was probably meant."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Iterable, Sequence


class UserError(ValueError):
    """Input from a user that cannot be used; the command line prints it as one line and exits 2."""


class NonFiniteError(ArithmeticError):
    """A NaN or an infinity where a finite number is required.

    Attributes:
        site: Where it was found, for instance "reward" or "value loss".
        env: Index of the environment, or None where no single one is to blame.
        step: Step at which it was found, or None where there is none.
    """

    def __init__(self, site: str, *, env: int | None = None, step: int | None = None) -> None:
        """Build the one-line message from the place of the fault."""
        self.site, self.env, self.step = site, env, step
        where = "".join(f", {name} {value}" for name, value in (("env", env), ("step", step)) if value is not None)
        super().__init__(f"{site} is not finite{where}; nothing after it can be trusted, so the run stops here.")

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the three fields, so that the error survives the way back from a worker process."""
        return _rebuild_non_finite, (self.site, self.env, self.step)


def _rebuild_non_finite(site: str, env: int | None, step: int | None) -> NonFiniteError:
    return NonFiniteError(site, env=env, step=step)


def cause(error: UserError) -> str:
    """What is wrong, without the cure, where that is meant for the caller of a function and not for the user."""
    return str(error).partition("; ")[0].rstrip(".")


def nearest(name: str, names: Iterable[str]) -> str:
    """Hint text " Did you mean 'x'?" for the closest known name, whatever its capitals, or "" where none is close.

    Args:
        name: The unknown name.
        names: The known names.

    Returns:
        A sentence that starts with a blank, or the empty string.
    """
    known = {one.casefold(): one for one in reversed(list(names))}
    close = difflib.get_close_matches(name.casefold(), known, n=1)
    return f" Did you mean {known[close[0]]!r}?" if close else ""


def _shown(value: object) -> str:
    """A value as Python writes it, in one line."""
    return " ".join(repr(value).split())


def require_integer(name: str, value: object, *, low: int, high: int) -> None:
    """Refuse an option that is not an integer in [low, high].

    Raises:
        UserError: Naming the option, the value seen and the values allowed.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not low <= int(value) <= high:
        raise UserError(
            f"{name} is {_shown(value)}, allowed is an integer from {low} to {high}; choose one in this range."
        )


def require_odd(name: str, value: object, *, low: int, high: int) -> None:
    """Refuse an option that is not an odd integer in [low, high], both of which are odd.

    Raises:
        UserError: Naming the option, the value seen and the values allowed.
    """
    whole = None if isinstance(value, bool) or not isinstance(value, numbers.Integral) else int(value)
    if whole is None or whole % 2 == 0 or not low <= whole <= high:
        odd = None if whole is None else min(max(whole - 1 + whole % 2, low), high)
        cure = "choose one in this range" if odd is None else f"the nearest is {odd}"
        raise UserError(f"{name} is {_shown(value)}, allowed is an odd integer from {low} to {high}; {cure}.")


def require_number(name: str, value: object, *, low: float, high: float) -> None:
    """Refuse an option that is not a finite number in [low, high].

    Raises:
        UserError: Naming the option, the value seen and the values allowed.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= float(value) <= high:
        raise UserError(
            f"{name} is {_shown(value)}, allowed is a number from {low:g} to {high:g}; choose one in this range."
        )


def require_flag(name: str, value: object) -> None:
    """Refuse an option that is neither True nor False.

    Raises:
        UserError: Naming the option and the value seen.
    """
    if not isinstance(value, bool):
        raise UserError(f"{name} is {_shown(value)}, allowed are True and False (true and false on the command line).")


def require_sequence(name: str, value: object, *, of: str) -> None:
    """Refuse an option that is neither a tuple nor a list.

    Raises:
        UserError: Naming the option, the value seen, its type, and what it should hold.
    """
    if not isinstance(value, (tuple, list)):
        kind = type(value).__name__
        raise UserError(f"{name} is {_shown(value)}, of type {kind}, allowed is a tuple or list of {of}; write one.")


def require_choice(name: str, value: object, *, choices: Sequence[str]) -> None:
    """Refuse an option that is none of the named choices.

    Raises:
        UserError: Naming the option, the value seen, the choices and the nearest one.
    """
    if not isinstance(value, str) or value not in choices:
        allowed = ", ".join(repr(choice) for choice in choices)
        raise UserError(f"{name} is {_shown(value)}, allowed are {allowed}; choose one.{nearest(str(value), choices)}")
