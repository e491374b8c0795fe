"""A hand at the keys: which key takes which action, and an actor that asks for keys and shows what they did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from agents.streams import EnvStream, Flags, Indices
from envs.errors import UserError

QUIT, RESET = "q", "r"
NUMBER_KEYS = "0123456789bcefghijklmnoptuvxyz"
"""Keys of actions by number: digits, then the letters that have no other meaning."""
_DIRECTIONS = MappingProxyType(
    {"up": ("up", "w"), "forward": ("up", "w"), "right": ("right", "d"), "down": ("down", "s"), "left": ("left", "a")}
)


class Abandoned(Exception):
    """The episode was given up; `key` is QUIT or RESET."""

    def __init__(self, key: str) -> None:
        """Keep the key."""
        super().__init__(key)
        self.key = key


def bindings(action_names: Sequence[str]) -> dict[str, int]:
    """Action by key: a number for each action, and arrows and w, a, s, d for those that are called after a direction.

    Raises:
        UserError: More actions than there are keys.
    """
    if len(action_names) > len(NUMBER_KEYS):
        raise UserError(f"There are {len(action_names)} actions, but keys for {len(NUMBER_KEYS)} only; play with code.")
    keys = {NUMBER_KEYS[action]: action for action in range(len(action_names))}
    for action, name in enumerate(action_names):
        keys |= dict.fromkeys(_DIRECTIONS.get(name, ()), action)
    return keys


def legend(action_names: Sequence[str]) -> str:
    """What the keys do, in one line."""
    parts = []
    for action, name in enumerate(action_names):
        key = _DIRECTIONS[name][1] if name in _DIRECTIONS else NUMBER_KEYS[action]
        parts.append(key if key == name else f"{key} {name}")
    arrows = "; arrows like w, d, s, a" if any(name in _DIRECTIONS for name in action_names) else ""
    return f"keys: {', '.join(parts)}{arrows}; {RESET} resets, {QUIT} quits"


class Hand:
    """An actor (see `agents.rollout.Actor`) for one env whose actions are keys; other keys do nothing."""

    def __init__(self, keys: Iterator[str], bound: Mapping[str, int], show: Callable[[], None]) -> None:
        """Take the keys; when they run out, that is QUIT.

        Args:
            keys: By name.
            bound: Action by key.
            show: Called before each key is asked for.
        """
        self._keys, self._bound, self._show = keys, bound, show

    def act(self, stream: EnvStream, needed: Flags) -> tuple[Indices, NDArray[np.float32]]:
        """Show the state, and wait for the key of an action; Abandoned for QUIT and RESET."""
        self._show()
        while (key := next(self._keys, QUIT)) not in self._bound:
            if key in (QUIT, RESET):
                raise Abandoned(key)
        return np.array([self._bound[key]], np.int64), np.zeros(1, np.float32)
