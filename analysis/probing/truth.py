"""Directions of a trained agent that flip consistently when nothing but the context is reversed.

Counted in V's features and hidden layer, and in each shard's, beside the untrained twin and layer 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from analysis.instruments import contrast_pairs, truth, truth_recursive, truth_toy
from analysis.instruments.truth_recursive import recursive_ccs
from analysis.instruments.truth_toy import context_pairs
from analysis.probing.activity import HIDDEN, INTERFACE, OBSERVATION
from analysis.probing.controls import Outcome, cached_control, code_version
from analysis.probing.instrument import Finding, Instrument, Row, Settings
from analysis.probing.material import Material
from analysis.probing.truth_distractor import agent_sweep, planted_sweep, sweep_figure, sweep_rows, sweep_sentences
from analysis.probing.truth_figures import figures_of
from analysis.probing.truth_reversals import (
    NUM_DIRECTIONS,
    SEARCH,
    Reversal,
    Searched,
    reversals_of,
    search_site,
    swing_without,
)


@dataclass(frozen=True, eq=False)
class Place:
    """What was found at one site of one network, averages over the reversals of contexts.

    Attributes:
        site: Where.
        network: "trained" or "untrained"; "raw" for layer 0.
        searched: One for each reversal.
        left: Share of V's swing that is left without the first direction; NaN for layer 0 and for parts.
        left_random: The same without a random direction.
    """

    site: str
    network: str
    searched: tuple[Searched, ...]
    left: float = np.nan
    left_random: float = np.nan

    @property
    def distinct(self) -> float:
        """Number of consistent directions whose answers no earlier one gives."""
        return float(np.mean([one.search.distinct.sum() for one in self.searched]))

    @property
    def orthogonal(self) -> float:
        """Number of mutually orthogonal consistent directions."""
        return float(np.mean([one.search.consistent.sum() for one in self.searched]))

    def first(self, what: str) -> float:
        """Held-out "loss" or "accuracy" of the first direction."""
        return float(np.mean([getattr(one.search.readings[0], what) for one in self.searched]))

    @property
    def row(self) -> Row:
        """Its line of the table."""
        return {
            "site": self.site,
            "network": self.network,
            "distinct": self.distinct,
            "orthogonal": self.orthogonal,
            "first loss": self.first("loss"),
            "first accuracy": self.first("accuracy"),
            "random share": float(np.mean([one.share for one in self.searched])),
            "swing left": self.left,
            "swing left, random": self.left_random,
        }


def measure(material: Material, settings: Settings) -> Finding:
    """Search every site of both networks, and layer 0."""
    pairs = material.require_pairs()
    reversals = reversals_of(pairs, seed=settings.seed)
    places = [
        # Parts are many, and one reversal says enough of each.
        _place(material, site, network, reversals=reversals[:1] if ".part_" in site else reversals)
        for site, network in _places(material)
    ]
    at = {(place.site, place.network): place for place in places}
    sweeps = agent_sweep(material, reversals[0]), planted_sweep()
    figures = figures_of({f"{place.site} ({place.network})": place.searched for place in places})
    return Finding(
        rows=[*(place.row for place in places), _optimal_row(reversals), *sweep_rows(*sweeps), *_planted_rows()],
        numbers=_numbers(at),
        found=[*_sentences(at, reversals), *sweep_sentences(*sweeps)],
        not_shown=_limits(at, reversals),
        figures={**figures, "truth_distractor": sweep_figure(*sweeps)},
    )


def _places(material: Material) -> list[tuple[str, str]]:
    """Layer 0, then the interface, V's hidden layer and each part of it, trained and untrained."""
    num_parts = material.agent.value_head.num_parts
    parts = [f"value_head.part_{part}.hidden" for part in range(num_parts)]
    known = material.require_pairs().sample.trained.activations
    sites = [site for site in (INTERFACE, HIDDEN, *parts) if site in known]
    return [(OBSERVATION, "raw"), *itertools.product(sites, ("trained", "untrained"))]


def _place(material: Material, site: str, network: str, *, reversals: Sequence[Reversal]) -> Place:
    pairs = material.require_pairs()
    activity = pairs.sample.untrained if network == "untrained" else pairs.sample.trained
    searched = tuple(search_site(pairs, activity, site, reversal=reversal) for reversal in reversals)
    if site not in (INTERFACE, HIDDEN):
        return Place(site, network, searched)
    swings = swing_without(pairs, activity, site, searched=searched, reversals=reversals)
    return Place(site, network, searched, *swings)


def _optimal_row(reversals: Sequence[Reversal]) -> Row:
    """V* as the one feature: what a network could reach that holds it."""
    loss = float(np.mean([reversal.optimal_loss for reversal in reversals]))
    return {"site": "V* itself", "network": "exact", "first loss": loss}


