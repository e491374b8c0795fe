"""What a world takes for those of its functions that it may have no use for.

A world without chance writes `breakpoints = no_chance` at its top level, one without contexts `context = no_context`.
One that has no `possible` gets `any_row`.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from numba import njit


@njit
def no_chance(config, row, action, channel, cuts):
    """The `breakpoints` of a world in which nothing depends on chance."""
    return 0


@njit
def no_context(config, row):
    """The `context` of a world without contexts."""
    return -1


@njit
def any_row(config, row, first, ended):
    """The `possible` of a world that does not say which rows an episode can have."""
    return True
