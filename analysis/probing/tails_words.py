"""What `tails` found, in sentences that carry their nulls, and in few numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.probing.controls import Outcome
from analysis.probing.tails_reading import FEATURES, LINEAR, UNITS, Reading

COLUMNS = (
    "layer", "network", "states", "vary", "n_eff", "largest_10", "R", "R_shuffled", "kurtosis", "kurtosis_independent",
    "read", "beta", "not_normal", "beta_of_V", "refusal",
)  # fmt: skip


def numbers(reading: Reading) -> dict[str, float]:
    """Of V's units on visited states."""
    sums = reading.sums
    assert sums is not None
    return {
        "contributions that vary": float(sums.num_contributions),
        "n_eff of contributions": sums.n_eff,
        "variance share of the 10 largest": sums.top_shares[2],
        "R = Var(V) / sum of variances": sums.ratio,
        "excess kurtosis of V": sums.kurtosis,
        "median exponent of units": float(np.median(reading.betas)) if reading.units else np.nan,
        "share of units not normal": reading.share(reading.is_found),
    }


def sentences(readings: Sequence[Reading], plants: Mapping[str, Outcome]) -> list[str]:
    """One paragraph of V's units on each kind of states, then layer 0 and the plants."""
    found = []
    for reading in readings:
        if reading.network == "trained" and reading.layer == UNITS and not reading.refusal:
            others = [other for other in readings if other.source == reading.source and not other.refusal]
            twin = next((other for other in others if (other.layer, other.network) == (UNITS, "untrained")), None)
            found += [_many_small(reading, twin), _independent(reading, twin), *_shapes(reading, twin, others)]
    found += [_layer_zero(reading) for reading in readings[:4] if reading.layer == LINEAR and reading.sums]
    found.append(_plants(plants))
    return found


def limits(reading: Reading) -> list[str]:
    """What these data do not allow."""
    counts = [unit.num_independent for unit in reading.units]
    said = [
        "Of a rectified unit that is 0 on more than half of the states only a tail is seen, whose exponent lies below "
        "that of the law behind it (1.65, 1.44, 1.22 for a normal one that is positive on 31, 16, 2 % of the states)."
    ]
    if counts and (middle := int(np.median(counts))) < 500:
        said.append(
            f"Tests see one state of each {reading.group_name}, {middle} for the median unit; fewer than 500 tell "
            "Laplace's law from the normal one in part of the units only, and logistic from t in none."
        )
    return said


def _many_small(reading: Reading, twin: Reading | None) -> str:
    sums = reading.sums
    assert sums is not None
    silent = f" ({sums.num_silent} never do)" if sums.num_silent else ""
    beside = ""
    if twin is not None and twin.sums is not None:
        before = twin.sums
        beside = (
            f"; before training {before.num_contributions} varied, n_eff was {before.n_eff:.1f} and the share "
            f"{before.top_shares[2]:.0%}"
        )
    return (
        f"On states {reading.source}, {sums.num_contributions} {reading.layer} vary{silent}; they count as n_eff = "
        f"{sums.n_eff:.1f} {_ends(sums.n_eff_interval)} equal ones, and the 10 largest hold {sums.top_shares[2]:.0%} "
        f"of the summed variance{beside}."
    )


def _independent(reading: Reading, twin: Reading | None) -> str:
    sums = reading.sums
    assert sums is not None
    mean = sums.ratio_shuffled[0]
    before = f", {twin.sums.ratio:.2f} before training" if twin is not None and twin.sums is not None else ""
    verdict = "not told from uncorrelated contributions"
    if sums.ratio_interval[0] > mean:
        verdict = "contributions go together more than uncorrelated ones would"
    elif sums.ratio_interval[1] < mean:
        verdict = "contributions cancel more than uncorrelated ones would"
    return (
        f"R = Var(V) / summed variance = {sums.ratio:.2f} {_ends(sums.ratio_interval)}, against {mean:.2f} where each "
        f"contribution is shuffled by itself{before}: {verdict}. V's excess kurtosis is {sums.kurtosis:.2f} "
        f"{_ends(sums.kurtosis_interval)}; independent contributions of these shapes would give "
        f"{sums.kurtosis_independent:.2f}."
    )


def _shapes(reading: Reading, twin: Reading | None, others: Sequence[Reading]) -> list[str]:
    """Exponents of V's units and of the features that it reads."""
    if not reading.units:
        return ["No unit takes enough values for a shape to be read."]
    before = f" (before training {_exponents(twin)})" if twin is not None and twin.units else ""
    said = [
        f"{len(reading.units)} of {reading.values.shape[1]} {reading.layer} take enough values to be read "
        f"(exponent 2: normal, 1: Laplace): {_exponents(reading)}{before}. {_tails(reading)}"
    ]
    features = [other for other in others if other.layer == FEATURES and other.units]
    if features:
        parts = [f"{other.network}: {_exponents(other)}" for other in features]
        said.append(f"{FEATURES[0].upper()}{FEATURES[1:]}, {'; '.join(parts)}.")
    return said


def _exponents(reading: Reading) -> str:
    low, middle, high = np.quantile(reading.betas, [0.25, 0.5, 0.75])
    return (
        f"median exponent {middle:.2f} (quartiles {low:.2f} to {high:.2f}), "
        f"{reading.share(reading.is_found):.0%} not normal at a false discovery rate of 5 %"
    )


def _tails(reading: Reading) -> str:
    units = reading.units
    straight = reading.share(tuple(unit.log_survival.linear > unit.log_survival.square for unit in units))
    drifts = reading.share(tuple(unit.hill.drifts for unit in units))
    return (
        f"-ln of the survival is straighter in the distance than in its square for {straight:.0%} of them, and Hill's "
        f"index drifts for {drifts:.0%}, which rules a power law out there."
    )


def _layer_zero(reading: Reading) -> str:
    sums = reading.sums
    assert sums is not None
    return (
        f"Layer 0: {reading.layer} have n_eff = {sums.n_eff:.1f} of {sums.num_contributions} and R = {sums.ratio:.2f}; "
        f"{len(reading.units)} of them take enough values for a shape to be read."
    )


def _plants(plants: Mapping[str, Outcome]) -> str:
    parts = [
        f"{name} (n_eff {p['n_eff']:.1f}, R {p['R']:.2f}, exponent {p['beta']:.2f}, {p['not_normal']:.0%} not normal)"
        for name, p in plants.items()
    ]
    return f"Planted sums: {'; '.join(parts)}."


def _ends(interval: tuple[float, float]) -> str:
    return f"[{interval[0]:.2f}, {interval[1]:.2f}]"
