"""What swaps of the context found, said in sentences that carry their nulls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analysis.probing.wording import interval_text, number

if TYPE_CHECKING:
    from analysis.probing.context import ContextSwap

LAYER_0 = "V* fitted linearly to the observation"
REFERENCES = {
    "V, untrained": "before training",
    "value of D, exact": "for the exact value of D",
    LAYER_0: "for V* fitted linearly to the observation (layer 0)",
}


def sentences(swaps: Sequence[ContextSwap]) -> list[str]:
    """What V does when only the context changes, against V*, the untrained net and the planted controls."""
    said = []
    for swap in swaps:
        if swap.function != "V, trained":
            continue
        same = {other.function: other for other in swaps if other.weighting == swap.weighting}
        references = {words: same[function] for function, words in REFERENCES.items() if function in same}
        is_blind = math.isnan(swap.effect.slope)
        said.append(_blind_optimum_sentence(swap, references) if is_blind else _slope_sentence(swap, references))
        if swap.weighting == swaps[0].weighting:
            said += [_share_sentence(swap, references), _rank_sentence(swap, references)]
    return said


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


def _rank_sentence(swap: ContextSwap, references: Mapping[str, ContextSwap]) -> str:
    """How many products V's table is made of, against V*'s."""
    own, optimal = swap.spectrum, swap.spectrum_optimal
    beside = "".join(f"; {number(other.spectrum.effective_rank)} {words}" for words, other in references.items())
    return (
        f"As a sum of products g_k(context) v_k(situation), V's table has effective rank {number(own.effective_rank)} "
        f"and V*'s {number(optimal.effective_rank)}{beside}; two products explain {number(own.explained(2))} of V's "
        f"variance and {number(optimal.explained(2))} of V*'s. V*'s rank is the null, not 1."
    )
