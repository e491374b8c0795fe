"""Recursive contrast-consistent search: how many mutually orthogonal directions are consistent.

Find a direction, ask for one orthogonal to all found before, and so on. Orthogonal directions need not be different
features: what is left of one feature beside the first direction can serve a second one (in a language model more than
20 had similar accuracy, Roger 2023). So beside the number of consistent directions stands the number of *distinct*
ones: those whose answers on held-out pairs no earlier one gives.

Shapes: n pairs, d features, K directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import derive_seed
from analysis.instruments.contrast_pairs import ContrastPairs, feature_size, require_contrast, side_means
from analysis.instruments.truth import CcsProbe, CcsReading, CcsSettings, fit_ccs, read_ccs, signed_accuracy
from analysis.instruments.truth_directions import direction_losses, random_directions

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RecursiveCcs:
    """Directions in the order in which they were found.

    Attributes:
        probes: K probes with mutually orthogonal directions.
        readings: Of each on the held-out pairs.
        consistent: bool[K], held-out loss below `tau`.
        distinct: bool[K], consistent, and its answers agree with those of no earlier distinct one.
        tau: Bound on the loss.
        random_losses: float64[R], of random directions at their best length on the held-out pairs.
        random_accuracies: float64[R], signs set by the training pairs; NaN without labels.
    """

    probes: tuple[CcsProbe, ...]
    readings: tuple[CcsReading, ...]
    consistent: Bools
    distinct: Bools
    tau: float
    random_losses: Floats
    random_accuracies: Floats

    @property
    def directions(self) -> Floats:
        """Unit directions, float64[K, d]."""
        return np.stack([probe.direction / np.linalg.norm(probe.direction) for probe in self.probes])


def recursive_ccs(
    train: ContrastPairs,
    test: ContrastPairs,
    *,
    num_directions: int,
    seed: int,
    tau: float = 0.1,
    settings: CcsSettings | None = None,
    num_random: int = 200,
) -> RecursiveCcs:
    """Finds directions one after the other, each orthogonal to those before, and reads them on held-out pairs.

    Args:
        train: Pairs to search on, by episode, level or state apart from the test pairs.
        test: Held-out pairs.
        num_directions: K, at most d.
        seed: Of starts and random directions.
        tau: Bound on the held-out loss, between that of a perfect direction, 0, and a silent one, .25.
        settings: Of each search.
        num_random: R, directions of the band beside.

    Returns:
        `RecursiveCcs`, with min(K, d) directions.

    Raises:
        UserError: As `fit_ccs` and `read_ccs`.

    Cannot show: that a direction stands for anything, or that V uses it. The numbers are for comparison with the same
    of an untrained network.
    """
    centred = train.centred(side_means(train))
    require_contrast(centred)
    unit = feature_size(centred)
    probes: list[CcsProbe] = []
    found = np.zeros((0, train.plus.shape[1]))
    for index in range(min(num_directions, train.plus.shape[1])):
        step_seed = derive_seed(seed, "ccs", index)
        probes.append(fit_ccs(train, seed=step_seed, settings=settings, orthogonal_to=found, unit=unit))
        found = np.vstack([found, probes[-1].direction / np.linalg.norm(probes[-1].direction)])
    readings = tuple(read_ccs(probe, train, test) for probe in probes)
    consistent = np.array([reading.loss < tau for reading in readings])
    answers = np.stack([probe.says_plus(test) for probe in probes])
    losses, accuracies = _random_band(train, test, seed=derive_seed(seed, "random"), num_random=num_random)
    return RecursiveCcs(
        tuple(probes), readings, consistent, distinct_answers(answers, consistent), tau, losses, accuracies
    )


def distinct_answers(answers: Bools, counted: Bools) -> Bools:
    """Which of the counted directions answer otherwise than every earlier distinct one, bool[K] for answers bool[K, n].

    Two sets of answers are the same if they agree, up to the sign, on more than 3/4 of the pairs: half of the way from
    unrelated to equal.
    """
    distinct = np.zeros(len(answers), dtype=np.bool_)
    for index in np.flatnonzero(counted):
        agreed = [float((answers[index] == answers[old]).mean()) for old in np.flatnonzero(distinct)]
        distinct[index] = all(0.25 <= share <= 0.75 for share in agreed)
    return distinct


def _random_band(train: ContrastPairs, test: ContrastPairs, *, seed: int, num_random: int) -> tuple[Floats, Floats]:
    """Held-out loss and accuracy of random directions."""
    directions, means = random_directions(train.plus.shape[1], num_random, seed=seed), side_means(train)
    losses = direction_losses(test.centred(means), directions)
    if train.labels is None or test.labels is None:
        return losses, np.full(num_random, np.nan)
    accuracies = []
    for direction in directions:
        probe = CcsProbe(direction, 0.0, means, np.nan)
        flip = signed_accuracy(train, probe.says_plus(train)) < 0.5
        accuracies.append(signed_accuracy(test, probe.says_plus(test) ^ flip))
    return losses, np.array(accuracies)
