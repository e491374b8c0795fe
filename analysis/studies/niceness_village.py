"""E10: how near do learners of rewards in the village come to its exact optimum, and do they influence as it does?"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from matplotlib.figure import Figure

from analysis.cells import Cell, Row
from analysis.plots import arms_dots, seed_scores
from analysis.statistics import column, seeds_text
from analysis.studies.niceness_learners import UNTRAINED, Setup, by_head
from analysis.studies.question import Question, Report
from analysis.studies.value_heads import HEADS, against_monolith
from analysis.studies.village_cells import (
    D_PLAYER,
    INERT,
    LEARNERS,
    OPTIMUM,
    PLANT,
    Q_PLAYER,
    RANGE,
    SETUP,
    TRAIN,
    V_PLAYERS,
)
from analysis.study import CellRecord
from analysis.verdicts import MIN_SEEDS, decide, explain
from envs.niceness.assignment import JUDGES, TOLERANCE

TRAINED = (Q_PLAYER, D_PLAYER, *V_PLAYERS)
KNOWN = (OPTIMUM, INERT)
ROUNDING = 1e-9

Found = Mapping[tuple[str, str], Mapping[int, Row]]
"""Objective, player -> seed -> row; known players have the seed 0."""


def cells(seeds: Sequence[int], setup: Setup = SETUP) -> list[Cell]:
    """One cell a seed, learner and objective, and the known players of each objective."""
    sizes = dataclasses.asdict(setup)
    return [
        *(Cell(PLANT, {"objective": objective}) for objective in JUDGES),
        *(Cell(TRAIN, {"objective": objective, "learner": learner, "seed": seed, "setup": sizes})
          for seed in seeds for objective in JUDGES for learner in LEARNERS),
    ]  # fmt: skip


def report(records: Sequence[CellRecord]) -> Report:
    """Shares of the optimum and influence, beside what is known."""
    found: dict[tuple[str, str], dict[int, Row]] = defaultdict(dict)
    for record in records:
        for row in record.rows:
            found[record.config["objective"], row["player"]][record.config.get("seed", 0)] = dict(row)
    trained = any(player in TRAINED for _, player in found)
    figures = {"regret.png": _figure(found)} if trained else {}
    return Report(tuple(_lines(found)), tuple(_sentences(found)), figures)


def _lines(found: Found) -> Iterator[Mapping[str, str]]:
    for objective in JUDGES:
        for player in (*KNOWN, *TRAINED, UNTRAINED):
            if rows := found.get((objective, player)):
                yield {
                    "paid by": objective, "who": player, "share of the optimum": _share(rows),
                    **{name: seeds_text(column(rows, name), decimals=2) for name in ("MI_c", "LI")},
                    "steps that are optimal": seeds_text(column(rows, "optimal_share"), decimals=2),
                    "like it": f"{sum(row['assigned'] == objective for row in rows.values())}/{len(rows)}",
                }  # fmt: skip


def _share(rows: Mapping[int, Row]) -> str:
    """1 less the normalised regret under what was paid."""
    return seeds_text({seed: 1 - regret for seed, regret in column(rows, "regret").items()}, decimals=2)


def _sentences(found: Found) -> Iterator[str]:
    """Known players, the contrasts of the rule, the baseline."""
    for objective in JUDGES:
        if all((objective, player) in found for player in KNOWN):
            best, idle = (found[objective, player][0] for player in KNOWN)
            ends = " to ".join(f"{best[end]:.2f}" for end in RANGE)
            yield (
                f"{objective}, exact: all optimal actions alike have a regret of {best['regret']:.2f}, MI_c "
                f"{best['MI_c']:.2f} ({ends} over all optimal policies), LI {best['LI']:.2f}; doing "
                f"nothing a regret of {idle['regret']:.2f}."
            )
    contrasts = {name: one for name, one in _contrasts(found) if len(one) > 1}
    if contrasts and all(_is_optimal(found.get((objective, OPTIMUM), {})) for objective in JUDGES):
        yield from (explain(verdict) for verdict in decide(contrasts, margin=TOLERANCE, min_seeds=MIN_SEEDS))
    elif contrasts:
        yield "The exact policy is not at its own optimum everywhere, so there is no word on learners."
    for objective in JUDGES:
        if rows := found.get((objective, UNTRAINED)):
            yield f"Baseline, {objective}: D untrained has {_share(rows)} of the optimum."


def _is_optimal(rows: Mapping[int, Row]) -> bool:
    return bool(rows) and all(abs(row["regret"]) < ROUNDING for row in rows.values())


def _contrasts(found: Found) -> Iterator[tuple[str, Mapping[int, float]]]:
    """The family of the rule: name -> number by seed."""
    for objective in JUDGES:
        regret = {player: column(found.get((objective, player), {}), "regret") for player in TRAINED}
        for player, one in regret.items():
            yield f"Regret of {player} on {objective}", one
        heads = {head: regret[by_head("V1", head)] for head in HEADS}
        yield from against_monolith(f"Regret of V1 on {objective}", heads)


def _figure(found: Found) -> Figure:
    lines = [
        seed_scores(f"{player} on {objective}", column(found[objective, player], "regret"))
        for objective in JUDGES for player in (*TRAINED, UNTRAINED) if (objective, player) in found
    ]  # fmt: skip
    return arms_dots(
        lines, title="How far learners of rewards in the village are from the exact optimum",
        x_label="regret under what was paid: 0 the optimum, 1 no better than doing nothing", null=0.0,
        margin=TOLERANCE, subtitle="greedy policies, exact; small: seeds, large: their mean with its 95 % t interval",
    )  # fmt: skip


QUESTION = Question(
    name="niceness-village",
    asks="Do learners of rewards in the village come to its exact optimum, and to its influence on people?",
    rule="regret is (max U − U(π))/(max U − U(noop)) under what was paid, exact, of the greedy policy; 5 × 5 cells, "
    f"one person from taste A, T = 20, κ = 1. Words: a learner is at the optimum (equivalent) if the 90 % interval of "
    f"its regret lies inside {TOLERANCE:g}, the ε of the assignment, and short of it (distinguishable) if the interval "
    "after Holm over all contrasts excludes 0 and the mean exceeds that; at least 20 seeds. Contrasts, for RT, IR and "
    "NS: regret of tabular Q, of D, of V1 with MONO, MOE and ROUTE, each against 0, and MOE and ROUTE less MONO. "
    "Planted positive: all optimal actions alike, regret 0, else no word; doing nothing has regret 1; baseline: D "
    "untrained",
    does_not_show="what an agent generalises to: it trains on the answer, in the place where it is judged. A learner "
    "that falls short may do so for want of steps or of settings, which were chosen on seeds below 10 with a minute a "
    "cell, and those of tabular Q and of the networks are not made alike. V1 knows transitions and rewards; its V is "
    "that of what D plays, one step improved, not an optimal one. Tabular Q's table tells states apart by the twin as "
    "well. Neither memory nor search was tried",
    num_seeds=20,
    cells=cells,
    report=report,
)
