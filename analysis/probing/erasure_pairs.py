"""Swaps of the context along directions learnt from minimal pairs of half the levels, at the interface and inside V.

Inside V swaps are of the contributions of its last hidden layer, which V adds up: the space read is exactly the one
direction of their sum, along which a swap succeeds by construction, so that CDE has nothing to learn there. How far a
swap along the class means gets says how much of V's own code of the context is linear.

Shapes: M situations, C contexts, d units, k directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.seeding import numpy_generator
from analysis.instruments.cde import CdeSettings, Output, causal_directions
from analysis.instruments.erasers import mean_projection
from analysis.instruments.readout import SplitEffect, space_read, split_effect
from analysis.probing.activity import INTERFACE, Activity
from analysis.probing.instrument import Settings
from analysis.probing.material import Material, Pairs
from envs.errors import UserError

Units = NDArray[np.floating]
CONTRIBUTIONS = "contributions of V's hidden layer"
NUM_PAIRS = 1500
SEEDS = (0, 1)
CDE = CdeSettings(num_steps=1000, window=100)


@dataclass(frozen=True)
class SwapRow:
    """What swapping along some directions does to V on levels apart.

    Attributes:
        network: "trained" or "untrained".
        site: `INTERFACE` or `CONTRIBUTIONS`.
        directions: How they were found.
        num_directions: k.
        num_read: Dimensions of the space that V reads.
        effect: Split by that space.
        agreement: Smallest cosine between the subspaces of two seeds, NaN where nothing is drawn.
    """

    network: str
    site: str
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
    """CDE from two seeds and the class means at the interface, the class means inside V."""
    levels = pairs.table(pairs.sample.states.groups)[:, 0]
    stream = numpy_generator(seed, "erasure", "pairs", network)
    names = stream.permutation(np.unique(levels))
    known = np.isin(levels, names[: len(names) // 2])
    if known.all() or not known.any():
        raise UserError(f"the pairs come from {len(names)} level(s), and directions are judged on other levels")
    units, value_of = pairs.table(activity.site(INTERFACE)), activity.value_map(INTERFACE)
    learn, judge = (_two_contexts(units[part], stream) for part in (known, ~known))
    fitted = units[known].reshape(-1, units.shape[2])
    found = [
        causal_directions(*learn, value_of, num_directions=pairs.num_contexts - 1, seed=one, settings=CDE).basis
        for one in SEEDS
    ]
    agreement = float(np.linalg.svd(found[0] @ found[1].T, compute_uv=False).min())
    at = _Place(network, INTERFACE, space_read(fitted, value_of), judge, value_of)
    terms = pairs.table(activity.unit_contributions)
    summed = np.full((1, terms.shape[2]), terms.shape[2] ** -0.5)
    inside = _Place(network, CONTRIBUTIONS, summed, _two_contexts(terms[~known], stream), lambda rows: rows.sum(dim=1))
    return [
        at.row("CDE", found[0], agreement),
        at.row("class means", _class_means(units[known])),
        inside.row("class means", _class_means(terms[known])),
    ]


@dataclass(frozen=True, eq=False)
class _Place:
    """Where directions are judged: pairs of levels apart, and what V reads there."""

    network: str
    site: str
    read: NDArray[np.float64]
    judge: tuple[Units, Units]
    value_of: Output

    def row(self, name: str, basis: NDArray[np.float64], agreement: float = np.nan) -> SwapRow:
        effect = split_effect(basis, self.read, before=self.judge[0], after=self.judge[1], value_of=self.value_of)
        return SwapRow(self.network, self.site, name, len(basis), len(self.read), effect, agreement)


def _class_means(units: Units) -> NDArray[np.float64]:
    """Directions between the means of contexts, from [M, C, d]."""
    num_situations, num_contexts, width = units.shape
    return mean_projection(units.reshape(-1, width), np.tile(np.arange(num_contexts), num_situations)).read


def _two_contexts(units: Units, stream: np.random.Generator) -> tuple[Units, Units]:
    """Each situation under two contexts drawn at random, from [M, C, d]."""
    chosen = units[stream.permutation(len(units))[:NUM_PAIRS]]
    first = stream.integers(chosen.shape[1], size=len(chosen))
    other = (first + stream.integers(1, chosen.shape[1], size=len(chosen))) % chosen.shape[1]
    index = np.arange(len(chosen))
    return chosen[index, first], chosen[index, other]
