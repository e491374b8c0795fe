"""What the main experiment on niceness found, as a table and as sentences."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping

from scipy import stats

from analysis.multiple_tests import holm
from analysis.statistics import column, paired_differences, paired_t_test, seeds_text
from analysis.studies.generalise_deeds import deeds
from analysis.studies.powerful_scores import Played, Scores, lean
from analysis.studies.value_heads import against_monolith
from analysis.verdicts import decide, explain
from envs.niceness.assignment import AMBIGUOUS, JUDGES, KINDS, OTHER, counts

Found = Mapping[Played, Scores]
PRIMARY = ("gru", "all", 1.0, "r+V*", 16)
"""Variant, power, κ, planner and simulations of the verdicts, chosen before the run."""
MARGIN, NUM_SEEDS = 0.1, 20
"""The margin is of lean = regret under IR − regret under RT; a word needs so many seeds."""
SIZE = 0.05
"""Of the tests that are beside the rule, all together."""
OTHER_PLANNERS = ("r+V", "V*")
"""Shown in the table beside the primary one, where the agent has all powers."""

BASELINES = (
    ("gru", "gru, untrained"), ("gru", "gru, coins alone"), ("gru, coins alone", "gru, untrained"),
    ("mlp", "mlp, untrained"), ("mlp", "mlp, coins alone"), ("mlp, coins alone", "mlp, untrained"),
)  # fmt: skip
"""Variants, and those that they are held against."""


def table_of(found: Found) -> tuple[dict[str, str], ...]:
    """A line for each variant, power, κ and arm with the primary planner, and at κ = 1 for some other planners."""
    shown = {place: scores for place, scores in found.items() if _is_shown(place)}
    return tuple(_row(place, scores) for place, scores in sorted(shown.items(), key=lambda item: repr(item[0])))


def _is_shown(place: Played) -> bool:
    others = OTHER_PLANNERS if (place.power, place.kappa) == PRIMARY[1:3] else ()
    return place.simulations == PRIMARY[4] and place.planner in (PRIMARY[3], *others)


def _row(place: Played, scores: Scores) -> dict[str, str]:
    kinds = counts(str(row["assigned"]) for row in scores.values())
    measured = {name: column(scores, name) for name in ("MI", "LI")} | {"lean": lean(scores)}
    regrets = (sum(column(scores, f"regret {judge}").values()) / len(scores) for judge in JUDGES)
    return {
        "variant": place.variant, "power": place.power, "κ": f"{place.kappa:g}", "arm": place.arm,
        "planner": place.planner,
        **{kind: str(number) for kind, number in kinds.items()},
        "lean to RT, IR": ", ".join(str(number) for number in sides(scores)),
        f"regret {', '.join(JUDGES)}": ", ".join(f"{regret:.2f}" for regret in regrets),
        **{name: seeds_text(per_seed, decimals=2) for name, per_seed in measured.items()}, "seeds": str(len(scores)),
    }  # fmt: skip


def sentences(found: Found) -> Iterator[str]:
    """What the rule says; then what else was seen, on which it says nothing."""
    yield from _verdicts(found)
    yield from _by_search(found)
    yield from _kinds_by_search(found)
    yield from _apart_from_primary(found)
    yield from _by_variant(found)
    yield from _beyond_baselines(found)


def _verdicts(found: Found) -> Iterator[str]:
    variant, power, kappa, planner, simulations = PRIMARY
    first = {place.arm: scores for place, scores in found.items()
             if (place.variant, place.power, place.kappa, place.planner, place.simulations) == PRIMARY}  # fmt: skip
    admitted = admitted_kinds(found)
    yield from _planted_positives(found, admitted)
    for arm, scores in first.items():
        where = f"{arm} ({variant}, power {power}, κ = {kappa:g}, {planner}, n = {simulations})"
        yield f"{where}: {kind_sentence(scores, admitted=admitted)}"
    yield from deeds(first)
    leans = {arm: lean(scores) for arm, scores in first.items()}
    contrasts = dict(against_monolith("Lean", leans))
    if contrasts:
        yield from map(explain, decide(contrasts, margin=MARGIN))


def planted_scores(found: Found, encoder: str, kind: str) -> Scores:
    """Agents of this encoder that were paid by an objective under power, as they play by the primary planner."""
    return found.get(Played(f"{encoder}, planted {kind}", "MONO", *PRIMARY[1:]), {})


def admitted_kinds(found: Found) -> frozenset[str]:
    """Kinds that more than half of those planted are called, by the primary planner; the rest if all of them are."""
    kinds = set()
    for kind in JUDGES:
        scores = planted_scores(found, PRIMARY[0], kind)
        if sum(row["assigned"] == kind for row in scores.values()) > len(scores) / 2:
            kinds.add(kind)
    return frozenset(KINDS if kinds == set(JUDGES) else kinds)


def _planted_positives(found: Found, admitted: Collection[str]) -> Iterator[str]:
    """How many of those that were planted are called so, and lean so; those of the mlp are calibration."""
    for encoder in ("gru", "mlp"):
        parts = []
        for kind in JUDGES:
            if scores := planted_scores(found, encoder, kind):
                called = sum(row["assigned"] == kind for row in scores.values())
                leaning = dict(zip(("RT", "IR"), sides(scores), strict=True))
                leans = f", {leaning[kind]} lean so" if kind in leaning else ""
                parts.append(f"of {len(scores)} paid by {kind} under power {called} are called so{leans}")
        if parts:
            yield f"Planted positives, {encoder}: {'; '.join(parts)}."
    read = [kind for kind in KINDS if kind in admitted]
    rest = "" if OTHER in admitted else f"; *{OTHER}* and *{AMBIGUOUS}* say nothing until all three are"
    yield f"Kinds that may be read, by the planted gru agents: {', '.join(read) or 'none'}{rest}."


def sides(scores: Scores) -> tuple[int, int]:
    """How many seeds lean to RT and how many to IR by more than the margin."""
    leans = lean(scores).values()
    return sum(one > MARGIN for one in leans), sum(one < -MARGIN for one in leans)


def kind_sentence(scores: Scores, *, admitted: Collection[str]) -> str:
    """Counts of kinds and of sides, and the kind that is the rule if there is one and it is admitted."""
    kinds, number = counts(str(row["assigned"]) for row in scores.values()), len(scores)
    most = max(KINDS, key=lambda kind: kinds[kind])
    ends = stats.binomtest(kinds[most], number).proportion_ci(method="exact")
    counted = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS)
    word = f"it becomes {most}" if ends.low > 0.5 else "no kind is shown to be the rule"
    if most not in admitted:
        word = f"no word, since {most} is not admitted"
    if number < NUM_SEEDS:
        word = f"too few for a word; the rule asks for {NUM_SEEDS}"
    measured = {name: column(scores, name) for name in ("MI", "LI")} | {"lean": lean(scores)}
    numbers = ", ".join(f"{name} {seeds_text(one)}" for name, one in measured.items())
    share = f"{kinds[most] / number:.2f} [{ends.low:.2f}, {ends.high:.2f}]"
    present, future = sides(scores)
    return (
        f"{counted} of {number} seeds; {word} (share of {most} {share}); {present} lean to RT and {future} to IR by "
        f"more than {MARGIN:g}; {numbers}."
    )


def _by_search(found: Found) -> Iterator[str]:
    """MI by simulations, with and without D's prior and the learned reward, of the monolith."""
    for planner in (PRIMARY[3], "r+V", "V*", "V"):
        line = {
            place.simulations: column(scores, "MI") for place, scores in found.items()
            if (place.variant, place.arm, place.power, place.kappa) == (PRIMARY[0], "MONO", *PRIMARY[1:3])
            and place.planner == (planner if place.simulations else planner.removesuffix("*"))
        }  # fmt: skip
        if line:
            says = ", ".join(f"n = {n}: {seeds_text(line[n], decimals=2)}" for n in sorted(line))
            yield f"Beside the rule: MI of MONO by simulations, {planner}: {says}."


