"""What linear readouts of layers found, said in sentences that carry their nulls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.instruments.probes import ProbeResult
from analysis.probing.wording import interval_text

if TYPE_CHECKING:
    from analysis.probing.readability import LayerProbe


def sentences(probes: Sequence[LayerProbe]) -> list[str]:
    """One sentence per trained layer on visited states, one for all other states, then what they mean together."""
    trained = [probe for probe in probes if probe.kind == "trained" and probe.result]
    main = [probe for probe in trained if probe.source == probes[0].source]
    said = [_layer_sentence(probe, probes) for probe in main]
    if rest := [probe for probe in trained if probe not in main]:
        said.append(_brief_sentence(rest, probes))
    raw = [probe.result for probe in probes if probe.kind == "raw" and probe.result]
    if raw and raw[0].accuracy > raw[0].chance + 0.9 * (1.0 - raw[0].chance):
        said.append(
            "The context stands in the observation, so that it can be read from a layer is to be expected of any "
            "network, trained or not, and does not say that V uses it; the swaps say that."
        )
    elif raw and raw[0].interval[0] <= raw[0].chance:
        said.append("The observation of a single step does not show the context; only memory could carry it.")
    return said


def _brief_sentence(rest: Sequence[LayerProbe], probes: Sequence[LayerProbe]) -> str:
    """Trained layers on the other states, each with its untrained twin."""
    others = [probe for probe in probes if probe.source == rest[0].source]
    parts = []
    for probe in rest:
        twin = twin_of(probe, others)
        before = "" if twin is None else f" ({twin.accuracy:.2f} before training)"
        parts.append(f"{probe.layer} {probe.result.accuracy:.2f}{before}" if probe.result else probe.layer)
    return f"On states {rest[0].source}, held out by level: {', '.join(parts)}."


def _layer_sentence(probe: LayerProbe, probes: Sequence[LayerProbe]) -> str:
    """One layer against chance, its untrained twin, the raw observation and the control task."""
    result = probe.result
    assert result is not None
    others = [other for other in probes if other.source == probe.source]
    nulls = [f"{result.chance:.2f} by chance", f"{result.control_accuracy:.2f} on the control task"]
    twin = twin_of(probe, others)
    if twin is not None:
        nulls.append(f"{twin.accuracy:.2f} from the same layer before training")
    nulls += [f"{o.result.accuracy:.2f} from the raw observation" for o in others if o.kind == "raw" and o.result]
    read = f"balanced accuracy {result.accuracy:.2f} {interval_text(result.interval)}"
    against = ", ".join(nulls)
    found = f"On states {probe.source}: {probe.layer} gives the context with {read}, against {against}."
    return found + _verdict(result, twin)


def twin_of(probe: LayerProbe, others: Sequence[LayerProbe]) -> ProbeResult | None:
    """The same layer before training; an encoder that D and V share at the start has one entry."""
    for other in others:
        if other.kind == "untrained" and (other.layer == probe.layer or {other.layer[:1], probe.layer[:1]} == {"E"}):
            return other.result
    return None


def _verdict(result: ProbeResult, twin: ProbeResult | None) -> str:
    """What one layer's numbers allow to be said."""
    if result.interval[0] <= result.chance:
        return " That is not above chance."
    words = "".join(f" Note: {flag}." for flag in result.flags)
    if twin is None:
        return words
    if twin.interval[1] < result.interval[0]:
        return " Training has made it easier to read." + words
    if twin.interval[0] > result.interval[1]:
        return " Training has made it harder to read." + words
    return " Training has not changed that beyond the intervals." + words
