"""What one core of this machine can do, and how rates are measured: CPU time, repeated, the best counts.

Other processes slow a machine down and never speed it up, so the best of several measurements is the least disturbed.
Absolute bars hold on a machine that reaches the reference; elsewhere they are scaled by the smaller ratio to it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

REFERENCE_GFLOPS, REFERENCE_GIGABYTES = 45.0, 20.0


class Machine(NamedTuple):
    """What one core reaches.

    Attributes:
        gflops: float32 matrix product, 10^9 operations per second.
        gigabytes: memset of 64 MiB, 10^9 bytes per second.
    """

    gflops: float
    gigabytes: float

    @property
    def scale(self) -> float:
        """By what absolute bars are multiplied, at most 1."""
        return min(1.0, self.gflops / REFERENCE_GFLOPS, self.gigabytes / REFERENCE_GIGABYTES)

    def __str__(self) -> str:
        """One line for the head of a report."""
        return (
            f"machine, one core: f32 matmul {self.gflops:.0f} GFLOP/s, memset {self.gigabytes:.0f} GB/s in 64 MiB; "
            f"absolute bars x {self.scale:.2f}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )


def best_rate(work: Callable[[], float], *, seconds: float) -> float:
    """Best of repeated calls, in units of work per second of CPU time; `work` returns its units."""
    best, end = 0.0, time.perf_counter() + seconds
    while best == 0.0 or time.perf_counter() < end:
        start = time.process_time()
        units = work()
        best = max(best, units / max(time.process_time() - start, 1e-9))
    return best


def memset_rate(seconds: float, *, num_bytes: int = 64 * 2**20) -> float:
    """Bytes per second of filling one block of this size again and again."""
    block, repeats = np.zeros(num_bytes, np.uint8), max(1, 2**25 // num_bytes)

    def work() -> float:
        for value in range(repeats):
            block.fill(value % 2)
        return float(block.nbytes * repeats)

    return best_rate(work, seconds=seconds)


def matmul_rate(seconds: float) -> float:
    """Floating point operations per second of a float32 matrix product."""
    left = np.random.default_rng(0).random((1024, 1024), np.float32)

    def work() -> float:
        np.matmul(left, left)
        return 2.0 * 1024**3

    return best_rate(work, seconds=seconds)


def measure_machine(seconds: float) -> Machine:
    """Measure this machine."""
    return Machine(gflops=matmul_rate(seconds) / 1e9, gigabytes=memset_rate(seconds) / 1e9)
