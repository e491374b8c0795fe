"""What a world takes for the two of its five functions that it may have no use for.

A world without chance writes `breakpoints = no_chance` at its top level, one without contexts `context = no_context`.
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
