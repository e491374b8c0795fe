"""Counterfactual states: a row of the village in which one thing is other than it was.

An edit goes from rows int16[N, S] of one half, with one person, to rows of the same shape. `telling` says in which
rows an edit says something: where it changes the row, and where the change could be brought about by influence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from envs.niceness.village_row import LOCKED, OPEN, PEOPLE, THETA, A, B, E
from envs.rows import Rows

Edit = Callable[[Rows], Rows]
TO_E, TO_B, LOCK, CLOSE = "theta -> E", "theta -> B", "locked", "door closed"


def _setting(place: int, value: int) -> Edit:
    """The edit that writes a number into a place of every row."""

    def edit(rows: Rows) -> Rows:
        edited = rows.copy()
        edited[:, place] = value
        return edited

    return edit


EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        TO_E: _setting(PEOPLE + THETA, E),
        TO_B: _setting(PEOPLE + THETA, B),
        LOCK: _setting(PEOPLE + LOCKED, 1),
        CLOSE: _setting(OPEN, 0),
    }
)
"""What persuasion makes, what the library makes of an A-person, and what guarding and the door make."""


def telling(name: str, rows: Rows) -> NDArray[np.bool_]:
    """In which rows an edit says something, bool[N].

    Persuasion works on whoever is not locked and does not want E; what keeps people as they are matters to A-people
    alone, the only ones that nature changes.
    """
    theta, free = rows[:, PEOPLE + THETA], rows[:, PEOPLE + LOCKED] == 0
    if name == TO_E:
        return np.asarray(free & (theta != E))
    open_door = rows[:, OPEN] == 1
    return np.asarray(free & (theta == A) & open_door)
