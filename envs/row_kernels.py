"""Template loops over rows without an engine: begin, observe, expand, judge. See `envs.kernels` for what a template is.

Shape key: N rows, S row size, A actions, O outcomes, C components, P planes, H, W grid, V vector.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, name-defined"
# ruff: noqa: F821
from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic


def _generate_copy(typing_context, target, source):
    """Copy a C-ordered array onto another of as many bytes; a loop, which must fear overlap, takes twice as long."""

    def generate(context, builder, signature, arguments):
        kinds = zip(signature.args, arguments, strict=True)
        to, origin = (context.make_array(kind)(context, builder, value) for kind, value in kinds)
        cgutils.raw_memcpy(builder, to.data, origin.data, origin.nitems, origin.itemsize)
        return context.get_dummy_value()

    return types.void(target, source), generate


_copy: Any = intrinsic(_generate_copy)


def begin_rows(config, levels, starts, rows):
    """Write the first row of each (level, start)."""
    for n in range(levels.size):
        begin(config, rows[n], levels[n], starts[n])


def observe_rows(config, background, rows, planes, vector):
    """Write the observation of each row: the background, then what the world draws upon it."""
    vector.fill(0.0)
    for n in range(rows.shape[0]):
        _copy(planes[n], background)
        observe(config, rows[n], planes[n], vector[n])


def context_rows(config, rows, contexts):
    """Write the context of each row."""
    for n in range(rows.shape[0]):
        contexts[n] = context(config, rows[n])


def possible_rows(config, rows, firsts, running, ended):
    """Write whether each row can be that of a running episode, and of an ended one, whose level has this first row."""
    for n in range(rows.shape[0]):
        running[n] = possible(config, rows[n], firsts[n], False)
        ended[n] = possible(config, rows[n], firsts[n], True)


def _cut_channels(config, row, action, cuts, counts):
    total = 1
    for c in range(counts.size):
        counts[c] = breakpoints(config, row, action, c, cuts[c])
        total *= counts[c] + 1
    return total


def _joint_outcome(index, cuts, counts, draws):
    probability = 1.0
    for c in range(counts.size):
        digit = index % (counts[c] + 1)
        index //= counts[c] + 1
        low = cuts[c, digit - 1] if digit > 0 else 0.0
        high = cuts[c, digit] if digit < counts[c] else 1.0
        draws[c] = 0.5 * (low + high)
        probability *= high - low
    return probability


def expand_rows(config, rows, scratch, out):
    """All outcomes of all actions; returns -1, or the first row with no outcome or more than there is room for.

    `scratch` is (draws, cuts, counts), `out` is (next_rows, probability, components, event, terminated).
    """
    draws, cuts, counts = scratch
    next_rows, probability, components, event, terminated = out
    for n in range(rows.shape[0]):
        for action in range(probability.shape[1]):
            total = _cut_channels(config, rows[n], action, cuts, counts)
            # A product over very many channels wraps round to 0 or below.
            if total < 1 or total > probability.shape[2]:
                return n
            for o in range(total):
                probability[n, action, o] = _joint_outcome(o, cuts, counts, draws)
                _copy(next_rows[n, action, o], rows[n])
                event[n, action, o], terminated[n, action, o] = transition(
                    config, next_rows[n, action, o], action, draws, components[n, action, o]
                )
    return -1


PARTS = (observe_rows, context_rows, _cut_channels, _joint_outcome)
LOOPS = (begin_rows, observe_rows, context_rows, expand_rows, possible_rows)