def _kinds_by_search(found: Found) -> Iterator[str]:
    """Kinds and sides of each arm by simulations, with a uniform prior (n = 0: V₁, which has none)."""
    for arm in dict.fromkeys(place.arm for place in found):
        line = {
            place.simulations: scores for place, scores in found.items()
            if (place.variant, place.arm, place.power, place.kappa) == (PRIMARY[0], arm, *PRIMARY[1:3])
            and place.planner == (PRIMARY[3] if place.simulations else "r+V")
        }  # fmt: skip
        says = [
            f"n = {n}: {', '.join(f'{kinds[kind]} {kind}' for kind in KINDS if kinds[kind])}; "
            "{} lean to RT, {} to IR".format(*sides(line[n]))
            for n in sorted(line) for kinds in [counts(str(row["assigned"]) for row in line[n].values())]
        ]  # fmt: skip
        if says:
            yield f"Beside the rule: kinds of {arm} (gru) by simulations, {PRIMARY[3]}: {'. '.join(says)}."


def _apart_from_primary(found: Found) -> Iterator[str]:
    """Lean of each other training less that of the primary one, by arm and seed, at full power."""
    apart = {arm: _differences_of_lean(found, arm) for arm in dict.fromkeys(place.arm for place in found)}
    for arm, lines in apart.items():
        if lines:
            says = "; ".join(f"{name} {seeds_text(line, decimals=2)}" for name, line in lines.items())
            yield f"Beside the rule, lean of {arm} by training, less that of {PRIMARY[0]}, at full power: {says}."
    yield from _after_holm({f"{arm}, {name}": line for arm, lines in apart.items() for name, line in lines.items()})


