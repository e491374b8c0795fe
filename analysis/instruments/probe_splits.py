"""One probe under several ways to hold rows out, and one probe over several training seeds.

What a probe shows depends on what its test rows share with its training rows. Held out by episode, states and levels
come again; held out by level, a layout that was memorised helps no more; held out by state, nothing that was seen does.
A concept reads alike under all three; a lookup table reads well until what it looks up is held out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

from analysis.instruments.probes import ProbeResult, ProbeSettings, linear_probe
from analysis.statistics import Interval, interval_over_seeds
from envs.errors import UserError


@dataclass(frozen=True)
class SplitProbe:
    """A probe under one split.

    Attributes:
        split: What was held out: "episode", "level", "state".
        result: None where the probe was refused.
        refusal: Why, "" where it was not.
    """

    split: str
    result: ProbeResult | None
    refusal: str = ""


@dataclass(frozen=True)
class SeedProbes:
    """The same probe of networks trained from different seeds; Student's intervals over the seeds, None for one seed.

    Attributes:
        num_seeds: Networks.
        accuracy: Balanced, held out.
        auroc: Likewise.
        control_accuracy: On each network's own control task.
        selectivity: `accuracy` - `control_accuracy` within each network.
    """

    num_seeds: int
    accuracy: Interval | None
    auroc: Interval | None
    control_accuracy: Interval | None
    selectivity: Interval | None


def probe_by_split(
    features: ArrayLike,
    labels: ArrayLike,
    splits: Mapping[str, ArrayLike],
    *,
    seed: int,
    states: ArrayLike,
    control_types: ArrayLike | None = None,
    settings: ProbeSettings | None = None,
) -> tuple[SplitProbe, ...]:
    """Runs `probes.linear_probe` once for every split; a split under which it is refused says why.

    Args:
        features: float[n, d].
        labels: int[n].
        splits: Name -> groups int[n] that are held out, such as episode, level and state ids.
        seed: The same for every split.
        states: As `linear_probe`.
        control_types: As `linear_probe`.
        settings: As `linear_probe`.

    Raises:
        UserError: No split.
    """
    if not splits:
        raise UserError("no split was given; name at least one, such as the episode of each row")
    found = []
    for name, groups in splits.items():
        try:
            result = linear_probe(
                features, labels, groups, seed=seed, states=states, control_types=control_types, settings=settings
            )
            found.append(SplitProbe(name, result))
        except UserError as error:
            found.append(SplitProbe(name, None, str(error)))
    return tuple(found)


def probes_over_seeds(results: Mapping[int, ProbeResult]) -> SeedProbes:
    """Intervals over training seeds, the unit of every claim about an architecture.

    Args:
        results: Training seed -> that network's probe, all of the same task.

    Raises:
        UserError: Probes of different numbers of classes, or none.
    """
    classes = {result.num_classes for result in results.values()}
    if len(classes) != 1:
        raise UserError(
            f"probes with {sorted(classes) or 'no'} classes were given for {len(results)} seeds; give probes of one "
            "task"
        )
    names = ("accuracy", "auroc", "control_accuracy", "selectivity")
    measured = {name: {seed: float(getattr(result, name)) for seed, result in results.items()} for name in names}
    return SeedProbes(len(results), **{name: interval_over_seeds(scores) for name, scores in measured.items()})
