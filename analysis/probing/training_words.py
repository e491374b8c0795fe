"""What the marks of a training say, in sentences that carry their nulls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.history import NUM_MARKS
from analysis.instruments.probes import ProbeResult
from analysis.probing.wording import interval_text

if TYPE_CHECKING:
    from analysis.probing.training import Mark


def by_layer(marks: Sequence[Mark]) -> dict[str, list[Mark]]:
    """The marks of each layer, in order of steps."""
    found: dict[str, list[Mark]] = {}
    for mark in marks:
        found.setdefault(mark.layer, []).append(mark)
    return found


def numbers(marks: Sequence[Mark]) -> dict[str, float]:
    """At the start, after a tenth and at the end: accuracy by layer, and the slope of V's swaps."""
    found: dict[str, float] = {}
    for layer, line in by_layer(marks).items():
        for when, mark in _moments(line).items():
            if mark.probe is not None:
                found[f"accuracy, {layer}, {when}"] = mark.probe.accuracy
            if mark.swap is not None:
                found[f"slope of swaps, {when}"] = mark.swap.slope
    return found


def _moments(line: Sequence[Mark]) -> dict[str, Mark]:
    """A training of fewer than ten steps has no mark after a tenth of them."""
    early = {"after a tenth of V's steps": line[1]} if len(line) > NUM_MARKS else {}
    return {"as V begins": line[0], **early, "at the end": line[-1]}


def sentences(marks: Sequence[Mark], layer_0: ProbeResult | None) -> list[str]:
    """Where each line starts, where it is after a tenth of the steps, and where it ends.

    Args:
        marks: All of them.
        layer_0: The readout of the observation, None where there is none.
    """
    lines = by_layer(marks)
    said = [_read(layer, line, layer_0) for layer, line in lines.items()]
    said.append(_used(next(iter(lines.values()))))
    said += [_falls(layer, line) for layer, line in lines.items()]
    return [sentence for sentence in said if sentence]


def _read(layer: str, line: Sequence[Mark], layer_0: ProbeResult | None) -> str:
    known = {when: mark.probe for when, mark in _moments(line).items() if mark.probe is not None}
    if not known:
        return ""
    parts = [f"{probe.accuracy:.2f} {interval_text(probe.interval)} {when}" for when, probe in known.items()]
    chance = next(iter(known.values())).chance
    beside = "" if layer_0 is None else f", {layer_0.accuracy:.2f} from the raw observation"
    accuracies = ", ".join(parts)
    return f"{layer}: the context is read with balanced accuracy {accuracies}, against {chance:.2f} by chance{beside}."


def _used(line: Sequence[Mark]) -> str:
    slopes = [
        f"{mark.swap.slope:.2f} {interval_text(mark.swap.slope_interval)} {when}"
        for when, mark in _moments(line).items() if mark.swap is not None
    ]  # fmt: skip
    return f"Swapping the context moves V by {', '.join(slopes)} times what it moves V*." if slopes else ""


def _falls(layer: str, line: Sequence[Mark]) -> str:
    """The median exponent, and how many units have an interval without the normal law's 2 in it."""
    parts = []
    for when, mark in _moments(line).items():
        (low, middle, high), (lows, highs) = mark.betas.quartiles, mark.betas.intervals.T
        if num_units := len(lows):
            heavier, lighter = int((highs < 2.0).sum()), int((lows > 2.0).sum())
            parts.append(
                f"{middle:.2f} ({low:.2f} to {high:.2f}; of {num_units} units, {heavier} fall more slowly than a "
                f"normal law and {lighter} faster) {when}"
            )
    if not parts:
        return ""
    said = ", ".join(parts)
    return f"{layer}: the median exponent of its units (quartiles) is {said}; 2 is normal, 1 Laplace."