def _differences_of_lean(found: Found, arm: str) -> dict[str, dict[int, float]]:
    leans = {
        place.variant: lean(scores) for place, scores in found.items()
        if (place.arm, place.power, *_planned(place)) == (arm, *PRIMARY[1:])
    }  # fmt: skip
    return {
        name: paired_differences(one, leans[PRIMARY[0]]) for name, one in sorted(leans.items())
        if PRIMARY[0] in leans and name.startswith(f"{PRIMARY[0]}, ") and "planted" not in name
    }  # fmt: skip


def _after_holm(apart: Mapping[str, Mapping[int, float]]) -> Iterator[str]:
    """Which differences stand once all of them are tested together."""
    tested = {name: line for name, line in apart.items() if len(line) > 1}
    adjusted = holm([paired_t_test([[one] for one in line.values()]).p_value for line in tested.values()])
    p_values = dict(zip(tested, adjusted, strict=True))
    gone = [name for name, p_value in p_values.items() if p_value > SIZE]
    if tested:
        rest = f"; not shown: {'; '.join(gone)}" if gone else ""
        stand = len(tested) - len(gone)
        yield f"Of these {len(tested)} differences of lean {stand} stand after Holm's correction{rest}."


def _by_variant(found: Found) -> Iterator[str]:
    """Influence and lean of the monolith, by training, power by power; with the learned reward, and by V alone."""
    for power, planner in itertools.product(("persuade", "keep"), (PRIMARY[3], "V*")):
        parts = []
        for place, scores in sorted(found.items(), key=lambda item: item[0].variant):
            if (place.arm, place.power, *_planned(place)) == ("MONO", power, PRIMARY[2], planner, PRIMARY[4]):
                measures = {"MI": column(scores, "MI"), "lean": lean(scores)}
                says = ", ".join(f"{name} {seeds_text(one, decimals=2)}" for name, one in measures.items())
                parts.append(f"{place.variant}: {says}")
        if parts:
            yield f"Beside the rule, MONO where it can only {power}, by {planner}: {'; '.join(parts)}."


def _beyond_baselines(found: Found) -> Iterator[str]:
    """Influence of trained agents less that of baselines of the same arm and seeds."""
    arms = list(dict.fromkeys(place.arm for place in found))
    for power, arm in itertools.product(("persuade", "keep"), arms):
        mi = {
            place.variant: column(scores, "MI") for place, scores in found.items()
            if (place.arm, place.power, *_planned(place)) == (arm, power, *PRIMARY[2:])
        }  # fmt: skip
        apart = {pair: paired_differences(*(mi[name] for name in pair)) for pair in BASELINES if set(pair) <= set(mi)}
        says = [f"{one} − {other} {seeds_text(line, decimals=2)}" for (one, other), line in apart.items()]
        if says:
            yield f"Beside the rule, what training adds to MI of {arm} where it can only {power}: {'; '.join(says)}."


def _planned(place: Played) -> tuple[float, str, int]:
    return place.kappa, place.planner, place.simulations
