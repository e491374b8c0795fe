"""Singular directions of the interface between E and V, on a trained agent beside its untrained twin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.instruments.singular import singular_directions
from analysis.instruments.singular_ablation import AblationEffects
from analysis.instruments.singular_null import spiked_matrix
from analysis.probing.activity import OBSERVATION
from analysis.probing.instrument import Finding, Instrument, Row, Settings
from analysis.probing.material import Material
from analysis.probing.singular_figures import figures_of
from analysis.probing.singular_measured import Measured, edge_of, measured, spanned

NUM_STATES = 1000
"""States on which V is asked again without each direction; its spread is known well enough from them."""


def measure(material: Material, settings: Settings) -> Finding:
    """Decompose what V reads, in the trained network and in its twin."""
    sample = material.visited.first(NUM_STATES)
    trained = measured(sample.trained, seed=settings.seed)
    untrained = measured(sample.untrained, seed=settings.seed)
    rows = _rows(trained, untrained, layer_0=spanned(sample.trained.site(OBSERVATION)))
    return Finding(
        rows=[*rows, *_planted_rows(trained, untrained)],
        numbers={str(row["measure"]): float(str(row["trained"])) for row in rows},
        found=_sentences(trained, untrained),
        not_shown=_limits(material, trained),
        figures=figures_of(material, trained, untrained),
        columns=("measure", "trained", "untrained", "null", "layer 0"),
    )


def _rows(trained: Measured, untrained: Measured, *, layer_0: float) -> list[Row]:
    """Each measure of the trained network beside the untrained one and the null of theory."""
    both = (trained, untrained)
    overlaps = [np.nan if one.overlap is None else one.overlap.share for one in both]
    chance = np.nan if trained.overlap is None else trained.overlap.chance
    return [
        _row("gains of V above noise", [one.above for one in both], null=0.05),
        _row("effective number of V's directions", [one.shared for one in both]),
        _row("effective number, weighted by data", [one.shared_by_data for one in both]),
        _row("effective number of E's components", [one.spanned for one in both], layer_0=layer_0),
        _row("directions that V needs, subtracted", [_needed(one.subtracted) for one in both], null=0.05),
        _row("directions that V needs, set to mean", [_needed(one.averaged) for one in both], null=0.05),
        _row("directions that context needs, set to mean", [_for_context(one.averaged) for one in both], null=0.05),
        _row("most that one moves V, in sd of V", [_most(one.averaged) for one in both], null=_reached(trained)),
        _row("what V reads of what E writes", [one.passed for one in both], null=1.0),
        _row("overlap of parts' reads", overlaps, null=chance),
    ]


def _planted_rows(trained: Measured, untrained: Measured) -> list[Row]:
    """The same counts where the answer is known.

    Gains: of noise of this size, with a planted direction of thrice the edge and without. Ablations: of a V that is one
    read direction (1), and of one that reads a random direction: it counts directions along which E's features vary so
    much more than along others that any V moves (0 where there is none).
    """
    shape, std, edge = trained.interface.read.shape, trained.interface.read_std, edge_of(trained.interface)
    counts = [
        int((singular_directions(spiked_matrix(strength, shape, std=std, seed=0)[0]).gain > edge).sum())
        for strength in (3.0 * edge, 0.0)
    ]
    both = (trained, untrained)
    return [
        _row("planted direction: gains above noise", counts[:1] * 2, null=0.05),
        _row("noise alone: gains above it", counts[1:] * 2, null=0.05),
        _row("planted V: directions that it needs", [_needed(one.planted) for one in both], null=0.05),
        _row("random V: directions that it needs", [_needed(one.random) for one in both], null=0.05),
    ]


def _row(measure: str, both: Sequence[float], *, null: float = np.nan, layer_0: float = np.nan) -> Row:
    trained, untrained = (float(value) for value in both)
    return {"measure": measure, "trained": trained, "untrained": untrained, "null": null, "layer 0": layer_0}


def _needed(effects: AblationEffects | None) -> float:
    """Number of directions that V needs."""
    return np.nan if effects is None else float(effects.matters.sum())


def _for_context(effects: AblationEffects | None) -> float:
    if effects is None or np.isnan(effects.context_threshold):
        return np.nan
    return float(effects.matters_for_context.sum())


def _most(effects: AblationEffects | None) -> float:
    return np.nan if effects is None else float(effects.moved.max())


def _reached(one: Measured) -> float:
    return np.nan if one.averaged is None else one.averaged.threshold


def _sentences(trained: Measured, untrained: Measured) -> list[str]:
    found = [
        f"Of {len(trained.interface.directions)} directions that V's first layer reads, {trained.above} have a gain "
        f"above the noise of its initial weights (untrained: {untrained.above}; noise alone has one in 5 % of draws)."
    ]
    if trained.averaged is not None:
        found.append(
            f"Set to their mean one at a time, all of them, {_needed(trained.averaged):.0f} move V more than any of as "
            f"many random directions does (untrained: {_needed(untrained.averaged):.0f}); the largest moves it by "
            f"{_most(trained.averaged):.2g} sd of V, random ones by up to {_reached(trained):.2g}."
        )
        if np.isfinite(trained.averaged.context_threshold):
            found.append(
                f"{_for_context(trained.averaged):.0f} of them move V's mean in contexts more than random directions "
                f"do (untrained: {_for_context(untrained.averaged):.0f})."
            )
    if np.isfinite(trained.passed):
        found.append(
            f"V reads {trained.passed:.2f} times as much of what E's last layer writes as of anything "
            f"(untrained: {untrained.passed:.2f}; unrelated layers: 1)."
        )
    if trained.overlap is not None and untrained.overlap is not None:
        found.append(
            f"The leading read directions of two parts overlap by {trained.overlap.share:.2f} "
            f"(untrained: {untrained.overlap.share:.2f}; random ones: {trained.overlap.chance:.2f}, up to "
            f"{trained.overlap.chance_high:.2f} in 95 % of draws)."
        )
    return found


def _limits(material: Material, trained: Measured) -> list[str]:
    limits = []
    if trained.averaged is None:
        limits.append("V is constant on the states that D visited, so no direction could be asked for its effect.")
    if trained.interface.written is None:
        limits.append("E ends with a memory, so there is no last layer of E to hold V's reads against.")
    if trained.overlap is None:
        limits.append("V has one part (or its parts share the first layer), so there are no parts to compare.")
    if material.agent.spec.planes_shape is None:
        limits.append("Observations have no planes, so directions could not be shown on a grid.")
    return limits


INSTRUMENT = Instrument(
    name="singular",
    question="Which directions of E's features does V read, and which of them does it need?",
    does_not_show=(
        "What a direction stands for: a map shows what goes with it, and an ablation asks V where no state lies. "
        "Directions of near-equal gain are arbitrary within their span."
    ),
    measure=measure,
    seconds=5.0,
)
