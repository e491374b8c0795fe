"""A numbered set of rows: every distinct row gets the next free number, and known rows are found again.

An open-addressing hash table with linear probing over the rows' own storage; equality is exact (all entries are
compared), so two rows never share a number however their hashes fall.

Shapes: N rows asked for, S rows stored, R entries of a row.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


@njit(cache=True)
def slot_of(row: NDArray[np.int16], rows: NDArray[np.int16], table: NDArray[np.int32]) -> np.int64:
    """Place of ``row`` in the table: its own, or the free one (entry -1) where it belongs."""
    key = np.uint64(0)
    for entry in row:
        key = (key ^ np.uint64(entry)) * _PRIME
        key ^= key >> _SHIFT
    mask = table.size - 1
    slot = np.int64(key & np.uint64(mask))
    while table[slot] >= 0:
        stored = rows[table[slot]]
        same = True
        for i in range(row.size):
            if stored[i] != row[i]:
                same = False
                break
        if same:
            return slot
        slot = (slot + 1) & mask
    return slot


@njit(cache=True)
def _find(asked: NDArray[np.int16], rows: NDArray[np.int16], table: NDArray[np.int32]) -> NDArray[np.int64]:
    """Number of each asked row, -1 where it is not stored."""
    found = np.empty(asked.shape[0], np.int64)
    for n in range(asked.shape[0]):
        found[n] = table[slot_of(asked[n], rows, table)]
    return found


@njit(cache=True)
def _intern(
    asked: NDArray[np.int16], rows: NDArray[np.int16], table: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int64], int]:
    """Number of each asked row, new rows appended to ``rows`` and ``table``; the second output is the new count."""
    found = np.empty(asked.shape[0], np.int64)
    for n in range(asked.shape[0]):
        slot = slot_of(asked[n], rows, table)
        if table[slot] < 0:
            rows[count] = asked[n]
            table[slot] = count
            count += 1
        found[n] = table[slot]
    return found, count


class RowIndex:
    """A growing set of rows, numbered 0, 1, 2, ... in the order of their first appearance."""

    def __init__(self, row_size: int) -> None:
        """Start empty, for rows of ``row_size`` entries."""
        self._count = 0
        self._rows = np.empty((0, row_size), np.int16)
        self._table = np.full(2, -1, np.int32)

    @classmethod
    def of(cls, rows: NDArray[np.int16]) -> RowIndex:
        """Index of ``rows`` int16[S, R]; where all are distinct, number and position agree."""
        index = cls(rows.shape[1])
        index.intern(rows)
        return index

    def __len__(self) -> int:
        """Number of distinct rows stored."""
        return self._count

    @property
    def rows(self) -> NDArray[np.int16]:
        """The stored rows int16[S, R] in the order of their numbers: a view, not to be written to."""
        return self._rows[: self._count]

    @property
    def arrays(self) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
        """Rows and table as `slot_of` takes them; not to be written to, and void when rows are added."""
        return self._rows, self._table

    def intern(self, rows: NDArray[np.int16]) -> NDArray[np.int64]:
        """Numbers int64[N] of ``rows`` int16[N, R]; unknown rows are stored first."""
        self.reserve(self._count + rows.shape[0])
        found, self._count = _intern(np.ascontiguousarray(rows, np.int16), self._rows, self._table, self._count)
        return found

    def find(self, rows: NDArray[np.int16]) -> NDArray[np.int64]:
        """Numbers int64[N] of ``rows`` int16[N, R], -1 for unknown ones."""
        return _find(np.ascontiguousarray(rows, np.int16), self._rows, self._table)

    def adopt(self, count: int) -> None:
        """Take over what a kernel has stored in `arrays`, within the room that was reserved: ``count`` rows in all."""
        self._count = count

    def reserve(self, capacity: int) -> None:
        """Make room for ``capacity`` rows; the table stays at most half full."""
        if capacity <= self._rows.shape[0]:
            return
        capacity = max(capacity, 2 * self._rows.shape[0], 16)
        old, self._rows = self.rows, np.empty((capacity, self._rows.shape[1]), np.int16)
        self._table = np.full(1 << (2 * capacity - 1).bit_length(), -1, np.int32)
        _intern(old, self._rows, self._table, 0)
