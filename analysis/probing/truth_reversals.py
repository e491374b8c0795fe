"""Contrast pairs of an agent: one situation under two contexts, searched for directions that flip.

Each side's mean is taken off, and with it whatever a network holds of the context by itself; what can still be
consistent are features of situation *and* context, such as "what is asked for here is near".

Shapes: n pairs, d features, p principal components, C contexts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import derive_seed, numpy_generator
from analysis.instruments.contrast_pairs import ContrastPairs, contrast_pairs, side_means
from analysis.instruments.truth import CcsSettings
from analysis.instruments.truth_directions import direction_losses, random_directions, truth_like_share
from analysis.instruments.truth_recursive import RecursiveCcs, recursive_ccs
from analysis.probing.activity import Activity
from analysis.probing.material import Pairs
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SEARCH = CcsSettings(num_starts=5, num_epochs=500)
"""Half of the published starts and steps, which find the planted features as well: many searches are made."""
NUM_DIRECTIONS, NUM_COMPONENTS, NUM_RANDOM = 5, 64, 10
MOST_PAIRS, FEWEST_PAIRS, MOST_REVERSALS = 900, 100, 3


@dataclass(frozen=True, eq=False)
class Reversal:
    """Which situations are searched under which two contexts.

    Attributes:
        contexts: Columns of `Pairs.table`.
        chosen: int64[n], situations.
        is_test: bool[n], those of held-out levels.
        flips: Whether V* calls each of them better than average under one context and worse under the other. Where too
            few are like that, all situations are searched.
        labels: bool[n], whether the first context is the better one; None where V* does not tell them apart.
        optimal_loss: CCS loss of V* itself as the one feature; NaN where V* is not known.
        seed: Of the search.
    """

    contexts: tuple[int, int]
    chosen: Ints
    is_test: Bools
    flips: bool
    labels: Bools | None
    optimal_loss: float
    seed: int


@dataclass(frozen=True, eq=False)
class Searched:
    """One site of one network under one reversal of contexts.

    Attributes:
        search: What was found.
        share: Of random directions with a CCS loss below τ.
        held_out: The held-out pairs as they were searched.
        axes: float64[p, d], orthonormal: the principal components in which they were, or all features.
    """

    search: RecursiveCcs
    share: float
    held_out: ContrastPairs
    axes: Floats


def reversals_of(pairs: Pairs, *, seed: int) -> tuple[Reversal, ...]:
    """Chooses pairs of contexts (all where they are few), situations, and half of their levels to be held out.

    As a statement is true with "Yes" or with "No" and never with both, situations are wanted that are good under one of
    the contexts. V* chooses them, and does not say which side is the good one.

    Raises:
        UserError: Too few situations or levels.
    """
    every = list(itertools.combinations(range(pairs.num_contexts), 2))
    drawn = numpy_generator(seed, "truth", "reversals").permutation(len(every))[:MOST_REVERSALS]
    return tuple(_reversal(pairs, every[index], seed=derive_seed(seed, "truth", int(index))) for index in sorted(drawn))


def _reversal(pairs: Pairs, contexts: tuple[int, int], *, seed: int) -> Reversal:
    optimal = pairs.table(pairs.sample.optimal)[:, contexts]
    above = optimal - optimal.mean(axis=0)
    flipping = np.flatnonzero((above[:, 0] * above[:, 1] < 0.0) & (np.abs(above) > 1e-9).all(axis=1))
    flips = len(flipping) >= FEWEST_PAIRS
    situations = flipping if flips else np.arange(len(optimal))
    stream = numpy_generator(seed, "situations")
    chosen = np.sort(stream.permutation(situations)[:MOST_PAIRS])
    levels = pairs.table(pairs.sample.states.groups)[chosen, 0]
    names = np.unique(levels)
    if len(chosen) < FEWEST_PAIRS or len(names) < 4:
        raise UserError(
            f"there are {len(chosen)} situations of {len(names)} levels; at least {FEWEST_PAIRS} of 4 levels are "
            "needed to search some and hold out others: collect more levels (`Collection.num_levels`) or, with a "
            "context of your own, let it take fewer values, as situations count that occur under all of them"
        )
    is_test = np.isin(levels, stream.permutation(names)[: len(names) // 2])
    return Reversal(
        contexts, chosen, is_test, flips, _preferences(optimal[chosen], is_test), _optimal_loss(optimal[chosen]), seed
    )


def search_site(pairs: Pairs, network: Activity, site: str, *, reversal: Reversal) -> Searched:
    """Searches a site under a reversal."""
    train, test, axes = pairs_to_search(pairs, network, site, reversal=reversal)
    seed = derive_seed(reversal.seed, site)
    search = recursive_ccs(train, test, num_directions=NUM_DIRECTIONS, seed=seed, settings=SEARCH)
    return Searched(search, truth_like_share(test, seed=seed).share_low_loss, test, axes)


def pairs_to_search(
    pairs: Pairs, network: Activity, site: str, *, reversal: Reversal
) -> tuple[ContrastPairs, ContrastPairs, Floats]:
    """Pairs of the levels to search and of held-out ones, in their components, and these: `Searched.axes`."""
    first, second = (pairs.table(network.site(site))[reversal.chosen, context] for context in reversal.contexts)
    contrast = contrast_pairs(first, second, reversal.labels)
    axes = _components(contrast[~reversal.is_test])
    return _within(contrast[~reversal.is_test], axes), _within(contrast[reversal.is_test], axes), axes


def swing_without(
    pairs: Pairs, network: Activity, site: str, *, searched: Sequence[Searched], reversals: Sequence[Reversal]
) -> tuple[float, float]:
    """What is left of V's swing under reversal once the first direction that was found is taken out of a site.

    The swing is the spread over held-out situations of V(s, c) − V(s, c'): what V makes of situation and context
    together.

    Returns:
        The share of the swing that is left, averaged over reversals, and the same for random directions; NaN where V
        has no swing.
    """
    left, random = [], []
    for reversal, one in zip(reversals, searched, strict=True):
        rows = reversal.chosen[reversal.is_test] * pairs.num_contexts
        sides = [network.take(rows + context) for context in reversal.contexts]
        before = _swing(sides, site, np.zeros(one.axes.shape[1]))
        if before == 0.0:
            return np.nan, np.nan
        left.append(_swing(sides, site, one.search.directions[0] @ one.axes) / before)
        drawn = random_directions(one.axes.shape[1], NUM_RANDOM, seed=reversal.seed)
        random.append(np.mean([_swing(sides, site, direction) for direction in drawn]) / before)
    return float(np.mean(left)), float(np.mean(random))


def _swing(sides: Sequence[Activity], site: str, direction: Floats) -> float:
    """Spread of V's difference between the sides, with a direction [d] set to its mean over both."""
    features = [side.site(site).astype(np.float64) for side in sides]
    mean = np.concatenate(features).mean(axis=0)
    first, second = (
        side.value_of(site, given - np.outer((given - mean) @ direction, direction))
        for side, given in zip(sides, features, strict=True)
    )
    return float((first - second).std())


def _preferences(optimal: Floats, is_test: Bools) -> Bools | None:
    """Whether the first context is better than the second by more than on average; None where V* does not say."""
    gain = optimal[:, 0] - optimal[:, 1]
    if not np.isfinite(gain).all() or np.ptp(gain) < 1e-9:
        return None
    prefers = gain > gain.mean()
    return prefers if all(0 < prefers[rows].mean() < 1 for rows in (is_test, ~is_test)) else None


def _optimal_loss(optimal: Floats) -> float:
    """CCS loss of V* by itself, float64[n, 2]."""
    if not np.isfinite(optimal).all():
        return np.nan
    pairs = ContrastPairs(optimal[:, :1], optimal[:, 1:])
    return float(direction_losses(pairs.centred(side_means(pairs)), np.ones((1, 1)))[0])


def _components(train: ContrastPairs) -> Floats:
    """The leading principal components of both sides, all features where they are few: sites then compare."""
    width = train.plus.shape[1]
    if width <= NUM_COMPONENTS:
        return np.eye(width)
    centred = train.centred(side_means(train))
    rows = np.concatenate([centred.plus, centred.minus])
    return np.asarray(np.linalg.svd(rows, full_matrices=False)[2][:NUM_COMPONENTS])


def _within(pairs: ContrastPairs, axes: Floats) -> ContrastPairs:
    return ContrastPairs(pairs.plus @ axes.T, pairs.minus @ axes.T, pairs.labels)
