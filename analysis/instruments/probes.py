"""Linear probes of features, held out by group, against a control task.

A probe is a multinomial logistic regression from features h to a label z. It is read only on groups (episodes, levels
or states) that its training never saw, and only beside the same probe on a control task.

Shapes: n rows, d features, K classes, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from agents.seeding import numpy_generator
from analysis.instruments import held_out
from analysis.instruments.control_task import control_labels, state_ids
from analysis.instruments.probe_input import ProbeInput, checked_probe_input, refuse_few_states
from envs.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ProbeSettings:
    """How a probe is fitted and judged.

    Attributes:
        num_folds: Outer folds over groups, at least 2.
        num_inner_folds: Folds over the groups of an outer training part, in which `penalties` compete.
        penalties: Candidates for scikit-learn's C (inverse weight of the L2 penalty), ascending.
        num_resamples: Bootstrap resamples of groups.
        level: Coverage of the intervals, in (0, 1).
        states_per_dimension: Refuse below this many distinct states per d + 1; 0 refuses nothing and flags below 4.
    """

    num_folds: int = 5
    num_inner_folds: int = 3
    penalties: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    num_resamples: int = 2000
    level: float = 0.95
    states_per_dimension: float = 4.0


@dataclass(frozen=True)
class ProbeResult:
    """One probe's reading of one network. Accuracies are balanced (mean recall over classes), in [0, 1].

    Attributes:
        num_rows: n.
        num_states: Distinct states among the rows.
        num_groups: G.
        num_features: d.
        num_classes: K.
        chance: 1/K, what a blind probe reaches.
        accuracy: Pooled over held-out rows, each row counted once: the occupancy of the data.
        accuracy_uniform: The same predictions with each distinct state counted once.
        interval: Bootstrap over held-out groups for `accuracy`; see `interval_meaning`.
        auroc: Area under the ROC curve, mean over folds and over classes against the rest; .5 for a blind probe.
        fold_accuracies: `accuracy` of each fold.
        confusion: Row i, column j: share of the held-out rows of class i that were told as class j.
        control_accuracy: The same procedure on the control task.
        selectivity: `accuracy` - `control_accuracy`.
        selectivity_interval: Bootstrap with the same resamples in both terms.
        control_coverage: Share of held-out rows whose control type occurs in their training part. Near 0 the control
            labels cannot be memorised, and selectivity says no more than `accuracy` - `chance`.
        interval_meaning: What the intervals vary over.
        flags: Warnings for the reader, in words.
    """

    num_rows: int
    num_states: int
    num_groups: int
    num_features: int
    num_classes: int
    chance: float
    accuracy: float
    accuracy_uniform: float
    interval: tuple[float, float]
    auroc: float
    fold_accuracies: tuple[float, ...]
    confusion: tuple[tuple[float, ...], ...]
    control_accuracy: float
    selectivity: float
    selectivity_interval: tuple[float, float]
    control_coverage: float
    interval_meaning: str
    flags: tuple[str, ...]


def linear_probe(
    features: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    seed: int,
    states: ArrayLike | None = None,
    control_types: ArrayLike | None = None,
    settings: ProbeSettings | None = None,
) -> ProbeResult:
    """Says how well a linear readout of features tells the labels of groups that it was not fitted on.

    accuracy = mean over k of P(argmax_j (W h + b)_j = k | z = k) on held-out groups, h standardised by the training
    part, (W, b) class-balanced multinomial logistic regression, C chosen by held-out groups of the training part.
    selectivity = accuracy - accuracy of the same procedure on control labels.

    Args:
        features: float[n, d], finite, no constant column.
        labels: int[n], at least two classes, each in at least `num_folds` groups.
        groups: int[n], the unit that is held out: episode ids, or level or state ids for a stronger claim.
        seed: Names the stream of folds, control labels and resamples.
        states: int[n] or rows [n, ...] that tell states apart; the rows of `features` where left out.
        control_types: int[n] or rows [n, ...], what carries one control label (the word type of Hewitt and Liang);
            `states` where left out. For groups that are levels, whose states never recur, give agent cell and context.
        settings: `ProbeSettings()` where left out.

    Returns:
        A `ProbeResult`, with intervals within this one network and never over training seeds.

    Raises:
        UserError: Wrong lengths; features not finite or constant; one class only; fewer groups than folds, in all or
            with some class; fewer distinct states than `states_per_dimension` * (d + 1).

    Source: Hewitt & Liang (2019), arXiv 1909.03368, for the control task. Class-balanced weights are ours.

    Cannot show: that the network uses what the probe reads (`context.swap_effect` asks that), nor that something is
    absent, since a readout that is not linear may find it.
    """
    settings = settings or ProbeSettings()
    data = checked_probe_input(features, labels, groups, num_folds=settings.num_folds)
    ids = state_ids(data.features if states is None else states, num_rows=len(data.labels))
    types = ids if control_types is None else state_ids(control_types, num_rows=len(data.labels))
    refuse_few_states(len(np.unique(ids)), data.features.shape[1], states_per_dimension=settings.states_per_dimension)
    return _probe(data, ids, types, seed=seed, settings=settings)


def _probe(data: ProbeInput, ids: Ints, types: Ints, *, seed: int, settings: ProbeSettings) -> ProbeResult:
    """Runs task and control on the same folds and resamples."""
    stream = numpy_generator(seed, "probe")
    control = control_labels(types, data.labels, stream=stream)
    folds = held_out.group_folds(data.labels, data.groups, num_folds=settings.num_folds, stream=stream)
    missing = held_out.missing_classes(data.labels, folds)
    if len(missing):
        raise UserError(
            f"all episodes with class {missing[0]} fell into one fold, so it cannot be both learnt and tested; collect "
            "more of them"
        )
    fit = partial(fit_logistic, settings=settings, stream=stream)
    task = held_out.held_out_predictions(data.features, data.labels, data.groups, folds=folds, fit=fit)
    rival = held_out.held_out_predictions(data.features, control, data.groups, folds=folds, fit=fit)
    num_groups = int(data.groups.max()) + 1
    draws = held_out.resampled_groups(num_groups, settings.num_resamples, stream=stream)
    task_draws = held_out.resampled_accuracy(data.labels, task.predicted, data.groups, draws=draws)
    rival_draws = held_out.resampled_accuracy(control, rival.predicted, data.groups, draws=draws)
    accuracy = held_out.balanced_accuracy(data.labels, task.predicted)
    control_accuracy = held_out.balanced_accuracy(control, rival.predicted)
    coverage = held_out.train_coverage(types, folds)
    num_states = len(np.unique(ids))
    interval = partial(held_out.cross_validated_interval, level=settings.level, num_folds=settings.num_folds)
    return ProbeResult(
        num_rows=len(data.labels),
        num_states=num_states,
        num_groups=num_groups,
        num_features=data.features.shape[1],
        num_classes=data.num_classes,
        chance=1.0 / data.num_classes,
        accuracy=accuracy,
        accuracy_uniform=held_out.balanced_accuracy(
            data.labels, task.predicted, weights=held_out.uniform_over_states(ids)
        ),
        interval=interval(task_draws, accuracy, bounds=(0.0, 1.0)),
        auroc=held_out.mean_auroc(data.labels, task, folds),
        fold_accuracies=tuple(
            held_out.balanced_accuracy(data.labels[folds == fold], task.predicted[folds == fold])
            for fold in range(settings.num_folds)
        ),
        confusion=held_out.confusion(data.labels, task.predicted),
        control_accuracy=control_accuracy,
        selectivity=accuracy - control_accuracy,
        selectivity_interval=interval(task_draws - rival_draws, accuracy - control_accuracy, bounds=(-1.0, 1.0)),
        control_coverage=coverage,
        interval_meaning=f"{settings.level:.0%} bootstrap over the held-out groups of one trained network, widened for "
        "readouts that share training groups; not an interval over training seeds",
        flags=_flags(num_states, data, coverage=coverage, accuracy=accuracy, control_accuracy=control_accuracy),
    )


def fit_logistic(
    features: Floats, labels: Ints, groups: Ints, *, settings: ProbeSettings, stream: np.random.Generator
) -> Pipeline:
    """Standardises and fits with the C that reads held-out groups of this part best (ties: the smallest C)."""
    num_folds = min([settings.num_inner_folds] + [len(np.unique(groups[labels == k])) for k in np.unique(labels)])
    if len(settings.penalties) == 1 or num_folds < 2:
        return _logistic(settings.penalties[0]).fit(features, labels)
    folds = held_out.group_folds(labels, groups, num_folds=num_folds, stream=stream)
    if len(held_out.missing_classes(labels, folds)):
        return _logistic(settings.penalties[0]).fit(features, labels)
    scores = []
    for penalty in settings.penalties:
        fit = partial(_fit_penalty, penalty=penalty)
        inner = held_out.held_out_predictions(features, labels, groups, folds=folds, fit=fit)
        scores.append(held_out.balanced_accuracy(labels, inner.predicted))
    return _logistic(settings.penalties[int(np.argmax(scores))]).fit(features, labels)


def _logistic(penalty: float) -> Pipeline:
    """Class-balanced logistic regression on features standardised by its own training part."""
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=penalty, class_weight="balanced", tol=1e-3, max_iter=300)
    )


def _fit_penalty(features: Floats, labels: Ints, groups: Ints, *, penalty: float) -> Pipeline:
    """Fits one candidate; the groups have no say in it."""
    return _logistic(penalty).fit(features, labels)


def _flags(
    num_states: int, data: ProbeInput, *, coverage: float, accuracy: float, control_accuracy: float
) -> tuple[str, ...]:
    """Says in words where a number must not be taken at its face."""
    flags = []
    num_features, chance = data.features.shape[1], 1.0 / data.num_classes
    if num_states < 4 * (num_features + 1):
        flags.append(f"{num_states} distinct states for {num_features} features: fewer than 4(d + 1)")
    if accuracy - control_accuracy <= 0.05 and control_accuracy > chance + 0.05:
        flags.append("no selectivity: the control task is read as well as the real one, so states were memorised")
    if coverage < 0.5:
        flags.append(
            f"only {coverage:.0%} of held-out rows have a control type seen in training, so the control task could "
            "not be memorised and selectivity adds little to accuracy"
        )
    return tuple(flags)