def _planted_rows() -> list[Row]:
    """Situations with two features that flip with the context, and with none."""
    version = code_version(contrast_pairs, truth, truth_recursive, truth_toy)
    plants = {"planted: two features flip": 2, "planted: none flips": 0}
    outcomes = {
        name: cached_control(f"truth/{number} flipping", version, partial(_planted, number))
        for name, number in plants.items()
    }
    return [{"site": name, "network": "planted", **outcome} for name, outcome in outcomes.items()]


def _planted(num_flipping: int) -> Outcome:
    pairs = context_pairs(600, 32, num_flipping=num_flipping, seed=0)
    found = recursive_ccs(pairs[:300], pairs[300:], num_directions=NUM_DIRECTIONS, seed=0, settings=SEARCH)
    first = found.readings[0]
    return {
        "distinct": float(found.distinct.sum()),
        "orthogonal": float(found.consistent.sum()),
        "first loss": first.loss,
        "first accuracy": first.accuracy,
    }


def _numbers(at: Mapping[tuple[str, str], Place]) -> dict[str, float]:
    """The same for one part and for many: shards are represented by their mean."""
    places = {"E": (INTERFACE,), "V's hidden layer": (HIDDEN,), "mean part of V": _parts(at) or (HIDDEN,)}
    numbers = {}
    for name, sites in places.items():
        for network in ("trained", "untrained"):
            counts = [at[site, network].distinct for site in sites]
            numbers[f"distinct directions in {name}, {network}"] = float(np.mean(counts))
    for name, site in (("E", INTERFACE), ("V's hidden layer", HIDDEN)):
        numbers[f"loss of the first direction in {name}"] = at[site, "trained"].first("loss")
        numbers[f"swing of V left without that of {name}"] = at[site, "trained"].left
    return numbers


def _parts(at: Mapping[tuple[str, str], Place]) -> tuple[str, ...]:
    return tuple(site for site, network in at if ".part_" in site and network == "trained")


def _sentences(at: Mapping[tuple[str, str], Place], reversals: Sequence[Reversal]) -> list[str]:
    tau = at[INTERFACE, "trained"].searched[0].search.tau
    raw = at[OBSERVATION, "raw"]
    optimal = np.mean([reversal.optimal_loss for reversal in reversals])
    found = [
        f"Under {len(reversals)} reversal(s) of the context, directions count that say the opposite of a held-out "
        f"situation and its reversal, with a CCS loss below {tau:g} (.2 for a probe that tells nothing apart; "
        f"{optimal:.3f} for V* itself). Layer 0 has {raw.distinct:.1f} distinct ones."
    ]
    for name, site in (("The features that V reads", INTERFACE), ("V's hidden layer", HIDDEN)):
        one, other = at[site, "trained"], at[site, "untrained"]
        found.append(
            f"{name}: {one.distinct:.1f} distinct ({one.orthogonal:.1f} mutually orthogonal) of {NUM_DIRECTIONS} "
            f"searched, untrained {other.distinct:.1f} ({other.orthogonal:.1f}); the first has loss "
            f"{one.first('loss'):.3f} (untrained {other.first('loss'):.3f})"
            f"{_accuracy(one)}."
        )
    if parts := _parts(at):
        counts = [[at[part, network].distinct for part in parts] for network in ("trained", "untrained")]
        found.append(f"Parts of V by themselves: {_list(counts[0])} distinct (untrained {_list(counts[1])}).")
    for name, site in (("the features that V reads", INTERFACE), ("its hidden layer", HIDDEN)):
        place = at[site, "trained"]
        if np.isfinite(place.left):
            found.append(
                f"Without the first direction of {name}, {place.left:.0%} of V's swing under reversal is left "
                f"(without a random one: {place.left_random:.0%})."
            )
    return found


def _accuracy(place: Place) -> str:
    accuracy = place.first("accuracy")
    return "" if np.isnan(accuracy) else f", and tells with {accuracy:.2f} which context V* prefers (chance .5)"


def _list(counts: Sequence[float]) -> str:
    return ", ".join(f"{count:.1f}" for count in counts)


def _limits(at: Mapping[tuple[str, str], Place], reversals: Sequence[Reversal]) -> list[str]:
    limits = [
        "Situations were chosen that are better than average under one context and worse under the other (by V*); what "
        "directions do elsewhere is not seen."
        if all(reversal.flips for reversal in reversals)
        else "Few or no situations are good under one context and bad under the other, so V* itself does not flip here "
        "and all situations were searched."
    ]
    if any(one.search.consistent.all() for place in at.values() for one in place.searched):
        limits.append(f"Where all {NUM_DIRECTIONS} directions were consistent there may be more of them.")
    if np.isnan(at[INTERFACE, "trained"].first("accuracy")):
        limits.append("V* does not tell these contexts apart (or is not known), so no direction has an accuracy.")
    return limits


INSTRUMENT = Instrument(
    name="truth",
    question="How many directions flip consistently when the context of a situation is reversed?",
    does_not_show=(
        "That such a direction stands for anything, least of all for what is true: any feature of situation and "
        "context that flips is found, the most prominent one first. Whether V uses it only the intervention says."
    ),
    measure=measure,
    seconds=10.0,
)
