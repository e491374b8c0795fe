"""Instrument `mediation`: how much of what the context does to V goes through its linear code, at E and inside V?

Erasers are fitted on the minimal pairs of half of the levels and applied to those of the other half.

Shapes: M situations, C contexts, d units.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agents.seeding import derive_seed, numpy_generator
from analysis.instruments.erasers import mean_projection
from analysis.instruments.leace import fit_leace
from analysis.instruments.mediation import (
    FitEraser,
    Mediation,
    fit_on_pairs,
    halves,
    mediation,
    random_change,
    without_context,
)
from analysis.plots import ProbeBar, probe_bars
from analysis.probing.activity import HIDDEN, INTERFACE, OBSERVATION
from analysis.probing.instrument import Finding, Instrument, Settings
from analysis.probing.material import Material, Pairs
from analysis.probing.wording import interval_text, number

Floats = NDArray[np.float64]
NUM_RANDOM = 5
PLACES = MappingProxyType({INTERFACE: "the features that V reads", HIDDEN: "V's hidden layer", OBSERVATION: "layer 0"})
COLUMNS = (
    "network", "site", "erased by", "mediated", "interval", "random", "values_moved", "random_values_moved",
    "num_dimensions", "size",
)  # fmt: skip


@dataclass(frozen=True)
class Mediated:
    """What one erasure at one site leaves of the context's effect on V.

    Attributes:
        network: "trained" or "untrained".
        site: Its name.
        eraser: What was erased by.
        found: On levels that the eraser was not fitted on.
        random: Mean of `found.mediated` over random subspaces of the same rank and size.
        random_values_moved: Mean of `found.values_moved` over them.
    """

    network: str
    site: str
    eraser: str
    found: Mediation
    random: float = math.nan
    random_values_moved: float = math.nan

    def row(self) -> dict[str, object]:
        """Every number."""
        own = {"network": self.network, "site": self.site, "erased by": self.eraser, "random": self.random}
        return own | {"random_values_moved": self.random_values_moved} | dataclasses.asdict(self.found)


def measure(material: Material, settings: Settings) -> Finding:
    """Erases the context at each site of both networks, and swaps it.

    Raises:
        NotApplicable: There are no minimal pairs.
        UserError: The pairs come from one level.
    """
    pairs = material.require_pairs()
    places = [(network, site) for site in (INTERFACE, HIDDEN) for network in ("trained", "untrained")]
    # What a memory would make of the observation alone is not what V was asked.
    places += [] if material.agent.value_encoder.memory_size else [("trained", OBSERVATION)]
    found = [one for network, site in places for one in _at(pairs, network, site, seed=settings.seed)]
    return Finding(
        rows=[one.row() for one in found],
        numbers=_numbers(found),
        found=_sentences(found),
        figures=_figures(found),
        columns=COLUMNS,
    )


def _at(pairs: Pairs, network: str, site: str, *, seed: int) -> list[Mediated]:
    """LEACE and mean projection; at the trained interface the planted positive and the planted null as well."""
    activity = pairs.sample.trained if network == "trained" else pairs.sample.untrained
    levels = pairs.table(pairs.sample.states.groups)[:, 0]
    fitted = halves(levels, seed=seed)
    units = pairs.table(activity.site(site)).astype(np.float64)
    rows = np.arange(len(pairs.sample)).reshape(-1, pairs.num_contexts)[~fitted].reshape(-1)
    asked, held = activity.take(rows), units[~fitted]

    def value_of(rows: Floats) -> Floats:
        return asked.value_of(site, rows)

    def judged(erased: Floats) -> Mediation:
        return mediation(held, erased, value_of=value_of, groups=levels[~fitted], seed=derive_seed(seed, site))

    found = []
    for name, eraser in _erasers(units[fitted], with_null=(network, site) == ("trained", INTERFACE), seed=seed).items():
        own = judged(eraser(held.reshape(-1, held.shape[2])).reshape(held.shape))
        rivals = [
            judged(random_change(held, num_dimensions=max(1, own.num_dimensions), size=own.size, seed=draw))
            for draw in range(NUM_RANDOM)
        ]
        found.append(
            Mediated(
                network, site, name, own, float(np.mean([rival.mediated for rival in rivals])),
                float(np.mean([rival.values_moved for rival in rivals])),
            )
        )  # fmt: skip
    if (network, site) == ("trained", INTERFACE):
        found.append(Mediated(network, site, POSITIVE, judged(without_context(held))))
    return found


POSITIVE, NULL = "the mean over contexts (planted positive)", "LEACE of contexts at random (planted null)"


def _erasers(units: Floats, *, with_null: bool, seed: int) -> Mapping[str, Callable[[Floats], Floats]]:
    """Fitted on float64[M, C, d]; the planted null on the same rows with each situation's contexts in random order."""
    fits: dict[str, FitEraser] = {"LEACE": fit_leace, "mean projection": mean_projection}
    found = {name: fit_on_pairs(fit, units) for name, fit in fits.items()}
    if with_null:
        order = numpy_generator(seed, "mediation", "null").random(units.shape[:2]).argsort(axis=1)
        found[NULL] = fit_on_pairs(fit_leace, np.take_along_axis(units, order[:, :, None], axis=1))
    return found


