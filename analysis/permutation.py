"""Exact permutation tests on per-seed scores: sign flips of paired differences, and two samples.

All 2^N sign vectors, or all C(N + M, N) relabellings, are counted without listing them: the seeds are cut into two
halves, every half's sums are sorted, and pairs that reach the observed sum are counted by binary search (Horowitz and
Sahni 1974). So 20 seeds an arm are exact in under a second, and the p value is a ratio of two integers.

Smallest one-sided p: 1 / 2^N paired, 1 / C(2 N, N) for two samples of N. Three paired seeds cannot get below .125.

Shape key: N, M seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics import check_scores

Half = tuple[NDArray[np.float64], NDArray[np.float64]]

MAX_EXACT_SEEDS = 40
"""Seeds in all up to which the count is exact: two halves of 2^20 sums."""

TIE_TOLERANCE = 1e-12
"""Sums that differ by less than this share of the largest possible sum count as tied, in the null's favour."""


@dataclass(frozen=True)
class PermutationTest:
    """One-sided (first larger) and two-sided p values; ``num_arrangements`` is what they are shares of."""

    difference: float
    p_greater: float
    p_two_sided: float
    num_arrangements: int


def sign_flip_test(differences: ArrayLike) -> PermutationTest:
    """Exact test that paired differences are symmetric about 0.

    p_greater = #{signs: sum_i s_i x_i >= sum_i x_i} / 2^N;  p_two_sided likewise with absolute sums.

    Args:
        differences: [N, J]; tasks are averaged within each seed first. 1 <= N <= 40.

    Raises:
        ValueError: more seeds than can be counted exactly, or not one row per seed.
    """
    per_seed = check_scores(differences, min_seeds=1).mean(axis=1)
    _check_size(per_seed.size)
    even, odd = _signed_sums(per_seed[::2]), np.sort(_signed_sums(per_seed[1::2]))
    observed, slack = float(per_seed.sum()), TIE_TOLERANCE * float(np.abs(per_seed).sum())
    total = 2**per_seed.size
    above = _count_at_least(even, odd, threshold=observed - slack)
    extreme = _count_at_least(even, odd, threshold=abs(observed) - slack)
    # The sums are symmetric about 0, so the lower tail has as many; a threshold of 0 or less counts everything.
    two_sided = total if abs(observed) <= slack else 2 * extreme
    return PermutationTest(observed / per_seed.size, above / total, two_sided / total, total)


def two_sample_test(first: ArrayLike, second: ArrayLike) -> PermutationTest:
    """Exact test that two arms without common seeds have the same distribution, by the difference of means.

    p_greater = #{relabellings with mean difference >= observed} / C(N + M, N); two-sided by absolute difference.

    Args:
        first: [N, J]; tasks are averaged within each seed first.
        second: [M, J], N + M <= 40.

    Raises:
        ValueError: more seeds than can be counted exactly, or not one row per seed.
    """
    x, y = check_scores(first, min_seeds=1).mean(axis=1), check_scores(second, min_seeds=1).mean(axis=1)
    _check_size(x.size + y.size)
    pooled = np.concatenate([x, y])
    pooled -= pooled.mean()
    observed, slack = float(pooled[: x.size].sum()), TIE_TOLERANCE * float(np.abs(pooled).sum())
    # After centring, the difference of means is the first arm's sum times a constant, so sums are compared.
    halves = list(_halves_by_size(pooled, x.size))
    mirrored = [(-left, -right[::-1]) for left, right in halves]
    total = math.comb(pooled.size, x.size)
    extreme = sum(_count_pairs(side, threshold=abs(observed) - slack) for side in (halves, mirrored))
    two_sided = total if abs(observed) <= slack else extreme
    greater = _count_pairs(halves, threshold=observed - slack)
    return PermutationTest(float(x.mean() - y.mean()), greater / total, two_sided / total, total)


def _check_size(num_seeds: int) -> None:
    if num_seeds > MAX_EXACT_SEEDS:
        raise ValueError(
            f"There are {num_seeds} seeds, but the count is exact up to {MAX_EXACT_SEEDS} in all; use the t test "
            "(analysis.statistics), which is reliable at that size."
        )


def _signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """All 2^n sums of +-values."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _halves_by_size(pooled: NDArray[np.float64], size: int) -> Iterator[Half]:
    """For each way to split ``size`` members over the halves: the sums of the left and, sorted, of the right half."""
    (left, left_sizes), (right, right_sizes) = _subset_sums(pooled[::2]), _subset_sums(pooled[1::2])
    for num_left in range(size + 1):
        pair = left[left_sizes == num_left], right[right_sizes == size - num_left]
        if pair[0].size and pair[1].size:
            yield pair[0], np.sort(pair[1])


def _subset_sums(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The sums of all 2^n subsets and their numbers of members."""
    sums, sizes = np.zeros(1), np.zeros(1, dtype=np.int64)
    for value in values:
        sums, sizes = np.concatenate([sums, sums + value]), np.concatenate([sizes, sizes + 1])
    return sums, sizes


def _count_at_least(left: NDArray[np.float64], right: NDArray[np.float64], *, threshold: float) -> int:
    """Number of pairs with left_i + right_j >= threshold; ``right`` is sorted."""
    return int((right.size - np.searchsorted(right, threshold - left, side="left")).sum(dtype=np.int64))


def _count_pairs(halves: Iterable[Half], *, threshold: float) -> int:
    return sum(_count_at_least(left, right, threshold=threshold) for left, right in halves)
