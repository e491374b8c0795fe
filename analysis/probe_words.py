"""What a probe found, said in sentences that carry their nulls and limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analysis.instruments.probes import ProbeResult
from analysis.probe_report import ContextSwap, LayerProbe, OutcomeFit, interval_text, number

REFERENCES = {"V, untrained": "before training", "value of D, exact": "for the exact value of D"}


def readability_sentences(probes: Sequence[LayerProbe]) -> list[str]:
    """One sentence per trained layer on visited states, one for all other states, then what they mean together."""
    trained = [probe for probe in probes if probe.kind == "trained" and probe.result]
    main = [probe for probe in trained if probe.source == probes[0].source]
    sentences = [_layer_sentence(probe, probes) for probe in main]
    if rest := [probe for probe in trained if probe not in main]:
        sentences.append(_brief_sentence(rest, probes))
    raw = [probe.result for probe in probes if probe.kind == "raw" and probe.result]
    if raw and raw[0].accuracy > raw[0].chance + 0.9 * (1.0 - raw[0].chance):
        sentences.append(
            "The context stands in the observation, so that it can be read from a layer is to be expected of any "
            "network, trained or not, and does not say that V uses it; the swaps say that."
        )
    elif raw and raw[0].interval[0] <= raw[0].chance:
        sentences.append("The observation of a single step does not show the context; only memory could carry it.")
    return sentences


def _brief_sentence(rest: Sequence[LayerProbe], probes: Sequence[LayerProbe]) -> str:
    """Trained layers on the other states, each with its untrained twin."""
    others = [probe for probe in probes if probe.source == rest[0].source]
    parts = []
    for probe in rest:
        twin = _twin(probe, others)
        before = "" if twin is None else f" ({twin.accuracy:.2f} before training)"
        parts.append(f"{probe.layer} {probe.result.accuracy:.2f}{before}" if probe.result else probe.layer)
    return f"On states {rest[0].source}, held out by level: {', '.join(parts)}."


def _layer_sentence(probe: LayerProbe, probes: Sequence[LayerProbe]) -> str:
    """One layer against chance, its untrained twin, the raw observation and the control task."""
    result = probe.result
    assert result is not None
    others = [other for other in probes if other.source == probe.source]
    nulls = [f"{result.chance:.2f} by chance", f"{result.control_accuracy:.2f} on the control task"]
    twin = _twin(probe, others)
    if twin is not None:
        nulls.append(f"{twin.accuracy:.2f} from the same layer before training")
    nulls += [f"{o.result.accuracy:.2f} from the raw observation" for o in others if o.kind == "raw" and o.result]
    read = f"balanced accuracy {result.accuracy:.2f} {interval_text(result.interval)}"
    against = ", ".join(nulls)
    found = f"On states {probe.source}: {probe.layer} gives the context with {read}, against {against}."
    return found + _verdict(result, twin)


def _twin(probe: LayerProbe, others: Sequence[LayerProbe]) -> ProbeResult | None:
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
    low, high = result.interval
    if twin.accuracy < low:
        return " Training has made it easier to read." + words
    if twin.accuracy > high:
        return " Training has made it harder to read." + words
    return " Training has not changed that beyond the interval." + words


def swap_sentences(swaps: Sequence[ContextSwap]) -> list[str]:
    """What V does when only the context changes, against V*, the untrained net and the planted controls."""
    sentences = []
    for swap in swaps:
        if swap.function != "V, trained":
            continue
        same = {other.function: other for other in swaps if other.weighting == swap.weighting}
        references = {words: same[function] for function, words in REFERENCES.items() if function in same}
        is_blind = math.isnan(swap.effect.slope)
        sentences.append(_blind_optimum_sentence(swap, references) if is_blind else _slope_sentence(swap, references))
        if swap.weighting == swaps[0].weighting:
            sentences.append(_share_sentence(swap, references))
    return sentences


def _slope_sentence(swap: ContextSwap, references: Mapping[str, ContextSwap]) -> str:
    """V's change on V*'s."""
    effect = swap.effect
    beside = "".join(f", {number(other.effect.slope)} {words}" for words, other in references.items())
    return (
        f"When nothing but the context changes ({effect.num_situations} situations under {effect.num_contexts} "
        f"contexts, weighting {swap.weighting}), V changes by {effect.rms:.3f} (root mean square) and V* by "
        f"{effect.rms_optimal:.3f}; slope of V's change on V*'s {effect.slope:.2f} "
        f"{interval_text(effect.slope_interval)}, correlation {number(effect.correlation)}, "
        f"{number(effect.explained)} of V*'s change explained. Beside it: slope 0 for a V that is blind to the "
        f"context{beside}; 1 for V* itself."
    )


def _blind_optimum_sentence(swap: ContextSwap, references: Mapping[str, ContextSwap]) -> str:
    """V's change where V* has none."""
    effect = swap.effect
    scale = effect.spread_optimal if effect.spread_optimal > 0 else math.nan
    beside = "".join(f", {number(other.effect.rms / scale)} {words}" for words, other in references.items())
    return (
        f"V* does not depend on the context here, so a slope is not defined. Weighting {swap.weighting}, V changes by "
        f"{effect.rms:.3f} all the same when nothing but the context changes ({effect.num_situations} situations under "
        f"{effect.num_contexts} contexts): {number(effect.rms / scale)} of sd(V*). Beside it: 0 for V*{beside}."
    )


def _share_sentence(swap: ContextSwap, references: Mapping[str, ContextSwap]) -> str:
    """V's interaction share against V*'s."""
    own, optimal = swap.anova.interaction, swap.anova_optimal.interaction
    beside = "".join(f"; own share {number(other.anova.interaction)} {words}" for words, other in references.items())
    return (
        f"Interaction of situation and context is {number(own)} of V's variance and {number(optimal)} of V*'s "
        f"(weighting {swap.weighting}): an excess of {number(own - optimal)}{beside}. V*'s share is the null, not 0."
    )


def outcome_sentence(fit: OutcomeFit) -> str:
    """V against what followed."""
    if not fit.num_states:
        return "No episode ended by itself, so V cannot be held against outcomes."
    counted = f"{fit.share_terminated:.0%} of the episodes ended by themselves and are counted"
    if math.isnan(fit.explained_variance):
        return (
            f"The discounted reward that followed is {fit.mean_outcome:.3f} on all {fit.num_states} held-out states, "
            f"so there is no variance for V to explain (error {fit.rms_error:.3f}; {counted})."
        )
    return (
        f"V explains {number(fit.explained_variance)} of the variance of the discounted reward that followed on "
        f"{fit.num_states} held-out states (error {fit.rms_error:.3f}, mean outcome {fit.mean_outcome:.3f}; null: 0 "
        f"for the mean; {counted})."
    )


def limits(*, has_context: bool, has_swaps: bool, has_memory: bool) -> list[str]:
    """What no such report shows."""
    sentences = [
        "This is one trained network. Intervals are over its held-out episodes or levels, not over training seeds; a "
        "claim about an architecture needs at least 10 seeds."
    ]
    if has_context:
        sentences.append(
            "A linear readout that works does not show that the network uses what it reads, and one that fails does "
            "not show that nothing is there: a readout that is not linear may still find it."
        )
    if has_swaps:
        sentences.append(
            "That V moves with the context does not show shards: a single network that fits V* moves as V* does. "
            "`valuelab compare` holds value heads against known shards and a known monolith."
        )
    if has_swaps and has_memory:
        sentences.append("In the swaps V is read with an empty memory, as at the start of an episode.")
    return sentences
