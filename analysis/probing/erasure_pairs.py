"""Swaps of the context at the interface between E and V, along directions learnt from minimal pairs of half the levels.

Shapes: M situations, C contexts, d units, k directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import numpy_generator
from analysis.instruments.cde import CdeSettings, causal_directions
from analysis.instruments.erasers import mean_projection
from analysis.instruments.readout import SplitEffect, space_read, split_effect
from analysis.probing.activity import INTERFACE, Activity
from analysis.probing.instrument import Settings
from analysis.probing.material import Material, Pairs
from envs.errors import UserError

NUM_PAIRS = 1500
SEEDS = (0, 1)
CDE = CdeSettings(num_steps=1000, window=100)


@dataclass(frozen=True)
class SwapRow:
    """What swapping along some directions does to V on levels apart.

    Attributes:
        network: "trained" or "untrained".
        directions: How they were found.
        num_directions: k.
        num_read: Dimensions of the space that V reads.
        effect: Split by that space.
        agreement: Smallest cosine between the subspaces of two seeds, NaN where nothing is drawn.
    """

    network: str
    directions: str
    num_directions: int
    num_read: int
    effect: SplitEffect
    agreement: float = np.nan


def swap_rows(material: Material, settings: Settings) -> tuple[tuple[SwapRow, ...], str]:
    """Rows of the trained and the untrained network, or none and the reason."""
    if material.pairs is None:
        return (), material.missing.get("pairs", "Minimal pairs were not collected.")
    if material.agent.value_head.needs_context:
        return (), "V is told the context apart from the features, so it cannot be swapped at the interface."
    try:
        return tuple(
            row
            for network in ("trained", "untrained")
            for row in _rows(material.pairs, getattr(material.pairs.sample, network), network, seed=settings.seed)
        ), ""
    except UserError as error:
        return (), f"Swaps along directions are left out: {error}"


def _rows(pairs: Pairs, activity: Activity, network: str, *, seed: int) -> list[SwapRow]:
    """CDE from two seeds and the class means, each judged on the other half of the levels."""
    units = pairs.table(activity.site(INTERFACE))
    levels = pairs.table(pairs.sample.states.groups)[:, 0]
    stream = numpy_generator(seed, "erasure", "pairs", network)
    names = stream.permutation(np.unique(levels))
    known = np.isin(levels, names[: len(names) // 2])
    if known.all() or not known.any():
        raise UserError(f"the pairs come from {len(names)} level(s), and directions are judged on other levels")
    learn, judge = (_two_contexts(units[part], stream) for part in (known, ~known))
    value_of, k = activity.value_map(INTERFACE), pairs.num_contexts - 1
    rows = units[known].reshape(-1, units.shape[2])
    read = space_read(rows, value_of)
    found = [causal_directions(*learn, value_of, num_directions=k, seed=one, settings=CDE).basis for one in SEEDS]
    agreement = float(np.linalg.svd(found[0] @ found[1].T, compute_uv=False).min())
    means = mean_projection(rows, np.tile(np.arange(pairs.num_contexts), int(known.sum()))).read

    def row(name: str, basis: NDArray[np.float64], agree: float = np.nan) -> SwapRow:
        effect = split_effect(basis, read, before=judge[0], after=judge[1], value_of=value_of)
        return SwapRow(network, name, len(basis), len(read), effect, agree)

    return [row("CDE", found[0], agreement), row("class means", means)]


def _two_contexts(
    units: NDArray[np.float32], stream: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each situation under two contexts drawn at random, from [M, C, d]."""
    chosen = units[stream.permutation(len(units))[:NUM_PAIRS]]
    first = stream.integers(chosen.shape[1], size=len(chosen))
    other = (first + stream.integers(1, chosen.shape[1], size=len(chosen))) % chosen.shape[1]
    index = np.arange(len(chosen))
    return chosen[index, first], chosen[index, other]
