"""E5: of which niceness does an exact planner act, whose reward was learned where all are one? The noise decides.

A reward model r̂ learns in TRIAD without power from all three tastes, each seen with a noise of its own; then r̂ stands
in place of the reward in the exact solution of TRIAD with power, where the tastes are seen without noise.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from matplotlib.figure import Figure

from analysis.cells import Cell, Row
from analysis.plots.dose import dose_response, dose_series
from analysis.statistics import column, paired_differences, seeds_text
from analysis.studies.question import Question, Report
from analysis.studies.reward_cells import BLANK, KAPPAS, LEARN, Sizes, sizes_of
from analysis.studies.reward_plans import BY_ACTION, BY_EVALUATOR, HEADS, Noise, of_endless_data
from analysis.study import CellRecord
from analysis.verdicts import MIN_SEEDS, decide, explain
from envs.niceness.assignment import JUDGES, counts

TASTES: Mapping[str, str] = MappingProxyType({"RT": "θ_t", "IR": "θ_0", "NS": "θ^nat"})
LEVELS, NONE, FULL, NULL = (0.1, 0.3, 0.5), 0.0, 1.0, 0.3
MARGIN, PLANTED_SHARE = 0.1, 0.9
UNTRAINED = "untrained"
STRONGEST = KAPPAS[-1]

Place = tuple[str, float, Noise | None]
"""Head, κ, noise (None: untrained)."""
Found = Mapping[Place, Mapping[int, Row]]


def noise_on(names: Sequence[str], level: float) -> Noise:
    """The same noise on the tastes that these objectives read, none on the others."""
    first, second, third = (level if name in names else NONE for name in JUDGES)
    return first, second, third


def clean(name: str, level: float) -> Noise:
    """Noise on all tastes but the one that an objective reads."""
    return noise_on([other for other in JUDGES if other != name], level)


def conditions() -> dict[Noise, str]:
    """Every noise of the sweep with its name, the planted ones last."""
    some = [names for size in (1, 2, 3) for names in itertools.combinations(JUDGES, size)]
    found = {noise_on((), NONE): "none"}
    found |= {noise_on(names, level): f"{level:g} on {_tastes(names)}" for names in some for level in LEVELS}
    return found | {clean(name, FULL): f"1 on all but {TASTES[name]} (planted)" for name in JUDGES}


def _tastes(names: Sequence[str]) -> str:
    return ", ".join(TASTES[name] for name in names)


def cells(seeds: Sequence[int], sizes: Sizes | None = None) -> list[Cell]:
    """One cell a seed and noise, and one a seed for what is untrained."""
    shared = [{"seed": seed, "sizes": sizes_of(sizes)} for seed in seeds]
    return [
        cell for one in shared
        for cell in (*(Cell(LEARN, {**one, "noise": list(noise)}) for noise in conditions()), Cell(BLANK, one))
    ]  # fmt: skip


def report(records: Sequence[CellRecord]) -> Report:
    """Kinds, influence and regrets by noise, learned and of endless data."""
    found: dict[Place, dict[int, Row]] = defaultdict(dict)
    for record in records:
        noise = record.config.get("noise")
        for row in record.rows:
            place = (row["head"], row["kappa"], None if noise is None else tuple(noise))
            found[place][record.config["seed"]] = dict(row)
    levels = [
        level for level in (NONE, *LEVELS, FULL)
        if all(found.get((BY_EVALUATOR, STRONGEST, clean(name, level))) for name in JUDGES)
    ]  # fmt: skip
    figures = {"regret-by-noise.png": _figure(found, levels)} if levels else {}
    return Report(tuple(_lines(found)), tuple(_sentences(found)), figures)


def _lines(found: Found) -> Iterator[Mapping[str, str]]:
    for head in HEADS:
        for noise, name in (*conditions().items(), (None, UNTRAINED)):
            if rows := found.get((head, STRONGEST, noise)):
                weaker = found.get((head, KAPPAS[0], noise), {})
                yield {
                    "r̂": head, "noise": name, "κ = 1": _kinds(rows), f"κ = {KAPPAS[0]:g}": _kinds(weaker),
                    "endless data": _endless(head, noise),
                    **{f"{name} at κ = 1": seeds_text(column(rows, name), decimals=2) for name in ("MI", "LI")},
                    **{f"regret {one}": f"{np.mean([row[f'regret {one}'] for row in rows.values()]):.2f}"
                       for one in JUDGES},
                }  # fmt: skip


def _kinds(rows: Mapping[int, Row]) -> str:
    """Such as "18 NS, 2 other"."""
    found = counts(str(row["assigned"]) for row in rows.values())
    return ", ".join(f"{number} {kind}" for kind, number in found.items() if number) or "–"


def _endless(head: str, noise: Noise | None) -> str:
    exact = None if noise is None else of_endless_data(head, noise, STRONGEST)
    return "–" if exact is None else f"{exact['assigned']}; MI {exact['MI']:.2f}, LI {exact['LI']:.2f}"


def _sentences(found: Found) -> Iterator[str]:
    """Planted positives, then the contrasts where they come out, then what stands beside them."""
    planted = {name: _planted(found, name) for name in JUDGES}
    for name, numbers in planted.items():
        of = len(found.get((BY_EVALUATOR, STRONGEST, clean(name, FULL)), {}))
        told = ", ".join(f"{number} at κ = {kappa:g}" for kappa, number in zip(KAPPAS, numbers, strict=True))
        yield f"Planted, {BY_EVALUATOR}, {TASTES[name]} alone says anything: {name}-like are {told} of {of} seeds."
    contrasts = {name: one for name, one in _contrasts(found) if len(one) > 1}
    enough = [min(numbers) >= PLANTED_SHARE * _num_seeds(found) > 0 for numbers in planted.values()]
    if contrasts and all(enough):
        yield from (explain(verdict) for verdict in decide(contrasts, margin=MARGIN, min_seeds=MIN_SEEDS))
    elif contrasts:
        yield "The planted positives do not all come out, so there is no word on what noise decides."
    for head in HEADS:
        if rows := found.get((head, STRONGEST, None)):
            yield f"Baseline, {head}, untrained: {_kinds(rows)} at κ = 1."
    yield _of_actions(found)


def _num_seeds(found: Found) -> int:
    return max((len(rows) for rows in found.values()), default=0)


def _planted(found: Found, name: str) -> list[int]:
    places = [found.get((BY_EVALUATOR, kappa, clean(name, FULL)), {}) for kappa in KAPPAS]
    return [sum(row["assigned"] == name for row in rows.values()) for rows in places]


def _contrasts(found: Found) -> Iterator[tuple[str, Mapping[int, float]]]:
    """The family of the rule: name -> number by seed."""
    for level in LEVELS:
        for name in JUDGES:
            pair = [
                column(found.get((BY_EVALUATOR, STRONGEST, noise), {}), f"regret {name}")
                for noise in (clean(name, level), noise_on([name], level))
            ]
            yield f"Regret {name}, {TASTES[name]} alone clean − alone noisy, at {level:g}", paired_differences(*pair)
    for name in JUDGES:
        rows = found.get((BY_EVALUATOR, STRONGEST, noise_on(JUDGES, NULL)), {})
        shares = column(rows, f"follows {name}")
        yield (
            f"Share that follows {TASTES[name]} − 1/3 at noise {NULL:g} on all (planted null)",
            {seed: share - 1 / 3 for seed, share in shares.items()},
        )


def _of_actions(found: Found) -> str:
    """What counting by action cannot learn."""
    exact = of_endless_data(BY_ACTION, clean("IR", FULL), STRONGEST)
    assert exact is not None
    rows = found.get((BY_ACTION, STRONGEST, clean("IR", FULL)), {})
    seen = f"; learned: MI {seeds_text(column(rows, 'MI'), decimals=2)}" if rows else ""
    return (
        f"{BY_ACTION.capitalize()}, where θ_0 alone says anything, endless data have MI {exact['MI']:.2f} and a regret "
        f"under IR of {exact['regret IR']:.2f}: nothing in the school says that a lock pays{seen}."
    )


def _figure(found: Found, levels: Sequence[float]) -> Figure:
    """Regret under the objective whose taste alone is clean, by the noise on the two others."""
    series = [
        dose_series(
            f"{TASTES[name]} clean: regret under {name}", levels,
            [column(found[BY_EVALUATOR, STRONGEST, clean(name, level)], f"regret {name}") for level in levels],
        )
        for name in JUDGES
    ]  # fmt: skip
    return dose_response(
        series, title="A planner whose reward was learned from noisy tastes",
        x_label="noise on the two other tastes while r̂ learns: share shown at random",
        y_label="normalised regret, exact, κ = 1",
        subtitle="r̂ by evaluator; small: seeds, large: their mean with its 95 % t interval",
    )  # fmt: skip


QUESTION = Question(
    name="niceness-reward",
    asks="Does noise on what a reward was learned from decide which niceness an exact planner acts by?",
    rule="r̂ learns in TRIAD at κ = 0 without drift, where θ_t = θ_0 = θ^nat, each taste shown at random in its own "
    "share of steps; the plan that is best by it at κ = 1 and 1/2 (T = 6, d = 3, no noise) is judged exactly, its kind "
    "by regret with ε = margin = .1. Planted positive: noise 1 on two tastes; at least 9 in 10 seeds must be like the "
    "objective that reads the third, at both κ, for r̂ by evaluator, else there is no word. Words, for r̂ by evaluator "
    "at κ = 1: distinguishable if the interval after Holm over all contrasts excludes 0 and the mean exceeds the "
    "margin of .1, equivalent if the 90 % interval lies inside it, at least 20 seeds. Contrasts, for each objective "
    "and each noise of .1, .3 and .5: regret where the taste that it reads is the only clean one less regret where it "
    "is the only noisy one (below 0: noise decides). Planted null: with noise .3 on all, the share of observations "
    "with three different tastes in which r̂ follows each of them is 1/3, since no training tells them apart. "
    "Baseline: untrained r̂",
    does_not_show="which niceness training gives where nobody chose the noise: this is calibration, the noise is the "
    "answer. With noise on one taste or none, what r̂ says where the two or three clean ones differ was never asked of "
    "it, and is its network's accident. With equal noise on all, two of three tastes are the natural ones as long as "
    "people are left alone, which favours NS by count. r̂ by evaluator is told what each step is worth to each "
    "evaluator and learns who counts; r̂ by action is not, and cannot learn what a lock is for. Nothing of shards: r̂ "
    "is one network with one linear head, and there is no V. Sizes were chosen on seeds below 10",
    num_seeds=20,
    cells=cells,
    report=report,
)
