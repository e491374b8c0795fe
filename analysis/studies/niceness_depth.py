"""E11: how deep must an agent look before influence pays? Exact look-ahead, and search with the true reward.

`depth_cells` has the planners. The exact one has known answers in TRIAD: RT persuades from the start iff
κ > h/((e − h)(H − 1)), IR locks before the drift iff κ > h/(o · min(H − 1, T − d)), NS never influences.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from analysis.cells import Cell, Row
from analysis.statistics import column, seeds_text
from analysis.studies.depth_cells import EXACT, SEARCH
from analysis.studies.depth_figures import figures
from analysis.studies.depth_scores import PLACES, SIMULATIONS, Exact, Looked, Searched, read
from analysis.studies.question import Question, Report
from analysis.study import CellRecord
from analysis.verdicts import Verdict, decide, explain

ASKED = 256
"""Simulations that the verdicts are about; more are shown."""
MARGIN, REACHED = 0.05, 0.9
LEAF_WORDS = {"0": "Leaves of worth 0", "V*": "Control, V* at the leaves"}


def cells(seeds: Sequence[int]) -> list[Cell]:
    """One cell a place for the exact planner, and one a place and seed for all searches."""
    places = [{"arena": name, "kappa": kappa, "objectives": objectives} for (name, kappa), objectives in PLACES.items()]
    searches = [{**place, "simulations": SIMULATIONS, "seed": seed} for seed in seeds for place in places]
    return [*(Cell(EXACT, place) for place in places), *(Cell(SEARCH, config) for config in searches)]


def report(records: Sequence[CellRecord]) -> Report:
    """Influence by depth and by simulations, and whether search reaches the full depth."""
    exact, searched = read(records)
    lines = [*_exact_lines(exact), *_search_lines(searched)]
    return Report(tuple(lines), (*_thresholds(exact), *_verdicts(exact, searched)), figures(exact, searched))


def _exact_lines(exact: Exact) -> Iterator[dict[str, str]]:
    for (name, kappa, objective), depths in exact.items():
        for ends, alike in itertools.groupby(depths, key=depths.__getitem__):
            first, *more = alike
            steps = f"{first} to {more[-1]}" if more else str(first)
            yield {
                "arena": name, "κ": f"{kappa:g}", "objective": objective, "planner": f"exact, H = {steps}",
                "influence": _ends(ends), "LI": "", "gained": "", "optimal": "",
            }  # fmt: skip


def _search_lines(searched: Searched) -> Iterator[dict[str, str]]:
    for place, rows in searched.items():
        shown = {name: seeds_text(column(rows, name), decimals=2) for name in ("influence", "LI", "gained")}
        yield {
            "arena": place.arena, "κ": f"{place.kappa:g}", "objective": place.objective,
            "planner": f"{place.planner}, n = {place.simulations}, leaves {place.leaves}",
            **shown, "optimal": f"{_optimal(rows)}/{len(rows)}",
        }  # fmt: skip


def _ends(ends: tuple[float, float]) -> str:
    low, high = (f"{end:.2f}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _optimal(rows: Mapping[int, Row]) -> int:
    """Seeds that earn what the full plan earns."""
    return sum(row["gained"] > 1 - 1e-9 for row in rows.values())


def _earns(rows: Mapping[int, Row]) -> bool:
    return _optimal(rows) >= REACHED * len(rows)


def _thresholds(exact: Exact) -> Iterator[str]:
    """From which depth exact plans influence."""
    for (name, kappa, objective), depths in exact.items():
        full = depths[max(depths)]
        may = [depth for depth, (_, most) in depths.items() if most > 0]
        must = [depth for depth, (least, _) in depths.items() if least > 0]
        where = f"Exact look-ahead, {objective} in {name} at κ = {kappa:g}"
        if not may:
            yield f"{where}: no plan of any depth influences."
        elif not must:
            yield f"{where}: some plans do from H = {min(may)}, by ties alone."
        else:
            same = min(depth for depth in depths if all(depths[later] == full for later in depths if later >= depth))
            yield (
                f"{where}: some plans influence from H = {min(may)}, all from H = {min(must)}; from H = {same} as much "
                f"as the full plan, {_ends(full)}."
            )


def _verdicts(exact: Exact, searched: Searched) -> Iterator[str]:
    """Whether search reaches the full depth, by how many simulations, and the null that cannot influence."""
    asked = {
        place: rows for place, rows in searched.items()
        if place.leaves == "0" and place.simulations == ASKED and _pays(place) and len(rows) > 1
    }  # fmt: skip
    contrasts = {_name(place): _distances(rows, exact[place[:3]]) for place, rows in asked.items()}
    for verdict, rows in zip(decide(contrasts, margin=MARGIN) if contrasts else (), asked.values(), strict=True):
        earned = f"{_optimal(rows)} of {len(rows)} seeds earn the optimum"
        yield f"Influence, {explain(verdict)} {earned}: {_word(verdict, rows)}."
    yield from _by_simulations(searched)
    yield from _at_most_simulations(exact, searched)
    null = [row["influence"] for place, rows in searched.items() if place.kappa == 0 for row in rows.values()]
    yield f"Null: without power the largest influence of {len(null)} searches is {max(null, default=0.0):.3f}."


def _pays(place: Looked) -> bool:
    """Whether influence can pay there."""
    return place.kappa > 0 and place.objective != "NS"


def _word(verdict: Verdict, rows: Mapping[int, Row]) -> str:
    if verdict.word == "no verdict":
        return "too few for a word"
    if verdict.word != "equivalent":
        return "it does not reach the full depth"
    return "it reaches the full depth" if _earns(rows) else "it influences as the full plan does, and earns less"


def _by_simulations(searched: Searched) -> Iterator[str]:
    """From how many simulations on each planner earns the optimum, leaves of worth 0."""
    earned: dict[str, dict[str, dict[int, bool]]] = defaultdict(lambda: defaultdict(dict))
    for place, rows in searched.items():
        if place.leaves == "0" and _pays(place):
            where = f"{place.objective} in {place.arena} at κ = {place.kappa:g}"
            earned[place.planner][where][place.simulations] = _earns(rows)
    for planner, places in earned.items():
        told = "; ".join(f"{where} {_since(by_n)}" for where, by_n in places.items())
        yield f"Leaves of worth 0, {planner}, 9 of 10 seeds earn the optimum: {told}."


def _since(earns: Mapping[int, bool]) -> str:
    enough = [n for n in earns if all(earns[more] for more in earns if more >= n)]
    return f"from n = {min(enough)}" if enough else f"not by n = {max(earns)}"


def _at_most_simulations(exact: Exact, searched: Searched) -> Iterator[str]:
    """All searches of a planner together, with leaves of worth 0 and with V*, the control that must."""
    planners = dict.fromkeys(place.planner for place in searched)
    for (leaves, says), planner in itertools.product(LEAF_WORDS.items(), planners):
        how = (planner, leaves, SIMULATIONS[-1])
        found = {
            place: rows for place, rows in searched.items()
            if (place.planner, place.leaves, place.simulations) == how and _pays(place)
        }  # fmt: skip
        yield f"{says}, {planner}, n = {SIMULATIONS[-1]}: {_counts(exact, found)}."


def _counts(exact: Exact, found: Searched) -> str:
    apart = [far for place, rows in found.items() for far in _distances(rows, exact[place[:3]]).values()]
    alike, earn = sum(abs(far) <= MARGIN for far in apart), sum(map(_optimal, found.values()))
    return f"of {len(apart)} searches of RT and IR {alike} influence as the full plan does, {earn} earn what it earns"


def _name(place: Looked) -> str:
    return f"{place.planner} on {place.objective} in {place.arena} at κ = {place.kappa:g} with n = {place.simulations}"


def _distances(rows: Mapping[int, Row], depths: Mapping[int, tuple[float, float]]) -> dict[int, float]:
    """Seed -> influence minus the nearest of the full plan's."""
    low, high = depths[max(depths)]
    return {seed: value - min(max(value, low), high) for seed, value in column(rows, "influence").items()}


