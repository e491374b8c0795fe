"""Erase a concept from activations in several ways, and see on fresh rows what is left of it and what it cost.

Episodes are split in four: erasers are fitted on two parts; on the third, erased, probes are fitted anew, and judged on
the fourth, erased. V and the policy are read there too. Beside each eraser stands a random subspace of the same rank,
its change scaled to the same ‖Δh‖: an effect on V is the concept's only as far as it exceeds that of the random one.

A concept is called erased where no probe of `robust_probes` is more than a margin above chance; a linear probe at
chance alone is not enough.

What it cost is in `analysis.instruments.erasure_cost`.

Shapes: n rows, d features, K classes, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from agents.seeding import derive_seed, numpy_generator
from analysis.instruments.erasers import (
    Eraser,
    change_size,
    class_gap,
    mean_projection,
    random_subspace,
    scaled_to,
)
from analysis.instruments.erasure_cost import Cost, Costing, Reading, costing, mean_cost
from analysis.instruments.erasure_data import Activations, Floats, Ints
from analysis.instruments.inlp import inlp
from analysis.instruments.leace import fit_leace
from analysis.instruments.robust_probes import PROBES, linear_gain, probe_accuracies
from analysis.instruments.translation import equal_geometric_medians, equal_means, equal_medians

INLP_STEPS = (1, 2, 4, 8)
RANDOM_DRAWS = 5


def standard_erasers(data: Activations) -> Mapping[str, Eraser]:
    """The erasures that take seconds, fitted: translations, mean projection, LEACE and INLP after 1, 2, 4, 8 steps.

    RLACE and the directions of CDE are fitted apart (`rlace`, `cde`) and judged by `judge` beside these.
    """
    rows, labels = data.part(data.fit)
    trace = inlp(rows, labels, held_out=data.part(data.train), num_steps=max(INLP_STEPS), tolerance=0.01)
    ran = sorted({min(steps, len(trace.bases)) for steps in INLP_STEPS})
    return {
        "equal means": equal_means(rows, labels),
        "equal medians by feature": equal_medians(rows, labels),
        "equal geometric medians": equal_geometric_medians(rows, labels),
        "mean projection": mean_projection(rows, labels),
        "LEACE": fit_leace(rows, labels),
        **{f"INLP, {steps} step{'s' * (steps > 1)}": trace.eraser(steps) for steps in ran},
    }


@dataclass(frozen=True)
class Erasure:
    """One eraser, judged on fresh rows.

    Attributes:
        name: The eraser's.
        num_dimensions: Its rank.
        needs_labels: It cannot be applied to states whose concept is not known.
        accuracies: Balanced accuracy of probes fitted after erasing, by name.
        linear_gain: Share of the constant's log loss that a linear probe saves after erasing; 0 is what LEACE promises.
        gap: Largest distance of two class means along one feature, in its standard deviations.
        cost: Its own.
        random_accuracy: Of the linear probe after erasing a random subspace of this rank and ‖Δh‖.
        random_cost: Mean over random subspaces of this rank and ‖Δh‖.
    """

    name: str
    num_dimensions: int
    needs_labels: bool
    accuracies: Mapping[str, float]
    linear_gain: float
    gap: float
    cost: Cost
    random_accuracy: float
    random_cost: Cost


@dataclass(frozen=True)
class ErasureReport:
    """All erasures of one concept from one site.

    Attributes:
        num_rows: Of the parts: fit, train, test.
        num_features: d.
        chance: 1 / K.
        before: Balanced accuracy of each probe on fresh rows that nothing was taken from.
        gain_before: Their `linear_gain`.
        gap_before: Their `gap`.
        erasures: In the order given.
        flags: Warnings for the reader, in words.
    """

    num_rows: tuple[int, int, int]
    num_features: int
    chance: float
    before: Mapping[str, float]
    gain_before: float
    gap_before: float
    erasures: tuple[Erasure, ...]
    flags: tuple[str, ...]

    def readable(self, erasure: Erasure, *, margin: float = 0.05) -> tuple[str, ...]:
        """Probes that still read the concept by more than `margin` above chance; none means erased."""
        return tuple(name for name, accuracy in erasure.accuracies.items() if accuracy > self.chance + margin)


def judge(
    data: Activations,
    erasers: Mapping[str, Eraser],
    *,
    seed: int,
    value_of: Reading | None = None,
    logits_of: Reading | None = None,
) -> ErasureReport:
    """Judges erasers on rows that none of them was fitted on.

    Args:
        data: From `split_activations`.
        erasers: By name, fitted on `data.fit` alone.
        seed: Of probes and random subspaces.
        value_of: What V says of activations float64[n, d]: float[n].
        logits_of: What the policy says of them: float[n, A].

    Returns:
        The report. An erasure with K - 1 dimensions is told from chance only by its difference to random subspaces.

    Raises:
        UserError: V is constant or not finite on the test rows.

    Cannot show: that V does not use the concept where V stays the same, since V may read it non-linearly from what is
    left; nor that V uses it where V changes, since correlated content goes with it. `cde` and minimal pairs ask that.
    """
    probe_seed = derive_seed(seed, "erasure", "probes", bits=31)
    measure = costing(data.part(data.test)[0], data.contexts[data.test], value_of=value_of, logits_of=logits_of)
    return ErasureReport(
        num_rows=(len(data.fit), len(data.train), len(data.test)),
        num_features=data.features.shape[1],
        chance=1.0 / data.num_classes,
        before=_read_again(data, None, seed=probe_seed),
        gain_before=linear_gain(*_erased(data, None)),
        gap_before=class_gap(*data.part(data.test)),
        erasures=tuple(
            _judged(name, eraser, data=data, measure=measure, seed=probe_seed) for name, eraser in erasers.items()
        ),
        flags=_flags(data),
    )


def _judged(name: str, eraser: Eraser, *, data: Activations, measure: Costing, seed: int) -> Erasure:
    """One eraser and the random subspaces beside it."""
    erased = eraser(*data.part(data.test))
    size, stream = change_size(measure.features, erased), numpy_generator(seed, "random", name)
    rivals = [
        scaled_to(
            random_subspace(data.features[data.fit], max(1, eraser.num_dimensions), stream=stream),
            measure.features,
            size=size,
        )
        for _ in range(RANDOM_DRAWS)
    ]
    return Erasure(
        name=name,
        num_dimensions=eraser.num_dimensions,
        needs_labels=eraser.needs_labels,
        accuracies=_read_again(data, eraser, seed=seed),
        linear_gain=linear_gain(*_erased(data, eraser)),
        gap=class_gap(erased, data.labels[data.test]),
        cost=measure.cost(erased),
        random_accuracy=_read_again(data, rivals[0], seed=seed, probes=("linear",))["linear"],
        random_cost=mean_cost([measure.cost(rival(measure.features)) for rival in rivals]),
    )


def _read_again(
    data: Activations, eraser: Eraser | None, *, seed: int, probes: Sequence[str] = tuple(PROBES)
) -> Mapping[str, float]:
    """Accuracies of probes fitted and judged on erased rows, or on rows as they are."""
    return MappingProxyType(dict(probe_accuracies(*_erased(data, eraser), seed=seed, probes=probes)))


def _erased(data: Activations, eraser: Eraser | None) -> tuple[tuple[Floats, Ints], tuple[Floats, Ints]]:
    """The rows for probes and those to judge them, erased."""
    train, test = data.part(data.train), data.part(data.test)
    return (train, test) if eraser is None else ((eraser(*train), train[1]), (eraser(*test), test[1]))


def _flags(data: Activations) -> tuple[str, ...]:
    """Says where numbers must not be taken at their face."""
    flags = []
    num_fit, num_groups, num_features = len(data.fit), data.num_fit_groups, data.features.shape[1]
    if num_groups < 300 * num_features:
        flags.append(
            f"erasers were fitted on {num_fit} rows from {num_groups} independent groups for {num_features} features, "
            "and need about 300 a feature: on fresh rows a probe reads part of the concept again that chance or the "
            "groups put between class means, whatever was erased in the sample"
        )
    if len(data.train) < 4 * (num_features + 1):
        flags.append(
            f"probes were fitted on {len(data.train)} rows of {num_features} features, fewer than 4 (d + 1): they may "
            "miss what is there"
        )
    return tuple(flags)
