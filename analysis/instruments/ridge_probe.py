"""Ridge probes of numbers (V*, the return that follows, a distance), held out by group, against a control task.

As `analysis.instruments.probes`, with explained variance in the place of accuracy.

Shapes: n rows, d features, G groups, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from agents.seeding import numpy_generator
from analysis.instruments import held_out
from analysis.instruments.arrays import refuse_not_finite
from analysis.instruments.control_task import control_numbers, state_ids
from analysis.instruments.probe_input import check_shapes, drop_constant, refuse_few_states
from analysis.instruments.probes import ProbeSettings
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Fit = Callable[[Floats, Floats, Ints], Pipeline]

PENALTIES = (1e-2, 1.0, 1e2, 1e4)
"""Candidates for the weight of the squared norm; features have variance 1, so that 1 weighs as one row."""


@dataclass(frozen=True)
class RidgeResult:
    """One ridge probe's reading of one network.

    Attributes:
        num_rows: n.
        num_states: Distinct states among the rows.
        num_groups: G.
        num_features: d.
        explained: 1 - sum (y - prediction)^2 / sum (y - mean of the training part)^2 over held-out rows; 1 at best, 0
            for the mean, negative where groups that were not seen are read worse than by the mean.
        explained_uniform: The same with each distinct state counted once.
        interval: Bootstrap over held-out groups, widened as that of `probes.linear_probe`.
        control_explained: The same procedure on the control task.
        selectivity: `explained` - `control_explained`, the latter at least 0.
        control_coverage: Share of held-out rows whose control type occurs in their training part.
    """

    num_rows: int
    num_states: int
    num_groups: int
    num_features: int
    explained: float
    explained_uniform: float
    interval: tuple[float, float]
    control_explained: float
    selectivity: float
    control_coverage: float


def ridge_probe(
    features: ArrayLike,
    targets: ArrayLike,
    groups: ArrayLike,
    *,
    seed: int,
    states: ArrayLike | None = None,
    control_types: ArrayLike | None = None,
    settings: ProbeSettings | None = None,
) -> RidgeResult:
    """Says how much of the variance of a number a linear readout of features tells on groups that it did not see.

    Args:
        features: float[n, d], finite, no constant column.
        targets: float[n], finite, not all equal.
        groups: int[n], the unit that is held out.
        seed: Names the stream of folds, control targets and resamples.
        states: As `probes.linear_probe`.
        control_types: As `probes.linear_probe`; each type gets one of the targets at random.
        settings: `ProbeSettings()` where left out; its penalties are those of classifiers and are not read.

    Raises:
        UserError: Wrong lengths; numbers that are not finite; constant features or targets; fewer groups than folds;
            fewer distinct states than `states_per_dimension` * (d + 1).

    Cannot show: that V uses what is read. V* is a function of the state, so that a layer which merely tells states
    apart explains it within the states that were seen; hold out states or levels, and read `selectivity`.
    """
    settings = settings or ProbeSettings()
    h, y, group = _checked(features, targets, groups, num_folds=settings.num_folds)
    ids = state_ids(h if states is None else states, num_rows=len(y))
    types = ids if control_types is None else state_ids(control_types, num_rows=len(y))
    refuse_few_states(len(np.unique(ids)), h.shape[1], states_per_dimension=settings.states_per_dimension)
    stream = numpy_generator(seed, "ridge probe")
    control = control_numbers(types, y, stream=stream)
    folds = held_out.group_folds(np.zeros(len(y), dtype=np.int64), group, num_folds=settings.num_folds, stream=stream)
    fit = partial(fit_ridge, num_folds=settings.num_inner_folds, stream=stream)
    task, rival = (_errors(h, z, group, folds=folds, fit=fit) for z in (y, control))
    explained, rival_explained = (_explained(*errors) for errors in (task, rival))
    draws = held_out.resampled_groups(int(group.max()) + 1, settings.num_resamples, stream=stream)
    left, total = (draws @ np.bincount(group, each) for each in task)
    return RidgeResult(
        num_rows=len(y),
        num_states=len(np.unique(ids)),
        num_groups=int(group.max()) + 1,
        num_features=h.shape[1],
        explained=explained,
        explained_uniform=_explained(*(each * held_out.uniform_over_states(ids) for each in task)),
        interval=held_out.cross_validated_interval(
            1.0 - left / total,
            explained,
            level=settings.level,
            num_folds=settings.num_folds,
            bounds=(-np.inf, 1.0),
        ),
        control_explained=rival_explained,
        selectivity=explained - max(rival_explained, 0.0),
        control_coverage=held_out.train_coverage(types, folds),
    )


def fit_ridge(
    features: Floats, targets: Floats, groups: Ints, *, num_folds: int, stream: np.random.Generator
) -> Pipeline:
    """Standardises and fits with the penalty that reads held-out groups of this part best (ties: the smallest)."""
    num_folds = min(num_folds, len(np.unique(groups)))
    if num_folds < 2:
        return _fit_penalty(features, targets, groups, penalty=1.0)
    folds = held_out.group_folds(np.zeros(len(targets), dtype=np.int64), groups, num_folds=num_folds, stream=stream)
    fits = [partial(_fit_penalty, penalty=penalty) for penalty in PENALTIES]
    scores = [_explained(*_errors(features, targets, groups, folds=folds, fit=fit)) for fit in fits]
    return fits[int(np.argmax(scores))](features, targets, groups)


def _fit_penalty(features: Floats, targets: Floats, groups: Ints, *, penalty: float) -> Pipeline:
    """Fits one candidate; the groups have no say in it."""
    return make_pipeline(StandardScaler(), Ridge(alpha=penalty)).fit(features, targets)


def _errors(features: Floats, targets: Floats, groups: Ints, *, folds: Ints, fit: Fit) -> tuple[Floats, Floats]:
    """Squared errors of held-out rows, float64[n] twice: of the readout, and of the mean of its training part."""
    squared, baseline = np.zeros(len(targets)), np.zeros(len(targets))
    for fold in np.unique(folds):
        test = folds == fold
        model = fit(features[~test], targets[~test], groups[~test])
        squared[test] = (targets[test] - model.predict(features[test])) ** 2
        baseline[test] = (targets[test] - targets[~test].mean()) ** 2
    return squared, baseline


def _explained(squared: Floats, baseline: Floats) -> float:
    return float(1.0 - squared.sum() / baseline.sum())


def _checked(
    features: ArrayLike, targets: ArrayLike, groups: ArrayLike, *, num_folds: int
) -> tuple[Floats, Floats, Ints]:
    """Features, targets and groups renumbered from 0, or what is wrong with them."""
    h, y, names = np.asarray(features, dtype=np.float64), np.asarray(targets, dtype=np.float64), np.asarray(groups)
    check_shapes(h, groups=names)
    refuse_not_finite("features", h)
    if y.shape != (len(h),) or not np.isfinite(y).all() or np.ptp(y) == 0:
        raise UserError(
            f"targets have shape {y.shape}, {int((~np.isfinite(y)).sum())} of them not finite and "
            f"{len(np.unique(y))} distinct; each of the {len(h)} rows needs a finite number, and they must differ"
        )
    if num_constant := drop_constant(h)[1]:
        raise UserError(
            f"{num_constant} of {h.shape[1]} features are constant; leave them out with drop_constant and say so"
        )
    group = np.unique(names, return_inverse=True)[1].astype(np.int64)
    if not 2 <= num_folds <= group.max() + 1:
        raise UserError(
            f"{num_folds} folds over {group.max() + 1} groups: folds must be at least 2 and at most the number of "
            "groups; collect more episodes or ask for fewer folds"
        )
    return h, y, group
