"""Loops over the entries of active inputs: find them, sum columns of weights over them, spread gradients onto these.

Entries are (index int64[B], columns int32[E], values float32[E], offsets int64[Q + 1]): row b of a batch has those from
offsets[index[b]] to offsets[index[b] + 1]. Weights are float32[I, D].

Shape key: see `agents.active_inputs`.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.cpython.unsafe.numbers import trailing_zeros
from numba.extending import intrinsic

from envs.compilation import COMPILED, INLINED


def _generate_word(typing_context, array, place):
    """Read eight bytes from a place that need not be a multiple of eight; numba itself reads aligned numbers only."""

    def generate(context, builder, *typed):
        signature, arguments = typed
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        start = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(start, align=1, typ=ir.IntType(64))

    return types.uint64(array, types.intp), generate


_word: Any = intrinsic(_generate_word)
_trailing_zeros: Any = trailing_zeros


@njit(**COMPILED)
def find_entries(planes, numbers, out):
    """Write the entries of every row; returns their number, or −1 where they may not find room.

    `planes` is (uint8[Q·L], the base's uint8[L]), `numbers` is (float32[Q, F], the base's float32[F]), `out` is
    (offsets, columns, values).
    """
    offsets, columns, values = out
    num_rows, count = numbers[0].shape[0], 0
    for q in range(num_rows):
        offsets[q] = count
        if count + planes[1].size + numbers[1].size > columns.size:
            return -1
        count = _entries_of(planes, numbers, q, columns, values, count)
    offsets[num_rows] = count
    return count


@njit(**INLINED)
def _entries_of(planes, numbers, q, columns, values, count):
    """Write the entries of row q behind `count` others; returns how many there are then.

    Bytes are compared eight at a time, the lowest byte of a word being the first.
    """
    (shown, base), (flat, flat_base) = planes, numbers
    size = base.size
    first, whole = q * size, size - size % 8
    for start in range(0, whole, 8):
        left = _word(shown, first + start) ^ _word(base, start)
        while left != 0:
            bits = _trailing_zeros(left) & np.uint64(56)
            place = start + np.int64(bits >> np.uint64(3))
            columns[count] = place
            values[count] = np.float32(shown[first + place]) - np.float32(base[place])
            count += 1
            left &= ~(np.uint64(255) << bits)
    for i in range(whole, size):
        if shown[first + i] != base[i]:
            columns[count] = i
            values[count] = np.float32(shown[first + i]) - np.float32(base[i])
            count += 1
    for i in range(flat_base.size):
        if flat[q, i] != flat_base[i]:
            columns[count] = size + i
            values[count] = flat[q, i] - flat_base[i]
            count += 1
    return count


@njit(**COMPILED)
def gather_offsets(index, offsets, out):
    """Write where the entries of the rows index int64[B] start when they stand one behind the other, int64[B + 1]."""
    count = 0
    for b in range(index.size):
        out[b] = count
        count += offsets[index[b] + 1] - offsets[index[b]]
    out[index.size] = count


@njit(**COMPILED)
def gather_entries(entries, out):
    """Copy the entries of the rows of an index to out, (offsets as of `gather_offsets`, columns, values)."""
    index, columns, values, offsets = entries
    for b in range(index.size):
        first, target = offsets[index[b]], out[0][b]
        for k in range(out[0][b + 1] - target):
            out[1][target + k] = columns[first + k]
            out[2][target + k] = values[first + k]


@njit(**COMPILED)
def sum_rows(entries, weight, start, out):
    """Write relu(start + Σ_k v_k weight[i_k]), float32[B, D]."""
    index, columns, values, offsets = entries
    for b in range(index.size):
        _sum_row((columns, values), (offsets[index[b]], offsets[index[b] + 1]), weight, start, out, b)


@njit(**COMPILED)
def sum_differences(planes, numbers, scratch, weight, start, out):
    """`sum_rows` of the rows that `find_entries` takes, without keeping the entries; returns whether all is written.

    It is not where a number is not finite, or where entries may not find room in `scratch`, which is (columns, values).
    """
    columns, values = scratch
    count = 0
    for q in range(numbers[0].shape[0]):
        if count + planes[1].size + numbers[1].size > columns.size:
            return False
        for i in range(numbers[1].size):
            if not np.isfinite(numbers[0][q, i]):
                return False
        last = _entries_of(planes, numbers, q, columns, values, count)
        _sum_row(scratch, (count, last), weight, start, out, q)
        count = last
    return True


@njit(**INLINED)
def _sum_row(entries, limits, weight, start, out, b):
    columns, values = entries
    for d in range(start.size):
        out[b, d] = start[d]
    for k in range(limits[0], limits[1]):
        column, value = columns[k], values[k]
        for d in range(start.size):
            out[b, d] += value * weight[column, d]
    for d in range(start.size):
        if out[b, d] < 0.0:  # NaN stays what it is.
            out[b, d] = 0.0


@njit(**COMPILED)
def spread_rows(entries, gradient, hidden, outputs):
    """Add to the gradients of start and weight what reaches them through the units that are above 0."""
    (index, columns, values, offsets), (reached, to_start, to_weight) = entries, outputs
    for b in range(index.size):
        for d in range(reached.size):
            reached[d] = gradient[b, d] if hidden[b, d] > 0.0 else np.float32(0.0)
            to_start[d] += reached[d]
        for k in range(offsets[index[b]], offsets[index[b] + 1]):
            column, value = columns[k], values[k]
            for d in range(reached.size):
                to_weight[column, d] += value * reached[d]
