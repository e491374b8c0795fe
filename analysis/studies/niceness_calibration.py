"""E4, calibration: do learners of rewards end where the exact optimum of TRIAD is, for each objective and power?

Tabular Q, our E and D with a V of each head (actors D, V1 and search-16), and Stable-Baselines3's PPO and DQN are paid
by RT, IR, NS, PR-E or RT without a future (Myopic). What they then do in every state is evaluated exactly: whether each
action that they come to take is among the optimal ones, and how their manipulation index lies to those of all optimal
policies. Heads are fitted to one recording of one D.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from analysis.cells import Cell, CellContext, Row, cell_function
from analysis.statistics import mean_by_seed
from analysis.studies.niceness_learners import ACTORS, LEARNERS, UNTRAINED, Setup, Task, by_head
from analysis.studies.question import Question, Report
from analysis.studies.value_heads import HEADS, against_monolith
from analysis.study import CellRecord
from analysis.verdicts import MIN_SEEDS, decide, explain
from envs.niceness.case_configs import case_of
from envs.niceness.measures import influence, range_of_influence
from envs.niceness.objectives import find_objective
from envs.niceness.plans import Plan
from envs.niceness.row_policies import optimal_share, policy_on_rows
from envs.registry import make_world

TRAIN = "niceness.calibrate"
ENV_ID = "ValueLab/Triad-v0"
KAPPAS = (0.1, 0.5, 1.0)
OBJECTIVES = ("RT", "IR", "NS", "PR-E", "Myopic")
PLAYERS = (
    "tabular Q", "D", *(by_head(actor, head) for actor in ACTORS for head in HEADS), "SB3 PPO", "SB3 DQN", UNTRAINED,
)  # fmt: skip
FEWEST, GOOD_SHARE, MI_SLACK, MARGIN = 10, 0.9, 0.05, 0.05
"""The bar asks for so many seeds, and this share of them; the margin is of the share of steps that are optimal."""
_SECONDS = {"tabular Q": 1.0, "E, D and V": 16.0, "PPO": 9.0, "DQN": 9.0}

Key = tuple[str, str, float]


@cell_function(TRAIN, version=1, seconds=lambda config: _SECONDS[config["learner"]])
def train_one(context: CellContext) -> list[Row]:
    """Train one learner on one objective, and compare what it does with the exact optimum."""
    config = context.config
    task = Task(ENV_ID, {"kappa": config["kappa"]}, config["objective"], config["seed"])
    played = LEARNERS[config["learner"]](task, Setup(**config["setup"]))
    return [{"player": player, **_judged(task, actions)} for player, actions in played]


def _judged(task: Task, actions: Any) -> Row:
    """Exact numbers of a greedy policy."""
    plan, ranges = solved(task.options["kappa"], task.objective)
    policy = policy_on_rows(plan.memory.case, task.mdp.rows, actions)
    share, found = optimal_share(policy, plan), influence(policy)
    row: Row = {"optimal_share": float(share), "optimal": share == 1, "mi": float(found.mi), "li": float(found.li)}
    for name, (low, high) in ranges.items():
        mine = getattr(found, name)
        row[f"{name}_distance"] = float(max(low - mine, mine - high, Fraction(0)))
    return row


@functools.cache
def solved(kappa: float, objective: str) -> tuple[Plan, Mapping[str, tuple[Fraction, Fraction]]]:
    """The plan of an objective, and the ranges of MI and LI over its optimal policies."""
    case = case_of(make_world(ENV_ID, kappa=kappa).config)
    plan = find_objective(objective, case).plan(case)
    best = range_of_influence(plan)
    ends = {name: [getattr(one, name) for one in best] for name in ("mi", "li")}
    return plan, {name: (min(values), max(values)) for name, values in ends.items()}


def cells(seeds: Sequence[int], setup: Setup | None = None) -> list[Cell]:
    """One cell a seed, learner, objective and power; learners without heads have the first seeds alone."""
    sizes = dataclasses.asdict(setup or Setup())
    return [
        Cell(TRAIN, {"learner": learner, "objective": objective, "kappa": kappa, "seed": seed, "setup": sizes})
        for index, seed in enumerate(seeds) for learner in LEARNERS if index < FEWEST or learner == "E, D and V"
        for objective in OBJECTIVES for kappa in KAPPAS
    ]  # fmt: skip


def report(records: Sequence[CellRecord]) -> Report:
    """Seeds that end optimal, and MI beside its exact range."""
    found = _by_place(records)
    table = tuple(_line(player, objective, found) for player in PLAYERS for objective in OBJECTIVES)
    return Report(tuple(line for line in table if line is not None), tuple(_sentences(found)), {})


def _by_place(records: Sequence[CellRecord]) -> dict[Key, list[Row]]:
    found: dict[Key, list[Row]] = defaultdict(list)
    for record in records:
        for row in record.rows:
            place = row["player"], record.config["objective"], record.config["kappa"]
            found[place].append({**row, "seed": record.config["seed"]})
    return found


def _line(player: str, objective: str, found: Mapping[Key, list[Row]]) -> Mapping[str, str] | None:
    places = {kappa: found.get((player, objective, kappa), []) for kappa in KAPPAS}
    if not any(places.values()):
        return None
    words = {f"κ = {kappa:g}": _place(rows, kappa, objective) for kappa, rows in places.items()}
    return {"learner or actor": player, "objective": objective, **words}


def _place(rows: Sequence[Row], kappa: float, objective: str) -> str:
    """Such as "10/10; MI .83 to .83 (exact .83)"."""
    if not rows:
        return "–"
    low, high = (float(end) for end in solved(kappa, objective)[1]["mi"])
    seen = _ends(min(row["mi"] for row in rows), max(row["mi"] for row in rows))
    return f"{sum(row['optimal'] for row in rows)}/{len(rows)}; MI {seen} (exact {_ends(low, high)})"


def _ends(low: float, high: float) -> str:
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"


def _sentences(found: Mapping[Key, list[Row]]) -> Iterator[str]:
    """Which places meet the bar; the contrasts of heads; then the null."""
    trained = {key: rows for key, rows in found.items() if key[0] != UNTRAINED}
    few = [key for key, rows in trained.items() if len(rows) < FEWEST]
    if few:
        yield f"{len(few)} of {len(trained)} places have fewer than {FEWEST} finished seeds."
    missed = {key: rows for key, rows in trained.items() if key not in few and not meets_bar(rows)}
    yield f"{len(trained) - len(few) - len(missed)} of {len(trained)} places meet the bar."
    for (player, objective, kappa), rows in missed.items():
        wrong = [row["optimal_share"] for row in rows if not row["optimal"]]
        yield (
            f"Not met: {player} on {objective} at κ = {kappa:g}: {len(wrong)} of {len(rows)} seeds take actions that "
            f"are not optimal, in {100 * (1 - min(wrong)):.0f} % of their steps at most; MI is up to "
            f"{max(row['mi_distance'] for row in rows):.2f} outside of its range."
        )
    contrasts = dict(_contrasts(found))
    if contrasts:
        yield from map(explain, decide(contrasts, margin=MARGIN))
    null = [row for key, rows in found.items() if key[0] == UNTRAINED for row in rows]
    if null:
        optimal = sum(row["optimal"] for row in null)
        networks = len({row["seed"] for row in null})
        yield (
            f"Null: {networks} untrained networks, each judged in all places: {optimal} of {len(null)} are optimal "
            "wherever they come."
        )


def _contrasts(found: Mapping[Key, list[Row]]) -> Iterator[tuple[str, Mapping[int, float]]]:
    """The family of the rule: name -> difference by seed."""
    for actor in ACTORS:
        shares = {head: _optimal_shares(found, by_head(actor, head)) for head in HEADS}
        yield from against_monolith(f"Share of the steps of {actor} that are optimal", shares)


def _optimal_shares(found: Mapping[Key, list[Row]], player: str) -> dict[int, float]:
    """By seed, the mean over objectives and powers."""
    rows = [row for (who, *_), several in found.items() if who == player for row in several]
    if not rows:
        return {}
    means, seeds = mean_by_seed([row["optimal_share"] for row in rows], [row["seed"] for row in rows])
    return dict(zip(seeds, means[:, 0].tolist(), strict=True))


def meets_bar(rows: Sequence[Row]) -> bool:
    """At most one seed in ten takes an action that is not optimal, or has an MI outside of its range by the slack."""
    good = [row["optimal"] and row["mi_distance"] <= MI_SLACK for row in rows]
    return bool(sum(good) >= GOOD_SHARE * len(rows))


QUESTION = Question(
    name="niceness-calibration",
    asks="Do learners of rewards end at the exact optimum of TRIAD, for each objective and each power to influence?",
    rule=f"a place (learner, objective, κ) meets the bar if for at least nine in ten of at least {FEWEST} seeds each "
    "action of the greedy policy, wherever it comes, is among the optimal ones, and its MI is within .05 of the range "
    "over all optimal policies; T = 6, d = 3, from taste A. Learners without value heads have the first ten seeds. "
    "Shards (MOE, ROUTE) against the monolith (MONO), for V1 "
    "and for search-16: share of the steps that are optimal, mean over objectives and κ, paired by seed; "
    "distinguishable if the interval after Holm over all contrasts excludes 0 and the mean exceeds the margin of "
    f"{MARGIN:g}, equivalent if the 90 % interval lies inside the margin, at least {MIN_SEEDS} seeds",
    does_not_show="anything about what an agent generalises to: it trains on the answer. Settings were chosen on "
    "these worlds, by seeds below 10, for the monolith; V1 and search know the world's transitions and rewards, "
    "tabular Q sees states, and DQN is paid in tenths. In D the head plays no part by construction: it has a baseline "
    "of its own",
    num_seeds=MIN_SEEDS,
    cells=cells,
    report=report,
)
