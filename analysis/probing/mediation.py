"""Instrument `mediation`: how much of what the context does to V goes through its linear code, at E and inside V?

Erasers are fitted on the minimal pairs of half of the levels and applied to those of the other half.

Shapes: M situations, C contexts, d units.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agents.seeding import derive_seed, numpy_generator
from analysis.instruments import erasers, leace, toy
from analysis.instruments import mediation as instrument
from analysis.instruments.erasers import mean_projection
from analysis.instruments.leace import fit_leace
from analysis.instruments.mediation import (
    Erase,
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
from analysis.probing.controls import Outcome, cached_control, code_version
from analysis.probing.instrument import Finding, Instrument, Row, Settings
from analysis.probing.material import Material, Pairs
from analysis.probing.wording import interval_text, number

Floats = NDArray[np.float64]
NUM_RANDOM = 8
MEAN, LINEAR, CURVED = "the mean over contexts", "a linear code", "a code with equal means"
PLACES = MappingProxyType({INTERFACE: "the features that V reads", HIDDEN: "V's hidden layer", OBSERVATION: "layer 0"})
TOLD = "V is told the context apart from its features, so that erasing it there leaves that way open."
COLUMNS = (
    "network", "site", "erased by", "mediated", "interval", "random", "random_range", "values_moved",
    "random_values_moved", "num_dimensions", "size",
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
        random_range: Least and most of them.
        random_values_moved: Mean of `found.values_moved` over them.
    """

    network: str
    site: str
    eraser: str
    found: Mediation
    random: float = math.nan
    random_range: tuple[float, float] = (math.nan, math.nan)
    random_values_moved: float = math.nan

    def row(self) -> dict[str, object]:
        """Every number."""
        own = {"network": self.network, "site": self.site, "erased by": self.eraser, "random": self.random,
               "random_range": self.random_range}  # fmt: skip
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
    plants = _planted_rows()
    return Finding(
        rows=[*(one.row() for one in found), *plants],
        numbers=_numbers(found),
        found=_sentences(found, plants),
        not_shown=[TOLD] if material.agent.value_head.needs_context else [],
        figures=_figures(found),
        columns=COLUMNS,
    )


def _at(pairs: Pairs, network: str, site: str, *, seed: int) -> list[Mediated]:
    """LEACE and mean projection; at the trained interface each situation's mean over contexts as well."""
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
    for name, eraser in _erasers(units[fitted]).items():
        own = judged(eraser(held.reshape(-1, held.shape[2])).reshape(held.shape))
        rivals = [
            judged(random_change(held, num_dimensions=max(1, own.num_dimensions), size=own.size, seed=draw))
            for draw in range(NUM_RANDOM)
        ]
        shares = [rival.mediated for rival in rivals]
        moved = float(np.mean([rival.values_moved for rival in rivals]))
        found.append(
            Mediated(network, site, name, own, float(np.mean(shares)), (min(shares), max(shares)), moved)
        )  # fmt: skip
    if (network, site) == ("trained", INTERFACE):
        found.append(Mediated(network, site, MEAN, judged(without_context(held))))
    return found


def _erasers(units: Floats) -> Mapping[str, Erase]:
    """Fitted on float64[M, C, d]."""
    fits: dict[str, FitEraser] = {"LEACE": fit_leace, "mean projection": mean_projection}
    return {name: fit_on_pairs(fit, units) for name, fit in fits.items()}


def _planted(is_linear: bool) -> Outcome:
    """What LEACE mediates of a planted code, and a random subspace of the same size."""
    units = toy.context_code(1200, is_linear=is_linear, stream=numpy_generator(0, "mediation", "planted"))
    groups, held = np.arange(600), units[600:]
    erased = fit_on_pairs(fit_leace, units[:600])(held.reshape(-1, held.shape[2])).reshape(held.shape)

    def judged(after: Floats) -> Mediation:
        return mediation(held, after, value_of=lambda rows: rows[:, 0], groups=groups, seed=0)

    own = judged(erased)
    random = judged(random_change(held, num_dimensions=1, size=own.size, seed=0))
    return {"mediated": own.mediated, "random": random.mediated}


def _planted_rows() -> list[Row]:
    version = code_version(instrument, erasers, leace, toy, sys.modules[__name__])
    return [
        {"network": "planted", "site": site, "erased by": "LEACE",
         **cached_control(f"mediation/{site}", version, partial(_planted, is_linear))}
        for site, is_linear in ((LINEAR, True), (CURVED, False))
    ]  # fmt: skip


def _one(found: Sequence[Mediated], network: str, site: str, *, eraser: str = "LEACE") -> Mediated | None:
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


def _sentences(found: Sequence[Mediated], plants: Sequence[Row]) -> list[str]:
    own, mean = _one(found, "trained", INTERFACE), _one(found, "trained", INTERFACE, eraser=MEAN)
    assert own is not None and mean is not None
    if math.isnan(own.found.mediated):
        return ["V does not move when the context is swapped, so there is no effect that anything could mediate."]
    planted = ", ".join(f"{row['site']} {row['mediated']:.2f} ({row['random']:.2f})" for row in plants)
    return [
        *(_sentence(one, found) for one in found if (one.network, one.eraser) == ("trained", "LEACE")),
        f"{number(mean.found.mediated)} is gone with each situation's mean over contexts in place of what E says. "
        f"Planted where V reads the code: {planted}; in brackets a random subspace.",
    ]


def _sentence(one: Mediated, found: Sequence[Mediated]) -> str:
    """One site of the trained network, with its nulls."""
    result, twin, means = (
        one.found, _one(found, "untrained", one.site), _one(found, "trained", one.site, eraser="mean projection"),
    )  # fmt: skip
    before = "" if twin is None else f", {number(twin.found.mediated)} before training"
    along = "" if means is None else f"; {number(means.found.mediated)} by projection along class means"
    return (
        f"Once LEACE takes {result.num_dimensions} dimension(s) from {PLACES[one.site]}, {number(result.mediated)} "
        f"{interval_text(result.interval)} of what a swap of the context does to V is gone, on levels apart "
        f"({result.num_situations} situations; null: {number(one.random)} {interval_text(one.random_range)} for "
        f"{NUM_RANDOM} random subspaces of the same rank and size{before}{along}); V itself moves by "
        f"{number(result.values_moved)} sd (random subspaces {number(one.random_values_moved)})."
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
