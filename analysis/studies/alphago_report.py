"""What the cells of AlphaGo's choice say: a table, two contrasts, and a figure for each world."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.plots.dose import dose_response, dose_series
from analysis.statistics import paired_differences, seed_column, t_interval
from analysis.studies.question import Report
from analysis.study import CellRecord

NUM_SIMULATIONS = (1, 2, 4, 8, 16, 32, 64)
DECIDED_AT = 16
NUM_SEEDS = 10
SOURCES = ("imitated", "reinforced")
PerSeed = dict[int, float]


def report(records: Sequence[CellRecord]) -> Report:
    """Scores by simulations in each world, and the two contrasts."""
    table: list[Mapping[str, str]] = []
    found: list[str] = []
    figures = {}
    for env_id in dict.fromkeys(record.config["env_id"] for record in records):
        here = [record for record in records if record.config["env_id"] == env_id]
        name = env_id.removeprefix("ValueLab/").removesuffix("-v0")
        table += _table(name, here)
        found += [f"{name}: {sentence}" for sentence in _contrasts(here)]
        figures[f"alphago-{name}.png"] = _figure(name, here)
    return Report(tuple(table), tuple(found), figures)


def scores(records: Sequence[CellRecord], *, prior: str, value: str, n: int) -> PerSeed:
    """Discounted returns by seed."""
    found: PerSeed = {}
    for record in records:
        for row in record.rows:
            if (row["prior"], row["value"], row["n"]) == (prior, value, n):
                found[record.config["seed"]] = float(row["discounted_return"])
    return dict(sorted(found.items()))


def _table(name: str, records: Sequence[CellRecord]) -> list[Mapping[str, str]]:
    rows: list[Mapping[str, str]] = []
    for n in NUM_SIMULATIONS:
        cells = {
            f"prior {prior}, V of {value}": _interval(scores(records, prior=prior, value=value, n=n))
            for prior in SOURCES
            for value in SOURCES
        }
        rows.append({"world": name, "simulations": str(n), **cells})
    return rows


def _interval(per_seed: PerSeed) -> str:
    values = list(per_seed.values())
    if len(values) < 2:
        return f"{values[0]:.3f}"
    interval = t_interval(seed_column(per_seed, "alphago"))
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _contrasts(records: Sequence[CellRecord]) -> list[str]:
    """The two contrasts that AlphaGo reported, and the players without a search."""
    lines = []
    for n in (DECIDED_AT, NUM_SIMULATIONS[-1]):
        by_pair = {(p, v): scores(records, prior=p, value=v, n=n) for p in SOURCES for v in SOURCES}
        lines.append(
            f"at {n} simulations, imitated minus reinforced prior (V of the reinforced policy): "
            + _difference(by_pair["imitated", "reinforced"], by_pair["reinforced", "reinforced"])
        )
        lines.append(
            f"at {n} simulations, V of the reinforced minus V of the imitated policy (imitated prior): "
            + _difference(by_pair["imitated", "reinforced"], by_pair["imitated", "imitated"])
        )
    alone = {p: _interval(scores(records, prior=p, value="none", n=0)) for p in SOURCES}
    one_step = {v: _interval(scores(records, prior="none", value=v, n=0)) for v in SOURCES}
    best = float(np.mean([record.rows[0]["optimum"] for record in records]))
    lines.append(
        f"without a search D earns {alone['imitated']} imitated and {alone['reinforced']} reinforced, V1 "
        f"{one_step['imitated']} with V of the imitated and {one_step['reinforced']} with V of the reinforced policy; "
        f"the exact optimum is {best:.3f}."
    )
    return lines


def _difference(first: PerSeed, second: PerSeed) -> str:
    if len(first) < 2:
        return "too few seeds for an interval."
    apart = t_interval(seed_column(paired_differences(first, second), "contrast"))
    numbers = f"{apart.estimate:+.3f} [95 % {apart.low:+.3f}, {apart.high:+.3f}] over {apart.num_seeds} seeds, "
    if apart.num_seeds < NUM_SEEDS:
        return numbers + f"too few for a word; the rule asks for {NUM_SEEDS}."
    if apart.low > 0:
        return numbers + "AlphaGo's direction."
    return numbers + ("against AlphaGo's direction." if apart.high < 0 else "undecided.")


def _figure(name: str, records: Sequence[CellRecord]) -> Figure:
    """Returns by simulations, one line for each pair of prior and value, beside D alone and the optimum."""
    doses = [math.log2(n) for n in NUM_SIMULATIONS]
    series = []
    for prior in SOURCES:
        for value in SOURCES:
            columns = [scores(records, prior=prior, value=value, n=n) for n in NUM_SIMULATIONS]
            series.append(dose_series(f"prior {prior}, V of the {value} policy", doses, columns))
    ends = [0.0, math.log2(NUM_SIMULATIONS[-1])]
    alone = {
        f"D {p}, no search": float(np.mean(list(scores(records, prior=p, value="none", n=0).values()))) for p in SOURCES
    }
    levels = {**alone, "exact optimum": float(np.mean([record.rows[0]["optimum"] for record in records]))}
    return dose_response(
        series, title=f"{name}: search by prior and value", x_label="simulations",
        y_label="discounted return on held-out levels",
        subtitle="dots: seeds; diamonds: means with 95 % t intervals; dotted: means without a search, and the optimum",
        others={label: (ends, [level, level]) for label, level in levels.items()},
        tick_labels=[str(n) for n in NUM_SIMULATIONS],
    )  # fmt: skip
