"""How a probe's accuracy grows with the number of groups (episodes) that it is fitted on.

Where it still grows at the end, more groups would read more, and a low accuracy says little about the layer.

Shapes: n rows, d features.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from agents.seeding import numpy_generator
from analysis.instruments import held_out
from analysis.instruments.probe_input import checked_probe_input
from analysis.instruments.probes import ProbeSettings, fit_logistic

NUM_PARTS, PARTS_FITTED = 10, (1, 2, 4, 8)


def accuracy_by_groups(
    features: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, seed: int, penalty: float = 1.0
) -> dict[int, float]:
    """Balanced accuracy on one fifth of the groups of probes fitted on 1, 2, 4 and 8 tenths of them.

    Groups are dealt to ten parts with nearly equal class frequencies (`held_out.group_folds`).

    Args:
        features: float[n, d], finite, no column constant.
        labels: int[n].
        groups: int[n], each class in at least ten of them.
        seed: Deals the groups.
        penalty: scikit-learn's C, the same for all.

    Returns:
        Number of groups fitted on -> accuracy.

    Raises:
        UserError: As `checked_probe_input`.
    """
    data = checked_probe_input(features, labels, groups, num_folds=NUM_PARTS)
    stream = numpy_generator(seed, "probe growth")
    part = held_out.group_folds(data.labels, data.groups, num_folds=NUM_PARTS, stream=stream)
    held, settings = part >= max(PARTS_FITTED), replace(ProbeSettings(), penalties=(penalty,))
    grown = {}
    for num_parts in PARTS_FITTED:
        known = part < num_parts
        probe = fit_logistic(
            data.features[known], data.labels[known], data.groups[known], settings=settings, stream=stream
        )
        told = np.asarray(probe.predict(data.features[held]), dtype=np.int64)
        grown[len(np.unique(data.groups[known]))] = held_out.balanced_accuracy(data.labels[held], told)
    return grown