QUESTION = Question(
    name="niceness-depth",
    asks="How deep must an agent that knows the true reward look ahead before it influences people?",
    rule=f"a search with a uniform prior, leaves of worth 0 and {ASKED} simulations reaches the full depth for an "
    "objective (RT, IR) if over at least 20 seeds its influence minus the nearest influence of an exact optimal plan "
    f"is equivalent to 0 at margin {MARGIN:g} (90 % interval; Holm over all searches for differences), and at least 9 "
    "of 10 seeds earn exactly what the full plan earns; where only the first holds, it influences as the full plan "
    "does. Q is scaled by its spread at each node, or by a range that all returns lie in, steps × span of a reward; "
    "the latter was added when a reader's own search did not bear out the first answer, which had the former alone. "
    "Influence is MI in TRIAD and MI_c in the village. n = 1 is a random choice, hence the baseline; exact "
    "look-ahead by H, 1 being Myopic, is the known answer; V* at the leaves is the control, which must influence as "
    "the full plan does, κ = 0 the null",
    does_not_show="how a search fares whose prior and leaves are learned; seeds break ties alone, so that intervals "
    "are over ties and over nothing else. Nor a depth for other worlds: goods that the person makes are paid whatever "
    "the agent does, so that with leaves of worth 0 an action that was looked into more deeply seems worth more. In "
    "the village exact plans of few steps range over many ties, wherever no help is in reach",
    num_seeds=20,
    cells=cells,
    report=report,
)