def _one(found: Sequence[Mediated], network: str, site: str, eraser: str = "LEACE") -> Mediated | None:
    return next((one for one in found if (one.network, one.site, one.eraser) == (network, site, eraser)), None)


def _numbers(found: Sequence[Mediated]) -> dict[str, float]:
    """LEACE in the trained network, by itself and beyond random subspaces and the untrained network."""
    numbers = {}
    for site, name in ((INTERFACE, "E"), (HIDDEN, "V's hidden layer")):
        own, twin = _one(found, "trained", site), _one(found, "untrained", site)
        assert own is not None and twin is not None
        numbers[f"mediated by the linear code in {name}"] = own.found.mediated
        numbers[f"the same in {name}, beyond random subspaces"] = own.found.mediated - own.random
        numbers[f"the same in {name}, beyond the untrained network"] = own.found.mediated - twin.found.mediated
    return numbers


def _sentences(found: Sequence[Mediated]) -> list[str]:
    own = _one(found, "trained", INTERFACE)
    positive, null = _one(found, "trained", INTERFACE, POSITIVE), _one(found, "trained", INTERFACE, NULL)
    assert own is not None and positive is not None and null is not None
    if math.isnan(own.found.mediated):
        return ["V does not move when the context is swapped, so there is no effect that anything could mediate."]
    said = [_sentence(one, found) for one in found if (one.network, one.eraser) == ("trained", "LEACE")]
    return [
        *said,
        f"Planted: each situation's mean over contexts mediates {number(positive.found.mediated)}, LEACE of contexts "
        f"drawn at random {number(null.found.mediated)}.",
    ]


def _sentence(one: Mediated, found: Sequence[Mediated]) -> str:
    """One site of the trained network, with its nulls."""
    result, twin, means = (
        one.found, _one(found, "untrained", one.site), _one(found, "trained", one.site, "mean projection"),
    )  # fmt: skip
    before = "" if twin is None else f", {number(twin.found.mediated)} before training"
    along = "" if means is None else f"; {number(means.found.mediated)} by projection along class means"
    return (
        f"Once LEACE takes {result.num_dimensions} dimension(s) from {PLACES[one.site]}, {number(result.mediated)} "
        f"{interval_text(result.interval)} of what a swap of the context does to V is gone, on levels apart "
        f"({result.num_situations} situations; null: {number(one.random)} for random subspaces of the same rank and "
        f"size{before}{along}); V itself moves by {number(result.values_moved)} sd (random subspaces "
        f"{number(one.random_values_moved)})."
    )


def _figures(found: Sequence[Mediated]) -> dict[str, Figure]:
    bars = [
        ProbeBar(
            f"{PLACES[one.site]}, {one.network}", one.found.mediated, one.found.interval, one.random,
            is_baseline=one.network == "untrained" or one.site == OBSERVATION,
        )
        for one in found
        if one.eraser == "LEACE" and not math.isnan(one.found.mediated)
    ]  # fmt: skip
    if not bars:
        return {}
    figure = probe_bars(
        bars, chance=0.0, title="What erasing the linear context code takes of the context's effect on V",
        subtitle="LEACE fitted on half of the levels, judged on the others; line: 95 % bootstrap over levels of one "
        "network",
        x_label="share of V's moves under context swaps that is gone", control_name="random subspace of the same size",
    )  # fmt: skip
    return {"mediation": figure}


INSTRUMENT = Instrument(
    name="mediation",
    question="How much of what the context does to V goes through its linear code?",
    does_not_show=(
        "That V reads the context linearly where much is mediated, as an eraser takes what goes with the context too; "
        "nor that it makes no use of it where little is, as a code need not be linear."
    ),
    measure=measure,
    seconds=3.0,
)
