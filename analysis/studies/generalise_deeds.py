"""What agents of the main experiment on niceness do, beside the rule: whom they move, whom they keep, whom they serve.

A kind says under which objective an agent does well, and *other* is none; so what an agent does stands beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from scipy import stats

from analysis.statistics import column, seeds_text
from analysis.studies.powerful_scores import Scores
from envs.niceness.assignment import JUDGES, KINDS, OTHER

NOTHING = 1e-9
"""Indices at most this are 0: a village is evaluated in float64."""


def deeds(first: Mapping[str, Scores]) -> Iterator[str]:
    """Sentences for the primary planner, given its scores by arm."""
    for arm, scores in first.items():
        others = _done(_others(scores))
        yield f"Beside the rule, {arm}: of {len(scores)} seeds {_done(scores)}; of the *{OTHER}* {others}."
        yield f"Beside the rule, {arm}, share of each kind: {_shares(scores)}."
        regrets = (f"{judge} {seeds_text(column(scores, f'regret {judge}'), decimals=2)}" for judge in JUDGES)
        yield f"Beside the rule, {arm}, normalised regret: {', '.join(regrets)}."


def _others(scores: Scores) -> Scores:
    return {seed: row for seed, row in scores.items() if row["assigned"] == OTHER}


def _done(scores: Scores) -> str:
    """How many persuade, keep people as they are, do both, or neither."""
    moved, kept = (column(scores, name) for name in ("MI", "LI"))
    found = Counter((moved[seed] - kept[seed] > NOTHING, kept[seed] > NOTHING) for seed in scores)
    return (
        f"{found[True, False]} persuade, {found[False, True]} keep people as they are, {found[True, True]} do both, "
        f"{found[False, False]} neither"
    )


def _shares(scores: Scores) -> str:
    """With Clopper and Pearson's intervals."""
    found = []
    for kind in KINDS:
        hits = sum(row["assigned"] == kind for row in scores.values())
        ends = stats.binomtest(hits, len(scores)).proportion_ci(method="exact")
        found.append(f"{kind} {hits / len(scores):.2f} [{ends.low:.2f}, {ends.high:.2f}]")
    return ", ".join(found)
