"""Instrument `mediation`: how much of what the context does to V goes through the linear context code of a layer?

LEACE is fitted on the minimal pairs of half of the held-out levels, and V is asked again on the other half. Beside the
interface between E and V stand the same before training, layer 0, a random subspace of as many dimensions and the same
size of change (planted null), and each situation's mean over contexts (planted positive).

Shapes: M situations, C contexts, d units.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agents.seeding import derive_seed
from analysis.instruments.leace import fit_leace
from analysis.instruments.mediation import Mediation, fit_on_pairs, halves, mediation, random_change, without_context
from analysis.plots import value_scatter
from analysis.probing.activity import INTERFACE, OBSERVATION, Activity
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material, Pairs
from analysis.probing.wording import interval_text, number

Floats = NDArray[np.float64]
ERASED, RANDOM, BLIND = "LEACE", "random subspace of equal size (null)", "mean over contexts (planted positive)"
NUM_RANDOM = 8
COLUMNS = ("network", "site", "change", "mediated", "interval", "values_moved", "size", "num_dimensions")


@dataclass(frozen=True, eq=False)
class Mediated:
    """One change at one site of one network, and what it leaves of the context's effect.

    Attributes:
        network: "trained" or "untrained".
        site: Where.
        change: ERASED, RANDOM or BLIND.
        found: Numbers.
        values: float64[M, C], V after the change, on the levels that the eraser was not fitted on.
    """

    network: str
    site: str
    change: str
    found: Mediation
    values: Floats

    def row(self) -> dict[str, object]:
        """Every number."""
        named = {"network": self.network, "site": self.site, "change": self.change}
        return {**named, **dataclasses.asdict(self.found)}


def mediated_at(site: str, network: str, pairs: Pairs, *, seed: int) -> list[Mediated]:
    """All changes at a site of the trained or the untrained network."""
    activity: Activity = getattr(pairs.sample, network)
    is_fitted = halves(activity.states.groups, seed=seed)
    held = activity.take(~is_fitted)
    fitted = pairs.table(activity.site(site)[is_fitted].astype(np.float64))
    before = pairs.table(held.site(site).astype(np.float64))
    erased = _erased(fitted, before)
    groups = pairs.table(held.states.groups)[:, 0]

    def judged(name: str, after: Floats) -> Mediated:
        found = mediation(before, after, value_of=lambda h: held.value_of(site, h), groups=groups, seed=seed)
        values = held.value_of(site, after.reshape(-1, after.shape[-1]))
        return Mediated(network, site, name, found, pairs.table(values))

    leace = judged(ERASED, erased)
    size, num_dimensions = leace.found.size, leace.found.num_dimensions
    random = [
        random_change(before, num_dimensions=num_dimensions, size=size, seed=derive_seed(seed, "subspace", draw))
        for draw in range(NUM_RANDOM)
    ]
    return [leace, judged(BLIND, without_context(before)), *(judged(RANDOM, after) for after in random)]


def _erased(fitted: Floats, before: Floats) -> Floats:
    """Held-out activations without what LEACE finds in the others; units that never vary there are left as they are."""
    varies = np.ptp(fitted.reshape(-1, fitted.shape[-1]), axis=0) > 0
    erase, erased = fit_on_pairs(fit_leace, fitted[..., varies]), before.copy()
    kept = before[..., varies]
    erased[..., varies] = erase(kept.reshape(-1, kept.shape[-1])).reshape(kept.shape)
    return erased


def measure(material: Material, settings: Settings) -> Finding:
    """Erase the linear context code at the interface, before training, and in the observation."""
    pairs, seed = material.require_pairs(), settings.seed
    found = mediated_at(INTERFACE, "trained", pairs, seed=seed)
    found += mediated_at(INTERFACE, "untrained", pairs, seed=seed)
    if not material.agent.value_encoder.memory_size:
        found += mediated_at(OBSERVATION, "trained", pairs, seed=seed)
    numbers = {
        "share mediated by the linear context code": found[0].found.mediated,
        "the same in excess of random subspaces": found[0].found.mediated - float(np.mean(_random(found))),
    }
    told = "V is told the context apart from its features, so erasing it there leaves that way open."
    return Finding(
        rows=[one.row() for one in found], numbers=numbers, found=_sentences(found),
        not_shown=[told] if material.agent.value_head.needs_context else [],
        figures={"mediation": _figure(found[:3], pairs, seed=seed)}, columns=COLUMNS,
    )  # fmt: skip


def _sentences(found: Sequence[Mediated]) -> list[str]:
    (leace, blind), random = (one.found for one in found[:2]), _random(found)
    beside = [
        f"{number(float(np.mean(random)))} ({number(min(random))} to {number(max(random))}) by {NUM_RANDOM} random "
        "subspaces of as many dimensions and the same size"
    ]
    beside += [f"{number(one.found.mediated)} {_place(one)}" for one in found[1:] if one.change == ERASED]
    return [
        f"Erasing the linear context code between E and V (LEACE, {leace.num_dimensions} dimensions, fitted on other "
        f"levels) takes away {number(leace.mediated)} {interval_text(leace.interval)} of what a swap of the context "
        f"does to V ({leace.num_situations} situations), and moves V by {number(leace.values_moved)} sd. Beside it: "
        f"{', '.join(beside)}; {number(blind.mediated)} by the mean over contexts (planted positive); 0 by nothing."
    ]


def _random(found: Sequence[Mediated]) -> list[float]:
    """What random subspaces mediate at the trained interface."""
    chosen = [one for one in found if one.change == RANDOM and (one.network, one.site) == ("trained", INTERFACE)]
    return [one.found.mediated for one in chosen]


def _place(one: Mediated) -> str:
    return "before training" if one.network == "untrained" else "by LEACE on the observation"


def _figure(found: Sequence[Mediated], pairs: Pairs, *, seed: int) -> Figure:
    """Change of V in swaps after each erasure, against the change before."""
    held = pairs.sample.trained.values[~halves(pairs.sample.states.groups, seed=seed)]
    before = pairs.table(held)
    first, second = np.triu_indices(before.shape[1], k=1)

    def moved(table: Floats) -> Floats:
        return np.asarray((table[:, second] - table[:, first]).ravel())

    return value_scatter(
        {one.change: {"": (moved(before), moved(one.values))} for one in found},
        title="Change of V when nothing but the context changes, after an erasure between E and V",
        x_label="change before",
        y_label="change after",
        subtitle="held-out levels; dashed: nothing was mediated; flat: all of it was",
    )


INSTRUMENT = Instrument(
    name="mediation",
    question="How much of what the context does to V goes through its linear code?",
    does_not_show=(
        "What an erasure takes away from swaps does not show that V reads the context linearly, since what is "
        "correlated with the context goes with it; what is left does not show that V does not, as a code may be curved."
    ),
    measure=measure,
    seconds=4.0,
)
